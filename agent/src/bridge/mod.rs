//! The bridge API, served by the agent itself: for scripts that know HTTP bridges.
//!
//! Off unless it is configured. `server` lets callers in, within bounds; `errand` asks the device as a
//! job does, under the site's policy and with its budget of attempts, and with the caller's credential.

mod errand;
mod server;
mod settings;

pub use server::BridgeError;
pub(crate) use server::Server;
pub use settings::{BadBridge, BridgeSettings};
