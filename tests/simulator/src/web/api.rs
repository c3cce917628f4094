//! The web API in both dialects.

use super::calendar;
use super::digest::{Shown, shown};
use super::edit::{self, Outcome, api_on};
use super::http::{Answer, Request};
use super::spec::{ApiDialect, ApiLogin, WebSpec};
use super::still;
use crate::device::{Counter, Device, DeviceSpec, Verdict, Violation};

const NAMESPACE: &str = "http://www.ipc.com/ver10";
const PREFIX: &str = "/LAPI/V1.0";

pub(super) fn answer(device: &Device, web: &WebSpec, request: &Request) -> Answer {
    let known = match web.api {
        ApiDialect::Off => false,
        ApiDialect::FlatV1 | ApiDialect::FlatV2 => !request.path.starts_with(PREFIX),
        ApiDialect::Lapi => request.path.starts_with(PREFIX),
    };
    if !known {
        return Answer::page(404);
    }
    if !api_on(device) {
        return Answer::page(404);
    }
    let live = device.live();
    let spec = &live.spec;
    if let Some(refusal) = refused(device, spec, web, request) {
        return refusal;
    }
    if let Some(still) = still::answer(device, web, request) {
        return still;
    }
    if web.api == ApiDialect::Lapi {
        prefixed(device, spec, web, request)
    } else {
        flat(device, spec, web, request)
    }
}

/// The answer to a request without a right credential.
fn refused(device: &Device, spec: &DeviceSpec, web: &WebSpec, request: &Request) -> Option<Answer> {
    let password = spec.password.reveal();
    let (user, right) = match shown(request, &spec.user, password) {
        Shown::Nothing => return Some(challenge(device, web, false)),
        Shown::Basic { user, right } => {
            if web.api_login != ApiLogin::Basic {
                device.violation(Violation::PasswordShown, 0);
            }
            (user, right && web.api_login == ApiLogin::Basic)
        }
        Shown::Digest {
            user,
            right,
            nonce,
            count,
        } => {
            let mut state = device.web_state();
            let Some(used) = state.nonces.get_mut(&nonce) else {
                drop(state);
                return Some(challenge(device, web, true));
            };
            let fresh = count == used.wrapping_add(1);
            *used = used.wrapping_add(1);
            let stale = web.nonce_uses > 0 && *used > web.nonce_uses;
            drop(state);
            if stale {
                return Some(challenge(device, web, true));
            }
            if !fresh {
                device.violation(Violation::NonceCount, 0);
            }
            (user, right && fresh)
        }
    };
    device.count(Counter::LoginsTried, 1);
    match device.judge(&user, right, &spec.lock) {
        Verdict::Welcome => {
            device.count(Counter::LoginsSucceeded, 1);
            None
        }
        verdict @ (Verdict::Wrong | Verdict::WrongAndLocked | Verdict::Locked) => {
            device.count(Counter::LoginsFailed, 1);
            if verdict == Verdict::WrongAndLocked {
                device.count(Counter::Lockouts, 1);
            }
            if verdict == Verdict::Locked {
                device.count(Counter::LockedRefusals, 1);
                return Some(failed(10));
            }
            Some(challenge(device, web, false))
        }
    }
}

fn challenge(device: &Device, web: &WebSpec, stale: bool) -> Answer {
    let page = Answer::page(401);
    let digest = |algorithm: &str| {
        let nonce = device.web_state().new_nonce();
        let stale = if stale { ", stale=true" } else { "" };
        format!(
            "Digest realm=\"TVT, web\", qop=\"auth-int, auth\", nonce=\"{nonce}\", algorithm={algorithm}{stale}"
        )
    };
    match web.api_login {
        ApiLogin::Basic => page.with("WWW-Authenticate", "Basic realm=\"device\"".to_owned()),
        ApiLogin::Digest => page.with("WWW-Authenticate", digest("MD5")),
        ApiLogin::DigestSha256 => page
            .with("WWW-Authenticate", digest("MD5"))
            .with("WWW-Authenticate", digest("SHA-256")),
    }
}

fn failed(code: u32) -> Answer {
    let body = format!("<config status=\"failed\" errorCode=\"{code}\" errorDesc=\"x\"/>");
    Answer::of(400, "application/xml", body)
}

