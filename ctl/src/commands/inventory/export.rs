//! `tvtctl inventory export`.

use std::path::PathBuf;

use tvt_coordinator::inventory::file;
use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::api::DeviceView;
use tvtfleet_proto::model::inventory::InventoryEntry;

use crate::config::ServerArgs;
use crate::error::Stop;
use crate::exit::Outcome;
use crate::files;
use crate::io::Io;
use crate::server::Server;

use super::filter::FilterArgs;

/// Arguments of `tvtctl inventory export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file has pytvt's format: tvtctl local scan, tvtctl inventory import and pytvt read it.

Example:
  tvtctl inventory export --site acme/depot-1 -o depot-1.json")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,
    /// File to write instead of stdout
    #[arg(short, long, value_name = "FILE", help_heading = "Options")]
    output: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let output = self.output.as_deref().map(|path| (path, io.resolve(path)));
        if let Some((_, path)) = &output {
            files::check_writable(path)?;
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
