//! Both dialects of the web API.

use serde_json::{Value, json};
use tvtfleet_proto::device::http::{Request, Response};
use tvtfleet_proto::device::webapi::{Dialect, Query, Scope, flat, lapi, plan};
use tvtfleet_proto::device::xml::Element;
use tvtfleet_proto::model::answer::ClockReading;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::channel::{ChannelLabel, ChannelStatus};

use super::http::{Found, covers, kind, same, text, xml};
use super::http_cgi::responses;

/// A call of pytvt's client, as our question and answer.
pub(super) fn exchange(vector: &Value) -> Result<Found, String> {
    let input = &vector["input"];
    if vector["conformance"] == "divergent_flow" {
        return real_documents_are_not_empty(input);
    }
    let calls = input["calls"].as_array().ok_or("no calls")?;
    if calls
        .iter()
        .all(|call| call["method"] == "get_snapshot_webapi")
    {
        return pictures(vector);
    }
    let [call] = calls.as_slice() else {
        let name = calls.first().and_then(|call| call["method"].as_str());
        return Ok(Found::Absent(name.unwrap_or_default().to_owned()));
    };
    let argument = |at: usize| call["args"].get(at).cloned().unwrap_or(Value::Null);
    let channel = argument(0)
        .as_u64()
        .and_then(|one| u32::try_from(one).ok())
        .unwrap_or(0);
    let words = |at: usize| argument(at).as_str().unwrap_or_default().replace('T', " ");
    let method = call["method"].as_str().unwrap_or_default();
    let (query, scope) = match method {
        "get_device_info" => (Query::Info, Scope::default()),
        "get_channel_info" => (Query::Channels, Scope::default()),
        "get_disk_info" => (Query::Disks, Scope::default()),
        "get_date_and_time" => (Query::Clock, Scope::default()),
        "get_record_status" => (Query::Recording, Scope::default()),
        "get_image_config" => (Query::Image(channel), Scope::default()),
        "get_video_stream_config" => (Query::Streams(channel), Scope::default()),
        "get_audio_stream_config" => (Query::Audio(channel), Scope::default()),
        "get_image_osd_config" => (Query::Osd(channel), Scope::default()),
        "search_record_date" => {
            let from = format!(
                "{}-{:02}-01 00:00:00",
                argument(1),
                argument(2).as_u64().unwrap_or(0)
            );
            (
                Query::Days(channel),
                Scope {
                    from,
                    to: String::new(),
                },
            )
        }
        "search_by_time" => (
            Query::Segments(channel),
            Scope {
                from: words(1),
                to: words(2),
            },
        ),
        other => return Ok(Found::Absent(other.to_owned())),
    };
    let sent = query
        .request(Dialect::Lapi, "2.0.0", &scope)
        .map_err(|trouble| trouble.to_string())?;
    compare_request(&sent, &vector["expected"]["requests"][0])?;
    let response = responses(input)?.pop_front().ok_or("no response")?;
    let expected = &vector["expected"]["steps"][0];
    match lapi::document(&response) {
        Err(trouble) => {
            let found = match kind(trouble.code) {
                // An unknown path says here that the device speaks the other dialect.
                "unsupported" if response.status == 404 => "api_error",
                other => other,
            };
            same(&json!(found), &expected["error"]["kind"])
        }
        Ok(root) => same(
            &read(query, &root)?,
            &expected_result(method, &expected["result"]),
        ),
    }
}

/// A namespaced document is read by the flat dialect and refused by the other; it is never empty.
fn real_documents_are_not_empty(input: &Value) -> Result<Found, String> {
    let response = responses(input)?.pop_front().ok_or("no response")?;
    let root = lapi::document(&response).map_err(|trouble| trouble.to_string())?;
    if lapi::info(&root).is_ok() {
        return Err("the prefixed dialect read a document of the other".to_owned());
    }
    let info = flat::info(&root).map_err(|trouble| trouble.to_string())?;
    match &info.name {
        Some(name) if !name.is_empty() => Ok(Found::Holds),
        _ => Err(format!("fields are missing: {info:?}")),
    }
}

