//! Scan results as objects of a file: what pytvt's users parse, with what tvtfleet adds after it.
//!
//! Every renderer and the diff work on [`ResultRecord`]s. They are made from fresh rows of the
//! coordinator (`From<&ResultRow>`) or read from files of pytvt and of tvtfleet, so that a saved
//! file can be rendered and compared like a fresh scan.

mod build;
pub(crate) mod encoding;
pub(crate) mod lenient;
mod read;
mod record;
mod report;

pub use read::{ResultsError, decode, parse, read};
pub use record::{AttemptRecord, CameraRecord, ChannelKey, DeviceInfo, ResultRecord};
