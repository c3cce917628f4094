//! Comparing large result files in little memory.
//!
//! A file is gone through once, device by device. Of each stay what tells it apart, a digest of what
//! is compared, and where it stands in the file. Devices whose digests agree do not differ; only the
//! others are read a second time and compared. The digest has a key of its own in every process, so
//! no file can be made to hide a difference.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::io::{self, Read, Seek, SeekFrom};

use serde_json::Deserializer;
use tvtfleet_proto::model::mac::MacAddr;

use super::change::Diff;
use super::compare::assemble;
use super::identity::Identity;
use super::matching::{self, Matches};
use super::scan::Scan;
use crate::results::ResultRecord;

/// How much of a file is looked at at a time, unless a device is larger.
const WINDOW: usize = 256 * 1024;
/// The largest device that is read this way.
const DEVICE_MAX: usize = 64 * 1024 * 1024;

/// What two outlines that are compared share.
#[derive(Clone, Debug, Default)]
pub struct DigestKey(RandomState);

/// A result file, as little of it as it takes to find out what differs.
#[derive(Debug, Default)]
pub struct Outline {
    devices: Vec<Outlined>,
}

/// A device of an outline.
#[derive(Debug)]
struct Outlined {
    /// Site, address and serial number, one behind the other.
    names: Box<str>,
    site_end: u32,
    address_end: u32,
    /// Whether there is a serial number.
    has_serial: bool,
    reported_mac: Option<MacAddr>,
    expected_mac: Option<MacAddr>,
    port: i64,
    digest: u64,
    /// Where the device stands in the file, and how many bytes it takes.
    at: u64,
    length: u64,
}

/// A device cannot be read a second time.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The operating system says why.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Other text stands there now.
    #[error("the file changed while it was read")]
    Changed,
}

impl Outline {
    /// Goes through a result file: a JSON list in UTF-8.
    ///
    /// `None` for every other file, also a damaged one: reading it as a whole says what is wrong.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn read(reader: impl Read, key: &DigestKey) -> io::Result<Option<Self>> {
        let mut window = Window::new(reader);
        window.fill()?;
        window.skip_mark();
        if window.next_significant()? != Some(b'[') {
            return Ok(None);
        }
        window.consume(1);
        let mut outline = Self::default();
        let mut addressed = false;
        let complete = loop {
            match (window.next_significant()?, outline.devices.is_empty()) {
                (Some(b']'), _) => break true,
                (Some(b','), false) => window.consume(1),
                (Some(_), true) => {}
                (Some(_) | None, _) => break false,
            }
            let Some(length) = window.with_device(|record, at, length| {
                addressed |= !record.nvr_ip.is_empty();
                outline.devices.push(Outlined::of(&record, key, at, length));
            })?
            else {
                break false;
            };
            window.consume(length);
        };
        window.consume(1);
        let ended = complete && window.next_significant()?.is_none();
        let usable = ended && !window.is_bad && (addressed || outline.devices.is_empty());
        Ok(usable.then_some(outline))
    }

    /// How many devices the file has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// Whether the file has no devices.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    fn identities(&self) -> Vec<Identity<'_>> {
        self.devices.iter().map(Outlined::identity).collect()
    }

    /// Reads the text of some devices, given in the order of the file.
    fn texts(
        &self,
        wanted: &[usize],
        mut file: impl Read + Seek,
    ) -> Result<Vec<String>, ReloadError> {
        let mut texts = Vec::with_capacity(wanted.len());
        for device in wanted.iter().filter_map(|index| self.devices.get(*index)) {
            file.seek(SeekFrom::Start(device.at))?;
            let length = usize::try_from(device.length).map_err(|_| ReloadError::Changed)?;
            let mut bytes = Vec::with_capacity(length);
            let read = file.by_ref().take(device.length).read_to_end(&mut bytes)?;
            if read != length {
                return Err(ReloadError::Changed);
            }
            texts.push(String::from_utf8(bytes).map_err(|_| ReloadError::Changed)?);
        }
        Ok(texts)
    }
}

/// Which devices have to be read again, and what is known without.
#[derive(Debug)]
pub struct Comparison {
    matches: Matches,
    unchanged: usize,
    old_devices: usize,
    new_devices: usize,
    old_wanted: Vec<usize>,
    new_wanted: Vec<usize>,
}

/// The text of the devices that have to be compared.
#[derive(Debug)]
pub struct Reloaded {
    old: Vec<String>,
    new: Vec<String>,
}

impl Comparison {
    /// Compares two outlines of one key.
    #[must_use]
    pub fn of(old: &Outline, new: &Outline) -> Self {
        let mut matches = matching::join(&old.identities(), &new.identities());
        let before = matches.same.len();
        matches.same.retain(|(was, is)| {
            let digests = (old.devices.get(*was), new.devices.get(*is));
            matches!(digests, (Some(was), Some(is)) if was.digest != is.digest)
        });
        let unchanged = before.saturating_sub(matches.same.len());
        let pairs = || matches.same.iter().chain(&matches.replaced);
        let mut old_wanted: Vec<usize> = pairs().map(|(was, _)| *was).collect();
        let mut new_wanted: Vec<usize> = pairs().map(|(_, is)| *is).collect();
        old_wanted.extend(&matches.removed);
        new_wanted.extend(&matches.added);
        old_wanted.sort_unstable();
        new_wanted.sort_unstable();
        Self {
            unchanged,
            old_devices: old.len(),
            new_devices: new.len(),
            old_wanted,
            new_wanted,
            matches,
        }
    }

