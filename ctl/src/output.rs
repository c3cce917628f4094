//! Lists on stdout: as a table, as JSON or as CSV.

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, TableStyle};
use serde::Serialize;
use serde_json::Value;
use tvt_coordinator::render::console::harmless;
use tvtfleet_proto::error::ErrorCode;

use crate::error::{CliError, Stop};
use crate::io::Io;

/// The version of the JSON documents that list commands print. Keys are only ever added.
pub(crate) const SCHEMA: u32 = 1;

/// How stdout is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// Text for people
    #[default]
    Table,
    /// JSON
    Json,
    /// Comma-separated values with a header row
    Csv,
}

/// One row of a list: what serde makes of it is the JSON object and the CSV record.
///
/// Fields are plain values, lists of plain values, or structs of such. `Default` gives the CSV header of an empty list.
pub(crate) trait Row: Serialize + Default {
    /// The key of the list in the JSON document, as `jobs`.
    const NOUN: &'static str;
    /// The table's heads.
    const HEADS: &'static [&'static str];

    /// The table's cells, one for each head.
    fn cells(&self) -> Vec<String>;
}

/// Writes a list to stdout.
///
/// # Errors
///
/// Where stdout cannot be written.
pub(crate) fn list<R: Row>(io: &mut Io, format: Format, rows: &[R]) -> Result<(), Stop> {
    match format {
        Format::Table => io.write_out(table(R::HEADS, rows.iter().map(Row::cells)).as_bytes()),
        Format::Json => {
            let mut document = serde_json::Map::new();
            document.insert("schema".into(), SCHEMA.into());
            document.insert(R::NOUN.into(), to_value(rows)?);
            json(io, &Value::Object(document))
        }
        Format::Csv => io.write_out(&csv_of(rows)?),
    }
}

/// Writes one JSON document to stdout.
///
/// # Errors
///
/// Where stdout cannot be written.
pub(crate) fn json<T: Serialize>(io: &mut Io, document: &T) -> Result<(), Stop> {
    let mut text =
        serde_json::to_string_pretty(document).map_err(|error| unserializable(&error))?;
    text.push('\n');
    io.write_out(text.as_bytes())
}

/// Lays out a table: a head row, two blanks between columns, nothing wrapped or cut.
pub(crate) fn table<I>(heads: &[&str], rows: I) -> String
where
    I: IntoIterator<Item = Vec<String>>,
{
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(heads.iter().copied());
    for row in rows {
        table.add_row(row.iter().map(|cell| cell_text(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Text without anything that a terminal would obey; line breaks stay.
#[must_use]
pub(crate) fn printable(text: &str) -> String {
    text.split('\n')
        .map(harmless)
        .collect::<Vec<_>>()
        .join("\n")
}

fn cell_text(text: &str) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        harmless(text).into_owned()
    }
}

/// Writes rows of values as CSV, under a head row.
///
/// # Errors
///
/// Where stdout cannot be written.
pub(crate) fn csv_table<I>(io: &mut Io, heads: &[&str], rows: I) -> Result<(), Stop>
where
    I: IntoIterator<Item = Vec<Value>>,
{
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    writer
        .write_record(heads)
        .map_err(|error| unserializable(&error))?;
    for row in rows {
        writer
            .write_record(row.iter().map(csv_text))
            .map_err(|error| unserializable(&error))?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| unserializable(&error))?;
    io.write_out(&bytes)
}

/// A list as CSV, under a head row.
///
/// # Errors
///
/// `internal`, where a row cannot be written as text.
pub(crate) fn csv_of<R: Row>(rows: &[R]) -> Result<Vec<u8>, Stop> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    let record = |value: &Value| {
        let mut fields = Vec::new();
        csv_fields("", value, &mut fields);
        fields
    };
    let head = record(&to_value(&R::default())?);
    writer
        .write_record(head.iter().map(|(name, _)| name))
        .map_err(|error| unserializable(&error))?;
    for row in rows {
        let fields = record(&to_value(row)?);
        writer
            .write_record(fields.iter().map(|(_, text)| text))
            .map_err(|error| unserializable(&error))?;
    }
    writer
        .into_inner()
        .map_err(|error| unserializable(&error).into())
}

/// The columns of an object; those of an object in it have its name in front.
fn csv_fields(prefix: &str, value: &Value, fields: &mut Vec<(String, String)>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let name = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}_{name}")
        };
        if value.is_object() {
            csv_fields(&name, value, fields);
        } else {
            fields.push((name, csv_text(value)));
        }
    }
}

/// A value as a CSV field. Text that a spreadsheet would take for a formula gets an apostrophe.
fn csv_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => {
            format!("'{text}")
        }
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(csv_text).collect::<Vec<_>>().join(";"),
        Value::Object(_) => value.to_string(),
    }
}

fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, Stop> {
    serde_json::to_value(value).map_err(|error| unserializable(&error).into())
}

fn unserializable(error: &(dyn std::error::Error + 'static)) -> CliError {
    CliError::new(ErrorCode::Internal, "cannot write the output").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned_and_harmless() {
        let text = table(
            &["NAME", "STATE"],
            [
                vec!["a\u{1b}[31m".into(), "x".into()],
                vec!["longer name".into(), String::new()],
            ],
        );
        assert_eq!(
            text,
            "NAME         STATE\na\\x1b[31m    x\nlonger name  -\n"
        );
    }

    #[test]
    fn objects_in_objects_become_columns() {
        let value = serde_json::json!({"id": 1, "devices": {"ok": 2, "failed": null}, "note": "x"});
        let mut fields = Vec::new();
        csv_fields("", &value, &mut fields);
        let fields: Vec<_> = fields.iter().map(|(a, b)| format!("{a}={b}")).collect();
        assert_eq!(
            fields,
            ["id=1", "devices_ok=2", "devices_failed=", "note=x"]
        );
    }

    #[test]
    fn csv_fields_are_no_formulas() {
        assert_eq!(csv_text(&Value::from("=1+1")), "'=1+1");
        assert_eq!(csv_text(&Value::from(vec!["a", "b"])), "a;b");
        assert_eq!(csv_text(&Value::Null), "");
    }
}
