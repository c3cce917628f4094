//! Changes over the web interfaces, and what they do.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

use super::api::channels;
use super::calendar;
use super::cgi;
use super::digest::hex;
use super::http::Request;
use super::keys;
use super::spec::{WebSpec, WriteFault};
use crate::device::{Device, DeviceSpec, Mutation};

/// What became of a change.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// No such command here.
    Unknown,
    /// The values make no sense.
    Bad,
    /// The recorder's own number for a refusal.
    Refused(u32),
    /// The connection ends without an answer.
    Lost,
    /// The connection stays, without an answer.
    Mute,
}

/// Elements of `image` that can be set, with what they are at first.
pub(super) const IMAGE: [(&str, &str); 4] = [
    ("bright", "51"),
    ("contrast", "52"),
    ("mirrorSwitch", "true"),
    ("IRCutMode", "day"),
];
/// The same of a stream.
pub(super) const STREAM: [(&str, &str); 6] = [
    ("resolution", "2560x1440"),
    ("frameRate", "25"),
    ("bitRateType", "VBR"),
    ("maxBitRate", "4096"),
    ("encodeType", "h265"),
    ("GOP", "50"),
];

/// The same settings as attributes of the pages, where the first of a name counts.
const ENCODING: [(&str, &str); 6] = [
    ("resolution", "res"),
    ("frameRate", "fps"),
    ("bitRateType", "bitType"),
    ("maxBitRate", "QoI"),
    ("encodeType", "enct"),
    ("GOP", "aGOP"),
];

/// A setting of a channel's main stream, the same by all interfaces.
pub(super) fn stream(device: &Device, channel: usize, name: &str) -> String {
    let first = STREAM.iter().find(|(known, _)| *known == name);
    let first = first.map_or("", |(_, first)| first);
    setting(device, &format!("stream/{channel}/{name}"), first)
}

/// A setting: what was set, or what it is at first.
pub(super) fn setting(device: &Device, key: &str, first: &str) -> String {
    let state = device.web_state();
    state
        .settings
        .get(key)
        .cloned()
        .unwrap_or_else(|| first.to_owned())
}

/// Seconds that the clock is ahead.
pub(super) fn clock_offset(device: &Device, web: &WebSpec) -> i64 {
    let text = setting(device, "clock", "");
    text.parse().unwrap_or(web.clock_offset_s)
}

/// Whether the web API is switched on.
pub(super) fn api_switched_on(device: &Device) -> bool {
    setting(device, "api", "true") == "true"
}

/// Whether it answers as well.
pub(super) fn api_on(device: &Device) -> bool {
    let from = device.web_state().api_from;
    api_switched_on(device) && from.is_none_or(|from| from <= Instant::now())
}

/// Makes a change, unless a fault comes between.
pub(super) fn write(
    device: &Device,
    spec: &DeviceSpec,
    web: &WebSpec,
    request: &Request,
) -> Outcome {
    let path = request.path.trim_start_matches('/');
    device.web_state().writes.push(path.to_owned());
    match web.write_fault {
        None => apply(device, spec, web, request, path),
        Some(WriteFault::Ignored) => Outcome::Done,
        Some(WriteFault::Refused(code)) => Outcome::Refused(code),
        Some(WriteFault::LostBefore) => Outcome::Lost,
        Some(WriteFault::MuteBefore) => Outcome::Mute,
        Some(WriteFault::MuteAfter) => {
            apply(device, spec, web, request, path);
            Outcome::Mute
        }
        Some(WriteFault::LostAfter) => {
            apply(device, spec, web, request, path);
            Outcome::Lost
        }
    }
}

