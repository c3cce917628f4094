//! Output for people and programs: terminal, JSON, CSV, workbooks and the list of what failed.
//!
//! Everything but [`xlsx`] and [`mod@file`] writes to the writer it is given and touches nothing else.

pub mod console;
pub mod csv;
pub mod discovery;
pub mod failed;
pub mod file;
pub mod json;
pub mod pictures;
pub mod xlsx;

#[cfg(test)]
pub(crate) mod sample;
