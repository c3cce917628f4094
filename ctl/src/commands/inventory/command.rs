//! The subcommands of `tvtctl inventory`.

use clap::Subcommand;

use crate::exit::Outcome;
use crate::io::Io;

use super::{edit, export, import, import_results, list, search, show};

/// List, edit, import and export devices
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List devices by site
    List(list::Args),
    /// Show a device and its channels
    Show(show::Args),
    /// Bring devices of inventory files into the fleet
    Import(import::Args),
    /// Bring results of earlier scans into the history
    ImportResults(import_results::Args),
    /// Write devices as an inventory file
    Export(export::Args),
    /// Find devices by a part of any of their names
    Search(search::Args),
    /// Put labels on devices and take them off
    Label(edit::LabelArgs),
    /// Write a note on a device
    Note(edit::NoteArgs),
    /// Vouch for devices that discoveries found
    Verify(edit::VerifyArgs),
    /// Take devices out of the inventory
    Forget(edit::ForgetArgs),
}

impl Command {
    /// Runs the subcommand.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        match self {
            Self::List(args) => args.run(io).await,
            Self::Show(args) => args.run(io).await,
            Self::Import(args) => args.run(io).await,
            Self::ImportResults(args) => args.run(io).await,
            Self::Export(args) => args.run(io).await,
            Self::Search(args) => args.run(io).await,
            Self::Label(args) => args.run(io).await,
            Self::Note(args) => args.run(io).await,
            Self::Verify(args) => args.run(io).await,
            Self::Forget(args) => args.run(io).await,
        }
    }
}
