//! The canary of a job that changes devices of several sites, on the tables.

use rusqlite::Connection;

use tvtfleet_proto::model::time::UtcMillis;

use crate::jobs::canary::{Gate, gate, size};
use crate::jobs::tracker::{JobTrack, SiteTrack};

use super::columns::JobRow;
use super::error::DbError;
use super::{job_rows, wants};

/// The place of the site that comes first.
pub(super) const FIRST: i64 = 0;

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
