//! The records of the vendor's library, read by offset.
//!
//! The library says neither its layout nor the length of a record, so the layout is guessed from its
//! build number and checked against the data: a wrong guess shows in numbers out of range and texts
//! that are none. Nothing of a buffer is used where no layout fits.
//!
//! Wire source: vendor header DVR_NET_SDK.h of 1.2.1.028 and 1.2.1.036, packed to 4 bytes; integers are
//! little-endian, texts end at the first NUL or with their field. `tests/vectors/netsdk_layout.json`
//! holds the offsets, and a test compares them.

use std::collections::BTreeSet;
use std::ops::Range;

use tvtfleet_proto::device::sdkpipe::{
    CameraRow, ChannelRow, DeviceRecord, DiskRow, RecordingRow, WallClock,
};

/// Channels are below this number in every recorder.
const CHANNEL_LIMIT: u16 = 1024;
/// The first build whose records have names and GUIDs.
pub(crate) const FIRST_036: u32 = 50_422;

/// The offsets of a camera record, `NET_SDK_IPC_DEVICE_INFO`.
#[derive(Debug, PartialEq, Eq)]
struct CameraLayout {
    stride: usize,
    channel: usize,
    status: usize,
    address: Range<usize>,
    port: usize,
    maker: Range<usize>,
    model: Range<usize>,
    name: Option<Range<usize>>,
}

/// The camera record of 1.2.1.028.
const CAMERA_028: CameraLayout = CameraLayout {
    stride: 276,
    channel: 4,
    status: 6,
    address: 24..88,
    port: 88,
    maker: 200..236,
    model: 236..272,
    name: None,
};

/// The camera record of 1.2.1.036 and later.
const CAMERA_036: CameraLayout = CameraLayout {
    stride: 360,
    channel: 4,
    status: 54,
    address: 72..136,
    port: 136,
    maker: 248..284,
    model: 284..320,
    name: Some(324..360),
};

/// The channel record, `NET_SDK_CH_DEVICE_STATUS`, in every version with a public header.
pub(crate) const CHANNEL_STRIDE: usize = 172;
const CHANNEL_NUMBER: usize = 0;
const CHANNEL_STATUS: usize = 2;
const CHANNEL_KIND: usize = 4;
const CHANNEL_NAME: Range<usize> = 8..140;

/// Room for a device record, `NET_SDK_DEVICEINFO`: 424 bytes, 428 in 1.3.2.
pub(crate) const DEVICE_ROOM: usize = 1024;
const DEVICE_ALARM_IN: usize = 2;
const DEVICE_ALARM_OUT: usize = 3;
const DEVICE_TYPE: usize = 19;
const DEVICE_INPUTS: usize = 28;
const DEVICE_MAC: Range<usize> = 72..78;
const DEVICE_NAME: Range<usize> = 88..124;
const DEVICE_FIRMWARE: Range<usize> = 124..160;
const DEVICE_KERNEL: Range<usize> = 160..224;
const DEVICE_HARDWARE: Range<usize> = 224..260;
const DEVICE_SERIAL: Range<usize> = 364..396;
const DEVICE_MODEL: Range<usize> = 396..424;

/// Room for a wall clock, `DD_TIME`: 16 bytes.
pub(crate) const CLOCK_ROOM: usize = 64;
/// Room for a disk, `NET_SDK_DISK_INFO`: 20 bytes.
pub(crate) const DISK_ROOM: usize = 1024;
/// Room for the address of a stream; no document bounds it.
pub(crate) const URL_ROOM: usize = 4096;
/// The recording record, `NET_SDK_RECORD_STATUS_EX`, of 1.3.2. UNCERTAIN: its header is not public; one
/// recorder's answer to a build of 1.3.2 would settle it, and rows that do not fit are not used.
pub(crate) const RECORDING_STRIDE: usize = 164;
/// The first build with that record; earlier headers have a function of the name for another one.
pub(crate) const FIRST_132: u32 = 90_116;

