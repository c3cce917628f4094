//! Comparing two scans.

use std::net::IpAddr;

use tvtfleet_proto::model::mac::MacAddr;

use super::change::{ChannelCounts, DeviceChange, DeviceDiff, Diff, FieldChange, Reason, Value};
use super::channels;
use super::identity::Identity;
use super::matching::{self, Matches};
use super::scan::Scan;
use crate::results::ResultRecord;

/// Compares two scans.
#[must_use]
pub fn diff<'a>(old: &'a Scan<'a>, new: &'a Scan<'a>) -> Diff<'a> {
    let (old, new) = (old.records(), new.records());
    let identities = |records: &'a [ResultRecord<'a>]| -> Vec<Identity<'a>> {
        records.iter().map(Identity::of).collect()
    };
    let matches = matching::join(&identities(old), &identities(new));
    assemble(&matches, old, new)
}

/// The comparison of devices whose matches are known.
fn assemble<'a>(
    matches: &Matches,
    old: &'a [ResultRecord<'a>],
    new: &'a [ResultRecord<'a>],
) -> Diff<'a> {
    let mut result = Diff {
        old_devices: old.len(),
        new_devices: new.len(),
        ..Diff::default()
    };
    let both = |(was, is): &(usize, usize)| Some((old.get(*was)?, new.get(*is)?));
    for (was, is) in matches.same.iter().filter_map(both) {
        match compare(was, is) {
            Some(device) => result.devices.push(device),
            None => result.unchanged += 1,
        }
    }
    for (was, is) in matches.replaced.iter().filter_map(both) {
        result.devices.push(replaced(was, is));
    }
    let removed_records = matches.removed.iter().filter_map(|index| old.get(*index));
    result.devices.extend(removed_records.map(removed));
    let added_records = matches.added.iter().filter_map(|index| new.get(*index));
    result.devices.extend(added_records.map(added));
    sort(&mut result.devices);
    result
}

/// Brings the devices of a comparison into their order: by site, then address.
pub(super) fn sort<'a>(devices: &mut [DeviceDiff<'a>]) {
    devices.sort_by_cached_key(|device| {
        let ip: Option<IpAddr> = device.address.parse().ok();
        let (site, address): (&'a str, &'a str) = (device.site, device.address);
        (site, ip.is_none(), ip, address, device.port, device.kind)
    });
}

/// A device of the old scan only.
pub(super) fn removed<'a>(record: &'a ResultRecord<'a>) -> DeviceDiff<'a> {
    let mut device = device(DeviceChange::Removed, record);
    device.channels.old = known_channels(record);
    device.old_reason = reason(record);
    device
}

/// A device of the new scan only.
pub(super) fn added<'a>(record: &'a ResultRecord<'a>) -> DeviceDiff<'a> {
    let mut device = device(DeviceChange::Added, record);
    device.channels.new = known_channels(record);
    device.new_reason = reason(record);
    device
}

fn device<'a>(kind: DeviceChange, record: &'a ResultRecord<'a>) -> DeviceDiff<'a> {
    DeviceDiff {
        kind,
        site: &record.site,
        hostname: &record.hostname,
        address: &record.nvr_ip,
        port: record.nvr_port,
        device_id: record.device_id.as_deref(),
        moved: false,
        fields: Vec::new(),
        newly_known: Vec::new(),
        channels: ChannelCounts::default(),
        channel_changes: Vec::new(),
        old_reason: None,
        new_reason: None,
    }
}

/// The same device in both scans; `None` where it does not differ at all.
pub(crate) fn compare<'a>(
    was: &'a ResultRecord<'a>,
    is: &'a ResultRecord<'a>,
) -> Option<DeviceDiff<'a>> {
    let mut device = device(DeviceChange::Changed, is);
    device.device_id = is.device_id.as_deref().or(was.device_id.as_deref());
    fill(&mut device, was, is);
    device.kind = match (was.success, is.success) {
        (true, false) => DeviceChange::Unreachable,
        (false, true) => DeviceChange::Recovered,
        (false, false) if reasons_differ(was, is) => DeviceChange::FailsDifferently,
        (true, true) | (false, false) => {
            let lost = device.channels.old.is_some() && device.channels.new.is_none();
            if !device.fields.is_empty() || !device.channel_changes.is_empty() || lost {
                DeviceChange::Changed
            } else if !device.newly_known.is_empty() {
                DeviceChange::NewlyKnown
            } else {
                return None;
            }
        }
    };
    Some(device)
}

