//! Applies messages of the results stream: reports, events, high-water marks and cursor in the one
//! transaction of the caller.
//!
//! Whatever is repeated falls out, first by its sequence number and then by its natural key (job,
//! site, target). Whatever makes no sense is set aside with the reason and holds nothing up.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use rusqlite::{Connection, OptionalExtension, params};

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::discovery::Searched;
use tvtfleet_proto::model::id::{Epoch, JobId, Sequence, SiteId, TenantId};
use tvtfleet_proto::model::job::SiteJobState;
use tvtfleet_proto::model::report::DeviceReport;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::{OutItem, SiteEvent};
use tvtfleet_proto::wire::v1;

use crate::jobs::tracker::{Announced, JobTrack, SiteTrack};
use crate::ledger::{Ledger, Mark};

use super::columns::{DeviceRow, JobRow, SiteRow, job_id};
use super::device_rows::Place;
use super::error::DbError;
use super::found::{self, Part};
use super::producers::{self, Speaker};
use super::report::{Asked, Kept, apply_report};
use super::state::{Item, State};
use super::{brake, canary, job_rows, pictures, pushes, quarantine, sighting, sites, stream};

/// The most devices of one site of a job, those found among them.
const TARGETS_MAX: u32 = 100_000;

/// A message of the stream, as far as it could be read.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    /// Its position in the stream.
    pub(crate) position: u64,
    /// The subject under which it was stored.
    pub(crate) subject: String,
    /// What it says.
    pub(crate) content: Result<Batch, Unreadable>,
}

/// A batch whose outer form is sound.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// The site, of the subject and the message alike.
    pub(crate) site: SiteId,
    /// The life of the spool.
    pub(crate) epoch: Epoch,
    /// The position in it.
    pub(crate) sequence: Sequence,
    /// What it carries; what cannot be read stays one item among others.
    pub(crate) items: Vec<Result<Item, Unreadable>>,
}

/// Something that cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct Unreadable {
    /// The stable code.
    pub(crate) code: ErrorCode,
    /// What is wrong.
    pub(crate) reason: String,
    /// The bytes.
    pub(crate) body: Vec<u8>,
}

/// What a transaction did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Applied {
    /// What of each spool has been applied now.
    pub(crate) spools: BTreeMap<SiteId, (Epoch, Ledger)>,
    /// The jobs that changed.
    pub(crate) jobs: BTreeSet<JobId>,
    /// Whether the want document of a site changed.
    pub(crate) wants: bool,
    /// Reports that were new.
    pub(crate) reports: usize,
    /// Batches or reports that came again.
    pub(crate) duplicates: usize,
    /// Messages and items that were set aside.
    pub(crate) quarantined: usize,
}

/// Applies messages in their order and moves the cursor behind the last one.
pub(crate) fn apply(
    db: &Connection,
    messages: Vec<Incoming>,
    now: UtcMillis,
) -> Result<Applied, DbError> {
    let mut work = Work {
        db,
        now,
        speakers: BTreeMap::new(),
        ledgers: BTreeMap::new(),
        jobs: BTreeMap::new(),
        sites: BTreeMap::new(),
        refusals: BTreeSet::new(),
        applied: Applied::default(),
    };
    let last = messages.last().map(|message| message.position);
    for message in messages {
        work.message(message)?;
    }
    work.settle()?;
    work.save()?;
    if let Some(last) = last {
        stream::advance(db, last)?;
    }
    Ok(work.applied)
}

/// What has been read and changed in this transaction; written back once, at its end.
struct Work<'c> {
    db: &'c Connection,
    now: UtcMillis,
    speakers: BTreeMap<SiteId, Option<Speaker>>,
    ledgers: BTreeMap<(SiteRow, Epoch), Ledger>,
    jobs: BTreeMap<JobId, Option<Job>>,
    sites: BTreeMap<(JobId, SiteRow), Option<SiteOfJob>>,
    /// The tenants whose devices refused logins, by job.
    refusals: BTreeSet<(JobId, TenantId)>,
    applied: Applied,
}

struct Job {
    row: JobRow,
    track: JobTrack,
    /// Whether devices that its sites find join it.
    discovers: bool,
    /// When it was submitted: nothing of it was observed before.
    submitted: UtcMillis,
    changed: bool,
}

struct SiteOfJob {
    ordinal: i64,
    track: SiteTrack,
    changed: bool,
}

