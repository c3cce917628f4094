//! Rows of jobs and of their sites: the stored form of the tracker's state.

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension, Row, params};

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::Page;
use tvtfleet_proto::model::id::{JobId, Sequence};
use tvtfleet_proto::model::job::{DeviceCounts, JobSpec, JobView, SiteJobView, WorkOptions};
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::SiteOutcome;
use tvtfleet_proto::wire::v1;

use crate::jobs::tracker::{Announced, JobTrack, SiteTrack};

use super::columns::{
    JobRow, SiteRow, code, code_text, count, epoch, job_id, job_state, moment, optional_moment,
    signed, site_id, site_job_state, unsigned,
};
use super::error::DbError;
use super::pack::unpack;
use super::paging::{Placed, Room, bad_cursor, fill};
use super::{audit_rows, wants};

const TRACK: &str = "deadline_at, cancelled_at, braked, ended_at, state, sites_total, sites_ended,
    sites_expired, total, ok, failed, channels, version";
const SITE_TRACK: &str = "ordinal, state, accepted, reason, total, ok, failed, channels,
    refused, left_out, braked_at, done_outcome, done_reason, done_epoch, done_records, done_first, done_last";

/// Finds a job.
pub(super) fn find(db: &Connection, job: JobId) -> Result<Option<(JobRow, JobTrack)>, DbError> {
    let sql = format!("SELECT id, {TRACK} FROM jobs WHERE uuid = ?1");
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query([job.uuid().as_bytes()])?;
    match rows.next()? {
        Some(row) => Ok(Some((row.get("id")?, read_track(row)?))),
        None => Ok(None),
    }
}

/// Writes what the tracker says of a job, as a new version of it. The end of a job goes into the
/// audit, once.
pub(super) fn save(db: &Connection, row: JobRow, track: &JobTrack) -> Result<(), DbError> {
    let ends = track.ended_at.is_some() && {
        let mut query = db.prepare_cached("SELECT ended_at IS NULL FROM jobs WHERE id = ?1")?;
        query.query_row([row], |row| row.get(0))?
    };
    let mut query = db.prepare_cached(
        "UPDATE jobs SET cancelled_at = ?2, ended_at = ?3, state = ?4, sites_ended = ?5,
                sites_expired = ?6, ok = ?7, failed = ?8, channels = ?9, braked = ?10, total = ?11,
                version = version + 1
         WHERE id = ?1",
    )?;
    query.execute(params![
        row,
        track.cancelled_at.map(UtcMillis::millis),
        track.ended_at.map(UtcMillis::millis),
        track.state.as_str(),
        track.sites_ended,
        track.sites_expired,
        track.devices.ok,
        track.devices.failed,
        signed(track.devices.channels),
        track.braked,
        track.devices.total,
    ])?;
    if ends {
        audit_rows::ended(db, row, track)?;
    }
    Ok(())
}

/// When a job was submitted.
pub(super) fn submitted(db: &Connection, job: JobRow) -> Result<UtcMillis, DbError> {
    let mut query = db.prepare_cached("SELECT submitted_at FROM jobs WHERE id = ?1")?;
    Ok(query.query_row(params![job], |row| moment(row, "submitted_at"))?)
}

/// How a job is done.
pub(super) fn options(db: &Connection, job: JobRow) -> Result<Option<WorkOptions>, DbError> {
    let mut query = db.prepare_cached("SELECT spec FROM jobs WHERE id = ?1")?;
    let mut rows = query.query([job])?;
    match rows.next()? {
        Some(row) => Ok(Some(read_spec(row)?.work)),
        None => Ok(None),
    }
}

/// Whether devices that the sites of a job find join it.
pub(super) fn discovers(db: &Connection, job: JobRow) -> Result<bool, DbError> {
    Ok(options(db, job)?.is_some_and(|options| options.discover.is_some()))
}

/// Finds a site of a job, and its ordinal in it.
pub(super) fn find_site(
    db: &Connection,
    job: JobRow,
    site: SiteRow,
) -> Result<Option<(i64, SiteTrack)>, DbError> {
    let sql = format!("SELECT {SITE_TRACK} FROM job_sites WHERE job = ?1 AND site = ?2");
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(params![job, site])?;
    match rows.next()? {
        Some(row) => Ok(Some((row.get("ordinal")?, read_site_track(row)?))),
        None => Ok(None),
    }
}

/// The site at a place of a job.
pub(super) fn site_at(
    db: &Connection,
    job: JobRow,
    ordinal: i64,
) -> Result<Option<SiteTrack>, DbError> {
    let sql = format!("SELECT {SITE_TRACK} FROM job_sites WHERE job = ?1 AND ordinal = ?2");
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(params![job, ordinal])?;
    rows.next()?.map(read_site_track).transpose()
}

