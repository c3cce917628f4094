//! The subcommands of `tvtctl jobs`.

use clap::Subcommand;

use crate::exit::Outcome;
use crate::io::Io;

use super::{cancel, list, pictures, results, show, wait};

/// List, follow and stop jobs, and read their results
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List jobs, newest first
    List(list::Args),
    /// Show a job and its sites
    Show(show::Args),
    /// Wait until a job has ended
    Wait(wait::Args),
    /// Stop a job; what has been reported stays
    Cancel(cancel::Args),
    /// Read the results of a job
    Results(results::Args),
    /// Fetch the pictures of a job
    Pictures(pictures::Args),
}

impl Command {
    /// Runs the subcommand.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        match self {
            Self::List(args) => args.run(io).await,
            Self::Show(args) => args.run(io).await,
            Self::Wait(args) => args.run(io).await,
            Self::Cancel(args) => args.run(io).await,
            Self::Results(args) => args.run(io).await,
            Self::Pictures(args) => args.run(io).await,
        }
    }
}
