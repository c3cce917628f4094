//! The workbook of a whole fleet: a report, written anew each time.
//!
//! Six tabs: `Summary` with charts and a line per site, `Devices`, `Cameras`, `Failures`, `Changes`
//! and `Firmware`, a matrix of models and versions. Lists that are longer than a sheet go on in
//! `Cameras 2` and so on. The rows of lists go to temporary files on their way, so that memory does
//! not grow with them.

mod firmware;
mod lists;
mod summary;
mod tally;
mod write;

#[cfg(test)]
mod tests;

pub use write::FleetReport;
pub(super) use write::{is_ours, write};
