//! What a bridge answers.

use serde_json::{Map, Value};

use crate::device::probe::text::kept;
use crate::device::sdkpipe::meaning;
use crate::error::{ErrorCode, ErrorKind};
use crate::model::channel::{Channel, ChannelLabel, ChannelStatus, StatusSource};
use crate::model::report::{DeviceFacts, Failure};

/// The longest answer that is read, in bytes.
pub const BODY_MAX: usize = 4 * 1024 * 1024;
/// The most cameras in one answer; a longer list is refused.
pub const CAMERAS_MAX: usize = 1024;
/// How much of a bridge's error text is kept, in characters.
pub const ERROR_TEXT_MAX: usize = 300;

/// The channels of the library are counted from 0, those that people see from 1.
const FIRST_CHANNEL: i64 = 1;
/// The highest channel, counted from 0.
const CHANNEL_MAX: i64 = 1023;

/// A scan by a bridge that worked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// What the device says of itself.
    pub facts: DeviceFacts,
    /// Its channels, in the bridge's order; counted from 1.
    pub channels: Vec<Channel>,
    /// What the bridge adds to a scan that worked, as that the camera list could not be read.
    pub remark: Option<String>,
}

/// Reads the answer to a scan.
///
/// Missing members and null take their defaults; members of another type are not guessed at.
///
/// # Errors
///
/// `bridge.too_large`, `bridge.bad_json`, `bridge.bad_shape`, and what [`failure_of_error`] makes of an
/// answer that says that the scan failed.
pub fn scan(body: &[u8]) -> Result<Scan, Failure> {
    let object = object(body)?;
    let members = Members(&object);
    let remark = success(&object)?;
    let channels = cameras(&object)?;
    let total = members.count("total_channels")?;
    let facts = DeviceFacts {
        name: members.text("device_name")?,
        model: members.text("device_model")?,
        serial: members.text("serial_number")?,
        firmware: members.text("firmware")?,
        total_channels: total.filter(|count| *count > 0),
        ..DeviceFacts::default()
    };
    Ok(Scan {
        facts,
        channels,
        remark,
    })
}

/// Whether the bridge says that it worked, and what it remarks.
pub(super) fn success(object: &Map<String, Value>) -> Result<Option<String>, Failure> {
    let error = Members(object).optional_text("error")?;
    match object.get("success") {
        Some(Value::Bool(true)) => Ok(error.filter(|text| !text.is_empty())),
        Some(Value::Bool(false)) => Err(told_failure(object, error.as_deref().unwrap_or_default())),
        // A script that could not start prints nothing but an error.
        None if error.is_some() => Err(failure_of_error(error.as_deref().unwrap_or_default())),
        Some(_) | None => Err(shape("success is not true or false")),
    }
}

/// The failure of an answer that may name a code of ours, as a bridge of ours does.
fn told_failure(object: &Map<String, Value>, error: &str) -> Failure {
    let failure = failure_of_error(error);
    let code = object.get("error_code").and_then(Value::as_str);
    match code.and_then(|code| code.parse::<ErrorCode>().ok()) {
        None => failure,
        Some(code) => Failure {
            code,
            credentials_sent: code.kind() != ErrorKind::Unreachable,
            ..failure
        },
    }
}

/// Whether the answer to a question for health says that the bridge works.
#[must_use]
pub fn is_healthy(body: &[u8]) -> bool {
    object(body).is_ok_and(|object| object.get("status").and_then(Value::as_str) == Some("ok"))
}

/// The failure that an answer with an HTTP status of failure stands for.
///
/// The body is used where it is JSON with an error text; pages of proxies are not.
#[must_use]
pub fn status_failure(status: u16, phrase: &str, body: &[u8]) -> Failure {
    let said = object(body)
        .ok()
        .and_then(|object| Members(&object).optional_text("error").ok().flatten())
        .filter(|text| !text.is_empty());
    let phrase = kept(phrase);
    let reason = if phrase.is_empty() {
        format!("HTTP status {status}")
    } else {
        phrase
    };
    let text = match said {
        Some(said) => format!("API connection error: {reason} ({said})"),
        None => format!("API connection error: {reason}"),
    };
    Failure {
        code: ErrorCode::BridgeStatus,
        text,
        credentials_sent: true,
        wire_code: Some(u32::from(status)),
    }
}