fn flat(device: &Device, spec: &DeviceSpec, web: &WebSpec, request: &Request) -> Answer {
    let mut parts = request.path.trim_start_matches('/').split('/');
    let command = parts.next().unwrap_or_default();
    let channel: usize = parts.next().and_then(|text| text.parse().ok()).unwrap_or(1);
    let second = web.api == ApiDialect::FlatV2;
    let version = if second { "2.0.0" } else { "1.7" };
    let channels = channels(spec);
    let per_channel = [
        "GetImageConfig",
        "GetVideoStreamConfig",
        "GetAudioStreamConfig",
        "GetImageOsdConfig",
        "SetImageConfig",
        "SetVideoStreamConfig",
        "SetImageOsdConfig",
    ];
    if per_channel.contains(&command) && !channels.iter().any(|one| one.number == channel) {
        return failed(12);
    }
    if command.starts_with("Set") || command == "Reboot" {
        return match edit::write(device, spec, web, request) {
            Outcome::Done => Answer::xml("<config status=\"success\"/>"),
            Outcome::Unknown => failed(1),
            Outcome::Bad => failed(3),
            Outcome::Refused(code) => failed(code),
            Outcome::Lost => Answer::lost(),
            Outcome::Mute => Answer::mute(),
        };
    }
    let set = |group: &str, name: &str, first: &str| {
        edit::setting(device, &format!("{group}/{channel}/{name}"), first)
    };
    let fields = |group: &str, list: &[(&str, &str)]| -> String {
        let one =
            |(name, first): &(&str, &str)| format!("<{name}>{}</{name}>", set(group, name, first));
        list.iter().map(one).collect()
    };
    let body = match command {
        "GetDeviceInfo" => format!(
            "<deviceInfo><deviceName type=\"string\"><![CDATA[{}]]></deviceName>\
             <model type=\"string\"><![CDATA[{}]]></model><brand>Customer</brand>\
             <softwareVersion><![CDATA[{}]]></softwareVersion><mac>{}</mac><sn>{}</sn>\
             <chlMaxCount type=\"uint32\">{}</chlMaxCount></deviceInfo>",
            spec.name,
            web.model,
            spec.firmware,
            spec.mac.to_string().to_lowercase(),
            serial(spec),
            channels.len().max(2),
        ),
        "GetChannelInfo" if second => {
            let items: String = channels
                .iter()
                .map(|one| {
                    format!(
                        "<item><channelId>{}</channelId><name><![CDATA[{}]]></name><status>{}</status></item>",
                        one.number,
                        one.name,
                        one.state()
                    )
                })
                .collect();
            format!("<channelList type=\"list\" count=\"{}\">{items}</channelList>", channels.len())
        }
        "GetChannelList" => {
            let items: String = channels
                .iter()
                .map(|one| format!("<item channelStatus=\"{}\">{}</item>", one.state(), one.number))
                .collect();
            let count = channels.len();
            format!("<channelIDList type=\"list\" count=\"{count}\"/><itemType/>{items}")
        }
        "GetDiskInfo" => {
            let status = if second { "status" } else { "diskStatus" };
            format!(
                "<diskInfo type=\"list\" count=\"1\"><item><id>disk1</id><totalSpace>3815447</totalSpace>\
                 <freeSpace>0</freeSpace><{status}>read/write</{status}></item></diskInfo>"
            )
        }
        "GetDateAndTime" => format!(
            "<time><timezoneInfo><timeZone><![CDATA[{}]]></timeZone></timezoneInfo><synchronizeInfo>\
             <type>{}</type><ntpServer>{}</ntpServer><ntpSyncInterval>{}</ntpSyncInterval>\
             <currentTime>{}</currentTime></synchronizeInfo></time>",
            calendar::ZONE,
            edit::setting(device, "sync", "NTP"),
            edit::setting(device, "ntp_server", "time.example.net"),
            edit::setting(device, "ntp_interval", "720"),
            calendar::now(edit::clock_offset(device, web))
        ),
        "GetPortConfig" => format!(
            "<port><httpPort>{}</httpPort><netPort>{}</netPort><rtspPort>{}</rtspPort>\
             <httpsPort>443</httpsPort></port>",
            web.port, spec.port, web.told_rtsp_port
        ),
        "GetImageConfig" => format!("<image>{}</image>", fields("image", &edit::IMAGE)),
        "GetImageOsdConfig" => format!(
            "<imageOsd><time><switch type=\"boolean\">{}</switch><X>0</X><Y>0</Y>\
             <dateFormat>year-month-day</dateFormat></time><channelName><switch>{}</switch><X>9</X>\
             <Y>9</Y><name><![CDATA[{}]]></name></channelName></imageOsd>",
            set("osd", "time", "true"),
            set("osd", "switch", "true"),
            set("osd", "name", "Gate")
        ),
        "GetVideoStreamConfig" => format!(
            "<streams type=\"list\" count=\"1\"><item id=\"0\">\
             <name><![CDATA[rtsp://{}:554/chID={channel}&streamType=main]]></name>\
             {}</item></streams>",
            spec.ip,
            fields("stream", &edit::STREAM)
        ),
        "GetAudioStreamConfig" if second => {
            "<audioInSwitch>true</audioInSwitch><audioEncode>G711A</audioEncode><audioInput>MIC</audioInput>"
                .to_owned()
        }
        "GetRecordStatusInfo" => {
            let items: String = channels
                .iter()
                .map(|one| {
                    let state = if one.online { "recording" } else { "norecording" };
                    format!("<item id=\"{}\" streamType=\"main\" recordTypes=\"schedule\">{state}</item>", one.number)
                })
                .collect();
            format!("<recordStatusList type=\"list\">{items}</recordStatusList>")
        }
        "SearchRecordDate" => "<dates><item>2026-11-01</item><item>2026-11-02</item></dates>".to_owned(),
        "SearchByTime" => format!(
            "<timesectionList type=\"list\"><item seconds=\"3600\" recType=\"schedule\">{}</item></timesectionList>",
            request.field("starttime").unwrap_or_default()
        ),
        _ => return failed(1),
    };
    Answer::xml(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><config version=\"{version}\" xmlns=\"{NAMESPACE}\">{body}</config>"
    ))
}

