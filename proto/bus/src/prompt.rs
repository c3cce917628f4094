//! Asks a person for a password.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use tvtfleet_proto::model::secret::Secret;
use zeroize::Zeroizing;

/// The longest password, in bytes, with its line end.
pub const PASSWORD_MAX: u64 = 4096;
/// What a terminal sends for Ctrl-C while signals are off.
const INTERRUPT: char = '\u{3}';

/// Reads a password: without echo from a terminal, else all of standard input. One line end after it is
/// dropped.
///
/// # Errors
///
/// Of the terminal; [`io::ErrorKind::Interrupted`] where somebody pressed Ctrl-C.
pub fn ask_password() -> io::Result<Secret> {
    let stdin = io::stdin();
    let mut text = Zeroizing::new(String::new());
    if stdin.is_terminal() {
        let mut stderr = io::stderr();
        let before = tcgetattr(&stdin)?;
        let mut quiet = before.clone();
        // Signals would leave the terminal without echo.
        quiet
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ISIG);
        tcsetattr(&stdin, OptionalActions::Flush, &quiet)?;
        let asked = write!(stderr, "password: ").and_then(|()| stderr.flush());
        let mut limited = stdin.lock().take(PASSWORD_MAX);
        let read = asked.and_then(|()| limited.read_line(&mut text));
        let restored = tcsetattr(&stdin, OptionalActions::Flush, &before);
        let _closed = writeln!(stderr);
        read?;
        restored?;
        if text.contains(INTERRUPT) {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "interrupted"));
        }
    } else {
        stdin.lock().take(PASSWORD_MAX).read_to_string(&mut text)?;
    }
    Ok(one_line(&text))
}

/// A text without the line end after it.
#[must_use]
pub fn one_line(text: &str) -> Secret {
    let line = text.strip_suffix('\n').unwrap_or(text);
    Secret::new(line.strip_suffix('\r').unwrap_or(line))
}
