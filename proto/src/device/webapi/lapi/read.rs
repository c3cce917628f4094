//! Answers. An element may be the root or a child of it; repeated ones are found at any depth.

use crate::device::http::Trouble;
use crate::device::webapi::flat;
use crate::device::xml::Element;
use crate::model::answer::{
    AudioSettings, ClockReading, DeviceInfo, Disk, ImageSettings, OsdSettings, RecordedDay,
    RecordedSegment, RecordingState, StreamSettings,
};
use crate::model::channel::{Channel, ChannelLabel, ChannelStatus, StatusSource};

/// `DeviceInfo`. A document of the other dialect is refused, never read as an empty one.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn info(root: &Element) -> Result<DeviceInfo, Trouble> {
    let info = one(root, "DeviceInfo")?;
    let class = text(info, "deviceType").map(|class| class.to_lowercase());
    Ok(DeviceInfo {
        name: text(info, "deviceName"),
        model: text(info, "deviceModel"),
        serial: text(info, "serialNumber"),
        firmware: text(info, "firmwareVersion"),
        build_date: text(info, "firmwareReleaseDate"),
        hardware: text(info, "hardwareVersion"),
        kernel: text(info, "bootVersion"),
        mac: text(info, "macAddress"),
        device_class: class,
        channels: info.number_at(&["videoInputNum"]),
        alarm_in: info.number_at(&["alarmInputNum"]),
        alarm_out: info.number_at(&["alarmOutputNum"]),
        ..DeviceInfo::default()
    })
}

/// `ChannelInfo`.
#[must_use]
pub fn channels(root: &Element) -> Vec<Channel> {
    every(root, "ChannelInfo")
        .filter_map(|item| {
            let status = match item.flag_at(&["online"]) {
                Some(true) => ChannelStatus::Online,
                Some(false) => ChannelStatus::Offline,
                None if item.child("online").is_some() => ChannelStatus::Unknown,
                None => ChannelStatus::NotReported,
            };
            Some(Channel {
                label: ChannelLabel::Number(item.number_at(&["channelID"])?),
                name: text(item, "channelName").unwrap_or_default(),
                address: text(item, "ipAddress").unwrap_or_default(),
                port: 0,
                status,
                status_source: StatusSource::ChannelList,
                protocol: String::new(),
                model: String::new(),
            })
        })
        .collect()
}

/// `DiskInfo`.
#[must_use]
pub fn disks(root: &Element) -> Vec<Disk> {
    every(root, "DiskInfo")
        .filter(|item| !item.children().is_empty())
        .filter(|item| item.child("DiskInfo").is_none())
        .map(|item| Disk {
            id: text(item, "diskID"),
            total_mb: item.number_at(&["capacity"]),
            free_mb: item.number_at(&["freeSpace"]),
            status: text(item, "status"),
            storage_type: text(item, "diskType"),
            slot: text(item, "diskName"),
            ..Disk::default()
        })
        .collect()
}

/// `DateAndTime`.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn clock(root: &Element) -> Result<ClockReading, Trouble> {
    let time = one(root, "DateAndTime")?;
    Ok(ClockReading {
        local_time: text(time, "localTime").map(|time| time.replacen('T', " ", 1)),
        time_zone: text(time, "timeZone"),
        sync: text(time, "dateTimeMode"),
        ntp_server: text(time, "ntpServerAddress"),
        ntp_interval_min: time.number_at(&["ntpRefreshInterval"]),
        ..ClockReading::default()
    })
}

/// `ImageConfig`.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn image(root: &Element, channel: u32) -> Result<ImageSettings, Trouble> {
    let image = one(root, "ImageConfig")?;
    Ok(ImageSettings {
        channel: Some(channel),
        bright: image.number_at(&["brightness"]),
        contrast: image.number_at(&["contrast"]),
        saturation: image.number_at(&["saturation"]),
        sharpen: image.number_at(&["sharpness"]),
        ir_cut: text(image, "irCutMode"),
        white_balance: text(image, "whiteBalanceMode"),
        wdr: image.flag_at(&["WDREnabled"]),
        ..ImageSettings::default()
    })
}

