//! What the library's records hold, as the helper tells it: numbers in the machine's own order, texts
//! without their padding, channels from 0.

use serde::{Deserialize, Serialize};

/// What a device says of itself. Wire source: `NET_SDK_DEVICEINFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceRecord {
    /// Its configured name.
    pub name: String,
    /// Its model.
    pub model: String,
    /// Its serial number.
    pub serial: String,
    /// Its firmware version.
    pub firmware: String,
    /// Its hardware version.
    pub hardware: String,
    /// Its kernel's version.
    pub kernel: String,
    /// Alarm inputs.
    pub alarm_in: u8,
    /// Alarm outputs.
    pub alarm_out: u8,
    /// The Ethernet address, six bytes.
    pub mac: [u8; 6],
    /// All channels, local and network.
    pub video_inputs: u16,
    /// The vendor's number of the kind of device: 3 is a recorder.
    pub device_type: u8,
}

/// A camera behind a channel. Wire source: `NET_SDK_IPC_DEVICE_INFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraRow {
    /// The channel, from 0.
    pub channel: u16,
    /// Whether the recorder sees the camera.
    pub online: bool,
    /// The channel's name; empty in old versions of the record.
    pub name: String,
    /// The camera's address; empty for a slot that is not used.
    pub address: String,
    /// The camera's port.
    pub port: u16,
    /// The camera's maker.
    pub maker: String,
    /// The camera's model.
    pub model: String,
}

/// A channel. Wire source: `NET_SDK_CH_DEVICE_STATUS`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelRow {
    /// The channel, from 0.
    pub channel: u16,
    /// Whether it has a picture.
    pub online: bool,
    /// The vendor's number of its kind: 1 digital, 2 analogue; others are no picture channels.
    pub kind: u32,
    /// Its name.
    pub name: String,
}

/// A wall clock without a zone. Wire source: `DD_TIME`; years and months are those of people here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WallClock {
    /// The year, as 2026.
    pub year: u16,
    /// The month, from 1.
    pub month: u8,
    /// The day of the month, from 1.
    pub day: u8,
    /// The hour, 0 to 23.
    pub hour: u8,
    /// The minute.
    pub minute: u8,
    /// The second.
    pub second: u8,
}

/// A disk. Wire source: `NET_SDK_DISK_INFO`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskRow {
    /// The library's number for it.
    pub index: i64,
    /// 0 normal, 1 unformatted, 2 being formatted, 3 faulty.
    pub status: i16,
    /// Its size in MB.
    pub total_mb: u32,
    /// What is free, in MB.
    pub free_mb: u32,
}

/// What a channel records. Wire source: `NET_SDK_RECORD_STATUS_EX` of 1.3.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingRow {
    /// The channel, from 0.
    pub channel: u16,
    /// 0 off, 1 recording, 2 abnormal.
    pub status: u32,
    /// Width and height in pixels; 0 where unknown.
    pub size: (u16, u16),
    /// Pictures a second.
    pub frame_rate: u32,
    /// The highest bit rate, kbit/s.
    pub bitrate_kbps: u32,
}

/// A device that answered a search. Wire source: `NET_SDK_DEVICE_DISCOVERY_INFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoundRow {
    /// The vendor's number of the kind of device: 3 is a recorder.
    pub device_type: u32,
    /// Its model.
    pub model: String,
    /// Its address, as text.
    pub address: String,
    /// Its netmask, as text.
    pub mask: String,
    /// Its gateway, as text.
    pub gateway: String,
    /// The Ethernet address, six bytes.
    pub mac: [u8; 6],
    /// The port of the vendor's protocol.
    pub data_port: u16,
    /// The port of its web pages.
    pub http_port: u16,
    /// The vendor's word for the firmware's version.
    pub software: u32,
    /// The name of the brand it was made for.
    pub brand: String,
    /// Its configured name; only 1.3.2 tells it.
    pub name: String,
}
