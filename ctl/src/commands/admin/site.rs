//! `tvtctl admin site`.

use std::time::Duration;

use clap::Subcommand;
use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::id::SiteId;

use crate::config::value;
use crate::exit::Outcome;
use crate::io::Io;

use super::place::FolderArgs;

/// Let the agent of a site join
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the string with which the agent of a site joins, once
    Add(AddArgs),
}

/// Arguments of `tvtctl admin site add`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Whoever has the string can enrol the site, once: hand it over like a password. On the box:
  tvt-agent join --config /etc/tvtfleet/agent.toml
reads it from standard input, or as its argument.

Examples:
  tvtctl admin site add acme/depot-1 --dir fleet
  tvtctl admin site add acme/depot-1 --dir fleet --good-for 2h")]
pub(crate) struct AddArgs {
    /// The site: lower-case letters, digits and hyphens, up to 40 each
    #[arg(value_name = "TENANT/SITE")]
    site: SiteId,
    /// How long the string may be used
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = value::duration)]
    good_for: Duration,
    #[command(flatten)]
    folder: FolderArgs,
}

impl Command {
    pub(super) fn run(self, io: &mut Io) -> Outcome {
        match self {
            Self::Add(args) => args.run(io),
        }
    }
}

impl AddArgs {
    fn run(self, io: &mut Io) -> Outcome {
        let realm = self.folder.open(io)?;
        let (text, expires_at) = realm.join_string(&self.site, self.good_for)?;
        io.note(&format!("good once, for {}, until {expires_at}", self.site));
        io.write_out(format!("{text}\n").as_bytes())?;
        Ok(ExitStatus::Success)
    }
}
