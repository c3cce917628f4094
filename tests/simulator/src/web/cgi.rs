//! The commands behind the pages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use sha2::Sha512;

use super::api::{channels, serial};
use super::digest::{Shown, hex, shown};
use super::edit::{self, Outcome, setting};
use super::http::{Answer, Request};
use super::keys;
use super::spec::{ApiDialect, PagesLogin, WebSpec};
use super::state::Session;
use crate::device::{Counter, Device, DeviceSpec, Verdict, Violation};

/// Every command that is known.
pub(super) const COMMANDS: [&str; 24] = [
    "reqLogin",
    "doLogin",
    "doLogout",
    "queryBasicCfg",
    "queryDevList",
    "queryOnlineChlList",
    "queryStorageDevInfo",
    "queryDiskStatus",
    "queryUserList",
    "queryPasswordSecurity",
    "queryNetPortCfg",
    "queryRTSPServer",
    "queryApiServer",
    "queryPlatformCfg",
    "queryNodeEncodeInfo",
    "queryRecStatus",
    "queryMotion",
    "queryDatesExistRec",
    "queryChlRecLog",
    "editUserPassword",
    "editRTSPServer",
    "editApiServer",
    "editPlatformCfg",
    "editNodeEncodeInfo",
];

const BASE: u32 = 536_870_912;
const GENERAL: u32 = 22;
const WRONG_PASSWORD: u32 = 36;
const LOCKED: u32 = 39;
const BUSY: u32 = 48;
const NO_SESSION: u32 = 163;
const SESSION_OVER: u32 = 162;
const UNSUPPORTED: u32 = 32;
const INVALID: u32 = 31;
const NO_RECORDS: u32 = 30;

pub(super) fn answer(device: &Device, web: &WebSpec, request: &Request) -> Answer {
    if web.pages == PagesLogin::Off || request.method != "POST" {
        return Answer::page(404);
    }
    let live = device.live();
    let spec = &live.spec;
    match request.path.trim_start_matches('/') {
        "reqLogin" => greeting(device, web),
        "doLogin" => login(device, spec, web, request),
        command => {
            if !logged_in(device, spec, web, request) {
                return failure(NO_SESSION, "");
            }
            if command != "doLogout" && is_used_up(device, web, request) {
                return failure(SESSION_OVER, "");
            }
            if command == "doLogout" {
                if let Some(session) =
                    cookie(request).and_then(|name| device.web_state().sessions.remove(&name))
                {
                    device.session_ended(session.number);
                }
                return success("");
            }
            if command.starts_with("edit") {
                return match edit::write(device, spec, web, request) {
                    Outcome::Done => success(""),
                    Outcome::Unknown => failure(UNSUPPORTED, ""),
                    Outcome::Bad => failure(INVALID, ""),
                    Outcome::Refused(low) => failure(low, ""),
                    Outcome::Lost => Answer::lost(),
                    Outcome::Mute => Answer::mute(),
                };
            }
            content(device, spec, web, request, command)
        }
    }
}

fn greeting(device: &Device, web: &WebSpec) -> Answer {
    if web.pages == PagesLogin::Legacy {
        return failure(GENERAL, "");
    }
    let mut state = device.web_state();
    let ((number, name), (_, nonce), (_, token)) = (state.fresh(), state.fresh(), state.fresh());
    let session = Session {
        nonce: nonce.clone(),
        token: format!("{{{token}}}"),
        logged_in: false,
        used: 0,
        key: matches!(web.pages, PagesLogin::Encrypted | PagesLogin::Keyed)
            .then(|| keys::session_key(&name)),
        // Far from the connections of the binary protocol, which count from 1.
        number: number | 1 << 48,
    };
    let (token, id) = (session.token.clone(), name.clone());
    state.keep(name, session);
    drop(state);
    if web.pages == PagesLogin::Classic {
        let body = format!("<content><nonce>{nonce}</nonce><token>{token}</token></content>");
        return success(&body).with("Set-Cookie", format!("sessionId={id}; path=/; HttpOnly"));
    }
    let hint = if web.pages == PagesLogin::Keyed {
        "<securityVer>1</securityVer>"
    } else {
        ""
    };
    success(&format!(
        "<types><token><enum>none</enum></token></types>\
         <content><nonce>{nonce}</nonce><sessionId>{{{id}}}</sessionId>{hint}</content>"
    ))
}