/// The open sites of a job: row, ordinal and state.
pub(super) fn open_sites(
    db: &Connection,
    job: JobRow,
) -> Result<Vec<(SiteRow, i64, SiteTrack)>, DbError> {
    let sql = format!(
        "SELECT site, {SITE_TRACK} FROM job_sites
         WHERE job = ?1 AND state IN ('waiting', 'accepted') ORDER BY ordinal"
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query([job])?;
    let mut sites = Vec::new();
    while let Some(row) = rows.next()? {
        sites.push((row.get("site")?, row.get("ordinal")?, read_site_track(row)?));
    }
    Ok(sites)
}

/// Writes what the tracker says of a site of a job.
pub(super) fn save_site(
    db: &Connection,
    job: JobRow,
    ordinal: i64,
    track: &SiteTrack,
) -> Result<(), DbError> {
    let mut query = db.prepare_cached(
        "UPDATE job_sites SET state = ?3, accepted = ?4, reason = ?5, ok = ?6, failed = ?7,
                channels = ?8, done_outcome = ?9, done_reason = ?10, done_epoch = ?11,
                done_records = ?12, done_first = ?13, done_last = ?14, refused = ?15,
                left_out = ?16, braked_at = ?17, total = ?18
         WHERE job = ?1 AND ordinal = ?2",
    )?;
    let done = track.announced.as_ref();
    let (outcome, reason) = done.map(|done| outcome_text(done.outcome)).unzip();
    query.execute(params![
        job,
        ordinal,
        track.state.as_str(),
        track.accepted,
        code_text(track.reason),
        track.devices.ok,
        track.devices.failed,
        signed(track.devices.channels),
        outcome,
        reason,
        done.map(|done| done.epoch.uuid().into_bytes()),
        done.map(|done| done.records),
        done.and_then(|done| done.range)
            .map(|(first, _)| signed(first.0)),
        done.and_then(|done| done.range)
            .map(|(_, last)| signed(last.0)),
        track.refused,
        track.left_out,
        track.braked_at.map(UtcMillis::millis),
        track.devices.total,
    ])?;
    Ok(())
}

/// Notes that a site of a job has ended: its entry leaves the want document.
pub(super) fn site_ended(
    db: &Connection,
    job: &mut JobTrack,
    site: SiteRow,
    track: &SiteTrack,
    now: UtcMillis,
) -> Result<(), DbError> {
    job.site_ended(track.state, now);
    wants::advance(db, site)
}

/// The version of a job; it grows with every change.
pub(crate) fn version(db: &Connection, job: JobId) -> Result<Option<u64>, DbError> {
    let mut query = db.prepare_cached("SELECT version FROM jobs WHERE uuid = ?1")?;
    let version = query
        .query_row([job.uuid().as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(version.map(unsigned))
}

/// A job with a page of its sites, and where the next page begins. Whether the sites are online is
/// for the caller to fill in.
pub(crate) fn view(
    db: &Connection,
    job: JobId,
    cursor: &str,
) -> Result<Option<(JobView, Option<String>)>, DbError> {
    let sql = format!(
        "SELECT id, uuid, spec, submitted_by, submitted_at, {TRACK} FROM jobs WHERE uuid = ?1"
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query([job.uuid().as_bytes()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let mut view = read_view(row)?;
    let page = site_views(db, row.get("id")?, cursor)?;
    view.sites = page.rows;
    Ok(Some((view, page.next)))
}

/// A page of jobs without their sites, newest first.
pub(super) fn views(
    db: &Connection,
    before: Option<JobId>,
    room: Room,
) -> Result<Page<JobView>, DbError> {
    let sql = format!(
        "SELECT uuid, spec, submitted_by, submitted_at, {TRACK} FROM jobs
         WHERE ?1 IS NULL OR uuid < ?1 ORDER BY uuid DESC LIMIT ?2"
    );
    let mut query = db.prepare_cached(&sql)?;
    let before = before.map(|job| job.uuid().into_bytes());
    let mut rows = query.query(params![before, room.asked()])?;
    fill(&mut rows, room, |row| {
        let view = read_view(row)?;
        Ok(Placed {
            bytes: v1::JobView::from(view.clone()).encoded_len(),
            cursor: view.id.to_string(),
            row: view,
        })
    })
}

/// Reads the `spec` column.
pub(super) fn read_spec(row: &Row<'_>) -> Result<JobSpec, DbError> {
    let body: Vec<u8> = row.get("spec")?;
    let wire: v1::JobSpec = unpack("job", &body)?;
    wire.try_into()
        .map_err(|error| DbError::damaged("job", error))
}

fn site_views(db: &Connection, job: JobRow, cursor: &str) -> Result<Page<SiteJobView>, DbError> {
    let after: i64 = match cursor {
        "" => -1,
        cursor => cursor.parse().map_err(|_| bad_cursor(cursor))?,
    };
    let room = Room::new(0);
    let mut query = db.prepare_cached(
        "SELECT s.tenant, s.name, s.display_name, s.last_seen, j.state, j.reason, j.total, j.ok,
                j.failed, j.channels, j.ordinal
         FROM job_sites j JOIN sites s ON s.id = j.site
         WHERE j.job = ?1 AND j.ordinal > ?2 ORDER BY j.ordinal LIMIT ?3",
    )?;
    let mut rows = query.query(params![job, after, room.asked()])?;
    fill(&mut rows, room, |row| {
        let view = read_site_view(row)?;
        Ok(Placed {
            bytes: v1::SiteJobView::from(view.clone()).encoded_len(),
            cursor: row.get::<_, i64>("ordinal")?.to_string(),
            row: view,
        })
    })
}

fn read_site_view(row: &Row<'_>) -> Result<SiteJobView, DbError> {
    let tenant: String = row.get("tenant")?;
    let name: String = row.get("name")?;
    let state: String = row.get("state")?;
    let reason: String = row.get("reason")?;
    Ok(SiteJobView {
        site: site_id(&tenant, &name)?,
        display_name: row.get("display_name")?,
        state: site_job_state(&state)?,
        online: false,
        last_seen: optional_moment(row, "last_seen")?,
        devices: read_counts(row)?,
        reason: code(&reason),
    })
}

fn read_view(row: &Row<'_>) -> Result<JobView, DbError> {
    let uuid: Vec<u8> = row.get("uuid")?;
    let track = read_track(row)?;
    let spec = read_spec(row)?;
    let reason = if spec.work.ask.changes_device() {
        ErrorCode::ChangeStopped
    } else {
        ErrorCode::JobBraked
    };
    Ok(JobView {
        id: job_id(&uuid)?,
        spec,
        submitted_by: row.get("submitted_by")?,
        submitted_at: moment(row, "submitted_at")?,
        deadline_at: track.deadline_at,
        ended_at: track.ended_at,
        state: track.state,
        devices: track.devices,
        sites_total: track.sites_total,
        sites_ended: track.sites_ended,
        version: track.version,
        reason: track.braked.then_some(reason),
        sites: Vec::new(),
    })
}

fn read_track(row: &Row<'_>) -> Result<JobTrack, DbError> {
    let state: String = row.get("state")?;
    Ok(JobTrack {
        state: job_state(&state)?,
        deadline_at: moment(row, "deadline_at")?,
        cancelled_at: optional_moment(row, "cancelled_at")?,
        braked: row.get("braked")?,
        ended_at: optional_moment(row, "ended_at")?,
        sites_total: count(row.get("sites_total")?),
        sites_ended: count(row.get("sites_ended")?),
        sites_expired: count(row.get("sites_expired")?),
        devices: read_counts(row)?,
        version: unsigned(row.get("version")?),
    })
}

pub(super) fn read_site_track(row: &Row<'_>) -> Result<SiteTrack, DbError> {
    let state: String = row.get("state")?;
    let reason: String = row.get("reason")?;
    Ok(SiteTrack {
        state: site_job_state(&state)?,
        accepted: row.get("accepted")?,
        devices: read_counts(row)?,
        announced: read_announced(row)?,
        reason: code(&reason),
        refused: count(row.get("refused")?),
        left_out: count(row.get("left_out")?),
        braked_at: optional_moment(row, "braked_at")?,
    })
}

fn read_announced(row: &Row<'_>) -> Result<Option<Announced>, DbError> {
    let Some(outcome) = row.get::<_, Option<String>>("done_outcome")? else {
        return Ok(None);
    };
    let reason: String = row.get("done_reason")?;
    let of_epoch: Vec<u8> = row.get("done_epoch")?;
    let first: Option<i64> = row.get("done_first")?;
    let last: Option<i64> = row.get("done_last")?;
    let sequence = |number| Sequence(unsigned(number));
    Ok(Some(Announced {
        epoch: epoch(&of_epoch)?,
        outcome: match outcome.as_str() {
            "complete" => SiteOutcome::Complete,
            "cancelled" => SiteOutcome::Cancelled,
            "expired" => SiteOutcome::Expired,
            "refused" => SiteOutcome::Refused(code(&reason).unwrap_or(ErrorCode::Internal)),
            other => return Err(DbError::damaged("site outcome", other)),
        },
        records: count(row.get("done_records")?),
        range: first
            .zip(last)
            .map(|(first, last)| (sequence(first), sequence(last))),
    }))
}

const fn outcome_text(outcome: SiteOutcome) -> (&'static str, &'static str) {
    match outcome {
        SiteOutcome::Complete => ("complete", ""),
        SiteOutcome::Cancelled => ("cancelled", ""),
        SiteOutcome::Expired => ("expired", ""),
        SiteOutcome::Refused(code) => ("refused", code.as_str()),
    }
}

fn read_counts(row: &Row<'_>) -> rusqlite::Result<DeviceCounts> {
    Ok(DeviceCounts {
        total: count(row.get("total")?),
        ok: count(row.get("ok")?),
        failed: count(row.get("failed")?),
        channels: unsigned(row.get("channels")?),
    })
}
