//! Where the agent's bridge listens, and who may ask.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use subtle::ConstantTimeEq as _;
use tvtfleet_bus::closed_file::{self, ClosedFileError};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::secret::Secret;

/// The shortest token, in bytes.
const TOKEN_MIN: usize = 16;
/// The longest file with a token, in bytes.
const TOKEN_MAX: u64 = 4096;
/// The longest file with a key, in bytes.
const KEY_MAX: u64 = 64 * 1024;
/// The most certificates of a chain.
const CHAIN_MAX: usize = 16;

/// A bridge to serve. Whoever is not on this computer needs a token, and gets in by TLS only.
#[derive(Clone)]
pub struct BridgeSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    token: Option<Secret>,
    tls: Option<Arc<ServerConfig>>,
}

/// A bridge that cannot be served so.
#[derive(Debug, thiserror::Error)]
pub enum BadBridge {
    /// A file with a secret cannot be used.
    #[error(transparent)]
    File(#[from] ClosedFileError),
    /// A setting makes no sense.
    #[error("{0}: {1}")]
    Invalid(&'static str, String),
}

impl BadBridge {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::File(error) => error.code(),
            Self::Invalid(..) => ErrorCode::ConfigInvalid,
        }
    }
}

impl BridgeSettings {
    /// Reads the files that are named. `tls` is the certificate's and the key's.
    ///
    /// # Errors
    ///
    /// `config.invalid`, `config.unreadable` or `config.exposed`.
    pub(crate) fn read(
        listen: &str,
        token: Option<&Path>,
        tls: (Option<PathBuf>, Option<PathBuf>),
        guarded: Option<&Path>,
    ) -> Result<Self, BadBridge> {
        let listen: SocketAddr = listen.parse().map_err(|_| {
            let reason = "write an address and a port, as 127.0.0.1:3000".to_owned();
            BadBridge::Invalid("bridge.listen", reason)
        })?;
        let token = token.map(|path| read_token(path, guarded)).transpose()?;
        let tls = match tls {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(server_config(&certificate, &key, guarded)?),
            (Some(_), None) | (None, Some(_)) => {
                let reason = "certificate_file and key_file come together".to_owned();
                return Err(BadBridge::Invalid("bridge", reason));
            }
        };
        if !is_loopback(listen.ip()) && (token.is_none() || tls.is_none()) {
            let reason = format!(
                "{listen} can be reached from other computers: set token_file, certificate_file and \
                 key_file, or listen on 127.0.0.1"
            );
            return Err(BadBridge::Invalid("bridge.listen", reason));
        }
        Ok(Self { listen, token, tls })
    }

    /// Whether the agent would ask itself: `other` is the bridge that it uses.
    pub(crate) fn is_same(&self, other: &str) -> bool {
        let host = other.split("://").nth(1).unwrap_or_default();
        let host = host.split('/').next().unwrap_or_default();
        let port = format!(":{}", self.listen.port());
        let Some(name) = host.strip_suffix(&port) else {
            return false;
        };
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let own = |address: IpAddr| is_loopback(address) || address == self.listen.ip();
        name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(own)
    }

    /// Whether what a caller shows lets it in.
    pub(crate) fn admits(&self, shown: Option<&[u8]>) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        let bearer = shown.and_then(|shown| {
            let (scheme, rest) = shown.split_at_checked("Bearer ".len())?;
            scheme.eq_ignore_ascii_case(b"Bearer ").then_some(rest)
        });
        bearer.is_some_and(|bearer| bearer.ct_eq(token.expose().as_bytes()).into())
    }

    pub(crate) const fn tls(&self) -> Option<&Arc<ServerConfig>> {
        self.tls.as_ref()
    }
}

impl fmt::Debug for BridgeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for BridgeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let token = if self.token.is_some() {
            "with a token"
        } else {
            "without a token"
        };
        write!(f, "{scheme}://{}, {token}", self.listen)
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn read_token(path: &Path, guarded: Option<&Path>) -> Result<Secret, BadBridge> {
    let text = closed_file::read(path, guarded, TOKEN_MAX)?;
    let token = text.expose().trim();
    let sound = token.len() >= TOKEN_MIN && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !sound {
        let shown = path.display();
        let reason =
            format!("{shown} must hold at least {TOKEN_MIN} letters and digits, without blanks");
        return Err(BadBridge::Invalid("bridge.token_file", reason));
    }
    Ok(Secret::new(token))
}

