//! The closed vocabulary of what can be asked of a device.
//!
//! Job messages, the agent's drivers, the command line and the audit trail all use it, so that a new
//! question shows up as a compile error wherever it must be handled.

use std::fmt;
use std::str::FromStr;

/// One question to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    /// Who are you, and which channels do you have? Needs a login.
    Scan,
    /// What do you say before anybody logs in? Sends nothing.
    Probe,
    /// Which devices are there? Asked of a site, not of a device; sends no credential.
    Discover,
}

impl Ask {
    /// Every question.
    pub const ALL: &'static [Self] = &[Self::Scan, Self::Probe, Self::Discover];

    /// The name used on the command line, in files and in messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Probe => "probe",
            Self::Discover => "discover",
        }
    }

    /// Whether the device asks for a login before it answers.
    #[must_use]
    pub const fn needs_login(self) -> bool {
        match self {
            Self::Scan => true,
            Self::Probe | Self::Discover => false,
        }
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// No question of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown ask {0:?}")]
pub struct UnknownAsk(pub String);

impl FromStr for Ask {
    type Err = UnknownAsk;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|ask| ask.as_str() == text)
            .ok_or_else(|| UnknownAsk(text.chars().take(40).collect()))
    }
}