fn compare_request(sent: &Request, expected: &Value) -> Result<(), String> {
    same(
        &json!({"method": sent.method.as_str(), "path": sent.path}),
        &json!({"method": expected["method"], "path": expected["path"]}),
    )?;
    let wanted = expected["body"].as_str().unwrap_or_default();
    if wanted.is_empty() || sent.body.is_empty() {
        return same(&json!(sent.body.as_str()), &json!(wanted)).map(drop);
    }
    if xml(&sent.body)? == xml(wanted)? {
        return Ok(());
    }
    Err(format!("sent {}", sent.body.as_str()))
}

fn read(query: Query, root: &Element) -> Result<Value, String> {
    let shape = |trouble: tvtfleet_proto::device::http::Trouble| trouble.to_string();
    Ok(match query {
        Query::Info => {
            let info = lapi::info(root).map_err(shape)?;
            json!({"device_name": info.name, "device_model": info.model, "serial_number": info.serial,
                "mac_address": info.mac, "firmware_version": info.firmware,
                "firmware_release_date": info.build_date, "hardware_version": info.hardware,
                "video_input_num": info.channels, "alarm_input_num": info.alarm_in,
                "alarm_output_num": info.alarm_out})
        }
        Query::Channels | Query::ChannelList => lapi::channels(root)
            .into_iter()
            .map(|channel| json!({"channel_id": number(&channel.label), "channel_name": channel.name,
                "ip_address": channel.address, "online": channel.status == ChannelStatus::Online}))
            .collect(),
        Query::Disks => lapi::disks(root)
            .into_iter()
            .map(|disk| json!({"disk_id": disk.id.and_then(|id| id.parse::<u32>().ok()),
                "disk_name": disk.slot, "disk_type": disk.storage_type, "status": disk.status,
                "capacity_mb": disk.total_mb.unwrap_or(0), "free_mb": disk.free_mb.unwrap_or(0)}))
            .collect(),
        Query::Clock => {
            let clock = lapi::clock(root).map_err(shape)?;
            json!({"mode": clock.sync, "local_time": clock.local_time.map(|time| time.replace(' ', "T")),
                "time_zone": clock.time_zone, "ntp_server": clock.ntp_server,
                "ntp_interval": clock.ntp_interval_min})
        }
        Query::Recording => lapi::recording(root)
            .into_iter()
            .map(|one| json!({"channel_id": one.channel,
                "is_recording": one.state.as_deref() == Some("recording"),
                "record_type": one.types.first().cloned().unwrap_or_default()}))
            .collect(),
        Query::Image(channel) => {
            let image = lapi::image(root, channel).map_err(shape)?;
            json!({"channel_id": image.channel, "brightness": image.bright, "contrast": image.contrast,
                "saturation": image.saturation, "sharpness": image.sharpen,
                "white_balance_mode": image.white_balance, "ir_cut_mode": image.ir_cut,
                "wdr_enabled": image.wdr})
        }
        Query::Streams(channel) => lapi::streams(root, channel)
            .into_iter()
            .map(|stream| json!({"channel_id": stream.channel, "stream_type": stream.name,
                "codec": stream.codec, "bitrate_type": stream.bitrate_type,
                "max_bitrate": stream.max_bitrate_kbps, "frame_rate": stream.frame_rate, "gop": stream.gop}))
            .collect(),
        Query::Audio(channel) => {
            let audio = lapi::audio(root, channel).map_err(shape)?;
            json!({"channel_id": audio.channel, "enabled": audio.enabled, "codec": audio.codec,
                "sample_rate": audio.sample_rate, "bitrate": audio.bitrate})
        }
        Query::Osd(channel) => {
            let osd = lapi::osd(root, channel).map_err(shape)?;
            json!({"channel_id": osd.channel, "time_osd_enabled": osd.time_on,
                "channel_name_enabled": osd.name_on, "channel_name": osd.name})
        }
        Query::Days(channel) => {
            let days: Vec<Option<String>> =
                lapi::recording_days(root, channel).into_iter().map(|day| day.date).collect();
            json!({"channel_id": channel, "dates": days})
        }
        Query::Segments(channel) => lapi::segments(root, channel)
            .into_iter()
            .map(|one| json!({"channel_id": one.channel, "start_time": one.start.map(|time| time.replace(' ', "T")),
                "end_time": one.end.map(|time| time.replace(' ', "T")), "record_type": one.record_type}))
            .collect(),
        Query::Ports | Query::Snapshot(_) => return Err("no document of this".to_owned()),
    })
}

