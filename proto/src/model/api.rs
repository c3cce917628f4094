//! What operators ask the coordinator, and what it answers.

use std::time::Duration;

use uuid::Uuid;

use crate::error::ErrorCode;

use super::agent::Progress;
use super::channel::Channel;
use super::discovery::{Searched, Sighting, Standing};
use super::id::{ImportId, JobId, SiteId, TargetNo, TenantId};
use super::inventory::InventoryEntry;
use super::job::{JobSpec, JobView};
use super::report::{DeviceFacts, DeviceReport};
use super::signed::SignedStatement;
use super::time::UtcMillis;
use super::want::SiteWork;

/// The most entries of one import request.
pub const IMPORT_CHUNK: usize = 1000;
/// The most rows of one page.
pub const PAGE_MAX: u32 = 1000;
/// A page is cut once it holds this many bytes before compression.
pub const PAGE_BYTES: usize = 512 * 1024;
/// The longest that a request may ask to be held until something changes.
pub const WATCH_MAX: Duration = Duration::from_secs(20);

/// Why the coordinator refuses a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The stable code.
    pub code: ErrorCode,
    /// A sentence for people.
    pub message: String,
    /// What to try next; may be empty.
    pub hint: String,
}

/// Submits a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmitJob {
    /// The same key submits the same job once, however often it is sent.
    pub idempotency_key: Uuid,
    /// The job.
    pub spec: JobSpec,
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// The job as it stands right after; its sites say which are offline.
    pub job: JobView,
}

/// Lists jobs, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListJobs {
    /// Only jobs submitted before this one.
    pub before: Option<JobId>,
    /// The most rows; 0 is [`PAGE_MAX`].
    pub limit: u32,
}

/// Shows one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShowJob {
    /// The job, or the newest one.
    pub job: Option<JobId>,
    /// Answer only once the job's version is greater than this, or [`Self::wait`] has passed.
    pub after_version: u64,
    /// How long to hold the request, up to [`WATCH_MAX`].
    pub wait: Duration,
    /// Where the last page of its sites ended; empty for the first.
    pub cursor: String,
}

/// A job and what its sites are doing right now: one page of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobStatus {
    /// The job with sites, [`PAGE_MAX`] at most.
    pub job: JobView,
    /// These sites' own hints of progress.
    pub progress: Vec<(SiteId, Progress)>,
    /// Where the next sites begin; `None` after the last.
    pub next: Option<String>,
}

/// Stops a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelJob {
    /// The job.
    pub job: JobId,
}

/// Reads a job's results: site by site, in the order of the inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadResults {
    /// The job.
    pub job: JobId,
    /// Where the last page ended; empty for the first.
    pub cursor: String,
    /// The most rows; 0 is [`PAGE_MAX`]. A page may hold fewer and have a next one all the same.
    pub limit: u32,
    /// Only this site; `None` is every site.
    pub site: Option<SiteId>,
    /// Only what comes behind this target of the site.
    pub after: Option<TargetNo>,
}

/// Reads how the discoveries of a job went, site by site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadSearches {
    /// The job.
    pub job: JobId,
    /// Where the last page ended; empty for the first.
    pub cursor: String,
    /// The most rows; 0 is [`PAGE_MAX`].
    pub limit: u32,
}

/// How the discovery of a site went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteSearched {
    /// The site.
    pub site: SiteId,
    /// How it went.
    pub searched: Searched,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<String>,
}

/// One device of a job's results: always one row per target, whatever happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultRow {
    /// The site; `None` in a local scan.
    pub site: Option<SiteId>,
    /// The text of the `site` column: the inventory's own label, else the site's name.
    pub site_label: String,
    /// The device as the inventory knew it.
    pub entry: InventoryEntry,
    /// The port that was used.
    pub port: u16,
    /// The lasting name of the device.
    pub device_id: String,
    /// The report, or why there is none.
    pub outcome: RowOutcome,
}

/// The report of a device, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowOutcome {
    /// The device was reported.
    Reported(Box<DeviceReport>),
    /// It was not.
    Missing {
        /// The job it was wanted for.
        job: JobId,
        /// Why: the site is offline, the deadline passed, the job was cancelled.
        code: ErrorCode,
    },
}

impl ResultRow {
    /// Whether the device was asked with success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(&self.outcome, RowOutcome::Reported(report) if report.is_success())
    }

    /// The report, where there is one.
    #[must_use]
    pub fn report(&self) -> Option<&DeviceReport> {
        match &self.outcome {
            RowOutcome::Reported(report) => Some(report),
            RowOutcome::Missing { .. } => None,
        }
    }
}