fn apply(
    device: &Device,
    spec: &DeviceSpec,
    web: &WebSpec,
    request: &Request,
    path: &str,
) -> Outcome {
    let (command, channel) = path.split_once('/').unwrap_or((path, "1"));
    let field = |name: &str| request.field(name);
    let store = |key: String, value: Option<String>| {
        if let Some(value) = value {
            device.web_state().settings.insert(key, value);
        }
    };
    match command {
        "SetDateAndTime" => {
            let Some(kind) = field("type") else {
                return Outcome::Bad;
            };
            if let Some(text) = field("currentTime") {
                let Some(offset) = calendar::ahead(&text) else {
                    return Outcome::Bad;
                };
                store("clock".to_owned(), Some(offset.to_string()));
            }
            store("sync".to_owned(), Some(kind));
            store("ntp_server".to_owned(), field("ntpServer"));
            store("ntp_interval".to_owned(), field("ntpSyncInterval"));
        }
        "SetImageConfig" => {
            for (name, _) in IMAGE {
                store(format!("image/{channel}/{name}"), field(name));
            }
        }
        "SetVideoStreamConfig" => {
            for (name, _) in STREAM {
                store(format!("stream/{channel}/{name}"), field(name));
            }
        }
        "SetImageOsdConfig" => {
            // The whole element, as version 1 devices want it.
            let (Some(time), Some(name)) = (field("time"), field("channelName")) else {
                return Outcome::Bad;
            };
            let inner = |body: String, key: &str| {
                Request {
                    body,
                    ..Request::default()
                }
                .field(key)
            };
            store(format!("osd/{channel}/time"), inner(time, "switch"));
            store(
                format!("osd/{channel}/switch"),
                inner(name.clone(), "switch"),
            );
            store(format!("osd/{channel}/name"), inner(name, "name"));
        }
        "Reboot" => {
            let mut state = device.web_state();
            state.down_until = Some(Instant::now() + Duration::from_millis(web.reboot_ms));
            state.nonces.clear();
        }
        "editRTSPServer" => {
            let wanted = ["rtspAuthType", "rtspPort", "anonymousAccess"];
            if wanted.iter().any(|name| field(name).is_none()) {
                return Outcome::Bad;
            }
            store("rtsp".to_owned(), field("rtspServerSwitch"));
            store("anonymous".to_owned(), field("anonymousAccess"));
        }
        "editApiServer" => {
            store("api".to_owned(), field("apiserverSwitch"));
            let start = Duration::from_millis(web.api_start_ms);
            device.web_state().api_from = Some(Instant::now() + start);
        }
        "editPlatformCfg" => {
            for name in ["switch", "serverAddr", "port", "reportId"] {
                store(format!("platform/{name}"), field(name));
            }
        }
        "editNodeEncodeInfo" => {
            let known = channels(spec);
            let named = known
                .iter()
                .find(|one| request.body.contains(&format!("{{{:08X}-", one.number)));
            let attribute = |name: &str| {
                let (_, rest) = request.body.split_once(&format!(" {name}=\""))?;
                rest.split('"').next().map(str::to_owned)
            };
            let (Some(channel), Some(audio)) = (named, attribute("audio")) else {
                return Outcome::Bad;
            };
            let number = channel.number;
            store(format!("audio/{number}"), Some(audio));
            for (element, name) in ENCODING {
                store(format!("stream/{number}/{element}"), attribute(name));
            }
        }
        "editUserPassword" => return set_password(device, spec, web, request),
        _ => return Outcome::Unknown,
    }
    Outcome::Done
}

/// A recorder gets digests of the passwords. This one has to know the words, because the other
/// interfaces compare them.
fn set_password(device: &Device, spec: &DeviceSpec, web: &WebSpec, request: &Request) -> Outcome {
    let digits = |password: &str| STANDARD.encode(hex(&Md5::digest(password)).to_uppercase());
    let session =
        cgi::cookie(request).and_then(|name| device.web_state().sessions.get(&name).cloned());
    let key = session.and_then(|session| session.key);
    let shown = |name: &str| match &key {
        // A recorder with keys takes nothing that is not under one.
        Some(key) => keys::opened(&request.attributed(name, "securityVer=\"1\"")?, key),
        None => request.field(name),
    };
    let old = shown("oldPassword").unwrap_or_default();
    if old != digits(spec.password.reveal()) {
        return Outcome::Refused(36);
    }
    let new = shown("password").unwrap_or_default();
    let Some(password) = web.passwords.iter().find(|one| digits(one.reveal()) == new) else {
        return Outcome::Bad;
    };
    let ended = std::mem::take(&mut device.web_state().sessions);
    for session in ended.values() {
        device.session_ended(session.number);
    }
    let password = password.clone();
    if device.alter(Mutation::SetPassword { password }).is_err() {
        return Outcome::Bad;
    }
    Outcome::Done
}
