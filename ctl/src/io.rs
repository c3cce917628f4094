//! Everything that a run of the command line takes from the world around it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;
use tvtfleet_bus::clock::Clock;

use crate::env::{Environment, NO_COLOR};
use crate::error::Stop;

/// The streams, environment, clock and terminal of one run.
pub struct Io {
    /// Where data goes.
    pub stdout: Box<dyn Write + Send>,
    /// Where everything else goes.
    pub stderr: Stderr,
    /// The environment variables.
    pub env: Environment,
    /// What relative paths are relative to.
    pub cwd: PathBuf,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whether stdout is a terminal; decides about colours in help texts only.
    pub stdout_is_terminal: bool,
    /// Whether stderr is a terminal: progress bars and colours.
    pub stderr_is_terminal: bool,
    /// The width of help texts and progress bars, in columns.
    pub width: u16,
    /// Cancelled when the user presses Ctrl-C or the process is asked to end.
    pub interrupt: CancellationToken,
}

impl Io {
    /// A path as the user meant it.
    #[must_use]
    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        self.cwd.join(path)
    }

    /// Writes data and sees that it has gone out.
    ///
    /// # Errors
    ///
    /// [`Stop::ClosedPipe`] where nobody reads it any more.
    pub(crate) fn write_out(&mut self, data: &[u8]) -> Result<(), Stop> {
        self.stdout
            .write_all(data)
            .and_then(|()| self.stdout.flush())
            .map_err(|error| Stop::from_stdout(&error))
    }

    /// Tells the user something that is no error.
    pub(crate) fn note(&self, text: &str) {
        self.stderr.line(&crate::output::printable(text));
    }

    /// Warns the user.
    pub(crate) fn warn(&self, text: &str) {
        self.note(&format!("warning: {text}"));
    }

    /// Whether messages on stderr may have colours.
    #[must_use]
    pub(crate) fn stderr_colour(&self) -> bool {
        self.stderr_is_terminal && !self.env.is_set(NO_COLOR)
    }

    /// Whether help texts on stdout may have colours.
    #[must_use]
    pub(crate) fn stdout_colour(&self) -> bool {
        self.stdout_is_terminal && !self.env.is_set(NO_COLOR)
    }
}

/// The error stream, shared by messages and progress.
#[derive(Clone)]
pub struct Stderr(Arc<Mutex<Box<dyn Write + Send>>>);

impl Stderr {
    /// Wraps a writer.
    #[must_use]
    pub fn new(writer: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(writer)))
    }

    /// Writes a line. A failure has nobody left to be told to and is ignored.
    pub fn line(&self, text: &str) {
        self.text(&format!("{text}\n"));
    }

    /// Writes text as it is.
    pub fn text(&self, text: &str) {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writer
            .write_all(text.as_bytes())
            .and_then(|()| writer.flush());
    }
}
