//! Taking back what an earlier job changed: its reports hold what there was before.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::answer::Answer;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::id::JobId;
use tvtfleet_proto::model::order::{TARGET_SETTINGS_MAX, at_channel};
use tvtfleet_proto::model::report::DeviceReport;
use tvtfleet_proto::wire::v1;

use crate::jobs::select::{Filter, Value};

use super::columns::JobRow;
use super::error::DbError;
use super::job_rows;
use super::pack::unpack;

/// What may have been changed: where it is unknown, setting the old value does no harm.
const TO_UNDO: [&str; 3] = ["changed", "unknown", "failed"];

/// The setting that says which stream others are about.
const STREAM: &str = "stream";
/// The setting of clocks that has no old value to go back to.
const TIME: &str = "time";
/// How often one change is undone, and that undone again, in a row.
const UNDONE_MAX: usize = 16;

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
    let work = job_rows::read_spec(found)?.work;
    let named = work.order.as_ref().map(|order| &order.settings);
    if work.ask == ask
        && named.is_some_and(|named| !named.is_empty() && named.keys().all(|name| name == TIME))
    {
        let message = format!("job {undo} set the time only, which has passed since");
        let hint = "set-clock with time=now sets it to the agents'";
        return Err(DbError::refused(ErrorCode::UsageInvalid, message, hint));
    }
    if work.ask != ask {
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
    let stream = stream(db, row)?;
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
        TO_UNDO.contains(&outcome) && change.setting.as_deref() != Some(TIME)
    });
    let mut settings: BTreeMap<String, String> = undone
        .filter_map(|change| {
            let (name, old) = change.setting.zip(change.old)?;
            let name = match change.channel {
                Some(channel) => at_channel(&name, channel),
                None => name,
            };
            Some((name, old))
        })
        .take(TARGET_SETTINGS_MAX - 1)
        .collect();
    if let Some(stream) = stream.filter(|_| !settings.is_empty()) {
        settings.insert(STREAM.to_owned(), stream);
    }
    Ok(settings)
}

/// Which stream of its channels a job changed: what was set first says it, however often it was undone.
fn stream(db: &Connection, job: JobRow) -> Result<Option<String>, DbError> {
    let mut job = Some(job);
    for _ in 0..UNDONE_MAX {
        let Some(row) = job else { break };
        let Some(order) = job_rows::options(db, row)?.and_then(|work| work.order) else {
            break;
        };
        let Some(undone) = order.undo else {
            return Ok(order.settings.get(STREAM).cloned());
        };
        job = job_rows::find(db, undone)?.map(|(row, _)| row);
    }
    Ok(None)
}
