//! Questions in SQL: one `SELECT` over documented tables, on a connection of its own that can do
//! nothing else.
//!
//! What a question sees are views in the temporary schema. Each is a view over a second one whose
//! name nobody can guess, and only that one may read the stored tables: SQLite tells the authorizer
//! the name of the view that reads, and a `WITH` clause could take on any name that is known.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Batch, Connection, OpenFlags, Row};
use uuid::Uuid;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::query::{QueryPage, RunQuery, SQL_MAX, SqlValue};
use tvtfleet_proto::model::time::UtcMillis;

use super::error::DbError;
use super::paging::Room;

mod functions;
mod tables;

pub use tables::{Table, tables as tables_help};

/// How long one question may take.
const TIME_MAX: Duration = Duration::from_secs(5);
/// Steps of SQLite's machine between two looks at the clock: well under a millisecond.
const STEPS: i32 = 10_000;
/// The longest text or blob, in bytes.
const VALUE_MAX: i32 = 1024 * 1024;
/// The most columns of an answer, and the deepest expression.
const COLUMNS_MAX: i32 = 200;
/// A row may be this much larger than a page, in bytes.
const ROW_MAX: usize = 4 * tvtfleet_proto::model::api::PAGE_BYTES;
/// The database file that may be mapped into memory, in bytes.
const MAP_MAX: i64 = 1024 * 1024 * 1024;

/// Answers a question from the database file at `path`.
pub(super) fn run(path: &Path, request: &RunQuery, now: UtcMillis) -> Result<QueryPage, DbError> {
    if request.sql.len() > SQL_MAX {
        let message = format!("the question is longer than {SQL_MAX} bytes");
        return Err(DbError::refused(ErrorCode::QueryInvalid, message, ""));
    }
    let prefix = format!("v{}_", Uuid::new_v4().simple());
    let connection = open(path, &prefix, now)?;
    answer(&connection, request).map_err(|error| explain(error, &prefix))
}

fn open(path: &Path, prefix: &str, now: UtcMillis) -> Result<Connection, DbError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch(&format!(
        "PRAGMA busy_timeout = 1000; PRAGMA cache_size = -8000; PRAGMA mmap_size = {MAP_MAX};
         PRAGMA temp_store = FILE;"
    ))?;
    functions::register(&connection, now)?;
    for table in tables::tables() {
        let (name, sql) = (table.name, table.sql);
        connection.execute_batch(&format!(
            "CREATE TEMP VIEW {prefix}{name} AS {sql};
             CREATE TEMP VIEW {name} AS SELECT * FROM {prefix}{name};"
        ))?;
    }
    connection.execute_batch("PRAGMA query_only = ON")?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, VALUE_MAX)?;
    connection.set_limit(Limit::SQLITE_LIMIT_COLUMN, COLUMNS_MAX)?;
    connection.set_limit(Limit::SQLITE_LIMIT_EXPR_DEPTH, COLUMNS_MAX)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    let prefix = prefix.to_owned();
    connection.authorizer(Some(move |context: AuthContext<'_>| {
        if is_allowed(&context, &prefix) {
            Authorization::Allow
        } else {
            Authorization::Deny
        }
    }))?;
    let end = Instant::now().checked_add(TIME_MAX);
    connection.progress_handler(
        STEPS,
        Some(move || end.is_none_or(|end| Instant::now() >= end)),
    )?;
    Ok(connection)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is not named is denied, also what a newer SQLite adds"
)]
fn is_allowed(context: &AuthContext<'_>, prefix: &str) -> bool {
    let by_view = context
        .accessor
        .is_some_and(|accessor| accessor.starts_with(prefix));
    match context.action {
        AuthAction::Select | AuthAction::Recursive => true,
        AuthAction::Function { function_name } => {
            by_view || !functions::DENIED.contains(&function_name.to_ascii_lowercase().as_str())
        }
        AuthAction::Read {
            table_name,
            column_name,
        } => {
            by_view
                // What a `WITH` clause or a subquery is called.
                || context.database_name.is_none()
                // A table of a view of which only the row is used: tells how many rows there are.
                || (column_name.is_empty() && tables::STORED.contains(&table_name))
                || matches!(table_name, "json_each" | "json_tree")
                || table_name.starts_with(prefix)
                // Their own columns, and not those of a stored table that has the same name.
                || (context.database_name == Some("temp")
                    && tables::tables().any(|table| table.name == table_name))
        }
        _ => false,
    }
}

