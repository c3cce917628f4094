//! The explanation as text.

use std::io::{self, Write};
use std::time::Duration;

use tvtfleet_proto::device::tvt::explain::{ExplainedUnit, Field, FieldValue, Kind, Sender};

use crate::output::printable;

use super::command::Exchange;

/// Columns of a field's name.
const NAME_WIDTH: usize = 24;

/// Writes all exchanges, one block for each.
pub(super) fn write(
    exchanges: impl Iterator<Item = Exchange>,
    brief: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    for (number, exchange) in exchanges.enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        head(&exchange, out)?;
        let mut units = exchange.units.iter().peekable();
        while let Some(unit) = units.next() {
            let mut more = 0_usize;
            while units.next_if(|next| is_repeated(unit, next)).is_some() {
                more = more.saturating_add(1);
            }
            line(unit, more, out)?;
            if !brief {
                fields(&unit.fields, "      ", out)?;
            }
        }
        if exchange.omitted > 0 {
            writeln!(out, "  ({} more units are not shown)", exchange.omitted)?;
        }
    }
    Ok(())
}

fn head(exchange: &Exchange, out: &mut impl Write) -> io::Result<()> {
    let Some(connection) = &exchange.connection else {
        return writeln!(out, "dump");
    };
    write!(
        out,
        "client {} to device {}, begun at {}",
        connection.client,
        connection.device,
        seconds(connection.first_at)
    )?;
    match connection.ended {
        Some((sender, true)) => write!(out, ", reset by the {sender}")?,
        Some((sender, false)) => write!(out, ", closed by the {sender}")?,
        None => {}
    }
    if !connection.is_from_the_start() {
        write!(out, ", the opening is not in the capture")?;
    }
    if connection.omitted() > 0 {
        write!(out, ", {} bytes too many to be read", connection.omitted())?;
    }
    if connection.is_silent() {
        write!(out, ", nothing was said")?;
    }
    writeln!(out)
}

/// Heartbeats in a row are one line.
fn is_repeated(unit: &ExplainedUnit, next: &ExplainedUnit) -> bool {
    unit.kind == Kind::Heartbeat && next.kind == Kind::Heartbeat && unit.sender == next.sender
}

fn line(unit: &ExplainedUnit, more: usize, out: &mut impl Write) -> io::Result<()> {
    let arrow = match unit.sender {
        Sender::Device => '<',
        Sender::Client => '>',
    };
    write!(out, "  ")?;
    if let Some(at) = unit.at {
        write!(out, "{:>12}  ", seconds(at))?;
    }
    let place = format!("{}+{}", unit.offset, unit.length);
    write!(out, "{arrow} {place:<12} {}", printable(&unit.summary))?;
    if more > 0 {
        write!(out, ", and {more} more")?;
    }
    match unit.code {
        Some(code) => writeln!(out, " [{code}]"),
        None => writeln!(out),
    }
}

fn fields(list: &[Field], indent: &str, out: &mut impl Write) -> io::Result<()> {
    for field in list {
        match &field.value {
            FieldValue::Number(number) => {
                writeln!(out, "{indent}{:NAME_WIDTH$} {number}", field.name)?;
            }
            FieldValue::Text(text) => {
                writeln!(out, "{indent}{:NAME_WIDTH$} {}", field.name, shown(text))?;
            }
            FieldValue::Lines(text) => {
                writeln!(out, "{indent}{}", field.name)?;
                for line in printable(text).lines() {
                    writeln!(out, "{indent}  | {line}")?;
                }
            }
            FieldValue::Rows(rows) => {
                writeln!(out, "{indent}{}", field.name)?;
                for row in rows {
                    let cells: Vec<String> = row.iter().map(cell).collect();
                    writeln!(out, "{indent}  {}", cells.join("  "))?;
                }
            }
        }
    }
    Ok(())
}

fn cell(field: &Field) -> String {
    match &field.value {
        FieldValue::Number(number) => format!("{} {number}", field.name),
        FieldValue::Text(text) | FieldValue::Lines(text) => {
            format!("{} {}", field.name, shown(text))
        }
        FieldValue::Rows(rows) => format!("{} {}", field.name, rows.len()),
    }
}

fn shown(text: &str) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        printable(text)
    }
}

fn seconds(at: Duration) -> String {
    format!("{}.{:06}", at.as_secs(), at.subsec_micros())
}
