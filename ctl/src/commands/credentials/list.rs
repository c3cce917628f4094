//! `tvtctl credentials list`.

use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::id::{CredentialLabel, SiteId, TenantId};
use tvtfleet_proto::model::push::ListCredentials;

use crate::config::ServerArgs;
use crate::exit::Outcome;
use crate::io::Io;
use crate::output::{self, Format};
use crate::server::Server;

use super::view::CredentialRow;

/// Arguments of `tvtctl credentials list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Of each site and label, the newest push and the newest that is in the vault. What somebody set at the
box itself is not known here. States: waiting, accepted, refused, expired.

Example:
  tvtctl credentials list --site acme/depot-1")]
pub(crate) struct Args {
    /// Only of this tenant; may be repeated
    #[arg(long, value_name = "TENANT")]
    tenant: Vec<TenantId>,
    /// Only of this site; may be repeated
    #[arg(long, value_name = "TENANT/SITE")]
    site: Vec<SiteId>,
    /// Only this label
    #[arg(long, value_name = "LABEL")]
    label: Option<CredentialLabel>,
    /// How to write the list: table, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let server = Server::connect(&self.server, io).await?;
        let request = ListCredentials {
            tenants: self.tenant,
            sites: self.site,
            label: self.label,
            ..ListCredentials::default()
        };
        let mut found = server.credentials(request).await?;
        found.sort_by(|a, b| (&a.site, &a.label, a.version).cmp(&(&b.site, &b.label, b.version)));
        let rows: Vec<CredentialRow> = found.iter().map(CredentialRow::from).collect();
        output::list(io, self.format, &rows)?;
        Ok(ExitStatus::Success)
    }
}
