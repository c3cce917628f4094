//! A coordinator for the simulation of the tests: presence, jobs, the apply transaction and the real
//! database, without tasks, sockets and clocks. The caller says what happens and when.

#![expect(
    clippy::expect_used,
    reason = "a simulation that cannot use its own database has nothing to say"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use uuid::Uuid;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::agent::{Heartbeat, Hello, Watermark};
use tvtfleet_proto::model::api::{ImportDevices, ReadResults, ResultRow};
use tvtfleet_proto::model::change::{Change, ListChanges};
use tvtfleet_proto::model::id::{ImportId, JobId, SiteId, WantRevision};
use tvtfleet_proto::model::inventory::InventoryEntry;
use tvtfleet_proto::model::job::{JobSpec, JobView, Selector, WorkOptions};
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::WantDoc;

use crate::intake::item_by_item;
use crate::jobs::fanout;
use crate::jobs::tracker::Grace;
use crate::presence::{self, Presence};
use crate::store::site::{self, Claim, Written};
use crate::store::{self, Batch, Incoming, change, inventory, job};

pub use crate::presence::Moment;

/// As short as the simulation's heartbeats allow.
const OFFLINE_AFTER: Duration = Duration::from_secs(90);
const GRACE: Grace = Grace {
    expire: Duration::from_secs(10),
    cancel: Duration::from_secs(60),
};

/// One life of a coordinator.
pub struct Centre {
    db: Connection,
    presence: Presence,
}

impl Centre {
    /// Starts a coordinator on a database file, which lasts.
    ///
    /// # Panics
    ///
    /// The file cannot be used.
    #[must_use]
    pub fn open(file: &Path, started: Instant) -> Self {
        let mut db = Connection::open(file).expect("a database");
        store::prepare(&mut db).expect("a database");
        let standings = site::standings(&db).expect("a database");
        let presence = Presence::restore(standings, OFFLINE_AFTER, started);
        Self { db, presence }
    }

    /// Copies the database into a new file.
    ///
    /// # Panics
    ///
    /// The copy fails.
    pub fn back_up(&self, file: &Path) {
        let path = file.to_string_lossy();
        self.db.execute("VACUUM INTO ?1", [path]).expect("a copy");
    }

    fn write<T>(&mut self, work: impl FnOnce(&Connection) -> T) -> T {
        let transaction = self.db.transaction().expect("a transaction");
        let result = work(&transaction);
        transaction.commit().expect("a commit");
        result
    }

    /// Adds devices and their sites.
    ///
    /// # Panics
    ///
    /// The database refuses.
    pub fn import(&mut self, entries: Vec<(SiteId, InventoryEntry)>, now: UtcMillis) {
        let request = ImportDevices {
            import: ImportId::new(Uuid::from_u128(1)),
            entries,
            labels: Vec::new(),
            create_sites: true,
        };
        self.write(|db| inventory::import(db, &request, now))
            .expect("an import");
    }

    /// Submits a scan of everything.
    ///
    /// # Panics
    ///
    /// The database refuses.
    pub fn submit(&mut self, id: JobId, parallel: u32, deadline: Duration, now: UtcMillis) {
        let submission = job::Submission {
            online: BTreeSet::new(),
            id,
            idempotency: id.uuid(),
            spec: JobSpec {
                selector: Selector::All,
                work: WorkOptions {
                    parallel,
                    ..WorkOptions::default()
                },
                deadline,
                note: String::new(),
            },
            user: "U".into(),
            now,
            traceparent: String::new(),
            needs_order: false,
        };
        self.write(|db| job::submit(db, &submission))
            .expect("a job");
    }

    /// Stops a job.
    ///
    /// # Panics
    ///
    /// The database refuses.
    pub fn cancel(&mut self, id: JobId, now: UtcMillis) {
        self.write(|db| job::cancel(db, id, now)).expect("a job");
    }

    /// Looks at the clock.
    ///
    /// # Panics
    ///
    /// The database refuses.
    pub fn tick(&mut self, now: UtcMillis) {
        for id in job::due(&self.db, &GRACE, now).expect("a database") {
            self.write(|db| job::expire(db, id, &GRACE, now))
                .expect("a database");
        }
    }

    /// Answers a hello.
    ///
    /// # Panics
    ///
    /// The database refuses.
    pub fn hello(&mut self, hello: &Hello, now: Moment) -> Watermark {
        if let Some(watermark) = self.presence.hello(hello, now) {
            return watermark;
        }
        let refuse = |code| presence::refusal(hello.epoch, code, now);
        if self.presence.is_copy(hello, now.instant) {
            return refuse(ErrorCode::SiteClaimed);
        }
        let alive = self.presence.is_alive(&hello.site, now.instant);
        let claimed = self.write(|db| site::claim(db, hello, alive, now.utc));
        match claimed.expect("a database") {
            Claim::UnknownSite => refuse(ErrorCode::SiteUnknown),
            Claim::Taken => refuse(ErrorCode::SiteClaimed),
            Claim::Granted { ledger, want, .. } => self.presence.granted(hello, &ledger, want, now),
        }
    }

