//! The canary of a job that changes devices of several sites, on the tables.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::time::UtcMillis;

use crate::jobs::canary::{Gate, gate, size, stop_after};
use crate::jobs::tracker::{JobTrack, SiteTrack};

use super::columns::{JobRow, count};
use super::error::DbError;
use super::{job_rows, wants};

/// The place of the site that comes first.
pub(super) const FIRST: i64 = 0;

/// Puts the first site whose agent is there in the first place: one that is away would hold up all others
/// until the job's time is over.
pub(super) fn choose(
    db: &Connection,
    job: JobRow,
    online: &BTreeSet<SiteId>,
) -> Result<(), DbError> {
    let mut query = db.prepare_cached(
        "SELECT j.ordinal, s.tenant || '/' || s.name FROM job_sites j JOIN sites s ON s.id = j.site
         WHERE j.job = ?1 ORDER BY j.ordinal",
    )?;
    let mut rows = query.query([job])?;
    let mut there = None;
    while let Some(row) = rows.next()? {
        let name: String = row.get(1)?;
        if name
            .parse()
            .is_ok_and(|site: SiteId| online.contains(&site))
        {
            there = Some(row.get::<_, i64>(0)?);
            break;
        }
    }
    let Some(there) = there.filter(|place| *place != FIRST) else {
        return Ok(());
    };
    for table in ["job_sites", "job_targets"] {
        let sql = format!("UPDATE {table} SET ordinal = ?3 WHERE job = ?1 AND ordinal = ?2");
        for (from, to) in [(FIRST, -1), (there, FIRST), (-1, there)] {
            db.execute(&sql, params![job, from, to])?;
        }
    }
    Ok(())
}

/// Stops the changes of a job at all sites where too many devices have failed, those that were left out
/// because of others not counted. Returns whether anything changed.
pub(super) fn stop(
    db: &Connection,
    row: JobRow,
    job: &mut JobTrack,
    now: UtcMillis,
) -> Result<bool, DbError> {
    if job.sites_total < 2 || job.devices.failed == 0 || job.braked {
        return Ok(false);
    }
    let Some(most) = job_rows::options(db, row)?.as_ref().and_then(stop_after) else {
        return Ok(false);
    };
    let mut query = db.prepare_cached(
        "SELECT coalesce(sum(failed - left_out), 0) FROM job_sites WHERE job = ?1",
    )?;
    let failed = count(query.query_row([row], |row| row.get(0))?);
    if failed < most {
        return Ok(false);
    }
    let mut stopped = 0_usize;
    for (site, ordinal, mut track) in job_rows::open_sites(db, row)? {
        if !track.stop_changes(now) {
            continue;
        }
        stopped = stopped.saturating_add(1);
        job_rows::save_site(db, row, ordinal, &track)?;
        if track.state.is_terminal() {
            job_rows::site_ended(db, job, site, &track, now)?;
        } else {
            wants::advance(db, site)?;
        }
    }
    if stopped > 0 {
        job.braked = true;
        tracing::warn!(
            failed,
            sites = stopped,
            "changes failed at too many devices, the rest of the job is stopped"
        );
    }
    Ok(stopped > 0)
}

/// Whether the other sites of a job wait for its first one, or are left alone because of it.
pub(super) fn is_closed(db: &Connection, job: JobRow, canary: u32) -> Result<bool, DbError> {
    let first = job_rows::site_at(db, job, FIRST)?;
    Ok(first.is_some_and(|first| gate(canary, &first) != Gate::Open))
}

/// The same for a job of which only the row is known.
pub(super) fn holds(db: &Connection, job: JobRow) -> Result<bool, DbError> {
    match job_rows::options(db, job)?.as_ref().and_then(size) {
        Some(canary) => is_closed(db, job, canary),
        None => Ok(false),
    }
}

/// Tells the other sites of a job, or leaves them alone, where the first one has decided that just now.
/// Returns whether anything changed.
pub(super) fn decide(
    db: &Connection,
    row: JobRow,
    job: &mut JobTrack,
    (before, after): (&SiteTrack, &SiteTrack),
    now: UtcMillis,
) -> Result<bool, DbError> {
    if job.sites_total < 2 {
        return Ok(false);
    }
    let Some(canary) = job_rows::options(db, row)?.as_ref().and_then(size) else {
        return Ok(false);
    };
    let decision = gate(canary, after);
    if decision == Gate::Waits || decision == gate(canary, before) {
        return Ok(false);
    }
    let mut changed = false;
    for (site, ordinal, mut track) in job_rows::open_sites(db, row)? {
        if ordinal == FIRST || track.accepted {
            continue;
        }
        changed = true;
        if decision == Gate::Open {
            wants::advance(db, site)?;
        } else if track.hold_back() {
            job_rows::save_site(db, row, ordinal, &track)?;
            job_rows::site_ended(db, job, site, &track, now)?;
        }
    }
    if changed && decision == Gate::Stopped {
        tracing::warn!(
            "the first devices were not changed, the other sites of the job are left alone"
        );
    }
    Ok(changed)
}
