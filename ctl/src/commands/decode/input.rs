//! Finding out what the argument is: a capture, a dump in a file, or a dump itself.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use tvtfleet_proto::error::ErrorCode;

use crate::error::CliError;
use crate::io::Io;

use super::capture;

/// Bytes looked at to tell a capture from text; also the least a reader of captures is given at once.
const HEAD: u64 = 64 * 1024;
/// The largest capture, in bytes.
pub(super) const CAPTURE_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// The largest dump, in bytes.
pub(super) const DUMP_MAX: u64 = 16 * 1024 * 1024;

/// What there is to decode.
pub(super) enum Input {
    /// A capture.
    Capture(Box<dyn Read + Send>),
    /// Text that should be hexadecimal.
    Dump(String),
}

impl Input {
    /// Opens what the argument names: `-` is stdin, else a file, else the text itself.
    pub(super) fn open(argument: &str, io: &Io) -> Result<Self, CliError> {
        if argument == "-" {
            return Self::from_reader(io::stdin(), "stdin");
        }
        let path = io.resolve(Path::new(argument));
        match File::open(&path) {
            Ok(file) => Self::from_reader(file, argument),
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_hex(argument) => {
                Ok(Self::Dump(argument.to_owned()))
            }
            Err(error) => Err(unreadable(argument, &error)),
        }
    }

    fn from_reader(mut source: impl Read + Send + 'static, name: &str) -> Result<Self, CliError> {
        let mut head = Vec::new();
        source
            .by_ref()
            .take(HEAD)
            .read_to_end(&mut head)
            .map_err(|error| unreadable(name, &error))?;
        if capture::is_capture(&head) {
            return Ok(Self::Capture(Box::new(
                Cursor::new(head).chain(source).take(CAPTURE_MAX),
            )));
        }
        source
            .take(DUMP_MAX)
            .read_to_end(&mut head)
            .map_err(|error| unreadable(name, &error))?;
        if u64::try_from(head.len()).unwrap_or(u64::MAX) > DUMP_MAX {
            let message = format!("{name} is no capture and has more than {DUMP_MAX} bytes");
            return Err(CliError::usage(message));
        }
        String::from_utf8(head).map(Self::Dump).map_err(|_| {
            CliError::usage(format!("{name} is neither a capture nor hexadecimal text"))
                .hint("tcpdump -w FILE 'tcp port 6036 or tcp port 9008' writes a capture")
        })
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| {
        byte.is_ascii_hexdigit()
            || byte.is_ascii_whitespace()
            || matches!(byte, b':' | b'-' | b',' | b'x')
    })
}

fn unreadable(name: &str, error: &io::Error) -> CliError {
    CliError::new(ErrorCode::ConfigUnreadable, format!("cannot read {name}")).because(error)
}
