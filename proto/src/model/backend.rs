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
}

impl Backend {
    /// Every backend.
    pub const ALL: &'static [Self] = &[Self::Protocol, Self::WebApi, Self::Cgi, Self::Discovery];

    /// The name used on the command line, in files and in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::WebApi => "webapi",
            Self::Cgi => "cgi",
            Self::Discovery => "discovery",
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
}

impl fmt::Display for BackendChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.pad("auto"),
            Self::Only(backend) => fmt::Display::fmt(backend, f),
        }
    }
}

impl FromStr for BackendChoice {
    type Err = UnknownBackend;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        match text.parse()? {
            // No single device is asked that way.
            Backend::Discovery => Err(UnknownBackend(text.to_owned())),
            backend @ (Backend::Protocol | Backend::WebApi | Backend::Cgi) => {
                Ok(Self::Only(backend))
            }
        }
    }
}
