//! Requests.

use crate::device::http::{Method, Request, Trouble};
use crate::device::webapi::query::{Query, Scope};
use crate::device::xml::Element;
use crate::error::ErrorCode;

/// What every path begins with.
pub const BASE: &str = "/LAPI/V1.0";

/// A question.
///
/// # Errors
///
/// `device.command_unsupported` for what the dialect does not know.
pub fn request(query: Query, scope: &Scope) -> Result<Request, Trouble> {
    let image = |channel: u32, what: &str| format!("/Image/Channels/{channel}/{what}");
    let path = match query {
        Query::Info => "/System/DeviceInfo".to_owned(),
        Query::Channels | Query::ChannelList => "/System/ChannelInfo".to_owned(),
        Query::Disks => "/System/DiskInfo".to_owned(),
        Query::Clock => "/System/DateAndTime".to_owned(),
        Query::Recording => "/Playback/RecordStatusInfo".to_owned(),
        Query::Image(channel) => image(channel, "ImageConfig"),
        Query::Streams(channel) => image(channel, "VideoStreamConfig"),
        Query::Audio(channel) => image(channel, "AudioStreamConfig"),
        Query::Osd(channel) => image(channel, "OsdConfig"),
        Query::Snapshot(channel) => image(channel, "Snapshot"),
        Query::Days(_) => "/Playback/SearchRecordDate".to_owned(),
        Query::Segments(_) => "/Playback/SearchByTime".to_owned(),
        Query::Ports => {
            let text = "this dialect of the web API does not tell ports";
            return Err(Trouble::new(ErrorCode::CommandUnsupported, text, None));
        }
    };
    let method = match query {
        Query::Snapshot(_) => Method::Get,
        Query::Info
        | Query::Channels
        | Query::ChannelList
        | Query::Disks
        | Query::Clock
        | Query::Ports
        | Query::Recording
        | Query::Image(_)
        | Query::Streams(_)
        | Query::Audio(_)
        | Query::Osd(_)
        | Query::Days(_)
        | Query::Segments(_) => Method::Post,
    };
    let mut request = Request::new(method, format!("{BASE}{path}"));
    if let Some(body) = body(query, scope) {
        request.body = body.to_document();
    }
    Ok(request)
}

/// A flat document; fields without a value are left out.
#[must_use]
pub fn document_of<'a>(
    tag: &str,
    fields: impl IntoIterator<Item = (&'a str, Option<String>)>,
) -> Element {
    Element::new(tag).with_all(
        fields
            .into_iter()
            .filter_map(|(name, value)| Some(Element::leaf(name, value?))),
    )
}

fn body(query: Query, scope: &Scope) -> Option<Element> {
    let iso = |text: &str| Some(text.replacen(' ', "T", 1));
    match query {
        Query::Days(channel) => {
            // One month at a time: that of the range's start.
            let mut parts = scope.from.split(['-', ' ']);
            let (year, month) = (parts.next(), parts.next());
            let plain = |text: Option<&str>| {
                let number: u32 = text?.parse().ok()?;
                (number > 0).then(|| number.to_string())
            };
            Some(document_of(
                "SearchRecordDate",
                [
                    ("channelID", Some(channel.to_string())),
                    ("year", plain(year)),
                    ("month", plain(month)),
                ],
            ))
        }
        Query::Segments(channel) => Some(document_of(
            "SearchByTime",
            [
                ("channelID", Some(channel.to_string())),
                ("startTime", iso(&scope.from)),
                ("endTime", iso(&scope.to)),
            ],
        )),
        Query::Info
        | Query::Channels
        | Query::ChannelList
        | Query::Disks
        | Query::Clock
        | Query::Ports
        | Query::Recording
        | Query::Image(_)
        | Query::Streams(_)
        | Query::Audio(_)
        | Query::Osd(_)
        | Query::Snapshot(_) => None,
    }
}
