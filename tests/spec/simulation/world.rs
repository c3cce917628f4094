//! The world of one seed: sites, wires, stream, bucket and coordinator.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tvt_agent::simulation::{Moment, Sent, Site, Word};
use tvt_coordinator::simulation::{self as central, Centre};
use tvtfleet_proto::envelope;
use tvtfleet_proto::model::api::RowOutcome;
use tvtfleet_proto::model::id::{Epoch, JobId, SiteId, TargetNo};
use tvtfleet_proto::model::inventory::InventoryEntry;
use tvtfleet_proto::model::job::JobState;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::{OutBatch, Target, WantDoc};
use tvtfleet_proto::subject;
use tvtfleet_proto::wire::v1;
use uuid::Uuid;

use super::answers::answer;
use super::dice::Dice;

/// Rounds without faults within which everything must come to rest.
const ROUNDS: usize = 400;
/// Rounds after which the stream takes repeated messages again: five minutes.
const DEDUP_ROUNDS: usize = 12;

/// One site with its agent, where that runs.
pub(super) struct Place {
    pub(super) id: SiteId,
    pub(super) folder: PathBuf,
    pub(super) agent: Option<Site>,
    pub(super) linked: bool,
    pub(super) devices: usize,
    /// The site's time of day less the true one, in milliseconds.
    pub(super) skew: i64,
    /// Devices that are being asked.
    running: Vec<(JobId, Target)>,
    /// Batches on the wire.
    pub(super) flight: Vec<Sent>,
    /// Documents on the wire.
    pushed: Vec<WantDoc>,
    pub(super) reread: bool,
    /// A segment was damaged, so that what was on the disk may be asked for again.
    pub(super) damaged: bool,
}

/// What the stream holds.
pub(super) struct Stream {
    pub(super) generation: i64,
    pub(super) messages: BTreeMap<u64, (String, Vec<u8>)>,
    pub(super) next: u64,
    pub(super) ids: BTreeSet<String>,
}

pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) folder: TempDir,
    start: Instant,
    elapsed: u64,
    pub(super) places: Vec<Place>,
    pub(super) centre: Option<Centre>,
    pub(super) stream: Stream,
    pub(super) bucket: BTreeMap<SiteId, (u64, WantDoc)>,
    bucket_revision: u64,
    pub(super) jobs: Vec<JobId>,
    cancelled: BTreeSet<JobId>,
    durable: BTreeSet<(JobId, SiteId, TargetNo)>,
    answers: u64,
    pub(super) faults: usize,
    /// Whether disks of sites are damaged in this seed, or else whether backups are restored.
    pub(super) damages: bool,
    pub(super) backup: Option<(PathBuf, Vec<JobId>)>,
    lives: u128,
    submitted: u128,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory).unwrap()
        } else {
            tempfile::tempdir().unwrap()
        };
        let start = Instant::now() + Duration::from_secs(1_000_000);
        let count = 1 + dice.index(3);
        let places = (0..count).map(|number| Place {
            id: format!("acme/site-{number}").parse().unwrap(),
            folder: folder.path().join(format!("site-{number}")),
            agent: None,
            linked: false,
            devices: 1 + dice.index(8),
            skew: 0,
            running: Vec::new(),
            flight: Vec::new(),
            pushed: Vec::new(),
            reread: false,
            damaged: false,
        });
        let places = places.collect();
        let mut world = Self {
            damages: dice.once_in(4),
            dice,
            start,
            elapsed: 0,
            places,
            centre: None,
            stream: Stream {
                generation: 1,
                messages: BTreeMap::new(),
                next: 1,
                ids: BTreeSet::new(),
            },
            bucket: BTreeMap::new(),
            bucket_revision: 0,
            jobs: Vec::new(),
            cancelled: BTreeSet::new(),
            durable: BTreeSet::new(),
            answers: 0,
            faults: 0,
            backup: None,
            lives: 0,
            submitted: 0,
            folder,
        };
        world.start_centre();
        let devices = world.places.iter().flat_map(|place| {
            (0..place.devices).map(|number| {
                let host = format!("10.0.0.{}", number + 1).parse().unwrap();
                (place.id.clone(), InventoryEntry::bare(host))
            })
        });
        let (devices, now) = (devices.collect(), world.utc(0));
        world.centre.as_mut().unwrap().import(devices, now);
        for place in 0..world.places.len() {
            world.start_agent(place);
            world.connect(place);
        }
        world.submit();
        world
    }

    pub(super) const fn faults(&self) -> usize {
        self.faults
    }

    fn utc(&self, skew: i64) -> UtcMillis {
        UtcMillis::new(1_790_000_000_000 + i64::try_from(self.elapsed).unwrap() + skew)
    }

    fn instant(&self) -> Instant {
        self.start + Duration::from_millis(self.elapsed)
    }

    fn at(&self, place: usize) -> Moment {
        Moment {
            utc: self.utc(self.places[place].skew),
            instant: self.instant(),
        }
    }

    fn submit(&mut self) {
        self.submitted += 1;
        let id = JobId::new(Uuid::from_u128(self.submitted));
        let (parallel, now) = (1 + u32::try_from(self.dice.roll(4)).unwrap(), self.utc(0));
        let Some(centre) = &mut self.centre else {
            return;
        };
        // Deadlines are another matter: nothing here may be missing at the end.
        centre.submit(id, parallel, Duration::from_secs(10 * 86_400), now);
        self.jobs.push(id);
    }

    pub(super) fn start_agent(&mut self, place: usize) {
        self.lives += 1;
        let epoch = Epoch::new(Uuid::from_u128(self.lives));
        let at = self.at(place);
        let place = &mut self.places[place];
        place.agent = Some(Site::open(&place.folder, &place.id, epoch, "home", at));
    }

    pub(super) fn database(&self) -> PathBuf {
        self.folder.path().join("coordinator.db")
    }

    pub(super) fn start_centre(&mut self) {
        let mut centre = Centre::open(&self.database(), self.instant());
        centre.verify(|site| {
            let (revision, doc) = self.bucket.get(site)?;
            Some((*revision, doc.revision))
        });
        self.centre = Some(centre);
    }

    pub(super) fn connect(&mut self, place: usize) {
        let place = &mut self.places[place];
        place.linked = true;
        place.reread = true;
        if let Some(agent) = &mut place.agent {
            agent.connected(true);
        }
    }

    /// Ends a connection, with what is on the wire.
    pub(super) fn cut(&mut self, place: usize) {
        let place = &mut self.places[place];
        place.linked = false;
        place.flight.clear();
        place.pushed.clear();
        if let Some(agent) = &mut place.agent {
            agent.connected(false);
        }
    }

    pub(super) fn kill_agent(&mut self, place: usize) {
        self.cut(place);
        let place = &mut self.places[place];
        place.agent = None;
        place.running.clear();
    }

    /// One thing that happens: mostly work, sometimes a fault.
    pub(super) fn step(&mut self) {
        let place = self.dice.index(self.places.len());
        match self.dice.roll(40) {
            0..=5 => self.ask(place),
            6..=11 => self.answer(place),
            12..=15 => self.seal(place),
            16..=18 => {
                if let Some(agent) = &mut self.places[place].agent {
                    agent.note();
                }
            }
            19..=22 => self.send(place),
            23..=26 => self.deliver(place),
            27..=29 => self.apply(),
            30..=31 => self.say(place),
            32 => self.publish(),
            33 => self.read(place),
            34 => self.elapsed += self.dice.roll(20_000),
            35 if self.jobs.len() < 4 && self.dice.once_in(8) => self.submit(),
            36 if self.dice.once_in(60) => self.cancel(),
            _ => self.fault(place),
        }
    }

    fn cancel(&mut self) {
        let (job, now) = (self.jobs[self.dice.index(self.jobs.len())], self.utc(0));
        if let Some(centre) = &mut self.centre
            && centre
                .job(job)
                .is_some_and(|view| view.state == JobState::Open)
        {
            centre.cancel(job, now);
            self.cancelled.insert(job);
        }
    }

    fn ask(&mut self, place: usize) {
        let at = self.at(place);
        let place = &mut self.places[place];
        let Some(agent) = &mut place.agent else {
            return;
        };
        if let Some((job, target)) = agent.ask(at) {
            let key = (job, place.id.clone(), target.number);
            assert!(
                place.damaged || !self.durable.contains(&key),
                "{key:?} is asked again although its report is on the disk"
            );
            place.running.push((job, target));
        }
    }

    fn answer(&mut self, place: usize) {
        let observed_at = self.at(place).utc;
        let place = &mut self.places[place];
        let Some(agent) = &mut place.agent else {
            return;
        };
        if place.running.is_empty() {
            return;
        }
        let (job, target) = place
            .running
            .swap_remove(self.dice.index(place.running.len()));
        self.answers += 1;
        let asked = (job, target.number);
        agent.answered(answer(asked, &place.id, self.answers, observed_at));
    }

    fn seal(&mut self, place: usize) {
        let most = 1 + self.dice.index(5);
        let place = &mut self.places[place];
        let Some(agent) = &mut place.agent else {
            return;
        };
        for (job, target) in agent.seal(most) {
            self.durable.insert((job, place.id.clone(), target));
        }
    }

    fn send(&mut self, place: usize) {
        let now = self.instant();
        let place = &mut self.places[place];
        if let Some(agent) = &mut place.agent
            && let Some(sent) = agent.send(now)
        {
            place.flight.push(sent);
        }
    }

    fn store(&mut self, place: usize, sent: &Sent) {
        if !self.stream.ids.insert(sent.id.clone()) {
            return;
        }
        let wire: v1::OutBatch = envelope::open(&sent.body, envelope::BODY_MAX).unwrap();
        let lane = OutBatch::try_from(wire).unwrap().lane();
        let subject = subject::out(&self.places[place].id, lane);
        let position = self.stream.next;
        self.stream.next += 1;
        self.stream
            .messages
            .insert(position, (subject, sent.body.clone()));
    }

    /// A batch arrives, is lost, arrives twice, or its acknowledgement is lost.
    fn deliver(&mut self, place: usize) {
        let (now, length) = (self.instant(), self.places[place].flight.len());
        if length == 0 {
            return;
        }
        let index = self.dice.index(length);
        let fate = self.dice.roll(12);
        let sent = if fate == 0 {
            self.places[place].flight[index].clone()
        } else {
            self.places[place].flight.swap_remove(index)
        };
        if fate != 1 {
            self.store(place, &sent);
        }
        if let Some(agent) = &mut self.places[place].agent {
            match fate {
                0 => {}
                1 | 2 => agent.unacked(&sent, now),
                _ => agent.acked(&sent),
            }
        }
    }

    fn apply(&mut self) {
        let now = self.utc(0);
        let Some(centre) = &mut self.centre else {
            return;
        };
        let (generation, mut cursor) = centre.position();
        if generation != self.stream.generation {
            centre.begin_stream(self.stream.generation);
            cursor = 0;
        }
        let portion = 1 + self.dice.index(6);
        let messages: Vec<_> = self
            .stream
            .messages
            .range(cursor + 1..)
            .take(portion)
            .map(|(position, (subject, body))| (*position, subject.clone(), body.clone()))
            .collect();
        if !messages.is_empty() {
            centre.apply(&messages, now);
        }
        centre.tick(now);
    }

    fn say(&mut self, place: usize) {
        self.elapsed += 1000 + self.dice.roll(30_000);
        let (at, now) = (self.at(place), self.utc(0));
        let now = central::Moment {
            utc: now,
            instant: self.instant(),
        };
        let lost = self.dice.once_in(10);
        let place = &mut self.places[place];
        let (Some(agent), Some(centre)) = (&mut place.agent, &mut self.centre) else {
            return;
        };
        if !place.linked {
            return;
        }
        let watermark = match agent.say(at.utc) {
            Word::Hello(hello) => centre.hello(&hello, now),
            Word::Heartbeat(heartbeat) => {
                let (generation, cursor) = centre.position();
                let idle = generation == self.stream.generation
                    && self.stream.messages.range(cursor + 1..).next().is_none();
                centre.heartbeat(&heartbeat, idle, now)
            }
        };
        if !lost {
            place.reread |= agent.told(&watermark, at);
        }
    }

    fn publish(&mut self) {
        let now = self.utc(0);
        let Some(centre) = &mut self.centre else {
            return;
        };
        let (bucket, revision, dice) =
            (&mut self.bucket, &mut self.bucket_revision, &mut self.dice);
        let places = &mut self.places;
        let whole = centre.publish(now, |doc, expected| {
            let found = bucket.get(&doc.site).map(|(revision, _)| *revision);
            if found != expected {
                return None;
            }
            *revision += 1;
            bucket.insert(doc.site.clone(), (*revision, doc.clone()));
            for place in places
                .iter_mut()
                .filter(|place| place.id == doc.site && place.linked)
            {
                for _ in 0..dice.roll(3) {
                    place.pushed.push(doc.clone());
                }
            }
            // The answer may be lost.
            (!dice.once_in(10)).then_some(*revision)
        });
        if !whole {
            centre.verify(|site| {
                let (revision, doc) = bucket.get(site)?;
                Some((*revision, doc.revision))
            });
        }
    }

    /// A document arrives, pushed or read.
    fn read(&mut self, place: usize) {
        let at = self.at(place);
        let place = &mut self.places[place];
        let Some(agent) = &mut place.agent else {
            return;
        };
        if !place.linked {
            return;
        }
        if place.reread {
            place.reread = false;
            if let Some((_, doc)) = self.bucket.get(&place.id) {
                agent.take(doc, at);
            }
        } else if !place.pushed.is_empty() {
            let doc = place
                .pushed
                .swap_remove(self.dice.index(place.pushed.len()));
            agent.take(&doc, at);
        }
    }

    /// Everything runs and is connected, and nothing fails any more.
    pub(super) fn mend(&mut self) {
        if self.centre.is_none() {
            self.start_centre();
        }
        for place in 0..self.places.len() {
            if self.places[place].agent.is_none() {
                self.start_agent(place);
            }
            self.connect(place);
        }
        for round in 0..ROUNDS {
            self.elapsed += 25_000;
            if round % DEDUP_ROUNDS == 0 {
                self.stream.ids.clear();
            }
            self.publish();
            for place in 0..self.places.len() {
                self.read(place);
                self.say(place);
                for _ in 0..4 {
                    self.ask(place);
                    self.answer(place);
                }
                self.seal(place);
                if let Some(agent) = &mut self.places[place].agent {
                    agent.note();
                }
                for _ in 0..8 {
                    self.send(place);
                }
                for sent in std::mem::take(&mut self.places[place].flight) {
                    self.store(place, &sent);
                    if let Some(agent) = &mut self.places[place].agent {
                        agent.acked(&sent);
                    }
                }
            }
            for _ in 0..4 {
                self.apply();
            }
            if self.is_quiet() {
                return;
            }
        }
    }

    fn is_quiet(&self) -> bool {
        let Some(centre) = &self.centre else {
            return false;
        };
        let ended = |job: &JobId| {
            centre
                .job(*job)
                .is_some_and(|view| view.state != JobState::Open)
        };
        self.jobs.iter().all(ended)
            && self
                .places
                .iter()
                .all(|place| place.agent.as_ref().is_some_and(Site::is_quiet))
    }

    /// Balances the books.
    pub(super) fn check(&self) {
        assert!(
            self.is_quiet(),
            "it does not come to rest: {:?}",
            self.summary()
        );
        let centre = self.centre.as_ref().unwrap();
        let total: usize = self.places.iter().map(|place| place.devices).sum();
        for id in &self.jobs {
            let view = centre.job(*id).unwrap();
            let rows = centre.results(*id);
            assert_eq!(rows.len(), total, "{id}: rows");
            let reported = rows
                .iter()
                .filter(|row| matches!(row.outcome, RowOutcome::Reported(_)))
                .count();
            let counted = usize::try_from(view.devices.ok + view.devices.failed).unwrap();
            assert_eq!(reported, counted, "{id}: counted and stored");
            if !self.cancelled.contains(id) {
                assert_eq!(view.state, JobState::Finished, "{id}");
                assert_eq!(reported, total, "{id}: devices without a report");
            }
        }
        self.check_changes(centre);
    }

    /// Each change of a device begins where the one before it ended, and none stands twice.
    fn check_changes(&self, centre: &Centre) {
        let mut last: BTreeMap<String, String> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for change in centre.changes() {
            if change.field != "firmware" {
                continue;
            }
            let key = (change.device_id.clone(), change.new.clone());
            assert!(seen.insert(key), "a change stands twice: {change:?}");
            if let Some(before) = last.insert(change.device_id.clone(), change.new.clone()) {
                assert_eq!(before, change.old, "a change is missing before {change:?}");
            }
        }
    }

    fn summary(&self) -> Vec<String> {
        let jobs = self.jobs.iter().map(|id| {
            let view = self.centre.as_ref().and_then(|centre| centre.job(*id));
            format!(
                "{:?}",
                view.map(|view| (view.state, view.devices, view.sites))
            )
        });
        let sites = self.places.iter().map(|place| format!("{:?}", place.agent));
        jobs.chain(sites).collect()
    }
}
