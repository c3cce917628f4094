//! Reading and writing the folder: secrets with mode 0600 in folders of mode 0700, and every file whole
//! or not at all.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tvtfleet_bus::closed_file;
use tvtfleet_bus::trust::{KeyPair, XKey};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::secret::Secret;

use crate::error::{CliError, output_error};
use crate::files;

/// The largest file of the folder, in bytes.
const FILE_MAX: u64 = 16 * 1024 * 1024;
/// Only the owner looks into a folder.
const FOLDER_MODE: u32 = 0o700;
/// Only the owner reads a secret.
const SECRET_MODE: u32 = 0o600;
/// Everybody may read what holds no secret.
const PUBLIC_MODE: u32 = 0o644;

/// A folder of a fleet.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Makes a folder that was not there, or was empty.
    ///
    /// # Errors
    ///
    /// `output.unwritable` where there is something in it already.
    pub(crate) fn create(root: &Path) -> Result<Self, CliError> {
        let taken = fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some());
        if taken || root.is_file() {
            let message = format!("there is something in {} already", root.display());
            return Err(CliError::new(ErrorCode::OutputUnwritable, message)
                .hint("name a new folder; a fleet's keys are never written over"));
        }
        let folder = Self {
            root: root.to_owned(),
        };
        folder.make(Path::new(""))?;
        let root = fs::canonicalize(root).map_err(|error| unwritable(root, &error))?;
        Ok(Self { root })
    }

    /// Takes a folder that [`Self::create`] made.
    ///
    /// # Errors
    ///
    /// `config.unreadable` or `config.exposed`.
    pub(crate) fn open(root: &Path) -> Result<Self, CliError> {
        let unreadable = |error: &std::io::Error| {
            CliError::new(
                ErrorCode::ConfigUnreadable,
                format!("cannot use the fleet's folder {}", root.display()),
            )
            .because(error)
            .hint("name the folder that `tvtctl admin init` made, with --dir")
        };
        let root = fs::canonicalize(root).map_err(|error| unreadable(&error))?;
        let mode = fs::metadata(&root).map_err(|error| unreadable(&error))?;
        if mode.permissions().mode() & 0o077 != 0 {
            let message = format!("{} can be entered by others", root.display());
            return Err(CliError::new(ErrorCode::ConfigExposed, message)
                .hint(format!("chmod 700 {}", root.display())));
        }
        Ok(Self { root })
    }

    /// The path of a file in it.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// Writes a secret.
    pub(super) fn write_secret(&self, name: &str, text: &Secret) -> Result<(), CliError> {
        self.write(name, text.expose().as_bytes(), SECRET_MODE)
    }

    /// Writes what holds no secret.
    pub(super) fn write_public(&self, name: &str, text: &str) -> Result<(), CliError> {
        self.write(name, text.as_bytes(), PUBLIC_MODE)
    }

    /// Writes the seed of a key.
    pub(super) fn write_key(&self, name: &str, key: &KeyPair) -> Result<(), CliError> {
        let seed = key.seed().map_err(|error| key_error(name, &error))?;
        self.write_secret(name, &Secret::new(seed))
    }

    /// Writes the seed of a sealing key.
    pub(super) fn write_curve_key(&self, name: &str, key: &XKey) -> Result<(), CliError> {
        let seed = key.seed().map_err(|error| key_error(name, &error))?;
        self.write_secret(name, &Secret::new(seed))
    }

    /// Reads a secret.
    pub(super) fn secret(&self, name: &str) -> Result<Secret, CliError> {
        let path = self.path(name);
        closed_file::read(&path, None, FILE_MAX).map_err(|error| {
            let message = format!("cannot use {}", path.display());
            CliError::new(error.code(), message).because(&error)
        })
    }

    /// Reads what holds no secret.
    pub(super) fn text(&self, name: &str) -> Result<String, CliError> {
        let path = self.path(name);
        let message = format!("cannot read {}", path.display());
        let bytes = files::read(&path, FILE_MAX)
            .map_err(|error| error.about(ErrorCode::ConfigUnreadable, &message))?;
        String::from_utf8(bytes).map_err(|_| CliError::new(ErrorCode::ConfigInvalid, message))
    }

    /// Reads a key.
    pub(super) fn key(&self, name: &str) -> Result<KeyPair, CliError> {
        let seed = self.secret(name)?;
        KeyPair::from_seed(seed.expose().trim()).map_err(|error| key_error(name, &error))
    }

    /// Reads a sealing key.
    pub(super) fn curve_key(&self, name: &str) -> Result<XKey, CliError> {
        let seed = self.secret(name)?;
        XKey::from_seed(seed.expose().trim()).map_err(|error| key_error(name, &error))
    }

    /// Removes a folder in it with everything below.
    pub(super) fn remove(&self, name: &str) -> Result<(), CliError> {
        let path = self.path(name);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(unwritable(&path, &error))
            }
            _ => Ok(()),
        }
    }

    /// Every file below, as paths relative to the folder, in order.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>, CliError> {
        let mut open = vec![self.root.clone()];
        let mut found = Vec::new();
        while let Some(folder) = open.pop() {
            let unreadable = |error: std::io::Error| {
                let message = format!("cannot read {}", folder.display());
                CliError::new(ErrorCode::ConfigUnreadable, message).because(&error)
            };
            for entry in fs::read_dir(&folder).map_err(unreadable)? {
                let entry = entry.map_err(unreadable)?;
                if entry.file_type().map_err(unreadable)?.is_dir() {
                    open.push(entry.path());
                } else if let Ok(name) = entry.path().strip_prefix(&self.root) {
                    found.push(name.to_owned());
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Writes a file whole or not at all.
    pub(crate) fn write(
        &self,
        name: impl AsRef<Path>,
        bytes: &[u8],
        mode: u32,
    ) -> Result<(), CliError> {
        let name = name.as_ref();
        let path = self.path(name);
        let parent = name.parent().unwrap_or(Path::new(""));
        self.make(parent)?;
        files::write_mode(&path, bytes, mode)
    }

    /// The mode that a file in it should have.
    pub(crate) fn mode_of(&self, name: &Path) -> u32 {
        let mode = fs::metadata(self.path(name)).map(|facts| facts.permissions().mode() & 0o777);
        mode.unwrap_or(SECRET_MODE)
    }

    fn make(&self, name: &Path) -> Result<(), CliError> {
        let path = self.path(name);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(&path)
            .map_err(|error| unwritable(&path, &error))
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> CliError {
    output_error(format!("cannot write {}", path.display()), error)
}

fn key_error(name: &str, error: &(dyn std::error::Error + 'static)) -> CliError {
    CliError::new(
        ErrorCode::TrustInvalid,
        format!("{name} holds no usable key"),
    )
    .because(error)
}
