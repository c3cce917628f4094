//! Changed rows as bytes: taken down by triggers as they happen, and done again elsewhere.
//!
//! Triggers of one connection call a function for each row that is added, changed or removed, in
//! that order. Doing the same to a database that was the same leaves it the same; a row that is not
//! as it should be tells that it was not.
//!
//! One operation is its kind, the number of the table among those of this version in the order of
//! their names, the old key unless the row is new, and all columns unless it is gone.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::functions::FunctionFlags;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};

use tvtfleet_proto::model::replica::{LOG_PART_MAX, LOG_PARTS_MAX};

use super::error::DbError;

/// The table that is each replica's own.
const OWN: &str = "replica";
/// The most bytes of one transaction.
const CHANGES_MAX: usize = LOG_PART_MAX * LOG_PARTS_MAX;
const FUNCTION: &str = "log_row";
const ADDED: u8 = 1;
const CHANGED: u8 = 2;
const REMOVED: u8 = 3;

/// The tables of a database, for both directions.
pub(super) struct RowLog {
    tables: Vec<Table>,
    taken: Arc<Mutex<Vec<u8>>>,
}

struct Table {
    name: String,
    columns: usize,
    keys: usize,
    /// Triggers that take its changes down.
    triggers: String,
    add: String,
    change: String,
    remove: String,
}

impl RowLog {
    /// Learns the tables.
    pub(super) fn new(db: &Connection) -> Result<Self, DbError> {
        let mut query = db.prepare(
            "SELECT name FROM main.sqlite_schema
             WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> ?1
             ORDER BY name",
        )?;
        let names = query.query_map([OWN], |row| row.get::<_, String>(0))?;
        let names = names.collect::<Result<Vec<_>, _>>()?;
        let tables = names.into_iter().enumerate();
        Ok(Self {
            tables: tables
                .map(|(number, name)| Table::read(db, number, name))
                .collect::<Result<_, _>>()?,
            taken: Arc::default(),
        })
    }

    /// Takes changes down from now on.
    pub(super) fn start(&self, db: &Connection) -> Result<(), DbError> {
        let taken = Arc::clone(&self.taken);
        db.create_scalar_function(FUNCTION, -1, FunctionFlags::SQLITE_UTF8, move |context| {
            let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
            for argument in 0..context.len() {
                let value = context.get_raw(argument);
                match (argument, value) {
                    (0, ValueRef::Integer(kind)) => taken.push(u8::try_from(kind).unwrap_or(0)),
                    (1, ValueRef::Integer(table)) => {
                        let table = u16::try_from(table).unwrap_or(u16::MAX);
                        taken.extend_from_slice(&table.to_le_bytes());
                    }
                    (_, value) => put(&mut taken, value),
                }
            }
            if taken.len() > CHANGES_MAX {
                return Err(rusqlite::Error::UserFunctionError(
                    "more changes than one entry of the log may hold".into(),
                ));
            }
            Ok(Option::<i64>::None)
        })?;
        // Rows that give way to others are removed rows too.
        db.execute_batch("PRAGMA recursive_triggers = ON;")?;
        for table in &self.tables {
            db.execute_batch(&table.triggers)?;
        }
        Ok(())
    }

    /// Takes no more changes down.
    pub(super) fn stop(&self, db: &Connection) -> Result<(), DbError> {
        for number in 0..self.tables.len() {
            for kind in [ADDED, CHANGED, REMOVED] {
                let name = trigger(kind, number);
                db.execute_batch(&format!("DROP TRIGGER IF EXISTS temp.{name};"))?;
            }
        }
        drop(self.take());
        Ok(())
    }

