//! The subcommands of `tvtctl agents`.

use clap::Subcommand;

use crate::exit::Outcome;
use crate::io::Io;

use super::list;

/// List the agents of the sites
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List agents by site
    List(list::Args),
}

impl Command {
    /// Runs the subcommand.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        match self {
            Self::List(args) => args.run(io).await,
        }
    }
}
