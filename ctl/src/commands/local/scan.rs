//! `tvtctl local scan`: the command that pytvt users know as `pytvt INVENTORY`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tvt_coordinator::inventory::file::ReadOptions;
use tvt_coordinator::render::console;
use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::address::Host;
use tvtfleet_proto::model::backend::BackendChoice;
use tvtfleet_proto::model::discovery::DiscoveredDevice;
use tvtfleet_proto::model::id::JobId;
use tvtfleet_proto::model::inventory::InventoryEntry;
use tvtfleet_proto::model::mac::MacAddr;

use crate::config::{LocalArgs, LocalSettings};
use crate::discovery::ScanSearchArgs;
use crate::error::CliError;
use crate::exit::{self, Outcome};
use crate::id;
use crate::inventory;
use crate::io::Io;
use crate::progress::Progress;
use crate::report::ReportArgs;

use super::run::{self, End};

/// Arguments of `tvtctl local scan`.
#[derive(Debug, clap::Args)]
#[command(
    infer_long_args = true,
    after_help = "\
Every value is taken from the first of: flag, environment variable, .env in the working directory,
configuration file, default.

With --subnet and neither an inventory nor --discover, devices are discovered and not scanned. -o
writes those: .json an inventory to scan, .csv a list, .xlsx a workbook.

Examples:
  tvtctl local scan devices.json --password-file secret -o results.json -o results.csv
  tvtctl local scan failed.json --failed failed.json --xlsx workbooks
  tvtctl local scan --discover --subnet 10.20.0.0/24 --password-file secret"
)]
pub(crate) struct Args {
    /// Inventory files in pytvt's format
    #[arg(value_name = "INVENTORY", required_unless_present_any = ["discover", "discover_only", "subnet"])]
    inventories: Vec<PathBuf>,
    /// Only devices whose site contains this text; upper and lower case are the same. Also the site
    /// of discovered devices
    #[arg(
        short,
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    site: String,
    /// Keep entries that name another maker than TVT
    #[arg(long)]
    all_makers: bool,
    /// How to talk to the devices: auto, protocol, webapi, cgi, netsdk, sdk, sdk-local or both
    #[arg(short, long, value_name = "BACKEND", default_value = "auto")]
    backend: BackendChoice,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    search: ScanSearchArgs,
    #[command(flatten)]
    devices: LocalArgs,
    #[command(flatten)]
    report: ReportArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let discover = self.search.options(self.inventories.is_empty())?;
        if let Some(options) = discover.clone().filter(|_| self.is_only()) {
            self.report.check_for_discovery()?;
            let plan = self.report.prepare(io)?;
            let report = run::discover(options, self.quiet, io).await?;
            return super::discover::show(&report, &self.site, &plan, self.quiet, io);
        }
        let settings = self.devices.settle(io)?;
        let plan = self.report.prepare(io)?;
        let options = ReadOptions {
            include_all: self.all_makers,
            default_port: settings.port.value,
        };
        let mut inventory = inventory::read(&self.inventories, &options, io)?;
        let found = match discover {
            Some(options) => {
                let report = run::discover(options, self.quiet, io).await?;
                super::discover::tell(&report, self.quiet, io);
                report.devices
            }
            None => Vec::new(),
        };
        let unverified = self.join(&found, &mut inventory.entries);
        let entries = in_order(inventory.entries, &self.site);
        if entries.is_empty() {
            return Err(nothing_to_scan(&self.site, inventory.other_makers).into());
        }
        let job = JobId::new(id::fresh(&*io.clock));
        let progress = self.progress(&entries, &settings, io);
        let (rows, end) = run::scan(
            job,
            &run::Devices {
                entries: &entries,
                unverified: &unverified,
            },
            self.backend,
            &settings,
            &progress,
            io,
        )
        .await;
        progress.finish();
        let written = plan.write(&rows, None, io)?;
        match end {
            End::Complete if inventory.unusable > 0 => {
                Ok(exit::first_failure([written, ExitStatus::SomeFailed]))
            }
            End::Complete => Ok(written),
            End::Interrupted => Err(CliError::new(
                ErrorCode::Interrupted,
                "interrupted; devices that were not done are reported as cancelled",
            )
            .into()),
        }
    }

    /// Whether nothing is to be scanned. As with pytvt, networks alone are for a discovery.
    const fn is_only(&self) -> bool {
        self.search.is_only() || !self.search.is_first() && self.inventories.is_empty()
    }

    /// Adds the devices that were found and are not in the inventory. Returns those among them whose
    /// maker is not known: they get no credential.
    fn join(
        &self,
        found: &[DiscoveredDevice],
        entries: &mut Vec<InventoryEntry>,
    ) -> BTreeSet<Host> {
        let mut unverified = BTreeSet::new();
        for device in found {
            let host = Host::Ip(device.address.into());
            let mac = device.claims.mac;
            let listed = |entry: &InventoryEntry| {
                entry.host == host || (mac.is_some() && entry.mac() == mac)
            };
            if entries.iter().any(listed) {
                continue;
            }
            if !mac.is_some_and(MacAddr::is_tvt) {
                unverified.insert(host.clone());
            }
            entries.push(InventoryEntry {
                port: device.scan_port(),
                site_label: if self.site.is_empty() {
                    super::discover::DISCOVERED.to_owned()
                } else {
                    self.site.clone()
                },
                hostname: device.claims.name.clone(),
                mac_text: mac.map(|mac| mac.to_string()).unwrap_or_default(),
                manufacturer: "TVT".to_owned(),
                ..InventoryEntry::bare(host)
            });
        }
        unverified
    }

    fn progress(&self, entries: &[InventoryEntry], settings: &LocalSettings, io: &Io) -> Progress {
        let header = console::header(&console::Header {
            devices: entries.len(),
            backend: self.backend.to_string(),
            user: settings.credential.username.clone(),
            concurrency: usize::try_from(settings.concurrency.value).unwrap_or(usize::MAX),
        });
        let total = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let progress = Progress::new(io, self.quiet, total);
        progress.say(header.trim_end());
        progress
    }
}

/// The entries whose site contains `filter`, site by site and within a site in inventory order.
fn in_order(entries: Vec<InventoryEntry>, filter: &str) -> Vec<InventoryEntry> {
    let filter = filter.to_lowercase();
    let mut kept: Vec<_> = entries
        .into_iter()
        .filter(|entry| entry.site_label.to_lowercase().contains(&filter))
        .collect();
    kept.sort_by(|a, b| a.site_label.cmp(&b.site_label));
    kept
}

fn nothing_to_scan(site: &str, other_makers: usize) -> CliError {
    let message = if site.is_empty() {
        "the inventory names no TVT device".to_owned()
    } else {
        format!("the inventory names no TVT device whose site contains {site:?}")
    };
    let hint = match other_makers {
        0 => "",
        _ => "--all-makers keeps entries that name another maker",
    };
    CliError::new(ErrorCode::JobNoTargets, message).hint(hint)
}