/// The failure that a bridge's error text stands for.
///
/// A number of the vendor's library in the text is understood. A login may have been tried unless the
/// number says that the device was not reached.
#[must_use]
pub fn failure_of_error(text: &str) -> Failure {
    let text: String = kept(text).chars().take(ERROR_TEXT_MAX).collect();
    let lower = text.to_ascii_lowercase();
    let number = number_of(&lower);
    let by_number = number.map(|number| meaning(number).code);
    let code = match by_number {
        Some(ErrorCode::SdkFailed) | None if lower.contains("login") => ErrorCode::LoginFailed,
        Some(ErrorCode::SdkFailed) | None => ErrorCode::BridgeFailed,
        Some(code) => code,
    };
    let text = if text.is_empty() {
        "the bridge gave no reason".to_owned()
    } else {
        text
    };
    Failure {
        code,
        text,
        credentials_sent: code.kind() != ErrorKind::Unreachable,
        wire_code: number,
    }
}

/// The number in `login failed (error code: 7)` or `login failed, error 7`; `lower` is in lower case.
fn number_of(lower: &str) -> Option<u32> {
    let rest = ["error code", "error"]
        .into_iter()
        .find_map(|word| lower.split_once(word).map(|(_, rest)| rest))?;
    let digits = rest.trim_start_matches([' ', ':', '=', '#']);
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, Failure> {
    if body.len() > BODY_MAX {
        let text = format!("an answer of more than {BODY_MAX} bytes");
        return Err(sent(ErrorCode::BridgeTooLarge, text));
    }
    let text = std::str::from_utf8(body).map_err(|error| {
        let text = format!(
            "Invalid JSON from API: not UTF-8 from byte {} on",
            error.valid_up_to()
        );
        sent(ErrorCode::BridgeBadJson, text)
    })?;
    let value: Value =
        serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let text = format!("Invalid JSON from API: line {line} column {column}");
            sent(ErrorCode::BridgeBadJson, text)
        })?;
    match value {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(shape("the answer is not an object"))
        }
    }
}

fn cameras(object: &Map<String, Value>) -> Result<Vec<Channel>, Failure> {
    let list = match object.get("cameras") {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(shape("cameras is not a list")),
    };
    if list.len() > CAMERAS_MAX {
        let text = format!("a list of {} cameras", list.len());
        return Err(sent(ErrorCode::BridgeTooLarge, text));
    }
    let camera = |(place, item): (i64, &Value)| {
        let item = item
            .as_object()
            .ok_or_else(|| shape("a camera is not an object"))?;
        channel(place, item)
    };
    (0..).zip(list).map(camera).collect()
}

fn channel(place: i64, item: &Map<String, Value>) -> Result<Channel, Failure> {
    let members = Members(item);
    let index = members.number("channel")?.unwrap_or(place);
    if !(0..=CHANNEL_MAX).contains(&index) {
        return Err(shape("a channel number is out of range"));
    }
    let port = members.number("port")?.unwrap_or(0);
    Ok(Channel {
        label: ChannelLabel::Number(index.saturating_add(FIRST_CHANNEL)),
        name: members.text("name")?,
        address: members.text("address")?,
        port: u16::try_from(port).map_err(|_| shape("a port is out of range"))?,
        status: ChannelStatus::from_text(&members.text("status")?),
        status_source: StatusSource::ChannelList,
        protocol: members.text("protocol")?,
        model: members.text("model")?,
    })
}

/// The members of an object, read by type.
pub(super) struct Members<'a>(pub(super) &'a Map<String, Value>);

impl Members<'_> {
    pub(super) fn text(&self, name: &str) -> Result<String, Failure> {
        self.optional_text(name).map(Option::unwrap_or_default)
    }

    pub(super) fn optional_text(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(kept(text))),
            Some(_) => Err(shape(&format!("{name} is not a text"))),
        }
    }

    /// A whole number, also as text; empty text is no number.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Failure> {
        let wrong = || shape(&format!("{name} is not a whole number"));
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => number.as_i64().map(Some).ok_or_else(wrong),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(Value::String(text)) => text.trim().parse().map(Some).map_err(|_| wrong()),
            Some(_) => Err(wrong()),
        }
    }

    pub(super) fn count(&self, name: &str) -> Result<Option<u32>, Failure> {
        let number = self.number(name)?;
        number
            .map(|number| {
                u32::try_from(number).map_err(|_| shape(&format!("{name} is out of range")))
            })
            .transpose()
    }
}

pub(super) fn shape(text: &str) -> Failure {
    sent(ErrorCode::BridgeBadShape, text.to_owned())
}

