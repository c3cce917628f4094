//! What the coordinator knows of the agents right now: who is there, how far their spools have been
//! applied, and what each is told.
//!
//! Pure: moments are arguments. Kept in memory; what must survive a restart is in the database.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::{Duration, Instant};

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::agent::{
    AgentFacts, AgentView, Heartbeat, Hello, Progress, SpoolHealth, Watermark,
};
use tvtfleet_proto::model::id::{Epoch, JobId, Sequence, SiteId, WantRevision};
use tvtfleet_proto::model::time::UtcMillis;

use crate::ledger::Ledger;
use crate::store::site::Standing;

/// The most jobs of which one agent's progress is kept.
const PROGRESS_MAX: usize = 64;

/// Both readings of the clock.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(feature = "simulation"),
    expect(unreachable_pub, reason = "the simulation hands it in")
)]
pub struct Moment {
    /// To store and send.
    pub utc: UtcMillis,
    /// To measure silence.
    pub instant: Instant,
}

/// Everything known of the agents.
#[derive(Debug)]
pub(crate) struct Presence {
    agents: BTreeMap<SiteId, Agent>,
    offline_after: Duration,
    started: Instant,
    /// Sites whose jobs somebody watches, and until when.
    watched: BTreeMap<SiteId, Instant>,
}

#[derive(Debug, Default)]
struct Agent {
    spool: Option<Spool>,
    facts: AgentFacts,
    last_seen: Option<UtcMillis>,
    /// When it was heard since this program started.
    heard: Option<Instant>,
    /// Another box has enrolled since it was heard.
    vacant: bool,
    next: Sequence,
    spool_bytes: u64,
    clock_skew_ms: i64,
    want_taken: WantRevision,
    want_newest: WantRevision,
    progress: Vec<Progress>,
    health: Option<SpoolHealth>,
    /// Which copy of the spool speaks; empty where nobody has said.
    home: String,
    /// [`Self::last_seen`] is newer than the database's.
    unsaved: bool,
}

#[derive(Debug)]
struct Spool {
    epoch: Epoch,
    committed: Sequence,
    gap: bool,
    /// Where the spool stood, behind what the agent has, at the last heartbeat.
    stuck_at: Option<Sequence>,
    /// The stream was lost, so that the agent must send again what is not committed.
    replay: bool,
}

impl Spool {
    const fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            committed: Sequence(0),
            gap: false,
            stuck_at: None,
            replay: false,
        }
    }
}

impl Presence {
    /// Starts from what the database knows.
    pub(crate) fn restore(
        standings: Vec<Standing>,
        offline_after: Duration,
        started: Instant,
    ) -> Self {
        let agents = standings.into_iter().map(|standing| {
            let spool = standing.spool.map(|(epoch, ledger)| {
                let mut spool = Spool::new(epoch);
                spool.applied(&ledger);
                spool
            });
            let agent = Agent {
                spool,
                facts: standing.facts,
                last_seen: standing.last_seen,
                want_newest: standing.want,
                ..Agent::default()
            };
            (standing.site, agent)
        });
        Self {
            agents: agents.collect(),
            offline_after,
            started,
            watched: BTreeMap::new(),
        }
    }

    /// Another box has enrolled for a site: the one before does not keep the place any more, unless it is
    /// heard before the new one.
    pub(crate) fn succeeded(&mut self, site: &SiteId) {
        let agent = self.agents.entry(site.clone()).or_default();
        (agent.heard, agent.vacant) = (None, true);
    }

    /// A site was added.
    pub(crate) fn add(&mut self, site: &SiteId) {
        self.agents.entry(site.clone()).or_default();
    }

    /// Whether the agent that speaks for a site was heard lately. Right after a start nobody was,
    /// so that silence counts from then.
    pub(crate) fn is_alive(&self, site: &SiteId, now: Instant) -> bool {
        self.agents.get(site).is_some_and(|agent| {
            let silent_since = agent.heard.unwrap_or(self.started);
            agent.spool.is_some()
                && !agent.vacant
                && now.duration_since(silent_since) <= self.offline_after
        })
    }

    /// Whether another copy of the same spool was heard lately: two boxes with one image. Reports of
    /// both would have the same numbers.
    pub(crate) fn is_copy(&self, hello: &Hello, now: Instant) -> bool {
        self.agents.get(&hello.site).is_some_and(|agent| {
            let same = agent.spool.as_ref().map(|spool| spool.epoch) == Some(hello.epoch);
            same && differs(&agent.home, &hello.home) && self.is_online(agent, now)
        })
    }

