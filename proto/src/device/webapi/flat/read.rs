//! Answers.

use crate::device::http::Trouble;
use crate::device::xml::Element;
use crate::model::answer::{
    AudioSettings, ClockReading, DeviceInfo, Disk, ImageSettings, OsdSettings, Ports, RecordedDay,
    RecordedSegment, RecordingState, StreamSettings,
};
use crate::model::channel::{Channel, ChannelLabel, ChannelStatus, StatusSource};

/// A search answer with this many items is cut short by the device.
pub const SEGMENTS_MAX: usize = 1000;
/// The description by which old cameras are known.
const CAMERA: &str = "IPCamera";

/// What a device can encode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamCaps {
    /// The port of its video.
    pub rtsp_port: Option<u32>,
    /// Its streams.
    pub streams: Vec<StreamCap>,
}

/// What a stream can be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamCap {
    /// The device's number for it.
    pub id: Option<u32>,
    /// The profile's name in the camera's video address.
    pub name: Option<String>,
    /// Resolutions, each with its highest frame rate.
    pub resolutions: Vec<(String, Option<u32>)>,
    /// Codecs.
    pub codecs: Vec<String>,
}

/// The element below the root.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn answer<'a>(root: &'a Element, name: &str) -> Result<&'a Element, Trouble> {
    root.child(name).ok_or_else(|| Trouble::shape(name))
}

/// `GetSupportedAPIs`.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn apis(root: &Element) -> Result<Vec<String>, Trouble> {
    let list = answer(root, "applicationInterfaces")?;
    Ok(list
        .all("item")
        .map(|item| item.text().to_owned())
        .collect())
}

/// `GetDeviceInfo`.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn info(root: &Element) -> Result<DeviceInfo, Trouble> {
    let info = answer(root, "deviceInfo")?;
    let text = |name: &str| text(info, &[name]);
    let channels: Option<u32> = info.number_at(&["chlMaxCount"]);
    let description = text("deviceDescription");
    let camera = description.as_deref() == Some(CAMERA) || channels.is_none_or(|count| count <= 1);
    Ok(DeviceInfo {
        name: text("deviceName"),
        model: text("model"),
        serial: text("sn"),
        firmware: text("softwareVersion"),
        build_date: text("softwareBuildDate"),
        hardware: text("hardwareVersion"),
        kernel: text("kernelVersion"),
        mac: text("mac"),
        brand: text("brand"),
        description,
        device_class: Some(if camera { "ipc" } else { "nvr" }.to_owned()),
        channels,
        alarm_in: info.number_at(&["alarmInCount"]),
        alarm_out: info.number_at(&["alarmOutCount"]),
        api_version: text("apiVersion"),
    })
}

/// `GetChannelInfo` of version 2, `GetChannelList` of version 1 devices.
///
/// # Errors
///
/// `device.bad_answer`, also where a list announces channels and has none.
pub fn channels(root: &Element) -> Result<Vec<Channel>, Trouble> {
    if let Some(list) = root.child("channelList") {
        let channels = list
            .all("item")
            .filter_map(|item| {
                let number = item.number_at(&["channelId"])?;
                let name = item.text_at(&["name"]).unwrap_or_default();
                Some(channel(number, name, item.text_at(&["status"])))
            })
            .collect();
        return counted(list, channels);
    }
    // The list is empty, and its items stand beside it.
    let list = answer(root, "channelIDList")?;
    let items = list.all("item").chain(root.all("item"));
    let channels = items
        .filter_map(|item| {
            let number = item.text().parse().ok()?;
            let name = item.attribute("name").unwrap_or_default();
            Some(channel(number, name, item.attribute("channelStatus")))
        })
        .collect();
    counted(list, channels)
}

/// `GetDiskInfo`.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn disks(root: &Element) -> Result<Vec<Disk>, Trouble> {
    let list = answer(root, "diskInfo")?;
    let disks = list
        .all("item")
        .map(|item| Disk {
            id: text(item, &["id"]),
            total_mb: item.number_at(&["totalSpace"]),
            free_mb: item.number_at(&["freeSpace"]),
            image_free_mb: item.number_at(&["imageFreeSpace"]),
            status: text(item, &["status"]).or_else(|| text(item, &["diskStatus"])),
            storage_type: text(item, &["storageType"]),
            ..Disk::default()
        })
        .collect();
    counted(list, disks)
}

