//! Taking back what an earlier job changed: its reports hold what there was before.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::answer::Answer;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::id::JobId;
use tvtfleet_proto::model::report::DeviceReport;
use tvtfleet_proto::wire::v1;

use crate::jobs::select::{Filter, Value};

use super::columns::JobRow;
use super::error::DbError;
use super::job_rows;
use super::pack::unpack;

/// What may have been changed: where it is unknown, setting the old value does no harm.
const TO_UNDO: [&str; 3] = ["changed", "unknown", "failed"];

/// Keeps of the devices that a new job means those that an earlier job reported of.
///
/// # Errors
///
/// `job.unknown`; `usage.invalid` for a job that set something else.
pub(super) fn only_changed(
    db: &Connection,
    undo: JobId,
    ask: Ask,
    filter: &mut Filter,
) -> Result<(), DbError> {
    let mut query = db.prepare_cached("SELECT id, spec FROM jobs WHERE uuid = ?1")?;
    let mut rows = query.query([undo.uuid().as_bytes()])?;
    let Some(found) = rows.next()? else {
        let message = format!("there is no job {undo}");
        return Err(DbError::refused(
            ErrorCode::JobUnknown,
            message,
            "see `tvtctl jobs`",
        ));
    };
    let row: JobRow = found.get("id")?;
    if job_rows::read_spec(found)?.work.ask != ask {
        let message = format!("job {undo} is no {ask}, it cannot be undone with one");
        return Err(DbError::refused(ErrorCode::UsageInvalid, message, ""));
    }
    filter.also(
        "d.id IN (SELECT coalesce(o.absorbed_into, o.id) FROM job_results r
                  JOIN devices o ON o.id = r.device WHERE r.job = ?)",
        [Value::Number(row.0)],
    );
    Ok(())
}

/// The settings of a device before an earlier job changed them; empty where it changed nothing.
pub(super) fn settings(
    db: &Connection,
    undo: JobId,
    device: i64,
) -> Result<BTreeMap<String, String>, DbError> {
    let Some((row, _)) = job_rows::find(db, undo)? else {
        return Ok(BTreeMap::new());
    };
    let mut query = db.prepare_cached(
        "SELECT r.report FROM job_results r JOIN devices o ON o.id = r.device
         WHERE r.job = ?1 AND coalesce(o.absorbed_into, o.id) = ?2",
    )?;
    let body: Option<Vec<u8>> = query
        .query_row(params![row, device], |row| row.get(0))
        .optional()?;
    let Some(body) = body else {
        return Ok(BTreeMap::new());
    };
    let wire: v1::DeviceReport = unpack("report", &body)?;
    let changes = match DeviceReport::try_from(wire)
        .ok()
        .and_then(|report| report.answer)
    {
        Some(Answer::Changes(changes)) => changes,
        _ => Vec::new(),
    };
    let undone = changes.into_iter().filter(|change| {
        let outcome = change.outcome.as_deref().unwrap_or_default();
        change.channel.is_none() && TO_UNDO.contains(&outcome)
    });
    Ok(undone
        .filter_map(|change| change.setting.zip(change.old))
        .collect())
}
