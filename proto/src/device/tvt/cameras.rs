//! Finding a channel list in a device's JSON, whatever its field names.

use serde_json::Number;

use super::config::Compat;
use super::field::{keep, keep_trimmed};
use super::json::{Json, Object};
use super::limits::{CAMERAS, JSON_DEPTH};
use crate::model::channel::{Channel, ChannelLabel, ChannelStatus, StatusSource};

/// The members that hold lists of cameras, in the order in which they are looked for.
const LISTS: [&str; 6] = [
    "IPCInfo",
    "ChannelInfo",
    "channels",
    "Channel",
    "data",
    "rows",
];
const NAMES: [&str; 6] = [
    "szChlname",
    "ChannelName",
    "channelName",
    "name",
    "CameraName",
    "cameraName",
];
const ADDRESSES: [&str; 6] = ["szServer", "Address", "address", "IP", "ip", "IpAddr"];
const PORTS: [&str; 3] = ["nPort", "Port", "port"];
const STATUSES: [&str; 3] = ["status", "Status", "OnlineStatus"];
const CHANNELS: [&str; 3] = ["channel", "Channel", "ChannelNo"];
const MODELS: [&str; 4] = ["productModel", "Model", "model", "ProductModel"];
const PROTOCOLS: [&str; 3] = ["manufacturerName", "Protocol", "protocol"];

/// The cameras found in one document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cameras {
    /// The channels, in the document's order.
    pub channels: Vec<Channel>,
    /// Whether there were more than [`CAMERAS`].
    pub truncated: bool,
}

/// Finds the list of cameras in a document.
///
/// In an object the known members are looked at first, then the procedure runs on each member in the
/// document's order; the first list with at least one camera is the answer. Arrays inside arrays
/// are not entered.
#[must_use]
pub fn extract(document: &Json<'_>, compat: Compat) -> Cameras {
    search(document, compat, JSON_DEPTH).unwrap_or_default()
}

fn search(value: &Json<'_>, compat: Compat, depth: usize) -> Option<Cameras> {
    let deeper = depth.checked_sub(1)?;
    match value {
        Json::Object(object) => LISTS
            .iter()
            .filter_map(|key| object.get(key)?.as_list())
            .find_map(|list| from_list(list, compat))
            .or_else(|| {
                object
                    .values()
                    .find_map(|member| search(member, compat, deeper))
            }),
        Json::List(list) => from_list(list, compat),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) => None,
    }
}

fn from_list(list: &[Json<'_>], compat: Compat) -> Option<Cameras> {
    let mut found = list
        .iter()
        .filter_map(|item| normalise(item.as_object()?, compat));
    let channels: Vec<Channel> = found.by_ref().take(CAMERAS).collect();
    let truncated = found.next().is_some();
    (!channels.is_empty()).then_some(Cameras {
        channels,
        truncated,
    })
}

/// Reads one camera; `None` for an object with neither a name nor an address.
#[must_use]
pub fn normalise(item: &Object<'_>, compat: Compat) -> Option<Channel> {
    let name = text(item, &NAMES);
    let address = text(item, &ADDRESSES);
    if name.is_empty() && address.is_empty() {
        return None;
    }
    Some(Channel {
        label: label(first_truthy(item, &CHANNELS)),
        name,
        address,
        port: port(first_truthy(item, &PORTS)),
        status: status(item, compat),
        status_source: StatusSource::ChannelList,
        protocol: text(item, &PROTOCOLS),
        model: text(item, &MODELS),
    })
}

/// The first member of these names whose value is true in Python's sense.
fn first_truthy<'a>(item: &'a Object<'a>, names: &[&str]) -> Option<&'a Json<'a>> {
    names
        .iter()
        .filter_map(|name| item.get(name))
        .find(|value| is_truthy(value))
}

fn is_truthy(value: &Json<'_>) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(truth) => *truth,
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::Text(text) => !text.is_empty(),
        Json::List(list) => !list.is_empty(),
        Json::Object(object) => !object.is_empty(),
    }
}

fn text(item: &Object<'_>, names: &[&str]) -> String {
    match first_truthy(item, names) {
        None => String::new(),
        Some(Json::Text(text)) => keep_trimmed(text),
        Some(Json::Bool(_)) => "True".to_owned(),
        Some(value) => keep_trimmed(&serde_json::to_string(value).unwrap_or_default()),
    }
}

fn label(value: Option<&Json<'_>>) -> ChannelLabel {
    match value {
        Some(Json::Text(text)) => ChannelLabel::Text(keep(text)),
        Some(Json::Number(number)) => number.as_i64().map_or_else(
            || ChannelLabel::Text(number.to_string()),
            ChannelLabel::Number,
        ),
        Some(Json::Null | Json::Bool(_) | Json::List(_) | Json::Object(_)) | None => {
            ChannelLabel::Number(0)
        }
    }
}

