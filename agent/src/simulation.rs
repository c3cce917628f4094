//! A site for the simulation of the tests: reconcile, journal, plan, spool and outbox as the agent has
//! them, without tasks, sockets and clocks. The caller says what happens and when.

#![expect(
    clippy::expect_used,
    reason = "a simulation that cannot use its own folder has nothing to say"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use tvtfleet_proto::envelope;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::agent::{AgentFacts, Heartbeat, Hello, Watermark};
use tvtfleet_proto::model::id::{Epoch, JobId, Sequence, SiteId, TargetNo, WantRevision};
use tvtfleet_proto::model::report::DeviceReport;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::{
    JobWant, OutBatch, OutItem, SiteEvent, SiteOutcome, SiteWork, Target, WantDoc, WantState,
};
use tvtfleet_proto::wire::v1;

use crate::journal::{JobFile, Journal, JournalJob, ReportedDevice};
use crate::outbox::{Generation, Verdict, Window, encode, filler, sealed_batch};
use crate::plan::{Plan, PlanEnd, PlanLimits, Step};
use crate::reconcile::{Action, Known, reconcile};
use crate::recover::open_journal;
use crate::spool::{Spool, SpoolSettings};

/// Small segments, so that a short run has many.
const SETTINGS: SpoolSettings = SpoolSettings {
    max_bytes: 4 * 1024 * 1024,
    segment_bytes: 1500,
    keep: Duration::from_secs(24 * 60 * 60),
};
/// The pause before results are sent again.
const RESEND: Duration = Duration::from_secs(1);

/// Both readings of the clock.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The time of day, which may jump.
    pub utc: UtcMillis,
    /// What only moves forward.
    pub instant: Instant,
}

/// A batch on its way to the stream.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its number.
    pub sequence: Sequence,
    generation: Generation,
    /// The id by which the stream drops what it has.
    pub id: String,
    /// The sealed batch.
    pub body: Vec<u8>,
}

/// What an agent says.
#[derive(Clone, Debug)]
pub enum Word {
    /// On a new connection, or while it is refused.
    Hello(Hello),
    /// Else.
    Heartbeat(Heartbeat),
}

/// One life of an agent.
#[derive(Debug)]
pub struct Site {
    site: SiteId,
    home: String,
    spool: Spool,
    journal: Journal,
    known: BTreeMap<JobId, Known>,
    active: BTreeMap<JobId, Active>,
    taken: WantRevision,
    window: Window,
    /// What is to be written to the spool.
    unsealed: Vec<Item>,
    /// What is in the spool and not noted in the journal.
    unnoted: Vec<(Item, Sequence)>,
    welcome: bool,
    refused: Option<ErrorCode>,
}

#[derive(Debug)]
struct Active {
    job: JournalJob,
    file: JobFile,
    plan: Plan,
    /// Reports that are not noted yet.
    open: BTreeSet<TargetNo>,
    ending: bool,
}

#[derive(Debug)]
struct Item {
    item: OutItem,
    job: JobId,
    target: Option<TargetNo>,
    ends: bool,
}

impl Site {
    /// Starts an agent on a folder, which lasts.
    ///
    /// # Panics
    ///
    /// The folder cannot be used.
    #[must_use]
    pub fn open(folder: &Path, site: &SiteId, new_epoch: Epoch, home: &str, at: Moment) -> Self {
        let fill = |epoch, sequence| filler(site, epoch, sequence);
        let (mut spool, damages) =
            Spool::open(&folder.join("spool"), SETTINGS, new_epoch, &fill).expect("a spool");
        let (journal, stored) =
            open_journal(&folder.join("jobs"), &mut spool, damages).expect("a journal");
        let last = Sequence(spool.next().0.saturating_sub(1));
        let mut agent = Self {
            site: site.clone(),
            home: home.to_owned(),
            window: Window::new(spool.committed(), last),
            spool,
            journal,
            known: BTreeMap::new(),
            active: BTreeMap::new(),
            taken: WantRevision(0),
            unsealed: Vec::new(),
            unnoted: Vec::new(),
            welcome: false,
            refused: None,
        };
        for (job, file) in stored {
            if job.ended {
                agent.known.insert(job.want.job, Known::Ended);
            } else {
                agent.start(job, file, at);
            }
        }
        agent
    }

    fn start(&mut self, job: JournalJob, file: JobFile, at: Moment) {
        let id = job.want.job;
        let work = job.want.work.clone().unwrap_or(SiteWork {
            options: Default::default(),
            targets: Vec::new(),
        });
        let left: Vec<Target> = work
            .targets
            .into_iter()
            .filter(|target| !job.reported.contains_key(&target.number))
            .collect();
        let limits = PlanLimits {
            parallel: usize::try_from(work.options.parallel).unwrap_or(1),
            device_deadline: work.options.device_deadline,
            not_after: Some(at.instant + job.want.not_after.since(at.utc)),
        };
        let mut plan = Plan::new(&left, limits);
        if job.want.state == WantState::Cancel {
            plan.cancel();
        }
        let item = OutItem::Event(SiteEvent::Accepted {
            job: id,
            at: at.utc,
        });
        self.unsealed.push(Item {
            item,
            job: id,
            target: None,
            ends: false,
        });
        self.known.insert(id, Known::Active);
        self.active.insert(
            id,
            Active {
                job,
                file,
                plan,
                open: BTreeSet::new(),
                ending: false,
            },
        );
    }

