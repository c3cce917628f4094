//! `cargo xtask soak`: a real fleet under faults.

use anyhow::Result;
use clap::Args;

use crate::workspace;
use xtask::nats_server;

/// Run a real fleet under faults drawn from a seed, and balance the books after each round
///
/// Kills and pauses agents, coordinator and servers, cuts and slows lines, lets clocks jump, loses a
/// server's disk, restores an older database, clones an agent, and fills the disks of an agent and of
/// the coordinator (needs root, else it is left out). After each round every recorder must be counted
/// once, every change recorded once, and no recorder logged into twice unless its agent died without
/// its answer on the disk. Ends with 1 and the seed where something is lost.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask soak
  cargo xtask soak --minutes 60 --seed 7
  cargo xtask soak --minutes 120 --seed 3 --nodes 3 --total 500")]
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
    /// Faults after which no more rounds begin
    #[arg(long)]
    total: Option<u32>,
    /// Servers: 1, or a cluster of 3
    #[arg(long, default_value_t = 1)]
    nodes: u32,
}

/// Runs the soak.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    nats_server::find_or_fetch(&nats_server::Options::from_environment(None))?;
    workspace::cargo(&["build", "--workspace", "--bins", "--locked"])?;
    let (minutes, seed, devices, nodes) = (
        arguments.minutes.to_string(),
        arguments.seed.to_string(),
        arguments.devices.to_string(),
        arguments.nodes.to_string(),
    );
    let total = arguments.total.map(|total| total.to_string());
    let mut cargo = vec![
        "run",
        "--quiet",
        "--locked",
        "--package",
        "tvtfleet-tests",
        "--bin",
        "tvtfleet-soak",
        "--",
        "--minutes",
        &minutes,
        "--seed",
        &seed,
        "--devices",
        &devices,
        "--nodes",
        &nodes,
    ];
    if let Some(total) = &total {
        cargo.extend(["--total", total]);
    }
    workspace::cargo(&cargo)
}
