//! Whom the coordinator believes: the fleet's authority, its operators, and agents that enrolled.

mod caller;
mod enrol;
mod known;
mod rotate;

pub(crate) use caller::{Caller, Scope};
pub(crate) use enrol::answer;
pub(crate) use known::Trust;
pub use known::TrustStartError;
pub(crate) use rotate::is_wanted;
