//! Takes out what is older than the settings keep, a few rows at a time.
//!
//! Jobs go with their targets and results, oldest first. A state of a device goes only once no job is
//! left that may have results of its time: results refer to states.

use rusqlite::{Connection, OptionalExtension, params};

use tvtfleet_proto::model::time::UtcMillis;

use super::audit_rows;
use super::columns::JobRow;
use super::error::DbError;

/// What is older goes; `None` keeps it for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cutoffs {
    /// Jobs that ended before, with their results.
    pub(crate) jobs: Option<UtcMillis>,
    /// States of devices that ended before.
    pub(crate) states: Option<UtcMillis>,
    /// Changes recorded before.
    pub(crate) changes: Option<UtcMillis>,
    /// Messages set aside before.
    pub(crate) quarantine: Option<UtcMillis>,
    /// Rows of the audit recorded before.
    pub(crate) audit: Option<UtcMillis>,
    /// What the audit says of when that was.
    pub(crate) now: UtcMillis,
}

/// Takes out at most `portion` rows. Returns how many; 0 where nothing is left to take out.
pub(crate) fn prune(db: &Connection, cutoffs: &Cutoffs, portion: u32) -> Result<usize, DbError> {
    if let Some(before) = cutoffs.jobs {
        let gone = prune_job(db, before, portion)?;
        if gone > 0 {
            return Ok(gone);
        }
    }
    if let Some(before) = cutoffs.states {
        let oldest: Option<i64> =
            db.query_row("SELECT min(submitted_at) FROM jobs", [], |row| row.get(0))?;
        let before = oldest.map_or(before.millis(), |oldest| oldest.min(before.millis()));
        let gone = take(db, "device_states", "valid_to", before, portion)?;
        if gone > 0 {
            return Ok(gone);
        }
    }
    if let Some(before) = cutoffs.changes {
        let gone = take(db, "changes", "at", before.millis(), portion)?;
        if gone > 0 {
            return Ok(gone);
        }
    }
    if let Some(before) = cutoffs.quarantine {
        let gone = take(db, "quarantine", "at", before.millis(), portion)?;
        if gone > 0 {
            return Ok(gone);
        }
    }
    // What nobody takes any more is not kept, sealed as it is.
    let gone = db
        .prepare_cached(
            "UPDATE credential_pushes SET document = NULL
             WHERE document IS NOT NULL AND not_after < ?1",
        )?
        .execute([cutoffs.now.millis()])?;
    if gone > 0 {
        return Ok(gone);
    }
    match cutoffs.audit {
        Some(before) => audit_rows::prune(db, before, cutoffs.now, portion),
        None => Ok(0),
    }
}

fn take(
    db: &Connection,
    table: &str,
    column: &str,
    before: i64,
    portion: u32,
) -> Result<usize, DbError> {
    let sql = format!(
        "DELETE FROM {table} WHERE id IN
           (SELECT id FROM {table} WHERE {column} < ?1 ORDER BY {column} LIMIT ?2)"
    );
    Ok(db.prepare_cached(&sql)?.execute(params![before, portion])?)
}

/// Takes out part of the oldest job that has ended before, and the job itself with its last row.
fn prune_job(db: &Connection, before: UtcMillis, portion: u32) -> Result<usize, DbError> {
    let mut query =
        db.prepare_cached("SELECT id FROM jobs WHERE ended_at < ?1 ORDER BY ended_at, id LIMIT 1")?;
    let job: Option<JobRow> = query
        .query_row([before.millis()], |row| row.get(0))
        .optional()?;
    let Some(job) = job else { return Ok(0) };
    for table in ["job_results", "job_targets"] {
        let sql = format!(
            "DELETE FROM {table} WHERE job = ?1 AND (ordinal, number) IN
               (SELECT ordinal, number FROM {table} WHERE job = ?1 LIMIT ?2)"
        );
        let gone = db.prepare_cached(&sql)?.execute(params![job, portion])?;
        if gone > 0 {
            return Ok(gone);
        }
    }
    let sites = db
        .prepare_cached("DELETE FROM job_sites WHERE job = ?1")?
        .execute([job])?;
    db.prepare_cached("DELETE FROM jobs WHERE id = ?1")?
        .execute([job])?;
    Ok(sites.saturating_add(1))
}
