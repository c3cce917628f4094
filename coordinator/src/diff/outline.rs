//! Comparing large result files in little memory.
//!
//! A file is gone through once, device by device. Of each stay what tells it apart, a digest of what
//! is compared, and where it stands in the file. Devices whose digests agree do not differ; only the
//! others are read a second time and compared, pair by pair. The digest has a key of its own in every
//! process, so no file can be made to hide a difference.
//!
//! The channels are taken as text in the first pass: what is wrong inside of them shows only where
//! they differ from those of the other file.

use std::hash::RandomState;
use std::io::{self, Read};

use tvtfleet_proto::model::mac::MacAddr;

use super::identity::Identity;
use skim::Skimmed;
use window::Window;

mod comparison;
mod skim;
mod window;

pub use comparison::{Comparison, Kept, ReloadError, Reread};

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
}

impl Outlined {
    fn of(record: &Skimmed<'_>, key: &DigestKey, at: u64, length: u64) -> Self {
        let identity = record.identity();
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
            digest: record.digest(&key.0),
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

#[cfg(test)]
mod tests;
