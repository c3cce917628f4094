//! Finding a channel list in a device's XML, within bounds.
//!
//! Two lists are documented for the web interface, and the HTTP of a session leads to the same place:
//! repeated `ChannelInfo` elements with `channelID`, `channelName`, `ipAddress`, `channelType` and
//! `online`; and `item` elements of a `channelList` with `channelId`, `name` and `status`. `IPCInfo`
//! elements with the names of the JSON list are read as well. Namespaces and attributes do not count.
//!
//! UNCERTAIN: no device was seen to answer in XML inside a session. One such answer settles it.
//!
//! No document type, no entities but the five of XML and character references.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::cameras::{Cameras, normalise};
use super::config::Compat;
use super::field::keep_trimmed;
use super::json::{Json, Object};
use super::limits::{CAMERAS, XML_DEPTH, XML_ELEMENTS};

/// Elements that are a camera wherever they stand.
const CAMERA_ELEMENTS: [&str; 2] = ["ChannelInfo", "IPCInfo"];
/// Elements whose `item` children are cameras.
const LIST_ELEMENTS: [&str; 2] = ["channelList", "ChannelList"];
const ITEM: &str = "item";
/// The most bytes of one text that are looked at.
const TEXT_MAX: usize = 4096;

/// Why a document was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum XmlFault {
    #[error("the XML nests deeper than {XML_DEPTH} levels")]
    Deep,
    #[error("the XML has more than {XML_ELEMENTS} elements")]
    Large,
    #[error("the XML declares a document type or an entity")]
    Declares,
    #[error("the answer is HTML")]
    Html,
    #[error("the XML cannot be parsed")]
    Malformed,
}

/// Reads the cameras of a document; none is a valid answer. Invalid UTF-8 is replaced.
pub(super) fn read(body: &[u8], compat: Compat) -> Result<Cameras, XmlFault> {
    let text = String::from_utf8_lossy(body);
    let mut reader = Reader::from_str(&text);
    reader.config_mut().allow_dangling_amp = true;
    let mut walk = Walk::default();
    loop {
        match reader.read_event().map_err(|_| XmlFault::Malformed)? {
            Event::Start(start) => walk.start(&start)?,
            Event::Empty(start) => {
                walk.start(&start)?;
                walk.end(compat);
            }
            Event::End(_) => walk.end(compat),
            Event::Text(text) => walk.text(&text.xml10_content()),
            Event::CData(text) => walk.text(&text.xml10_content()),
            Event::GeneralRef(reference) => walk.text(&resolve(&reference)?),
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
            Event::DocType(declared) => return Err(refuse_type(&declared.xml10_content())),
            Event::Eof => break,
        }
    }
    if walk.elements == 0 || !walk.open.is_empty() {
        return Err(XmlFault::Malformed);
    }
    Ok(walk.cameras)
}

#[derive(Default)]
struct Walk {
    open: Vec<String>,
    elements: usize,
    /// The camera being read, and how many elements were open around it.
    camera: Option<(Object<'static>, usize)>,
    text: String,
    cameras: Cameras,
}

impl Walk {
    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), XmlFault> {
        let name: &str = start.local_name().into_inner();
        if self.open.is_empty() && name.eq_ignore_ascii_case("html") {
            return Err(XmlFault::Html);
        }
        self.elements = self.elements.saturating_add(1);
        if self.elements > XML_ELEMENTS {
            return Err(XmlFault::Large);
        }
        if self.open.len() >= XML_DEPTH {
            return Err(XmlFault::Deep);
        }
        let in_list = self
            .open
            .last()
            .is_some_and(|parent| LIST_ELEMENTS.contains(&parent.as_str()));
        if self.camera.is_none() && (CAMERA_ELEMENTS.contains(&name) || in_list && name == ITEM) {
            self.camera = Some((Object::default(), self.open.len()));
        }
        self.open.push(name.to_owned());
        self.text.clear();
        Ok(())
    }

