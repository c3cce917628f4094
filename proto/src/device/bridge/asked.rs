//! What callers of a bridge ask: the server's side of `request`.

use serde::Deserialize;
use zeroize::Zeroizing;

use super::request::{CLOCK_PATH, INFO_PATH, REBOOT_PATH, RTSP_URL_PATH, SCAN_PATH, SNAPSHOT_PATH};
use crate::model::address::Endpoint;
use crate::model::secret::{Credential, Secret};

/// The longest request that is read, in bytes. pytvt's have about 150.
pub const REQUEST_MAX: usize = 16 * 1024;

/// Where a bridge moves a camera.
const PTZ_PATH: &str = "/ptz";
/// Where a bridge moves a camera to a stored place.
const PTZ_PRESET_PATH: &str = "/ptz/preset";
/// How many channels a scan tells of where the caller does not say.
const CAMERAS_DEFAULT: u32 = 64;
/// The port of a device where the caller does not say.
const PORT_DEFAULT: u16 = 6036;
/// The longest user name or password, in bytes. No device takes more.
const LOGIN_MAX: usize = 256;
/// The highest stream: 0 is the main one.
const STREAM_MAX: u8 = 3;

/// What is to be done with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Identity and channels; so many channels at most.
    Scan(u32),
    /// What the device says of itself.
    Info,
    /// Its clock.
    Clock,
    /// A picture of a channel, counted from 0.
    Snapshot(u16),
    /// The address of a stream.
    RtspUrl {
        /// The channel, counted from 0.
        channel: u16,
        /// 0 main, 1 and above the smaller ones.
        stream: u8,
    },
    /// Something that changes the device, which nobody has signed for.
    Change,
}

/// A device, who logs in to it, and what for.
#[derive(Debug)]
pub struct Asked {
    /// What is to be done.
    pub errand: Errand,
    /// The device.
    pub device: Endpoint,
    /// Who logs in.
    pub credential: Credential,
}

/// A path behind which there is something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// A scan.
    Scan,
    /// Identity.
    Info,
    /// The clock, to be read or set.
    Clock,
    /// A picture.
    Snapshot,
    /// The address of a stream.
    RtspUrl,
    /// A reboot, or a camera's movement.
    Change,
}

/// A request that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadRequest(String);

#[derive(Deserialize)]
struct Body {
    ip: Option<String>,
    port: Option<u16>,
    username: Option<String>,
    password: Option<Zeroizing<String>>,
    channel: Option<u16>,
    #[serde(rename = "maxCameras")]
    max_cameras: Option<u32>,
    stream_type: Option<u8>,
    #[serde(rename = "streamType")]
    stream_type_too: Option<u8>,
    set_timestamp: Option<serde::de::IgnoredAny>,
}

impl Door {
    /// What a path leads to. Some callers put two slashes before it.
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        let trimmed = path.trim_start_matches('/');
        let is = |known: &str| known.strip_prefix('/') == Some(trimmed);
        [
            (SCAN_PATH, Self::Scan),
            (INFO_PATH, Self::Info),
            (CLOCK_PATH, Self::Clock),
            (SNAPSHOT_PATH, Self::Snapshot),
            (RTSP_URL_PATH, Self::RtspUrl),
            (REBOOT_PATH, Self::Change),
            (PTZ_PATH, Self::Change),
            (PTZ_PRESET_PATH, Self::Change),
        ]
        .into_iter()
        .find_map(|(path, door)| is(path).then_some(door))
    }

    /// Reads the body of a request. Members that nobody needs are not looked at; null is no member.
    ///
    /// # Errors
    ///
    /// [`BadRequest`], whose text holds nothing of the body.
    pub fn read(self, body: &[u8]) -> Result<Asked, BadRequest> {
        let wrong = |text: &str| BadRequest(text.to_owned());
        let body: Body = serde_json::from_slice(body).map_err(|error| place(&error))?;
        let missing = |name: &str| wrong(&format!("{name} is missing"));
        let host = body.ip.ok_or_else(|| missing("ip"))?;
        let host = host.parse().map_err(|_| wrong("ip is no address"))?;
        let port = body.port.unwrap_or(PORT_DEFAULT);
        let username = body.username.ok_or_else(|| missing("username"))?;
        let password = body.password.ok_or_else(|| missing("password"))?;
        if port == 0 {
            return Err(wrong("port must be 1 to 65535"));
        }
        if username.len() > LOGIN_MAX || password.len() > LOGIN_MAX {
            return Err(wrong("username or password is too long"));
        }
        let channel = body.channel.unwrap_or(0);
        let stream = body.stream_type.or(body.stream_type_too).unwrap_or(0);
        let errand = match self {
            Self::Scan => Errand::Scan(body.max_cameras.unwrap_or(CAMERAS_DEFAULT)),
            Self::Info => Errand::Info,
            Self::Clock if body.set_timestamp.is_none() => Errand::Clock,
            Self::Clock | Self::Change => Errand::Change,
            Self::Snapshot => Errand::Snapshot(channel),
            Self::RtspUrl if stream > STREAM_MAX => {
                return Err(wrong("stream_type must be 0 to 3"));
            }
            Self::RtspUrl => Errand::RtspUrl { channel, stream },
        };
        Ok(Asked {
            errand,
            device: Endpoint { host, port },
            credential: Credential {
                username,
                password: Secret::new(password.as_str()),
            },
        })
    }
}