    /// Answers a hello that changes nothing in the database; `None` where the database must be
    /// asked.
    pub(crate) fn hello(&mut self, hello: &Hello, now: Moment) -> Option<Watermark> {
        let agent = self.agents.get_mut(&hello.site)?;
        let spool = agent.spool.as_ref().filter(|spool| {
            spool.epoch == hello.epoch
                && agent.home == hello.home
                && hello.oldest <= spool.committed.next()
                && hello.want_revision <= agent.want_newest
                && hello.facts == agent.facts
        })?;
        // What it published before the connection was lost may not have been stored.
        let resend = spool.gap.then(|| spool.committed.next());
        agent.greeted(hello, now);
        Some(self.watermark(&hello.site, hello.epoch, resend, now))
    }

    /// The database lets an agent speak for its site.
    pub(crate) fn granted(
        &mut self,
        hello: &Hello,
        ledger: &Ledger,
        want: WantRevision,
        now: Moment,
    ) -> Watermark {
        let agent = self.agents.entry(hello.site.clone()).or_default();
        let mut spool = Spool::new(hello.epoch);
        spool.applied(ledger);
        agent.spool = Some(spool);
        agent.facts = hello.facts.clone();
        agent.home.clone_from(&hello.home);
        agent.want_newest = agent.want_newest.max(want);
        agent.greeted(hello, now);
        let resend = ledger.gap();
        self.watermark(&hello.site, hello.epoch, resend, now)
    }

    /// Takes a heartbeat. `idle` tells whether everything in the stream has been applied.
    pub(crate) fn heartbeat(
        &mut self,
        heartbeat: &Heartbeat,
        idle: bool,
        now: Moment,
    ) -> Watermark {
        let site = &heartbeat.site;
        let Some(agent) = self.agents.get_mut(site) else {
            return refusal(heartbeat.epoch, ErrorCode::SiteUnknown, now);
        };
        let copy = differs(&agent.home, &heartbeat.home);
        let Some(spool) = agent
            .spool
            .as_mut()
            .filter(|spool| spool.epoch == heartbeat.epoch && !copy)
        else {
            // Its next hello settles whether it may speak.
            return refusal(heartbeat.epoch, ErrorCode::SiteClaimed, now);
        };
        let resend = spool.missing(heartbeat.next, idle);
        agent.heard(now);
        agent.next = heartbeat.next;
        agent.spool_bytes = heartbeat.spool_bytes;
        agent.want_taken = heartbeat.want_revision;
        agent.health = heartbeat.health;
        agent.clock_skew_ms = heartbeat
            .agent_time
            .millis()
            .saturating_sub(now.utc.millis());
        agent.progress = heartbeat
            .progress
            .iter()
            .take(PROGRESS_MAX)
            .copied()
            .collect();
        self.watermark(site, heartbeat.epoch, resend, now)
    }

    /// Takes a hint of progress.
    pub(crate) fn progress(&mut self, site: &SiteId, progress: Progress, now: Moment) {
        let Some(agent) = self.agents.get_mut(site) else {
            return;
        };
        agent.heard(now);
        let full = agent.progress.len() >= PROGRESS_MAX;
        match agent
            .progress
            .iter_mut()
            .find(|known| known.job == progress.job)
        {
            Some(known) => *known = progress,
            None if full => {}
            None => agent.progress.push(progress),
        }
    }

    /// More of a spool has been applied.
    pub(crate) fn applied(&mut self, site: &SiteId, epoch: Epoch, ledger: &Ledger) {
        let agent = self.agents.entry(site.clone()).or_default();
        agent.spool.get_or_insert_with(|| Spool::new(epoch));
        if let Some(spool) = agent.spool.as_mut().filter(|spool| spool.epoch == epoch) {
            spool.applied(ledger);
        }
    }

    /// The results stream was lost: every agent must send again what is not committed.
    pub(crate) fn replay_all(&mut self) {
        for spool in self
            .agents
            .values_mut()
            .filter_map(|agent| agent.spool.as_mut())
        {
            spool.replay = true;
        }
    }

    /// A newer want document is in the bucket.
    pub(crate) fn want_written(&mut self, site: &SiteId, revision: WantRevision) {
        let agent = self.agents.entry(site.clone()).or_default();
        agent.want_newest = agent.want_newest.max(revision);
    }

    /// Somebody watches jobs of these sites.
    pub(crate) fn watch(
        &mut self,
        sites: impl IntoIterator<Item = SiteId>,
        until: Instant,
        now: Instant,
    ) {
        self.watched.retain(|_, until| *until > now);
        self.watched
            .extend(sites.into_iter().map(|site| (site, until)));
    }

    /// Whether a site's agent is connected, and when it was last heard.
    pub(crate) fn seen(&self, site: &SiteId, now: Instant) -> (bool, Option<UtcMillis>) {
        self.agents.get(site).map_or((false, None), |agent| {
            (self.is_online(agent, now), agent.last_seen)
        })
    }

