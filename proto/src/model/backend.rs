//! Ways of talking to a device.

use std::fmt;
use std::str::FromStr;

/// One way of talking to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Backend {
    /// The TVT binary protocol on TCP 6036 or 9008.
    Protocol,
    /// The web API of cameras and recorders.
    WebApi,
    /// The interface behind recorders' own web pages.
    Cgi,
    /// Looking for devices on the network: what a device says to anybody.
    Discovery,
    /// The vendor's device library, in a helper process.
    Netsdk,
    /// An HTTP bridge to the vendor's library.
    Sdk,
    /// A bridge script under Node.
    SdkLocal,
}

impl Backend {
    /// Every backend.
    pub const ALL: &'static [Self] = &[
        Self::Protocol,
        Self::WebApi,
        Self::Cgi,
        Self::Discovery,
        Self::Netsdk,
        Self::Sdk,
        Self::SdkLocal,
    ];

    /// The name used on the command line, in files and in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::WebApi => "webapi",
            Self::Cgi => "cgi",
            Self::Discovery => "discovery",
            Self::Netsdk => "netsdk",
            Self::Sdk => "sdk",
            Self::SdkLocal => "sdk-local",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// No backend of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown backend {0:?}")]
pub struct UnknownBackend(pub String);

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|backend| backend.as_str() == text)
            .ok_or_else(|| UnknownBackend(text.chars().take(40).collect()))
    }
}

/// Which backends a job may use, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum BackendChoice {
    /// Every backend that suits, the quickest first.
    #[default]
    Auto,
    /// This one only.
    Only(Backend),
    /// The binary protocol, then the HTTP bridge where it fails or names no addresses.
    Both,
}

impl fmt::Display for BackendChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.pad("auto"),
            Self::Only(backend) => fmt::Display::fmt(backend, f),
            Self::Both => f.pad("both"),
        }
    }
}

impl FromStr for BackendChoice {
    type Err = UnknownBackend;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "both" => Ok(Self::Both),
            // pytvt's other names for the bridges.
            "sdk_local" | "direct-sdk" | "direct_sdk" => Ok(Self::Only(Backend::SdkLocal)),
            "compat-bridge" | "compat_bridge" => Ok(Self::Only(Backend::Sdk)),
            name => match name.parse()? {
                // No single device is asked that way.
                Backend::Discovery => Err(UnknownBackend(text.to_owned())),
                backend @ (Backend::Protocol
                | Backend::WebApi
                | Backend::Cgi
                | Backend::Netsdk
                | Backend::Sdk
                | Backend::SdkLocal) => Ok(Self::Only(backend)),
            },
        }
    }
}

/// Whether a backend can be used on a computer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendState {
    /// Its name; a newer program may know more than [`Backend::ALL`].
    pub backend: String,
    /// Whether it can be used.
    pub usable: bool,
    /// Whether somebody configured it; `auto` uses the vendor's ways only then.
    pub configured: bool,
    /// The version of what it needs, as a build number; empty where nothing is needed or known.
    pub version: String,
    /// Where it is, or why it cannot be used and what to do.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_pytvts_are_known() {
        for backend in Backend::ALL {
            if *backend == Backend::Discovery {
                assert!(backend.as_str().parse::<BackendChoice>().is_err());
                continue;
            }
            let choice: BackendChoice = backend.as_str().parse().unwrap();
            assert_eq!(choice, BackendChoice::Only(*backend));
            assert_eq!(choice.to_string(), backend.as_str());
        }
        for choice in [BackendChoice::Auto, BackendChoice::Both] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        let local: BackendChoice = "direct_sdk".parse().unwrap();
        assert_eq!(local, BackendChoice::Only(Backend::SdkLocal));
        assert!("node".parse::<BackendChoice>().is_err());
    }
}
