//! The IO that all tvtfleet binaries share: the NATS connection and its declarations, sealed
//! messages with their trace context, telemetry, shutdown and the clock.
//!
//! Nothing here knows what a job or a device is. There is no trait over NATS: its semantics are used
//! as they are, and tests run a real server. Where to start:
//!
//! - [`mod@connect`]: from [`ConnectOptions`] to a [`Bus`], and what becomes of it.
//! - [`settings`]: the services' `[nats]` section; [`config_file`] and [`closed_file`]: reading files.
//! - [`streams`]: the streams and buckets, ensured when the coordinator starts.
//! - [`want`]: writing, reading and hearing of a site's want document.
//! - [`publish`] and [`consume`]: the two ends of the results' stream.
//! - [`picture`]: the two ends of the pictures' stream.
//! - [`rpc`]: request and reply.
//! - [`replica`]: the log and the snapshots by which standby coordinators follow.
//! - [`telemetry`], [`trace`] and [`attribute`]: spans, their export, their context and their names.
//! - [`trust`]: accounts, users, join strings and sealed boxes; [`claims`]: handing accounts to servers.
//! - [`server_clock`]: what time the server believes it is; [`peer_certificate`]: the certificate it
//!   shows; [`monitor`]: what it says of itself.
//! - [`shutdown`], [`clock`] and [`backoff`]: the process around it.

pub mod attribute;
pub mod backoff;
pub mod claims;
pub mod clock;
pub mod closed_file;
pub mod config_file;
pub mod connect;
pub mod consume;
pub mod error;
pub mod monitor;
mod options;
mod otlp;
pub mod peer_certificate;
pub mod picture;
pub mod prompt;
pub mod publish;
pub mod replica;
pub mod rpc;
pub mod server_clock;
pub mod settings;
pub mod shutdown;
mod standing;
pub mod streams;
pub mod telemetry;
pub mod trace;
pub mod trust;
pub mod want;

pub use connect::{Bus, ConnectOptions, connect};
pub use error::{BusError, MessageError};
pub use settings::NatsSettings;
pub use shutdown::Shutdown;
pub use standing::BusState;
