//! Reading one entry.

use serde_json::{Map, Number, Value};

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::Host;
use tvtfleet_proto::model::id::CredentialLabel;
use tvtfleet_proto::model::inventory::InventoryEntry;

use crate::results::encoding::truncated;

/// The longest text of an entry, in bytes; longer ones are no names.
const TEXT_MAX: usize = 1024;
/// How much of an entry a message shows, in characters.
const SHOWN_MAX: usize = 60;

/// Keys under which other tools write a serial number or cloud identifier.
const IDENTIFIERS: [&str; 5] = ["identifier", "id", "uid", "serial", "sn"];

/// Why an entry is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) reason: String,
}

impl Refusal {
    pub(super) fn new(code: ErrorCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }

    pub(super) fn duplicate(earlier: usize) -> Self {
        Self::new(
            ErrorCode::InventoryEntryDuplicate,
            format!("the same site, host and port as entry {earlier}"),
        )
    }

    fn invalid(reason: impl Into<String>) -> Self {
        Self::new(ErrorCode::InventoryEntryInvalid, reason)
    }
}

/// Reads an entry, without judging whose device it is.
pub(super) fn read(value: &Value) -> Result<InventoryEntry, Refusal> {
    let Value::Object(object) = value else {
        return Err(Refusal::invalid(format!(
            "{} is no entry; write an object",
            kind(value)
        )));
    };
    Ok(InventoryEntry {
        host: host(object)?,
        port: port(object)?,
        site_label: text(object, &["site"])?,
        hostname: text(object, &["hostname", "name"])?,
        mac_text: text(object, &["mac", "nvr_mac"])?,
        manufacturer: text(object, &["manufacturer"])?,
        credential: credential(object)?,
    })
}

/// What an entry names, for a message.
pub(super) fn shown(value: &Value) -> String {
    let named = value.as_object().and_then(|object| {
        let keys = ["ip", "host", "address", "nvr_ip", "hostname", "name"];
        keys.iter().chain(&IDENTIFIERS).find_map(|key| {
            object
                .get(*key)
                .and_then(Value::as_str)
                .filter(|text| !text.trim().is_empty())
        })
    });
    let text = named.map_or_else(|| value.to_string(), str::to_owned);
    let mut shown: String = text
        .chars()
        .take(SHOWN_MAX)
        .map(|character| {
            if character.is_control() {
                '\u{FFFD}'
            } else {
                character
            }
        })
        .collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown
}

fn host(object: &Map<String, Value>) -> Result<Host, Refusal> {
    let text = text(object, &["ip", "host", "address", "nvr_ip"])?;
    if text.trim().is_empty() {
        let identifier = text_of_first(object, &IDENTIFIERS)?;
        let method = text_of_first(object, &["connection_method", "method"])?;
        if method.trim().eq_ignore_ascii_case("nat") && !identifier.is_empty() {
            let text = format!("nat:{}", identifier.trim());
            let serial = text.parse::<Host>();
            return serial.map_err(|error| Refusal::invalid(format!("`identifier`: {error}")));
        }
        return Err(Refusal::invalid(if identifier.is_empty() {
            "no `ip`".to_owned()
        } else {
            "only an identifier; write its `ip`, or \"connection_method\": \"nat\" where the vendor's \
             servers and library shall reach it by its serial number"
                .to_owned()
        }));
    }
    text.parse()
        .map_err(|error| Refusal::invalid(format!("`ip`: {error}")))
}

/// A number, a number as text, or a fraction cut to a whole; 0, null and blank text are none.
fn port(object: &Map<String, Value>) -> Result<Option<u16>, Refusal> {
    let Some((key, value)) = first(object, &["port", "nvr_port"]) else {
        return Ok(None);
    };
    let number = match value {
        Value::Null => Some(0),
        Value::Bool(truth) => Some(i64::from(*truth)),
        Value::Number(number) => whole(number),
        Value::String(text) if text.trim().is_empty() => Some(0),
        Value::String(text) => text.trim().parse().ok(),
        Value::Array(_) | Value::Object(_) => None,
    };
    match number.map(u16::try_from) {
        Some(Ok(0)) => Ok(None),
        Some(Ok(port)) => Ok(Some(port)),
        Some(Err(_)) | None => Err(Refusal::invalid(format!(
            "`{key}`: {} is no port (1 to 65535)",
            shown(value)
        ))),
    }
}

fn whole(number: &Number) -> Option<i64> {
    number
        .as_i64()
        .or_else(|| number.as_f64().and_then(truncated))
}

