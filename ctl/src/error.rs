//! How a command ends other than well: one error type with code, causes and the next thing to try.

use std::error::Error;
use std::io;

use tvtfleet_proto::error::{ErrorCode, ExitStatus};

/// What went wrong, as a user is told.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct CliError {
    /// The stable code.
    pub(crate) code: ErrorCode,
    /// One line, lower-case, without full stop.
    pub(crate) message: String,
    /// Why, the nearest cause first.
    pub(crate) causes: Vec<String>,
    /// The next thing to try.
    pub(crate) hint: Option<String>,
    status: Option<ExitStatus>,
}

impl CliError {
    /// An error with its code and line.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
            status: None,
        }
    }

    /// A command line that makes no sense although every part of it does.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::UsageInvalid, message)
    }

    /// Adds a cause.
    #[must_use]
    pub(crate) fn cause(mut self, text: impl Into<String>) -> Self {
        self.causes.push(text.into());
        self
    }

    /// Adds an error and everything behind it as causes.
    #[must_use]
    pub(crate) fn because(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            // Some errors repeat the text of their source.
            if self.causes.last().is_none_or(|last| !last.ends_with(&text)) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Says what to try next.
    #[must_use]
    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        self.hint = Some(text.into()).filter(|hint: &String| !hint.is_empty());
        self
    }

    /// Ends the command with this exit code instead of the code's own.
    #[must_use]
    pub(crate) const fn ends_with(mut self, status: ExitStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// The exit code of a command that ends with this error.
    #[must_use]
    pub(crate) fn exit_status(&self) -> ExitStatus {
        self.status.unwrap_or(self.code.exit_status())
    }
}

/// Why a command stops early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// Whoever reads the output has read enough: a success.
    #[error("nobody reads the output any more")]
    ClosedPipe,
    /// It failed.
    #[error(transparent)]
    Failed(#[from] CliError),
}

impl Stop {
    /// What a failed write to stdout means.
    #[must_use]
    pub(crate) fn from_stdout(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::ClosedPipe
        } else {
            Self::Failed(output_error("cannot write to stdout", error))
        }
    }
}

/// What a failed write of output means, told with `message`.
#[must_use]
pub(crate) fn output_error(message: impl Into<String>, error: &io::Error) -> CliError {
    let full = matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    );
    if full {
        CliError::new(ErrorCode::StorageFull, message)
            .because(error)
            .hint("free some space, or write to another disk")
    } else {
        CliError::new(ErrorCode::OutputUnwritable, message).because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_its_own_code_and_a_closed_pipe_is_no_error() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(output_error("x", &full).code, ErrorCode::StorageFull);
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(output_error("x", &denied).code, ErrorCode::OutputUnwritable);
        let closed = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(matches!(Stop::from_stdout(&closed), Stop::ClosedPipe));
    }

    #[test]
    fn causes_are_listed_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot open")]
        struct Outer(#[source] io::Error);
        let error = CliError::new(ErrorCode::StorageIo, "x")
            .because(&Outer(io::Error::other("no such file")));
        assert_eq!(error.causes, ["cannot open", "no such file"]);
    }
}