    /// The sites whose agent is connected.
    pub(crate) fn online(&self, now: Instant) -> BTreeSet<SiteId> {
        let online = self
            .agents
            .iter()
            .filter(|(_, agent)| self.is_online(agent, now));
        online.map(|(site, _)| site.clone()).collect()
    }

    /// What a site last said about a job.
    pub(crate) fn progress_of(&self, site: &SiteId, job: JobId) -> Option<Progress> {
        let agent = self.agents.get(site)?;
        agent
            .progress
            .iter()
            .find(|progress| progress.job == job)
            .copied()
    }

    /// The agents that were ever heard, by site, behind a site.
    pub(crate) fn views(
        &self,
        after: Option<&SiteId>,
        now: Instant,
    ) -> impl Iterator<Item = AgentView> {
        let behind = after.map_or(Bound::Unbounded, Bound::Excluded);
        let heard = self
            .agents
            .range::<SiteId, _>((behind, Bound::Unbounded))
            .filter(|(_, agent)| agent.last_seen.is_some() || agent.spool.is_some());
        heard.map(move |(site, agent)| AgentView {
            site: site.clone(),
            online: self.is_online(agent, now),
            last_seen: agent.last_seen,
            facts: agent.facts.clone(),
            epoch: agent.spool.as_ref().map(|spool| spool.epoch),
            committed: agent
                .spool
                .as_ref()
                .map_or(Sequence(0), |spool| spool.committed),
            next: agent.next,
            spool_bytes: agent.spool_bytes,
            clock_skew_ms: agent.clock_skew_ms,
            want_taken: agent.want_taken,
            want_newest: agent.want_newest,
            health: agent.health,
        })
    }

    /// Takes the times that the database does not have yet.
    pub(crate) fn take_unsaved(&mut self) -> Vec<(SiteId, UtcMillis)> {
        self.agents
            .iter_mut()
            .filter_map(|(site, agent)| {
                let unsaved = std::mem::take(&mut agent.unsaved);
                agent
                    .last_seen
                    .filter(|_| unsaved)
                    .map(|seen| (site.clone(), seen))
            })
            .collect()
    }

    fn is_online(&self, agent: &Agent, now: Instant) -> bool {
        agent
            .heard
            .is_some_and(|heard| now.duration_since(heard) <= self.offline_after)
    }

    fn watermark(
        &self,
        site: &SiteId,
        epoch: Epoch,
        resend_from: Option<Sequence>,
        now: Moment,
    ) -> Watermark {
        let agent = self.agents.get(site);
        let spool = agent.and_then(|agent| agent.spool.as_ref());
        Watermark {
            epoch,
            committed: spool.map_or(Sequence(0), |spool| spool.committed),
            resend_from,
            want_revision: agent.map_or(WantRevision(0), |agent| agent.want_newest),
            server_time: now.utc,
            refused: None,
            watched: self
                .watched
                .get(site)
                .is_some_and(|until| *until > now.instant),
            rotate: false,
        }
    }
}

/// Whether two homes are known and not the same.
fn differs(one: &str, other: &str) -> bool {
    !one.is_empty() && !other.is_empty() && one != other
}

/// The answer to an agent that is not welcome.
pub(crate) fn refusal(epoch: Epoch, code: ErrorCode, now: Moment) -> Watermark {
    Watermark {
        epoch,
        committed: Sequence(0),
        resend_from: None,
        want_revision: WantRevision(0),
        server_time: now.utc,
        refused: Some(code),
        watched: false,
        rotate: false,
    }
}

impl Agent {
    fn heard(&mut self, now: Moment) {
        self.heard = Some(now.instant);
        self.vacant = false;
        self.last_seen = Some(now.utc);
        self.unsaved = true;
    }

    fn greeted(&mut self, hello: &Hello, now: Moment) {
        self.heard(now);
        self.next = hello.next;
        self.want_taken = hello.want_revision;
    }
}

impl Spool {
    fn applied(&mut self, ledger: &Ledger) {
        self.committed = ledger.committed();
        self.gap = ledger.gap().is_some();
    }

    /// The first batch that the agent must send again, judged at a heartbeat.
    ///
    /// What is not applied yet may be on its way, so that one heartbeat proves nothing: only where
    /// the spool stands where it stood at the one before, and either something above it has been
    /// applied or nothing is left in the stream, is there something missing.
    fn missing(&mut self, next: Sequence, idle: bool) -> Option<Sequence> {
        let first = self.committed.next();
        if next <= first {
            (self.stuck_at, self.replay) = (None, false);
            return None;
        }
        let stuck = self.stuck_at == Some(self.committed);
        self.stuck_at = Some(self.committed);
        let missing = std::mem::take(&mut self.replay) || (stuck && (self.gap || idle));
        missing.then_some(first)
    }
}

#[cfg(test)]
mod tests;
