//! Partial edits of what the recorders' pages show, and the change of the account's own password.
//!
//! The pages take whole documents: what is not named is sent back as it was read.

use std::collections::BTreeMap;

use crate::device::edit::{Difference, Plan, Write};
use crate::device::http::Trouble;
use crate::device::xml::Element;
use crate::error::ErrorCode;
use crate::model::ask::Ask;
use crate::model::order::settings_at;
use crate::model::secret::Secret;

use super::command::Command;
use super::guid::channel_number;
use super::login::password_text;
use super::session::{EDIT_PLATFORM, Session};

/// Plans an edit of the documents that [`super::Errand::before`] has kept.
///
/// # Errors
///
/// `device.bad_answer`; `change.invalid` for what this recorder does not have.
pub fn plans(
    ask: Ask,
    documents: &[(Command, Element)],
    channel: Option<u32>,
    settings: &BTreeMap<String, String>,
) -> Result<Vec<Plan>, Trouble> {
    let mut found = Vec::new();
    for (command, root) in documents {
        let content = root
            .child("content")
            .ok_or_else(|| Trouble::shape("content"))?;
        match (ask, command) {
            (Ask::SetServices, Command::Rtsp) => {
                let names = [
                    "rtspServerSwitch",
                    "rtspAuthType",
                    "rtspPort",
                    "anonymousAccess",
                ];
                found.extend(switch(content, settings, "rtsp", "editRTSPServer", &names)?);
            }
            (Ask::SetServices, Command::Api) => {
                let names = ["apiserverSwitch", "authenticationType"];
                found.extend(switch(
                    content,
                    settings,
                    "web_api",
                    "editApiServer",
                    &names,
                )?);
            }
            (Ask::SetPlatform, Command::Platform) => found.push(platform(content, settings)?),
            (Ask::SetAudio | Ask::SetStreams, Command::Encoding) => {
                let items = content.all("item");
                let items = items.filter_map(|item| {
                    let number = channel_number(item.attribute("id")?)?;
                    (channel.is_none_or(|only| only == number)).then_some((number, item))
                });
                for (number, item) in items {
                    let settings = &settings_at(settings, Some(number));
                    let nothing = settings.keys().all(|name| name == "stream");
                    found.push(if nothing {
                        Plan::default()
                    } else if ask == Ask::SetAudio {
                        audio(item, number, settings)?
                    } else {
                        stream(item, number, settings)?
                    });
                }
            }
            _ => {}
        }
    }
    if found.is_empty() {
        return Err(invalid("this recorder has nothing of what is to be set"));
    }
    Ok(found)
}

/// The change of the password of the account that is logged in. Where the recorder gave a session
/// key, the passwords are encrypted under it.
///
/// # Errors
///
/// `internal` where the session's key cannot be used.
pub fn set_password(session: &Session, old: &Secret, new: &Secret) -> Result<Write, Trouble> {
    let field = |name: &str, password: &Secret| -> Option<Element> {
        let text = password_text(password);
        let Some(key) = session.key() else {
            return Some(Element::cdata(name, text.expose()));
        };
        let element = Element::cdata(name, key.encrypt(&text)?.expose());
        Some(match session.security_version() {
            Some(version) => element.with_attribute("securityVer", version),
            None => element,
        })
    };
    let fields = field("oldPassword", old).zip(field("password", new));
    let (old, new) = fields.ok_or_else(|| {
        let text = "the session's key cannot be used";
        Trouble::new(ErrorCode::Internal, text, None)
    })?;
    Ok(Write {
        command: "editUserPassword",
        channel: None,
        parts: vec![Element::new("content").with(old).with(new)],
    })
}

fn invalid(text: &str) -> Trouble {
    Trouble::new(ErrorCode::ChangeInvalid, text, None)
}

/// A service: its switch is the first of the elements, which are all sent.
fn switch(
    content: &Element,
    settings: &BTreeMap<String, String>,
    name: &str,
    command: &'static str,
    elements: &[&str],
) -> Result<Option<Plan>, Trouble> {
    let Some(wanted) = settings.get(name) else {
        return Ok(None);
    };
    let first = elements.first().copied().unwrap_or_default();
    let old = content
        .text_at(&[first])
        .ok_or_else(|| Trouble::shape(first))?;
    let one = Difference::new(None, name, Some(old), wanted);
    let rest = elements.iter().skip(1);
    let rest = rest.filter_map(|name| Some(Element::leaf(name, content.text_at(&[name])?)));
    let rest: Vec<Element> = rest.collect();
    Ok(Some(Plan::new(vec![one], |_| Write {
        command,
        channel: None,
        parts: vec![
            Element::new("content")
                .with(Element::leaf(first, wanted))
                .with_all(rest),
        ],
    })))
}

