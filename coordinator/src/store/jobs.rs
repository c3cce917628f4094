//! Listing, stopping and expiring jobs.

use rusqlite::{Connection, OptionalExtension, params};

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{ListJobs, Page};
use tvtfleet_proto::model::id::JobId;
use tvtfleet_proto::model::job::JobView;
use tvtfleet_proto::model::time::UtcMillis;

use crate::jobs::tracker::{Grace, SiteTrack};

use super::columns::job_id;
use super::error::DbError;
use super::paging::Room;
use super::{canary, job_rows, wants};

/// Lists jobs, newest first.
pub(crate) fn list(db: &Connection, request: &ListJobs) -> Result<Page<JobView>, DbError> {
    job_rows::views(db, request.before, Room::new(request.limit))
}

/// The newest job.
pub(crate) fn newest(db: &Connection) -> Result<Option<JobId>, DbError> {
    let mut query = db.prepare_cached("SELECT uuid FROM jobs ORDER BY uuid DESC LIMIT 1")?;
    let uuid: Option<Vec<u8>> = query.query_row([], |row| row.get(0)).optional()?;
    uuid.map(|uuid| job_id(&uuid)).transpose()
}

/// Stops a job. Returns whether anything changed; a job that has ended stays as it is.
pub(crate) fn cancel(db: &Connection, job: JobId, now: UtcMillis) -> Result<bool, DbError> {
    let Some((row, mut track)) = job_rows::find(db, job)? else {
        let hint = "see `tvtctl jobs`";
        return Err(DbError::refused(
            ErrorCode::JobUnknown,
            format!("there is no job {job}"),
            hint,
        ));
    };
    if !track.cancel(now) {
        return Ok(false);
    }
    for (site, ordinal, mut state) in job_rows::open_sites(db, row)? {
        if state.cancel() {
            job_rows::save_site(db, row, ordinal, &state)?;
            job_rows::site_ended(db, &mut track, site, &state, now)?;
        } else {
            wants::advance(db, site)?;
        }
    }
    job_rows::save(db, row, &track)?;
    Ok(true)
}

/// The jobs that may have a site to end by the clock.
pub(crate) fn due(db: &Connection, grace: &Grace, now: UtcMillis) -> Result<Vec<JobId>, DbError> {
    let mut query = db.prepare_cached(
        "SELECT uuid FROM jobs WHERE state = 'open' AND (deadline_at <= ?1 OR cancelled_at <= ?2
             OR braked AND EXISTS (SELECT 1 FROM job_sites s WHERE s.job = jobs.id
                                   AND s.state = 'accepted' AND s.braked_at <= ?2))",
    )?;
    let mut rows = query.query(params![now.millis(), now.before(grace.cancel).millis()])?;
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        let uuid: Vec<u8> = row.get(0)?;
        due.push(job_id(&uuid)?);
    }
    Ok(due)
}

/// Ends the sites of a job whose time is up. Returns how many ended.
pub(crate) fn expire(
    db: &Connection,
    job: JobId,
    grace: &Grace,
    now: UtcMillis,
) -> Result<usize, DbError> {
    let Some((row, mut track)) = job_rows::find(db, job)? else {
        return Ok(0);
    };
    let held = canary::holds(db, row)?;
    let mut ended = 0_usize;
    for (site, ordinal, mut state) in job_rows::open_sites(db, row)? {
        if SiteTrack::tick(&mut state, &track, grace, now) {
            if held && ordinal != canary::FIRST && !state.accepted {
                state.reason = Some(ErrorCode::ChangeStopped);
            }
            job_rows::save_site(db, row, ordinal, &state)?;
            job_rows::site_ended(db, &mut track, site, &state, now)?;
            ended = ended.saturating_add(1);
        }
    }
    if ended > 0 {
        job_rows::save(db, row, &track)?;
    }
    Ok(ended)
}
