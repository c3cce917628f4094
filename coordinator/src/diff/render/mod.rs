//! A comparison as text, JSON, CSV and one line.

mod csv;
mod json;
mod text;

pub use csv::csv;
pub(crate) use csv::{for_each_row, reason};
pub use json::{SCHEMA, json};
pub use text::{summary, text};

/// What the two scans are called in reports: file names, jobs or dates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The old scan.
    pub old: String,
    /// The new scan.
    pub new: String,
}
