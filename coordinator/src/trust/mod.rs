//! Whom the coordinator believes: the fleet's authority, its operators, and agents that enrolled.

mod caller;
mod enrol;
mod known;

pub(crate) use caller::{Caller, Scope};
pub(crate) use enrol::answer;
pub(crate) use known::Trust;
pub use known::TrustStartError;
