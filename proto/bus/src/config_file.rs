//! Configuration files of the services: TOML, bounded, and never quoted in errors, because an address
//! may hold a password.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use tvtfleet_proto::error::ErrorCode;

/// The largest configuration file that is read, in bytes.
const FILE_MAX: u64 = 1024 * 1024;

/// A configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is no TOML, or has a key that is not known.
    #[error("{}, line {line}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, without the line itself.
        reason: String,
    },
}

impl ConfigFileError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Unreadable { .. } => ErrorCode::ConfigUnreadable,
            Self::Malformed { .. } => ErrorCode::ConfigInvalid,
        }
    }
}

/// Reads a configuration file.
///
/// # Errors
///
/// `config.unreadable` or `config.invalid`.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigFileError> {
    let unreadable = |source| ConfigFileError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(FILE_MAX)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    toml::from_str(&text).map_err(|error| {
        let before = text
            .get(..error.span().map_or(0, |span| span.start))
            .unwrap_or_default();
        ConfigFileError::Malformed {
            path: path.to_owned(),
            line: before.matches('\n').count().saturating_add(1),
            reason: unquoted(error.message()),
        }
    })
}

/// The parser's words without the values that it quotes.
fn unquoted(message: &str) -> String {
    let mut parts = message.split('"');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for (index, part) in parts.enumerate() {
        text.push_str(if index % 2 == 0 { "..." } else { part });
    }
    text.lines().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Keys {
        #[expect(dead_code, reason = "only read")]
        urls: Vec<String>,
    }

    #[test]
    fn mistakes_are_told_without_what_an_address_may_hold() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.toml");
        for bad in [
            "urls = 'nats://u:hunter2@h'",
            "urls = ['nats://u:hunter2@h'",
            "urls = ['a'] 'hunter2'",
        ] {
            std::fs::write(&path, format!("# one\n{bad}\n")).unwrap();
            let error = read::<Keys>(&path).unwrap_err();
            let ConfigFileError::Malformed { line, .. } = &error else {
                panic!("{error:?}")
            };
            assert!((2..=3).contains(line), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        std::fs::write(&path, "urls = []\nnope = 1").unwrap();
        assert_eq!(
            read::<Keys>(&path).unwrap_err().code(),
            ErrorCode::ConfigInvalid
        );
        let missing = read::<Keys>(&folder.path().join("none")).unwrap_err();
        assert_eq!(missing.code(), ErrorCode::ConfigUnreadable);
    }
}
