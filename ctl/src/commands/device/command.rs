//! The subcommands of `tvtctl device`.

use clap::Subcommand;

use crate::exit::Outcome;
use crate::io::Io;

use super::probe;

/// Ask single devices, from this computer and without a server
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read what devices say before anybody logs in
    Probe(probe::Args),
}

impl Command {
    /// Runs the subcommand.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        match self {
            Self::Probe(args) => args.run(io).await,
        }
    }
}
