//! The subcommands of `tvtctl sites`.

use clap::Subcommand;

use crate::exit::Outcome;
use crate::io::Io;

use super::{add, list, show};

/// List and add sites
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List sites
    List(list::Args),
    /// Show a site
    Show(show::Args),
    /// Add a site, or change its name and labels
    Add(add::Args),
}

impl Command {
    /// Runs the subcommand.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        match self {
            Self::List(args) => args.run(io).await,
            Self::Show(args) => args.run(io).await,
            Self::Add(args) => args.run(io).await,
        }
    }
}
