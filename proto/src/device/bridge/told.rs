//! What a bridge of ours tells its callers: the server's side of `reply` and `answers`.
//!
//! The members are those that pytvt reads. `error_code` is ours: the stable code of a failure, which
//! other readers ignore.

use serde_json::{Value, json};

use crate::model::answer::{ClockReading, DeviceInfo};
use crate::model::channel::{Channel, ChannelLabel};
use crate::model::report::{DeviceFacts, Failure};

/// That the bridge works.
#[must_use]
pub fn healthy() -> Value {
    json!({ "status": "ok" })
}

/// That something failed.
#[must_use]
pub fn failed(failure: &Failure) -> Value {
    json!({
        "success": false,
        "error": failure.text,
        "error_code": failure.code.as_str(),
    })
}

/// Identity and channels, `most` of them; channels are counted from 0 here.
///
/// `remark` says what is missing in a scan that worked.
#[must_use]
pub fn scanned(
    facts: &DeviceFacts,
    channels: &[Channel],
    most: usize,
    remark: Option<&str>,
) -> Value {
    let from_one = channels
        .iter()
        .all(|channel| matches!(channel.label, ChannelLabel::Number(1..)));
    let cameras: Vec<Value> = (0_i64..)
        .zip(channels)
        .take(most)
        .map(|(place, channel)| {
            let number = match channel.label {
                ChannelLabel::Number(number) if from_one => number.saturating_sub(1),
                // What is counted from 0, or has a name, is told by its place in the list.
                ChannelLabel::Number(_) | ChannelLabel::Text(_) => place,
            };
            json!({
                "channel": number,
                "name": channel.name,
                "address": channel.address,
                "port": channel.port,
                "status": channel.status.as_str(),
                "protocol": channel.protocol,
                "model": channel.model,
            })
        })
        .collect();
    let counted = u32::try_from(channels.len()).unwrap_or(u32::MAX);
    json!({
        "success": true,
        "device_name": facts.name,
        "device_model": facts.model,
        "serial_number": facts.serial,
        "firmware": facts.firmware,
        "total_channels": facts.total_channels.unwrap_or(counted),
        "cameras": cameras,
        "error": remark,
    })
}

/// What a device says of itself. What it does not say is empty text, or 0.
#[must_use]
pub fn info(info: &DeviceInfo) -> Value {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    json!({
        "success": true,
        "device_name": text(&info.name),
        "device_model": text(&info.model),
        "serial_number": text(&info.serial),
        "firmware": text(&info.firmware),
        "hardware_version": text(&info.hardware),
        "kernel_version": text(&info.kernel),
        "mcu_version": "",
        "video_inputs": info.channels.unwrap_or(0),
        "audio_inputs": 0,
        "sensor_inputs": info.alarm_in.unwrap_or(0),
        "sensor_outputs": info.alarm_out.unwrap_or(0),
        "device_type": 0,
        "error": null,
    })
}

/// What a scan found of the same, from a device without web interface.
#[must_use]
pub fn info_of_facts(facts: &DeviceFacts) -> Value {
    let said = |text: &String| Some(text.clone());
    info(&DeviceInfo {
        name: said(&facts.name),
        model: said(&facts.model),
        serial: said(&facts.serial),
        firmware: said(&facts.firmware),
        channels: facts.total_channels,
        ..DeviceInfo::default()
    })
}

/// A device's clock as it shows it, without a zone; `None` where it shows none.
#[must_use]
pub fn clock(reading: &ClockReading) -> Option<Value> {
    let time = reading.local_time.as_ref()?;
    Some(json!({
        "success": true,
        "action": "get",
        "device_time": time.replacen(' ', "T", 1),
        "timestamp": null,
        "error": null,
    }))
}

/// The address of a stream, under both names that pytvt reads.
#[must_use]
pub fn stream(url: &str) -> Value {
    json!({ "success": true, "rtsp_url": url, "url": url, "error": null })
}

#[cfg(test)]
mod tests {
    use super::super::{answers, is_healthy, reply};
    use super::*;
    use crate::error::ErrorCode;
    use crate::model::channel::{ChannelStatus, StatusSource};

    fn body(value: &Value) -> Vec<u8> {
        value.to_string().into_bytes()
    }

    fn channel(label: ChannelLabel) -> Channel {
        Channel {
            label,
            name: "Gate".into(),
            address: "192.0.2.1".into(),
            port: 9008,
            status: ChannelStatus::Offline,
            status_source: StatusSource::ChannelList,
            protocol: "TVT".into(),
            model: "M".into(),
        }
    }

    #[test]
    fn our_client_reads_what_we_tell() {
        let facts = DeviceFacts {
            name: "Depot".into(),
            model: "TD-3316".into(),
            serial: "N1".into(),
            firmware: "1.4".into(),
            total_channels: Some(16),
            ..DeviceFacts::default()
        };
        let channels = [2, 5].map(|number| channel(ChannelLabel::Number(number)));
        let told = scanned(&facts, &channels, 64, Some("partial"));
        let read = reply::scan(&body(&told)).unwrap();
        assert_eq!(
            (read.facts, read.channels),
            (facts.clone(), channels.to_vec())
        );
        assert_eq!(read.remark.as_deref(), Some("partial"));
        let few = scanned(&facts, &channels, 1, None);
        assert_eq!(reply::scan(&body(&few)).unwrap().channels.len(), 1);

        let known = answers::device_info(&body(&info_of_facts(&facts))).unwrap();
        assert_eq!(known.model.as_deref(), Some("TD-3316"));
        assert_eq!(known.channels, Some(16));
        let reading = ClockReading {
            local_time: Some("2026-11-07 08:09:10".into()),
            ..ClockReading::default()
        };
        let read = answers::clock(&body(&clock(&reading).unwrap())).unwrap();
        assert_eq!(read.local_time, reading.local_time);
        assert_eq!(clock(&ClockReading::default()), None);
        let url = answers::rtsp_url(&body(&stream("rtsp://192.0.2.1/x"))).unwrap();
        assert_eq!(url.as_deref(), Some("rtsp://192.0.2.1/x"));
        assert!(is_healthy(&body(&healthy())));
    }

    #[test]
    fn channels_without_a_number_from_one_are_told_by_place() {
        let labels = [ChannelLabel::Number(0), ChannelLabel::Text("D7".into())];
        let told = scanned(&DeviceFacts::default(), &labels.map(channel), 64, None);
        assert_eq!(told["cameras"][0]["channel"], 0);
        assert_eq!(told["cameras"][1]["channel"], 1);
        assert_eq!(told["total_channels"], 2);
    }

    #[test]
    fn a_failure_keeps_its_code() {
        for code in [ErrorCode::LoginRejected, ErrorCode::Unreachable] {
            let told = failed(&Failure::new(code, "no"));
            assert_eq!(reply::scan(&body(&told)).unwrap_err().code, code);
        }
    }
}