    fn text(&mut self, text: &str) {
        let is_field = self
            .camera
            .as_ref()
            .is_some_and(|(_, around)| self.open.len() == around.saturating_add(2));
        if is_field && self.text.len().saturating_add(text.len()) <= TEXT_MAX {
            self.text.push_str(text);
        }
    }

    fn end(&mut self, compat: Compat) {
        let Some(name) = self.open.pop() else {
            return;
        };
        let depth = self.open.len();
        match self.camera.take() {
            Some((item, around)) if depth == around => self.take(&item, compat),
            Some((mut item, around)) => {
                if depth == around.saturating_add(1) {
                    let (key, value) = field(name, keep_trimmed(&self.text));
                    // The first one counts, as everywhere.
                    item.add(key.into(), value);
                }
                self.camera = Some((item, around));
            }
            None => {}
        }
        self.text.clear();
    }

    fn take(&mut self, item: &Object<'static>, compat: Compat) {
        let Some(channel) = normalise(item, compat) else {
            return;
        };
        if self.cameras.channels.len() < CAMERAS {
            self.cameras.channels.push(channel);
        } else {
            self.cameras.truncated = true;
        }
    }
}

/// What browsers get begins with a document type of its own.
fn refuse_type(declared: &str) -> XmlFault {
    let name = declared.split_whitespace().next().unwrap_or_default();
    if name.eq_ignore_ascii_case("html") {
        XmlFault::Html
    } else {
        XmlFault::Declares
    }
}

/// A field under the name and with the value that the JSON list would have.
fn field(name: String, text: String) -> (String, Json<'static>) {
    let number = |text: &str| {
        text.parse::<i64>()
            .ok()
            .map(|number| Json::Number(number.into()))
    };
    match name.as_str() {
        "channelID" | "channelId" | "channel" => (
            "channel".to_owned(),
            number(&text).unwrap_or(Json::Text(text.into())),
        ),
        "ipAddress" => ("address".to_owned(), Json::Text(text.into())),
        "online" | "status" | "Status" | "OnlineStatus" => ("status".to_owned(), status(text)),
        _ => (name, Json::Text(text.into())),
    }
}

fn status(text: String) -> Json<'static> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "online" | "videoon" => Json::Number(1.into()),
        "0" | "false" | "offline" | "videoloss" => Json::Number(0.into()),
        _ => Json::Text(text.into()),
    }
}

