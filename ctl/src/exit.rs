//! The end of a command: what is printed about an error, and the exit code.

use tvtfleet_proto::error::ExitStatus;

use crate::error::{CliError, Stop};
use crate::io::Io;

/// What a command comes to.
pub(crate) type Outcome = Result<ExitStatus, Stop>;

/// Tells the user how the command ended and returns its exit code.
pub(crate) fn conclude(outcome: Outcome, io: &Io) -> ExitStatus {
    match outcome {
        Ok(status) => status,
        Err(Stop::ClosedPipe) => ExitStatus::Success,
        Err(Stop::Failed(error)) => {
            report(&error, io);
            error.exit_status()
        }
    }
}

/// Prints an error: its line, its causes, what to try, its code.
pub(crate) fn report(error: &CliError, io: &Io) {
    let label = |text: &str, colour: &str| {
        if io.stderr_colour() {
            format!("\u{1b}[1;{colour}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    };
    let clean = crate::output::printable;
    io.stderr.line(&format!(
        "{} {}",
        label("error:", "31"),
        clean(&error.message)
    ));
    for cause in &error.causes {
        io.stderr.line(&format!("  caused by: {}", clean(cause)));
    }
    if let Some(hint) = &error.hint {
        io.stderr
            .line(&format!("{} {}", label("hint:", "36"), clean(hint)));
    }
    io.stderr.line(&format!("code: {}", error.code));
}

/// The exit code of work that consists of several parts: the first that is no success.
#[must_use]
pub(crate) fn first_failure(statuses: impl IntoIterator<Item = ExitStatus>) -> ExitStatus {
    statuses
        .into_iter()
        .find(|status| *status != ExitStatus::Success)
        .unwrap_or(ExitStatus::Success)
}
