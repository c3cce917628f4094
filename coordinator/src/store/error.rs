//! What can go wrong with the database.

use std::path::PathBuf;

use tvtfleet_bus::BusError;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::ApiError;

/// A step of work on the database failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder or file cannot be made or opened.
    #[error("cannot open {path}")]
    Open {
        /// What was opened.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Another coordinator uses the same folder.
    #[error("another coordinator uses {0}")]
    InUse(PathBuf),
    /// The database was written by a newer program.
    #[error("the database has version {found}, this program knows {known}")]
    Version {
        /// The version found.
        found: i64,
        /// The newest version known.
        known: i64,
    },
    /// A transaction failed.
    #[error("cannot {step}")]
    Failed {
        /// What was being done, as `store results`.
        step: &'static str,
        /// Why it failed.
        source: DbError,
    },
    /// The writer has ended, so the program is ending too.
    #[error("the database is closed")]
    Closed,
}

impl StoreError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Open { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                ErrorCode::StorageFull
            }
            Self::Open { .. } | Self::Closed => ErrorCode::StorageIo,
            Self::InUse(_) => ErrorCode::StorageLocked,
            Self::Version { .. } => ErrorCode::StorageVersion,
            Self::Failed { source, .. } => source.code(),
        }
    }
}

/// Why work inside a transaction failed; the transaction leaves no trace.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// SQLite says no.
    #[error("database error")]
    Sql(#[from] rusqlite::Error),
    /// Something stored cannot be read.
    #[error("stored {what} is damaged: {reason}")]
    Damaged {
        /// What it is.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The change cannot be handed on to the standbys, so it is not made.
    #[error("the change is not handed on to the standbys")]
    Log(#[source] Box<BusError>),
    /// The request makes no sense with what is stored.
    #[error(transparent)]
    Refused(#[from] ApiError),
}

impl DbError {
    pub(crate) fn damaged(what: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Damaged {
            what,
            reason: reason.to_string(),
        }
    }

    pub(crate) fn refused(code: ErrorCode, message: impl Into<String>, hint: &str) -> Self {
        Self::Refused(ApiError {
            code,
            message: message.into(),
            hint: hint.to_owned(),
        })
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Sql(error) => match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DiskFull) => ErrorCode::StorageFull,
                Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                    ErrorCode::StorageCorrupt
                }
                Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                    ErrorCode::StorageLocked
                }
                Some(_) | None => ErrorCode::StorageIo,
            },
            Self::Damaged { .. } => ErrorCode::StorageCorrupt,
            Self::Log(error) => error.code(),
            Self::Refused(error) => error.code,
        }
    }
}
