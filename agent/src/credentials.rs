//! Where device credentials come from. They stay at the site: jobs name a label only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tvtfleet_bus::closed_file::{self, ClosedFileError};
use tvtfleet_proto::model::id::CredentialLabel;
use tvtfleet_proto::model::report::Failure;
use tvtfleet_proto::model::secret::{Credential, Secret};

use crate::vault::Wanted;

/// The largest credential file, in bytes.
const FILE_MAX: u64 = 1024 * 1024;
/// The largest password file, in bytes.
const PASSWORD_FILE_MAX: u64 = 4096;

/// Knows the credentials of a site's devices.
pub trait CredentialSource: Send + Sync {
    /// The credential of a label; without a label, the site's default.
    fn find(&self, label: Option<&CredentialLabel>) -> Option<Credential>;

    /// The credential for a device: that of the label, where a job names one.
    ///
    /// # Errors
    ///
    /// Why none may be tried, although there are some.
    fn choose(
        &self,
        label: Option<&CredentialLabel>,
        _wanted: &Wanted<'_>,
    ) -> Result<Option<Credential>, Failure> {
        Ok(self.find(label))
    }
}

/// One credential for every device and label, as a command line gives it.
#[derive(Clone, Debug)]
pub struct FixedCredential(pub Credential);

impl CredentialSource for FixedCredential {
    fn find(&self, _label: Option<&CredentialLabel>) -> Option<Credential> {
        Some(self.0.clone())
    }
}

/// No credential at all: enough for probes.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCredentials;

impl CredentialSource for NoCredentials {
    fn find(&self, _label: Option<&CredentialLabel>) -> Option<Credential> {
        None
    }
}

/// A credential file cannot be used.
pub type CredentialError = ClosedFileError;

/// Credentials by label, from a TOML file that only its owner can read.
///
/// ```toml
/// default = "nvr"
///
/// [credentials.nvr]
/// username = "admin"
/// password_file = "/etc/tvt-agent/nvr.password"
///
/// [credentials.depot]
/// username = "service"
/// password = "..."
/// ```
///
/// A password file holds the password and nothing else; one line end after it is dropped. It must be
/// as closed as the file that names it. A relative path starts at that file's folder.
#[derive(Debug)]
pub struct CredentialFile {
    credentials: BTreeMap<CredentialLabel, Credential>,
    default: Option<CredentialLabel>,
}

impl CredentialFile {
    /// Reads a credential file and the password files it names.
    ///
    /// # Errors
    ///
    /// `config.unreadable`, `config.exposed`, `config.invalid`.
    pub fn read(path: &Path) -> Result<Self, CredentialError> {
        Self::read_guarded(path, None)
    }

    /// As [`Self::read`]. Files below the folder `guarded` may show rights of a group: systemd hands
    /// credentials to a service in such a folder, which it guards itself.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn read_guarded(path: &Path, guarded: Option<&Path>) -> Result<Self, CredentialError> {
        let text = closed_file::read(path, guarded, FILE_MAX)?;
        let invalid = |reason: String| CredentialError::Invalid {
            path: path.to_owned(),
            reason,
        };
        // The parser's own message shows the offending line, which may hold a password.
        let raw: RawFile = toml::from_str(text.expose()).map_err(|error| {
            let place = error.span().map_or_else(String::new, |span| {
                format!(" in line {}", line_of(text.expose(), span.start))
            });
            invalid(format!(
                "not a credential file{place}: {}",
                safe_reason(error.message())
            ))
        })?;
        let mut credentials = BTreeMap::new();
        for (label, entry) in raw.credentials {
            let label: CredentialLabel =
                label.parse().map_err(|error| invalid(format!("{error}")))?;
            let password = match (entry.password, entry.password_file) {
                (Some(password), None) => password.0,
                (None, Some(file)) => {
                    let folder = path.parent().unwrap_or(Path::new("."));
                    let text = closed_file::read(&folder.join(file), guarded, PASSWORD_FILE_MAX)?;
                    let line = text.expose();
                    let line = line.strip_suffix('\n').unwrap_or(line);
                    Secret::new(line.strip_suffix('\r').unwrap_or(line))
                }
                _ => {
                    return Err(invalid(format!(
                        "credential {label} needs either `password` or `password_file`"
                    )));
                }
            };
            credentials.insert(
                label,
                Credential {
                    username: entry.username,
                    password,
                },
            );
        }
        let default = match raw.default {
            None => None,
            Some(text) => {
                let label: CredentialLabel =
                    text.parse().map_err(|error| invalid(format!("{error}")))?;
                if !credentials.contains_key(&label) {
                    return Err(invalid(format!(
                        "the default credential {label} is not in the file"
                    )));
                }
                Some(label)
            }
        };
        Ok(Self {
            credentials,
            default,
        })
    }

    /// The credentials in the file, by label.
    pub fn credentials(&self) -> impl Iterator<Item = (&CredentialLabel, &Credential)> {
        self.credentials.iter()
    }

    /// The labels in the file.
    pub fn labels(&self) -> impl Iterator<Item = &CredentialLabel> {
        self.credentials.keys()
    }

    /// The label that is used where a job names none.
    #[must_use]
    pub const fn default_label(&self) -> Option<&CredentialLabel> {
        self.default.as_ref()
    }
}

