//! Commands and the document around them.

use crate::device::http::{Method, Request};
use crate::device::xml::Element;
use crate::model::secret::Secret;

use super::guid::channel_guid;

/// The body is bare XML all the same.
const CONTENT_TYPE: &str = "application/x-www-form-urlencoded; charset=UTF-8";

/// A question to a recorder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// What the recorder is. Known from the pages' source.
    Basic,
    /// The cameras it knows.
    DeviceList,
    /// The channels that are online; the only authority for that.
    Online,
    /// The disks. Known from the pages' source.
    Storage,
    /// The state of the disks. Known from the pages' source.
    DiskStatus,
    /// The users.
    Users,
    /// What it asks of passwords.
    PasswordSecurity,
    /// The ports.
    Ports,
    /// The RTSP server.
    Rtsp,
    /// The web API.
    Api,
    /// Where it reports by itself.
    Platform,
    /// How the channels are encoded.
    Encoding,
    /// Which streams are recorded. Known from the pages' source.
    RecordStatus,
    /// The motion detection of a channel, from 1.
    Motion(u32),
    /// The days with recordings of a channel. Known from the pages' source.
    Days(u32),
    /// The recordings of a channel within a range. Known from the pages' source.
    Segments(u32, UtcRange),
}

/// A range of a search in UTC: recorders search in it, whatever their zone is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UtcRange {
    from: String,
    to: String,
}

impl UtcRange {
    /// A range of moments as `2026-11-01 00:00:00Z`; `None` for others.
    #[must_use]
    pub fn new(from: &str, to: &str) -> Option<Self> {
        Some(Self {
            from: from.strip_suffix('Z')?.to_owned(),
            to: to.strip_suffix('Z')?.to_owned(),
        })
    }
}

/// Why recordings are made, as searches name it.
const RECORD_TYPES: [&str; 6] = [
    "MANUAL",
    "SENSOR",
    "INTELLIGENT",
    "MOTION",
    "POS",
    "SCHEDULE",
];

impl Command {
    /// The path without its slash.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Basic => "queryBasicCfg",
            Self::DeviceList => "queryDevList",
            Self::Online => "queryOnlineChlList",
            Self::Storage => "queryStorageDevInfo",
            Self::DiskStatus => "queryDiskStatus",
            Self::Users => "queryUserList",
            Self::PasswordSecurity => "queryPasswordSecurity",
            Self::Ports => "queryNetPortCfg",
            Self::Rtsp => "queryRTSPServer",
            Self::Api => "queryApiServer",
            Self::Platform => "queryPlatformCfg",
            Self::Encoding => "queryNodeEncodeInfo",
            Self::RecordStatus => "queryRecStatus",
            Self::Motion(_) => "queryMotion",
            Self::Days(_) => "queryDatesExistRec",
            Self::Segments(..) => "queryChlRecLog",
        }
    }

    /// What stands after the token.
    #[must_use]
    pub fn parts(&self) -> Vec<Element> {
        let fields = |names: &[&str]| {
            Element::new("requireField").with_all(names.iter().map(|name| Element::new(name)))
        };
        let channel_condition = |channel: u32| {
            Element::new("condition").with(Element::leaf("chlId", channel_guid(channel)))
        };
        match self {
            Self::Encoding => vec![fields(&["name", "main", "an", "ae"])],
            Self::Motion(channel) => vec![channel_condition(*channel), fields(&["param"])],
            Self::Days(channel) => vec![channel_condition(*channel)],
            Self::Segments(channel, range) => search(*channel, range),
            Self::Basic
            | Self::DeviceList
            | Self::Online
            | Self::Storage
            | Self::DiskStatus
            | Self::Users
            | Self::PasswordSecurity
            | Self::Ports
            | Self::Rtsp
            | Self::Api
            | Self::Platform
            | Self::RecordStatus => Vec::new(),
        }
    }
}

/// UNCERTAIN: no source says the values of `modeType`, which is left out, nor whether a recorder wants
/// the range in its own time beside the one in UTC; a recorder settles both.
fn search(channel: u32, range: &UtcRange) -> Vec<Element> {
    let words = |name: &'static str| RECORD_TYPES.map(|word| Element::leaf(name, word));
    let types = Element::new("recType").with_all(words("enum"));
    let wanted = Element::new("recType").with_attribute("type", "list");
    let names = ["recType", "startTime", "endTime", "size"];
    vec![
        Element::new("types").with(types),
        Element::new("requireField").with_all(names.map(Element::new)),
        Element::new("condition")
            .with(Element::leaf("startTimeEx", range.from.as_str()))
            .with(Element::leaf("endTimeEx", range.to.as_str()))
            .with(wanted.with_all(words("item")))
            .with(Element::new("chl").with_attribute("id", channel_guid(channel))),
    ]
}

/// A request: the token, or the word `null`, and the parts of the command.
#[must_use]
pub fn envelope(name: &str, token: Option<&str>, parts: Vec<Element>) -> Request {
    let root = Element::new("request")
        .with_attribute("version", "1.0")
        .with_attribute("systemType", "NVMS-9000")
        .with_attribute("clientType", "WEB")
        .with(Element::leaf("token", token.unwrap_or("null")))
        .with_all(parts);
    let mut request = Request::new(Method::Post, format!("/{name}"));
    request.content_type = CONTENT_TYPE;
    request.body = root.to_document();
    request
}

/// The content of a login.
pub(super) fn login_content(username: &str, password: &Secret) -> Element {
    Element::new("content")
        .with(Element::cdata("userName", username))
        .with(Element::cdata("password", password.expose()))
}