fn answer(connection: &Connection, request: &RunQuery) -> Result<QueryPage, DbError> {
    let refuse = |message: &str| DbError::refused(ErrorCode::QueryInvalid, message, "");
    let mut batch = Batch::new(connection, &request.sql);
    let mut statement = batch
        .next()?
        .ok_or_else(|| refuse("the question is empty"))?;
    if !statement.readonly() || statement.is_explain() != 0 || statement.column_count() == 0 {
        return Err(refuse("only SELECT is possible"));
    }
    if statement.parameter_count() > 0 {
        return Err(refuse("a question has no parameters"));
    }
    if batch.next()?.is_some() {
        return Err(refuse("only one SELECT at a time is possible"));
    }
    let mut page = QueryPage {
        columns: statement.column_names().map(ToOwned::to_owned).collect(),
        ..QueryPage::default()
    };
    let mut room = Room::new(request.limit);
    let width = page.columns.len();
    let mut rows = statement.query([])?;
    let mut skipped = 0_u64;
    while let Some(row) = rows.next()? {
        if skipped < request.skip {
            skipped = skipped.saturating_add(1);
            continue;
        }
        if room.is_full() {
            page.more = true;
            break;
        }
        let (values, size) = read(row, width)?;
        if size > ROW_MAX {
            return Err(refuse("a row of the answer is too large"));
        }
        room.take(size);
        page.rows.push(values);
    }
    Ok(page)
}

/// The values of a row, and about how many bytes they take.
fn read(row: &Row<'_>, width: usize) -> Result<(Vec<SqlValue>, usize), DbError> {
    let mut size = 0_usize;
    let mut values = Vec::with_capacity(width);
    for column in 0..width {
        let value = match row.get_ref(column)? {
            ValueRef::Null => SqlValue::Null,
            ValueRef::Integer(number) => SqlValue::Integer(number),
            ValueRef::Real(number) => SqlValue::Real(number),
            ValueRef::Text(text) => SqlValue::Text(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(bytes) => SqlValue::Blob(bytes.to_vec()),
        };
        let length = match &value {
            SqlValue::Null | SqlValue::Integer(_) | SqlValue::Real(_) => 0,
            SqlValue::Text(text) => text.len(),
            SqlValue::Blob(bytes) => bytes.len(),
        };
        size = size.saturating_add(length).saturating_add(10);
        values.push(value);
    }
    Ok((values, size))
}

/// What SQLite says, told to the one who asked.
fn explain(error: DbError, prefix: &str) -> DbError {
    let DbError::Sql(error) = error else {
        return error;
    };
    let hint = "see tvtctl sql --schema for the tables and their columns";
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::OperationInterrupted) => DbError::refused(
            ErrorCode::QueryTimeout,
            format!("the question took longer than {} s", TIME_MAX.as_secs()),
            "ask for less: one site, one job, or a shorter time",
        ),
        Some(rusqlite::ErrorCode::AuthorizationForStatementDenied) => DbError::refused(
            ErrorCode::QueryInvalid,
            "only the documented tables can be read, and nothing can be changed",
            hint,
        ),
        Some(
            rusqlite::ErrorCode::Unknown
            | rusqlite::ErrorCode::TooBig
            | rusqlite::ErrorCode::TypeMismatch
            | rusqlite::ErrorCode::ApiMisuse,
        )
        | None => DbError::refused(
            ErrorCode::QueryInvalid,
            error.to_string().replace(prefix, ""),
            hint,
        ),
        Some(_) => DbError::Sql(error),
    }
}

#[cfg(test)]
mod tests;
