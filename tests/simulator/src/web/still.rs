//! Stills of the web API.

use super::api::channels;
use super::http::{Answer, Request};
use super::spec::{ApiDialect, StillFault, WebSpec};
use crate::device::Device;
use crate::picture::{Mark, Scene, jpeg};

/// The answer to a request for a still; `None` where it asks for something else.
pub(super) fn answer(device: &Device, web: &WebSpec, request: &Request) -> Option<Answer> {
    let text = match web.api {
        ApiDialect::Lapi => request
            .path
            .strip_prefix("/LAPI/V1.0/Image/Channels/")?
            .strip_suffix("/Snapshot")?,
        ApiDialect::Off | ApiDialect::FlatV1 | ApiDialect::FlatV2 => {
            request.path.strip_prefix("/GetSnapshot/")?
        }
    };
    if request.method != "GET" || web.still == Some(StillFault::Unknown) {
        return None;
    }
    let picture = |body: Vec<u8>| Answer {
        status: 200,
        headers: vec![("Content-Type", "application/octet-stream".to_owned())],
        body,
    };
    let number: usize = text.parse().ok()?;
    let channels = channels(&device.live().spec);
    let online = channels
        .iter()
        .any(|channel| channel.number == number && channel.online);
    if !online {
        return Some(picture(Vec::new()));
    }
    let first = channels.first().map_or(1, |channel| channel.number);
    let shown = if web.still == Some(StillFault::Swapped) {
        first
    } else {
        number
    };
    let mark = Mark {
        device: device.mark(),
        channel: u16::try_from(shown).unwrap_or(0),
        stream: 0,
    };
    let tick = device.next_tick();
    let (scene, cut, padding) = match web.still {
        Some(StillFault::Empty) => return Some(picture(Vec::new())),
        Some(StillFault::Html) => return Some(Answer::page(200)),
        Some(StillFault::Xml) => {
            return Some(Answer::xml("<config status=\"failed\" errorCode=\"12\"/>"));
        }
        Some(StillFault::Truncated) => (Scene::live(mark, tick), 2, 0),
        Some(StillFault::Padded) => (Scene::live(mark, tick), 1, 7),
        Some(StillFault::Stale | StillFault::Swapped) => (Scene::live(mark, 1), 1, 0),
        Some(StillFault::Black) => (Scene::flat(18), 1, 0),
        Some(StillFault::Grey) => (Scene::flat(126), 1, 0),
        Some(StillFault::Frozen) => (Scene::frozen(mark, tick), 1, 0),
        Some(StillFault::Unknown) | None => (Scene::live(mark, tick), 1, 0),
    };
    let (mut body, _) = jpeg(&scene);
    body.truncate(body.len() / cut);
    body.resize(body.len() + padding, 0);
    Some(picture(body))
}
