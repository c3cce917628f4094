//! Pictures on their way to the coordinator: kept on the disk until it has them, and sent when nothing
//! else is to be sent.
//!
//! What is kept is bounded. Where there is no room, whoever takes pictures waits, and gives up at the
//! end of the device's time; where reports need the room, the oldest pictures go.

mod giving_way;
mod sender;
mod shelf;

pub(crate) use giving_way::yield_to_reports;
pub(crate) use sender::PictureSender;
pub(crate) use shelf::Shelf;
