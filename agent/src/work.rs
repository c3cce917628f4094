//! Doing one job's work at one site: what the agent does with a job, and what a local scan is.
//!
//! [`run_work`] asks the devices and tells about each in [`WorkEvent`]s, in the order of completion.
//! Every device that was begun is reported, whatever happens to it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tvtfleet_bus::clock::Clock;
use tvtfleet_proto::model::answer::DeviceChange;
use tvtfleet_proto::model::id::{CredentialLabel, JobId, TargetNo};
use tvtfleet_proto::model::job::MAX_PARALLEL;
use tvtfleet_proto::model::report::{DeviceReport, Failure};
use tvtfleet_proto::model::secret::Credential;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::{SiteWork, Target};

use crate::budget::AttemptBudget;
use crate::credentials::CredentialSource;
use crate::device::Intent;
use crate::device::turnstile::Turnstile;
use crate::device::web::KnownWeb;
use crate::device::{
    CertificatePins, Fuses, KnownPaths, ProtocolSettings, VendorSettings, WebSettings,
};
use crate::pictures::Shelf;
use crate::policy::Policy;
use crate::retry::RetrySettings;
use crate::run::Run;
use crate::snapshot::{SnapshotSettings, Studio};
use crate::vault::Wanted;

/// The most processes for the vendor's library and for scripts at a time.
pub(crate) const HELPERS_MAX: usize = 64;

/// What all jobs of a site share.
pub struct SiteContext {
    /// The credentials of its devices.
    pub credentials: Box<dyn CredentialSource>,
    /// What its owner allows.
    pub policy: Policy,
    /// How the binary protocol is spoken.
    pub protocol: ProtocolSettings,
    /// Where the vendor's library and bridges are.
    pub vendor: VendorSettings,
    /// When failed devices are tried again.
    pub retry: RetrySettings,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Which credentials have been refused where.
    pub budget: AttemptBudget,
    /// How the web interfaces are spoken to.
    pub web: WebSettings,
    /// The certificates of devices.
    pub pins: Arc<CertificatePins>,
    /// How pictures are taken for jobs.
    pub snapshots: SnapshotSettings,
    /// Where they wait; without it jobs get none.
    pub(crate) shelf: Option<Arc<Shelf>>,
    pub(crate) studio: Studio,
    pub(crate) paths: KnownPaths,
    pub(crate) web_known: KnownWeb,
    pub(crate) turnstile: Turnstile,
    /// Bounds the devices that are asked at the same time by all jobs together.
    pub(crate) slots: Arc<Semaphore>,
    /// Bounds the processes for the vendor's library and for scripts.
    pub(crate) helpers: Semaphore,
    /// Devices on which the vendor's library is not tried for a while.
    pub(crate) fuses: Fuses,
    /// Lets one discovery run at a time.
    pub(crate) searching: Arc<Semaphore>,
}

impl SiteContext {
    /// A site with default retries, whose jobs together ask at most [`MAX_PARALLEL`] devices at a
    /// time.
    #[must_use]
    pub fn new(
        credentials: Box<dyn CredentialSource>,
        policy: Policy,
        protocol: ProtocolSettings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let vendor = VendorSettings::default();
        Self {
            credentials,
            policy,
            protocol,
            helpers: Semaphore::new(vendor.parallel),
            fuses: Fuses::default(),
            vendor,
            retry: RetrySettings::default(),
            clock,
            budget: AttemptBudget::default(),
            web: WebSettings::default(),
            pins: Arc::default(),
            snapshots: SnapshotSettings::default(),
            shelf: None,
            studio: Studio::new(),
            paths: KnownPaths::default(),
            web_known: KnownWeb::default(),
            turnstile: Turnstile::default(),
            slots: slots(usize::try_from(MAX_PARALLEL).unwrap_or(usize::MAX)),
            searching: slots(1),
        }
    }

    /// Sets how many devices all jobs together may ask at a time; at least one.
    #[must_use]
    pub fn with_parallel(self, devices: usize) -> Self {
        Self {
            slots: slots(devices),
            ..self
        }
    }