/// Lists devices, by site and then in inventory order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListDevices {
    /// Only these tenants; empty is any.
    pub tenants: Vec<TenantId>,
    /// Only these sites; empty is any.
    pub sites: Vec<SiteId>,
    /// Only devices whose site or who themselves carry one of these labels; empty is any.
    pub labels: Vec<String>,
    /// Only devices in whose names, address, MAC, serial or model this text stands; empty is any.
    pub text: String,
    /// Whether to send the channels too.
    pub with_channels: bool,
    /// Where the last page ended; empty for the first.
    pub cursor: String,
    /// The most rows; 0 is [`PAGE_MAX`].
    pub limit: u32,
    /// As it was known at this moment; `None` is now.
    pub at: Option<UtcMillis>,
    /// Only devices that stand like one of these; empty is any. Not with a moment.
    pub standings: Vec<Standing>,
}

/// Shows one device with its channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShowDevice {
    /// Its lasting name, MAC, serial number, host name, or address where only one device has it.
    pub name: String,
    /// As it was known at this moment; `None` is now.
    pub at: Option<UtcMillis>,
}

/// A device as last known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceView {
    /// The lasting name.
    pub device_id: String,
    /// The site.
    pub site: SiteId,
    /// The operator's name of the site; may be empty.
    pub site_display_name: String,
    /// What the inventory says.
    pub entry: InventoryEntry,
    /// The labels put on it.
    pub labels: Vec<String>,
    /// What it last said of itself.
    pub facts: DeviceFacts,
    /// How many channels it last had; `None` before the first good report.
    pub channel_count: Option<u32>,
    /// The channels, where they were asked for.
    pub channels: Vec<Channel>,
    /// When it entered the inventory.
    pub first_known: UtcMillis,
    /// The last report.
    pub last_report: Option<UtcMillis>,
    /// The last report without a failure.
    pub last_success: Option<UtcMillis>,
    /// The failure of the last report; `None` where it was good or there is none.
    pub last_failure: Option<ErrorCode>,
    /// What the operators wrote about it; may be empty.
    pub note: String,
    /// What discoveries made of it.
    pub sighting: Sighting,
}

/// Brings devices into the inventory. Devices that are known are updated, none is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportDevices {
    /// The import that these entries belong to; several requests may share one.
    pub import: ImportId,
    /// The devices, at most [`IMPORT_CHUNK`].
    pub entries: Vec<(SiteId, InventoryEntry)>,
    /// Labels to put on every one of them.
    pub labels: Vec<String>,
    /// Whether sites that are not known are added.
    pub create_sites: bool,
}

/// What one import request did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Devices that were not known.
    pub added: u32,
    /// Devices that were known and have changed.
    pub updated: u32,
    /// Devices that were known just so.
    pub unchanged: u32,
    /// Sites that were added.
    pub sites_added: Vec<SiteId>,
    /// Entries refused: their position in the request, why, and a sentence.
    pub refused: Vec<(u32, ErrorCode, String)>,
}

/// Lists sites by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListSites {
    /// Only these tenants; empty is any.
    pub tenants: Vec<TenantId>,
    /// Only this site.
    pub site: Option<SiteId>,
    /// Where the last page ended; empty for the first.
    pub cursor: String,
    /// The most rows; 0 is [`PAGE_MAX`]. A page may hold fewer and have a next one all the same.
    pub limit: u32,
}

/// Lists the agents that were ever heard, by site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListAgents {
    /// Where the last page ended; empty for the first.
    pub cursor: String,
    /// The most rows; 0 is [`PAGE_MAX`]. A page may hold fewer and have a next one all the same.
    pub limit: u32,
}

/// Adds a site, or changes its name and labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddSite {
    /// The site.
    pub site: SiteId,
    /// The operator's name of it; may be empty.
    pub display_name: String,
    /// Its labels.
    pub labels: Vec<String>,
}

/// A site as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteView {
    /// The site.
    pub site: SiteId,
    /// The operator's name of it; may be empty.
    pub display_name: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Whether its agent is connected now.
    pub online: bool,
    /// When its agent was last heard; `None` is never.
    pub last_seen: Option<UtcMillis>,
    /// Devices in its inventory.
    pub devices: u32,
    /// Of these, devices whose last report was a failure.
    pub failing: u32,
    /// Jobs that it still has to do.
    pub open_jobs: u32,
}

/// What the coordinator says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinatorInfo {
    /// Its version.
    pub version: String,
    /// When it started.
    pub started_at: UtcMillis,
    /// The position in the results stream up to which everything has been applied.
    pub applied: u64,
    /// Messages that were set aside because they could not be read or did not belong.
    pub quarantined: u64,
}
/// Brings orders for a job that changes devices, and asks for which sites there is none yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignJob {
    /// The job.
    pub job: JobId,
    /// One order a site.
    pub orders: Vec<(SiteId, SignedStatement)>,
}

/// What an operator still has to sign of a job: a portion of it; empty where nothing is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsignedWork {
    /// The job.
    pub job: JobId,
    /// When it ends at the latest.
    pub not_after: UtcMillis,
    /// The sites, each with its work.
    pub sites: Vec<(SiteId, SiteWork)>,
}