    /// Takes a want document.
    ///
    /// # Panics
    ///
    /// The journal cannot be written.
    pub fn take(&mut self, doc: &WantDoc, at: Moment) {
        if doc.site != self.site || doc.revision <= self.taken {
            return;
        }
        for action in reconcile(&self.known, doc, at.utc) {
            match action {
                Action::Accept(want) => {
                    let file = self.journal.create(&want).expect("a journal");
                    self.start(fresh(want), file, at);
                }
                Action::Decline(want, outcome) => {
                    let mut file = self.journal.create(&want).expect("a journal");
                    let id = want.job;
                    self.unsealed.push(Item {
                        item: done(id, at.utc, outcome, 0, None),
                        job: id,
                        target: None,
                        ends: false,
                    });
                    // Said before it is noted: a crash in between says it again.
                    self.seal(usize::MAX);
                    let told = Sequence(self.spool.next().0.saturating_sub(1));
                    file.note_ended(told).expect("a journal");
                    self.known.insert(id, Known::Ended);
                }
                Action::Cancel(job) => {
                    if let Some(active) = self.active.get_mut(&job) {
                        active.plan.cancel();
                        active.job.want.state = WantState::Cancel;
                    }
                }
                // Remembered for longer than a run lasts.
                Action::Forget(_) => {}
            }
        }
        self.taken = doc.revision;
    }

    /// The next device to be asked, if any.
    pub fn ask(&mut self, at: Moment) -> Option<(JobId, Target)> {
        let hold = self.spool.is_full() || self.refused == Some(ErrorCode::SiteClaimed);
        for (id, active) in &mut self.active {
            match active.plan.next(at.instant, hold) {
                Step::Start { target, .. } => {
                    let work = active.job.want.work.as_ref()?;
                    let target = work.targets.iter().find(|one| one.number == target)?;
                    return Some((*id, target.clone()));
                }
                Step::Finished(end) if active.open.is_empty() && !active.ending => {
                    active.ending = true;
                    let cancelled = active.job.want.state == WantState::Cancel;
                    let outcome = match end {
                        PlanEnd::Complete => SiteOutcome::Complete,
                        PlanEnd::Expired if !cancelled => SiteOutcome::Expired,
                        PlanEnd::Expired | PlanEnd::Cancelled => SiteOutcome::Cancelled,
                    };
                    let records = u32::try_from(active.job.reported.len()).unwrap_or(u32::MAX);
                    self.unsealed.push(Item {
                        item: done(*id, at.utc, outcome, records, active.job.range()),
                        job: *id,
                        target: None,
                        ends: true,
                    });
                }
                Step::Skip(_) | Step::Settle(_) | Step::Wait(_) | Step::Finished(_) => {}
            }
        }
        None
    }

    /// A device has answered.
    pub fn answered(&mut self, report: DeviceReport) {
        let (job, target) = (report.job, report.target);
        if let Some(active) = self.active.get_mut(&job) {
            active.plan.finished(target);
            active.open.insert(target);
            self.unsealed.push(Item {
                item: OutItem::Report(Box::new(report)),
                job,
                target: Some(target),
                ends: false,
            });
        }
    }

    /// Writes up to `most` items into the spool, as one batch. Returns the devices whose reports are
    /// now on the disk.
    ///
    /// # Panics
    ///
    /// The spool cannot be written.
    pub fn seal(&mut self, most: usize) -> Vec<(JobId, TargetNo)> {
        let items: Vec<Item> = self
            .unsealed
            .drain(..most.min(self.unsealed.len()))
            .collect();
        if items.is_empty() {
            return Vec::new();
        }
        let batch = OutBatch {
            site: self.site.clone(),
            epoch: self.spool.epoch(),
            sequence: self.spool.next(),
            items: items.iter().map(|item| item.item.clone()).collect(),
        };
        let sealed = envelope::seal(&v1::OutBatch::from(batch));
        let sequence = self.spool.append(&encode(&sealed, "")).expect("a spool");
        self.window.on_appended(sequence);
        let placed = items
            .iter()
            .filter_map(|item| Some((item.job, item.target?)));
        let placed = placed.collect();
        self.unnoted
            .extend(items.into_iter().map(|item| (item, sequence)));
        placed
    }

    /// Notes in the journal what is in the spool.
    ///
    /// # Panics
    ///
    /// The journal cannot be written.
    pub fn note(&mut self) {
        for (item, sequence) in std::mem::take(&mut self.unnoted) {
            let Some(active) = self.active.get_mut(&item.job) else {
                continue;
            };
            if let Some(target) = item.target {
                let device = ReportedDevice {
                    sequence,
                    refused: false,
                    mac: None,
                };
                active.open.remove(&target);
                active.job.reported.insert(target, device);
                active
                    .file
                    .note_reported(target, device)
                    .expect("a journal");
            }
            if item.ends {
                active.file.note_ended(sequence).expect("a journal");
                self.known.insert(item.job, Known::Ended);
                self.active.remove(&item.job);
            }
        }
    }