fn login(device: &Device, spec: &DeviceSpec, web: &WebSpec, request: &Request) -> Answer {
    device.count(Counter::LoginsTried, 1);
    let user = request.field("userName").unwrap_or_default();
    let shown = request.field("password").unwrap_or_default();
    let public_key = request.field("rsaPublic").unwrap_or_default();
    let password = spec.password.reveal();
    let session = cookie(request).and_then(|name| {
        let session = device.web_state().sessions.get(&name).cloned()?;
        Some((name, session))
    });
    let wanted = match (&session, web.pages) {
        (_, PagesLogin::Legacy) => STANDARD.encode(password),
        (Some((_, session)), _) => {
            let digits = hex(&Md5::digest(password)).to_uppercase();
            let key = if web.pages == PagesLogin::Keyed {
                format!("#{}", public_key.replace('\r', ""))
            } else {
                String::new()
            };
            hex(&Sha512::digest(format!("{digits}#{}{key}", session.nonce)))
        }
        (None, _) => return failure(NO_SESSION, ""),
    };
    let verdict = device.judge(&user, user == spec.user && shown == wanted, &spec.lock);
    if verdict != Verdict::Welcome {
        device.count(Counter::LoginsFailed, 1);
        if verdict == Verdict::WrongAndLocked {
            device.count(Counter::Lockouts, 1);
        }
        if verdict == Verdict::Locked {
            device.count(Counter::LockedRefusals, 1);
            return failure(LOCKED, "<ramainingTime>1800</ramainingTime>");
        }
        return failure(WRONG_PASSWORD, "<ramainingNumber>4</ramainingNumber>");
    }
    let Some((name, session)) = session else {
        device.count(Counter::LoginsSucceeded, 1);
        return success("<content><userId>{1}</userId></content>");
    };
    if device
        .session_started(session.number, spec.client_limit)
        .is_none()
    {
        device.count(Counter::LoginsFailed, 1);
        device.count(Counter::BusyRefusals, 1);
        return failure(BUSY, "");
    }
    device.count(Counter::LoginsSucceeded, 1);
    if let Some(kept) = device.web_state().sessions.get_mut(&name) {
        kept.logged_in = true;
    }
    let token = match web.pages {
        PagesLogin::Modern | PagesLogin::Encrypted | PagesLogin::Keyed => {
            format!("<token>{}</token>", session.token)
        }
        PagesLogin::Classic | PagesLogin::Legacy | PagesLogin::Off => String::new(),
    };
    let wrapped = session.key.as_ref().and_then(|key| {
        if web.pages == PagesLogin::Keyed {
            keys::for_public_key(key, &public_key)
        } else {
            Some(keys::under_password(key, password))
        }
    });
    let wrapped = wrapped.map_or_else(String::new, |wrapped| {
        format!("<sessionKey>{wrapped}</sessionKey><securityVer>1</securityVer>")
    });
    success(&format!(
        "<content><userId>{{1}}</userId>{token}{wrapped}</content>"
    ))
}

fn logged_in(device: &Device, spec: &DeviceSpec, web: &WebSpec, request: &Request) -> bool {
    if web.pages == PagesLogin::Legacy {
        let password = spec.password.reveal();
        return matches!(
            shown(request, &spec.user, password),
            Shown::Basic { right: true, .. }
        );
    }
    if request.header("authorization").is_some() {
        device.violation(Violation::PasswordShown, 0);
    }
    let token = request.field("token").unwrap_or_default();
    cookie(request).is_some_and(|name| {
        device
            .web_state()
            .sessions
            .get(&name)
            .is_some_and(|session| session.logged_in && session.token == token)
    })
}

