//! The report for people.

use std::borrow::Cow;
use std::io::{self, Write};

use super::Names;
use crate::diff::{
    ChannelChange, ChannelDiff, DeviceChange, DeviceDiff, Diff, FieldChange, Reason, Value,
};
use crate::render::console::harmless;

/// Writes the report: devices by the sort of their difference, each with what differs.
///
/// # Errors
/// Those of the writer.
pub fn text(diff: &Diff<'_>, names: &Names, mut writer: impl Write) -> io::Result<()> {
    writeln!(
        writer,
        "old: {} ({} devices)",
        harmless(&names.old),
        diff.old_devices
    )?;
    writeln!(
        writer,
        "new: {} ({} devices)",
        harmless(&names.new),
        diff.new_devices
    )?;
    writeln!(writer, "{}", summary(diff))?;
    for kind in DeviceChange::ALL {
        let count = diff
            .devices
            .iter()
            .filter(|device| device.kind == kind)
            .count();
        if count == 0 {
            continue;
        }
        writeln!(writer, "\n{} ({count})", heading(kind))?;
        for found in diff.devices.iter().filter(|device| device.kind == kind) {
            write_device(found, &mut writer)?;
        }
    }
    Ok(())
}

/// One line with the counts; parts that are zero are left out.
#[must_use]
pub fn summary(diff: &Diff<'_>) -> String {
    let totals = diff.totals();
    let parts = [
        (totals.added, "added"),
        (totals.removed, "removed"),
        (totals.replaced, "replaced"),
        (totals.unreachable, "unreachable"),
        (totals.recovered, "recovered"),
        (totals.fails_differently, "failing differently"),
        (totals.changed, "changed"),
        (totals.moved, "moved"),
        (totals.newly_known, "newly known"),
    ];
    let mut line = format!("devices: {} → {}", diff.old_devices, diff.new_devices);
    for (count, word) in parts {
        if count > 0 {
            line.push_str(&format!(", {count} {word}"));
        }
    }
    line.push_str(&format!(", {} unchanged", totals.unchanged));
    let channels = [
        (totals.channels_added, "added"),
        (totals.channels_removed, "removed"),
        (totals.channels_changed, "changed"),
    ];
    let shown: Vec<String> = channels
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if !shown.is_empty() {
        line.push_str(&format!("; channels: {}", shown.join(", ")));
    }
    line
}

const fn heading(kind: DeviceChange) -> &'static str {
    match kind {
        DeviceChange::Added => "Added",
        DeviceChange::Removed => "Removed",
        DeviceChange::Replaced => "Replaced by another device",
        DeviceChange::Unreachable => "Unreachable",
        DeviceChange::Recovered => "Recovered",
        DeviceChange::FailsDifferently => "Failing differently",
        DeviceChange::Changed => "Changed",
        DeviceChange::NewlyKnown => "Newly known, not changed",
    }
}

const fn mark(kind: DeviceChange) -> char {
    match kind {
        DeviceChange::Added => '+',
        DeviceChange::Removed => '-',
        DeviceChange::Replaced => '%',
        DeviceChange::Unreachable | DeviceChange::FailsDifferently => '!',
        DeviceChange::Recovered => '*',
        DeviceChange::Changed => '~',
        DeviceChange::NewlyKnown => '?',
    }
}

fn write_device(device: &DeviceDiff<'_>, writer: &mut impl Write) -> io::Result<()> {
    write!(writer, "  {} {}", mark(device.kind), label(device))?;
    let channels = (device.channels.old, device.channels.new);
    match (device.kind, channels) {
        (DeviceChange::Added, (_, Some(count))) | (DeviceChange::Removed, (Some(count), _)) => {
            write!(writer, " ({count} channels)")?;
        }
        (DeviceChange::Unreachable, (Some(count), _)) => {
            write!(writer, " (its {count} channels are not known now)")?;
        }
        (DeviceChange::Recovered, (_, Some(count))) => write!(writer, " ({count} channels)")?,
        (_, _) => {}
    }
    writeln!(writer)?;
    match (device.kind, &device.old_reason, &device.new_reason) {
        (DeviceChange::Recovered, Some(old), _) => {
            writeln!(writer, "      before: {}", reason(old))?;
        }
        (DeviceChange::FailsDifferently, Some(old), Some(new)) => {
            writeln!(writer, "      error: {} → {}", reason(old), reason(new))?;
        }
        (_, _, Some(new)) => writeln!(writer, "      error: {}", reason(new))?,
        (_, _, None) => {}
    }
    for field in &device.fields {
        writeln!(writer, "      {}", change(field))?;
    }
    match channels {
        (Some(old), Some(new)) if old != new => writeln!(writer, "      channels: {old} → {new}")?,
        (Some(old), None) if device.kind == DeviceChange::Changed => {
            writeln!(writer, "      channels: {old} → not known")?;
        }
        (_, _) => {}
    }
    for channel in &device.channel_changes {
        writeln!(writer, "      {}", channel_line(channel))?;
    }
    for field in &device.newly_known {
        writeln!(
            writer,
            "      now known: {}: {}",
            field.field,
            shown(field.new)
        )?;
    }
    Ok(())
}

fn label(device: &DeviceDiff<'_>) -> String {
    let address: Cow<'_, str> = if device.port == 0 {
        Cow::Borrowed(device.address)
    } else if device.address.contains(':') {
        format!("[{}]:{}", device.address, device.port).into()
    } else {
        format!("{}:{}", device.address, device.port).into()
    };
    [device.site, device.hostname, &address]
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(harmless)
        .collect::<Vec<_>>()
        .join(" / ")
}

fn reason(reason: &Reason<'_>) -> String {
    match (reason.text, reason.code) {
        ("", Some(code)) => harmless(code).into_owned(),
        (text, Some(code)) => format!("{} [{}]", harmless(text), harmless(code)),
        (text, None) => harmless(text).into_owned(),
    }
}

fn change(field: &FieldChange<'_>) -> String {
    format!(
        "{}: {} → {}",
        field.field,
        shown(field.old),
        shown(field.new)
    )
}

fn shown(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::Nothing => Cow::Borrowed("unknown"),
        Value::Text("") => Cow::Borrowed("(empty)"),
        Value::Text(text) => harmless(text),
        Value::Number(number) => Cow::Owned(number.to_string()),
    }
}

fn channel_line(channel: &ChannelDiff<'_>) -> String {
    let name = harmless(channel.name);
    let number = channel.channel.to_string();
    let number = harmless(&number);
    let address = match channel.address {
        "" => String::new(),
        address => format!(" ({})", harmless(address)),
    };
    match channel.kind {
        ChannelChange::Added => format!("+ ch {number}: {name}{address}"),
        ChannelChange::Removed => format!("- ch {number}: {name}{address}"),
        ChannelChange::Changed => {
            let mut parts: Vec<String> = Vec::new();
            if let Some(before) = channel.moved_from {
                parts.push(format!("moved from ch {}", harmless(&before.to_string())));
            }
            parts.extend(channel.fields.iter().map(change));
            format!("~ ch {number} ({name}): {}", parts.join("; "))
        }
    }
}
