//! The outbox: from reports to the stream of results, in order, none lost.
//!
//! ```text
//! report ──batch──► APPENDED (on this disk) ──► PUBLISHED (the stream has it) ──► COMMITTED ──► deleted
//! ```
//!
//! The writer puts batches into the [spool](crate::spool). The sender publishes them in a window with
//! go-back-N: at the first error the window is dropped and sent again, under the same message ids. An
//! acknowledgement of the stream deletes nothing; the coordinator's watermark does.

mod batch;
mod sender;
mod shared;
mod window;
mod writer;

pub(crate) use sender::Sender;
#[cfg(feature = "simulation")]
pub(crate) use shared::encode;
pub(crate) use shared::{SpoolShared, filler, sealed_batch};
#[cfg(feature = "simulation")]
pub(crate) use window::{Generation, Verdict, Window};
pub(crate) use writer::{Stopped, Writer, WriterHandle};