const PLATFORM: [(&str, &str); 4] = [
    ("enabled", "switch"),
    ("server", "serverAddr"),
    ("port", "port"),
    ("report_id", "reportId"),
];

fn platform(content: &Element, settings: &BTreeMap<String, String>) -> Result<Plan, Trouble> {
    let item = content
        .all("item")
        .find(|item| item.attribute("id") == Some("NVMS5000"))
        .ok_or_else(|| Trouble::shape("item NVMS5000"))?;
    let mut sent = Element::new("item").with_attribute("id", "NVMS5000");
    let mut found = Vec::new();
    for (name, element) in PLATFORM {
        let old = item.text_at(&[element]);
        let value = match settings.get(name) {
            Some(new) => {
                let one = Difference::new(None, name, old, new);
                let value = one.value().map(str::to_owned);
                found.push(one);
                value
            }
            None => old.map(str::to_owned),
        };
        sent = sent.with_all(value.map(|value| Element::leaf(element, value)));
    }
    Ok(Plan::new(found, |_| Write {
        command: EDIT_PLATFORM,
        channel: None,
        parts: vec![
            Element::new("content")
                .with_attribute("type", "list")
                .with_attribute("current", "NVMS5000")
                .with(sent),
        ],
    }))
}

/// Both profiles go back in one item: of two items with one name, recorders apply the first only.
fn audio(
    item: &Element,
    channel: u32,
    settings: &BTreeMap<String, String>,
) -> Result<Plan, Trouble> {
    let wanted = settings.get("enabled").map_or("false", String::as_str);
    let word = if wanted == "true" { "ON" } else { "OFF" };
    let old = item
        .child("an")
        .and_then(|profile| profile.attribute("audio"))
        .ok_or_else(|| {
            invalid(&format!(
                "channel {channel} does not say whether it has sound"
            ))
        })?;
    let flag = if old.eq_ignore_ascii_case("ON") {
        "true"
    } else {
        "false"
    };
    let one = Difference::new(Some(channel), "enabled", Some(flag), wanted);
    let parts = ["an", "ae", "main"].into_iter().filter_map(|name| {
        let mut part = item.child(name)?.clone();
        if part.attribute("audio").is_some() {
            part.set_attribute("audio", word);
        }
        Some(part)
    });
    Ok(Plan::new(vec![one], |_| encoding(item, parts)))
}

/// Where a setting of the main stream stands: the element, and its attribute.
const STREAM: [(&str, &str, &str); 7] = [
    ("resolution", "an", "res"),
    ("frame_rate", "an", "fps"),
    ("bitrate_type", "an", "bitType"),
    ("max_bitrate_kbps", "an", "QoI"),
    ("quality", "an", "level"),
    ("codec", "main", "enct"),
    ("gop", "main", "aGOP"),
];

/// The continuous profile of the main stream; the other streams and the profile of events stay.
fn stream(
    item: &Element,
    channel: u32,
    settings: &BTreeMap<String, String>,
) -> Result<Plan, Trouble> {
    if settings.get("stream").is_some_and(|number| number != "1") {
        return Err(invalid("the recorders' pages set the main stream only"));
    }
    let mut found = Vec::new();
    let mut changed = item.clone();
    for (name, new) in settings.iter().filter(|(name, _)| *name != "stream") {
        let place = STREAM.iter().find(|(known, ..)| known == name);
        let old = place.and_then(|(_, part, attribute)| item.child(part)?.attribute(attribute));
        let Some((old, (_, part, attribute))) = old.zip(place) else {
            return Err(invalid(&format!("channel {channel} has no setting {name}")));
        };
        let one = Difference::new(Some(channel), name, Some(old), new);
        if let Some(mut with) = changed.child(part).cloned().filter(|_| one.differs) {
            with.set_attribute(attribute, new);
            changed.set(with);
        }
        found.push(one);
    }
    let parts = ["an", "ae", "main"].into_iter();
    let parts = parts.filter_map(|name| changed.child(name).cloned());
    Ok(Plan::new(found, |_| encoding(item, parts)))
}

