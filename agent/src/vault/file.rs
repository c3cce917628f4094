//! The vault's file: a salt, a nonce and a sealed box, mode 0600, written whole or not at all.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use crypto_secretbox::aead::{Aead as _, KeyInit as _};
use crypto_secretbox::{Key, Nonce, XSalsa20Poly1305};
use serde::{Deserialize, Serialize};
use tvtfleet_bus::closed_file::{self, ClosedFileError};
use tvtfleet_proto::error::ErrorCode;
use zeroize::Zeroizing;

use super::book::Book;
use super::key::VaultKey;

/// The largest vault, in bytes.
const FILE_MAX: u64 = 8 * 1024 * 1024;
/// Since 2, what was pushed is remembered beside the entries.
const VERSION: u32 = 2;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;

/// The vault cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] ClosedFileError),
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The key does not open the vault, or the file was changed.
    #[error("{} cannot be opened with this key, or was changed", .0.display())]
    Sealed(PathBuf),
    /// The file is no vault, or one of a newer program.
    #[error("{} is no vault that this program can read: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, without any of the sealed text.
        reason: String,
    },
    /// The key file holds too little.
    #[error("{} holds neither 64 hexadecimal digits nor a passphrase of 12 characters", .0.display())]
    ShortKey(PathBuf),
    /// No random numbers, or no memory to stretch a passphrase.
    #[error("no key can be made: {0}")]
    Random(String),
}

impl VaultError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::File(error) => error.code(),
            Self::Unwritable { .. } => ErrorCode::StorageIo,
            Self::Sealed(_) | Self::Damaged { .. } | Self::ShortKey(_) => ErrorCode::ConfigInvalid,
            Self::Random(_) => ErrorCode::Internal,
        }
    }
}

/// What stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    version: u32,
    /// Stretches a passphrase; hexadecimal.
    salt: String,
    /// Never used twice with a key; hexadecimal.
    nonce: String,
    /// XSalsa20-Poly1305; hexadecimal.
    sealed: String,
}

/// The file of a vault.
#[derive(Clone, Debug)]
pub struct VaultFile {
    path: PathBuf,
    key: VaultKey,
}

impl VaultFile {
    /// The file's name in the data folder.
    pub const NAME: &'static str = "vault.json";

