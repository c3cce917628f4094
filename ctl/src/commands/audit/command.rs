//! The subcommands of `tvtctl audit`.

use clap::Subcommand;

use crate::exit::Outcome;
use crate::io::Io;

use super::{export, list, verify};

/// Read and check who asked what, and what came of it
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List what was asked, oldest first
    List(list::Args),
    /// Check that no row was altered, taken out or moved
    Verify(verify::Args),
    /// Write rows into a file that can be checked by itself
    Export(export::Args),
}

impl Command {
    /// Runs the subcommand.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        match self {
            Self::List(args) => args.run(io).await,
            Self::Verify(args) => args.run(io).await,
            Self::Export(args) => args.run(io).await,
        }
    }
}