/// pytvt's record without the fields that ours does not have.
fn expected_result(method: &str, expected: &Value) -> Value {
    let dropped: &[&str] = match method {
        "get_device_info" => &[
            "device_id",
            "boot_version",
            "device_type",
            "telecontrol_id",
            "video_output_num",
            "audio_input_num",
            "audio_output_num",
            "p2p_security_code",
        ],
        "get_channel_info" => &["channel_type"],
        "get_disk_info" => &["property"],
        "get_date_and_time" => &["ntp_port"],
        "get_image_config" => &["exposure_mode", "wdr_level"],
        "get_video_stream_config" => &[
            "resolution_width",
            "resolution_height",
            "bitrate",
            "quality",
        ],
        _ => &[],
    };
    let mut kept = expected.clone();
    let objects: Vec<&mut Value> = if let Value::Array(list) = &mut kept {
        list.iter_mut().collect()
    } else {
        vec![&mut kept]
    };
    for object in objects.into_iter().filter_map(Value::as_object_mut) {
        for key in dropped {
            object.remove(*key);
        }
    }
    kept
}

pub(super) fn flat_result(vector: &Value) -> Result<Found, String> {
    let input = &vector["input"];
    let status = input["http_status"]
        .as_u64()
        .and_then(|one| u16::try_from(one).ok());
    let response = Response {
        status: status.ok_or("no status")?,
        headers: Vec::new(),
        body: text(input, "body")?.as_bytes().to_vec(),
    };
    let result = flat::FlatResult::of(&response);
    let (kind, code) = match result.outcome {
        flat::Outcome::Ok => ("ok", Some(0)),
        flat::Outcome::Unauthorized => ("unauthorized", None),
        flat::Outcome::NotFound => ("not_found", None),
        flat::Outcome::NotTvt => ("not_tvt", None),
        flat::Outcome::NotXml => ("not_xml", None),
        flat::Outcome::Http(_) => ("http", None),
        flat::Outcome::Failed(code) => (flat_kind(code), Some(code)),
    };
    same(
        &json!({"ok": kind == "ok", "error_code": code, "error_desc": result.description, "kind": kind}),
        &vector["expected"],
    )
}

fn flat_kind(code: u32) -> &'static str {
    match code {
        1 => "invalid_request",
        8 => "password_expired",
        17 => "service_not_enabled",
        _ => "other",
    }
}

