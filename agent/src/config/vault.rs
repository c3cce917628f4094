//! Where the vault and its key are.

use std::path::PathBuf;

use crate::vault::{VaultError, VaultFile, VaultKey};

use super::AgentConfig;

/// The key's name among the credentials that systemd hands to a service.
const HANDED: &str = "vault-key";
/// The key's name in the data folder, where nothing else is set.
const OWN: &str = "vault.key";

impl AgentConfig {
    /// The vault; `None` where neither it nor a key is there.
    ///
    /// # Errors
    ///
    /// `config.unreadable`, `config.exposed`, `config.invalid`: there is a vault and its key cannot be used.
    pub fn vault(&self) -> Result<Option<VaultFile>, VaultError> {
        let key = self.vault_key();
        if !key.exists() && !self.data_dir.join(VaultFile::NAME).exists() {
            return Ok(None);
        }
        let key = VaultKey::read(&key, self.nats.guarded_folder.as_deref())?;
        Ok(Some(VaultFile::new(&self.data_dir, key)))
    }

    /// Makes a key for the vault where there is neither. Returns the file, if it was made.
    ///
    /// # Errors
    ///
    /// `storage.io`.
    pub fn make_vault_key(&self) -> Result<Option<PathBuf>, VaultError> {
        let key = self.vault_key();
        // A new key would be of no use to a vault that is there.
        if key.exists() || self.data_dir.join(VaultFile::NAME).exists() {
            return Ok(None);
        }
        VaultKey::make(&key)?;
        Ok(Some(key))
    }

    fn vault_key(&self) -> PathBuf {
        if let Some(file) = &self.vault_key_file {
            return file.clone();
        }
        let handed = self.nats.guarded_folder.as_ref();
        let handed = handed.map(|folder| folder.join(HANDED));
        handed
            .filter(|file| file.exists())
            .unwrap_or_else(|| self.data_dir.join(OWN))
    }
}