fn encoding(item: &Element, parts: impl Iterator<Item = Element>) -> Write {
    let id = item.attribute("id").unwrap_or_default();
    let sent = Element::new("item")
        .with_attribute("id", id)
        .with_all(parts);
    Write {
        command: "editNodeEncodeInfo",
        channel: None,
        parts: vec![
            Element::new("content")
                .with_attribute("type", "list")
                .with_attribute("total", "1")
                .with(sent),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::xml::Document;

    fn plan_of(ask: Ask, command: Command, content: &str, settings: &[(&str, &str)]) -> Vec<Plan> {
        let text = format!("<response><content>{content}</content></response>");
        let root = Document::read(text.as_bytes()).unwrap().root;
        let owned = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        plans(ask, &[(command, root)], None, &owned.collect()).unwrap()
    }

    fn sent(plan: &Plan) -> String {
        let write = plan.write.as_ref().unwrap();
        let text = write.parts[0].to_document();
        text.split_once("?>").unwrap().1.to_owned()
    }

    #[test]
    fn a_service_keeps_its_port_login_and_anonymous_access() {
        let content = "<rtspServerSwitch>false</rtspServerSwitch><rtspAuthType>Basic</rtspAuthType>\
            <rtspPort>8554</rtspPort><anonymousAccess>true</anonymousAccess>";
        let on = plan_of(
            Ask::SetServices,
            Command::Rtsp,
            content,
            &[("rtsp", "true")],
        );
        assert_eq!(on[0].write.as_ref().unwrap().command, "editRTSPServer");
        assert_eq!(
            sent(&on[0]),
            "<content><rtspServerSwitch>true</rtspServerSwitch>\
            <rtspAuthType>Basic</rtspAuthType><rtspPort>8554</rtspPort>\
            <anonymousAccess>true</anonymousAccess></content>"
        );
        let off = plan_of(
            Ask::SetServices,
            Command::Rtsp,
            content,
            &[("rtsp", "false")],
        );
        assert!(off[0].write.is_none());
    }

    #[test]
    fn sound_keeps_how_video_is_encoded() {
        let content = "<item id=\"{0000001C-0000-0000-0000-000000000000}\"><main enct=\"h265\"/>\
            <an res=\"A\" audio=\"ON\"/><ae res=\"B\" audio=\"ON\"/></item>";
        let off = plan_of(
            Ask::SetAudio,
            Command::Encoding,
            content,
            &[("enabled", "false")],
        );
        assert_eq!(off[0].settings[0].change.channel, Some(28));
        assert!(sent(&off[0]).contains(
            "<an res=\"A\" audio=\"OFF\"/><ae res=\"B\" audio=\"OFF\"/><main enct=\"h265\"/>"
        ));
    }

    #[test]
    fn the_main_stream_keeps_what_is_not_named() {
        let content = "<item id=\"{00000002-0000-0000-0000-000000000000}\"><main enct=\"h265\" aGOP=\"50\"/>\
            <an res=\"A\" fps=\"25\" audio=\"ON\"/><ae res=\"B\" fps=\"25\"/></item>";
        let named = [("frame_rate", "12"), ("codec", "h264")];
        let plans = plan_of(Ask::SetStreams, Command::Encoding, content, &named);
        assert!(sent(&plans[0]).contains(
            "<an res=\"A\" fps=\"12\" audio=\"ON\"/><ae res=\"B\" fps=\"25\"/>\
            <main enct=\"h264\" aGOP=\"50\"/>"
        ));
        let refused = |settings: &[(&str, &str)]| {
            let text = format!("<response><content>{content}</content></response>");
            let root = Document::read(text.as_bytes()).unwrap().root;
            let owned = settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let documents = [(Command::Encoding, root)];
            plans_error(&documents, &owned.collect())
        };
        assert_eq!(refused(&[("quality", "low")]), ErrorCode::ChangeInvalid);
        let second = [("stream", "2"), ("frame_rate", "12")];
        assert_eq!(refused(&second), ErrorCode::ChangeInvalid);
    }

    fn plans_error(
        documents: &[(Command, Element)],
        settings: &BTreeMap<String, String>,
    ) -> ErrorCode {
        plans(Ask::SetStreams, documents, None, settings)
            .unwrap_err()
            .code
    }

    #[test]
    fn the_platform_is_found_by_its_name() {
        let content = "<item id=\"X\"/><item id=\"NVMS5000\"><switch>true</switch><serverAddr>a</serverAddr>\
            <port>2009</port><reportId>R&amp;D</reportId></item>";
        let moved = plan_of(
            Ask::SetPlatform,
            Command::Platform,
            content,
            &[("server", "b")],
        );
        assert!(sent(&moved[0]).contains(
            "<item id=\"NVMS5000\"><switch>true</switch><serverAddr>b</serverAddr>\
            <port>2009</port><reportId>R&amp;D</reportId></item>"
        ));
    }
}
