//! The subcommands of `tvtctl inventory`.

use clap::Subcommand;

use crate::exit::Outcome;
use crate::io::Io;

use super::{export, import, list, show};

/// List, import and export devices
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List devices by site
    List(list::Args),
    /// Show a device and its channels
    Show(show::Args),
    /// Bring devices of inventory files into the fleet
    Import(import::Args),
    /// Write devices as an inventory file
    Export(export::Args),
}

impl Command {
    /// Runs the subcommand.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        match self {
            Self::List(args) => args.run(io).await,
            Self::Show(args) => args.run(io).await,
            Self::Import(args) => args.run(io).await,
            Self::Export(args) => args.run(io).await,
        }
    }
}
