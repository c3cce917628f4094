//! Jobs: what an operator asked, for many sites.

use std::fmt;
use std::time::Duration;

use super::ask::{Ask, AskScope};
use super::backend::BackendChoice;
use super::discovery::DiscoverOptions;
use super::id::{CredentialLabel, ImportId, JobId, SiteId, TenantId};
use super::order::Order;
use super::time::UtcMillis;

/// The deadline of a job where its submitter names none: one hour.
pub const DEFAULT_JOB_DEADLINE: Duration = Duration::from_secs(3600);
/// The deadline of one device where the submitter names none: as pytvt's session, but in all.
pub const DEFAULT_DEVICE_DEADLINE: Duration = Duration::from_secs(30);
/// The time for one device that is to start again, where nothing is said.
pub const REBOOT_DEADLINE: Duration = Duration::from_secs(300);
/// The time for all pictures of one device, where nothing is said.
pub const SNAPSHOT_DEADLINE: Duration = Duration::from_secs(600);
/// How many devices a site works on at a time where nobody says otherwise.
pub const DEFAULT_PARALLEL: u32 = 16;
/// The most devices a site may work on at a time.
pub const MAX_PARALLEL: u32 = 1024;

/// Which devices a job is for. Evaluated once, at submission, by the coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Every device of every site.
    All,
    /// Every device of these tenants, sites and labels; a device must match one of each kind named.
    Match {
        /// Tenants; empty is any.
        tenants: Vec<TenantId>,
        /// Sites; empty is any.
        sites: Vec<SiteId>,
        /// Labels of sites or devices; empty is any.
        labels: Vec<String>,
    },
    /// The devices that one import named.
    Import(ImportId),
    /// The devices that failed in, or are missing from, an earlier job.
    FailedOf(JobId),
}

/// How the work is to be done at each site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkOptions {
    /// What to ask of each device.
    pub ask: Ask,
    /// Which backends may be used.
    pub backend: BackendChoice,
    /// Which credential of the site's vault to use; `None` is the site's default.
    pub credential: Option<CredentialLabel>,
    /// How many devices at a time per site, 1 to [`MAX_PARALLEL`].
    pub parallel: u32,
    /// The time allowed for one device.
    pub device_deadline: Duration,
    /// What the question is about.
    pub scope: AskScope,
    /// What each site looks for before anything is asked of devices; those it finds join the job
    /// behind its targets. `None` is nothing; [`Ask::Discover`] needs it.
    pub discover: Option<Box<DiscoverOptions>>,
    /// What a changing ask sets; `None` with all others.
    pub order: Option<Box<Order>>,
}

impl Default for WorkOptions {
    fn default() -> Self {
        Self {
            ask: Ask::Scan,
            backend: BackendChoice::Auto,
            credential: None,
            parallel: DEFAULT_PARALLEL,
            device_deadline: DEFAULT_DEVICE_DEADLINE,
            scope: AskScope::default(),
            discover: None,
            order: None,
        }
    }
}

/// What an operator submits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSpec {
    /// Which devices.
    pub selector: Selector,
    /// How.
    pub work: WorkOptions,
    /// The time allowed from submission to the last report.
    pub deadline: Duration,
    /// The submitter's words for it; may be empty.
    pub note: String,
}

/// Where a job stands.
///
/// `Open → Finished | Cancelled | Expired`; the last three do not change any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobState {
    /// Sites are working or awaited.
    Open,
    /// Every target has been reported.
    Finished,
    /// Somebody stopped it, or the brake did; what came before counts.
    Cancelled,
    /// The deadline passed with targets missing.
    Expired,
}

impl JobState {
    /// Every state.
    pub const ALL: &'static [Self] = &[Self::Open, Self::Finished, Self::Cancelled, Self::Expired];

    /// The name used in files and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Open)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where one site of a job stands.
///
/// `Waiting → Accepted → Done`, and from either of the first two to `Refused`, `Cancelled` or
/// `Expired`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SiteJobState {
    /// The site has not said anything about it yet.
    Waiting,
    /// The site has it in its journal.
    Accepted,
    /// Every report that the site announced has been applied.
    Done,
    /// The site will not do it.
    Refused,
    /// The site stopped it, or never got it before it was cancelled.
    Cancelled,
    /// The deadline passed first.
    Expired,
}

impl SiteJobState {
    /// Every state.
    pub const ALL: &'static [Self] = &[
        Self::Waiting,
        Self::Accepted,
        Self::Done,
        Self::Refused,
        Self::Cancelled,
        Self::Expired,
    ];

    /// The name used in files and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Accepted => "accepted",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Waiting | Self::Accepted)
    }
}

impl fmt::Display for SiteJobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Counts of a job's devices. `ok + failed <= total`; the rest has not been reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceCounts {
    /// Devices that the job is for.
    pub total: u32,
    /// Reported with success.
    pub ok: u32,
    /// Reported with a failure.
    pub failed: u32,
    /// Channels in the reports that came with success.
    pub channels: u64,
}

impl DeviceCounts {
    /// Devices not reported yet.
    #[must_use]
    pub const fn missing(self) -> u32 {
        self.total
            .saturating_sub(self.ok.saturating_add(self.failed))
    }
}

/// A job with its progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobView {
    /// The job.
    pub id: JobId,
    /// What was asked.
    pub spec: JobSpec,
    /// Who asked.
    pub submitted_by: String,
    /// When.
    pub submitted_at: UtcMillis,
    /// When it ends at the latest.
    pub deadline_at: UtcMillis,
    /// When it ended.
    pub ended_at: Option<UtcMillis>,
    /// Where it stands.
    pub state: JobState,
    /// The devices of all sites.
    pub devices: DeviceCounts,
    /// How many sites it is for.
    pub sites_total: u32,
    /// How many sites have ended.
    pub sites_ended: u32,
    /// Why work of it was stopped by itself: `job.braked`.
    pub reason: Option<crate::error::ErrorCode>,
    /// Grows whenever anything above or in [`Self::sites`] changes.
    pub version: u64,
    /// The sites, by name: none in lists, and elsewhere a page of them, of which
    /// [`super::api::JobStatus`] tells whether there are more.
    pub sites: Vec<SiteJobView>,
}

/// One site of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteJobView {
    /// The site.
    pub site: SiteId,
    /// The operator's name of the site; may be empty.
    pub display_name: String,
    /// Where it stands.
    pub state: SiteJobState,
    /// Whether the site's agent is connected now.
    pub online: bool,
    /// When the agent was last heard; `None` is never.
    pub last_seen: Option<UtcMillis>,
    /// Its devices.
    pub devices: DeviceCounts,
    /// Why it was refused or ended early.
    pub reason: Option<crate::error::ErrorCode>,
}
