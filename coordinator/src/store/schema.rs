//! The tables, and how a database of an earlier version becomes one of this version.

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::device_rows::unpack_facts;
use super::error::{DbError, StoreError};

/// Prepared statements that a connection keeps: more than applying reports needs.
const STATEMENTS: usize = 128;

/// Each step brings a database from the version of its position to the next one. Steps are never
/// changed once released; new ones are added at the end.
const STEPS: &[Step] = &[
    Step {
        sql: include_str!("schema-1.sql"),
        fill: None,
    },
    Step {
        sql: include_str!("schema-2.sql"),
        fill: Some(name_devices),
    },
    Step {
        sql: include_str!("schema-3.sql"),
        fill: None,
    },
    Step {
        sql: include_str!("schema-4.sql"),
        fill: None,
    },
    Step {
        sql: include_str!("schema-5.sql"),
        fill: None,
    },
    Step {
        sql: include_str!("schema-6.sql"),
        fill: None,
    },
    Step {
        sql: include_str!("schema-7.sql"),
        fill: None,
    },
    Step {
        sql: include_str!("schema-8.sql"),
        fill: None,
    },
    Step {
        sql: include_str!("schema-9.sql"),
        fill: None,
    },
    Step {
        sql: include_str!("schema-10.sql"),
        fill: None,
    },
    Step {
        sql: include_str!("schema-11.sql"),
        fill: None,
    },
    Step {
        sql: include_str!("schema-12.sql"),
        fill: None,
    },
    Step {
        sql: include_str!("schema-13.sql"),
        fill: None,
    },
];

/// Fills what a step made room for.
type Fill = fn(&Connection) -> Result<(), DbError>;

/// One step from a version to the next.
struct Step {
    /// Changes the tables.
    sql: &'static str,
    /// Fills what the change made room for, in the same transaction.
    fill: Option<Fill>,
}

/// Fills the columns of facts that questions are often about.
fn name_devices(db: &Connection) -> Result<(), DbError> {
    let mut select = db.prepare("SELECT id, facts FROM devices WHERE facts <> x''")?;
    let mut update =
        db.prepare("UPDATE devices SET device_name = ?2, model = ?3, firmware = ?4 WHERE id = ?1")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (id, facts): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let facts = unpack_facts(&facts)?;
        update.execute((id, facts.name, facts.model, facts.firmware))?;
    }
    Ok(())
}

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
        // Plans that may depend on bound values are made anew for each of them, which costs more than
        // the short statements here.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
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
    steps: &[Step],
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
        transaction.execute_batch(step.sql).map_err(sql)?;
        if let Some(fill) = step.fill {
            fill(&transaction).map_err(&failed)?;
        }
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

    fn step(sql: &'static str) -> Step {
        Step { sql, fill: None }
    }

    /// A database that the first version filled keeps its devices, and their facts can be asked for.
    #[test]
    fn a_database_of_the_first_version_is_brought_up_to_date() {
        use tvtfleet_proto::model::report::DeviceFacts;

        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &STEPS[..1], failed).unwrap();
        let facts = DeviceFacts {
            name: "NVR".into(),
            model: "TD-3316".into(),
            firmware: "1.4.10".into(),
            ..DeviceFacts::default()
        };
        connection
            .execute(
                "INSERT INTO devices (site, position, address, name, entry, hostname, search, facts,
                                      first_known)
                 VALUES (1, 1, '10.0.0.1:6036', 'x', x'', '', '', ?1, 0),
                        (1, 2, '10.0.0.2:6036', 'y', x'', '', '', x'', 0)",
                [super::super::device_rows::pack_facts(&facts)],
            )
            .unwrap();
        migrate(&mut connection, STEPS, failed).unwrap();
        let found: Vec<(String, String, String)> = connection
            .prepare("SELECT device_name, model, firmware FROM devices ORDER BY id")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let text = |a: &str, b: &str, c: &str| (a.into(), b.into(), c.into());
        assert_eq!(found, [text("NVR", "TD-3316", "1.4.10"), text("", "", "")]);
        let known = i64::try_from(STEPS.len()).unwrap();
        assert_eq!(version(&connection), known);
    }

    fn version(connection: &Connection) -> i64 {
        connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn steps_run_once_and_in_order() {
        let mut connection = Connection::open_in_memory().unwrap();
        let one = || step("CREATE TABLE a (x)");
        let two = || step("INSERT INTO a VALUES (1)");
        migrate(&mut connection, &[one()], failed).unwrap();
        migrate(&mut connection, &[one(), two()], failed).unwrap();
        migrate(&mut connection, &[one(), two()], failed).unwrap();
        let rows: i64 = connection
            .query_row("SELECT count(*) FROM a", [], |row| row.get(0))
            .unwrap();
        assert_eq!((rows, version(&connection)), (1, 2));
    }

    #[test]
    fn a_step_that_fails_leaves_no_trace() {
        let mut connection = Connection::open_in_memory().unwrap();
        let broken = step("CREATE TABLE a (x); nonsense");
        assert!(migrate(&mut connection, &[broken], failed).is_err());
        assert_eq!(version(&connection), 0);
        migrate(&mut connection, &[step("CREATE TABLE a (x)")], failed).unwrap();
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