fn prefixed(device: &Device, spec: &DeviceSpec, web: &WebSpec, request: &Request) -> Answer {
    let body = match request.path.trim_start_matches(PREFIX) {
        "/System/DeviceInfo" => format!(
            "<DeviceInfo><deviceName>{}</deviceName><deviceModel>{}</deviceModel>\
             <serialNumber>{}</serialNumber><macAddress>{}</macAddress>\
             <firmwareVersion>{}</firmwareVersion><deviceType>NVR</deviceType></DeviceInfo>",
            spec.name,
            web.model,
            serial(spec),
            spec.mac,
            spec.firmware
        ),
        "/System/DateAndTime" => format!(
            "<DateAndTime><dateTimeMode>Manual</dateTimeMode><localTime>{}</localTime>\
             <timeZone>CST-8:00:00</timeZone></DateAndTime>",
            calendar::now(edit::clock_offset(device, web)).replace(' ', "T")
        ),
        "/System/DiskInfo" => "<DiskInfoList><DiskInfo><diskID>1</diskID><status>Normal</status>\
             <capacity>3815447</capacity><freeSpace>7</freeSpace></DiskInfo></DiskInfoList>"
            .to_owned(),
        _ => {
            let status = "<ResponseStatus><statusCode>400</statusCode><subStatusCode>12</subStatusCode></ResponseStatus>";
            return Answer::of(400, "application/xml", status.to_owned());
        }
    };
    Answer::xml(body)
}

/// A channel as the web interfaces tell it.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) online: bool,
}

impl Channel {
    fn state(&self) -> &'static str {
        if self.online { "online" } else { "offline" }
    }
}

/// The channels of both kinds of recorders.
pub(crate) fn channels(spec: &DeviceSpec) -> Vec<Channel> {
    let text =
        |camera: &serde_json::Value, key: &str| camera[key].as_str().unwrap_or_default().to_owned();
    let cameras = spec.cameras.iter().map(|camera| Channel {
        number: camera["channel"]
            .as_u64()
            .and_then(|one| usize::try_from(one).ok())
            .unwrap_or(0),
        name: text(camera, "szChlname"),
        address: text(camera, "szServer"),
        online: camera["status"].as_u64() == Some(1),
    });
    let heads = spec.channels.iter().map(|(number, online)| Channel {
        number: usize::try_from(*number).unwrap_or(0),
        name: format!("R&D {number}"),
        address: format!("10.77.0.{number}"),
        online: *online,
    });
    cameras.chain(heads).collect()
}

pub(super) fn serial(spec: &DeviceSpec) -> String {
    if spec.serial.is_empty() {
        format!("N{}", spec.mac.to_string().replace(':', ""))
    } else {
        spec.serial.clone()
    }
}
