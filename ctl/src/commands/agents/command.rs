//! The subcommands of `tvtctl agents`.

use clap::Subcommand;

use crate::exit::Outcome;
use crate::io::Io;

use super::{list, show};

/// List the agents of the sites, and show what they can do
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List agents by site
    List(list::Args),
    /// Show which backends an agent has, and why not
    Show(show::Args),
}

impl Command {
    /// Runs the subcommand.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        match self {
            Self::List(args) => args.run(io).await,
            Self::Show(args) => args.run(io).await,
        }
    }
}
