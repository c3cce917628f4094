//! One setting and the place that it came from.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A flag of the command line.
    Flag(&'static str),
    /// A variable of the environment.
    Environment(&'static str),
    /// A variable of the `.env` file.
    DotEnv(&'static str),
    /// A key of a configuration file.
    File {
        /// The file, as the user would name it.
        path: PathBuf,
        /// The key.
        key: &'static str,
    },
    /// Nobody named one.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Environment(name) => f.write_str(name),
            Self::DotEnv(name) => write!(f, "{name} in .env"),
            Self::File { path, key } => write!(f, "\"{key}\" in {}", path.display()),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    /// The value.
    pub(crate) value: T,
    /// Where it came from.
    pub(crate) origin: Origin,
}

impl<T> Setting<T> {
    /// A value with its origin.
    pub(crate) const fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }
}
