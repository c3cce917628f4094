//! What the invented devices say: a function of their address.

use crate::faults::setting;
use crate::records::{
    Camera028, Camera036, ChannelStatus, DeviceInfo, DiskInfo, Found036, RecordStatus, Time,
};

/// Channels of a device unless a variable says otherwise.
const CHANNELS: u16 = 8;
/// Channels without a row, as recorders have.
const SPARE: u16 = 8;

/// Which version is modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V028,
    V036,
    V132,
}

impl Version {
    pub(crate) fn chosen() -> Self {
        match setting("VERSION").as_deref() {
            Some("028") => Self::V028,
            Some("132") => Self::V132,
            _ => Self::V036,
        }
    }

    /// The build number. That of 028 is not known; this one is older than 036.
    pub(crate) const fn build(self) -> u32 {
        match self {
            Self::V028 => 31_115,
            Self::V036 => 60_222,
            Self::V132 => 90_116,
        }
    }

    /// The length of a camera record.
    pub(crate) fn camera_stride(self) -> usize {
        let chosen = setting("STRIDE").and_then(|text| text.parse().ok());
        chosen.unwrap_or(match self {
            Self::V028 => size_of::<Camera028>(),
            Self::V036 | Self::V132 => size_of::<Camera036>(),
        })
    }
}

/// How many channels devices have.
pub(crate) fn channels() -> u16 {
    setting("CHANNELS")
        .and_then(|text| text.parse().ok())
        .unwrap_or(CHANNELS)
}

pub(crate) fn device(device: &str) -> DeviceInfo {
    let digest = digest(device);
    let [a, b, c, ..] = digest.to_be_bytes();
    let (host, port) = device.rsplit_once(':').unwrap_or((device, "0"));
    DeviceInfo {
        inputs: [0, 1, 4, 1],
        resolutions: 0,
        counts: [0; 11],
        device_type: 3,
        flags: [0; 8],
        video_inputs: channels().saturating_add(SPARE),
        device_id: 0,
        video_format: 0,
        functions: [0; 8],
        ip: 0,
        mac: [0x58, 0x5B, 0x69, a, b, c],
        port: port.parse().unwrap_or_default(),
        build_date: (2023 << 16) + (2 << 8) + 22,
        build_time: 0,
        name: field(format!("fake-{host}").as_bytes()),
        firmware: field(b"1.4.10.0"),
        kernel: field(b"kernel"),
        hardware: field(b"hw-1"),
        mcu: field(b"mcu-1"),
        firmware_long: field(b"1.4.10.0.build"),
        software: 0,
        // Full to the last byte, without a NUL.
        serial: field(format!("{digest:016X}{digest:016X}").as_bytes()),
        product: field(format!("FAKE-NVR{}", channels()).as_bytes()),
    }
}

/// The rows of a device's cameras, not in the order of the channels.
pub(crate) fn cameras() -> Vec<Camera036> {
    (0..channels()).rev().map(camera).collect()
}

fn camera(channel: u16) -> Camera036 {
    let empty = Camera036 {
        device_id: 0,
        channel,
        guid: field(format!("{{{:08X}-0000-0000-0000-000000000000}}", channel + 1).as_bytes()),
        status: 0,
        interface: [0; 16],
        server: [0; 64],
        port: 0,
        http_port: 0,
        control_port: 0,
        id: [0; 64],
        user: [0; 36],
        padding: [0; 2],
        maker_id: 0,
        maker: [0; 36],
        model: [0; 36],
        default_config: 0,
        poe: 0,
        reserved: [0; 2],
        name: [0; 36],
    };
    // Channel 5 is a slot that is not used.
    if channel == 5 {
        return empty;
    }
    let name: [u8; 36] = match channel {
        6 => [b'n'; 36],
        7 => field(b"bad \xFF text"),
        _ => field(format!("camera {}", channel + 1).as_bytes()),
    };
    Camera036 {
        status: u16::from(channel != 2),
        server: field(format!("192.0.2.{}", 10_u16.saturating_add(channel) % 256).as_bytes()),
        port: 9008,
        http_port: 80,
        control_port: 9008,
        user: field(b"admin"),
        maker: field(b"TVT"),
        model: field(b"TD-9544S4-C"),
        poe: u8::from(channel == 0),
        name,
        ..empty
    }
}

