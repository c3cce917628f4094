//! `tvt-bench`: the command line of the benches.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use tvtfleet_bench::figures::{Figures, Format, say};
use tvtfleet_bench::measure::MeasuredArguments;
use tvtfleet_bench::programs::{self, Programs};
use tvtfleet_bench::scan::{self, WorkArguments};
use tvtfleet_bench::workbooks::{self, BooksArguments};
use tvtfleet_bench::{apply, asks, diff, discover, idle, snapshots, swarm};

/// Benches of tvtfleet: speed and memory next to a baseline of the same run
///
/// Build with --release. Programs that are measured are built first; a published pytvt and a
/// nats-server are fetched below the target folder when they are needed.
#[derive(Debug, Parser)]
#[command(name = "tvt-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// How the figures are printed
    #[arg(long, global = true, value_enum, default_value_t)]
    format: Format,
    /// Measure the programs as they were built before
    #[arg(long, global = true)]
    no_build: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Scan(scan::Arguments),
    Diff(diff::Arguments),
    Discover(discover::Arguments),
    Workbooks(workbooks::Arguments),
    Apply(apply::Arguments),
    Swarm(swarm::Arguments),
    Idle(idle::Arguments),
    Asks(asks::Arguments),
    Snapshots(snapshots::Arguments),
    #[command(hide = true)]
    Measured(MeasuredArguments),
    #[command(hide = true)]
    Work(WorkArguments),
    #[command(hide = true)]
    Books(BooksArguments),
}

fn main() -> ExitCode {
    if let Some(ended) = tvt_agent::snapshot::decode_if_asked(std::env::args_os()) {
        return ended;
    }
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Measured(measured) => measured.run(),
        Command::Work(work) => work.run().and_then(|counted| print_json(&counted)),
        Command::Books(books) => books.run().and_then(|books| print_json(&books)),
        Command::Scan(scan) => bench(&arguments.common, |programs| scan::run(&scan, programs)),
        Command::Diff(diff) => bench(&arguments.common, |programs| diff::run(&diff, programs)),
        Command::Discover(discover) => bench(&arguments.common, |programs| {
            discover::run(&discover, programs)
        }),
        Command::Workbooks(books) => show(arguments.common.format, || workbooks::run(&books)),
        Command::Apply(apply) => bench(&arguments.common, |programs| apply::run(&apply, programs)),
        Command::Swarm(swarm) => bench(&arguments.common, |programs| swarm::run(&swarm, programs)),
        Command::Asks(asks) => bench(&arguments.common, |programs| asks::run(&asks, programs)),
        Command::Idle(idle) => bench(&arguments.common, |programs| idle::run(&idle, programs)),
        Command::Snapshots(snapshots) => bench(&arguments.common, |programs| {
            snapshots::run(&snapshots, programs)
        }),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // Nothing is left to do when standard error is closed.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench(common: &Common, run: impl FnOnce(&Programs) -> Result<Figures>) -> Result<u8> {
    let programs = if common.no_build {
        Programs::as_built()?
    } else {
        say("building the programs");
        Programs::build()?
    };
    show(common.format, || run(&programs))
}

fn show(format: Format, run: impl FnOnce() -> Result<Figures>) -> Result<u8> {
    if !programs::optimised()? {
        say("this is not a release build: the figures say little");
    }
    run()?.print(format)?;
    Ok(0)
}

fn print_json(value: &impl serde::Serialize) -> Result<u8> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    Ok(0)
}
