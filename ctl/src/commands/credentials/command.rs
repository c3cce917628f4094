//! The subcommands of `tvtctl credentials`.

use clap::Subcommand;

use crate::exit::Outcome;
use crate::io::Io;

use super::{list, push};

/// Send device credentials to the vaults of sites, and see what became of them
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Seal a credential to the agents of sites and have it put into their vaults
    Push(Box<push::Args>),
    /// List what was pushed, without anything secret
    List(list::Args),
}

impl Command {
    /// Runs the subcommand.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        match self {
            Self::Push(args) => args.run(io).await,
            Self::List(args) => args.run(io).await,
        }
    }
}