impl CredentialSource for CredentialFile {
    fn find(&self, label: Option<&CredentialLabel>) -> Option<Credential> {
        self.credentials
            .get(label.or(self.default.as_ref())?)
            .cloned()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    default: Option<String>,
    #[serde(default)]
    credentials: BTreeMap<String, RawCredential>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCredential {
    username: String,
    password: Option<RawSecret>,
    password_file: Option<PathBuf>,
}

struct RawSecret(Secret);

impl<'de> Deserialize<'de> for RawSecret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        .saturating_add(1)
}

/// Keeps the parser's words, but none of the file's: those stand between quotes.
fn safe_reason(message: &str) -> String {
    let mut quoted = false;
    let plain: String = message
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|character| {
            let mark = matches!(character, '`' | '"' | '\'');
            quoted ^= mark;
            !quoted && !mark
        })
        .take(120)
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    use tvtfleet_proto::error::ErrorCode;

    fn write(folder: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn labels_find_their_credentials() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "depot.password", "s3cret \r\n", 0o600);
        let path = write(
            folder.path(),
            "credentials.toml",
            "default = \"nvr\"\n[credentials.nvr]\nusername = \"admin\"\npassword = \"one\"\n\
             [credentials.depot]\nusername = \"service\"\npassword_file = \"depot.password\"\n",
            0o600,
        );
        let file = CredentialFile::read(&path).unwrap();
        let found = file.find(None).unwrap();
        assert_eq!(
            (found.username.as_str(), found.password.expose()),
            ("admin", "one")
        );
        let found = file.find(Some(&"depot".parse().unwrap())).unwrap();
        assert_eq!(
            (found.username.as_str(), found.password.expose()),
            ("service", "s3cret ")
        );
        assert!(file.find(Some(&"other".parse().unwrap())).is_none());
        assert!(!format!("{file:?}").contains("s3cret"));
    }

    #[test]
    fn open_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o640, 0o604, 0o620] {
            let path = write(folder.path(), "credentials.toml", "", mode);
            assert_eq!(
                CredentialFile::read(&path).unwrap_err().code(),
                ErrorCode::ConfigExposed
            );
        }
        write(folder.path(), "open.password", "x", 0o644);
        let text = "[credentials.a]\nusername = \"a\"\npassword_file = \"open.password\"\n";
        let path = write(folder.path(), "names-open.toml", text, 0o600);
        assert_eq!(
            CredentialFile::read(&path).unwrap_err().code(),
            ErrorCode::ConfigExposed
        );
        let path = write(folder.path(), "handed.toml", "", 0o440);
        assert!(CredentialFile::read(&path).is_err());
        assert!(CredentialFile::read_guarded(&path, Some(folder.path())).is_ok());
        let missing = CredentialFile::read(&folder.path().join("none.toml")).unwrap_err();
        assert_eq!(missing.code(), ErrorCode::ConfigUnreadable);
    }

    #[test]
    fn mistakes_are_told_without_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        for text in [
            "[credentials.a]\nusername = \"a\"\npassword = hunter2\n",
            "[credentials.a]\nusername = \"a\"\npassword = \"hunter2\" x\n",
            "[credentials.a]\nusername = \"a\"\npasswort = \"hunter2\"\n",
            "[credentials.a]\nusername = \"a\"\npassword = \"hunter2\nx\"\n",
            "[credentials.a]\nusername = \"a\"\npassword = [\"hunter2\"]\n",
            "[credentials.a]\nusername = \"a\"\n",
            "[credentials.a]\nusername = \"a\"\npassword = \"hunter2\"\npassword_file = \"x\"\n",
            "[credentials.A_]\nusername = \"a\"\npassword = \"hunter2\"\n",
            "default = \"b\"\n[credentials.a]\nusername = \"a\"\npassword = \"hunter2\"\n",
        ] {
            let path = write(folder.path(), "credentials.toml", text, 0o600);
            let error = CredentialFile::read(&path).unwrap_err();
            assert_eq!(error.code(), ErrorCode::ConfigInvalid, "{text}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
