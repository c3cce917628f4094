//! `tvt-bench`: the command line of the benches.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tvtfleet_bench::figures::{Figures, Format, say};
use tvtfleet_bench::measure::MeasuredArguments;
use tvtfleet_bench::scan::{self, WorkArguments};
use tvtfleet_bench::workbooks::{self, BooksArguments};
use tvtfleet_bench::{apply, diff, idle, programs};

/// Benches of tvtfleet: speed and memory next to a baseline of the same run
///
/// Build with --release. Programs that are measured are built first; a published pytvt and a
/// nats-server are fetched below the target folder when they are needed.
#[derive(Debug, Parser)]
#[command(name = "tvt-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// How the figures are printed
    #[arg(long, global = true, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    Scan(scan::Arguments),
    Diff(diff::Arguments),
    Workbooks(workbooks::Arguments),
    Apply(apply::Arguments),
    Idle(idle::Arguments),
    #[command(hide = true)]
    Measured(MeasuredArguments),
    #[command(hide = true)]
    Work(WorkArguments),
    #[command(hide = true)]
    Books(BooksArguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Measured(measured) => measured.run(),
        Command::Work(work) => work.run().and_then(|counted| print_json(&counted)),
        Command::Books(books) => books.run().and_then(|books| print_json(&books)),
        Command::Diff(diff) => bench(arguments.format, || diff::run(&diff)),
        Command::Workbooks(workbooks) => bench(arguments.format, || workbooks::run(&workbooks)),
        Command::Apply(apply) => bench(arguments.format, || apply::run(&apply)),
        Command::Idle(idle) => bench(arguments.format, || idle::run(&idle)),
        Command::Scan(scan) => bench(arguments.format, || scan::run(&scan)),
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

fn bench(format: Format, run: impl FnOnce() -> Result<Figures>) -> Result<u8> {
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
