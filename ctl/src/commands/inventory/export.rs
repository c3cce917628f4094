//! `tvtctl inventory export`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tvt_coordinator::inventory::file;
use tvt_coordinator::render::xlsx::{self, FleetReport};
use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::api::{DeviceView, ListDevices};
use tvtfleet_proto::model::change::ListChanges;
use tvtfleet_proto::model::inventory::InventoryEntry;

use crate::config::ServerArgs;
use crate::error::{CliError, Stop};
use crate::exit::Outcome;
use crate::files;
use crate::io::Io;
use crate::moment::Moment;
use crate::report;
use crate::server::Server;
use crate::state;

use super::filter::FilterArgs;

/// How far back changes are listed where nothing else is said.
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// Arguments of `tvtctl inventory export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file has pytvt's format: tvtctl local scan, tvtctl inventory import and pytvt read it. A name
that ends in .xlsx gets a workbook instead, with charts, everything that is known of the devices, and
what changed since --since.

Examples:
  tvtctl inventory export --site acme/depot-1 -o depot-1.json
  tvtctl inventory export --tenant acme --since 2026-11-01 -o acme.xlsx")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,
    /// File to write instead of stdout
    #[arg(short, long, value_name = "FILE", help_heading = "Options")]
    output: Option<PathBuf>,
    /// In a workbook, list the changes since this time [default: a week before]
    #[arg(
        long,
        value_name = "TIME",
        help_heading = "Options",
        requires = "output"
    )]
    since: Option<Moment>,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let output = self.output.as_deref().map(|path| (path, io.resolve(path)));
        if let Some((_, path)) = &output {
            files::check_writable(path)?;
        }
        if let Some((shown, path)) = &output
            && shown
                .extension()
                .is_some_and(|ending| ending.eq_ignore_ascii_case("xlsx"))
        {
            return self.write_workbook(path, io).await;
        }
        if self.since.is_some() {
            return Err(CliError::usage("--since is for a workbook")
                .hint("end the name of --output in .xlsx")
                .into());
        }
        let server = Server::connect(&self.server, io).await?;
        let devices = server.devices(self.filter.request(io)).await?;
        let entries: Vec<InventoryEntry> = devices.iter().map(entry).collect();
        match output {
            None => {
                let mut text = Vec::new();
                file::write(&entries, &mut text).map_err(|error| Stop::from_stdout(&error))?;
                text.push(b'\n');
                io.write_out(&text)?;
            }
            Some((shown, path)) => {
                files::write(&path, |out| file::write(&entries, out))?;
                io.note(&format!(
                    "{} devices written to {}",
                    entries.len(),
                    shown.display()
                ));
            }
        }
        Ok(ExitStatus::Success)
    }
}

impl Args {
    async fn write_workbook(&self, path: &Path, io: &Io) -> Outcome {
        let now = io.clock.now();
        let server = Server::connect(&self.server, io).await?;
        let request = ListDevices {
            with_channels: true,
            ..self.filter.clone().request(io)
        };
        let at = request.at.unwrap_or(now);
        let changes = ListChanges {
            tenants: request.tenants.clone(),
            sites: request.sites.clone(),
            since: Some(self.since.map_or(at.before(WEEK), |since| since.from(now))),
            until: request.at,
            ..ListChanges::default()
        };
        let narrowed = !request.labels.is_empty() || !request.text.is_empty();
        let devices = server.devices(request).await?;
        let mut changes = server.changes(changes).await?;
        if narrowed {
            let shown: BTreeSet<&str> = devices
                .iter()
                .map(|device| device.device_id.as_str())
                .collect();
            changes.retain(|change| shown.contains(change.device_id.as_str()));
        }
        let report = FleetReport {
            title: "Fleet inventory",
            at,
            changes: Some(&changes),
        };
        let written = xlsx::write_fleet_workbook(&state::rows(devices), &report, path);
        let count = written.devices;
        let told = report::workbook_outcome(written)
            .map(|path| format!("{count} devices written to {path}"));
        Ok(report::tell(told, io))
    }
}

/// The entry as it is known now: with the site's name where the entry has none, and the MAC that the
/// device reported where nobody wrote one down.
fn entry(device: &DeviceView) -> InventoryEntry {
    let mut entry = device.entry.clone();
    if entry.site_label.is_empty() {
        entry.site_label = if device.site_display_name.is_empty() {
            device.site.site.to_string()
        } else {
            device.site_display_name.clone()
        };
    }
    if let (true, Some(mac)) = (entry.mac_text.is_empty(), device.facts.mac) {
        entry.mac_text = mac.to_string();
    }
    entry
}
