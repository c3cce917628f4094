//! pytvt's three outputs.

use std::io::{self, Write};

use serde::{Serialize, Serializer};

use super::compare::{CameraOut, Change, Channel, DeviceOut, PytvtDiff};
use super::value::PyValue;
use crate::render::json::write_value;

const HEAVY_RULE: &str =
    "================================================================================";
const LIGHT_RULE: &str =
    "  ----------------------------------------------------------------------------";

/// Writes the report of `pytvt-diff`. The paths are shown as given; nothing is made harmless.
///
/// # Errors
/// Those of the writer.
pub fn text(
    diff: &PytvtDiff<'_>,
    old_path: &str,
    new_path: &str,
    mut writer: impl Write,
) -> io::Result<()> {
    let parts = [
        (diff.added.len(), "added"),
        (diff.removed.len(), "removed"),
        (diff.changed.len(), "changed"),
        (diff.unchanged, "unchanged"),
    ];
    let changes: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let changes = if changes.is_empty() {
        "none".to_owned()
    } else {
        changes.join(", ")
    };
    writeln!(
        writer,
        "{HEAVY_RULE}\n  SCAN DIFF REPORT\n{HEAVY_RULE}\n  Old: {old_path}\n  New: {new_path}\n  \
         Devices: {} → {}\n  Changes: {changes}\n{HEAVY_RULE}",
        diff.old_count, diff.new_count
    )?;
    if diff.is_empty() {
        return writeln!(writer, "  No changes detected.");
    }
    for (sign, word, devices) in [("+", "ADDED", &diff.added), ("-", "REMOVED", &diff.removed)] {
        if devices.is_empty() {
            continue;
        }
        writeln!(
            writer,
            "\n  {sign}{sign} {word} DEVICES ({})\n{LIGHT_RULE}",
            devices.len()
        )?;
        for device in devices {
            let cameras = device.old_cameras.max(device.new_cameras);
            writeln!(writer, "  {sign} {} ({cameras} cameras)", label(device))?;
        }
    }
    if !diff.changed.is_empty() {
        writeln!(
            writer,
            "\n  ~~ CHANGED DEVICES ({})\n{LIGHT_RULE}",
            diff.changed.len()
        )?;
        for device in &diff.changed {
            write_changed(device, &mut writer)?;
        }
    }
    Ok(())
}

/// The line of `pytvt-diff --summary`, without its line break.
#[must_use]
pub fn summary(diff: &PytvtDiff<'_>) -> String {
    let mut line = format!("devices: {} → {}", diff.old_count, diff.new_count);
    let parts = [
        (diff.added.len(), '+', "added"),
        (diff.removed.len(), '-', "removed"),
        (diff.changed.len(), '~', "changed"),
    ];
    for (count, sign, word) in parts {
        if count > 0 {
            line.push_str(&format!(", {sign}{count} {word}"));
        }
    }
    line.push_str(&format!(", {} unchanged", diff.unchanged));
    line
}

/// Writes the object of `pytvt-diff --json`.
///
/// # Errors
/// Those of the writer.
pub fn json(
    diff: &PytvtDiff<'_>,
    old_path: &str,
    new_path: &str,
    mut writer: impl Write,
) -> io::Result<()> {
    let report = Report {
        old_file: old_path,
        new_file: new_path,
        old_device_count: diff.old_count,
        new_device_count: diff.new_count,
        devices_added: diff.added.iter().map(DeviceJson).collect(),
        devices_removed: diff.removed.iter().map(DeviceJson).collect(),
        devices_changed: diff.changed.iter().map(DeviceJson).collect(),
        unchanged_count: diff.unchanged,
    };
    write_value(&mut writer, &report, 0)?;
    writer.write_all(b"\n")
}

fn label(device: &DeviceOut<'_>) -> String {
    let mut parts = vec![device.ip.str().into_owned()];
    if device.hostname.is_truthy() {
        parts.push(device.hostname.str().into_owned());
    }
    if device.site.is_truthy() {
        parts.push(format!("@ {}", device.site.str()));
    }
    parts.join(" / ")
}

