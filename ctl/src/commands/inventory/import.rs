//! `tvtctl inventory import`.

use std::path::PathBuf;

use tvt_coordinator::inventory::file::ReadOptions;
use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::id::{SiteId, TenantId};

use crate::config::ServerArgs;
use crate::exit::Outcome;
use crate::import::{self, Place};
use crate::inventory;
use crate::io::Io;
use crate::output::{self, Format};
use crate::server::Server;

/// Arguments of `tvtctl inventory import`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --tenant, the \"site\" of each entry is looked for among the short names and the names of the
tenant's sites. Devices that are known are updated; none is removed.

Examples:
  tvtctl inventory import devices.json --tenant acme --create-sites
  tvtctl inventory import depot.json --site acme/depot-1 --label recorder")]
#[command(group(clap::ArgGroup::new("place").required(true).args(["tenant", "site"])))]
pub(crate) struct Args {
    /// Inventory files in pytvt's format
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Tenant of the devices; each entry names its site
    #[arg(long, value_name = "TENANT")]
    tenant: Option<TenantId>,
    /// Site of all devices, whatever the entries say
    #[arg(long, value_name = "TENANT/SITE")]
    site: Option<SiteId>,
    /// Add sites that do not exist
    #[arg(long)]
    create_sites: bool,
    /// Label to put on every device; may be repeated
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// Keep entries that name another maker than TVT
    #[arg(long)]
    all_makers: bool,
    /// How to write what was done: table, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let options = ReadOptions {
            include_all: self.all_makers,
            ..ReadOptions::default()
        };
        let read = inventory::read(&self.files, &options, io)?;
        let place = match (self.site, self.tenant) {
            (Some(site), _) => Place::Site(site),
            (None, Some(tenant)) => Place::Tenant(tenant),
            (None, None) => {
                return Err(crate::error::CliError::usage("no tenant and no site").into());
            }
        };
        let server = Server::connect(&self.server, io).await?;
        let imported = import::import(
            &server,
            read.entries,
            place,
            self.create_sites,
            &self.label,
            io,
        )
        .await;
        let (_, summary) = imported?;
        let complete = summary.refused == 0 && read.unusable == 0;
        if summary.refused > 0 && !self.create_sites {
            io.note("hint: --create-sites adds sites that do not exist");
        }
        output::list(io, self.format, &[summary])?;
        Ok(if complete {
            ExitStatus::Success
        } else {
            ExitStatus::SomeFailed
        })
    }
}
