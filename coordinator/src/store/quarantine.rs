//! Messages and items that could not be applied, kept for whoever looks for the reason.

use rusqlite::{Connection, params};

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::time::UtcMillis;

use super::columns::signed;
use super::error::DbError;

/// The most rows kept; the oldest go first.
const ROWS_MAX: i64 = 10_000;
/// The most bytes kept of one body.
const BODY_MAX: usize = 64 * 1024;
/// The longest reason, in characters.
const REASON_MAX: usize = 300;

/// The sites whose messages were refused for want of a signature, with how many and when last; those of
/// the last time first.
pub(crate) fn unsigned(
    db: &Connection,
    limit: u32,
) -> Result<Vec<(String, u64, UtcMillis)>, DbError> {
    let mut query = db.prepare_cached(
        "SELECT subject, count(*) AS number, max(at) AS last FROM quarantine WHERE code = ?1
         GROUP BY subject ORDER BY last DESC LIMIT ?2",
    )?;
    let code = ErrorCode::ReportUnsigned.as_str();
    let rows = query.query_map(params![code, limit], |row| {
        let last = UtcMillis::new(row.get("last")?);
        let number = super::columns::unsigned(row.get("number")?);
        Ok((row.get("subject")?, number, last))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Sets a message or item aside.
pub(super) fn add(
    db: &Connection,
    now: UtcMillis,
    position: u64,
    subject: &str,
    code: ErrorCode,
    reason: &str,
    body: &[u8],
) -> Result<(), DbError> {
    let reason: String = reason.chars().take(REASON_MAX).collect();
    let body = body.get(..BODY_MAX).unwrap_or(body);
    tracing::warn!(error.type = code.as_str(), subject, position, reason, "set aside");
    db.prepare_cached(
        "INSERT INTO quarantine (at, position, subject, code, reason, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        now.millis(),
        signed(position),
        subject,
        code.as_str(),
        reason,
        body
    ])?;
    db.prepare_cached("DELETE FROM quarantine WHERE id <= ?1")?
        .execute([db.last_insert_rowid().saturating_sub(ROWS_MAX)])?;
    db.prepare_cached("UPDATE stream SET quarantined = quarantined + 1")?
        .execute([])?;
    Ok(())
}
