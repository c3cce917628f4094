//! Where in the log of replicas the database stands.

use rusqlite::{Connection, params};

use tvtfleet_proto::model::replica::LogMark;

use super::columns::{signed, unsigned};
use super::error::DbError;

/// Where in the log the database stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Two databases with the same mark are the same.
    pub(crate) mark: LogMark,
    /// Who led last; empty where nobody ever did.
    pub(crate) leader: String,
    /// Which log [`Self::position`] belongs to; 0 is none.
    pub(crate) log: i64,
    /// The position of the last entry that is in the database.
    pub(crate) position: u64,
    /// The version of the tables.
    pub(crate) schema: u32,
}

/// Reads it.
pub(crate) fn standing(db: &Connection) -> Result<Standing, DbError> {
    let schema = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let mut query = db.prepare_cached("SELECT term, number, leader, log, position FROM replica")?;
    Ok(query.query_row([], |row| {
        Ok(Standing {
            mark: LogMark {
                term: unsigned(row.get(0)?),
                number: unsigned(row.get(1)?),
            },
            leader: row.get(2)?,
            log: row.get(3)?,
            position: unsigned(row.get(4)?),
            schema,
        })
    })?)
}

/// Stores it, in the transaction of what it describes.
pub(super) fn stand(
    db: &Connection,
    mark: LogMark,
    leader: &str,
    log: i64,
    position: u64,
) -> Result<(), DbError> {
    let mut update = db.prepare_cached(
        "UPDATE replica SET term = ?1, number = ?2, leader = ?3, log = ?4, position = ?5",
    )?;
    update.execute(params![
        signed(mark.term),
        signed(mark.number),
        leader,
        log,
        signed(position)
    ])?;
    Ok(())
}
