//! The tables, and how a database of an earlier version becomes one of this version.

use rusqlite::Connection;

use super::error::{DbError, StoreError};

/// Each step brings a database from the version of its position to the next one. Steps are never
/// changed once released; new ones are added at the end.
const STEPS: &[&str] = &[include_str!("schema-1.sql")];

/// Sets up a connection. `writer` connections also bring the tables up to date.
pub(super) fn prepare(connection: &mut Connection, writer: bool) -> Result<(), StoreError> {
    let failed = |source| StoreError::Failed {
        step: "set up the database",
        source,
    };
    let settings = || -> Result<(), rusqlite::Error> {
        // FULL: a commit is on the disk before an agent is told that it may delete its copy.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;
             PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF; PRAGMA cache_size = -32000;",
        )?;
        if !writer {
            connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -8000;")?;
        }
        connection.set_prepared_statement_cache_capacity(64);
        Ok(())
    };
    settings().map_err(|error| failed(error.into()))?;
    if writer {
        migrate(connection, STEPS, failed)
    } else {
        Ok(())
    }
}

fn migrate(
    connection: &mut Connection,
    steps: &[&str],
    failed: impl Fn(DbError) -> StoreError,
) -> Result<(), StoreError> {
    let sql = |error: rusqlite::Error| failed(error.into());
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    let found: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(sql)?;
    if found > known || found < 0 {
        return Err(StoreError::Version { found, known });
    }
    for (version, step) in (1_i64..).zip(steps) {
        if version <= found {
            continue;
        }
        let transaction = connection.transaction().map_err(sql)?;
        transaction.execute_batch(step).map_err(sql)?;
        transaction
            .pragma_update(None, "user_version", version)
            .map_err(sql)?;
        transaction.commit().map_err(sql)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(source: DbError) -> StoreError {
        StoreError::Failed {
            step: "test",
            source,
        }
    }

    fn version(connection: &Connection) -> i64 {
        connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn steps_run_once_and_in_order() {
        let mut connection = Connection::open_in_memory().unwrap();
        let one = "CREATE TABLE a (x)";
        let two = "INSERT INTO a VALUES (1)";
        migrate(&mut connection, &[one], failed).unwrap();
        migrate(&mut connection, &[one, two], failed).unwrap();
        migrate(&mut connection, &[one, two], failed).unwrap();
        let rows: i64 = connection
            .query_row("SELECT count(*) FROM a", [], |row| row.get(0))
            .unwrap();
        assert_eq!((rows, version(&connection)), (1, 2));
    }

    #[test]
    fn a_step_that_fails_leaves_no_trace() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert!(migrate(&mut connection, &["CREATE TABLE a (x); nonsense"], failed).is_err());
        assert_eq!(version(&connection), 0);
        migrate(&mut connection, &["CREATE TABLE a (x)"], failed).unwrap();
    }

    #[test]
    fn a_newer_database_is_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let error = prepare(&mut connection, true).unwrap_err();
        assert!(
            matches!(error, StoreError::Version { found: 99, .. }),
            "{error}"
        );
    }
}