impl Work<'_> {
    fn message(&mut self, message: Incoming) -> Result<(), DbError> {
        let Incoming {
            position,
            subject,
            content,
        } = message;
        let batch = match content {
            Ok(batch) => batch,
            Err(error) => return self.set_aside(position, &subject, &error),
        };
        let refuse = |code, reason: &str| Unreadable {
            code,
            reason: reason.into(),
            body: Vec::new(),
        };
        let Some(speaker) = self.speaker(&batch.site)? else {
            // Nothing is lost: the agent keeps it until the site is known.
            let error = refuse(ErrorCode::SiteUnknown, "the site was never added");
            return self.set_aside(position, &subject, &error);
        };
        let Some(mark) = self.mark(&speaker, batch.epoch, batch.sequence)? else {
            let error = refuse(ErrorCode::SiteClaimed, "another agent speaks for the site");
            return self.set_aside(position, &subject, &error);
        };
        match mark {
            Mark::Duplicate => self.applied.duplicates = self.applied.duplicates.saturating_add(1),
            Mark::TooFar => {
                let error = refuse(
                    ErrorCode::MessageInvalid,
                    "too many batches are missing before it",
                );
                self.set_aside(position, &subject, &error)?;
            }
            Mark::Fresh => {
                for item in batch.items {
                    if let Err(error) = self.item(&speaker, batch.epoch, item)? {
                        self.set_aside(position, &subject, &error)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Marks a batch as applied; `None` where its epoch may not speak for the site.
    fn mark(
        &mut self,
        speaker: &Speaker,
        epoch: Epoch,
        sequence: Sequence,
    ) -> Result<Option<Mark>, DbError> {
        let key = (speaker.site, epoch);
        if !self.ledgers.contains_key(&key) {
            let ledger = match producers::load(self.db, speaker.site, epoch)? {
                Some(ledger) => ledger,
                // The hello of the first agent may still be on its way.
                None if speaker.holder.is_none() => {
                    sites::adopt_epoch(self.db, speaker.site, epoch)?;
                    if let Some(Some(speaker)) = self.speakers.get_mut(&speaker.id) {
                        speaker.holder = Some(epoch);
                    }
                    Ledger::default()
                }
                None => return Ok(None),
            };
            self.ledgers.insert(key, ledger);
        }
        Ok(self
            .ledgers
            .get_mut(&key)
            .map(|ledger| ledger.mark(sequence)))
    }

    /// Applies one item. The inner error says why it was set aside.
    fn item(
        &mut self,
        speaker: &Speaker,
        epoch: Epoch,
        item: Result<Item, Unreadable>,
    ) -> Result<Result<(), Unreadable>, DbError> {
        let Item { content, state } = match item {
            Ok(item) => item,
            Err(error) => return Ok(Err(error)),
        };
        match content {
            OutItem::Report(report) => self.report(speaker, report, state),
            OutItem::Searched(searched) => self.searched(speaker, *searched),
            OutItem::Credential(answer) => {
                self.applied.wants |= pushes::answered(self.db, speaker.site, &answer, self.now)?;
                Ok(Ok(()))
            }
            OutItem::Event(event) => {
                let (job, announced) = match event {
                    SiteEvent::Accepted { job, .. } => (job, None),
                    SiteEvent::Done {
                        job,
                        outcome,
                        records,
                        range,
                        ..
                    } => (
                        job,
                        Some(Announced {
                            epoch,
                            outcome,
                            records,
                            range,
                        }),
                    ),
                };
                let Some((_, site)) = self.job_and_site(job, speaker.site)? else {
                    return Ok(Err(foreign(job, Vec::new())));
                };
                site.changed |= match announced {
                    None => site.track.accept(),
                    Some(announced) => site.track.announce(announced),
                };
                Ok(Ok(()))
            }
        }
    }

    fn report(
        &mut self,
        speaker: &Speaker,
        report: Box<DeviceReport>,
        ready: Option<State>,
    ) -> Result<Result<(), Unreadable>, DbError> {
        let (db, now, id, number) = (self.db, self.now, report.job, report.target);
        let encode = |report: DeviceReport| v1::DeviceReport::from(report).encode_to_vec();
        let Some((job, site)) = self.job_and_site(id, speaker.site)? else {
            return Ok(Err(foreign(id, encode(*report))));
        };
        let key = params![job.row, site.ordinal, number.0];
        let target: Option<(DeviceRow, String, bool)> = db
            .prepare_cached(
                "SELECT t.device, t.address, r.job IS NOT NULL FROM job_targets t
                 LEFT JOIN job_results r USING (job, ordinal, number)
                 WHERE t.job = ?1 AND t.ordinal = ?2 AND t.number = ?3",
            )?
            .query_row(key, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        if target.as_ref().is_some_and(|(.., reported)| *reported) {
            self.applied.duplicates = self.applied.duplicates.saturating_add(1);
            return Ok(Ok(()));
        }
        let place = Place {
            row: speaker.site,
            site: speaker.id.clone(),
        };
        let part = Part {
            place: &place,
            job: job.row,
            ordinal: site.ordinal,
        };
        let (device, address) = match (target, report.found.is_some()) {
            (Some((device, address, _)), false) => (device, address),
            (Some((device, address, _)), true) => {
                found::note(db, &part, device, &report, now)?;
                (device, address)
            }
            (None, true) if job.discovers && site.track.devices.total < TARGETS_MAX => {
                site.track.devices.total = site.track.devices.total.saturating_add(1);
                job.track.devices.total = job.track.devices.total.saturating_add(1);
                found::add_target(db, &part, &report, now)?
            }
            (None, _) => return Ok(Err(foreign(id, encode(*report)))),
        };
        let success = report.is_success();
        let channels = u64::try_from(report.channels.len()).unwrap_or(u64::MAX);
        let refused = site.track.count_login(report.failure.as_ref());
        let asked = Asked {
            place: &place,
            job: job.row,
            submitted: job.submitted,
            ordinal: site.ordinal,
            device,
            address,
        };
        let taken = pictures::of_report(&report);
        let kept = if report.ask == Ask::Discover {
            // What was found has joined the inventory; nothing else was asked.
            Kept::whole(device, *report)
        } else {
            apply_report(db, &asked, *report, ready, now)?
        };
        pictures::note(db, &place, kept.device, (id, number.0), &taken, now)?;
        db.prepare_cached("INSERT INTO job_results VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![
                job.row,
                site.ordinal,
                number.0,
                kept.device,
                success,
                kept.state,
                kept.body
            ])?;
        site.track.reported(success, channels);
        job.track.reported(success, channels);
        (site.changed, job.changed) = (true, true);
        if refused {
            self.refusals.insert((id, speaker.id.tenant.clone()));
        }
        self.applied.reports = self.applied.reports.saturating_add(1);
        Ok(Ok(()))
    }

    fn searched(
        &mut self,
        speaker: &Speaker,
        searched: Searched,
    ) -> Result<Result<(), Unreadable>, DbError> {
        let (db, id) = (self.db, searched.job);
        let Some((job, site)) = self.job_and_site(id, speaker.site)? else {
            let body = v1::Searched::from(searched).encode_to_vec();
            return Ok(Err(foreign(id, body)));
        };
        let place = Place {
            row: speaker.site,
            site: speaker.id.clone(),
        };
        sighting::searched(db, job.row, site.ordinal, &place, searched)?;
        site.changed |= site.track.accept();
        Ok(Ok(()))
    }

    /// Ends the sites whose announced batches are all there now: any batch may close the gap that
    /// an earlier announcement waits for.
    fn settle(&mut self) -> Result<(), DbError> {
        let touched: BTreeSet<SiteRow> = self.ledgers.keys().map(|(site, _)| *site).collect();
        for site in touched {
            for job in announced_jobs(self.db, site)? {
                self.job_and_site(job, site)?;
            }
        }
        let mut sites = std::mem::take(&mut self.sites);
        for ((id, row), site) in &mut sites {
            let (Some(site), Some(Some(job))) = (site, self.jobs.get_mut(id)) else {
                continue;
            };
            let ledgers = &self.ledgers;
            let applied = |epoch, first, last| {
                ledgers
                    .get(&(*row, epoch))
                    .is_some_and(|ledger| ledger.covers(first, last))
            };
            if site.track.settle(applied) {
                if job.discovers && site.track.state == SiteJobState::Done {
                    sighting::mark_gone(self.db, job.row, site.ordinal, *row)?;
                }
                job_rows::site_ended(self.db, &mut job.track, *row, &site.track, self.now)?;
                (site.changed, job.changed) = (true, true);
                self.applied.wants = true;
            }
        }
        self.sites = sites;
        Ok(())
    }

    fn save(&mut self) -> Result<(), DbError> {
        for ((site, epoch), ledger) in &self.ledgers {
            producers::save(self.db, *site, *epoch, ledger)?;
            let speaker = self
                .speakers
                .values()
                .flatten()
                .find(|speaker| speaker.site == *site);
            if let Some(speaker) = speaker.filter(|speaker| speaker.holder == Some(*epoch)) {
                self.applied
                    .spools
                    .insert(speaker.id.clone(), (*epoch, ledger.clone()));
            }
        }
        for ((id, _), site) in &self.sites {
            let (Some(site), Some(Some(job))) = (site, self.jobs.get_mut(id)) else {
                continue;
            };
            if !site.changed {
                continue;
            }
            let before = if site.ordinal == canary::FIRST {
                job_rows::site_at(self.db, job.row, site.ordinal)?
            } else {
                None
            };
            job_rows::save_site(self.db, job.row, site.ordinal, &site.track)?;
            job.changed = true;
            if let Some(before) = before {
                let turn = (&before, &site.track);
                self.applied.wants |=
                    canary::decide(self.db, job.row, &mut job.track, turn, self.now)?;
            }
        }
        self.brake()?;
        for job in self.jobs.values_mut().flatten().filter(|job| job.changed) {
            self.applied.wants |= canary::stop(self.db, job.row, &mut job.track, self.now)?;
        }
        for (id, job) in &self.jobs {
            if let Some(job) = job.as_ref().filter(|job| job.changed) {
                job_rows::save(self.db, job.row, &job.track)?;
                self.applied.jobs.insert(*id);
            }
        }
        Ok(())
    }

    /// Stops the work of tenants whose devices refuse too many logins. After the sites are saved: the
    /// sums come from the tables.
    fn brake(&mut self) -> Result<(), DbError> {
        for (id, tenant) in &self.refusals {
            let Some(Some(job)) = self.jobs.get_mut(id) else {
                continue;
            };
            if brake::apply(self.db, job.row, &mut job.track, tenant, self.now)? {
                job.changed = true;
                self.applied.wants = true;
            }
        }
        Ok(())
    }

    fn speaker(&mut self, site: &SiteId) -> Result<Option<Speaker>, DbError> {
        if let Some(known) = self.speakers.get(site) {
            return Ok(known.clone());
        }
        let speaker = producers::speaker(self.db, site)?;
        self.speakers.insert(site.clone(), speaker.clone());
        Ok(speaker)
    }

    /// The job and its part at a site; `None` where the job is not known or not for the site.
    fn job_and_site(
        &mut self,
        job: JobId,
        site: SiteRow,
    ) -> Result<Option<(&mut Job, &mut SiteOfJob)>, DbError> {
        let db = self.db;
        if let std::collections::btree_map::Entry::Vacant(slot) = self.jobs.entry(job) {
            let found = job_rows::find(db, job)?;
            let found = match found {
                Some((row, track)) => Some(Job {
                    row,
                    track,
                    discovers: job_rows::discovers(db, row)?,
                    submitted: job_rows::submitted(db, row)?,
                    changed: false,
                }),
                None => None,
            };
            slot.insert(found);
        }
        let Some(Some(job_known)) = self.jobs.get_mut(&job) else {
            return Ok(None);
        };
        if let std::collections::btree_map::Entry::Vacant(slot) = self.sites.entry((job, site)) {
            let found = job_rows::find_site(db, job_known.row, site)?;
            slot.insert(found.map(|(ordinal, track)| SiteOfJob {
                ordinal,
                track,
                changed: false,
            }));
        }
        let Some(Some(site_known)) = self.sites.get_mut(&(job, site)) else {
            return Ok(None);
        };
        Ok(Some((job_known, site_known)))
    }

    fn set_aside(
        &mut self,
        position: u64,
        subject: &str,
        error: &Unreadable,
    ) -> Result<(), DbError> {
        self.applied.quarantined = self.applied.quarantined.saturating_add(1);
        let (code, reason) = (error.code, &error.reason);
        quarantine::add(
            self.db,
            self.now,
            position,
            subject,
            code,
            reason,
            &error.body,
        )
    }
}

/// An item of a job, or of a target, that this site was never given.
fn foreign(job: JobId, body: Vec<u8>) -> Unreadable {
    let reason = format!("this site has no such part in job {job}");
    Unreadable {
        code: ErrorCode::JobUnknown,
        reason,
        body,
    }
}

/// The open jobs of a site of which it has announced the end.
fn announced_jobs(db: &Connection, site: SiteRow) -> Result<Vec<JobId>, DbError> {
    let mut query = db.prepare_cached(
        "SELECT j.uuid FROM job_sites s JOIN jobs j ON j.id = s.job
         WHERE s.site = ?1 AND s.state IN ('waiting', 'accepted') AND s.done_outcome IS NOT NULL",
    )?;
    let mut rows = query.query([site])?;
    let mut jobs = Vec::new();
    while let Some(row) = rows.next()? {
        let uuid: Vec<u8> = row.get(0)?;
        jobs.push(job_id(&uuid)?);
    }
    Ok(jobs)
}