/// A character reference or one of the five entities.
fn resolve(reference: &BytesRef<'_>) -> Result<String, XmlFault> {
    let character = reference
        .resolve_char_ref()
        .map_err(|_| XmlFault::Malformed)?;
    if let Some(character) = character {
        return Ok(character.to_string());
    }
    let text = match &*reference.xml10_content() {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => return Err(XmlFault::Declares),
    };
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::channel::{ChannelLabel, ChannelStatus};
    use proptest::prelude::*;

    fn cameras(text: &str) -> Cameras {
        read(text.as_bytes(), Compat::None).unwrap()
    }

    #[test]
    fn the_documented_lists_are_read() {
        let repeated = "<?xml version=\"1.0\"?><config xmlns=\"http://x\" version=\"1.0\">\
            <ChannelInfoList><ChannelInfo><channelID>3</channelID><channelName>A &amp; B</channelName>\
            <ipAddress>10.0.0.7</ipAddress><channelType>digital</channelType><online>true</online>\
            </ChannelInfo><t:ChannelInfo xmlns:t=\"y\"><channelID>4</channelID>\
            <channelName><![CDATA[Yard]]></channelName><ipAddress/><online>false</online></t:ChannelInfo>\
            </ChannelInfoList></config>";
        let found = cameras(repeated).channels;
        let seen: Vec<_> = found
            .iter()
            .map(|c| {
                (
                    c.label.clone(),
                    c.name.as_str(),
                    c.address.as_str(),
                    c.status.clone(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                (
                    ChannelLabel::Number(3),
                    "A & B",
                    "10.0.0.7",
                    ChannelStatus::Online
                ),
                (ChannelLabel::Number(4), "Yard", "", ChannelStatus::Offline),
            ]
        );
        let list = "<config><channelList type=\"list\" count=\"2\"><item><channelId>1</channelId>\
            <name>Gate</name><status>videoLoss</status></item><item><channelId>2</channelId>\
            <name>Door</name><status>strange</status></item></channelList><item><name>no</name></item>\
            </config>";
        let found = cameras(list).channels;
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].status, ChannelStatus::Offline);
        assert_eq!(found[1].status, ChannelStatus::Other("strange".into()));
        let sdk = "<r><IPCInfo><szChlname>X</szChlname><szServer>10.0.0.9</szServer><nPort>9008</nPort>\
            <productModel>TD</productModel></IPCInfo></r>";
        let found = cameras(sdk).channels;
        assert_eq!(
            (found[0].address.as_str(), found[0].port),
            ("10.0.0.9", 9008)
        );
        let status = "<config><ResponseStatus><statusCode>0</statusCode></ResponseStatus></config>";
        assert_eq!(cameras(status), Cameras::default());
    }

    #[test]
    fn what_is_not_read_is_told() {
        let deep = "<a>".repeat(XML_DEPTH + 1);
        let large = format!("<a>{}</a>", "<b/>".repeat(XML_ELEMENTS));
        let rows: [(&str, XmlFault); 9] = [
            ("<html><body/></html>", XmlFault::Html),
            ("<!DOCTYPE html><p>", XmlFault::Html),
            (
                "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
                XmlFault::Declares,
            ),
            ("<a>&b;</a>", XmlFault::Declares),
            ("<a><b></a>", XmlFault::Malformed),
            ("<a>", XmlFault::Malformed),
            ("<?xml version=\"1.0\"?>", XmlFault::Malformed),
            (&deep, XmlFault::Deep),
            (&large, XmlFault::Large),
        ];
        for (text, fault) in rows {
            let read = read(text.as_bytes(), Compat::None);
            assert_eq!(read, Err(fault), "{}", text.get(..60).unwrap_or(text));
        }
    }

    #[test]
    fn lists_and_texts_are_bounded() {
        let one = "<ChannelInfo><channelName>n</channelName></ChannelInfo>";
        let many = format!("<c>{}</c>", one.repeat(CAMERAS + 1));
        let found = cameras(&many);
        assert_eq!((found.channels.len(), found.truncated), (CAMERAS, true));
        let long = format!(
            "<c><ChannelInfo><channelName>n{}</channelName></ChannelInfo></c>",
            "&amp;".repeat(TEXT_MAX)
        );
        assert_eq!(cameras(&long).channels[0].name.chars().count(), 256);
    }

    proptest! {
        #[test]
        fn no_document_breaks_a_bound(
            pieces in proptest::collection::vec(
                prop_oneof![
                    proptest::sample::select(vec![
                        "<ChannelInfo>", "</ChannelInfo>", "<channelList>", "</channelList>", "<item>",
                        "</item>", "<name>", "</name>", "<online>", "</online>", "<channelID/>", "&amp;",
                        "&#x0;", "&#99999999;", "&b;", "&", "<![CDATA[", "]]>", "<!--", "-->", "<?a ?>",
                        "<!DOCTYPE", "<", ">", "<a b='c'>", "<a b=>", "</a>", "7", "\u{0}", "\u{FFFD}",
                    ])
                    .prop_map(str::to_owned),
                    ".{0,8}",
                ],
                0..60,
            )
        ) {
            if let Ok(cameras) = read(pieces.concat().as_bytes(), Compat::None) {
                for channel in cameras.channels {
                    prop_assert!(!channel.name.is_empty() || !channel.address.is_empty());
                    prop_assert!(channel.name.chars().count() <= 256);
                    prop_assert!(!channel.name.chars().any(char::is_control));
                }
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes, Compat::None);
        }
    }
}
