//! The site agent.
//!
//! A job reads left to right: `intake` brings the want document, `jobs` takes it into the
//! [`journal`], `job` runs it: `plan` says which device is next, `run` asks it through a driver of
//! `device`. Reports go into the [`spool`], and from there, by the `outbox`, to the coordinator.
//! `heartbeat` learns how far the coordinator has got, so that the spool can let go.
//!
//! `bridge` asks the same devices for scripts that call it over HTTP.
//!
//! [`work`] alone is what a local scan needs: no bus, no spool.

pub mod backends;
mod bridge;
mod budget;
mod chain;
pub mod config;
pub mod credentials;
mod device;
pub mod discover;
mod fleet_time;
mod found;
mod heartbeat;
pub mod identity;
mod intake;
mod job;
mod jobs;
pub mod journal;
mod line;
mod orders;
mod outbox;
#[cfg(test)]
mod peer;
mod pictures;
mod plan;
pub mod policy;
mod pushes;
pub mod quiet;
mod reconcile;
mod recover;
mod rehearse;
mod retry;
mod run;
#[cfg(test)]
mod run_tests;
mod service;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod snapshot;
pub mod spool;
mod status;
mod turn;
pub mod vault;
pub mod work;

pub use bridge::{BadBridge, BridgeError, BridgeSettings};
pub use budget::{AttemptBudget, KeeperError};
pub use config::AgentConfig;
pub use device::vendor::{self, VendorSettings};
pub use device::{
    CertificatePins, Intent, KeyLogin, PinError, ProtocolSettings, WebPort, WebSettings,
};
pub use rehearse::{Rehearsed, rehearse};
pub use retry::RetrySettings;
pub use service::{AgentError, forget_refusals, hostname, run, site_context};