/// A failure of an answer that came after the credential went out.
fn sent(code: ErrorCode, text: String) -> Failure {
    Failure {
        credentials_sent: true,
        ..Failure::new(code, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(body: &str) -> ErrorCode {
        scan(body.as_bytes()).unwrap_err().code
    }

    #[test]
    fn answers_that_break_a_rule_have_their_codes() {
        for (body, expected) in [
            ("", ErrorCode::BridgeBadJson),
            ("<html>", ErrorCode::BridgeBadJson),
            ("{\"success\":true", ErrorCode::BridgeBadJson),
            ("[]", ErrorCode::BridgeBadShape),
            ("null", ErrorCode::BridgeBadShape),
            ("{}", ErrorCode::BridgeBadShape),
            (r#"{"success":"yes"}"#, ErrorCode::BridgeBadShape),
            (
                r#"{"success":true,"cameras":null}"#,
                ErrorCode::BridgeBadShape,
            ),
            (
                r#"{"success":true,"cameras":[1]}"#,
                ErrorCode::BridgeBadShape,
            ),
            (
                r#"{"success":true,"total_channels":"x"}"#,
                ErrorCode::BridgeBadShape,
            ),
            (
                r#"{"success":true,"device_name":7}"#,
                ErrorCode::BridgeBadShape,
            ),
            (
                r#"{"success":true,"cameras":[{"port":70000}]}"#,
                ErrorCode::BridgeBadShape,
            ),
            (
                r#"{"success":true,"cameras":[{"channel":-1}]}"#,
                ErrorCode::BridgeBadShape,
            ),
            (
                r#"{"success":false,"error":"timeout"}"#,
                ErrorCode::BridgeFailed,
            ),
            (
                r#"{"success":false,"error":"Login failed (error code: 1)"}"#,
                ErrorCode::LoginRejected,
            ),
            (
                r#"{"success":false,"error":"Login failed (error code: 8)"}"#,
                ErrorCode::Unreachable,
            ),
            (
                r#"{"success":false,"error":"login failed"}"#,
                ErrorCode::LoginFailed,
            ),
            (r#"{"success":false}"#, ErrorCode::BridgeFailed),
        ] {
            assert_eq!(code(body), expected, "{body}");
        }
        assert_eq!(scan(b"\xff{}").unwrap_err().code, ErrorCode::BridgeBadJson);
        assert_eq!(
            scan(&vec![b' '; BODY_MAX + 1]).unwrap_err().code,
            ErrorCode::BridgeTooLarge
        );
        let many = format!(
            r#"{{"success":true,"cameras":[{}]}}"#,
            vec!["{}"; CAMERAS_MAX + 1].join(",")
        );
        assert_eq!(code(&many), ErrorCode::BridgeTooLarge);
    }

    #[test]
    fn only_a_device_that_was_not_reached_spares_the_credential() {
        assert!(!failure_of_error("Login failed (error code: 8)").credentials_sent);
        for text in [
            "Login failed (error code: 1)",
            "login failed, error 7",
            "timeout",
            "",
        ] {
            assert!(failure_of_error(text).credentials_sent, "{text}");
        }
        assert_eq!(failure_of_error("login failed, error 7").wire_code, Some(7));
    }

    #[test]
    fn channels_may_be_text_and_are_counted_from_one() {
        let body = r#"{"success":true,"total_channels":4,"device_name":null,"extra":[],
            "cameras":[{"channel":3,"port":"80"},{"channel":"","status":"Recording"},{"channel":"0"}]}"#;
        let found = scan(body.as_bytes()).unwrap();
        let labels: Vec<_> = found.channels.iter().map(|c| c.label.to_string()).collect();
        assert_eq!(labels, ["4", "2", "1"]);
        assert_eq!(found.channels[0].port, 80);
        assert_eq!(found.facts.total_channels, Some(4));
        assert_eq!(found.remark, None);
    }

    #[test]
    fn health_is_one_word() {
        assert!(is_healthy(br#"{"status":"ok"}"#));
        for body in [
            "",
            "ok",
            r#"{"status":"degraded"}"#,
            r#"{"status":1}"#,
            "[]",
        ] {
            assert!(!is_healthy(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn pages_of_proxies_are_not_shown() {
        let failure = status_failure(500, "Internal Server Error", b"<html>secret</html>");
        assert_eq!(failure.text, "API connection error: Internal Server Error");
        let failure = status_failure(503, "", br#"{"error":"no helper"}"#);
        assert_eq!(
            failure.text,
            "API connection error: HTTP status 503 (no helper)"
        );
    }

    proptest! {
        #[test]
        fn arbitrary_answers_never_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Err(failure) = scan(&body) {
                prop_assert!(failure.text.chars().count() <= 400);
            }
            let _ = (is_healthy(&body), status_failure(500, "x", &body));
        }

        #[test]
        fn any_member_of_any_type_is_an_answer_or_a_failure(
            name in "success|error|cameras|channel|port|total_channels|device_name",
            value in r#"null|true|false|-1|0|1|1\.5|1e99|""|"1"|"x"|\[\]|\[\{\}\]|\{\}"#,
        ) {
            let body = format!(r#"{{"success":true,"cameras":[{{"{name}":{value}}}],"{name}":{value}}}"#);
            if let Ok(found) = scan(body.as_bytes()) {
                prop_assert!(found.channels.len() <= 1);
            }
        }
    }
}
