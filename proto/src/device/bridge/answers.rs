//! What a bridge answers to calls other than a scan.

use serde_json::{Map, Value};

use super::reply::{Members, object, shape, success};
use crate::device::sdkpipe::{self, WallClock, plain_url};
use crate::model::answer::{ClockReading, DeviceInfo};
use crate::model::report::Failure;
use crate::model::time::UtcMillis;

/// What every JPEG begins with.
const JPEG_START: [u8; 3] = [0xFF, 0xD8, 0xFF];

/// Reads what a device says of itself.
///
/// # Errors
///
/// As [`scan`](super::scan).
pub fn device_info(body: &[u8]) -> Result<DeviceInfo, Failure> {
    let object = succeeded(body)?;
    let members = Members(&object);
    let said = |name| {
        let text = members.optional_text(name)?;
        Ok::<_, Failure>(text.filter(|text| !text.is_empty()))
    };
    // Nobody shows these, but what breaks a rule is no answer.
    for name in ["audio_inputs", "device_type"] {
        members.number(name)?;
    }
    said("mcu_version")?;
    let channels = members.count("video_inputs")?;
    Ok(DeviceInfo {
        name: said("device_name")?,
        model: said("device_model")?,
        serial: said("serial_number")?,
        firmware: said("firmware")?,
        hardware: said("hardware_version")?,
        kernel: said("kernel_version")?,
        channels: channels.filter(|count| *count > 0),
        alarm_in: members.count("sensor_inputs")?,
        alarm_out: members.count("sensor_outputs")?,
        ..DeviceInfo::default()
    })
}

/// Reads a device's clock.
///
/// The bridge's text wins over its count of seconds. A text with an offset names it as the zone. How
/// long the bridge took is not known, so that the drift stays unknown.
///
/// # Errors
///
/// As [`scan`](super::scan); `bridge.bad_shape` also for a text that shows no moment, and for none.
pub fn clock(body: &[u8]) -> Result<ClockReading, Failure> {
    let object = succeeded(body)?;
    let members = Members(&object);
    let action = members.text("action")?;
    if !matches!(action.as_str(), "" | "get") {
        return Err(shape("the clock was not read"));
    }
    let seconds = members.number("timestamp")?;
    let text = members.text("device_time")?;
    let text = if text.is_empty() {
        let seconds = seconds.ok_or_else(|| shape("there is no device_time"))?;
        let moment = seconds.checked_mul(1000).map(UtcMillis::new);
        moment
            .ok_or_else(|| shape("timestamp is out of range"))?
            .to_string()
    } else {
        text
    };
    reading(&text).ok_or_else(|| shape("device_time shows no moment"))
}

/// Reads the address of a stream; `None` where it cannot be shown without what opens it.
///
/// # Errors
///
/// As [`scan`](super::scan); `bridge.bad_shape` also where there is no address.
pub fn rtsp_url(body: &[u8]) -> Result<Option<String>, Failure> {
    let object = succeeded(body)?;
    // pytvt reads both spellings. The text is not shortened, for a password may be in the middle of it.
    for name in ["rtsp_url", "url"] {
        match object.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.is_empty() => {}
            Some(Value::String(text)) => return Ok(plain_url(text)),
            Some(_) => return Err(shape(&format!("{name} is not a text"))),
        }
    }
    Err(shape("there is no rtsp_url"))
}

/// Reads the answer to a call that only does something.
///
/// # Errors
///
/// As [`scan`](super::scan).
pub fn done(body: &[u8]) -> Result<(), Failure> {
    succeeded(body).map(|_| ())
}

/// Reads a picture, unchecked but for its first bytes: a bridge that has none says so in JSON, and a
/// kind of content that it names proves nothing.
///
/// # Errors
///
/// As [`scan`](super::scan).
pub fn picture(body: &[u8]) -> Result<Vec<u8>, Failure> {
    if body.starts_with(&JPEG_START) {
        return Ok(body.to_vec());
    }
    succeeded(body)?;
    Err(shape("there is no picture"))
}

fn succeeded(body: &[u8]) -> Result<Map<String, Value>, Failure> {
    let object = object(body)?;
    success(&object)?;
    Ok(object)
}

/// `2026-11-07T08:09:10`, also with a space, a fraction, and an offset or `Z`.
fn reading(text: &str) -> Option<ClockReading> {
    let (date, time) = text.split_once(['T', ' '])?;
    let mut date = date.splitn(3, '-');
    let end = time
        .find(|c: char| !c.is_ascii_digit() && c != ':')
        .unwrap_or(time.len());
    let (time, rest) = time.split_at_checked(end)?;
    let mut time = time.splitn(3, ':');
    let wall = WallClock {
        year: digits(date.next()?, 4)?.parse().ok()?,
        month: digits(date.next()?, 2)?.parse().ok()?,
        day: digits(date.next()?, 2)?.parse().ok()?,
        hour: digits(time.next()?, 2)?.parse().ok()?,
        minute: digits(time.next()?, 2)?.parse().ok()?,
        second: digits(time.next()?, 2)?.parse().ok()?,
    };
    let offset = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    Some(ClockReading {
        time_zone: zone(offset)?,
        ..sdkpipe::clock(wall)?
    })
}