    /// The next batch to be sent.
    ///
    /// # Panics
    ///
    /// The spool cannot be read.
    pub fn send(&mut self, now: Instant) -> Option<Sent> {
        let sequence = self.window.next_to_send(now)?;
        let mut records = self.spool.read(sequence, 1).expect("a spool");
        let record = records.pop().expect("a batch that is promised");
        let body = sealed_batch(&record.payload)
            .expect("our own batch")
            .to_vec();
        let generation = self.window.on_sent(sequence, body.len());
        Some(Sent {
            sequence,
            generation,
            id: format!("{}-{sequence}", self.spool.epoch()),
            body,
        })
    }

    /// The stream has a batch.
    pub fn acked(&mut self, sent: &Sent) {
        self.window.on_acked(sent.sequence, sent.generation);
    }

    /// An acknowledgement did not come.
    pub fn unacked(&mut self, sent: &Sent, now: Instant) {
        self.window.on_failed(sent.generation, now, |_| RESEND);
    }

    /// The connection comes or goes. A new one begins with a hello.
    pub fn connected(&mut self, connected: bool) {
        self.window.on_connection(connected);
        self.welcome = false;
    }

    /// What the agent says next: a hello where it has not been welcomed, else a heartbeat.
    #[must_use]
    pub fn say(&self, now: UtcMillis) -> Word {
        if self.welcome {
            return Word::Heartbeat(Heartbeat {
                site: self.site.clone(),
                epoch: self.spool.epoch(),
                next: self.spool.next(),
                want_revision: self.taken,
                spool_bytes: self.spool.bytes(),
                agent_time: now,
                progress: Vec::new(),
                health: None,
                home: self.home.clone(),
            });
        }
        Word::Hello(Hello {
            site: self.site.clone(),
            epoch: self.spool.epoch(),
            oldest: self.spool.oldest(),
            next: self.spool.next(),
            want_revision: self.taken,
            facts: AgentFacts::default(),
            home: self.home.clone(),
        })
    }

    /// Takes the coordinator's answer. Says whether the want document must be read again.
    ///
    /// # Panics
    ///
    /// The spool cannot be written, or the coordinator knows numbers that were never used.
    pub fn told(&mut self, watermark: &Watermark, at: Moment) -> bool {
        self.refused = watermark.refused;
        self.window.on_welcome(watermark.refused.is_none());
        self.welcome = watermark.refused.is_none();
        if !self.welcome || watermark.epoch != self.spool.epoch() {
            return false;
        }
        let oldest = self.spool.oldest();
        if watermark.resend_from.is_some_and(|from| from < oldest) {
            self.welcome = false;
        }
        let (committed, resend) = (watermark.committed, watermark.resend_from);
        match self
            .window
            .on_watermark(at.instant, committed, resend, oldest)
        {
            Verdict::Commit(committed) => self.spool.commit(committed, at.utc).expect("a spool"),
            Verdict::Recall(from) => self.spool.recall(from).expect("a spool"),
            Verdict::Renumber(committed) => {
                // Every number was on the disk before anybody saw it.
                assert!(committed < self.spool.next(), "a number was lost");
            }
        }
        watermark.want_revision > self.taken
    }

    /// Whether everything is told and committed.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let held = self.spool.committed().next() < self.spool.next();
        self.active.is_empty() && self.unsealed.is_empty() && self.unnoted.is_empty() && !held
    }
}

/// The devices of a job that the folder of an agent holds reports of: those that its next life does not
/// ask again. The folder is repaired as a start does it, so hand in a copy.
///
/// # Panics
///
/// The folder cannot be used.
#[must_use]
pub fn reported(folder: &Path, site: &SiteId, job: JobId) -> Vec<Endpoint> {
    let fill = |epoch, sequence| filler(site, epoch, sequence);
    let epoch = Epoch::new(uuid::Uuid::nil());
    let (mut spool, damages) =
        Spool::open(&folder.join("spool"), SETTINGS, epoch, &fill).expect("a spool");
    let (_, stored) = open_journal(&folder.join("jobs"), &mut spool, damages).expect("a journal");
    let stored = stored.into_iter().find(|(known, _)| known.want.job == job);
    let Some((known, _)) = stored else {
        return Vec::new();
    };
    let targets = known.want.work.map(|work| work.targets).unwrap_or_default();
    targets
        .into_iter()
        .filter(|target| known.ended || known.reported.contains_key(&target.number))
        .map(|target| target.endpoint)
        .collect()
}

fn fresh(want: JobWant) -> JournalJob {
    JournalJob::new(want)
}

fn done(
    job: JobId,
    at: UtcMillis,
    outcome: SiteOutcome,
    records: u32,
    range: Option<(Sequence, Sequence)>,
) -> OutItem {
    OutItem::Event(SiteEvent::Done {
        job,
        at,
        outcome,
        records,
        range,
    })
}