    /// What was taken down since.
    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Does to a database what was taken down in another.
    ///
    /// # Errors
    ///
    /// [`DbError::Damaged`] where the changes cannot be read or do not fit.
    pub(super) fn replay(&self, db: &Connection, changes: &[u8]) -> Result<(), DbError> {
        let mut input = changes;
        while let Some((&kind, rest)) = input.split_first() {
            let (number, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
            input = rest;
            let table = usize::from(u16::from_le_bytes(*number));
            let table = self.tables.get(table).ok_or_else(|| odd("unknown table"))?;
            let (sql, count) = match kind {
                ADDED => (&table.add, table.columns),
                CHANGED => (&table.change, table.keys.saturating_add(table.columns)),
                REMOVED => (&table.remove, table.keys),
                _ => return Err(odd("unknown operation")),
            };
            let mut values = Vec::with_capacity(count);
            for _ in 0..count {
                values.push(take(&mut input)?);
            }
            let mut statement = db.prepare_cached(sql)?;
            let rows = statement
                .execute(params_from_iter(values))
                .map_err(|error| match error.sqlite_error_code() {
                    Some(rusqlite::ErrorCode::ConstraintViolation) => {
                        odd(&format!("table {}: {error}", table.name))
                    }
                    _ => error.into(),
                })?;
            if rows != 1 {
                return Err(odd(&format!("table {}: {rows} rows", table.name)));
            }
        }
        Ok(())
    }
}

impl Table {
    fn read(db: &Connection, number: usize, name: String) -> Result<Self, DbError> {
        let mut query = db.prepare("SELECT name, pk FROM pragma_table_info(?1) ORDER BY cid")?;
        let columns = query.query_map([&name], |row| {
            Ok((quoted(&row.get::<_, String>(0)?), row.get::<_, i64>(1)? > 0))
        })?;
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let keys: Vec<&str> = columns
            .iter()
            .filter(|(_, key)| *key)
            .map(|(column, _)| column.as_str())
            .collect();
        if keys.is_empty() {
            return Err(odd(&format!("table {name} has no key")));
        }
        let table = quoted(&name);
        let all = |prefix: &str| {
            let names = columns
                .iter()
                .map(|(column, _)| format!("{prefix}{column}"));
            names.collect::<Vec<_>>().join(", ")
        };
        let old_keys = keys.iter().map(|key| format!("OLD.{key}"));
        let old_keys = old_keys.collect::<Vec<_>>().join(", ");
        let place = |at: usize| format!("?{}", at.saturating_add(1));
        let matching = keys.iter().enumerate();
        // A key of several columns may hold NULL in none of ours; IS would do no harm.
        let matching = matching.map(|(at, key)| format!("{key} = {}", place(at)));
        let matching = matching.collect::<Vec<_>>().join(" AND ");
        let places = (0..columns.len()).map(place).collect::<Vec<_>>().join(", ");
        let sets = columns.iter().enumerate();
        let sets = sets.map(|(at, (column, _))| {
            format!("{column} = {}", place(at.saturating_add(keys.len())))
        });
        let sets = sets.collect::<Vec<_>>().join(", ");
        let trigger = |kind, event: &str, values: &str| {
            let name = trigger(kind, number);
            format!(
                "CREATE TEMP TRIGGER {name} AFTER {event} ON main.{table} BEGIN
                   SELECT {FUNCTION}({kind}, {number}, {values}); END;"
            )
        };
        let triggers = [
            trigger(ADDED, "INSERT", &all("NEW.")),
            trigger(CHANGED, "UPDATE", &format!("{old_keys}, {}", all("NEW."))),
            trigger(REMOVED, "DELETE", &old_keys),
        ];
        Ok(Self {
            columns: columns.len(),
            keys: keys.len(),
            triggers: triggers.concat(),
            add: format!("INSERT INTO {table} ({}) VALUES ({places})", all("")),
            change: format!("UPDATE {table} SET {sets} WHERE {matching}"),
            remove: format!("DELETE FROM {table} WHERE {matching}"),
            name,
        })
    }
}

fn trigger(kind: u8, number: usize) -> String {
    format!("log_{number}_{kind}")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn put(into: &mut Vec<u8>, value: ValueRef<'_>) {
    let long = |into: &mut Vec<u8>, tag: u8, bytes: &[u8]| {
        into.push(tag);
        // SQLite's own limit is below 2^31.
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        into.extend_from_slice(&length.to_le_bytes());
        into.extend_from_slice(bytes);
    };
    match value {
        ValueRef::Null => into.push(0),
        ValueRef::Integer(number) => {
            into.push(1);
            into.extend_from_slice(&number.to_le_bytes());
        }
        ValueRef::Real(number) => {
            into.push(2);
            into.extend_from_slice(&number.to_le_bytes());
        }
        ValueRef::Text(text) => long(into, 3, text),
        ValueRef::Blob(blob) => long(into, 4, blob),
    }
}

/// A value where it lies.
enum Taken<'a> {
    Owned(Value),
    Lent(ValueRef<'a>),
}

impl ToSql for Taken<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Owned(value) => value.to_sql(),
            Self::Lent(value) => Ok(ToSqlOutput::Borrowed(*value)),
        }
    }
}

fn take<'a>(input: &mut &'a [u8]) -> Result<Taken<'a>, DbError> {
    let (tag, rest) = input.split_first().ok_or_else(cut)?;
    *input = rest;
    let mut eight = || -> Result<[u8; 8], DbError> {
        let (bytes, rest) = input.split_first_chunk::<8>().ok_or_else(cut)?;
        *input = rest;
        Ok(*bytes)
    };
    match tag {
        0 => Ok(Taken::Owned(Value::Null)),
        1 => Ok(Taken::Owned(Value::Integer(i64::from_le_bytes(eight()?)))),
        2 => Ok(Taken::Owned(Value::Real(f64::from_le_bytes(eight()?)))),
        3 | 4 => {
            let (length, rest) = input.split_first_chunk::<4>().ok_or_else(cut)?;
            let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| cut())?;
            let (bytes, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
            *input = rest;
            let value = if *tag == 3 {
                std::str::from_utf8(bytes).map_err(|_| odd("a text is none"))?;
                ValueRef::Text(bytes)
            } else {
                ValueRef::Blob(bytes)
            };
            Ok(Taken::Lent(value))
        }
        _ => Err(odd("unknown kind of value")),
    }
}

