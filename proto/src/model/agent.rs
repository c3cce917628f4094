//! What agents and the coordinator say to each other outside the numbered results.

use std::time::Duration;

use crate::error::ErrorCode;

use super::backend::BackendState;
use super::id::{Epoch, JobId, Sequence, SiteId, WantRevision};
use super::time::UtcMillis;

/// The time between two heartbeats of an agent, before jitter of a fifth.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30);

/// Facts about an agent and the box it runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentFacts {
    /// The agent's version.
    pub version: String,
    /// The box's host name.
    pub hostname: String,
    /// Operating system and architecture, as `linux-x86_64`.
    pub platform: String,
    /// The ways of talking to devices that it has; none where it is too old to say.
    pub backends: Vec<BackendState>,
}

/// What an agent says when it has connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The site it speaks for.
    pub site: SiteId,
    /// The life of its spool.
    pub epoch: Epoch,
    /// The first sequence number it still holds.
    pub oldest: Sequence,
    /// The next sequence number it will use.
    pub next: Sequence,
    /// The last want document it took.
    pub want_revision: WantRevision,
    /// Who it is.
    pub facts: AgentFacts,
    /// What tells this copy of the spool from another one: the box's boot and the folder. Empty from
    /// agents that do not say.
    pub home: String,
}

/// How the disk of an agent is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolHealth {
    /// Bytes of results that the coordinator has and that are kept for a while all the same.
    pub kept_bytes: u64,
    /// Damaged files that were set aside and are still there.
    pub damaged: u32,
    /// Bytes that are free on the disk of the spool.
    pub disk_free: u64,
}

/// What the coordinator answers to a hello or heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// The life of the spool that the rest is about.
    pub epoch: Epoch,
    /// Everything up to here is in the coordinator's database: the agent may delete it.
    pub committed: Sequence,
    /// The coordinator misses batches from here on: the agent sends them again.
    pub resend_from: Option<Sequence>,
    /// The newest want document of the site.
    pub want_revision: WantRevision,
    /// The coordinator's clock.
    pub server_time: UtcMillis,
    /// Why the agent is not welcome; it must stop publishing until that changes.
    pub refused: Option<ErrorCode>,
    /// Whether somebody watches this site's jobs and wants progress often.
    pub watched: bool,
    /// Whether the agent should make new keys for itself.
    pub rotate: bool,
}

/// What an agent says every [`HEARTBEAT_INTERVAL`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The site it speaks for.
    pub site: SiteId,
    /// The life of its spool.
    pub epoch: Epoch,
    /// The next sequence number it will use.
    pub next: Sequence,
    /// The last want document it took.
    pub want_revision: WantRevision,
    /// Bytes in its spool that the coordinator does not have yet.
    pub spool_bytes: u64,
    /// The agent's clock.
    pub agent_time: UtcMillis,
    /// The jobs it works on.
    pub progress: Vec<Progress>,
    /// How its disk is doing, where it says so.
    pub health: Option<SpoolHealth>,
    /// As in [`Hello::home`].
    pub home: String,
}

/// How far a site is with a job. A hint for people who watch; results are counted, never added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The job.
    pub job: JobId,
    /// Devices done.
    pub done: u32,
    /// Of these, failed.
    pub failed: u32,
    /// Devices being asked now.
    pub running: u32,
    /// Devices in all.
    pub total: u32,
    /// Devices that a discovery has found so far.
    pub found: u32,
    /// Probes of a discovery that are done.
    pub probes_done: u64,
    /// Probes that there will be at most.
    pub probes_total: u64,
}

/// An agent as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentView {
    /// The site it speaks for.
    pub site: SiteId,
    /// Whether it is connected now.
    pub online: bool,
    /// When it was last heard.
    pub last_seen: Option<UtcMillis>,
    /// Who it is.
    pub facts: AgentFacts,
    /// The life of its spool.
    pub epoch: Option<Epoch>,
    /// Everything up to here has been applied.
    pub committed: Sequence,
    /// The next sequence number it will use, as far as known.
    pub next: Sequence,
    /// Bytes in its spool that have not been applied.
    pub spool_bytes: u64,
    /// The agent's clock less the coordinator's, in milliseconds.
    pub clock_skew_ms: i64,
    /// The want document it has taken, and the newest.
    pub want_taken: WantRevision,
    /// The newest want document of the site.
    pub want_newest: WantRevision,
    /// How its disk is doing, where it says so.
    pub health: Option<SpoolHealth>,
}
