//! The program's arguments and its end.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use super::{control, generate, serve};

/// Simulate fleets of TVT recorders on loopback addresses
///
/// Recorders speak the binary protocol on real TCP sockets, lock after wrong logins, break in
/// named ways, change while they run, and count everything that clients do.
#[derive(Debug, Parser)]
#[command(
    name = "tvt-sim",
    version,
    after_help = "\
Examples:
  tvt-sim generate --devices 60 --sites 3 --seed 1 --out fleet.json --inventory-dir sites
  tvt-sim serve fleet.json --control 127.0.0.1:0 --latency 20ms
  tvt-sim ctl 127.0.0.1:40123 totals"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Arguments),
    Generate(generate::Arguments),
    Ctl(control::Arguments),
}

/// Runs the program: 0 when all went well, 1 after an error, 2 for wrong arguments.
pub(crate) fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let outcome = match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Generate(arguments) => generate::run(&arguments),
        Command::Ctl(arguments) => control::run(arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do when stderr is closed.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
