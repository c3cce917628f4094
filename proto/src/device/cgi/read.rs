//! Answers.

use jiff::civil::DateTime;

use crate::device::http::Trouble;
use crate::device::webapi::flat::is_day;
use crate::device::xml::Element;
use crate::model::answer::{
    Account, AudioSettings, DeviceInfo, Disk, MotionSettings, PasswordPolicy, PlatformAccess,
    Ports, RecordedDay, RecordedSegment, RecordingState, StreamSettings,
};
use crate::model::channel::{Channel, ChannelLabel, ChannelStatus, StatusSource};

use super::guid::channel_number;
use super::session::Reply;

/// The RTSP server of a recorder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rtsp {
    /// Whether it is on.
    pub enabled: Option<bool>,
    /// Its port.
    pub port: Option<u32>,
    /// How users log in to it.
    pub auth_type: Option<String>,
    /// Whether nobody needs to.
    pub anonymous: Option<bool>,
}

/// The web API of a recorder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Api {
    /// Whether it is on.
    pub enabled: Option<bool>,
    /// How users log in to it.
    pub auth_type: Option<String>,
}

/// `queryBasicCfg`.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn basic(reply: &Reply) -> Result<DeviceInfo, Trouble> {
    let content = reply.content()?;
    Ok(DeviceInfo {
        name: text(content, "name"),
        model: text(content, "model")
            .or_else(|| text(content, "deviceModel"))
            .or_else(|| text(content, "productModel")),
        serial: text(content, "sn").or_else(|| text(content, "serialNumber")),
        firmware: text(content, "softwareVersion"),
        build_date: text(content, "launchDate"),
        hardware: text(content, "hardwareVersion"),
        kernel: text(content, "kernelVersion"),
        mac: text(content, "mac"),
        device_class: Some("nvr".to_owned()),
        channels: content.number_at(&["chlMaxCount"]),
        api_version: text(content, "apiVersion"),
        ..DeviceInfo::default()
    })
}

/// A camera of `queryDevList` with the GUID of its channel.
///
/// # Errors
///
/// `device.bad_answer` for a success without content, or a total without an item.
pub fn device_list(reply: &Reply) -> Result<Vec<(String, Channel)>, Trouble> {
    let content = reply.content()?;
    let items: Vec<_> = content.all("item").filter_map(camera).collect();
    let total: Option<u32> = content
        .attribute("total")
        .and_then(|total| total.trim().parse().ok());
    let holds_something = !content.children().is_empty() || !content.text().is_empty();
    let announced = total.is_some_and(|total| total > 0) || (total.is_none() && holds_something);
    if items.is_empty() && announced {
        return Err(Trouble::shape("item"));
    }
    Ok(items)
}

/// `queryOnlineChlList`: the GUIDs of the channels that are online.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn online(reply: &Reply) -> Result<Vec<String>, Trouble> {
    let content = reply.content()?;
    Ok(content
        .all("item")
        .filter_map(guid)
        .map(str::to_owned)
        .collect())
}

/// Channels with their state; `None` where the state could not be had, which is not offline.
#[must_use]
pub fn channels(list: Vec<(String, Channel)>, online: Option<&[String]>) -> Vec<Channel> {
    list.into_iter()
        .map(|(guid, channel)| Channel {
            status: match online {
                None => ChannelStatus::Unknown,
                Some(online) if online.contains(&guid) => ChannelStatus::Online,
                Some(_) => ChannelStatus::Offline,
            },
            ..channel
        })
        .collect()
}

/// `queryStorageDevInfo`, with the states of `queryDiskStatus` where there are any.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn disks(storage: &Reply, states: Option<&Reply>) -> Result<Vec<Disk>, Trouble> {
    let content = storage.content()?;
    let states = states.and_then(|reply| reply.root.child("content"));
    let state_of = |id: &str| {
        states?
            .all("item")
            .find(|item| item.attribute("id") == Some(id))
            .and_then(|item| text(item, "diskStatus"))
    };
    let list = content.walk().find(|element| element.name() == "diskList");
    let items = list.into_iter().flat_map(|list| list.all("item"));
    Ok(items
        .map(|item| {
            let id = item.attribute("id").unwrap_or_default();
            Disk {
                id: Some(id.to_owned()),
                total_mb: item.number_at(&["size"]),
                free_mb: item.number_at(&["freeSpace"]),
                status: state_of(id).or_else(|| text(item, "diskStatus")),
                storage_type: text(item, "diskInterfaceType"),
                model: text(item, "model"),
                serial: text(item, "serialNum"),
                slot: text(item, "slotIndex"),
                ..Disk::default()
            }
        })
        .collect())
}

