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