pub(super) fn flat_parse(vector: &Value) -> Result<Found, String> {
    let input = &vector["input"];
    let root = xml(text(input, "body")?)?;
    let shape = |trouble: tvtfleet_proto::device::http::Trouble| trouble.to_string();
    let found = match text(input, "command")? {
        "GetSupportedAPIs" => json!({"apis": flat::apis(&root).map_err(shape)?}),
        "GetDeviceInfo" => {
            let info = flat::info(&root).map_err(shape)?;
            json!({"config_version": root.attribute("version"), "api_version": info.api_version,
                "device_name": info.name, "model": info.model, "brand": info.brand,
                "description": info.description, "software_version": info.firmware,
                "software_build_date": info.build_date, "kernel_version": info.kernel,
                "hardware_version": info.hardware, "mac": info.mac, "serial": info.serial,
                "channel_max": info.channels, "alarm_in": info.alarm_in, "alarm_out": info.alarm_out,
                "device_class": info.device_class})
        }
        "GetChannelList" | "GetChannelInfo" => {
            let items: Vec<&Element> = root.walk().filter(|one| one.name() == "item").collect();
            let channels: Vec<Value> = flat::channels(&root)
                .map_err(shape)?
                .into_iter()
                .zip(items)
                .map(|(channel, item)| {
                    json!({"id": number(&channel.label),
                    "name": Some(channel.name).filter(|name| !name.is_empty()),
                    "status": match channel.status {
                        ChannelStatus::Online => "online".to_owned(),
                        ChannelStatus::Offline => "offline".to_owned(),
                        ref other @ (ChannelStatus::Unknown
                        | ChannelStatus::NotReported
                        | ChannelStatus::Other(_)) => other.as_str().to_owned(),
                    },
                    "attribute": item.text_at(&["attribute"])})
                })
                .collect();
            json!({ "channels": channels })
        }
        "GetDiskInfo" => json!({"disks": flat::disks(&root).map_err(shape)?.into_iter()
            .map(|disk| json!({"id": disk.id, "total_mb": disk.total_mb, "free_mb": disk.free_mb,
                "image_free_mb": disk.image_free_mb, "status": disk.status,
                "storage_type": disk.storage_type})).collect::<Vec<_>>()}),
        "GetRecordStatusInfo" => {
            json!({"streams": flat::recording(&root).map_err(shape)?.into_iter()
            .map(|one| json!({"channel_id": one.channel, "stream": one.stream,
                "resolution": one.resolution, "frame_rate": one.frame_rate,
                "bitrate_type": one.bitrate_type, "max_bitrate_kbps": one.max_bitrate_kbps,
                "record_types": one.types, "state": one.state})).collect::<Vec<_>>()})
        }
        "GetPortConfig" => {
            let ports = flat::ports(&root).map_err(shape)?;
            json!({"httpPort": ports.http, "httpsPort": ports.https, "netPort": ports.server,
                "rtspPort": ports.rtsp, "longPollingPort": ports.long_polling})
        }
        "GetDateAndTime" => {
            let clock = flat::clock(&root).map_err(shape)?;
            json!({"time_zone": clock.time_zone, "dst_switch": clock.dst_switch,
                "sync_type": clock.sync, "ntp_server": clock.ntp_server,
                "ntp_interval_min": clock.ntp_interval_min, "local_time": clock.local_time,
                "hour_format": clock.hour_format})
        }
        "GetVideoStreamConfig" => {
            json!({"streams": flat::streams(&root, 1).map_err(shape)?.into_iter()
            .map(|one| json!({"id": one.id, "name": one.name, "resolution": one.resolution,
                "frame_rate": one.frame_rate, "bitrate_type": one.bitrate_type,
                "max_bitrate_kbps": one.max_bitrate_kbps, "codec": one.codec, "quality": one.quality,
                "gop": one.gop})).collect::<Vec<_>>()})
        }
        "GetImageConfig" => {
            let image = flat::image(&root, 1).map_err(shape)?;
            json!({"bright": image.bright, "contrast": image.contrast, "saturation": image.saturation,
                "hue": image.hue, "mirror": image.mirror, "flip": image.flip, "ir_cut": image.ir_cut,
                "white_balance": image.white_balance, "wdr": image.wdr, "blc": image.backlight})
        }
        "GetImageOsdConfig" => {
            let osd = flat::osd(&root, 1).map_err(shape)?;
            json!({"time_on": osd.time_on, "date_format": osd.date_format, "name_on": osd.name_on,
                "name": osd.name})
        }
        "GetStreamCaps" => {
            let caps = flat::stream_caps(&root);
            let streams: Vec<Value> = caps
                .streams
                .into_iter()
                .map(|cap| {
                    json!({"id": cap.id, "name": cap.name, "resolutions": cap.resolutions, "codecs": cap.codecs})
                })
                .collect();
            json!({"rtsp_port": caps.rtsp_port, "streams": streams})
        }
        "SearchByTime" => json!({"segments": flat::segments(&root, 1).into_iter()
            .map(|one| json!({"start": one.start, "seconds": one.seconds, "type": one.record_type}))
            .collect::<Vec<_>>()}),
        other => return Ok(Found::Absent(other.to_owned())),
    };
    covers(&found, &vector["expected"])
}