/// No layout fits the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch(pub(crate) String);

/// Reads a device record.
pub(crate) fn device(bytes: &[u8]) -> DeviceRecord {
    let mut mac = [0; 6];
    for (to, from) in mac
        .iter_mut()
        .zip(bytes.get(DEVICE_MAC).unwrap_or_default())
    {
        *to = *from;
    }
    DeviceRecord {
        name: text(bytes, DEVICE_NAME),
        model: text(bytes, DEVICE_MODEL),
        serial: text(bytes, DEVICE_SERIAL),
        firmware: text(bytes, DEVICE_FIRMWARE),
        hardware: text(bytes, DEVICE_HARDWARE),
        kernel: text(bytes, DEVICE_KERNEL),
        alarm_in: byte(bytes, DEVICE_ALARM_IN),
        alarm_out: byte(bytes, DEVICE_ALARM_OUT),
        mac,
        video_inputs: number(bytes, DEVICE_INPUTS),
        device_type: byte(bytes, DEVICE_TYPE),
    }
}

/// Reads `count` camera records of a library with this build number.
pub(crate) fn cameras(bytes: &[u8], count: i64, build: u32) -> Result<Vec<CameraRow>, Mismatch> {
    let (likely, other) = if build >= FIRST_036 {
        (&CAMERA_036, &CAMERA_028)
    } else {
        (&CAMERA_028, &CAMERA_036)
    };
    let of_likely = camera_score(bytes, count, likely)?;
    let of_other = camera_score(bytes, count, other)?;
    let (layout, score) = if of_likely >= of_other {
        (likely, of_likely)
    } else {
        (other, of_other)
    };
    if !score.fits() {
        let text = format!(
            "no known camera record fits {count} rows of build {build} ({} of {} signs)",
            score.good, score.all
        );
        return Err(Mismatch(text));
    }
    let rows = rows(bytes, count, layout.stride)?;
    Ok(rows
        .map(|row| CameraRow {
            channel: number(row, layout.channel),
            online: number(row, layout.status) == 1,
            name: layout
                .name
                .clone()
                .map(|range| text(row, range))
                .unwrap_or_default(),
            address: text(row, layout.address.clone()),
            port: number(row, layout.port),
            maker: text(row, layout.maker.clone()),
            model: text(row, layout.model.clone()),
        })
        .collect())
}

/// Reads `count` channel records.
pub(crate) fn channels(bytes: &[u8], count: i64) -> Result<Vec<ChannelRow>, Mismatch> {
    let mut score = Score::default();
    let mut seen = BTreeSet::new();
    for row in rows(bytes, count, CHANNEL_STRIDE)? {
        let channel = number(row, CHANNEL_NUMBER);
        let kind = word(row, CHANNEL_KIND);
        score.count(channel < CHANNEL_LIMIT);
        score.count(seen.insert((kind, channel)));
        score.count(number(row, CHANNEL_STATUS) <= 1);
        score.count((1..=4).contains(&kind));
    }
    if !score.fits() {
        let text = format!("the channel record does not fit {count} rows");
        return Err(Mismatch(text));
    }
    let read = |row| ChannelRow {
        channel: number(row, CHANNEL_NUMBER),
        online: number(row, CHANNEL_STATUS) == 1,
        kind: word(row, CHANNEL_KIND),
        name: text(row, CHANNEL_NAME),
    };
    Ok(rows(bytes, count, CHANNEL_STRIDE)?.map(read).collect())
}

/// Reads a wall clock: `DD_TIME` counts months from 0 and years from 1900.
pub(crate) fn clock(bytes: &[u8]) -> WallClock {
    WallClock {
        second: byte(bytes, 0),
        minute: byte(bytes, 1),
        hour: byte(bytes, 2),
        day: byte(bytes, 4),
        month: byte(bytes, 5).saturating_add(1),
        year: number(bytes, 6).saturating_add(1900),
    }
}

