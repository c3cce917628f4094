//! What a bridge is asked.

use serde::Serialize;
use zeroize::Zeroizing;

use crate::model::secret::Credential;

/// Where a bridge says that it works.
pub const HEALTH_PATH: &str = "/health";
/// Where a bridge scans a device.
pub const SCAN_PATH: &str = "/scan";

/// A device to be scanned by a bridge. Every request is a login, a scan and a logout.
#[derive(Clone, Copy, Debug)]
pub struct ScanRequest<'a> {
    /// The device's address as the bridge shall use it.
    pub host: &'a str,
    /// Its TCP port.
    pub port: u16,
    /// Who logs in.
    pub credential: &'a Credential,
    /// How many channels the bridge shall ask for.
    pub max_cameras: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    ip: &'a str,
    port: u16,
    username: &'a str,
    password: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_cameras: Option<u32>,
}

impl ScanRequest<'_> {
    /// The body of the request. It holds the password in clear.
    ///
    /// # Errors
    ///
    /// The serialiser's, which has none for this type.
    pub fn body(&self) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
        write(&self.form(Some(self.max_cameras)))
    }

    fn form(&self, max_cameras: Option<u32>) -> Body<'_> {
        Body {
            ip: self.host,
            port: self.port,
            username: &self.credential.username,
            password: self.credential.password.expose(),
            max_cameras,
        }
    }
}

/// What the launcher of a bridge script reads from its stdin. It holds the password in clear.
///
/// # Errors
///
/// The serialiser's, which has none for this type.
pub fn script_input(request: &ScanRequest<'_>) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
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
        let request = ScanRequest {
            host: "127.0.9.1",
            port: 6036,
            credential: &credential,
            max_cameras: 32,
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(
            text(&request.body().unwrap()),
            r#"{"ip":"127.0.9.1","port":6036,"username":"admin","password":"Fleet-2026","maxCameras":32}"#
        );
        assert_eq!(
            text(&script_input(&request).unwrap()),
            r#"{"ip":"127.0.9.1","port":6036,"username":"admin","password":"Fleet-2026"}"#
        );
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
