//! What the vault is sealed with.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use tvtfleet_bus::closed_file;
use tvtfleet_proto::model::secret::Secret;
use zeroize::Zeroizing;

use super::file::{VaultError, give_to_owner};

/// The largest key file, in bytes.
const KEY_FILE_MAX: u64 = 4096;
/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;
/// The shortest passphrase, in characters.
const PASSPHRASE_MIN: usize = 12;
/// What a guess of the passphrase costs: 19 MiB of memory, twice.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// A key, or a passphrase that one is made of.
#[derive(Clone, Debug)]
pub struct VaultKey(Secret);

impl VaultKey {
    /// Reads a key file: 64 hexadecimal digits, or a passphrase of at least 12 characters. `guarded` as for
    /// [`closed_file::read`].
    ///
    /// # Errors
    ///
    /// `config.unreadable`, `config.exposed`, `config.invalid`.
    pub fn read(path: &Path, guarded: Option<&Path>) -> Result<Self, VaultError> {
        let text = closed_file::read(path, guarded, KEY_FILE_MAX)?;
        let text = text.expose().trim_end_matches(['\r', '\n']);
        if text.chars().count() < PASSPHRASE_MIN {
            return Err(VaultError::ShortKey(path.to_owned()));
        }
        Ok(Self(Secret::new(text)))
    }

    /// Makes a key file with a new key; a file that is there is left alone.
    ///
    /// # Errors
    ///
    /// `storage.io`.
    pub fn make(path: &Path) -> Result<(), VaultError> {
        let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
        getrandom::fill(key.as_mut_slice())
            .map_err(|error| VaultError::Random(error.to_string()))?;
        let mut text = Zeroizing::new(String::with_capacity(KEY_BYTES * 2 + 1));
        for byte in key.iter() {
            text.push_str(&format!("{byte:02x}"));
        }
        text.push('\n');
        let written = || -> std::io::Result<()> {
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)?;
            give_to_owner(&file, path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        match written() {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            written => written.map_err(|source| VaultError::Unwritable {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// The key itself; a passphrase is stretched with the vault's salt.
    pub(super) fn bytes(&self, salt: &[u8]) -> Result<Zeroizing<[u8; KEY_BYTES]>, VaultError> {
        let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
        let text = self.0.expose();
        if text.len() == KEY_BYTES * 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            for (at, byte) in (0..).step_by(2).zip(key.iter_mut()) {
                let digits = text.get(at..at + 2).unwrap_or_default();
                *byte = u8::from_str_radix(digits, 16).unwrap_or_default();
            }
            return Ok(key);
        }
        let params = Params::new(MEMORY_KIB, PASSES, 1, Some(KEY_BYTES));
        let stretched = params.and_then(|params| {
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(
                text.as_bytes(),
                salt,
                key.as_mut_slice(),
            )
        });
        stretched.map_err(|error| VaultError::Random(error.to_string()))?;
        Ok(key)
    }
}
