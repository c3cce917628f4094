//! `cargo xtask`: developer and demo commands.

mod demo;
mod footprint;
mod soak;
mod spec;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use xtask::nats_server::{self, Version};

/// Developer and demo commands of tvtfleet
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Test(spec::Arguments),
    Footprint(footprint::Arguments),
    Soak(soak::Arguments),
    NatsServer(NatsServer),
}

/// Find a nats-server for tests and the demo, or fetch one below the target folder
#[derive(Debug, Args)]
struct NatsServer {
    /// Exactly this version, such as 2.15.1
    #[arg(long)]
    version: Option<Version>,
    /// Print nothing but the path of the binary
    #[arg(long)]
    print_path: bool,
}

impl NatsServer {
    #[expect(clippy::print_stdout, reason = "the path is what the command is for")]
    fn run(&self) -> Result<()> {
        let options = nats_server::Options::from_environment(self.version);
        let binary = nats_server::find_or_fetch(&options)?;
        if self.print_path {
            println!("{}", binary.display());
        } else {
            println!(
                "nats-server {}: {}",
                Version::of(&binary)?,
                binary.display()
            );
        }
        Ok(())
    }
}

#[expect(clippy::print_stderr, reason = "a command's errors go to stderr")]
fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Test(arguments) => spec::run(&arguments),
        Command::Footprint(arguments) => footprint::run(&arguments),
        Command::Soak(arguments) => soak::run(&arguments),
        Command::NatsServer(arguments) => arguments.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
