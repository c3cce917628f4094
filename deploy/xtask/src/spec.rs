//! `cargo xtask test`: the whole specification.

use anyhow::Result;
use clap::Args;

use crate::workspace;
use xtask::nats_server;

/// Run the whole specification
///
/// Fetches what the tests need (nats-server), then runs every test of every crate.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask test
  cargo xtask test fleet_scan      # tests whose name holds this text")]
pub(crate) struct Arguments {
    /// Only tests whose name holds this text
    filter: Option<String>,
}

/// Runs the tests.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    nats_server::find_or_fetch(&nats_server::Options::from_environment(None))?;
    // The smoke tests run the programs themselves.
    workspace::cargo(&["build", "--workspace", "--bins", "--locked"])?;
    let mut cargo = vec!["test", "--workspace", "--locked"];
    cargo.extend(arguments.filter.as_deref());
    workspace::cargo(&cargo)
}