    /// Reads the devices that may differ from the two files that the outlines are of.
    ///
    /// # Errors
    /// A file cannot be read, or is another one now.
    pub fn reload(
        &self,
        (old, old_file): (&Outline, impl Read + Seek),
        (new, new_file): (&Outline, impl Read + Seek),
    ) -> Result<Reloaded, ReloadError> {
        Ok(Reloaded {
            old: old.texts(&self.old_wanted, old_file)?,
            new: new.texts(&self.new_wanted, new_file)?,
        })
    }

    /// What differs, from the devices read again.
    #[must_use]
    pub fn diff<'a>(&self, old: &'a Scan<'a>, new: &'a Scan<'a>) -> Diff<'a> {
        let place = |wanted: &[usize], index: &usize| wanted.binary_search(index).ok();
        let old_place = |index: &usize| place(&self.old_wanted, index);
        let new_place = |index: &usize| place(&self.new_wanted, index);
        let pairs = |pairs: &[(usize, usize)]| {
            pairs
                .iter()
                .filter_map(|(was, is)| Some((old_place(was)?, new_place(is)?)))
                .collect()
        };
        let matches = Matches {
            same: pairs(&self.matches.same),
            replaced: pairs(&self.matches.replaced),
            removed: self.matches.removed.iter().filter_map(old_place).collect(),
            added: self.matches.added.iter().filter_map(new_place).collect(),
        };
        let mut found = assemble(&matches, old.records(), new.records());
        found.old_devices = self.old_devices;
        found.new_devices = self.new_devices;
        found.unchanged = found.unchanged.saturating_add(self.unchanged);
        found
    }
}

impl Reloaded {
    /// The devices as scans, in the order of their files.
    ///
    /// # Errors
    /// A file changed since it was gone through.
    pub fn scans(&self) -> Result<(Scan<'_>, Scan<'_>), ReloadError> {
        Ok((scan(&self.old)?, scan(&self.new)?))
    }
}

fn scan(texts: &[String]) -> Result<Scan<'_>, ReloadError> {
    let records: Result<Vec<ResultRecord<'_>>, serde_json::Error> = texts
        .iter()
        .map(|text| serde_json::from_str(text))
        .collect();
    Ok(Scan::from_records(
        records.map_err(|_| ReloadError::Changed)?,
    ))
}

impl Outlined {
    fn of(record: &ResultRecord<'_>, key: &DigestKey, at: u64, length: u64) -> Self {
        let identity = Identity::of(record);
        let (site, address, port) = identity.place;
        let names = [site, address, identity.serial.unwrap_or_default()].concat();
        let end = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        Self {
            site_end: end(site.len()),
            address_end: end(site.len() + address.len()),
            has_serial: identity.serial.is_some(),
            names: names.into_boxed_str(),
            reported_mac: identity.reported_mac,
            expected_mac: identity.expected_mac,
            port,
            digest: digest(record, key),
            at,
            length,
        }
    }

    fn identity(&self) -> Identity<'_> {
        let part = |from: u32, to: Option<u32>| {
            let from = usize::try_from(from).unwrap_or(usize::MAX);
            let to = to.map_or(self.names.len(), |to| {
                usize::try_from(to).unwrap_or(usize::MAX)
            });
            self.names.get(from..to).unwrap_or_default()
        };
        Identity {
            serial: self.has_serial.then(|| part(self.address_end, None)),
            reported_mac: self.reported_mac,
            expected_mac: self.expected_mac,
            place: (
                part(0, Some(self.site_end)),
                part(self.site_end, Some(self.address_end)),
                self.port,
            ),
        }
    }
}

/// Of everything that a comparison looks at. When, by which job and in which tries a device was
/// asked is nothing of it.
fn digest(record: &ResultRecord<'_>, key: &DigestKey) -> u64 {
    let mut hasher = key.0.build_hasher();
    let texts = [
        &record.site,
        &record.hostname,
        &record.nvr_ip,
        &record.nvr_mac,
        &record.device_name,
        &record.device_model,
        &record.serial_number,
        &record.firmware,
    ];
    texts.hash(&mut hasher);
    (record.nvr_port, record.total_channels, record.success).hash(&mut hasher);
    (&record.error, &record.error_code, &record.device_id).hash(&mut hasher);
    let info = &record.device_info;
    (&info.mac, &info.device_name, info.channel_count).hash(&mut hasher);
    record.cameras.hash(&mut hasher);
    hasher.finish()
}

/// The part of a file that is being looked at, as text.
struct Window<R> {
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
    is_bad: bool,
}

impl<R: Read> Window<R> {
    fn new(reader: R) -> Self {
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

    fn consume(&mut self, length: usize) {
        self.done = self.done.saturating_add(length);
    }

    /// A byte order mark is no part of the text.
    fn skip_mark(&mut self) {
        if self.rest().starts_with('\u{FEFF}') {
            self.consume('\u{FEFF}'.len_utf8());
        }
    }

    /// Drops what is done with and reads on.
    fn fill(&mut self) -> io::Result<()> {
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
    fn next_significant(&mut self) -> io::Result<Option<u8>> {
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
    fn with_device(
        &mut self,
        take: impl FnOnce(ResultRecord<'_>, u64, u64),
    ) -> io::Result<Option<usize>> {
        if self.next_significant()?.is_none() {
            return Ok(None);
        }
        loop {
            let mut devices = Deserializer::from_str(self.rest()).into_iter::<ResultRecord<'_>>();
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

#[cfg(test)]
mod tests;
