//! What goes wrong with a spool.

use std::io;
use std::path::PathBuf;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::id::Sequence;

/// The spool cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// A file operation failed.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file was written by a newer program.
    #[error("{} was written by a newer version", .0.display())]
    Newer(PathBuf),
    /// A batch on the disk cannot be read.
    #[error("batch {0} in the spool is damaged")]
    Damaged(Sequence),
    /// A batch is larger than the spool takes.
    #[error("a batch of {0} bytes is too large for the spool")]
    TooLarge(usize),
}

impl SpoolError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Io { source, .. } if is_full(source) => ErrorCode::StorageFull,
            Self::Io { .. } => ErrorCode::StorageIo,
            Self::Newer(_) => ErrorCode::StorageVersion,
            Self::Damaged(_) => ErrorCode::StorageCorrupt,
            Self::TooLarge(_) => ErrorCode::MessageTooLarge,
        }
    }

    pub(super) fn io(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
