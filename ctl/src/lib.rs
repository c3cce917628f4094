//! The command line of tvtfleet.
//!
//! [`run`] is the whole program: it takes arguments and an [`Io`] and returns an exit code, so that
//! tests call it like a function. A command reads left to right: `args` parses, a module of
//! `commands` settles its options with `config`, does its work (through `server` for the fleet,
//! through the agent's and coordinator's libraries for `tvtctl local`), and writes with `output` or
//! `report`. Nothing here decides about devices or jobs.

use std::ffi::OsString;

use clap::FromArgMatches;
use clap::error::ErrorKind;
use tracing::Instrument as _;
use tvtfleet_proto::error::{ErrorCode, ExitStatus};

mod answers;
mod args;
mod commands;
mod compare;
mod config;
mod discovery;
pub mod env;
mod error;
mod exit;
mod files;
mod id;
mod import;
mod inventory;
mod io;
mod known_agents;
mod mapping;
mod moment;
mod output;
mod pictures;
mod progress;
mod realm;
mod report;
mod server;
mod signing;
mod state;
mod watch;

pub use io::{Io, Stderr};

/// Runs a command line and tells how it ended. `args` begins with the program's name.
pub async fn run<I>(args: I, mut io: Io) -> ExitStatus
where
    I: IntoIterator<Item = OsString>,
{
    let parser = args::parser().term_width(io.width.into());
    let parsed = parser
        .try_get_matches_from(args)
        .and_then(|matches| args::Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => {
            let span = tracing::info_span!("ctl.run", tvt.command = cli.command.name());
            let outcome = cli.command.run(&mut io).instrument(span).await;
            exit::conclude(outcome, &io)
        }
        Err(error) => explain(&error, &mut io),
    }
}

/// Writes what the parser has to say: help and version to stdout, everything else to stderr.
fn explain(error: &clap::Error, io: &mut Io) -> ExitStatus {
    let text = error.render();
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        let text = if io.stdout_colour() {
            text.ansi().to_string()
        } else {
            text.to_string()
        };
        let outcome = io.write_out(text.as_bytes()).map(|()| ExitStatus::Success);
        return exit::conclude(outcome, io);
    }
    let text = if io.stderr_colour() {
        text.ansi().to_string()
    } else {
        text.to_string()
    };
    io.stderr.text(&text);
    if error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        io.stderr
            .line(&format!("code: {}", ErrorCode::UsageInvalid));
    }
    ExitStatus::Usage
}
