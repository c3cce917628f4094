//! The want document: what one site should be doing now, and what the site says about it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::ErrorCode;

use super::address::Endpoint;
use super::discovery::Searched;
use super::id::{CredentialLabel, Epoch, JobId, Sequence, SiteId, TargetNo, WantRevision};
use super::job::WorkOptions;
use super::mac::MacAddr;
use super::push::CredentialAnswer;
use super::report::DeviceReport;
use super::signed::SignedStatement;
use super::time::UtcMillis;

/// The largest want document on the wire, in bytes. Larger work goes by reference and is fetched.
pub const WANT_MAX: usize = 128 * 1024;

/// What one site should be doing now. Jobs that are not in it are not wanted any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantDoc {
    /// The site it is for; an agent refuses any other.
    pub site: SiteId,
    /// Its revision; an agent ignores any that is not newer than the last it took.
    pub revision: WantRevision,
    /// When it was written.
    pub issued_at: UtcMillis,
    /// The jobs, oldest first.
    pub jobs: Vec<JobWant>,
    /// Whose orders count at the site, signed by the fleet's authority; `None` where nobody says.
    pub operators: Option<SignedStatement>,
    /// Device credentials that operators push to the site, sealed to its agent; oldest first.
    pub credentials: Vec<SignedStatement>,
}

/// Whether a job is to run or to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantState {
    /// It should run.
    Run,
    /// It should stop at the next safe point.
    Cancel,
}

/// One job, as one site should do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobWant {
    /// The job.
    pub job: JobId,
    /// Run or stop.
    pub state: WantState,
    /// Nothing is started after this moment, and what runs is stopped.
    pub not_after: UtcMillis,
    /// The trace that the job belongs to, a W3C `traceparent`; empty where there is none.
    pub traceparent: String,
    /// How many devices it is for.
    pub target_count: u32,
    /// The work, or `None` where it is too large for the document and must be fetched.
    pub work: Option<SiteWork>,
    /// The operator's signed order, with jobs that change devices.
    pub order: Option<SignedStatement>,
}

/// The work of one job at one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteWork {
    /// How to do it.
    pub options: WorkOptions,
    /// The devices.
    pub targets: Vec<Target>,
}

/// One device to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its number in the job at this site.
    pub number: TargetNo,
    /// Where to reach it.
    pub endpoint: Endpoint,
    /// The Ethernet address that the inventory knows, for policy and the attempt budget.
    pub known_mac: Option<MacAddr>,
    /// Whether an operator put it into the inventory. A device that merely answered a sweep is not
    /// trusted with credentials.
    pub trusted: bool,
    /// The credential to use instead of the job's.
    pub credential: Option<CredentialLabel>,
    /// What a changing ask sets at this device, instead of what the order says; empty where the order
    /// counts.
    pub settings: BTreeMap<String, String>,
}

/// What a site says about a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteEvent {
    /// It is in the site's journal.
    Accepted {
        /// The job.
        job: JobId,
        /// When.
        at: UtcMillis,
    },
    /// The site has ended it. Complete once every batch in the range has been applied.
    Done {
        /// The job.
        job: JobId,
        /// When.
        at: UtcMillis,
        /// How it ended.
        outcome: SiteOutcome,
        /// How many devices have been reported.
        records: u32,
        /// The first and last batch that hold its reports; `None` where there are none.
        range: Option<(Sequence, Sequence)>,
    },
}

/// How a site ended a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteOutcome {
    /// Every device was reported.
    Complete,
    /// It was stopped on request.
    Cancelled,
    /// Its deadline passed.
    Expired,
    /// It was not begun.
    Refused(ErrorCode),
}

/// Which lane a batch travels in: the last token of its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Device reports.
    Records,
    /// Events of jobs.
    Events,
}

/// A batch of an agent's outbox, in the order of its sequence numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutBatch {
    /// The site that sends it.
    pub site: SiteId,
    /// The life of the spool.
    pub epoch: Epoch,
    /// The position in it.
    pub sequence: Sequence,
    /// What it carries.
    pub items: Vec<OutItem>,
}

impl OutBatch {
    /// The lane it travels in: events do not wait behind records, so one event makes it theirs.
    #[must_use]
    pub fn lane(&self) -> Lane {
        let event = self
            .items
            .iter()
            .any(|item| matches!(item, OutItem::Event(_) | OutItem::Credential(_)));
        if event { Lane::Events } else { Lane::Records }
    }

    /// The id by which JetStream drops repeated publications.
    #[must_use]
    pub fn message_id(&self) -> String {
        format!("{}-{}", self.epoch, self.sequence)
    }
}

/// One thing in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutItem {
    /// A device's report.
    Report(Box<DeviceReport>),
    /// An event of a job.
    Event(SiteEvent),
    /// How the site's discovery for a job went.
    Searched(Box<Searched>),
    /// What became of a credential that was pushed.
    Credential(CredentialAnswer),
}

/// How long a heartbeat may be late before a site counts as offline.
pub const OFFLINE_AFTER: Duration = Duration::from_secs(90);
