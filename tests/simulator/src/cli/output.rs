//! Data on stdout.

use std::io::{self, Write};

use serde_json::Value;

/// Writes one JSON line; a reader that went away is no error.
pub(super) fn line(value: &Value) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{value}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}
