//! Requests.

use crate::device::http::{Method, Request};
use crate::device::xml::Element;

/// The namespace of every document.
const NAMESPACE: &str = "http://www.ipc.com/ver10";

/// A command, with a channel from 1 where it is about one, and a document where it takes one.
#[must_use]
pub fn request(command: &str, channel: Option<u32>, body: Option<&Element>) -> Request {
    let path = match channel {
        Some(channel) => format!("/{command}/{channel}"),
        None => format!("/{command}"),
    };
    let mut request = Request::new(Method::Post, path);
    if let Some(body) = body {
        request.body = body.to_document();
    }
    request
}

/// The root of a document. `version` is the one that the device writes into its own.
#[must_use]
pub fn config(version: &str, content: Element) -> Element {
    Element::new("config")
        .with_attribute("version", version)
        .with_attribute("xmlns", NAMESPACE)
        .with(content)
}

/// The search of `SearchByTime`, in device time, `YYYY-MM-DD HH:MM:SS`.
#[must_use]
pub fn search_by_time<'a>(
    types: impl IntoIterator<Item = &'a str>,
    start: &str,
    end: &str,
) -> Element {
    let items = types.into_iter().map(|name| Element::leaf("item", name));
    Element::new("search")
        .with(
            Element::new("recTypes")
                .with_attribute("type", "list")
                .with(Element::new("itemType").with_attribute("type", "recType"))
                .with_all(items),
        )
        .with(Element::leaf("starttime", start))
        .with(Element::leaf("endtime", end))
}

/// The search of `GetSnapshotByTime`.
#[must_use]
pub fn snapshot_by_time(time: &str, seconds: u32) -> Element {
    Element::new("search")
        .with(Element::leaf("time", time))
        .with(Element::leaf("length", seconds.to_string()))
}

/// The part of an image document that `SetImageConfig` is to change.
#[must_use]
pub fn set_image<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Element {
    Element::new("image").with_all(
        fields
            .into_iter()
            .map(|(name, value)| Element::leaf(name, value)),
    )
}