/// `GetDateAndTime`, without the drift.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn clock(root: &Element) -> Result<ClockReading, Trouble> {
    let time = answer(root, "time")?;
    let current = ["synchronizeInfo", "currentTime"];
    Ok(ClockReading {
        local_time: text(time, &current).or_else(|| text(time, &["currentTime"])),
        time_zone: text(time, &["timezoneInfo", "timeZone"]),
        sync: text(time, &["synchronizeInfo", "type"]),
        ntp_server: text(time, &["synchronizeInfo", "ntpServer"]),
        ntp_interval_min: time.number_at(&["synchronizeInfo", "ntpSyncInterval"]),
        dst_switch: time.number_at(&["timezoneInfo", "daylightSwitch"]),
        hour_format: text(time, &["timeFormatMode"]),
        ..ClockReading::default()
    })
}

/// `GetPortConfig`.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn ports(root: &Element) -> Result<Ports, Trouble> {
    let port = answer(root, "port")?;
    Ok(Ports {
        http: port.number_at(&["httpPort"]),
        https: port.number_at(&["httpsPort"]),
        server: port.number_at(&["netPort"]),
        rtsp: port.number_at(&["rtspPort"]),
        long_polling: port.number_at(&["longPollingPort"]),
        ..Ports::default()
    })
}

/// `GetImageConfig`.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn image(root: &Element, channel: u32) -> Result<ImageSettings, Trouble> {
    let image = answer(root, "image")?;
    Ok(ImageSettings {
        channel: Some(channel),
        bright: image.number_at(&["bright"]),
        contrast: image.number_at(&["contrast"]),
        saturation: image.number_at(&["saturation"]),
        hue: image.number_at(&["hue"]),
        sharpen: image
            .number_at(&["sharpen"])
            .or_else(|| image.number_at(&["sharpen", "value"])),
        mirror: image.flag_at(&["mirrorSwitch"]),
        flip: image.flag_at(&["flipSwitch"]),
        ir_cut: text(image, &["IRCutMode"]),
        white_balance: text(image, &["whiteBalance", "mode"]),
        wdr: image.flag_at(&["WDR", "switch"]),
        backlight: text(image, &["backlightCompensation", "mode"]),
    })
}

/// `GetVideoStreamConfig`.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn streams(root: &Element, channel: u32) -> Result<Vec<StreamSettings>, Trouble> {
    let list = answer(root, "streams")?;
    let streams = list
        .all("item")
        .map(|item| StreamSettings {
            channel: Some(channel),
            id: item.attribute("id").and_then(|id| id.trim().parse().ok()),
            name: text(item, &["name"]),
            resolution: text(item, &["resolution"]),
            frame_rate: item.number_at(&["frameRate"]),
            bitrate_type: text(item, &["bitRateType"]),
            max_bitrate_kbps: item.number_at(&["maxBitRate"]),
            codec: text(item, &["encodeType"]),
            quality: text(item, &["quality"]),
            gop: item.number_at(&["GOP"]),
        })
        .collect();
    counted(list, streams)
}

/// `GetAudioStreamConfig`: fields directly below the root.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn audio(root: &Element, channel: u32) -> Result<AudioSettings, Trouble> {
    if root.children().is_empty() {
        return Err(Trouble::shape("audio settings"));
    }
    Ok(AudioSettings {
        channel: Some(channel),
        enabled: root.flag_at(&["audioInSwitch"]),
        codec: text(root, &["audioEncode"]),
        input: text(root, &["audioInput"]),
        output: text(root, &["audioOutput"]),
        ..AudioSettings::default()
    })
}

/// `GetImageOsdConfig`.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn osd(root: &Element, channel: u32) -> Result<OsdSettings, Trouble> {
    let osd = answer(root, "imageOsd")?;
    Ok(OsdSettings {
        channel: Some(channel),
        time_on: osd.flag_at(&["time", "switch"]),
        date_format: text(osd, &["time", "dateFormat"]),
        name_on: osd.flag_at(&["channelName", "switch"]),
        name: text(osd, &["channelName", "name"]),
    })
}