/// `queryUserList`.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn users(reply: &Reply) -> Result<Vec<Account>, Trouble> {
    let content = reply.content()?;
    Ok(content
        .all("item")
        .map(|item| {
            let group = item.child("authGroup");
            let named = group.map(Element::text).filter(|text| !text.is_empty());
            Account {
                id: item.attribute("id").map(str::to_owned),
                username: text(item, "userName"),
                user_type: text(item, "userType"),
                enabled: item.flag_at(&["enabled"]),
                group: named
                    .or_else(|| group.and_then(|group| group.attribute("id")))
                    .map(str::to_owned),
                email: text(item, "email"),
                bind_mac: item.flag_at(&["bindMacSwitch"]),
                mac: text(item, "mac"),
            }
        })
        .collect())
}

/// `queryPasswordSecurity`.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn password_policy(reply: &Reply) -> Result<PasswordPolicy, Trouble> {
    let content = reply.content()?;
    let levels = reply.root.at(&["types", "userPasswordAllowLevel"]);
    Ok(PasswordPolicy {
        min_strength: text(content, "userPasswordAllowLevel"),
        expiration_days: content.number_at(&["userPasswordExpirationTime"]),
        levels: levels
            .into_iter()
            .flat_map(|levels| levels.all("enum"))
            .map(|level| level.text().to_owned())
            .collect(),
    })
}

/// `queryNetPortCfg`. A port that is not named is unknown, not the usual one.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn ports(reply: &Reply) -> Result<Ports, Trouble> {
    let content = reply.content()?;
    Ok(Ports {
        http: content.number_at(&["httpPort"]),
        https: content.number_at(&["httpsPort"]),
        server: content.number_at(&["netPort"]),
        rtsp: content.number_at(&["rtspPort"]),
        pos: content.number_at(&["posPort"]),
        auto_report: content.number_at(&["autoReportPort"]),
        ..Ports::default()
    })
}

/// `queryRTSPServer`.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn rtsp_server(reply: &Reply) -> Result<Rtsp, Trouble> {
    let content = reply.content()?;
    Ok(Rtsp {
        enabled: content.flag_at(&["rtspServerSwitch"]),
        port: content.number_at(&["rtspPort"]),
        auth_type: text(content, "rtspAuthType"),
        anonymous: content.flag_at(&["anonymousAccess"]),
    })
}

/// `queryApiServer`.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn api_server(reply: &Reply) -> Result<Api, Trouble> {
    let content = reply.content()?;
    Ok(Api {
        enabled: content.flag_at(&["apiserverSwitch"]),
        auth_type: text(content, "authenticationType"),
    })
}

/// `queryPlatformCfg`: the item of the management platform, by its name and not by its place.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn platform(reply: &Reply) -> Result<PlatformAccess, Trouble> {
    let content = reply.content()?;
    let item = content
        .all("item")
        .find(|item| item.attribute("id") == Some("NVMS5000"))
        .ok_or_else(|| Trouble::shape("item NVMS5000"))?;
    Ok(PlatformAccess {
        enabled: item.flag_at(&["switch"]),
        server: text(item, "serverAddr"),
        port: item.number_at(&["port"]),
        report_id: text(item, "reportId"),
    })
}

/// `queryNodeEncodeInfo`: the continuous profile of each channel's main stream.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn streams(reply: &Reply) -> Result<Vec<StreamSettings>, Trouble> {
    let content = reply.content()?;
    let streams = content.all("item").map(|item| {
        let (main, profile) = (item.child("main"), item.child("an"));
        let of =
            |element: Option<&Element>, name: &str| element?.attribute(name).map(str::to_owned);
        let number = |element: Option<&Element>, name: &str| {
            of(element, name).and_then(|text| text.trim().parse().ok())
        };
        StreamSettings {
            channel: guid(item).and_then(channel_number),
            name: text(item, "name"),
            resolution: of(profile, "res"),
            frame_rate: number(profile, "fps"),
            bitrate_type: of(profile, "bitType"),
            max_bitrate_kbps: number(profile, "QoI"),
            codec: of(main, "enct"),
            quality: of(profile, "level"),
            gop: number(main, "aGOP"),
            ..StreamSettings::default()
        }
    });
    Ok(streams.collect())
}

/// `queryNodeEncodeInfo`: whether each channel is recorded with sound.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn audio(reply: &Reply) -> Result<Vec<AudioSettings>, Trouble> {
    let content = reply.content()?;
    let sounds = content.all("item").map(|item| {
        let word = item.child("an").and_then(|an| an.attribute("audio"));
        AudioSettings {
            channel: guid(item).and_then(channel_number),
            enabled: word.map(|word| word.eq_ignore_ascii_case("ON")),
            ..AudioSettings::default()
        }
    });
    Ok(sounds.collect())
}

