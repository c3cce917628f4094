//! Reading input files within bounds, and writing output files whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tvt_coordinator::render::file;
use tvtfleet_proto::error::ErrorCode;

use crate::error::{CliError, output_error};

/// A file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The operating system says why.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is larger than this many bytes.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
}

impl ReadError {
    /// Whether there is no such file.
    #[must_use]
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// The error of a command that cannot go on without the file.
    #[must_use]
    pub(crate) fn about(&self, code: ErrorCode, message: impl Into<String>) -> CliError {
        CliError::new(code, message).because(self)
    }
}

/// What a file's name says it is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileFormat {
    /// `.json`
    Json,
    /// `.csv`
    Csv,
    /// `.xlsx`
    Xlsx,
    /// `.txt`
    Text,
}

impl FileFormat {
    /// The format that the name ends in, if it is one of these.
    ///
    /// # Errors
    ///
    /// `usage.invalid`.
    pub(crate) fn of(path: &Path, known: &[Self]) -> Result<Self, CliError> {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        let found = known
            .iter()
            .find(|format| extension.to_str() == Some(format.ending()));
        found.copied().ok_or_else(|| {
            let endings: Vec<String> = known
                .iter()
                .map(|format| format!(".{}", format.ending()))
                .collect();
            let message = format!("the name {} does not say what to write", path.display());
            CliError::usage(message).hint(format!("end it in {}", endings.join(", ")))
        })
    }

    const fn ending(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
            Self::Text => "txt",
        }
    }
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
///
/// Where it cannot be read or is larger.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(ReadError::TooLarge(limit));
    }
    Ok(bytes)
}

/// Whether a regular file can be read by somebody other than its owner. A pipe cannot be opened by
/// others whatever its mode says.
#[must_use]
pub(crate) fn is_exposed(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o077 != 0)
}

/// Finds out whether a file can be written at `path`, by making another one beside it.
///
/// # Errors
///
/// `output.unwritable` or `storage.full`.
pub(crate) fn check_writable(path: &Path) -> Result<(), CliError> {
    if path.is_dir() {
        let message = format!("cannot write {}: it is a folder", path.display());
        return Err(CliError::new(ErrorCode::OutputUnwritable, message));
    }
    let folder = folder_of(path);
    if !folder.is_dir() {
        let message = format!(
            "cannot write {}: there is no folder {}",
            path.display(),
            folder.display()
        );
        return Err(CliError::new(ErrorCode::OutputUnwritable, message)
            .hint(format!("mkdir -p {}", folder.display())));
    }
    temporary_in(&folder)
        .map_err(|error| output_error(format!("cannot write {}", path.display()), &error))
}

/// Makes a folder with the ones above it, and finds out whether files can be written in it.
///
/// # Errors
///
/// `output.unwritable` or `storage.full`.
pub(crate) fn prepare_folder(folder: &Path) -> Result<(), CliError> {
    let failed = |error: io::Error| {
        output_error(
            format!("cannot write to the folder {}", folder.display()),
            &error,
        )
    };
    fs::create_dir_all(folder).map_err(failed)?;
    temporary_in(folder).map_err(failed)
}

/// Writes a file: it is there in full, or what was there before stays.
///
/// # Errors
///
/// `output.unwritable` or `storage.full`.
pub(crate) fn write<T, F>(path: &Path, content: F) -> Result<T, CliError>
where
    F: FnOnce(&mut BufWriter<File>) -> io::Result<T>,
{
    file::replace(path, content)
        .map_err(|error| output_error(format!("cannot write {}", path.display()), &error))
}

/// Writes a file with a mode, whole or not at all.
///
/// # Errors
///
/// `output.unwritable` or `storage.full`.
pub(crate) fn write_mode(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CliError> {
    let write = || -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(".tvtctl-")
            .tempfile_in(folder_of(path))?;
        file.write_all(bytes)?;
        file.as_file()
            .set_permissions(fs::Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error| output_error(format!("cannot write {}", path.display()), &error))
}

/// Makes a file and takes it away again.
fn temporary_in(folder: &Path) -> io::Result<()> {
    tempfile::Builder::new()
        .prefix(".tvtctl-")
        .tempfile_in(folder)
        .map(drop)
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.json");
        write(&path, |out| out.write_all(b"old")).unwrap();
        let error = write(&path, |out| {
            out.write_all(b"half")?;
            Err::<(), _>(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert_eq!(error.unwrap_err().code, ErrorCode::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn a_missing_folder_is_found_out_first() {
        let folder = tempfile::tempdir().unwrap();
        let error = check_writable(&folder.path().join("none/out.json")).unwrap_err();
        assert_eq!(error.code, ErrorCode::OutputUnwritable);
        assert!(error.hint.unwrap().starts_with("mkdir -p "));
        assert!(check_writable(folder.path()).is_err());
        assert!(check_writable(&folder.path().join("out.json")).is_ok());
    }

    #[test]
    fn reading_stops_at_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in");
        fs::write(&path, b"12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert!(matches!(read(&path, 4), Err(ReadError::TooLarge(4))));
        assert!(
            read(&folder.path().join("none"), 4)
                .unwrap_err()
                .is_missing()
        );
    }
}
