//! What a bridge is asked.

use serde::Serialize;
use zeroize::Zeroizing;

use crate::model::secret::Credential;

/// Where a bridge says that it works.
pub const HEALTH_PATH: &str = "/health";
/// Where a bridge scans a device.
pub(super) const SCAN_PATH: &str = "/scan";

/// Where a bridge tells what a device says of itself.
pub(super) const INFO_PATH: &str = "/device/info";
/// Where a bridge reads a device's clock.
pub(super) const CLOCK_PATH: &str = "/device/time";
/// Where a bridge reboots a device.
pub(super) const REBOOT_PATH: &str = "/device/reboot";
/// Where a bridge tells the address of a stream.
pub(super) const RTSP_URL_PATH: &str = "/rtsp-url";

/// Where a bridge takes a picture.
pub(super) const SNAPSHOT_PATH: &str = "/snapshot";

/// What a bridge shall do with a device. Every call is a login, an operation and a logout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Identity and channels; how many channels are asked for.
    Scan(u32),
    /// What the device says of itself.
    Info,
    /// Its clock, to be read.
    Clock,
    /// A reboot.
    Reboot,
    /// The address of a stream.
    RtspUrl {
        /// The channel, counted from 0.
        channel: u16,
        /// 0 main, 1 sub.
        stream: u8,
    },
    /// A picture of a channel, counted from 0.
    Snapshot(u16),
}

impl Call {
    /// The path below the bridge's address.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Scan(_) => SCAN_PATH,
            Self::Info => INFO_PATH,
            Self::Clock => CLOCK_PATH,
            Self::Reboot => REBOOT_PATH,
            Self::RtspUrl { .. } => RTSP_URL_PATH,
            Self::Snapshot(_) => SNAPSHOT_PATH,
        }
    }
}

/// A device that a bridge shall talk to.
#[derive(Clone, Copy, Debug)]
pub struct DeviceRequest<'a> {
    /// The device's address as the bridge shall use it.
    pub host: &'a str,
    /// Its TCP port.
    pub port: u16,
    /// Who logs in.
    pub credential: &'a Credential,
}

#[derive(Serialize)]
struct Body<'a> {
    ip: &'a str,
    port: u16,
    username: &'a str,
    password: &'a str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    more: Option<More>,
}

/// What some calls say besides.
#[derive(Serialize)]
#[serde(untagged)]
enum More {
    Scan {
        #[serde(rename = "maxCameras")]
        max_cameras: u32,
    },
    /// pytvt spells the stream in two ways, and nobody knows which of them a bridge reads.
    Stream {
        channel: u16,
        stream_type: u8,
        #[serde(rename = "streamType")]
        stream_type_too: u8,
    },
    Picture {
        channel: u16,
    },
}

impl DeviceRequest<'_> {
    /// The body of a call. It holds the password in clear.
    ///
    /// # Errors
    ///
    /// The serialiser's, which has none for this type.
    pub fn body(&self, call: Call) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
        let more = match call {
            Call::Scan(max_cameras) => Some(More::Scan { max_cameras }),
            Call::RtspUrl { channel, stream } => Some(More::Stream {
                channel,
                stream_type: stream,
                stream_type_too: stream,
            }),
            Call::Snapshot(channel) => Some(More::Picture { channel }),
            Call::Info | Call::Clock | Call::Reboot => None,
        };
        write(&self.form(more))
    }

    fn form(&self, more: Option<More>) -> Body<'_> {
        Body {
            ip: self.host,
            port: self.port,
            username: &self.credential.username,
            password: self.credential.password.expose(),
            more,
        }
    }
}

/// What the launcher of a bridge script reads from its stdin. It holds the password in clear.
///
/// # Errors
///
/// The serialiser's, which has none for this type.
pub fn script_input(request: &DeviceRequest<'_>) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
    write(&request.form(None))
}

fn write(form: &Body<'_>) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
    // Room for the longest body: a growing buffer would leave copies of the password behind.
    let mut text = Zeroizing::new(Vec::with_capacity(4096));
    serde_json::to_writer(&mut *text, form)?;
    Ok(text)
}

/// The root of a bridge's addresses, without a slash at the end.
///
/// `None` for anything but an `http` or `https` address without user, query and fragment.
#[must_use]
pub fn base_url(text: &str) -> Option<&str> {
    let text = text.trim().trim_end_matches('/');
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"))?;
    let sound = |c: char| c.is_ascii_graphic() && !matches!(c, '@' | '?' | '#' | '\\' | '"');
    let host = rest.split('/').next().unwrap_or_default();
    (!host.is_empty() && rest.len() <= 512 && rest.chars().all(sound)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Secret;

    #[test]
    fn a_request_is_the_one_that_pytvt_sends() {
        let credential = Credential {
            username: "admin".into(),
            password: Secret::new("Fleet-2026"),
        };
        let request = DeviceRequest {
            host: "127.0.9.1",
            port: 6036,
            credential: &credential,
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(
            text(&request.body(Call::Scan(32)).unwrap()),
            r#"{"ip":"127.0.9.1","port":6036,"username":"admin","password":"Fleet-2026","maxCameras":32}"#
        );
        assert_eq!(
            text(&script_input(&request).unwrap()),
            r#"{"ip":"127.0.9.1","port":6036,"username":"admin","password":"Fleet-2026"}"#
        );
        let url = Call::RtspUrl {
            channel: 3,
            stream: 1,
        };
        assert_eq!(
            text(&request.body(url).unwrap()),
            r#"{"ip":"127.0.9.1","port":6036,"username":"admin","password":"Fleet-2026","channel":3,"stream_type":1,"streamType":1}"#
        );
        for call in [Call::Info, Call::Clock, Call::Reboot] {
            let plain = script_input(&request).unwrap();
            assert_eq!(request.body(call).unwrap(), plain, "{}", call.path());
        }
        assert!(!format!("{request:?}").contains("Fleet-2026"));
    }

    #[test]
    fn addresses_lose_their_slashes_and_hold_no_secrets() {
        assert_eq!(
            base_url(" http://localhost:3000// "),
            Some("http://localhost:3000")
        );
        assert_eq!(
            base_url("https://b.example/x/"),
            Some("https://b.example/x")
        );
        for bad in [
            "",
            "http://",
            "ftp://x",
            "localhost:3000",
            "http://u:p@h",
            "http://h/?q",
            "http://h\r\nX",
        ] {
            assert_eq!(base_url(bad), None, "{bad:?}");
        }
    }
}
