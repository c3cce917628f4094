//! The JSON of SDK bridges: an HTTP service, or a script that prints its answer between two markers.
//!
//! Both answer a scan with the same object, so both are read here. Nothing a bridge says is trusted:
//! sizes, counts, types and ranges are checked, and an answer that breaks a rule is a failure with a
//! code of its own.
//!
//! `asked` and [`told`] are the same for a bridge of our own.
//!
//! Wire source: the requests and answers of pytvt 0.5.1 and its scan script. The service itself is not
//! public. UNCERTAIN: what a bridge accepts beyond what pytvt sends.

mod answers;
mod asked;
mod mark;
mod reply;
mod request;
pub mod told;

pub use answers::{clock, device_info, done, picture, rtsp_url};
pub use asked::{Asked, BadRequest, Door, Errand, REQUEST_MAX};
pub use mark::{NoPayload, payload};
pub use reply::{
    BODY_MAX, CAMERAS_MAX, ERROR_TEXT_MAX, Scan, failure_of_error, is_healthy, scan, status_failure,
};
pub use request::{Call, DeviceRequest, HEALTH_PATH, base_url, script_input};
