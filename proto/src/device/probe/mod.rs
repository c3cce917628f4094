//! What identifies a device before anybody logs in: its greeting, and the rules for its type.
//!
//! The greeting itself is read by [`tvt`](crate::device::tvt); here it becomes a finding.

mod device_type;
mod greeting;
pub(crate) mod text;

pub use device_type::{Hints, conclude, from_texts};
pub use greeting::{Fingerprint, GREETING_LEN, fingerprint};