    /// Answers a heartbeat. `idle`: everything in the stream has been applied.
    pub fn heartbeat(&mut self, heartbeat: &Heartbeat, idle: bool, now: Moment) -> Watermark {
        self.presence.heartbeat(heartbeat, idle, now)
    }

    /// Which stream the cursor is of, and where it stands.
    ///
    /// # Panics
    ///
    /// The database refuses.
    #[must_use]
    pub fn position(&self) -> (i64, u64) {
        let at = site::position(&self.db).expect("a database");
        (at.generation, at.cursor)
    }

    /// The stream is another one than before.
    ///
    /// # Panics
    ///
    /// The database refuses.
    pub fn begin_stream(&mut self, generation: i64) {
        if self.position().0 != 0 {
            self.presence.replay_all();
        }
        self.write(|db| site::restart(db, generation, 0))
            .expect("a database");
    }

    /// Applies messages of the stream in one transaction: position, subject and body of each.
    ///
    /// # Panics
    ///
    /// A message is none of an agent's, or the database refuses.
    pub fn apply(&mut self, messages: &[(u64, String, Vec<u8>)], now: UtcMillis) {
        let incoming = messages.iter().map(|(position, subject, body)| {
            let content: Batch = item_by_item(subject, body).expect("an agent's batch");
            Incoming {
                position: *position,
                subject: subject.clone(),
                content: Ok(content),
            }
        });
        let incoming = incoming.collect();
        let applied = self
            .write(|db| store::apply(db, incoming, now))
            .expect("a database");
        for (site, (epoch, ledger)) in &applied.spools {
            self.presence.applied(site, *epoch, ledger);
        }
    }

    /// Compares the bucket with the database, as after a start. `stored` tells the document of a site
    /// and its revision in the bucket.
    ///
    /// # Panics
    ///
    /// The database refuses.
    pub fn verify(&mut self, stored: impl Fn(&SiteId) -> Option<(u64, WantRevision)>) {
        let mut differ = Vec::new();
        for (row, site, known) in site::all(&self.db).expect("a database") {
            let found = stored(&site);
            let revision = found.map_or(WantRevision(0), |(_, revision)| revision);
            let at_least = if revision > known {
                fanout::next_revision(known, revision)
            } else {
                known
            };
            differ.push(Written {
                row,
                revision,
                bucket: found.map(|(bucket, _)| bucket),
                at_least,
            });
        }
        self.write(|db| site::written(db, &differ))
            .expect("a database");
    }

    /// Writes outdated documents by `put`, which tells the new revision in the bucket, or nothing
    /// where the expected one is not there or the answer was lost. Returns whether all were written.
    ///
    /// # Panics
    ///
    /// The database refuses.
    pub fn publish(
        &mut self,
        now: UtcMillis,
        mut put: impl FnMut(&WantDoc, Option<u64>) -> Option<u64>,
    ) -> bool {
        let dirty = site::dirty(&self.db, 64).expect("a database");
        let mut whole = true;
        let mut done = Vec::new();
        for want in dirty {
            let doc = fanout::document(
                &want.site,
                want.revision,
                now,
                want.jobs,
                fanout::Told::default(),
            );
            match put(&doc, want.bucket) {
                Some(bucket) => {
                    self.presence.want_written(&want.site, want.revision);
                    done.push(Written {
                        row: want.row,
                        revision: want.revision,
                        bucket: Some(bucket),
                        at_least: want.revision,
                    });
                }
                None => whole = false,
            }
        }
        self.write(|db| site::written(db, &done))
            .expect("a database");
        whole
    }

    /// A job as operators see it, with its first sites.
    ///
    /// # Panics
    ///
    /// The database refuses.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<JobView> {
        let shown = job::view(&self.db, id, "").expect("a database");
        shown.map(|(job, _)| job)
    }

    /// All rows of a job.
    ///
    /// # Panics
    ///
    /// The database refuses.
    #[must_use]
    pub fn results(&self, id: JobId) -> Vec<ResultRow> {
        let request = ReadResults {
            job: id,
            cursor: String::new(),
            limit: 0,
            site: None,
            after: None,
        };
        job::page(&self.db, &request, &BTreeSet::new())
            .expect("a page")
            .rows
    }

    /// All changes in the order of recording.
    ///
    /// # Panics
    ///
    /// The database refuses.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        let mut rows = Vec::new();
        let mut after = 0;
        loop {
            let request = ListChanges {
                after: Some(after),
                ..ListChanges::default()
            };
            let page = change::list(&self.db, &request).expect("a page");
            if page.rows.is_empty() {
                return rows;
            }
            rows.extend(page.rows);
            after = page.position;
        }
    }
}
