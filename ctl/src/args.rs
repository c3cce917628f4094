//! The command line as a whole: the parser, and the way from a parsed command to its code.

use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::{
    admin, agents, audit, backends, changes, completions, credentials, decode, device, diff,
    discover, doctor, inventory, jobs, local, man, run, scan, sites, snapshot, sql, status,
};
use crate::env;
use crate::exit::Outcome;
use crate::io::Io;

/// Manage fleets of TVT video recorders
#[derive(Debug, Parser)]
#[command(name = "tvtctl", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Scan devices of the fleet and report their channels
    Scan(Box<scan::Args>),
    /// Ask devices of the fleet one question
    Run(run::Args),
    /// Take pictures of the cameras of the fleet
    Snapshot(Box<snapshot::Args>),
    /// Find the TVT devices of sites
    Discover(Box<discover::Args>),
    /// List, follow and stop jobs, and read their results
    #[command(subcommand)]
    Jobs(jobs::Command),
    /// List, edit, import and export devices
    #[command(subcommand)]
    Inventory(inventory::Command),
    /// List and follow what changed in the fleet
    #[command(subcommand)]
    Changes(changes::Command),
    /// Ask questions in SQL
    Sql(sql::Args),
    /// List and add sites
    #[command(subcommand)]
    Sites(sites::Command),
    /// List the agents of the sites, and show what they can do
    #[command(subcommand)]
    Agents(agents::Command),
    /// Compare two scans, or the fleet at two times
    Diff(diff::Args),
    /// Work on the network of this computer, without a server
    #[command(subcommand)]
    Local(local::Command),
    /// Ask single devices, from this computer and without a server
    #[command(subcommand)]
    Device(device::Command),
    /// Show which ways of talking to devices this computer has
    Backends(backends::Args),
    /// Explain a capture of the binary protocol, without passwords
    Decode(decode::Args),
    /// Show whether the server and the coordinator answer
    Status(status::Args),
    /// Set up and govern a fleet: accounts, tenants, operators, joining
    #[command(subcommand)]
    Admin(admin::Command),
    /// Read and check who asked what, and what came of it
    #[command(subcommand)]
    Audit(audit::Command),
    /// Send device credentials to the vaults of sites, and see what became of them
    #[command(subcommand)]
    Credentials(credentials::Command),
    /// Look at all parts of the fleet and say what to do
    Doctor(doctor::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// Write the manual pages into a folder
    Man(man::Args),
}

impl Command {
    /// The first word of the command.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Scan(_) => "scan",
            Self::Run(_) => "run",
            Self::Snapshot(_) => "snapshot",
            Self::Discover(_) => "discover",
            Self::Jobs(_) => "jobs",
            Self::Inventory(_) => "inventory",
            Self::Changes(_) => "changes",
            Self::Sql(_) => "sql",
            Self::Sites(_) => "sites",
            Self::Agents(_) => "agents",
            Self::Diff(_) => "diff",
            Self::Local(_) => "local",
            Self::Device(_) => "device",
            Self::Backends(_) => "backends",
            Self::Decode(_) => "decode",
            Self::Status(_) => "status",
            Self::Admin(_) => "admin",
            Self::Audit(_) => "audit",
            Self::Credentials(_) => "credentials",
            Self::Doctor(_) => "doctor",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }

    /// Runs the command.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        match self {
            Self::Scan(args) => args.run(io).await,
            Self::Run(args) => args.run(io).await,
            Self::Snapshot(args) => args.run(io).await,
            Self::Discover(args) => args.run(io).await,
            Self::Jobs(command) => command.run(io).await,
            Self::Inventory(command) => command.run(io).await,
            Self::Changes(command) => command.run(io).await,
            Self::Sql(args) => args.run(io).await,
            Self::Sites(command) => command.run(io).await,
            Self::Agents(command) => command.run(io).await,
            Self::Diff(args) => args.run(io).await,
            Self::Local(command) => command.run(io).await,
            Self::Device(command) => command.run(io).await,
            Self::Backends(args) => args.run(io).await,
            Self::Decode(args) => args.run(io),
            Self::Status(args) => args.run(io).await,
            Self::Admin(command) => command.run(io).await,
            Self::Audit(command) => command.run(io).await,
            Self::Credentials(command) => command.run(io).await,
            Self::Doctor(args) => args.run(io).await,
            Self::Completions(args) => args.run(io),
            Self::Man(args) => args.run(io),
        }
    }
}

/// The parser, with what only the running program knows.
pub(crate) fn parser() -> clap::Command {
    Cli::command().after_long_help(format!("{EXIT_CODES}\n\n{}", env::help_section()))
}

const EXIT_CODES: &str = "\
Exit codes:
  0   everything that was asked for was done
  1   some devices or sites failed; the results of the others are complete
  2   the command line makes no sense
  3   a configuration, an input file or a credential is missing or wrong
  4   the NATS server or the coordinator cannot be reached or refuses
  5   the time allowed ran out
  6   differences were found, with diff --exit-code
  70  a defect of this program";
