//! `tvtctl local diff`: the command that pytvt users know as `pytvt-diff OLD NEW`.

use std::path::PathBuf;

use crate::compare::{CompareArgs, Side};
use crate::exit::Outcome;
use crate::io::Io;

/// Arguments of `tvtctl local diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tvtctl local diff monday.json tuesday.json
  tvtctl local diff monday.json tuesday.json --summary -o changes.xlsx
  tvtctl local diff monday.json tuesday.json --json --compat pytvt")]
pub(crate) struct Args {
    /// The old result file
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The new result file
    #[arg(value_name = "NEW")]
    new: PathBuf,
    #[command(flatten)]
    how: CompareArgs,
}

impl Args {
    pub(super) fn run(self, io: &mut Io) -> Outcome {
        self.how.check(io)?;
        let (old, new) = (Side::file(&self.old, io)?, Side::file(&self.new, io)?);
        self.how.compare(&old, &new, io)
    }
}
