//! `cargo xtask footprint`: how large the shipped programs are, on disk and at rest.

use anyhow::Result;
use clap::Args;

use crate::workspace;

/// Measure binary sizes and the memory of an idle agent
///
/// Builds the release binaries, starts an agent against a real server, and prints what it finds.
#[derive(Debug, Args)]
pub(crate) struct Arguments {}

/// Runs the measurement of the bench crate.
pub(crate) fn run(_: &Arguments) -> Result<()> {
    workspace::release_binaries()?;
    workspace::cargo(&[
        "run",
        "--release",
        "--locked",
        "--package",
        "tvtfleet-bench",
        "--",
        "idle",
    ])
}
