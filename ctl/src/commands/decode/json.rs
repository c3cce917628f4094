//! The explanation as JSON, written one exchange at a time.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value};
use tvtfleet_proto::device::tvt::explain::{ExplainedUnit, Field, FieldValue};

use crate::output::SCHEMA;

use super::command::Exchange;

#[derive(Serialize)]
struct ExchangeRow {
    client: Option<String>,
    device: Option<String>,
    begun_at: Option<f64>,
    from_the_start: Option<bool>,
    ended_by: Option<&'static str>,
    reset: Option<bool>,
    bytes_not_read: u64,
    units_not_shown: u64,
    units: Vec<UnitRow>,
}

#[derive(Serialize)]
struct UnitRow {
    sender: &'static str,
    at: Option<f64>,
    offset: u64,
    length: u64,
    kind: &'static str,
    family: Option<&'static str>,
    command: Option<String>,
    name: Option<&'static str>,
    request: Option<u32>,
    summary: String,
    code: Option<&'static str>,
    fields: Map<String, Value>,
}

/// Writes the document.
pub(super) fn write(
    exchanges: impl Iterator<Item = Exchange>,
    out: &mut impl Write,
) -> io::Result<()> {
    write!(out, "{{\"schema\": {SCHEMA}, \"exchanges\": [")?;
    for (number, exchange) in exchanges.enumerate() {
        writeln!(out, "{}", if number > 0 { "," } else { "" })?;
        serde_json::to_writer_pretty(&mut *out, &row(&exchange)).map_err(io::Error::from)?;
    }
    writeln!(out, "\n]}}")
}

fn row(exchange: &Exchange) -> ExchangeRow {
    let connection = exchange.connection.as_ref();
    let ended = connection.and_then(|connection| connection.ended);
    ExchangeRow {
        client: connection.map(|connection| connection.client.to_string()),
        device: connection.map(|connection| connection.device.to_string()),
        begun_at: connection.map(|connection| connection.first_at.as_secs_f64()),
        from_the_start: connection.map(super::streams::Connection::is_from_the_start),
        ended_by: ended.map(|(sender, _)| sender.as_str()),
        reset: ended.map(|(_, reset)| reset),
        bytes_not_read: connection.map_or(0, super::streams::Connection::omitted),
        units_not_shown: exchange.omitted,
        units: exchange.units.iter().map(unit_row).collect(),
    }
}

fn unit_row(unit: &ExplainedUnit) -> UnitRow {
    UnitRow {
        sender: unit.sender.as_str(),
        at: unit.at.map(|at| at.as_secs_f64()),
        offset: unit.offset,
        length: unit.length,
        kind: unit.kind.as_str(),
        family: unit.family.map(|family| family.as_str()),
        command: unit.command.map(|command| command.to_string()),
        name: unit.name,
        request: unit.request,
        summary: unit.summary.clone(),
        code: unit.code.map(|code| code.as_str()),
        fields: object(&unit.fields),
    }
}

fn object(fields: &[Field]) -> Map<String, Value> {
    fields
        .iter()
        .map(|field| (field.name.to_owned(), value(&field.value)))
        .collect()
}

fn value(value: &FieldValue) -> Value {
    match value {
        FieldValue::Number(number) => Value::from(*number),
        FieldValue::Text(text) | FieldValue::Lines(text) => Value::from(text.as_str()),
        FieldValue::Rows(rows) => {
            Value::Array(rows.iter().map(|row| Value::Object(object(row))).collect())
        }
    }
}
