//! `tvt-sim`: simulates fleets of TVT recorders.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
