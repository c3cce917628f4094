//! How the database is doing.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::columns::unsigned;
use super::error::DbError;

/// SQLite looks at the clock after as many of its steps.
const STEPS: i32 = 10_000;

/// What a look at the database found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    /// Bytes of the file.
    pub(crate) bytes: u64,
    /// Of these, bytes that nothing is in.
    pub(crate) free_bytes: u64,
    /// The first damage that was found.
    pub(crate) damage: Option<String>,
    /// Whether there was time to look at all of it.
    pub(crate) complete: bool,
    /// Sites whose newest want document is not in the bucket.
    pub(crate) dirty_wants: u64,
}

/// Looks at the database file at `path` for about `limit`.
pub(super) fn look(path: &Path, limit: Duration) -> Result<Health, DbError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags)?;
    db.execute_batch("PRAGMA busy_timeout = 1000; PRAGMA cache_size = -8000")?;
    let page = pragma(&db, "page_size")?;
    let (pages, free) = (pragma(&db, "page_count")?, pragma(&db, "freelist_count")?);
    let dirty = "SELECT count(*) FROM sites WHERE want_written < want_revision";
    let dirty_wants = unsigned(db.query_row(dirty, [], |row| row.get(0))?);
    let end = Instant::now() + limit;
    db.progress_handler(STEPS, Some(move || Instant::now() >= end))?;
    let checked = db.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    let (damage, complete) = match checked {
        Ok(said) => (Some(said).filter(|said| said != "ok"), true),
        Err(error)
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) =>
        {
            (None, false)
        }
        Err(error) => (Some(error.to_string()), true),
    };
    Ok(Health {
        bytes: pages.saturating_mul(page),
        free_bytes: free.saturating_mul(page),
        damage,
        complete,
        dirty_wants,
    })
}

fn pragma(db: &Connection, name: &str) -> Result<u64, DbError> {
    let value = db.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?;
    Ok(unsigned(value))
}
