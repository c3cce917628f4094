//! Fleets made up from a seed.

mod broken;
mod fleet_spec;
mod names;

pub use broken::Broken;
pub use fleet_spec::{FleetSpec, GenerateError};
