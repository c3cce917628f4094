//! `tvtctl sites list`.

use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::api::ListSites;
use tvtfleet_proto::model::id::TenantId;

use crate::config::ServerArgs;
use crate::exit::Outcome;
use crate::io::Io;
use crate::output::{self, Format};
use crate::server::Server;

use super::view::SiteRow;

/// Arguments of `tvtctl sites list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tvtctl sites list --tenant acme")]
pub(crate) struct Args {
    /// Only sites of this tenant; may be repeated
    #[arg(long, value_name = "TENANT")]
    tenant: Vec<TenantId>,
    /// How to write the list: table, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let server = Server::connect(&self.server, io).await?;
        let sites = server
            .list_sites(ListSites {
                tenants: self.tenant,
                ..ListSites::default()
            })
            .await?;
        let rows: Vec<SiteRow> = sites.iter().map(SiteRow::from).collect();
        output::list(io, self.format, &rows)?;
        Ok(ExitStatus::Success)
    }
}
