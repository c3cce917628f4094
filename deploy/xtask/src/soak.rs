//! `cargo xtask soak`: a real fleet under faults.

use anyhow::Result;
use clap::Args;

use crate::workspace;
use xtask::nats_server;

/// Run a real fleet under faults drawn from a seed, and balance the books after each round
///
/// Kills and pauses agents, coordinator and server, cuts and slows the line, loses the server's disk,
/// restores an older database, clones an agent, and fills a disk (needs root, else it is left out).
/// After each round every recorder must be counted once, every change recorded once, and no recorder
/// logged into without need. Ends with 1 and the seed where something is lost.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask soak
  cargo xtask soak --minutes 60 --seed 7")]
pub(crate) struct Arguments {
    /// How long, in minutes
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// What decides which faults come when
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Recorders of the three sites together
    #[arg(long, default_value_t = 60)]
    devices: usize,
}

/// Runs the soak.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    nats_server::find_or_fetch(&nats_server::Options::from_environment(None))?;
    workspace::cargo(&["build", "--workspace", "--bins", "--locked"])?;
    workspace::cargo(&[
        "run",
        "--quiet",
        "--locked",
        "--package",
        "tvtfleet-tests",
        "--bin",
        "tvtfleet-soak",
        "--",
        "--minutes",
        &arguments.minutes.to_string(),
        "--seed",
        &arguments.seed.to_string(),
        "--devices",
        &arguments.devices.to_string(),
    ])
}