pub(crate) fn older(row: &Camera036) -> Camera028 {
    Camera028 {
        device_id: row.device_id,
        channel: row.channel,
        status: row.status,
        interface: row.interface,
        server: row.server,
        port: row.port,
        http_port: row.http_port,
        control_port: row.control_port,
        id: row.id,
        user: row.user,
        padding: row.padding,
        maker_id: row.maker_id,
        maker: row.maker,
        model: row.model,
        default_config: row.default_config,
        poe: row.poe,
        reserved: row.reserved,
    }
}

pub(crate) fn channel_rows() -> Vec<ChannelStatus> {
    (0..channels())
        .map(|channel| ChannelStatus {
            channel,
            status: u16::from(channel != 2 && channel != 5),
            kind: 1,
            name: field(format!("channel {}", channel + 1).as_bytes()),
            reserved: [0; 32],
        })
        .collect()
}

/// The wall clock of every device: 2026-11-07 08:09:10. The weekday is not kept up.
pub(crate) const fn time() -> Time {
    Time {
        second: 10,
        minute: 9,
        hour: 8,
        weekday: 0,
        day: 7,
        month: 10,
        year: 126,
        total_seconds: 0,
        microsecond: 0,
    }
}

/// A disk in use, and one that was never formatted.
pub(crate) const fn disks() -> [DiskInfo; 2] {
    let first = DiskInfo {
        index: 0,
        status: 0,
        property: 0,
        total: 3_815_447,
        free: 102_400,
    };
    let second = DiskInfo {
        index: 1,
        status: 1,
        free: 0,
        ..first
    };
    [first, second]
}

/// Every channel records but the third, which is in trouble.
pub(crate) fn record_rows() -> Vec<RecordStatus> {
    (0..channels())
        .map(|channel| RecordStatus {
            device: field(format!("camera {}", channel + 1).as_bytes()),
            kind: 4,
            channel: u32::from(channel),
            status: if channel == 2 { 2 } else { 1 },
            stream: 0,
            resolution: (2560 << 16) + 1440,
            frame_rate: 25,
            quality: 4096,
            bit_type: 1,
            level: 3,
        })
        .collect()
}

/// The devices that a search finds: recorders on documentation addresses, from 192.0.2.201 on.
pub(crate) fn found() -> Vec<Found036> {
    let count = setting("FOUND").and_then(|text| text.parse().ok());
    (0..count.unwrap_or(2_u8))
        .map(|number| Found036 {
            device_type: 3,
            product: field(b"FAKE-NVR8"),
            address: field(format!("192.0.2.{}", 201_u8.saturating_add(number)).as_bytes()),
            mask: field(b"255.255.255.0"),
            gateway: field(b"192.0.2.1"),
            mac: [0x58, 0x5B, 0x69, 0xFA, 0xCE, number, 0, 0],
            port: 6036,
            http_port: 80,
            software: 0x0104_0D00,
            build_date: 0,
            address_mode: 0,
            second_address: [0; 16],
            second_mask: [0; 16],
            not_activated: 0,
            password_level: 2,
            brand: field(b"FAKE"),
            padding: 0,
        })
        .collect()
}

/// A grey JPEG picture of 16 by 16 pixels with a comment.
#[must_use]
pub fn picture(comment: &str) -> Vec<u8> {
    let segment = |marker: u8, content: &[u8]| {
        let length = u16::try_from(content.len().saturating_add(2)).unwrap_or(u16::MAX);
        [&[0xFF, marker], length.to_be_bytes().as_slice(), content].concat()
    };
    let quantisation = [&[0][..], &[1; 64]].concat();
    // One code of one bit: no difference, end of the block.
    let codes = |class: u8| [&[class, 1][..], &[0; 15], &[0]].concat();
    [
        vec![0xFF, 0xD8],
        segment(0xFE, comment.as_bytes()),
        segment(0xDB, &quantisation),
        segment(0xC0, &[8, 0, 16, 0, 16, 1, 1, 0x11, 0]),
        segment(0xC4, &codes(0)),
        segment(0xC4, &codes(0x10)),
        segment(0xDA, &[1, 1, 0, 0, 63, 0]),
        // Four blocks of two bits.
        vec![0x00, 0xFF, 0xD9],
    ]
    .concat()
}

/// A fixed field; text that is longer is cut, text that fits is followed by NULs.
pub(crate) fn field<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut field = [0; N];
    for (to, from) in field.iter_mut().zip(text) {
        *to = *from;
    }
    field
}

/// FNV-1a: tests need the same number every time, not a good one.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}
