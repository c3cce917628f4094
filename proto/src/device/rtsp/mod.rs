//! RTSP, as far as it is decided here: addresses of streams, and what a server says before a login.
//!
//! The conversation itself is that of the client library; a credential never stands in an address.

mod address;
mod greeting;
mod meter;

pub use address::{DEFAULT_PORT, camera_path, recorder_path, url};
pub use greeting::{Greeting, HEAD_MAX, describe, refusal};
pub use meter::{BODY_MAX, Meter, PASSING_MAX};