fn write_changed(device: &DeviceOut<'_>, writer: &mut impl Write) -> io::Result<()> {
    writeln!(writer, "  ~ {}", label(device))?;
    for field in &device.fields {
        writeln!(writer, "      {}", change(field))?;
    }
    if device.old_cameras != device.new_cameras {
        writeln!(
            writer,
            "      cameras: {} → {}",
            device.old_cameras, device.new_cameras
        )?;
    }
    for (sign, cameras) in [('+', &device.cameras_added), ('-', &device.cameras_removed)] {
        for camera in cameras {
            writeln!(
                writer,
                "      {sign} ch {}: {}",
                channel(camera),
                camera.name.str()
            )?;
        }
    }
    for camera in &device.cameras_changed {
        let changes: Vec<String> = camera.changes.iter().map(change).collect();
        let (channel, name) = (channel(camera), camera.name.str());
        writeln!(
            writer,
            "      ~ ch {channel} ({name}): {}",
            changes.join("; ")
        )?;
    }
    Ok(())
}

fn change(change: &Change<'_>) -> String {
    format!(
        "{}: {} → {}",
        change.field,
        change.old.repr(),
        change.new.repr()
    )
}

fn channel(camera: &CameraOut<'_>) -> String {
    match camera.channel {
        Channel::Named(value) => value.str().into_owned(),
        Channel::Unnamed(index) => index.to_string(),
    }
}

#[derive(Serialize)]
struct Report<'d> {
    old_file: &'d str,
    new_file: &'d str,
    old_device_count: usize,
    new_device_count: usize,
    devices_added: Vec<DeviceJson<'d>>,
    devices_removed: Vec<DeviceJson<'d>>,
    devices_changed: Vec<DeviceJson<'d>>,
    unchanged_count: usize,
}

struct DeviceJson<'d>(&'d DeviceOut<'d>);

impl Serialize for DeviceJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Keys<'d> {
            nvr_ip: &'d PyValue<'d>,
            site: &'d PyValue<'d>,
            hostname: &'d PyValue<'d>,
            status: &'static str,
            field_changes: Vec<ChangeJson<'d>>,
            cameras_added: Vec<CameraJson<'d>>,
            cameras_removed: Vec<CameraJson<'d>>,
            cameras_changed: Vec<CameraJson<'d>>,
            camera_count_old: usize,
            camera_count_new: usize,
        }
        let device = self.0;
        Keys {
            nvr_ip: device.ip,
            site: device.site,
            hostname: device.hostname,
            status: device.status,
            field_changes: device.fields.iter().map(ChangeJson::from).collect(),
            cameras_added: device.cameras_added.iter().map(CameraJson::from).collect(),
            cameras_removed: device
                .cameras_removed
                .iter()
                .map(CameraJson::from)
                .collect(),
            cameras_changed: device
                .cameras_changed
                .iter()
                .map(CameraJson::from)
                .collect(),
            camera_count_old: device.old_cameras,
            camera_count_new: device.new_cameras,
        }
        .serialize(serializer)
    }
}

#[derive(Serialize)]
struct CameraJson<'d> {
    channel: ChannelJson<'d>,
    name: &'d PyValue<'d>,
    status: &'static str,
    changes: Vec<ChangeJson<'d>>,
}

impl<'d> From<&'d CameraOut<'d>> for CameraJson<'d> {
    fn from(camera: &'d CameraOut<'d>) -> Self {
        Self {
            channel: match camera.channel {
                Channel::Named(value) => ChannelJson::Named(value),
                Channel::Unnamed(index) => ChannelJson::Unnamed(index),
            },
            name: camera.name,
            status: camera.status,
            changes: camera.changes.iter().map(ChangeJson::from).collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum ChannelJson<'d> {
    Named(&'d PyValue<'d>),
    Unnamed(usize),
}

#[derive(Serialize)]
struct ChangeJson<'d> {
    field: &'static str,
    old: &'d PyValue<'d>,
    new: &'d PyValue<'d>,
}

impl<'d> From<&Change<'d>> for ChangeJson<'d> {
    fn from(change: &Change<'d>) -> Self {
        Self {
            field: change.field,
            old: change.old,
            new: change.new,
        }
    }
}
