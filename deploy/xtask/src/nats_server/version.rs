//! Versions of nats-server.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context as _, Result, anyhow, bail};

/// A released version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

impl Version {
    /// The oldest that tvtfleet works with.
    pub const FLOOR: Self = Self::new(2, 11, 0);
    /// The one that is fetched unless another is asked for.
    pub const DEFAULT: Self = Self::new(2, 14, 6);

    /// The version `major.minor.patch`.
    #[must_use]
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// Asks a binary for its version.
    ///
    /// # Errors
    ///
    /// It does not run, or is no nats-server.
    pub fn of(binary: &Path) -> Result<Self> {
        let shown = binary.display();
        let output = Command::new(binary)
            .arg("--version")
            .output()
            .with_context(|| format!("cannot run {shown}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        // "nats-server: v2.14.6"
        text.trim()
            .strip_prefix("nats-server: v")
            .ok_or_else(|| anyhow!("{shown} is no nats-server"))?
            .parse()
    }
}

impl FromStr for Version {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        // A pre-release counts as its release.
        let release = text.split(['-', '+']).next().unwrap_or_default();
        let numbers: Vec<u32> = release
            .split('.')
            .map_while(|part| part.parse().ok())
            .collect();
        let [major, minor, patch] = numbers[..] else {
            bail!("{text:?} is no version: write 2.14.6")
        };
        Ok(Self::new(major, minor, patch))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("2.9.10") < Version::FLOOR);
        assert!(version("2.11.0-RC.1") >= Version::FLOOR);
        assert!(version("2.14.6") > version("2.14.5"));
        assert_eq!(version("2.15.1").to_string(), "2.15.1");
        for bad in ["", "2", "2.11", "2.x.1", "2.11.0.1", "v2.11.0"] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
    }
}
