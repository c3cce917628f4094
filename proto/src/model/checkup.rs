//! How the parts of a fleet are doing, and what to do about it.

use std::fmt;
use std::str::FromStr;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// As it should be.
    #[default]
    Ok,
    /// It works, and will not for ever.
    Warn,
    /// It does not work, or results are at risk.
    Fail,
}

impl Level {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no level")]
pub struct BadLevel(pub String);

impl FromStr for Level {
    type Err = BadLevel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Ok, Self::Warn, Self::Fail]
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| BadLevel(text.chars().take(16).collect()))
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// The part: `server`, `stream`, `database`, `disk`, `agent`, `certificate` ...
    pub area: String,
    /// Which one of it, where there are several.
    pub subject: String,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub text: String,
    /// What to do; empty where there is nothing to do.
    pub advice: String,
}

impl Finding {
    /// Something that is as it should be.
    #[must_use]
    pub fn ok(area: &str, subject: &str, text: impl Into<String>) -> Self {
        Self {
            area: area.to_owned(),
            subject: subject.to_owned(),
            level: Level::Ok,
            text: text.into(),
            advice: String::new(),
        }
    }

    /// The same, worse, with what to do.
    #[must_use]
    pub fn worse(self, level: Level, advice: &str) -> Self {
        Self {
            level,
            advice: advice.to_owned(),
            ..self
        }
    }
}

/// Everything that was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkup {
    /// The findings, by area.
    pub findings: Vec<Finding>,
}
