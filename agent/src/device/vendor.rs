//! Settings of the backends that need something of the vendor's: its library, a bridge, a script.

use std::path::PathBuf;

use tvtfleet_proto::device::bridge::base_url;
use tvtfleet_proto::device::sdkpipe::NatKind;
use tvtfleet_proto::model::address::{Endpoint, Host};
use tvtfleet_proto::model::secret::Secret;

/// Helper processes of a site at a time.
const PARALLEL: usize = 4;
/// Channels that a bridge is asked for where nobody says otherwise; what pytvt asks for.
const MAX_CAMERAS: u32 = 64;

/// The bridge that is meant where nobody names one; pytvt's default.
pub(crate) const DEFAULT_BRIDGE: &str = "http://localhost:3000";

/// The library file or the root of the vendor's SDK.
pub const SDK_PATH_VARIABLE: &str = "TVT_SDK_PATH";
/// The name that older scripts use for it.
pub const OLD_SDK_PATH_VARIABLE: &str = "PYTVT_NETSDK_LIB";
/// The address of the HTTP bridge.
pub const API_URL_VARIABLE: &str = "TVT_API_URL";
/// The bridge script.
pub const SCRIPT_VARIABLE: &str = "TVT_SCAN_SCRIPT";
/// The name that older scripts use for it.
pub const OLD_SCRIPT_VARIABLE: &str = "PYTVT_SCAN_SCRIPT";
/// The program that hosts the library.
pub const HOST_VARIABLE: &str = "TVT_NETSDK_HOST";

/// Where the vendor's library, bridges and scripts are. All of it comes from this computer: a job can
/// not name code to run.
#[derive(Clone, Debug)]
pub struct VendorSettings {
    /// The library file, or the root of the vendor's SDK.
    pub library: Option<PathBuf>,
    /// The program that hosts the library; else the one beside this program, else that in `PATH`.
    pub host: Option<PathBuf>,
    /// How many helper processes may run at a time, 1 to 64.
    pub parallel: usize,
    /// The HTTP bridge's address, without a slash at the end; else `http://localhost:3000`, which
    /// `auto` does not use.
    pub bridge_url: Option<String>,
    /// The token that the bridge wants.
    pub bridge_token: Option<Secret>,
    /// The bridge script.
    pub script: Option<PathBuf>,
    /// Whether the script gets the credential in its arguments, where every user of the computer can
    /// read it.
    pub script_argv: bool,
    /// The interpreter of the script; else `node` from `PATH`.
    pub node: Option<PathBuf>,
    /// How many channels bridges are asked for.
    pub max_cameras: u32,
    /// The vendor's server that reaches devices by their serial number; none without it.
    pub nat: Option<NatServer>,
}

/// A server of the vendor's that reaches devices by their serial number.
///
/// Credentials go through it, so that somebody has to name it. Which server knows a device depends on
/// the brand it was sold under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatServer {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub kind: NatKind,
}

impl NatServer {
    /// Reads `HOST:PORT`; `None` for other text.
    #[must_use]
    pub fn read(text: &str, kind: NatKind) -> Option<Self> {
        let Endpoint { host, port } = text.trim().parse().ok()?;
        let is_server = !matches!(host, Host::Serial(_));
        is_server.then(|| Self {
            host: host.to_string(),
            port,
            kind,
        })
    }
}

impl Default for VendorSettings {
    fn default() -> Self {
        Self {
            library: None,
            host: None,
            parallel: PARALLEL,
            bridge_url: None,
            bridge_token: None,
            script: None,
            script_argv: false,
            node: None,
            max_cameras: MAX_CAMERAS,
            nat: None,
        }
    }
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no address of a bridge; write http://host:3000, without user and password")]
pub struct BadBridgeUrl(pub &'static str);

impl VendorSettings {
    /// Lets variables win over settings. Empty ones do not count.
    ///
    /// # Errors
    ///
    /// [`BadBridgeUrl`]; the text does not hold the address, for it may hold a password.
    pub fn with_variables(
        self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, BadBridgeUrl> {
        let set = |name| variable(name).filter(|text| !text.trim().is_empty());
        let path = |name| set(name).map(PathBuf::from);
        let bridge_url = match set(API_URL_VARIABLE) {
            Some(text) => Some(
                base_url(&text)
                    .ok_or(BadBridgeUrl(API_URL_VARIABLE))?
                    .to_owned(),
            ),
            None => self.bridge_url,
        };
        Ok(Self {
            library: path(SDK_PATH_VARIABLE)
                .or_else(|| path(OLD_SDK_PATH_VARIABLE))
                .or(self.library),
            script: path(SCRIPT_VARIABLE)
                .or_else(|| path(OLD_SCRIPT_VARIABLE))
                .or(self.script),
            host: path(HOST_VARIABLE).or(self.host),
            bridge_url,
            ..self
        })
    }

    /// Whether credentials would cross a network in clear on their way to the bridge.
    #[must_use]
    pub fn is_bridge_exposed(&self) -> bool {
        let rest = self
            .bridge_url
            .as_deref()
            .and_then(|url| url.strip_prefix("http://"));
        rest.is_some_and(|rest| !is_this_computer(rest))
    }
}

/// Whether `host:port/path` names this computer for certain.
pub(crate) fn is_this_computer(rest: &str) -> bool {
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let ip = host.parse::<std::net::IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> VendorSettings {
        let settings = VendorSettings {
            library: Some("/from/file".into()),
            ..VendorSettings::default()
        };
        let found = settings.with_variables(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        found.unwrap()
    }

    #[test]
    fn new_names_win_over_old_ones_and_both_over_the_file() {
        let old = (OLD_SDK_PATH_VARIABLE, "/old");
        let library = |variables: &[_]| with(variables).library.unwrap();
        assert_eq!(library(&[]), PathBuf::from("/from/file"));
        assert_eq!(library(&[old]), PathBuf::from("/old"));
        assert_eq!(
            library(&[old, (SDK_PATH_VARIABLE, "")]),
            PathBuf::from("/old")
        );
        assert_eq!(
            library(&[old, (SDK_PATH_VARIABLE, "/new")]),
            PathBuf::from("/new")
        );
        let script = with(&[(OLD_SCRIPT_VARIABLE, "a"), (SCRIPT_VARIABLE, "b")]).script;
        assert_eq!(script, Some("b".into()));
    }

    #[test]
    fn a_bridge_elsewhere_without_tls_is_exposed() {
        for (url, exposed) in [
            ("http://localhost:3000/", false),
            ("http://127.0.0.1:3000", false),
            ("http://[::1]:3000", false),
            ("https://bridge.example", false),
            ("http://bridge.example", true),
            ("http://127.0.0.1.example", true),
        ] {
            assert_eq!(
                with(&[(API_URL_VARIABLE, url)]).is_bridge_exposed(),
                exposed,
                "{url}"
            );
        }
        let bad = |name: &str| (name == API_URL_VARIABLE).then(|| "http://u:hunter2@h".to_owned());
        let error = VendorSettings::default().with_variables(bad).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}
