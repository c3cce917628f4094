//! `tvtctl sites add`.

use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::api::AddSite;
use tvtfleet_proto::model::id::SiteId;

use crate::config::ServerArgs;
use crate::exit::Outcome;
use crate::io::Io;
use crate::output::{self, Format};
use crate::server::Server;

use super::view::SiteRow;

/// Arguments of `tvtctl sites add`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  tvtctl sites add acme/depot-1 --name \"Depot 1\" --label north"
)]
pub(crate) struct Args {
    /// The site: lower-case letters, digits and hyphens, up to 40 each
    #[arg(value_name = "TENANT/SITE")]
    site: SiteId,
    /// Name of the site for people
    #[arg(long, value_name = "TEXT", default_value = "")]
    name: String,
    /// Label of the site; may be repeated
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// How to write the site as it stands then: table, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let server = Server::connect(&self.server, io).await?;
        let request = AddSite {
            site: self.site,
            display_name: self.name,
            labels: self.label,
        };
        let site = server.add_site(request).await?;
        output::list(io, self.format, &[SiteRow::from(&site)])?;
        Ok(ExitStatus::Success)
    }
}
