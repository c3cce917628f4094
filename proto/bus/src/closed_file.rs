//! Files with secrets in them: read only where nobody else on this box can.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::secret::Secret;

/// A file with secrets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClosedFileError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others on this box can read the file.
    #[error("{} can be read by others; run: chmod 600 {}", .0.display(), .0.display())]
    Exposed(PathBuf),
    /// The file is not what it should be.
    #[error("{}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, without any of the file's text.
        reason: String,
    },
}

impl ClosedFileError {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Unreadable { path, .. } | Self::Exposed(path) | Self::Invalid { path, .. } => {
                path
            }
        }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Unreadable { .. } => ErrorCode::ConfigUnreadable,
            Self::Exposed(_) => ErrorCode::ConfigExposed,
            Self::Invalid { .. } => ErrorCode::ConfigInvalid,
        }
    }
}

/// Reads a text file of at most `limit` bytes that only its owner can read. Files below the folder
/// `guarded` may show rights of a group: systemd hands credentials to a service in such a folder,
/// which it guards itself. Checks the open file, not the path, so that nothing can be swapped in
/// between.
///
/// # Errors
///
/// `config.unreadable`, `config.exposed`, or `config.invalid` where it is no regular file, no UTF-8,
/// or too large.
pub fn read(path: &Path, guarded: Option<&Path>, limit: u64) -> Result<Secret, ClosedFileError> {
    let unreadable = |source| ClosedFileError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let invalid = |reason: &str| ClosedFileError::Invalid {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    // Without NONBLOCK, opening a named pipe would wait for ever.
    let file = rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK,
        Mode::empty(),
    )
    .map_err(|error| unreadable(error.into()))?;
    let status = rustix::fs::fstat(&file).map_err(|error| unreadable(error.into()))?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(invalid("not a regular file"));
    }
    let is_guarded = guarded.is_some_and(|folder| path.starts_with(folder));
    let others = if is_guarded {
        Mode::RWXO
    } else {
        Mode::RWXG | Mode::RWXO
    };
    if Mode::from_raw_mode(status.st_mode).intersects(others) {
        return Err(ClosedFileError::Exposed(path.to_owned()));
    }
    let mut text = String::new();
    let read = std::fs::File::from(file)
        .take(limit.saturating_add(1))
        .read_to_string(&mut text);
    let text = Secret::new(text);
    let read = read.map_err(|error| {
        if error.kind() == std::io::ErrorKind::InvalidData {
            invalid("not UTF-8 text")
        } else {
            unreadable(error)
        }
    })?;
    if u64::try_from(read).unwrap_or(u64::MAX) > limit {
        return Err(invalid("the file is too large"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn only_closed_files_of_the_right_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "hunter2").unwrap();
        let mode = |bits| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(bits)).unwrap();
        };
        for open in [0o640, 0o604, 0o620] {
            mode(open);
            assert_eq!(
                read(&path, None, 7).unwrap_err().code(),
                ErrorCode::ConfigExposed
            );
        }
        mode(0o440);
        assert!(
            read(&path, Some(folder.path()), 7).is_ok(),
            "systemd guards it"
        );
        mode(0o600);
        assert_eq!(read(&path, None, 7).unwrap().expose(), "hunter2");
        let error = read(&path, None, 6).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConfigInvalid);
        assert!(!error.to_string().contains("hunter2"));
        let missing = read(&folder.path().join("none"), None, 6).unwrap_err();
        assert_eq!(missing.code(), ErrorCode::ConfigUnreadable);
        assert_eq!(
            read(folder.path(), None, 6).unwrap_err().code(),
            ErrorCode::ConfigInvalid
        );
    }
}