/// Where the text went wrong; the reader's own words may hold pieces of it.
fn place(error: &serde_json::Error) -> BadRequest {
    let what = match error.classify() {
        serde_json::error::Category::Data => "a member is not of its type",
        serde_json::error::Category::Io
        | serde_json::error::Category::Syntax
        | serde_json::error::Category::Eof => "not JSON",
    };
    let (line, column) = (error.line(), error.column());
    BadRequest(format!("{what}: line {line} column {column}"))
}

#[cfg(test)]
mod tests {
    use super::super::request::{Call, DeviceRequest};
    use super::*;
    use proptest::prelude::*;

    const LOGIN: &str = r#""ip":"127.0.9.1","username":"admin","password":"Fleet-2026""#;

    fn errand(path: &str, more: &str) -> Result<Errand, String> {
        let door = Door::at(path).ok_or("no door")?;
        let body = format!("{{{LOGIN}{more}}}");
        let asked = door.read(body.as_bytes());
        asked
            .map(|asked| asked.errand)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_our_client_sends_is_understood() {
        let credential = Credential {
            username: "admin".into(),
            password: Secret::new("Fleet-2026"),
        };
        let request = DeviceRequest {
            host: "127.0.9.1",
            port: 9008,
            credential: &credential,
        };
        let url = Call::RtspUrl {
            channel: 3,
            stream: 1,
        };
        for (call, errand) in [
            (Call::Scan(32), Errand::Scan(32)),
            (Call::Info, Errand::Info),
            (Call::Clock, Errand::Clock),
            (Call::Reboot, Errand::Change),
            (
                url,
                Errand::RtspUrl {
                    channel: 3,
                    stream: 1,
                },
            ),
        ] {
            let body = request.body(call).unwrap();
            let asked = Door::at(call.path()).unwrap().read(&body).unwrap();
            assert_eq!(asked.errand, errand);
            assert_eq!(asked.device.to_string(), "127.0.9.1:9008");
            assert_eq!(asked.credential.username, "admin");
            assert_eq!(asked.credential.password.expose(), "Fleet-2026");
            assert!(!format!("{asked:?}").contains("Fleet-2026"));
        }
    }

    #[test]
    fn both_spellings_and_defaults_are_taken() {
        let url = |channel, stream| Ok(Errand::RtspUrl { channel, stream });
        for (path, more, expected) in [
            ("//scan", "", Ok(Errand::Scan(64))),
            (
                "/scan",
                r#","maxCameras":null,"x":[1]"#,
                Ok(Errand::Scan(64)),
            ),
            ("/rtsp-url", r#","channel":2,"streamType":2"#, url(2, 2)),
            ("/rtsp-url", r#","stream_type":1"#, url(0, 1)),
            (
                "/device/time",
                r#","set_timestamp":null"#,
                Ok(Errand::Clock),
            ),
            ("/device/time", r#","set_timestamp":0"#, Ok(Errand::Change)),
            ("/ptz", "", Ok(Errand::Change)),
            ("/ptz/preset", "", Ok(Errand::Change)),
            ("/snapshot", r#","channel":7"#, Ok(Errand::Snapshot(7))),
        ] {
            assert_eq!(errand(path, more), expected, "{path} {more}");
        }
        for path in ["", "/", "/scan/", "/device-info", "/face/captures/search"] {
            assert_eq!(Door::at(path), None, "{path}");
        }
    }

    #[test]
    fn a_bad_request_is_told_without_its_text() {
        let secret = "Fleet-2026";
        for body in [
            "".to_owned(),
            "[]".to_owned(),
            "null".to_owned(),
            format!("{{{LOGIN}"),
            format!(r#"{{{LOGIN},"port":0}}"#),
            format!(r#"{{{LOGIN},"port":"6036"}}"#),
            format!(r#"{{{LOGIN},"channel":-1}}"#),
            format!(r#"{{{LOGIN},"streamType":9}}"#),
            format!(r#"{{"ip":"a b","username":"x","password":"{secret}"}}"#),
            format!(r#"{{"ip":"h","username":7,"password":"{secret}"}}"#),
            format!(r#"{{"ip":"h","password":"{secret}"}}"#),
            r#"{"ip":"h","username":"x"}"#.to_owned(),
            format!(
                r#"{{"ip":"h","username":"{}","password":""}}"#,
                "x".repeat(257)
            ),
        ] {
            let error = Door::RtspUrl.read(body.as_bytes()).unwrap_err();
            assert!(!error.to_string().contains(secret), "{error}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bodies_never_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Door::RtspUrl.read(&body);
        }
    }
}