/// An offset as a POSIX zone, which counts west of Greenwich; nothing is `Some(None)`.
fn zone(offset: &str) -> Option<Option<String>> {
    if offset.is_empty() {
        return Some(None);
    }
    if offset == "Z" {
        return Some(Some("UTC0".to_owned()));
    }
    let (sign, opposite) = match offset.get(..1)? {
        "+" => ('+', '-'),
        "-" => ('-', '+'),
        _ => return None,
    };
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    let real = hours.parse::<u8>().ok()? < 15 && minutes.parse::<u8>().ok()? < 60;
    real.then(|| {
        Some(format!(
            "<{sign}{hours}{minutes}>{opposite}{hours}:{minutes}"
        ))
    })
}

fn digits(text: &str, count: usize) -> Option<&str> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use proptest::prelude::*;

    #[test]
    fn clocks_are_moments_or_nothing() {
        let shown = |time: &str| {
            let body = format!(r#"{{"success":true,"action":"get","device_time":{time}}}"#);
            let found = clock(body.as_bytes()).map_err(|failure| failure.code)?;
            Ok::<_, ErrorCode>((found.local_time.unwrap(), found.time_zone))
        };
        let moment = || "2026-11-07 08:09:10".to_owned();
        for (time, zone) in [
            (r#""2026-11-07T08:09:10""#, None),
            (r#""2026-11-07 08:09:10.250""#, None),
            (r#""2026-11-07T08:09:10.000Z""#, Some("UTC0")),
            (r#""2026-11-07T08:09:10+05:30""#, Some("<+0530>-05:30")),
            (r#"null,"timestamp":1794038950"#, Some("UTC0")),
        ] {
            assert_eq!(
                shown(time),
                Ok((moment(), zone.map(str::to_owned))),
                "{time}"
            );
        }
        for time in [
            "null",
            "7",
            r#""""#,
            r#""soon""#,
            r#""2026-13-07T08:09:10""#,
            r#""2026-11-07T08:09""#,
            r#""2026-11-07T08:09:10 PM""#,
            r#""2026-11-07T08:09:10+99:00""#,
            r#"null,"timestamp":9223372036854775807"#,
        ] {
            assert_eq!(shown(time), Err(ErrorCode::BridgeBadShape), "{time}");
        }
        let set = br#"{"success":true,"action":"set","device_time":"2026-11-07T08:09:10"}"#;
        assert_eq!(clock(set).unwrap_err().code, ErrorCode::BridgeBadShape);
    }

    #[test]
    fn both_spellings_of_an_address_are_read_and_neither_tells_a_password() {
        let told = |members: &str| {
            let body = format!(r#"{{"success":true{members}}}"#);
            rtsp_url(body.as_bytes()).map_err(|failure| failure.code)
        };
        let plain = Ok(Some("rtsp://192.0.2.1/a".to_owned()));
        assert_eq!(told(r#","rtsp_url":"rtsp://192.0.2.1/a","url":7"#), plain);
        let old = r#","rtsp_url":null,"url":"rtsp://admin:se@cret@192.0.2.1/a""#;
        assert_eq!(told(old), plain);
        let long = format!(r#","url":"rtsp://a:{}@h/""#, "x".repeat(5000));
        for (members, expected) in [
            (r#","url":"rtsp://h/?password=x""#, Ok(None)),
            (&long, Ok(None)),
            (r#","rtsp_url":7"#, Err(ErrorCode::BridgeBadShape)),
            ("", Err(ErrorCode::BridgeBadShape)),
        ] {
            assert_eq!(told(members), expected, "{members}");
        }
    }

    #[test]
    fn identity_is_read_by_type() {
        let body = br#"{"success":true,"device_name":"Gate","firmware":"","kernel_version":null,
            "video_inputs":8,"audio_inputs":4,"sensor_inputs":"2","device_type":1,"error":null}"#;
        let found = device_info(body).unwrap();
        let wanted = DeviceInfo {
            name: Some("Gate".into()),
            channels: Some(8),
            alarm_in: Some(2),
            ..DeviceInfo::default()
        };
        assert_eq!(found, wanted);
        for body in [
            r#"{"success":true,"device_type":[]}"#,
            r#"{"success":true,"video_inputs":-1}"#,
            r#"{"success":true,"mcu_version":1}"#,
            r#"{"device_name":"x"}"#,
        ] {
            let code = device_info(body.as_bytes()).unwrap_err().code;
            assert_eq!(code, ErrorCode::BridgeBadShape, "{body}");
        }
    }

    #[test]
    fn what_failed_is_not_done() {
        assert_eq!(done(br#"{"success":true}"#), Ok(()));
        let refused = done(br#"{"success":false,"error":"Login failed (error code: 1)"}"#);
        assert_eq!(refused.unwrap_err().code, ErrorCode::LoginRejected);
        assert_eq!(done(b"{}").unwrap_err().code, ErrorCode::BridgeBadShape);
    }

    proptest! {
        #[test]
        fn arbitrary_texts_never_panic(text in ".{0,40}") {
            let body = serde_json::json!({"success": true, "device_time": text, "url": text});
            let body = body.to_string();
            let _ = (clock(body.as_bytes()), rtsp_url(body.as_bytes()), device_info(body.as_bytes()));
        }
    }
}