fn status(item: &Object<'_>, compat: Compat) -> ChannelStatus {
    match first_truthy(item, &STATUSES) {
        Some(Json::Bool(_)) => ChannelStatus::Online,
        Some(Json::Number(number)) if number.as_u64() == Some(1) => ChannelStatus::Online,
        Some(Json::Number(number)) if is_integer(number) => ChannelStatus::Offline,
        Some(Json::Text(text)) => ChannelStatus::from_text(&keep(text)),
        Some(_) => ChannelStatus::Unknown,
        None if compat == Compat::None && STATUSES.iter().any(|name| says_no(item.get(name))) => {
            ChannelStatus::Offline
        }
        None => ChannelStatus::NotReported,
    }
}

fn is_integer(number: &Number) -> bool {
    number.is_i64() || number.is_u64()
}

/// Whether a value that is not truthy is the word "no": 0 or false, not an absent or empty one.
fn says_no(value: Option<&Json<'_>>) -> bool {
    match value {
        Some(Json::Bool(_)) => true,
        Some(Json::Number(number)) => is_integer(number),
        Some(Json::Null | Json::Text(_) | Json::List(_) | Json::Object(_)) | None => false,
    }
}

/// A port from a number (its fraction dropped) or decimal text; 0 for anything else.
fn port(value: Option<&Json<'_>>) -> u16 {
    match value {
        Some(Json::Number(number)) => number
            .as_u64()
            .map_or_else(
                || number.as_f64().map(whole_port),
                |whole| u16::try_from(whole).ok(),
            )
            .unwrap_or(0),
        Some(Json::Text(text)) => text.trim().parse().unwrap_or(0),
        Some(Json::Null | Json::Bool(_) | Json::List(_) | Json::Object(_)) | None => 0,
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked, and dropping the fraction is what is wanted"
)]
fn whole_port(number: f64) -> u16 {
    if (0.0..65_536.0).contains(&number) {
        number as u16
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn one(item: Value) -> Option<Channel> {
        let text = item.to_string();
        normalise(
            Json::read(&text).unwrap().as_object().unwrap(),
            Compat::None,
        )
    }

    #[test]
    fn ports_are_read_or_zero() {
        let rows = [
            (json!(9008), 9008),
            (json!("9008"), 9008),
            (json!(" 80 "), 80),
            (json!(80.9), 80),
            (json!(65_535.9), 65_535),
            (json!(65_536), 0),
            (json!(1e300), 0),
            (json!(-1), 0),
            (json!(-0.5), 0),
            (json!("80.5"), 0),
            (json!(true), 0),
            (json!([80]), 0),
        ];
        for (value, expected) in rows {
            let channel = one(json!({"name": "n", "port": value.clone()})).unwrap();
            assert_eq!(channel.port, expected, "{value}");
        }
    }

    #[test]
    fn a_status_of_zero_is_offline_but_for_pytvt() {
        let rows = [
            (json!({"name": "n", "status": 0}), "Offline", ""),
            (json!({"name": "n", "Status": false}), "Offline", ""),
            (json!({"name": "n", "status": null}), "", ""),
            (json!({"name": "n", "status": 0.0}), "", ""),
            (
                json!({"name": "n", "status": 0, "Status": 1}),
                "Online",
                "Online",
            ),
            (json!({"name": "n", "status": -1}), "Offline", "Offline"),
            (
                json!({"name": "n", "status": {"a": 1}}),
                "Unknown",
                "Unknown",
            ),
        ];
        for (item, ours, theirs) in rows {
            let text = item.to_string();
            let document = Json::read(&text).unwrap();
            let object = document.as_object().unwrap();
            assert_eq!(
                normalise(object, Compat::None).unwrap().status.as_str(),
                ours,
                "{item}"
            );
            assert_eq!(
                normalise(object, Compat::Pytvt051).unwrap().status.as_str(),
                theirs,
                "{item}"
            );
        }
    }

    #[test]
    fn names_of_blanks_are_no_names() {
        assert_eq!(one(json!({"name": " \t", "address": "\u{0}"})), None);
        assert_eq!(one(json!({"name": true})).unwrap().name, "True");
    }

    #[test]
    fn the_number_of_cameras_is_bounded() {
        let found = |count: usize| {
            let text = format!("[{}]", vec!["{\"name\":1}"; count].join(","));
            extract(&Json::read(&text).unwrap(), Compat::None)
        };
        let exact = found(CAMERAS);
        assert_eq!((exact.channels.len(), exact.truncated), (CAMERAS, false));
        let more = found(CAMERAS + 1);
        assert_eq!((more.channels.len(), more.truncated), (CAMERAS, true));
    }
}
