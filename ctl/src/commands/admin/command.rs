//! The subcommands of `tvtctl admin`.

use clap::Subcommand;

use crate::exit::Outcome;
use crate::io::Io;

use super::{agent, backup, init, operator, push, site, tenant};

/// Set up and govern a fleet: accounts, tenants, operators, joining
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a fleet: keys, accounts, certificates and the files for servers and coordinator
    Init(init::Args),
    /// Add, remove and list tenants
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// Let the agent of a site join
    #[command(subcommand)]
    Site(site::Command),
    /// Add, revoke and list operators
    #[command(subcommand)]
    Operator(operator::Command),
    /// Revoke agents, and give them new keys
    #[command(subcommand)]
    Agent(agent::Command),
    /// Tell the servers and the coordinator everything that the folder says
    Push(push::Args),
    /// Write everything needed to rebuild the fleet into one file
    Backup(backup::BackupArgs),
    /// Make the folder again from a backup
    Restore(backup::RestoreArgs),
}

impl Command {
    /// Runs the subcommand.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        match self {
            Self::Init(args) => args.run(io),
            Self::Tenant(command) => command.run(io).await,
            Self::Site(command) => command.run(io),
            Self::Operator(command) => command.run(io).await,
            Self::Agent(command) => command.run(io).await,
            Self::Push(args) => args.run(io).await,
            Self::Backup(args) => args.run(io),
            Self::Restore(args) => args.run(io),
        }
    }
}