/// `queryChlRecLog`. Where the list says that its times are UTC, they end with a `Z` here.
///
/// # Errors
///
/// `device.bad_answer` for a success without a list.
pub fn segments(reply: &Reply, channel: u32) -> Result<Vec<RecordedSegment>, Trouble> {
    if reply.empty {
        return Ok(Vec::new());
    }
    let list = reply
        .root
        .walk()
        .find(|element| element.name() == "recList")
        .ok_or_else(|| Trouble::shape("recList"))?;
    let zone = match list.attribute("timeZone") {
        Some("UTC") => "Z",
        _ => "",
    };
    let moment = |item: &Element, name: &str| {
        let text = item.text_at(&[name]).filter(|text| !text.is_empty())?;
        Some(format!("{text}{zone}"))
    };
    let found = list.all("item").map(|item| {
        let between = item.text_at(&["startTime"]).zip(item.text_at(&["endTime"]));
        RecordedSegment {
            channel: Some(channel),
            start: moment(item, "startTime"),
            end: moment(item, "endTime"),
            seconds: between.and_then(|(start, end)| seconds_between(start, end)),
            record_type: text(item, "recType").map(|word| word.to_lowercase()),
        }
    });
    Ok(found.collect())
}

fn seconds_between(start: &str, end: &str) -> Option<u32> {
    let start: DateTime = start.parse().ok()?;
    let end: DateTime = end.parse().ok()?;
    u32::try_from(start.duration_until(end).as_secs()).ok()
}

/// `queryRecStatus`.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn recording(reply: &Reply) -> Result<Vec<RecordingState>, Trouble> {
    let content = reply.content()?;
    let states = content.all("item").map(|item| {
        let state = text(item, "recStatus").map(|state| match state.as_str() {
            "on" | "recording" => "recording".to_owned(),
            "off" => "not_recording".to_owned(),
            "abnormal" | "recordingAbnormal" => "exception".to_owned(),
            _ => state,
        });
        let types = item.child("recTypes");
        RecordingState {
            channel: item
                .child("chl")
                .and_then(guid)
                .or_else(|| guid(item))
                .and_then(channel_number),
            stream: text(item, "streamType"),
            state,
            types: types
                .into_iter()
                .flat_map(|types| types.all("item"))
                .map(|one| one.text().to_owned())
                .collect(),
            resolution: text(item, "resolution"),
            frame_rate: item.number_at(&["frameRate"]),
            bitrate_type: text(item, "bitType"),
            max_bitrate_kbps: item.number_at(&["quality"]),
        }
    });
    Ok(states.collect())
}

/// `queryMotion`.
///
/// # Errors
///
/// `device.bad_answer`.
pub fn motion(reply: &Reply, channel: u32) -> Result<MotionSettings, Trouble> {
    let content = reply.content()?;
    let param = content
        .walk()
        .find(|element| element.name() == "param")
        .ok_or_else(|| Trouble::shape("param"))?;
    let filter = |what: &str| param.flag_at(&["objectFilter", what, "switch"]);
    let sensitivity = param.child("sensitivity");
    Ok(MotionSettings {
        channel: Some(channel),
        enabled: param.flag_at(&["switch"]),
        sensitivity: sensitivity.and_then(|element| element.text().parse().ok()),
        sensitivity_max: sensitivity
            .and_then(|element| element.attribute("max"))
            .and_then(|text| text.trim().parse().ok()),
        hold_seconds: param.number_at(&["holdTime"]),
        cars: filter("car"),
        people: filter("person"),
        mask: param
            .child("area")
            .into_iter()
            .flat_map(|area| area.all("item"))
            .map(|row| row.text().to_owned())
            .collect(),
    })
}

/// `queryDatesExistRec`.
#[must_use]
pub fn day_list(reply: &Reply, channel: u32) -> Vec<RecordedDay> {
    let content = reply.root.child("content");
    content
        .into_iter()
        .flat_map(Element::walk)
        .map(Element::text)
        .filter(|text| is_day(text))
        .map(|day| RecordedDay {
            channel: Some(channel),
            date: Some(day.to_owned()),
        })
        .collect()
}

fn camera(item: &Element) -> Option<(String, Channel)> {
    let guid = guid(item)?;
    // `chlNum` may be the number of the camera's own channels; the GUID is the recorder's channel.
    let number = channel_number(guid).or_else(|| item.number_at(&["chlNum"]))?;
    let channel = Channel {
        label: ChannelLabel::Number(i64::from(number)),
        name: text(item, "name").unwrap_or_default(),
        address: text(item, "ip").unwrap_or_default(),
        port: item.number_at(&["port"]).unwrap_or(0),
        status: ChannelStatus::Unknown,
        status_source: StatusSource::ChannelList,
        protocol: text(item, "protocolType").unwrap_or_default(),
        model: text(item, "productModel").unwrap_or_default(),
    };
    Some((guid.to_owned(), channel))
}

fn guid(item: &Element) -> Option<&str> {
    ["id", "guid", "chlId"]
        .into_iter()
        .find_map(|name| item.attribute(name))
}

fn text(element: &Element, name: &str) -> Option<String> {
    element.text_at(&[name]).map(str::to_owned)
}
