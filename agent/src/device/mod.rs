//! Ways of talking to devices: one module each, behind one trait.
//!
//! A driver moves bytes and timers. What to say is decided by the sans-IO sessions of
//! `tvtfleet_proto::device`, whether to log in by the [`gate`], and which driver to use by [`select`].

mod bridge;
pub(crate) mod child;
pub(crate) mod complete;
mod connect;
mod facts;
pub(crate) mod gate;
mod interface;
mod netsdk;
mod order;
mod paths;
mod protocol;
mod reboot;
pub(crate) mod rtsp;
pub(crate) mod select;
mod settings;
pub(crate) mod turnstile;
pub mod vendor;
mod visit;
pub(crate) mod web;

pub(crate) use bridge::{
    Bridge, BridgeDevice, READS as BRIDGE_READS, Way as BridgeWay, find_node, find_script,
};
pub(crate) use interface::{Answer, Device, DeviceError};
pub(crate) use netsdk::{Fuses, Helper, NetsdkDevice, READS as NETSDK_READS, find_host, locate};
pub(crate) use order::ChangeOrder;
pub use order::Intent;
pub(crate) use paths::KnownPaths;
pub(crate) use protocol::ProtocolDevice;
pub(crate) use select::Configured;
pub use settings::ProtocolSettings;
pub(crate) use vendor::VendorSettings;
pub(crate) use visit::Visit;
pub(crate) use web::PORTS_MAX;
pub use web::{CertificatePins, KeyLogin, PinError, WebPort, WebSettings};
pub(crate) use web::{CgiDevice, WebApiDevice};
