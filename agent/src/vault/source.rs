//! The vault as the running agent uses it.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tvtfleet_proto::model::id::CredentialLabel;
use tvtfleet_proto::model::report::Failure;
use tvtfleet_proto::model::secret::Credential;

use crate::credentials::{CredentialFile, CredentialSource};

use super::book::{Book, Wanted};
use super::file::{VaultError, VaultFile};

/// The vault, and behind it the credential file of the configuration.
#[derive(Debug)]
pub struct VaultSource {
    vault: VaultFile,
    open: Mutex<Open>,
    file: Option<CredentialFile>,
}

#[derive(Debug)]
struct Open {
    book: Book,
    seen: Stamp,
}

/// What changes when the file is replaced.
type Stamp = Option<(u64, i64, i64, u64)>;

impl VaultSource {
    /// Opens a vault. `file` serves what the vault does not.
    ///
    /// # Errors
    ///
    /// As [`VaultFile::read`].
    pub fn open(vault: VaultFile, file: Option<CredentialFile>) -> Result<Self, VaultError> {
        let seen = stamp(vault.path());
        let book = vault.read()?;
        Ok(Self {
            open: Mutex::new(Open { book, seen }),
            vault,
            file,
        })
    }

    /// The entries as they are in the file now. Where that cannot be read any more, those read before
    /// stay: a device is better asked with them than a site lost.
    fn current(&self) -> MutexGuard<'_, Open> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp(self.vault.path());
        if now != open.seen {
            match self.vault.read() {
                Ok(book) => {
                    open.book = book;
                    tracing::info!("credentials of devices were changed");
                }
                Err(error) => {
                    tracing::error!(error.type = error.code().as_str(), %error, "the changed vault cannot be used");
                }
            }
            open.seen = now;
        }
        open
    }
}

impl CredentialSource for VaultSource {
    fn find(&self, label: Option<&CredentialLabel>) -> Option<Credential> {
        let open = self.current();
        let own = label.and_then(|label| open.book.entry(label));
        own.map(|entry| entry.credential.clone())
            .or_else(|| self.file.as_ref()?.find(label))
    }

    fn choose(
        &self,
        label: Option<&CredentialLabel>,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Credential>, Failure> {
        let own = self.current().book.choose(label, wanted)?.cloned();
        Ok(own.or_else(|| self.file.as_ref()?.find(label)))
    }
}

fn stamp(path: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt as _;
    let file = std::fs::metadata(path).ok()?;
    Some((file.ino(), file.mtime(), file.mtime_nsec(), file.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use tvtfleet_proto::model::secret::Secret;
    use tvtfleet_proto::model::time::UtcMillis;

    use crate::vault::VaultKey;

    #[test]
    fn a_running_agent_takes_up_changes_and_the_file_serves_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials.toml");
        let text = "default = \"old\"\n[credentials.old]\nusername = \"filed\"\npassword = \"x\"\n";
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let key = folder.path().join("key");
        VaultKey::make(&key).unwrap();
        let vault = VaultFile::new(folder.path(), VaultKey::read(&key, None).unwrap());
        let set = |label: &str, selector: &str| {
            let credential = Credential {
                username: label.to_owned(),
                password: Secret::new("pw"),
            };
            let (label, selectors) = (label.parse().unwrap(), vec![selector.parse().unwrap()]);
            let set = vault.change(|book| book.set(label, credential, selectors, None));
            set.unwrap().unwrap();
        };
        let file = CredentialFile::read(&path).unwrap();
        let source = VaultSource::open(vault.clone(), Some(file)).unwrap();
        let host = "10.0.0.1".parse().unwrap();
        let wanted = Wanted {
            host: &host,
            mac: None,
            now: UtcMillis::new(0),
        };
        let user = |label: Option<&str>| {
            let label = label.map(|label| label.parse().unwrap());
            let found = source.choose(label.as_ref(), &wanted).unwrap();
            found.map(|credential| credential.username)
        };
        assert_eq!(user(None).as_deref(), Some("filed"));
        set("near", "10.0.0.0/24");
        assert_eq!(user(None).as_deref(), Some("near"));
        assert_eq!(user(Some("old")).as_deref(), Some("filed"));
        assert_eq!(user(Some("near")).as_deref(), Some("near"));
        assert_eq!(user(Some("none")), None);
        set("other", "10.0.0.0/24");
        assert!(source.choose(None, &wanted).is_err(), "both are as close");
        // A vault that cannot be read any more does not take the site's credentials away.
        vault
            .change(|book| book.remove(&"other".parse().unwrap()))
            .unwrap();
        assert_eq!(user(None).as_deref(), Some("near"));
        std::fs::write(vault.path(), "{}").unwrap();
        assert_eq!(user(None).as_deref(), Some("near"));
    }
}