fn credential(object: &Map<String, Value>) -> Result<Option<CredentialLabel>, Refusal> {
    let text = text(object, &["credential"])?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    text.trim()
        .parse()
        .map(Some)
        .map_err(|error| Refusal::invalid(format!("`credential`: {error}")))
}

fn text(object: &Map<String, Value>, keys: &[&str]) -> Result<String, Refusal> {
    match first(object, keys) {
        Some((key, value)) => text_of(key, value),
        None => Ok(String::new()),
    }
}

fn text_of_first(object: &Map<String, Value>, keys: &[&str]) -> Result<String, Refusal> {
    for key in keys {
        if let Some(value) = object.get(*key) {
            let text = text_of(key, value)?;
            if !text.trim().is_empty() {
                return Ok(text);
            }
        }
    }
    Ok(String::new())
}

fn text_of(key: &str, value: &Value) -> Result<String, Refusal> {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err(Refusal::invalid(format!(
                "`{key}` is {}, not text",
                kind(value)
            )));
        }
    };
    if text.len() > TEXT_MAX {
        return Err(Refusal::invalid(format!(
            "`{key}` is longer than {TEXT_MAX} bytes"
        )));
    }
    Ok(text)
}

/// The first key that is there with something in it; else the first that is there at all.
fn first<'o, 'k>(
    object: &'o Map<String, Value>,
    keys: &'k [&'k str],
) -> Option<(&'k str, &'o Value)> {
    let there = || {
        keys.iter()
            .filter_map(|key| object.get(*key).map(|value| (*key, value)))
    };
    let blank = |value: &Value| {
        value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
    };
    there()
        .find(|(_, value)| !blank(value))
        .or_else(|| there().next())
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ports_are_read_in_every_form() {
        let cases = [
            (json!(6036), Some(6036)),
            (json!("6036"), Some(6036)),
            (json!(" 6036 "), Some(6036)),
            (json!("+6036"), Some(6036)),
            (json!(6036.9), Some(6036)),
            (json!(true), Some(1)),
            (json!(0), None),
            (json!(null), None),
            (json!(""), None),
        ];
        for (value, expected) in cases {
            let entry = read(&json!({"ip": "10.0.0.1", "port": value})).unwrap();
            assert_eq!(entry.port, expected, "{value}");
        }
        for bad in [
            json!("abc"),
            json!(-1),
            json!(70000),
            json!(1e300),
            json!([1]),
            json!("6036.9"),
        ] {
            let refusal = read(&json!({"ip": "10.0.0.1", "port": bad})).unwrap_err();
            assert_eq!(refusal.code, ErrorCode::InventoryEntryInvalid, "{bad}");
        }
    }

    #[test]
    fn aliases_stand_in_for_blank_keys() {
        let entry = read(
            &json!({"ip": "", "nvr_ip": "10.0.0.1", "nvr_port": 9008, "name": "a",
            "nvr_mac": "x", "credential": "default-login"}),
        )
        .unwrap();
        assert_eq!(entry.host.to_string(), "10.0.0.1");
        assert_eq!((entry.port, entry.hostname.as_str()), (Some(9008), "a"));
        assert_eq!(entry.credential.unwrap().as_str(), "default-login");
    }

    #[test]
    fn a_serial_number_is_an_address_only_where_the_entry_says_so() {
        let host = |value: Value| read(&value).map(|entry| entry.host.to_string());
        let nat = json!({"identifier": "N1A2B3C4", "connection_method": "nat"});
        assert_eq!(host(nat).unwrap(), "nat:N1A2B3C4");
        assert_eq!(host(json!({"ip": "nat:N1A2B3C4"})).unwrap(), "nat:N1A2B3C4");
        let both = json!({"ip": "10.0.0.1", "serial": "N1A2B3C4", "method": "nat"});
        assert_eq!(host(both).unwrap(), "10.0.0.1", "an address is nearer");
        for refused in [
            json!({"identifier": "N1A2B3C4"}),
            json!({"id": "17", "method": "direct"}),
            json!({"sn": "no serial", "method": "nat"}),
        ] {
            assert!(host(refused).is_err());
        }
    }

    #[test]
    fn what_an_entry_names_is_short_and_harmless() {
        assert_eq!(shown(&json!({"ip": "10.0.0.1", "x": 1})), "10.0.0.1");
        assert_eq!(shown(&json!({"ip": "\u{1b}[31m"})), "\u{FFFD}[31m");
        assert_eq!(shown(&json!(["a"])), "[\"a\"]");
        assert_eq!(
            shown(&json!("x".repeat(200))).chars().count(),
            SHOWN_MAX + 1
        );
    }
}