/// Another device at the same place: everything that differs is listed.
pub(super) fn replaced<'a>(was: &'a ResultRecord<'a>, is: &'a ResultRecord<'a>) -> DeviceDiff<'a> {
    let mut device = device(DeviceChange::Replaced, is);
    fill(&mut device, was, is);
    device
}

fn fill<'a>(device: &mut DeviceDiff<'a>, was: &'a ResultRecord<'a>, is: &'a ResultRecord<'a>) {
    let text = |text: &'a str| {
        if text.is_empty() {
            Value::Nothing
        } else {
            Value::Text(text)
        }
    };
    let number = |number: i64| {
        if number == 0 {
            Value::Nothing
        } else {
            Value::Number(number)
        }
    };
    let mut field = |field: &'static str, old: Value<'a>, new: Value<'a>| {
        let change = FieldChange { field, old, new };
        match (old, new) {
            (old, new) if old == new => {}
            (Value::Nothing, _) => device.newly_known.push(change),
            // What a backend leaves out has not gone away.
            (_, Value::Nothing) => {}
            (_, _) => device.fields.push(change),
        }
    };
    field("site", Value::Text(&was.site), Value::Text(&is.site));
    field("hostname", text(&was.hostname), text(&is.hostname));
    field("nvr_ip", text(&was.nvr_ip), text(&is.nvr_ip));
    if !same_mac(&was.nvr_mac, &is.nvr_mac) {
        field("nvr_mac", text(&was.nvr_mac), text(&is.nvr_mac));
    }
    field("nvr_port", number(was.nvr_port), number(is.nvr_port));
    // A device that failed says nothing; what it says once it answers is compared with what was known.
    if is.success {
        field("device_name", text(&was.device_name), text(&is.device_name));
        field(
            "device_model",
            text(&was.device_model),
            text(&is.device_model),
        );
        field(
            "serial_number",
            text(&was.serial_number),
            text(&is.serial_number),
        );
        field("firmware", text(&was.firmware), text(&is.firmware));
        field(
            "total_channels",
            number(was.total_channels),
            number(is.total_channels),
        );
        let (old, new) = (
            was.device_info.mac.as_deref(),
            is.device_info.mac.as_deref(),
        );
        if !same_mac(old.unwrap_or(""), new.unwrap_or("")) {
            field(
                "device_info.mac",
                text(old.unwrap_or("")),
                text(new.unwrap_or("")),
            );
        }
    }
    device.moved = device
        .fields
        .iter()
        .any(|change| matches!(change.field, "site" | "nvr_ip" | "nvr_port"));
    device.channels = ChannelCounts {
        old: known_channels(was),
        new: known_channels(is),
    };
    match (device.channels.old, device.channels.new) {
        (Some(_), Some(_)) => {
            let compared = channels::compare(&was.cameras, &is.cameras);
            device.channel_changes = compared.changes;
            device.newly_known.extend(compared.newly_known);
        }
        (None, Some(count)) if was.success && count > 0 => device.newly_known.push(FieldChange {
            field: "cameras",
            old: Value::Nothing,
            new: Value::Number(i64::try_from(count).unwrap_or(i64::MAX)),
        }),
        (None | Some(_), _) => {}
    }
    if !was.success || device.channels.old.is_none() {
        device.old_reason = reason(was);
    }
    if !is.success || device.channels.new.is_none() {
        device.new_reason = reason(is);
    }
}

fn known_channels(record: &ResultRecord<'_>) -> Option<usize> {
    record.channels_known().then_some(record.cameras.len())
}

fn reason<'a>(record: &'a ResultRecord<'_>) -> Option<Reason<'a>> {
    let (code, text) = (record.error_code.as_deref(), record.error.as_deref());
    (code.is_some() || text.is_some()).then_some(Reason {
        code,
        text: text.unwrap_or(""),
    })
}

/// Codes decide where both scans have them: the text of one situation may differ.
fn reasons_differ(was: &ResultRecord<'_>, is: &ResultRecord<'_>) -> bool {
    match (&was.error_code, &is.error_code) {
        (Some(old), Some(new)) => old != new,
        (None, _) | (_, None) => was.error != is.error,
    }
}

/// Whether two texts name one MAC, however they are spelled.
fn same_mac(ours: &str, theirs: &str) -> bool {
    match (ours.parse::<MacAddr>(), theirs.parse::<MacAddr>()) {
        (Ok(ours), Ok(theirs)) => ours == theirs,
        (_, _) => ours == theirs,
    }
}