/// `GetRecordStatusInfo`: one record per stream, so that a channel may come several times.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn recording(root: &Element) -> Result<Vec<RecordingState>, Trouble> {
    let list = answer(root, "recordStatusList")?;
    let states = list
        .all("item")
        .map(|item| {
            let owned = |name: &str| item.attribute(name).map(str::to_owned);
            let number = |name: &str| {
                item.attribute(name)
                    .and_then(|text| text.trim().parse().ok())
            };
            let state = match item.text() {
                "norecording" | "no recording" => "not_recording",
                other => other,
            };
            RecordingState {
                channel: number("id"),
                stream: owned("streamType"),
                state: Some(state.to_owned()),
                types: words(item.attribute("recordTypes").unwrap_or_default()),
                resolution: owned("resolution"),
                frame_rate: number("frameRate"),
                bitrate_type: owned("bitrateType"),
                max_bitrate_kbps: number("maxBitrate"),
            }
        })
        .collect();
    counted(list, states)
}

/// `SearchRecordDate`. UNCERTAIN what the wrapper is called: every text that is a day counts.
#[must_use]
pub fn recording_days(root: &Element, channel: u32) -> Vec<RecordedDay> {
    root.walk()
        .map(Element::text)
        .filter(|text| is_day(text))
        .map(|day| RecordedDay {
            channel: Some(channel),
            date: Some(day.to_owned()),
        })
        .collect()
}

/// `SearchByTime`. UNCERTAIN what the wrapper is called: items are known by their `recType`.
#[must_use]
pub fn segments(root: &Element, channel: u32) -> Vec<RecordedSegment> {
    root.walk()
        .filter(|element| element.name() == "item")
        .filter_map(|item| {
            let record_type = item.attribute("recType")?;
            Some(RecordedSegment {
                channel: Some(channel),
                start: Some(item.text().to_owned()),
                end: item.attribute("endTime").map(str::to_owned),
                seconds: item
                    .attribute("seconds")
                    .and_then(|text| text.trim().parse().ok()),
                record_type: Some(record_type.to_owned()),
            })
        })
        .collect()
}

/// `GetStreamCaps`.
#[must_use]
pub fn stream_caps(root: &Element) -> StreamCaps {
    let list = root.child("streamList");
    let streams = list
        .into_iter()
        .flat_map(|list| list.all("item"))
        .map(|item| {
            let resolutions = item
                .child("resolutionCaps")
                .into_iter()
                .flat_map(|caps| caps.all("item"));
            let codecs = item
                .child("encodeTypeCaps")
                .into_iter()
                .flat_map(|caps| caps.all("item"));
            StreamCap {
                id: item.attribute("id").and_then(|id| id.trim().parse().ok()),
                name: text(item, &["streamName"]),
                resolutions: resolutions
                    .map(|one| {
                        let rate = one.attribute("maxFrameRate");
                        let rate = rate.and_then(|rate| rate.trim().parse().ok());
                        (one.text().to_owned(), rate)
                    })
                    .collect(),
                codecs: codecs.map(|one| one.text().to_owned()).collect(),
            }
        });
    StreamCaps {
        rtsp_port: root.number_at(&["rtspPort"]),
        streams: streams.collect(),
    }
}

fn channel(number: i64, name: &str, status: Option<&str>) -> Channel {
    let status = match status {
        Some("online" | "videoOn") => ChannelStatus::Online,
        Some("offline") => ChannelStatus::Offline,
        Some(other) if !other.is_empty() => ChannelStatus::Other(other.to_owned()),
        _ => ChannelStatus::NotReported,
    };
    Channel {
        label: ChannelLabel::Number(number),
        name: name.to_owned(),
        address: String::new(),
        port: 0,
        status,
        status_source: StatusSource::ChannelList,
        protocol: String::new(),
        model: String::new(),
    }
}

/// A list that announces items and has none is a shape that is not known, never an empty list.
fn counted<T>(list: &Element, items: Vec<T>) -> Result<Vec<T>, Trouble> {
    let announced: u32 = list
        .attribute("count")
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or(0);
    if announced > 0 && items.is_empty() {
        return Err(Trouble::shape("item"));
    }
    Ok(items)
}

fn text(element: &Element, path: &[&str]) -> Option<String> {
    element.text_at(path).map(str::to_owned)
}

fn words(list: &str) -> Vec<String> {
    list.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

pub(in crate::device) fn is_day(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}
