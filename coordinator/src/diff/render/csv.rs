//! The report for spreadsheets.

use std::borrow::Cow;
use std::io::{self, Write};

use csv::{Terminator, WriterBuilder};

use crate::diff::{DeviceDiff, Diff, FieldChange, Reason, Value};
use crate::render::csv::{into_io, neutral};

const COLUMNS: [&str; 11] = [
    "change",
    "site",
    "hostname",
    "address",
    "device_id",
    "scope",
    "channel",
    "channel_name",
    "field",
    "old",
    "new",
];

/// Writes one row per difference: the device's own, its fields, and its channels' fields.
///
/// # Errors
/// Those of the writer.
pub fn csv(diff: &Diff<'_>, writer: impl Write) -> io::Result<()> {
    let mut table = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(writer);
    table.write_record(COLUMNS).map_err(into_io)?;
    for_each_row(diff, |cells| {
        table
            .write_record(cells.map(|cell| neutral(cell).into_owned()))
            .map_err(into_io)
    })?;
    table.flush()
}

/// Gives every row of the table of differences to `add`, in the order of [`COLUMNS`].
pub(crate) fn for_each_row<E>(
    diff: &Diff<'_>,
    add: impl FnMut([&str; COLUMNS.len()]) -> Result<(), E>,
) -> Result<(), E> {
    let mut table = Table(add);
    for device in &diff.devices {
        let old = device.old_reason.as_ref().map(reason).unwrap_or_default();
        let new = device.new_reason.as_ref().map(reason).unwrap_or_default();
        table.row(device, device.kind.as_str(), Scope::Device, "", &old, &new)?;
        for field in &device.fields {
            table.field(device, device.kind.as_str(), Scope::Device, field)?;
        }
        for field in &device.newly_known {
            table.field(device, "newly_known", Scope::Device, field)?;
        }
        for channel in &device.channel_changes {
            let label = channel.channel.to_string();
            let scope = Scope::Channel {
                label: &label,
                name: channel.name,
            };
            let kind = channel.kind.as_str();
            if let Some(before) = channel.moved_from {
                table.row(device, kind, scope, "channel", &before.to_string(), &label)?;
            } else if channel.fields.is_empty() {
                table.row(device, kind, scope, "", "", "")?;
            }
            for field in &channel.fields {
                table.field(device, kind, scope, field)?;
            }
        }
    }
    Ok(())
}

struct Table<F>(F);

#[derive(Clone, Copy)]
enum Scope<'s> {
    Device,
    Channel { label: &'s str, name: &'s str },
}

impl<E, F: FnMut([&str; COLUMNS.len()]) -> Result<(), E>> Table<F> {
    fn field(
        &mut self,
        device: &DeviceDiff<'_>,
        change: &str,
        scope: Scope<'_>,
        field: &FieldChange<'_>,
    ) -> Result<(), E> {
        let (old, new) = (shown(field.old), shown(field.new));
        self.row(device, change, scope, field.field, &old, &new)
    }

    fn row(
        &mut self,
        device: &DeviceDiff<'_>,
        change: &str,
        scope: Scope<'_>,
        field: &str,
        old: &str,
        new: &str,
    ) -> Result<(), E> {
        let (scope, label, name) = match scope {
            Scope::Device => ("device", "", ""),
            Scope::Channel { label, name } => ("channel", label, name),
        };
        self.0([
            change,
            device.site,
            device.hostname,
            device.address,
            device.device_id.unwrap_or(""),
            scope,
            label,
            name,
            field,
            old,
            new,
        ])
    }
}

fn shown(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::Nothing => Cow::Borrowed(""),
        Value::Text(text) => Cow::Borrowed(text),
        Value::Number(number) => Cow::Owned(number.to_string()),
    }
}

/// A reason in few words: its code, else its text.
pub(crate) fn reason(reason: &Reason<'_>) -> String {
    reason.code.unwrap_or(reason.text).to_owned()
}