fn server_config(
    certificate: &Path,
    key: &Path,
    guarded: Option<&Path>,
) -> Result<Arc<ServerConfig>, BadBridge> {
    let shown = certificate.display();
    let wrong = |reason: String| {
        BadBridge::Invalid("bridge.certificate_file", format!("{shown}: {reason}"))
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(|chain| chain.take(CHAIN_MAX).collect::<Result<Vec<_>, _>>())
        .map_err(|error| wrong(error.to_string()))?;
    let text = closed_file::read(key, guarded, KEY_MAX)?;
    let secret = PrivateKeyDer::from_pem_slice(text.expose().as_bytes()).map_err(|_| {
        let reason = format!("{} holds no private key in PEM", key.display());
        BadBridge::Invalid("bridge.key_file", reason)
    })?;
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, secret))
        .map(Arc::new)
        .map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const TOKEN: &str = "0123456789abcdef";

    fn token_file(folder: &Path, text: &str, mode: u32) -> PathBuf {
        let path = folder.join("token");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn settings(listen: &str, token: Option<&Path>) -> Result<BridgeSettings, BadBridge> {
        BridgeSettings::read(listen, token, (None, None), None)
    }

    #[test]
    fn only_this_computer_gets_in_without_token_and_tls() {
        let folder = tempfile::tempdir().unwrap();
        let token = token_file(folder.path(), TOKEN, 0o600);
        for listen in ["127.0.0.1:3000", "127.9.9.9:1", "[::1]:3000"] {
            assert!(settings(listen, None).is_ok(), "{listen}");
        }
        for listen in ["0.0.0.0:3000", "[::]:3000", "192.0.2.1:3000"] {
            for token in [None, Some(token.as_path())] {
                let error = settings(listen, token).unwrap_err();
                assert_eq!(error.code(), ErrorCode::ConfigInvalid);
                assert!(error.to_string().contains("token_file"), "{error}");
            }
        }
        for listen in ["3000", "localhost:3000", ""] {
            let error = settings(listen, None).unwrap_err();
            assert!(error.to_string().starts_with("bridge.listen: "), "{error}");
        }
        let half = (Some(folder.path().join("c.pem")), None);
        assert!(BridgeSettings::read("127.0.0.1:1", None, half, None).is_err());
    }

    #[test]
    fn a_token_is_kept_from_others_and_compared_whole() {
        let folder = tempfile::tempdir().unwrap();
        let listen = "127.0.0.1:3000";
        let open = token_file(folder.path(), TOKEN, 0o644);
        let error = settings(listen, Some(&open)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConfigExposed);
        for text in ["short", "0123456789 abcdef", ""] {
            let path = token_file(folder.path(), text, 0o600);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert!(settings(listen, Some(&path)).is_err(), "{text:?}");
        }
        let path = token_file(folder.path(), &format!("{TOKEN}\n"), 0o600);
        let guarded = settings(listen, Some(&path)).unwrap();
        for (shown, admitted) in [
            (Some(format!("Bearer {TOKEN}")), true),
            (Some(format!("bearer {TOKEN}")), true),
            (Some(format!("Bearer {TOKEN}0")), false),
            (Some("Bearer ".to_owned()), false),
            (Some(TOKEN.to_owned()), false),
            (None, false),
        ] {
            let shown = shown.as_deref().map(str::as_bytes);
            assert_eq!(guarded.admits(shown), admitted);
        }
        assert!(!format!("{guarded:?}").contains(TOKEN));
        assert!(settings(listen, None).unwrap().admits(None));
    }

    #[test]
    fn a_bridge_knows_its_own_address() {
        let own = settings("127.0.0.1:3000", None).unwrap();
        for (other, same) in [
            ("http://localhost:3000", true),
            ("http://127.0.0.1:3000/x", true),
            ("https://[::1]:3000", true),
            ("http://localhost:3001", false),
            ("http://192.0.2.1:3000", false),
        ] {
            assert_eq!(own.is_same(other), same, "{other}");
        }
    }
}
