//! What the library's records mean for a report.

use std::collections::BTreeMap;

use super::records::{CameraRow, ChannelRow, DeviceRecord};
use crate::device::probe::text::kept;
use crate::model::channel::{Channel, ChannelLabel, ChannelStatus, StatusSource};
use crate::model::mac::MacAddr;
use crate::model::report::DeviceFacts;

/// More channels than any recorder has; further rows are dropped.
const CHANNELS_MAX: u16 = 1024;
/// Kinds of channels that have a picture: digital and analogue.
const PICTURE_KINDS: [u32; 2] = [1, 2];

/// What a device says of itself, as facts of a report.
#[must_use]
pub fn facts(record: &DeviceRecord) -> DeviceFacts {
    DeviceFacts {
        name: kept(&record.name),
        model: kept(&record.model),
        serial: kept(&record.serial),
        firmware: kept(&record.firmware),
        mac: Some(MacAddr::from(record.mac)).filter(|mac| mac.is_unicast()),
        total_channels: Some(u32::from(record.video_inputs)).filter(|count| *count > 0),
        ..DeviceFacts::default()
    }
}

/// The channels of a recorder: its cameras, and the channels that no camera stands behind.
///
/// Slots without an address are dropped where the list of channels does not know them either. The
/// order is that of the channels; of two rows for one channel the first is kept. Channels are shown
/// as on the recorder's screen, from 1.
#[must_use]
pub fn channels(cameras: &[CameraRow], rows: &[ChannelRow]) -> Vec<Channel> {
    let mut found: BTreeMap<u16, Channel> = BTreeMap::new();
    let used = |camera: &&CameraRow| !camera.address.trim().is_empty();
    for camera in cameras
        .iter()
        .filter(used)
        .filter(|row| row.channel < CHANNELS_MAX)
    {
        found.entry(camera.channel).or_insert_with(|| Channel {
            address: kept(&camera.address),
            port: camera.port,
            protocol: kept(&camera.maker),
            model: kept(&camera.model),
            ..channel(camera.channel, camera.online, &camera.name)
        });
    }
    let shown = |row: &&ChannelRow| PICTURE_KINDS.contains(&row.kind);
    for row in rows
        .iter()
        .filter(shown)
        .filter(|row| row.channel < CHANNELS_MAX)
    {
        let known = found
            .entry(row.channel)
            .or_insert_with(|| channel(row.channel, row.online, &row.name));
        if known.name.is_empty() {
            known.name = kept(&row.name);
        }
    }
    found.into_values().collect()
}

fn channel(index: u16, online: bool, name: &str) -> Channel {
    Channel {
        label: ChannelLabel::Number(i64::from(index).saturating_add(1)),
        name: kept(name),
        address: String::new(),
        port: 0,
        status: if online {
            ChannelStatus::Online
        } else {
            ChannelStatus::Offline
        },
        status_source: StatusSource::ChannelList,
        protocol: String::new(),
        model: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(channel: u16, address: &str) -> CameraRow {
        CameraRow {
            channel,
            address: address.into(),
            online: true,
            ..CameraRow::default()
        }
    }

    fn row(channel: u16, kind: u32) -> ChannelRow {
        ChannelRow {
            channel,
            kind,
            name: format!("row {channel}"),
            online: false,
        }
    }

    #[test]
    fn channels_are_sorted_counted_from_one_and_completed() {
        let cameras = [
            camera(3, "192.0.2.13"),
            camera(0, "192.0.2.10"),
            camera(3, "x"),
            camera(5, " "),
        ];
        let found = channels(&cameras, &[row(0, 1), row(1, 2), row(2, 3)]);
        let shown: Vec<_> = found
            .iter()
            .map(|c| {
                (
                    c.label.to_string(),
                    c.address.as_str(),
                    c.name.as_str(),
                    c.status.as_str(),
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("1".into(), "192.0.2.10", "row 0", "Online"),
                ("2".into(), "", "row 1", "Offline"),
                ("4".into(), "192.0.2.13", "", "Online"),
            ]
        );
    }

    #[test]
    fn what_a_device_leaves_empty_stays_unknown() {
        assert_eq!(facts(&DeviceRecord::default()), DeviceFacts::default());
    }
}