    /// The credential for a device, under this label where there is one.
    pub(crate) fn credential_for(
        &self,
        label: Option<&CredentialLabel>,
        target: &Target,
    ) -> Result<Option<Credential>, Failure> {
        let wanted = Wanted {
            host: &target.endpoint.host,
            mac: target.known_mac,
            now: self.clock.now(),
        };
        self.credentials.choose(label, &wanted)
    }

    /// Sets where the vendor's library and bridges are.
    #[must_use]
    pub fn with_vendor(self, vendor: VendorSettings) -> Self {
        Self {
            helpers: Semaphore::new(vendor.parallel.clamp(1, HELPERS_MAX)),
            vendor,
            ..self
        }
    }

    /// Sets how the web interfaces are spoken to.
    #[must_use]
    pub fn with_web(self, web: WebSettings, pins: Arc<CertificatePins>) -> Self {
        Self { web, pins, ..self }
    }

    /// Sets how pictures are taken for jobs.
    #[must_use]
    pub fn with_snapshots(self, snapshots: SnapshotSettings) -> Self {
        Self { snapshots, ..self }
    }

    /// Sets when failed devices are tried again.
    #[must_use]
    pub fn with_retry(self, retry: RetrySettings) -> Self {
        Self { retry, ..self }
    }
}

fn slots(devices: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(devices.clamp(1, Semaphore::MAX_PERMITS)))
}

impl fmt::Debug for SiteContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteContext")
            .field("policy", &self.policy)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

/// News of a job's work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkEvent {
    /// A device is being asked; sent once per device, before its first try.
    Started(TargetNo),
    /// A device's turn is over.
    Finished(Box<DeviceReport>),
}

/// How a job's work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkEnd {
    /// Why it ended.
    pub outcome: WorkOutcome,
    /// How many devices were reported.
    pub reported: u32,
    /// How many of these failed.
    pub failed: u32,
    /// Whether the brake was pulled: devices left at that moment are reported with `job.braked`.
    pub braked: bool,
}

/// Why a job's work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkOutcome {
    /// Every device has been reported.
    Complete,
    /// Somebody cancelled it, or nobody listens any more. Devices that were not begun are not
    /// reported.
    Cancelled,
    /// The job's deadline passed. Devices that were not begun are not reported.
    Expired,
}

/// What bounds a job's work besides its own options.
#[derive(Clone, Debug, Default)]
pub struct WorkBounds {
    /// When the whole job ends.
    pub not_after: Option<UtcMillis>,
    /// Devices reported in an earlier life of this program, for the brake.
    pub reported_before: ReportedBefore,
    /// While it holds `true`, no device is started: there is no room for reports.
    pub hold: Option<watch::Receiver<bool>>,
    /// Who notes changes of devices before they are sent; without, they are sent all the same.
    pub intents: Option<mpsc::Sender<Intent>>,
    /// Changes that an earlier life of this program was about to send: these devices are only looked at.
    pub settling: BTreeMap<TargetNo, Vec<DeviceChange>>,
    /// Who logs in, instead of one of the site's credentials.
    pub login: Option<Credential>,
    /// Once cancelled, no device is started; those being asked are finished. The work then ends as
    /// [`WorkOutcome::Cancelled`].
    pub drain: Option<CancellationToken>,
}

/// Devices of a job that need not be asked any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportedBefore {
    /// How many.
    pub devices: u32,
    /// How many of these refused the login.
    pub refused: u32,
}

/// Asks all devices of `work`, without a deadline for the whole.
///
/// Cancelling `cancel`, or dropping the receiver of `events`, ends it at the next safe point.
pub async fn run_work(
    job: JobId,
    work: SiteWork,
    site: Arc<SiteContext>,
    cancel: CancellationToken,
    events: mpsc::Sender<WorkEvent>,
) -> WorkEnd {
    run_work_within(job, work, WorkBounds::default(), site, cancel, events).await
}

/// As [`run_work`], within bounds.
pub async fn run_work_within(
    job: JobId,
    work: SiteWork,
    bounds: WorkBounds,
    site: Arc<SiteContext>,
    cancel: CancellationToken,
    events: mpsc::Sender<WorkEvent>,
) -> WorkEnd {
    Run::new(job, work, bounds, site, cancel, events)
        .finish()
        .await
}