/// `VideoStreamConfig`.
#[must_use]
pub fn streams(root: &Element, channel: u32) -> Vec<StreamSettings> {
    every(root, "VideoStreamConfig")
        .filter(|item| item.child("codec").is_some())
        .map(|item| {
            let width = text(item, "resolutionWidth");
            let size = width.zip(text(item, "resolutionHeight"));
            StreamSettings {
                channel: Some(channel),
                name: text(item, "streamType"),
                resolution: size.map(|(width, height)| format!("{width}x{height}")),
                frame_rate: item.number_at(&["frameRate"]),
                bitrate_type: text(item, "bitrateType"),
                max_bitrate_kbps: item.number_at(&["maxBitrate"]),
                codec: text(item, "codec"),
                quality: text(item, "quality"),
                gop: item.number_at(&["GOP"]),
                ..StreamSettings::default()
            }
        })
        .collect()
}

/// `AudioStreamConfig`.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn audio(root: &Element, channel: u32) -> Result<AudioSettings, Trouble> {
    let audio = one(root, "AudioStreamConfig")?;
    Ok(AudioSettings {
        channel: Some(channel),
        enabled: audio.flag_at(&["enabled"]),
        codec: text(audio, "audioCodecType"),
        sample_rate: audio.number_at(&["sampleRate"]),
        bitrate: audio.number_at(&["audioBitrate"]),
        ..AudioSettings::default()
    })
}

/// `ImageOsdConfig`.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn osd(root: &Element, channel: u32) -> Result<OsdSettings, Trouble> {
    let osd = one(root, "ImageOsdConfig")?;
    Ok(OsdSettings {
        channel: Some(channel),
        time_on: osd.flag_at(&["timeOSDEnabled"]),
        name_on: osd.flag_at(&["channelNameEnabled"]),
        name: text(osd, "channelName"),
        ..OsdSettings::default()
    })
}

/// `RecordStatusInfo`.
#[must_use]
pub fn recording(root: &Element) -> Vec<RecordingState> {
    every(root, "RecordStatusInfo")
        .filter(|item| item.child("channelID").is_some())
        .map(|item| {
            let state = item
                .flag_at(&["isRecording"])
                .map(|on| if on { "recording" } else { "not_recording" }.to_owned());
            RecordingState {
                channel: item.number_at(&["channelID"]),
                state,
                types: text(item, "recordType")
                    .filter(|word| !word.is_empty())
                    .into_iter()
                    .collect(),
                ..RecordingState::default()
            }
        })
        .collect()
}

/// `SearchRecordDate`.
#[must_use]
pub fn recording_days(root: &Element, channel: u32) -> Vec<RecordedDay> {
    flat::recording_days(root, channel)
}

/// `SearchByTime`. A segment without a channel of its own belongs to the one asked for.
#[must_use]
pub fn segments(root: &Element, channel: u32) -> Vec<RecordedSegment> {
    let time = |item: &Element, name: &str| text(item, name).map(|time| time.replacen('T', " ", 1));
    every(root, "RecordSegment")
        .map(|item| RecordedSegment {
            channel: item.number_at(&["channelID"]).or(Some(channel)),
            start: time(item, "startTime"),
            end: time(item, "endTime"),
            record_type: text(item, "recordType"),
            ..RecordedSegment::default()
        })
        .collect()
}

fn one<'a>(root: &'a Element, name: &str) -> Result<&'a Element, Trouble> {
    if root.name() == name {
        return Ok(root);
    }
    root.child(name).ok_or_else(|| Trouble::shape(name))
}

fn every<'a>(root: &'a Element, name: &'a str) -> impl Iterator<Item = &'a Element> {
    root.walk().filter(move |element| element.name() == name)
}

fn text(element: &Element, name: &str) -> Option<String> {
    element.text_at(&[name]).map(str::to_owned)
}
