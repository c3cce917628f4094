//! The subcommands of `tvtctl changes`.

use clap::Subcommand;

use crate::exit::Outcome;
use crate::io::Io;

use super::{follow, list};

/// List and follow what changed in the fleet
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List changes, oldest first
    List(list::Args),
    /// Show changes as they are found, until interrupted
    Follow(follow::Args),
}

impl Command {
    /// Runs the subcommand.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        match self {
            Self::List(args) => args.run(io).await,
            Self::Follow(args) => args.run(io).await,
        }
    }
}
