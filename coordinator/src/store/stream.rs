//! Where in the results stream everything has been applied.

use rusqlite::{Connection, params};

use super::columns::{signed, unsigned};
use super::error::DbError;

/// The cursor into the results stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// Which stream it belongs to; 0 is none yet.
    pub(crate) generation: i64,
    /// Everything up to this message has been applied.
    pub(crate) cursor: u64,
    /// Messages and items that have been set aside, in all.
    pub(crate) quarantined: u64,
}

/// Reads the cursor.
pub(crate) fn position(db: &Connection) -> Result<Position, DbError> {
    let mut query = db.prepare_cached("SELECT generation, cursor, quarantined FROM stream")?;
    Ok(query.query_row([], |row| {
        Ok(Position {
            generation: row.get(0)?,
            cursor: unsigned(row.get(1)?),
            quarantined: unsigned(row.get(2)?),
        })
    })?)
}

/// Begins at the start of another stream: cursors into the old one mean nothing.
pub(crate) fn restart(db: &Connection, generation: i64, cursor: u64) -> Result<(), DbError> {
    db.execute(
        "UPDATE stream SET generation = ?1, cursor = ?2",
        params![generation, signed(cursor)],
    )?;
    Ok(())
}

/// Moves the cursor behind the last message that was applied.
pub(super) fn advance(db: &Connection, cursor: u64) -> Result<(), DbError> {
    db.prepare_cached("UPDATE stream SET cursor = ?1")?
        .execute([signed(cursor)])?;
    Ok(())
}
