//! Scanning in this process: the agent's work, gathered into rows.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tvt_agent::credentials::FixedCredential;
use tvt_agent::discover::{self, DiscoverContext};
use tvt_agent::policy::Policy;
use tvt_agent::work::{SiteContext, WorkEvent, run_work};
use tvt_agent::{ProtocolSettings, RetrySettings};
use tvt_coordinator::render::console;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::Host;
use tvtfleet_proto::model::api::{ResultRow, RowOutcome};
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::BackendChoice;
use tvtfleet_proto::model::discovery::{DiscoverOptions, DiscoverReport};
use tvtfleet_proto::model::id::{JobId, TargetNo};
use tvtfleet_proto::model::identity::DeviceId;
use tvtfleet_proto::model::inventory::InventoryEntry;
use tvtfleet_proto::model::job::WorkOptions;
use tvtfleet_proto::model::report::DeviceReport;
use tvtfleet_proto::model::want::{SiteWork, Target};

use crate::config::{LocalSettings, vendor_of_environment};
use crate::discovery::Live;
use crate::error::CliError;
use crate::io::Io;
use crate::progress::Progress;

/// Events that wait to be shown; the work waits when there are more.
const EVENTS_MAX: usize = 256;
/// Events of a discovery that wait to be shown; more are left out.
const DISCOVER_EVENTS_MAX: usize = 1024;
/// How long devices that are being asked may take once the user wants to stop.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// How a scan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Every device has had its turn.
    Complete,
    /// The user stopped it.
    Interrupted,
}

/// The devices of a scan.
pub(super) struct Devices<'a> {
    /// What is known of each.
    pub(super) entries: &'a [InventoryEntry],
    /// Those that merely answered a discovery, and get no credential.
    pub(super) unverified: &'a BTreeSet<Host>,
}

/// Scans the devices; the rows are in the order of the entries, one for each.
pub(super) async fn scan(
    job: JobId,
    devices: &Devices<'_>,
    backend: BackendChoice,
    settings: &LocalSettings,
    progress: &Progress,
    io: &Io,
) -> (Vec<ResultRow>, End) {
    let site = Arc::new(site(settings, io));
    scan_at(site, job, devices, backend, settings, progress, io).await
}

/// As [`scan`], with a site whose memory of refused logins goes on.
pub(super) async fn scan_at(
    site: Arc<SiteContext>,
    job: JobId,
    devices: &Devices<'_>,
    backend: BackendChoice,
    settings: &LocalSettings,
    progress: &Progress,
    io: &Io,
) -> (Vec<ResultRow>, End) {
    let entries = devices.entries;
    let mut rows: Vec<ResultRow> = entries
        .iter()
        .map(|entry| unfinished(job, entry, settings))
        .collect();
    let cancel = io.interrupt.child_token();
    let (sender, mut events) = mpsc::channel(EVENTS_MAX);
    let work = run_work(job, work(devices, backend, settings), site, cancel, sender);
    let collect = async {
        let (mut done, mut failed) = (0_usize, 0_u64);
        while let Some(event) = events.recv().await {
            let WorkEvent::Finished(report) = event else {
                continue;
            };
            let Some(row) = row_of(&mut rows, report.target) else {
                continue;
            };
            fill(row, report);
            done = done.saturating_add(1);
            failed = failed.saturating_add(u64::from(!row.is_success()));
            progress.step(&console::progress_line(done, entries.len(), &*row));
            progress.advance(u64::try_from(done).unwrap_or(u64::MAX), failed);
        }
    };
    let stopped = async {
        io.interrupt.cancelled().await;
        tokio::time::sleep(STOP_WITHIN).await;
    };
    tokio::select! {
        biased;
        _ = async { tokio::join!(work, collect) } => {}
        () = stopped => {}
    }
    let end = if io.interrupt.is_cancelled() {
        End::Interrupted
    } else {
        End::Complete
    };
    (rows, end)
}

/// What this computer knows and may do.
pub(super) fn site(settings: &LocalSettings, io: &Io) -> SiteContext {
    let protocol = ProtocolSettings {
        allow_empty_password: settings.allow_empty_password,
        ..ProtocolSettings::default()
    };
    let credentials = Box::new(FixedCredential(settings.credential.clone()));
    let retry = RetrySettings {
        retries: settings.retries,
        ..RetrySettings::default()
    };
    let clock = Arc::clone(&io.clock);
    let site = SiteContext::new(credentials, Policy::default(), protocol, clock);
    site.with_retry(retry).with_vendor(settings.vendor.clone())
}

fn work(devices: &Devices<'_>, backend: BackendChoice, settings: &LocalSettings) -> SiteWork {
    let target = |(number, entry): (u32, &InventoryEntry)| Target {
        number: TargetNo(number),
        endpoint: entry.endpoint(settings.port.value),
        known_mac: entry.mac(),
        trusted: !devices.unverified.contains(&entry.host),
        credential: entry.credential.clone(),
        settings: Default::default(),
    };
    SiteWork {
        options: WorkOptions {
            ask: Ask::Scan,
            backend,
            credential: None,
            parallel: settings.concurrency.value,
            device_deadline: settings.timeout.value,
            scope: Default::default(),
            discover: None,
            order: None,
        },
        targets: (0..).zip(devices.entries).map(target).collect(),
    }
}

/// The row of a device before its turn, and for ever where that never comes.
fn unfinished(job: JobId, entry: &InventoryEntry, settings: &LocalSettings) -> ResultRow {
    let endpoint = entry.endpoint(settings.port.value);
    ResultRow {
        site: None,
        site_label: entry.site_label.clone(),
        port: endpoint.port,
        device_id: DeviceId::strongest("", entry.mac(), None, &endpoint).to_string(),
        entry: entry.clone(),
        outcome: RowOutcome::Missing {
            job,
            code: ErrorCode::DeviceCancelled,
        },
    }
}

fn row_of(rows: &mut [ResultRow], target: TargetNo) -> Option<&mut ResultRow> {
    rows.get_mut(usize::try_from(target.0).ok()?)
}

fn fill(row: &mut ResultRow, report: Box<DeviceReport>) {
    let mac = report.facts.mac.or_else(|| row.entry.mac());
    let endpoint = row.entry.endpoint(row.port);
    row.device_id = DeviceId::strongest(&report.facts.serial, mac, None, &endpoint).to_string();
    row.outcome = RowOutcome::Reported(report);
}

/// Discovers devices from this computer, and shows them as they appear.
///
/// # Errors
///
/// Those of the discovery.
pub(super) async fn discover(
    options: DiscoverOptions,
    quiet: bool,
    io: &Io,
) -> Result<DiscoverReport, CliError> {
    let context = DiscoverContext {
        policy: Policy {
            // The person at this computer is the one who decides.
            rate_max: u32::MAX,
            ..Policy::default()
        },
        clock: Arc::clone(&io.clock),
        vendor: vendor_of_environment(io)?,
    };
    let (sender, mut events) = mpsc::channel(DISCOVER_EVENTS_MAX);
    let cancel = io.interrupt.child_token();
    let work = discover::run(options, context, sender, cancel);
    let mut live = Live::new(io, quiet);
    let show = async {
        while let Some(event) = events.recv().await {
            live.show(event);
        }
        live.clear();
    };
    let (report, ()) = tokio::join!(work, show);
    report.map_err(|error| CliError::new(error.code, error.text).hint(error.hint))
}
