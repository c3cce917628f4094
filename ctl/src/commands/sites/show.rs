//! `tvtctl sites show`.

use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::id::SiteId;

use crate::config::ServerArgs;
use crate::exit::Outcome;
use crate::io::Io;
use crate::output::{self, Format};
use crate::server::Server;

use super::view::SiteRow;

/// Arguments of `tvtctl sites show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tvtctl sites show acme/depot-1")]
pub(crate) struct Args {
    /// The site
    #[arg(value_name = "TENANT/SITE")]
    site: SiteId,
    /// How to write it: table, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let server = Server::connect(&self.server, io).await?;
        let site = server.site(&self.site).await?;
        output::list(io, self.format, &[SiteRow::from(&site)])?;
        Ok(ExitStatus::Success)
    }
}