/// Reads a disk: the number of eight bytes, then two short ones and the sizes.
pub(crate) fn disk(bytes: &[u8]) -> DiskRow {
    let index = bytes.first_chunk().copied().map(i64::from_le_bytes);
    let status = bytes.get(8..).and_then(<[u8]>::first_chunk);
    DiskRow {
        index: index.unwrap_or_default(),
        status: status.copied().map(i16::from_le_bytes).unwrap_or_default(),
        total_mb: word(bytes, 12),
        free_mb: word(bytes, 16),
    }
}

/// Reads `count` recording records.
pub(crate) fn recordings(bytes: &[u8], count: i64) -> Result<Vec<RecordingRow>, Mismatch> {
    let mut score = Score::default();
    let mut found = Vec::new();
    for row in rows(bytes, count, RECORDING_STRIDE)? {
        let (channel, status, size) = (word(row, 132), word(row, 136), word(row, 144));
        let [low, high] = [size & 0xFFFF, size >> 16].map(|part| u16::try_from(part).unwrap_or(0));
        score.count(channel < u32::from(CHANNEL_LIMIT));
        score.count(status <= 2);
        score.count(is_plain(row.get(..128).unwrap_or_default()));
        found.push(RecordingRow {
            channel: u16::try_from(channel).unwrap_or(u16::MAX),
            status,
            size: (high, low),
            frame_rate: word(row, 148),
            bitrate_kbps: word(row, 152),
        });
    }
    if !score.fits() {
        let text = format!("the recording record does not fit {count} rows");
        return Err(Mismatch(text));
    }
    Ok(found)
}

/// Reads a text that ends at the first NUL.
pub(crate) fn line(bytes: &[u8]) -> String {
    text(bytes, 0..bytes.len())
}

/// How well a layout fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Score {
    good: usize,
    all: usize,
}

impl Score {
    pub(crate) fn count(&mut self, good: bool) {
        self.good = self.good.saturating_add(usize::from(good));
        self.all = self.all.saturating_add(1);
    }

    /// At least nine signs in ten speak for it. No rows fit every layout.
    pub(crate) const fn fits(self) -> bool {
        self.good.saturating_mul(10) >= self.all.saturating_mul(9)
    }
}

fn camera_score(bytes: &[u8], count: i64, layout: &CameraLayout) -> Result<Score, Mismatch> {
    let mut score = Score::default();
    let mut seen = BTreeSet::new();
    for row in rows(bytes, count, layout.stride)? {
        let channel = number(row, layout.channel);
        score.count(channel < CHANNEL_LIMIT);
        score.count(seen.insert(channel));
        score.count(number(row, layout.status) <= 1);
        for range in [&layout.address, &layout.maker, &layout.model] {
            score.count(is_plain(row.get(range.clone()).unwrap_or_default()));
        }
    }
    Ok(score)
}

/// Up to the first NUL, nothing but printable ASCII or UTF-8 of more bytes.
pub(crate) fn is_plain(field: &[u8]) -> bool {
    let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
    std::str::from_utf8(text).is_ok_and(|text| !text.chars().any(char::is_control))
}

/// The records in a buffer: never more than it has room for.
pub(crate) fn rows(
    bytes: &[u8],
    count: i64,
    stride: usize,
) -> Result<impl Iterator<Item = &[u8]>, Mismatch> {
    let count = usize::try_from(count).map_err(|_| Mismatch(format!("a count of {count}")))?;
    Ok(bytes.chunks_exact(stride).take(count))
}

pub(crate) fn text(bytes: &[u8], range: Range<usize>) -> String {
    let field = bytes.get(range).unwrap_or_default();
    let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or_default()
}

pub(crate) fn number(bytes: &[u8], at: usize) -> u16 {
    let field = bytes.get(at..).and_then(<[u8]>::first_chunk);
    field.map_or(0, |field| u16::from_le_bytes(*field))
}

