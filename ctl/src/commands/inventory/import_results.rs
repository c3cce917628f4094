//! `tvtctl inventory import-results`.

use std::path::PathBuf;

use tvt_coordinator::results;
use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::api::AddSite;
use tvtfleet_proto::model::id::{ImportId, SiteId};
use tvtfleet_proto::model::query::{ImportResults, PastResult};

use crate::config::ServerArgs;
use crate::error::CliError;
use crate::exit::Outcome;
use crate::files;
use crate::id;
use crate::import::Summary;
use crate::io::Io;
use crate::moment::{self, Moment};
use crate::output::{self, Format};
use crate::server::Server;

/// The largest result file, in bytes.
const RESULT_MAX: u64 = 1024 * 1024 * 1024;
/// Devices of one request: their channels make them much larger than inventory entries.
const CHUNK: usize = 100;

/// Arguments of `tvtctl inventory import-results`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Result files of pytvt and of tvtctl become history that tvtctl diff and --at can use. What is known
from later scans stays as it is. Devices that are not known are added.

{}

Examples:
  tvtctl inventory import-results monday.json --site acme/depot-1 --at 2026-11-02
  tvtctl inventory import-results results.json --site acme/depot-1 --at \"2026-11-02 06:30\"",
  moment::HELP))]
pub(crate) struct Args {
    /// Result file, in pytvt's format or ours
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Site of all devices, whatever the file says
    #[arg(long, value_name = "TENANT/SITE")]
    site: SiteId,
    /// When the scan was; devices whose result says it itself keep that
    #[arg(long, value_name = "TIME")]
    at: Moment,
    /// Add the site where it does not exist
    #[arg(long)]
    create_site: bool,
    /// How to write what was done: table, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let name = self.file.display().to_string();
        let bytes = files::read(&io.resolve(&self.file), RESULT_MAX).map_err(|error| {
            error.about(
                ErrorCode::ConfigUnreadable,
                format!("cannot read the result file {name}"),
            )
        })?;
        let records = results::read(&bytes).map_err(|error| {
            CliError::new(error.code(), format!("{name} is no scan result")).because(&error)
        })?;
        let at = self.at.from(io.clock.now());
        let mut summary = Summary::default();
        let mut past: Vec<PastResult> = Vec::with_capacity(records.len());
        for record in &records {
            match record.to_past_result(at) {
                Some(result) => past.push(result),
                None => {
                    summary.refused = summary.refused.saturating_add(1);
                    io.warn(&format!("{:?} is no address", record.nvr_ip));
                }
            }
        }
        let server = Server::connect(&self.server, io).await?;
        let missing = match server.site(&self.site).await {
            Ok(_) => false,
            Err(error) if error.code == ErrorCode::SiteUnknown && self.create_site => true,
            Err(error) => return Err(error.into()),
        };
        if missing {
            server
                .add_site(AddSite {
                    site: self.site.clone(),
                    display_name: String::new(),
                    labels: Vec::new(),
                })
                .await?;
            summary.added_site(&self.site);
        }
        let import = ImportId::new(id::fresh(&*io.clock));
        summary.name(import);
        for chunk in past.chunks(CHUNK) {
            let imported = server
                .import_results(ImportResults {
                    import,
                    site: self.site.clone(),
                    results: chunk.to_vec(),
                })
                .await?;
            summary.count(&imported);
        }
        let complete = summary.refused == 0;
        output::list(io, self.format, &[summary])?;
        Ok(if complete {
            ExitStatus::Success
        } else {
            ExitStatus::SomeFailed
        })
    }
}