    /// The vault of a data folder.
    #[must_use]
    pub fn new(data_dir: &Path, key: VaultKey) -> Self {
        Self {
            path: data_dir.join(Self::NAME),
            key,
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the vault; one that is not there is empty.
    ///
    /// # Errors
    ///
    /// `config.unreadable`, `config.exposed`, `config.invalid`.
    pub fn read(&self) -> Result<Book, VaultError> {
        let text = match closed_file::read(&self.path, None, FILE_MAX) {
            Err(ClosedFileError::Unreadable { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Ok(Book::default());
            }
            text => text?,
        };
        let damaged = |reason: &str| VaultError::Damaged {
            path: self.path.clone(),
            reason: reason.to_owned(),
        };
        let sealed: Sealed =
            serde_json::from_str(text.expose()).map_err(|error| damaged(&error.to_string()))?;
        if !(1..=VERSION).contains(&sealed.version) {
            return Err(damaged("another version"));
        }
        let bytes = |text: &str| bytes_of(text).ok_or_else(|| damaged("not hexadecimal"));
        let nonce: [u8; NONCE_BYTES] = bytes(&sealed.nonce)?
            .try_into()
            .map_err(|_| damaged("the nonce has another length"))?;
        let salt = bytes(&sealed.salt)?;
        if salt.len() != SALT_BYTES {
            return Err(damaged("the salt has another length"));
        }
        let opened = self
            .cipher(&salt)?
            .decrypt(Nonce::from_slice(&nonce), bytes(&sealed.sealed)?.as_slice())
            .map_err(|_| VaultError::Sealed(self.path.clone()))?;
        Book::read(&Zeroizing::new(opened), sealed.version > 1).map_err(|reason| damaged(&reason))
    }

    /// Changes the vault: reads it, lets `change` at it, and writes it. Two programs wait for each other.
    ///
    /// # Errors
    ///
    /// As [`Self::read`]; `storage.io`.
    pub fn change<T>(&self, change: impl FnOnce(&mut Book) -> T) -> Result<T, VaultError> {
        let lock = self.path.with_extension("lock");
        let locked = || -> std::io::Result<fs::File> {
            let file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&lock)?;
            give_to_owner(&file, &lock)?;
            rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
            Ok(file)
        };
        let _held = locked().map_err(|source| VaultError::Unwritable {
            path: lock.clone(),
            source,
        })?;
        let mut book = self.read()?;
        let result = change(&mut book);
        self.write(&book)?;
        Ok(result)
    }

    fn write(&self, book: &Book) -> Result<(), VaultError> {
        let (mut salt, mut nonce) = ([0_u8; SALT_BYTES], [0_u8; NONCE_BYTES]);
        for bytes in [salt.as_mut_slice(), nonce.as_mut_slice()] {
            getrandom::fill(bytes).map_err(|error| VaultError::Random(error.to_string()))?;
        }
        let damaged = |reason: String| VaultError::Damaged {
            path: self.path.clone(),
            reason,
        };
        let text = book.write().map_err(|error| damaged(error.to_string()))?;
        let sealed = self
            .cipher(&salt)?
            .encrypt(Nonce::from_slice(&nonce), text.as_slice())
            .map_err(|error| damaged(error.to_string()))?;
        let file = Sealed {
            version: VERSION,
            salt: hex(&salt),
            nonce: hex(&nonce),
            sealed: hex(&sealed),
        };
        let text = serde_json::to_vec(&file).map_err(|error| damaged(error.to_string()))?;
        self.replace(&text)
            .map_err(|source| VaultError::Unwritable {
                path: self.path.clone(),
                source,
            })
    }

    fn replace(&self, text: &[u8]) -> std::io::Result<()> {
        let new = self.path.with_extension("new");
        // What a program that was killed left behind could have other rights.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        give_to_owner(&file, &self.path)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::File::open(folder)?.sync_all()
    }

    fn cipher(&self, salt: &[u8]) -> Result<XSalsa20Poly1305, VaultError> {
        let key = self.key.bytes(salt)?;
        Ok(XSalsa20Poly1305::new(Key::from_slice(key.as_slice())))
    }
}

/// Gives a file that root made in somebody's data folder to the folder's owner: the agent runs as that.
pub(super) fn give_to_owner(file: &fs::File, path: &Path) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs::metadata(folder.unwrap_or(Path::new(".")))?;
    if file.metadata()?.uid() == folder.uid() {
        return Ok(());
    }
    fchown(file, Some(folder.uid()), Some(folder.gid()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let starts = (0..text.len()).step_by(2);
    let digits = starts.map(|at| text.get(at..at.saturating_add(2)));
    digits
        .map(|digits| u8::from_str_radix(digits?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use tvtfleet_proto::model::secret::{Credential, Secret};

    fn with(folder: &Path, text: &str) -> VaultFile {
        let path = folder.join("key");
        let _ = fs::remove_file(&path);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        VaultFile::new(folder, VaultKey::read(&path, None).unwrap())
    }

    fn fill(vault: &VaultFile) {
        let credential = Credential {
            username: "depot-admin".into(),
            password: Secret::new("hunter2hunter2"),
        };
        let label = "nvr".parse().unwrap();
        let set = vault.change(|book| book.set(label, credential, Vec::new(), None));
        set.unwrap().unwrap();
    }

    #[test]
    fn only_the_key_opens_the_vault_and_nothing_shows_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        VaultKey::make(&folder.path().join("made")).unwrap();
        let key = fs::read_to_string(folder.path().join("made")).unwrap();
        for key in [key.as_str(), "a passphrase of some length"] {
            let _ = fs::remove_file(folder.path().join(VaultFile::NAME));
            let vault = with(folder.path(), key);
            assert_eq!(vault.read().unwrap().entries().count(), 0);
            fill(&vault);
            let book = vault.read().unwrap();
            let entry = book.entry(&"nvr".parse().unwrap()).unwrap();
            assert_eq!(entry.credential.password.expose(), "hunter2hunter2");
            let text = fs::read_to_string(vault.path()).unwrap();
            for secret in ["hunter2", "depot-admin", "nvr"] {
                assert!(!text.contains(secret));
                assert!(!text.contains(&hex(secret.as_bytes())));
            }
            let mode = fs::metadata(vault.path()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let other = with(folder.path(), "another passphrase");
            assert!(matches!(other.read(), Err(VaultError::Sealed(_))));
            assert!(matches!(other.change(|_| ()), Err(VaultError::Sealed(_))));
            assert_eq!(fs::read_to_string(vault.path()).unwrap(), text);
        }
    }

    #[test]
    fn a_vault_that_was_changed_or_is_open_to_others_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let vault = with(folder.path(), "a passphrase of some length");
        fill(&vault);
        let text = fs::read_to_string(vault.path()).unwrap();
        let mut changed = text.clone();
        let last = text.len() - 3;
        let digit = if text.as_bytes()[last] == b'0' {
            "1"
        } else {
            "0"
        };
        changed.replace_range(last..=last, digit);
        for (text, mode) in [(changed.as_str(), 0o600), ("{}", 0o600), (&text, 0o640)] {
            fs::write(vault.path(), text).unwrap();
            fs::set_permissions(vault.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert!(vault.read().is_err(), "{text}");
        }
        fs::set_permissions(vault.path(), fs::Permissions::from_mode(0o600)).unwrap();
        assert!(vault.read().is_ok());
        fs::write(folder.path().join("key"), "short").unwrap();
        let short = VaultKey::read(&folder.path().join("key"), None);
        assert!(matches!(short, Err(VaultError::ShortKey(_))));
    }
}