pub(super) fn flat_request(vector: &Value) -> Result<Found, String> {
    let input = &vector["input"];
    let (command, arguments) = (text(input, "command")?, &input["args"]);
    let version = text(input, "config_version")?;
    let channel = arguments["channel"]
        .as_u64()
        .and_then(|one| u32::try_from(one).ok());
    let word = |key: &str| arguments[key].as_str().unwrap_or_default();
    let content = match command {
        "SearchByTime" => {
            let types = arguments["types"].as_array().into_iter().flatten();
            Some(flat::search_by_time(
                types.filter_map(Value::as_str),
                word("start"),
                word("end"),
            ))
        }
        "GetSnapshotByTime" => {
            let seconds = arguments["seconds"]
                .as_u64()
                .and_then(|one| u32::try_from(one).ok());
            Some(flat::snapshot_by_time(word("time"), seconds.unwrap_or(0)))
        }
        "SetImageConfig" => {
            let pairs: Vec<(String, String)> = arguments["fields"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|pair| {
                    (
                        pair[0].as_str().unwrap_or_default().to_owned(),
                        pair[1].to_string(),
                    )
                })
                .collect();
            Some(flat::set_image(
                pairs
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str())),
            ))
        }
        "SetDateAndTime" | "GetDeviceInfo" => None,
        other => return Ok(Found::Absent(other.to_owned())),
    };
    let body = match content {
        None if command == "SetDateAndTime" => Some(clock(version, arguments)?),
        content => content.map(|content| flat::config(version, content)),
    };
    let sent = flat::request(command, channel, body.as_ref());
    compare_request(&sent, &vector["expected"]).map(|()| Found::Holds)
}

/// What is sent to a device that has none of it yet.
fn clock(version: &str, arguments: &Value) -> Result<Element, String> {
    let names = [
        ("sync", "mode"),
        ("time_zone", "time_zone"),
        ("ntp_server", "ntp_server"),
        ("ntp_interval_min", "ntp_interval_min"),
    ];
    let settings = names.into_iter().filter_map(|(name, key)| {
        let value = arguments.get(key)?;
        let value = value.as_str().map(str::to_owned);
        Some((
            name.to_owned(),
            value.unwrap_or_else(|| arguments[key].to_string()),
        ))
    });
    let before = format!(
        "<config version={version:?}><time><timezoneInfo/><synchronizeInfo/></time></config>"
    );
    let root = xml(&before)?;
    let (reading, now) = (ClockReading::default(), 0);
    let clock = Some((&reading, now));
    let plan = plan(Ask::SetClock, &root, None, &settings.collect(), clock);
    let write = plan.map_err(|trouble| trouble.to_string())?.write;
    write
        .and_then(|write| write.parts.into_iter().next())
        .ok_or("nothing to send".to_owned())
}

/// Pictures by the dialect that a device speaks, one request for each.
fn pictures(vector: &Value) -> Result<Found, String> {
    let requests = vector["expected"]["requests"]
        .as_array()
        .ok_or("no requests")?;
    for expected in requests {
        let path = text(expected, "path")?;
        let (dialect, number) = match path.strip_prefix("/LAPI/V1.0/Image/Channels/") {
            Some(rest) => (Dialect::Lapi, rest.split('/').next()),
            None => (Dialect::Flat, path.rsplit('/').next()),
        };
        let channel = number
            .and_then(|number| number.parse().ok())
            .ok_or("no channel")?;
        let sent = Query::Snapshot(channel)
            .request(dialect, "2.0.0", &Scope::default())
            .map_err(|trouble| trouble.to_string())?;
        compare_request(&sent, expected)?;
    }
    Ok(Found::Holds)
}

fn number(label: &ChannelLabel) -> Option<i64> {
    match label {
        ChannelLabel::Number(number) => Some(*number),
        ChannelLabel::Text(_) => None,
    }
}