pub(crate) fn word(bytes: &[u8], at: usize) -> u32 {
    let field = bytes.get(at..).and_then(<[u8]>::first_chunk);
    field.map_or(0, |field| u32::from_le_bytes(*field))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    pub(crate) const LAYOUTS: &str = include_str!("../../../tests/vectors/netsdk_layout.json");

    /// Offset and size of a field in the published layouts.
    pub(crate) fn field(layout: &Value, name: &str) -> Range<usize> {
        let fields = layout["fields"].as_array().unwrap();
        let found = fields.iter().find(|field| field["name"] == name).unwrap();
        let at = |key: &str| usize::try_from(found[key].as_u64().unwrap()).unwrap();
        at("offset")..at("offset") + at("size")
    }

    #[test]
    fn offsets_are_those_of_the_headers() {
        let all: Value = serde_json::from_str(LAYOUTS).unwrap();
        let camera = &all["structs"]["NET_SDK_IPC_DEVICE_INFO"];
        for (ours, theirs) in [(&CAMERA_036, camera), (&CAMERA_028, &camera["variants"][0])] {
            assert_eq!(u64::try_from(ours.stride).ok(), theirs["size"].as_u64());
            assert_eq!(ours.channel, field(theirs, "channel").start);
            assert_eq!(ours.status, field(theirs, "status").start);
            assert_eq!(ours.address, field(theirs, "szServer"));
            assert_eq!(ours.port, field(theirs, "nPort").start);
            assert_eq!(ours.maker, field(theirs, "manufacturerName"));
            assert_eq!(ours.model, field(theirs, "productModel"));
        }
        assert_eq!(CAMERA_036.name, Some(field(camera, "szChlname")));
        let channel = &all["structs"]["NET_SDK_CH_DEVICE_STATUS"];
        assert_eq!(u64::try_from(CHANNEL_STRIDE).ok(), channel["size"].as_u64());
        assert_eq!(CHANNEL_NAME, field(channel, "name"));
        assert_eq!(CHANNEL_KIND, field(channel, "chlType").start);
        assert_eq!(CHANNEL_STATUS, field(channel, "status").start);
        let device = &all["structs"]["NET_SDK_DEVICEINFO"];
        for theirs in [device, &device["variants"][0]] {
            assert_eq!(DEVICE_TYPE, field(theirs, "deviceType").start);
            assert_eq!(DEVICE_INPUTS, field(theirs, "videoInputNum").start);
            assert_eq!(DEVICE_MAC, field(theirs, "deviceMAC"));
            assert_eq!(DEVICE_NAME, field(theirs, "deviceName"));
            assert_eq!(DEVICE_FIRMWARE, field(theirs, "firmwareVersion"));
            assert_eq!(DEVICE_HARDWARE, field(theirs, "hardwareVersion"));
            assert_eq!(DEVICE_KERNEL, field(theirs, "kernelVersion"));
            assert_eq!(DEVICE_ALARM_IN, field(theirs, "sensorInputNum").start);
            assert_eq!(DEVICE_ALARM_OUT, field(theirs, "sensorOutputNum").start);
            assert_eq!(DEVICE_SERIAL, field(theirs, "szSN"));
            assert_eq!(DEVICE_MODEL, field(theirs, "deviceProduct"));
        }
    }

    #[test]
    fn small_records_are_read_where_the_headers_have_them() {
        let all: Value = serde_json::from_str(LAYOUTS).unwrap();
        let record = |theirs: &Value, values: &[(&str, &[u8])]| {
            let size = usize::try_from(theirs["size"].as_u64().unwrap()).unwrap();
            let mut bytes = vec![0; size];
            for (name, value) in values {
                bytes[field(theirs, name).start..][..value.len()].copy_from_slice(value);
            }
            bytes
        };
        let time: [(&str, &[u8]); 6] = [
            ("second", &[58]),
            ("minute", &[57]),
            ("hour", &[23]),
            ("mday", &[31]),
            ("month", &[11]),
            ("year", &[126, 0]),
        ];
        let found = clock(&record(&all["structs"]["DD_TIME"], &time));
        assert_eq!((found.year, found.month, found.day), (2026, 12, 31));
        assert_eq!((found.hour, found.minute, found.second), (23, 57, 58));
        let values: [(&str, &[u8]); 4] = [
            ("diskIndex", &[7, 0, 0, 0, 1, 0, 0, 0]),
            ("diskStatus", &[3, 0]),
            ("diskTotalSpace", &[0, 0, 1, 0]),
            ("diskFreeSpace", &[5, 0, 0, 0]),
        ];
        let found = disk(&record(&all["structs"]["NET_SDK_DISK_INFO"], &values));
        assert_eq!((found.index, found.status), (0x1_0000_0007, 3));
        assert_eq!((found.total_mb, found.free_mb), (65_536, 5));
        let theirs = &all["structs"]["NET_SDK_RECORD_STATUS_EX"]["variants"][0];
        let values: [(&str, &[u8]); 5] = [
            ("dwChannel", &[4]),
            ("dwRecordStatus", &[1]),
            ("dwResolution", &[0x38, 0x04, 0x80, 0x07]),
            ("dwFrameRate", &[25]),
            ("dwQuality", &[0, 8]),
        ];
        let bytes = record(theirs, &values);
        assert_eq!(bytes.len(), RECORDING_STRIDE);
        let found = recordings(&bytes, 1).unwrap()[0];
        assert_eq!((found.channel, found.status), (4, 1));
        assert_eq!((found.size, found.frame_rate), ((1920, 1080), 25));
        assert_eq!(found.bitrate_kbps, 2048);
        assert!(recordings(&[0xA5; RECORDING_STRIDE], 1).is_err());
    }

    fn camera_row(layout: &CameraLayout, channel: u16) -> Vec<u8> {
        let mut row = vec![0; layout.stride];
        row[layout.channel..][..2].copy_from_slice(&channel.to_le_bytes());
        row[layout.status] = 1;
        row[layout.address.start..][..9].copy_from_slice(b"192.0.2.9");
        row[layout.maker.start..][..3].copy_from_slice(b"TVT");
        row[layout.model.start..][..4].copy_from_slice(b"TD-9");
        // What stands between the fields of one version is text in the other.
        if layout.stride == 360 {
            row[6..10].copy_from_slice(b"{000");
        }
        row
    }

    #[test]
    fn the_data_decides_where_the_build_number_lies() {
        for layout in [&CAMERA_028, &CAMERA_036] {
            let bytes: Vec<u8> = (0..8).flat_map(|n| camera_row(layout, n)).collect();
            for build in [40_101, 60_222, 90_116] {
                let rows = cameras(&bytes, 8, build).unwrap();
                assert!(
                    rows.iter()
                        .all(|row| row.address == "192.0.2.9" && row.online),
                    "{build}"
                );
            }
        }
    }

    #[test]
    fn rows_that_were_not_written_are_a_mismatch() {
        let mut bytes: Vec<u8> = (0..4).flat_map(|n| camera_row(&CAMERA_036, n)).collect();
        for fill in [0, 0xA5] {
            bytes.resize(4 * 360, fill);
            bytes.resize(64 * 360, fill);
            assert!(cameras(&bytes, 64, 60_222).is_err(), "{fill:#x}");
            assert!(cameras(&bytes, i64::MAX, 60_222).is_err());
            bytes.truncate(4 * 360);
        }
        assert!(cameras(&bytes, -1, 60_222).is_err());
        assert_eq!(cameras(&bytes, 0, 60_222).unwrap(), []);
    }

    proptest! {
        #[test]
        fn arbitrary_buffers_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..2000), count: i64, build: u32,
        ) {
            let _ = (cameras(&bytes, count, build), channels(&bytes, count), device(&bytes));
            let _ = (clock(&bytes), disk(&bytes), recordings(&bytes, count), line(&bytes));
        }
    }
}
