//! Simulates fleets of TVT recorders on real sockets.
//!
//! A [`Fleet`] comes from a fleet file or from a [`FleetSpec`]; [`Simulator::start`] makes its
//! recorders listen, in the process of a test or of the `tvt-sim` program. Recorders lock after
//! wrong logins, limit their clients, break in named ways ([`Fault`]), change while they run
//! ([`Mutation`]), count what clients do ([`CounterSnapshot`]) and write down what clients do
//! wrong ([`Violation`]). A whole fleet can be held still in the middle of a scan.
//!
//! The protocol is read here a second time, independently of the product, and pinned to the same
//! vectors.

mod alarm;
mod control;
mod device;
mod fleet;
mod generate;
mod picture;
mod simulator;
mod video;
mod web;
mod wire;

pub use control::{ControlError, ControlServer, Request, Wait};
pub use device::{
    BeforeLogin, Counter, CounterSnapshot, Device, DeviceSpec, Fault, FaultRule, Firmware,
    ForeignServer, Kind, LockRule, Mac, Mutation, MutationError, Password, Phase, ReplyId,
    TextError, TunnelBody, Violation, ViolationRecord, XorKey,
};
pub use fleet::{Fleet, FleetError, InventoryEntry, save_inventories};
pub use generate::{Broken, FleetSpec, GenerateError};
pub use picture::{Mark, Scene};
pub use simulator::{Options, Simulator, SimulatorError};
pub use video::{RtspFault, RtspLogin, RtspSpec, VideoCodec};
pub use web::{ApiDialect, ApiLogin, PagesLogin, StillFault, WebFault, WebSpec, WriteFault};
