//! `tvtctl sites show`.

use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::api::ListSites;
use tvtfleet_proto::model::id::SiteId;

use crate::config::ServerArgs;
use crate::error::CliError;
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
        let request = ListSites {
            tenants: Vec::new(),
            site: Some(self.site.clone()),
        };
        let sites = server.list_sites(request).await?;
        if sites.is_empty() {
            let message = format!("no site {}", self.site);
            return Err(CliError::new(ErrorCode::SiteUnknown, message)
                .hint("tvtctl sites list shows every site")
                .into());
        }
        let rows: Vec<SiteRow> = sites.iter().map(SiteRow::from).collect();
        output::list(io, self.format, &rows)?;
        Ok(ExitStatus::Success)
    }
}