fn cut() -> DbError {
    odd("cut off")
}

fn odd(reason: &str) -> DbError {
    DbError::damaged("log of changes", reason)
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;
    use proptest::prelude::*;

    fn database() -> Connection {
        let mut db = Connection::open_in_memory().unwrap();
        schema::prepare(&mut db, true).unwrap();
        db.execute_batch(
            "CREATE TABLE a (id INTEGER PRIMARY KEY, x, y TEXT UNIQUE);
             CREATE TABLE b (p TEXT NOT NULL, q INTEGER NOT NULL, z, PRIMARY KEY (p, q)) WITHOUT ROWID;",
        )
        .unwrap();
        db
    }

    fn content(db: &Connection) -> Vec<String> {
        let log = RowLog::new(db).unwrap();
        let mut rows = Vec::new();
        for table in &log.tables {
            let name = quoted(&table.name);
            let mut query = db
                .prepare(&format!("SELECT * FROM {name} ORDER BY 1, 2"))
                .unwrap();
            let columns = query.column_count();
            let mut found = query.query([]).unwrap();
            while let Some(row) = found.next().unwrap() {
                let values: Vec<Value> = (0..columns).map(|at| row.get(at).unwrap()).collect();
                rows.push(format!("{}: {values:?}", table.name));
            }
        }
        rows
    }

    /// What may be done to the two tables; numbers keep the keys few, so that they meet.
    fn statements() -> impl Strategy<Value = Vec<String>> {
        let one =
            (0..7_u8, 0..4_u8, 0..4_u8, any::<i16>()).prop_map(|(what, k, l, v)| match what {
                0 => format!("INSERT OR IGNORE INTO a VALUES ({k}, {v}, 't{l}')"),
                1 => format!("INSERT OR REPLACE INTO a VALUES ({k}, {v}.5, 't{l}')"),
                2 => format!("UPDATE OR IGNORE a SET id = {l}, x = x'00ff' WHERE id = {k}"),
                3 => format!("DELETE FROM a WHERE id >= {k}"),
                4 => format!(
                    "INSERT INTO b VALUES ('p{k}', {l}, NULL) ON CONFLICT DO UPDATE SET z = 'ä{v}'"
                ),
                5 => format!("UPDATE OR REPLACE b SET q = {l} WHERE q = {k}"),
                _ => format!("DELETE FROM b WHERE q = {l}"),
            });
        prop::collection::vec(one, 0..40)
    }

    proptest! {
        #[test]
        fn what_is_done_again_leaves_the_same(statements in statements()) {
            let (first, second) = (database(), database());
            let log = RowLog::new(&first).unwrap();
            log.start(&first).unwrap();
            for sql in &statements {
                first.execute(sql, []).unwrap();
            }
            let changes = log.take();
            RowLog::new(&second).unwrap().replay(&second, &changes).unwrap();
            prop_assert_eq!(content(&first), content(&second));
        }

        #[test]
        fn rubbish_is_an_error_or_nothing(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let db = database();
            let _ = RowLog::new(&db).unwrap().replay(&db, &bytes);
        }
    }

    #[test]
    fn every_table_of_ours_can_be_followed() {
        let db = database();
        let log = RowLog::new(&db).unwrap();
        assert!(log.tables.len() > 10);
        assert!(log.tables.iter().all(|table| table.name != OWN));
        log.start(&db).unwrap();
        db.execute("INSERT INTO a VALUES (1, 2, 'z')", []).unwrap();
        log.stop(&db).unwrap();
        db.execute("INSERT INTO a VALUES (2, 2, 'y')", []).unwrap();
        assert!(log.take().is_empty());
    }

    #[test]
    fn a_database_that_is_not_the_same_is_noticed() {
        let (first, second) = (database(), database());
        let log = RowLog::new(&first).unwrap();
        first
            .execute("INSERT INTO a VALUES (1, 2, 'z')", [])
            .unwrap();
        log.start(&first).unwrap();
        first.execute("UPDATE a SET x = 3", []).unwrap();
        let changes = log.take();
        let error = RowLog::new(&second).unwrap().replay(&second, &changes);
        assert!(matches!(error, Err(DbError::Damaged { .. })), "{error:?}");
        for cut in 0..changes.len() {
            assert!(log.replay(&first, &changes[..cut]).is_err() || cut == 0);
        }
    }
}
