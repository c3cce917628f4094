//! `cargo xtask demo`: a whole fleet on this machine, scanned twice.

mod processes;
mod simulator;
mod story;
mod system;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::workspace;

/// Run a fleet on this machine: NATS, coordinator, three agents, 60 simulated recorders
///
/// Imports an inventory, scans the fleet, prints the report and writes JSON, CSV and one workbook per
/// site; then recorders change, the fleet is scanned again, and the differences are printed. Nothing
/// leaves this machine, and nothing keeps running afterwards.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask demo
  cargo xtask demo --out /tmp/fleet --keep")]
pub(crate) struct Arguments {
    /// Folder for the files; made where missing, emptied of an earlier demo's files
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Keep everything running until Ctrl-C
    #[arg(long)]
    keep: bool,
}

/// Runs the demo. Whatever ends it, the processes it started are gone afterwards.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let out = match &arguments.out {
        Some(out) => std::path::absolute(out).context("cannot resolve --out")?,
        None => workspace::target().join("demo"),
    };
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
        // Dropping the story kills its processes.
        tokio::select! {
            ended = story::tell(&out, arguments.keep) => ended,
            _ = tokio::signal::ctrl_c() => bail!("interrupted; all processes are stopped"),
            _ = terminate.recv() => bail!("terminated; all processes are stopped"),
        }
    })
}
