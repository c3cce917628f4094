//! What the agent and its SDK helper say to each other over the helper's stdin and stdout.
//!
//! The helper loads the vendor's library for one device. It speaks first ([`Hello`]); after that every
//! [`Request`] gets one [`Answer`]. Messages are JSON in frames ([`frame()`]); the agent kills the helper
//! that breaks these rules, and treats all it says as the device's words.
//!
//! Wire source: our own; the vendor's records are in the helper. Texts are UTF-8, channels count from 0
//! as the vendor's library counts them.

mod answers;
mod channels;
mod frame;
mod message;
mod number;
mod picture;
mod records;
mod search;

pub use answers::{clock, disk, info, plain_url, recording};
pub use channels::{channels, facts};
pub use frame::{ANSWER_MAX, FrameError, FrameReader, REQUEST_MAX, frame};
pub use message::{
    Answer, BadMessage, CallFailure, Companion, Hello, Library, Login, NatKind, NatRoute, Reason,
    Request, Search, StreamChoice, Tunnel, VERSION,
};
pub use number::{Meaning, meaning};
pub use picture::{PICTURE_MAX, PictureBytes};
pub use records::{
    CameraRow, ChannelRow, DeviceRecord, DiskRow, FoundRow, RecordingRow, WallClock,
};
pub use search::found;
