//! All that crosses a wire or a crate border in tvtfleet: domain types, fleet messages, the subject
//! grammar, error codes, and the codecs and sessions of TVT devices.
//!
//! The crate is pure. It opens no sockets, reads no files, clocks, environment or random numbers;
//! whoever drives it passes those in. Where to start:
//!
//! - [`model`]: the types the program thinks in. A value of these types is already correct.
//! - [`wire`]: the protobuf messages, generated; [`convert`] turns them into `model` and back.
//! - [`subject`]: the one place that writes and reads NATS subjects.
//! - [`error`]: the registry of stable error codes.
//! - [`device`]: codecs and session state machines of the devices themselves.

pub mod convert;
pub mod device;
pub mod envelope;
pub mod error;
pub mod model;
pub mod subject;
pub mod wire;