/// Counts a command, and ends the session that has had its share.
fn is_used_up(device: &Device, web: &WebSpec, request: &Request) -> bool {
    let Some(name) = cookie(request).filter(|_| web.session_uses > 0) else {
        return false;
    };
    let mut state = device.web_state();
    let Some(session) = state.sessions.get_mut(&name) else {
        return false;
    };
    session.used = session.used.saturating_add(1);
    if session.used <= web.session_uses {
        return false;
    }
    let number = session.number;
    state.sessions.remove(&name);
    drop(state);
    device.session_ended(number);
    true
}

pub(super) fn cookie(request: &Request) -> Option<String> {
    request
        .header("cookie")?
        .split("; ")
        .find_map(|pair| pair.strip_prefix("sessionId="))
        .map(str::to_owned)
}

fn content(
    device: &Device,
    spec: &DeviceSpec,
    web: &WebSpec,
    request: &Request,
    command: &str,
) -> Answer {
    let list = |items: Vec<String>| {
        format!(
            "<content type=\"list\" total=\"{}\">{}</content>",
            items.len(),
            items.concat()
        )
    };
    let body = match command {
        "queryBasicCfg" => format!(
            "<content><name>{}</name><model>{}</model><softwareVersion>{}</softwareVersion>\
             <sn>{}</sn></content>",
            escaped(&spec.name),
            web.model,
            spec.firmware,
            serial(spec)
        ),
        "queryDevList" => list(
            channels(spec)
                .iter()
                .map(|one| {
                    // Names come raw, escaped or wrapped, as firmwares differ.
                    let name = match one.number % 3 {
                        0 => one.name.clone(),
                        1 => escaped(&one.name),
                        _ => format!("<![CDATA[{}]]>", one.name),
                    };
                    format!(
                        "<item id=\"{}\" extra=\"1\"><name>{name}</name><ip>{}</ip><port>9008</port>\
                         <protocolType>TVT_IPCAMERA</protocolType>\
                         <productModel factoryName=\"EAST\">TD-EX01</productModel><chlNum>1</chlNum></item>",
                        guid(one.number),
                        one.address
                    )
                })
                .collect(),
        ),
        "queryOnlineChlList" => list(
            channels(spec)
                .iter()
                .filter(|one| one.online)
                .map(|one| format!("<item id=\"{}\"></item>", guid(one.number)))
                .collect(),
        ),
        "queryStorageDevInfo" => "<content><storageSysInfo/><diskList><item id=\"{D1}\">\
             <slotIndex>0</slotIndex><model>WD</model><serialNum>WD-1</serialNum><size>3815447</size>\
             <freeSpace>12</freeSpace></item></diskList></content>"
            .to_owned(),
        "queryDiskStatus" => {
            "<content><item id=\"{D1}\"><diskStatus>normal</diskStatus></item></content>".to_owned()
        }
        "queryUserList" => format!(
            "<content type=\"list\"><item id=\"{{A1}}\"><userName><![CDATA[{}]]></userName>\
             <userType>default_admin</userType><enabled>true</enabled><authGroup>Administrator</authGroup>\
             </item></content>",
            spec.user
        ),
        "queryPasswordSecurity" => {
            "<types><userPasswordAllowLevel><enum>weak</enum><enum>strong</enum></userPasswordAllowLevel></types>\
             <content><userPasswordAllowLevel>strong</userPasswordAllowLevel>\
             <userPasswordExpirationTime>90</userPasswordExpirationTime></content>"
                .to_owned()
        }
        "queryNetPortCfg" => format!(
            "<content><httpPort>{}</httpPort><httpsPort>443</httpsPort><netPort>{}</netPort></content>",
            web.port, spec.port
        ),
        "queryRTSPServer" => format!(
            "<types><rtspAuthType><enum>Basic</enum></rtspAuthType></types><content>\
             <rtspServerSwitch>{}</rtspServerSwitch><rtspAuthType>Digest</rtspAuthType>\
             <rtspPort>554</rtspPort><anonymousAccess>{}</anonymousAccess></content>",
            setting(device, "rtsp", if web.rtsp_on { "true" } else { "false" }),
            setting(device, "anonymous", "false")
        ),
        "queryApiServer" => format!(
            "<content><apiserverSwitch>{}</apiserverSwitch>\
             <authenticationType>Digest</authenticationType></content>",
            web.api != ApiDialect::Off && edit::api_switched_on(device)
        ),
        "queryPlatformCfg" => format!(
            "<content type=\"list\" current=\"NVMS5000\"><item id=\"OTHER\"/>\
             <item id=\"NVMS5000\"><switch>{}</switch><serverAddr>{}</serverAddr>\
             <port>{}</port><reportId>{}</reportId></item></content>",
            setting(device, "platform/switch", "true"),
            setting(device, "platform/serverAddr", "cms.example.net"),
            setting(device, "platform/port", "2009"),
            setting(device, "platform/reportId", "SITE-7")
        ),
        "queryNodeEncodeInfo" => list(
            channels(spec)
                .iter()
                .map(|one| {
                    format!(
                        "<item id=\"{}\"><main enct=\"{}\" aGOP=\"{}\"/>\
                         <an res=\"{}\" fps=\"{}\" bitType=\"{}\" QoI=\"{}\" level=\"higher\" audio=\"{}\"/></item>",
                        guid(one.number),
                        edit::stream(device, one.number, "encodeType"),
                        edit::stream(device, one.number, "GOP"),
                        edit::stream(device, one.number, "resolution"),
                        edit::stream(device, one.number, "frameRate"),
                        edit::stream(device, one.number, "bitRateType"),
                        edit::stream(device, one.number, "maxBitRate"),
                        setting(device, &format!("audio/{}", one.number), "ON")
                    )
                })
                .collect(),
        ),
        "queryRecStatus" => list(
            channels(spec)
                .iter()
                .map(|one| {
                    let state = if one.online { "on" } else { "abnormal" };
                    format!("<item><chl id=\"{}\"/><recStatus>{state}</recStatus></item>", guid(one.number))
                })
                .collect(),
        ),
        "queryMotion" => match request.field("chlId") {
            Some(guid) => format!(
                "<content><chl id=\"{guid}\"><param><switch>true</switch>\
                 <sensitivity min=\"1\" max=\"8\">4</sensitivity><holdTime unit=\"s\">20</holdTime>\
                 <area type=\"list\" count=\"2\"><item>1100</item><item>0011</item></area></param></chl></content>"
            ),
            None => return failure(INVALID, ""),
        },
        // One recording in every range, and none of the second channel.
        "queryChlRecLog" => {
            let (from, to) = (request.field("startTimeEx"), request.field("endTimeEx"));
            let Some((from, to)) = from.zip(to) else {
                return failure(INVALID, "");
            };
            if request.body.contains(&format!("<chl id=\"{}\"", guid(2))) {
                return failure(NO_RECORDS, "");
            }
            format!(
                "<content><recList timeZone=\"UTC\"><item><recType>SCHEDULE</recType>\
                 <startTime>{from}</startTime><endTime>{to}</endTime><size>512</size></item></recList></content>"
            )
        }
        "queryDatesExistRec" => "<content><item>2026-11-01</item></content>".to_owned(),
        _ => return failure(UNSUPPORTED, ""),
    };
    success(&body)
}

fn success(content: &str) -> Answer {
    document(&format!("<status>success</status>{content}"))
}

fn failure(low: u32, more: &str) -> Answer {
    let code = BASE.wrapping_add(low);
    document(&format!(
        "<status>fail</status><errorCode>{code}</errorCode>{more}"
    ))
}

fn document(content: &str) -> Answer {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><response version=\"1.0\">{content}</response>"
    );
    Answer::of(200, "text/xml", text)
}

/// The channel number in hexadecimal, as the recorders name channels.
fn guid(number: usize) -> String {
    format!("{{{number:08X}-0000-0000-0000-000000000000}}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
