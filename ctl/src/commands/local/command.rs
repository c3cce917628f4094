//! The subcommands of `tvtctl local`.

use clap::Subcommand;

use crate::exit::Outcome;
use crate::io::Io;

use super::{diff, discover, scan, snapshot};

/// Work on the network of this computer, without a server
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Scan the devices of inventory files and report their channels
    Scan(Box<scan::Args>),
    /// Take a picture of each camera
    Snapshot(Box<snapshot::Args>),
    /// Find the TVT devices of the network
    Discover(Box<discover::Args>),
    /// Compare two result files
    Diff(diff::Args),
}

impl Command {
    /// Runs the subcommand.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        match self {
            Self::Scan(args) => args.run(io).await,
            Self::Snapshot(args) => args.run(io).await,
            Self::Discover(args) => args.run(io).await,
            Self::Diff(args) => args.run(io),
        }
    }
}
