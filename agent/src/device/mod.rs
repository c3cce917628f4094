//! Ways of talking to devices: one module each, behind one trait.
//!
//! A driver moves bytes and timers. What to say is decided by the sans-IO sessions of
//! `tvtfleet_proto::device`, whether to log in by the [`gate`], and which driver to use by [`select`].

mod connect;
mod facts;
pub(crate) mod gate;
mod interface;
mod paths;
mod protocol;
pub(crate) mod select;
mod settings;
mod visit;

pub(crate) use interface::{Answer, Device, DeviceError};
pub(crate) use paths::KnownPaths;
pub(crate) use protocol::ProtocolDevice;
pub use settings::ProtocolSettings;
pub(crate) use visit::Visit;
