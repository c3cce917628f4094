//! One key frame of a stream, over RTSP.
//!
//! The first connection shows no credential and says which login is wanted; only then, and only with
//! leave of policy and budget, does the client library log in on a second one,
//! through a relay that counts what the device says.

mod capture;
mod greet;
mod relay;

pub(crate) use capture::{Captured, Source, capture};
