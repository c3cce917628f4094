//! The report for programs.

use std::io::{self, Write};

use serde::{Serialize, Serializer};

use super::Names;
use crate::diff::{ChannelDiff, DeviceDiff, Diff, FieldChange, Reason, Totals, Value};
use crate::render::json::write_value;
use crate::results::ChannelKey;

/// The version of the JSON report. Keys may be added within a version.
pub const SCHEMA: u32 = 1;

/// Writes the report as one JSON object, with a newline at the end.
///
/// # Errors
/// Those of the writer.
pub fn json(diff: &Diff<'_>, names: &Names, mut writer: impl Write) -> io::Result<()> {
    let report = Report {
        schema: SCHEMA,
        old: Side {
            name: &names.old,
            devices: diff.old_devices,
        },
        new: Side {
            name: &names.new,
            devices: diff.new_devices,
        },
        totals: TotalsOut::from(diff.totals()),
        devices: diff.devices.iter().map(DeviceOut::from).collect(),
    };
    write_value(&mut writer, &report, 0)?;
    writer.write_all(b"\n")
}

#[derive(Serialize)]
struct Report<'d> {
    schema: u32,
    old: Side<'d>,
    new: Side<'d>,
    totals: TotalsOut,
    devices: Vec<DeviceOut<'d>>,
}

#[derive(Serialize)]
struct Side<'d> {
    name: &'d str,
    devices: usize,
}

#[derive(Serialize)]
struct TotalsOut {
    added: usize,
    removed: usize,
    replaced: usize,
    unreachable: usize,
    recovered: usize,
    fails_differently: usize,
    changed: usize,
    newly_known: usize,
    moved: usize,
    unchanged: usize,
    channels_added: usize,
    channels_removed: usize,
    channels_changed: usize,
}

#[derive(Serialize)]
struct DeviceOut<'d> {
    kind: &'static str,
    site: &'d str,
    hostname: &'d str,
    address: &'d str,
    port: i64,
    device_id: Option<&'d str>,
    moved: bool,
    old_error: Option<ReasonOut<'d>>,
    new_error: Option<ReasonOut<'d>>,
    fields: Vec<FieldOut<'d>>,
    newly_known: Vec<FieldOut<'d>>,
    channel_count_old: Option<usize>,
    channel_count_new: Option<usize>,
    channels: Vec<ChannelOut<'d>>,
}

#[derive(Serialize)]
struct ReasonOut<'d> {
    code: Option<&'d str>,
    text: &'d str,
}

#[derive(Serialize)]
struct FieldOut<'d> {
    field: &'static str,
    old: ValueOut<'d>,
    new: ValueOut<'d>,
}

struct ValueOut<'d>(Value<'d>);

#[derive(Serialize)]
struct ChannelOut<'d> {
    kind: &'static str,
    channel: &'d ChannelKey<'d>,
    name: &'d str,
    address: &'d str,
    moved_from: Option<&'d ChannelKey<'d>>,
    fields: Vec<FieldOut<'d>>,
}

impl From<Totals> for TotalsOut {
    fn from(totals: Totals) -> Self {
        Self {
            added: totals.added,
            removed: totals.removed,
            replaced: totals.replaced,
            unreachable: totals.unreachable,
            recovered: totals.recovered,
            fails_differently: totals.fails_differently,
            changed: totals.changed,
            newly_known: totals.newly_known,
            moved: totals.moved,
            unchanged: totals.unchanged,
            channels_added: totals.channels_added,
            channels_removed: totals.channels_removed,
            channels_changed: totals.channels_changed,
        }
    }
}

impl<'d> From<&'d DeviceDiff<'d>> for DeviceOut<'d> {
    fn from(device: &'d DeviceDiff<'d>) -> Self {
        Self {
            kind: device.kind.as_str(),
            site: device.site,
            hostname: device.hostname,
            address: device.address,
            port: device.port,
            device_id: device.device_id,
            moved: device.moved,
            old_error: device.old_reason.map(ReasonOut::from),
            new_error: device.new_reason.map(ReasonOut::from),
            fields: device.fields.iter().map(FieldOut::from).collect(),
            newly_known: device.newly_known.iter().map(FieldOut::from).collect(),
            channel_count_old: device.channels.old,
            channel_count_new: device.channels.new,
            channels: device
                .channel_changes
                .iter()
                .map(ChannelOut::from)
                .collect(),
        }
    }
}

impl<'d> From<Reason<'d>> for ReasonOut<'d> {
    fn from(reason: Reason<'d>) -> Self {
        Self {
            code: reason.code,
            text: reason.text,
        }
    }
}

impl<'d> From<&FieldChange<'d>> for FieldOut<'d> {
    fn from(change: &FieldChange<'d>) -> Self {
        Self {
            field: change.field,
            old: ValueOut(change.old),
            new: ValueOut(change.new),
        }
    }
}

impl<'d> From<&'d ChannelDiff<'d>> for ChannelOut<'d> {
    fn from(channel: &'d ChannelDiff<'d>) -> Self {
        Self {
            kind: channel.kind.as_str(),
            channel: channel.channel,
            name: channel.name,
            address: channel.address,
            moved_from: channel.moved_from,
            fields: channel.fields.iter().map(FieldOut::from).collect(),
        }
    }
}

impl Serialize for ValueOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Nothing => serializer.serialize_none(),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Number(number) => serializer.serialize_i64(number),
        }
    }
}
