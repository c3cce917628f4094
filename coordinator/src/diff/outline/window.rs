//! The part of a result file that is being looked at.

use std::io::{self, Read};

use serde_json::Deserializer;

use super::skim::Skimmed;

/// How much of a file is looked at at a time, unless a device is larger.
pub(super) const WINDOW: usize = 256 * 1024;
/// The largest device that is read this way.
const DEVICE_MAX: usize = 64 * 1024 * 1024;

/// The part of a file that is being looked at, as text.
pub(super) struct Window<R> {
    reader: R,
    text: String,
    /// How much of the text is done with.
    done: usize,
    /// The beginning of a character whose rest has not been read.
    tail: Vec<u8>,
    /// Where the text begins in the file.
    begins: u64,
    chunk: Vec<u8>,
    ended: bool,
    /// Whether there was something that is no UTF-8.
    pub(super) is_bad: bool,
}

impl<R: Read> Window<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            text: String::new(),
            done: 0,
            tail: Vec::new(),
            begins: 0,
            chunk: vec![0; WINDOW],
            ended: false,
            is_bad: false,
        }
    }

    fn rest(&self) -> &str {
        self.text.get(self.done..).unwrap_or_default()
    }

    pub(super) fn consume(&mut self, length: usize) {
        self.done = self.done.saturating_add(length);
    }

    /// A byte order mark is no part of the text.
    pub(super) fn skip_mark(&mut self) {
        if self.rest().starts_with('\u{FEFF}') {
            self.consume('\u{FEFF}'.len_utf8());
        }
    }

    /// Drops what is done with and reads on.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        self.begins = self
            .begins
            .saturating_add(u64::try_from(self.done).unwrap_or(u64::MAX));
        self.text.drain(..self.done);
        self.done = 0;
        let read = loop {
            match self.reader.read(&mut self.chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.ended = read == 0;
        self.tail
            .extend_from_slice(self.chunk.get(..read).unwrap_or_default());
        let valid = match std::str::from_utf8(&self.tail) {
            Ok(text) => {
                self.text.push_str(text);
                self.tail.len()
            }
            Err(error) => {
                let valid = error.valid_up_to();
                self.is_bad |= error.error_len().is_some() || self.ended;
                let text = self.tail.get(..valid).unwrap_or_default();
                self.text
                    .push_str(std::str::from_utf8(text).unwrap_or_default());
                valid
            }
        };
        self.tail.drain(..valid);
        Ok(())
    }

    /// The next byte that is no white space; it is not consumed. `None` at the end.
    pub(super) fn next_significant(&mut self) -> io::Result<Option<u8>> {
        loop {
            let blank = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
            let skipped = self.rest().bytes().take_while(|byte| blank(byte)).count();
            self.consume(skipped);
            match self.rest().bytes().next() {
                Some(byte) => return Ok(Some(byte)),
                None if self.ended || self.is_bad => return Ok(None),
                None => self.fill()?,
            }
        }
    }

    /// Reads the device that begins here, with its place and length; its length in the window.
    /// `None` where there is none.
    pub(super) fn with_device(
        &mut self,
        take: impl FnOnce(Skimmed<'_>, u64, u64),
    ) -> io::Result<Option<usize>> {
        if self.next_significant()?.is_none() {
            return Ok(None);
        }
        loop {
            let mut devices = Deserializer::from_str(self.rest()).into_iter::<Skimmed<'_>>();
            let found = devices.next();
            let length = devices.byte_offset();
            match found {
                Some(Ok(record)) => {
                    let wide = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
                    let at = self.begins.saturating_add(wide(self.done));
                    take(record, at, wide(length));
                    return Ok(Some(length));
                }
                Some(Err(error))
                    if error.is_eof()
                        && !self.ended
                        && !self.is_bad
                        && self.rest().len() <= DEVICE_MAX => {}
                Some(Err(_)) | None => return Ok(None),
            }
            // Twice as much before the next try, so that a large device is not read over and over.
            let enough = self.rest().len().saturating_mul(2).max(WINDOW);
            while self.rest().len() < enough && !self.ended && !self.is_bad {
                self.fill()?;
            }
        }
    }
}
