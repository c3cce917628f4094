//! What a device says in answer to a search, or by itself.

use std::net::Ipv4Addr;
use std::ops::Range;

use super::search::{LENGTH, MAGIC};
use crate::device::probe::text;
use crate::device::tvt::SoftwareVersion;
use crate::model::discovery::Claims;
use crate::model::mac::MacAddr;

const VERSION_AT: usize = 4;
const COMMAND_AT: usize = 8;
const NAME: Range<usize> = 12..32;
const MAC_AT: usize = 32;
const DATA_PORT_AT: usize = 38;
const ADDRESS_AT: usize = 40;
const MASK_AT: usize = 44;
const GATEWAY_AT: usize = 48;
const FIRMWARE_AT: usize = 52;
const BUILD_DATE_AT: usize = 56;
const HTTP_PORT_AT: usize = 60;
const RTSP_PORT_AT: usize = 62;
const TYPE_AT: usize = 64;
const DNS1_AT: usize = 112;
const DNS2_AT: usize = 116;
const DHCP_AT: usize = 138;
const SERIAL: Range<usize> = 140..156;
const FIRMWARE_TEXT: Range<usize> = 156..172;
const MODEL_MORE: Range<usize> = 180..196;
const MODEL: Range<usize> = 196..212;
const VENDOR: Range<usize> = 212..228;
const CHANNELS_AT: usize = 228;

/// The announcement; the only command that is read.
const COMMAND_ANNOUNCE: u32 = 2;
/// More channels than any recorder has.
const CHANNELS_MAX: u32 = 512;

/// An announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The version of the packet: 7, 8, 9 or 11 so far.
    pub version: u16,
    /// The firmware version of recorders; cameras send 0.
    pub firmware: Option<SoftwareVersion>,
    /// The firmware text of cameras, as `1.5-1428327`.
    pub firmware_text: String,
    /// Everything else.
    pub claims: Claims,
}

/// Reads a datagram. Everything but an announcement is `None`, commands of others among it.
#[must_use]
pub fn read(datagram: &[u8]) -> Option<Announcement> {
    let is_announcement = datagram.len() >= LENGTH
        && datagram.starts_with(&MAGIC)
        && u32_at(datagram, COMMAND_AT)? == COMMAND_ANNOUNCE;
    if !is_announcement {
        return None;
    }
    let firmware = u32_at(datagram, FIRMWARE_AT)
        .filter(|word| *word != 0)
        .map(SoftwareVersion);
    let firmware_text = text_in(datagram, FIRMWARE_TEXT);
    let software_version = match firmware {
        Some(version) => version.to_string(),
        None => firmware_text.clone(),
    };
    let claims = Claims {
        mac: array_at::<6>(datagram, MAC_AT)
            .map(MacAddr::from)
            .filter(|mac| mac.is_unicast()),
        address: address_at(datagram, ADDRESS_AT),
        name: text_in(datagram, NAME),
        model: model(datagram),
        serial: text_in(datagram, SERIAL),
        vendor: text_in(datagram, VENDOR),
        software_version,
        build_date: u32_at(datagram, BUILD_DATE_AT)
            .and_then(date)
            .unwrap_or_default(),
        data_port: u16_at(datagram, DATA_PORT_AT).unwrap_or(0),
        http_port: u16_at(datagram, HTTP_PORT_AT).unwrap_or(0),
        rtsp_port: u16_at(datagram, RTSP_PORT_AT).unwrap_or(0),
        subnet_mask: address_at(datagram, MASK_AT),
        gateway: address_at(datagram, GATEWAY_AT),
        dns1: address_at(datagram, DNS1_AT),
        dns2: address_at(datagram, DNS2_AT),
        dhcp: datagram.get(DHCP_AT).map(|byte| *byte == 1),
        channels: u32_at(datagram, CHANNELS_AT).filter(|count| (1..=CHANNELS_MAX).contains(count)),
        type_code: u32_at(datagram, TYPE_AT),
        ..Claims::default()
    };
    Some(Announcement {
        version: u16_at(datagram, VERSION_AT)?,
        firmware,
        firmware_text,
        claims,
    })
}

/// The model, with the second half of those that fill their field.
fn model(datagram: &[u8]) -> String {
    let field = datagram.get(MODEL).unwrap_or_default();
    let mut model = text::field(field);
    if !field.is_empty() && !field.contains(&0) {
        model.push_str(&text_in(datagram, MODEL_MORE));
    }
    model
}

/// A decimal date, as 20230510.
fn date(number: u32) -> Option<String> {
    let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100);
    let is_date =
        (1990..=2100).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    is_date.then(|| format!("{year:04}-{month:02}-{day:02}"))
}

fn text_in(datagram: &[u8], range: Range<usize>) -> String {
    text::field(datagram.get(range).unwrap_or_default())
}

fn array_at<const N: usize>(datagram: &[u8], at: usize) -> Option<[u8; N]> {
    datagram.get(at..)?.first_chunk().copied()
}

fn u16_at(datagram: &[u8], at: usize) -> Option<u16> {
    array_at(datagram, at).map(u16::from_le_bytes)
}

fn u32_at(datagram: &[u8], at: usize) -> Option<u32> {
    array_at(datagram, at).map(u32::from_le_bytes)
}

fn address_at(datagram: &[u8], at: usize) -> Option<Ipv4Addr> {
    array_at::<4>(datagram, at)
        .map(Ipv4Addr::from)
        .filter(|address| !address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::super::search;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_announcements_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 140..260)) {
            bytes[..4].copy_from_slice(b"MHED");
            bytes[8..12].copy_from_slice(&2_u32.to_le_bytes());
            let found = read(&bytes).unwrap();
            prop_assert!(!found.claims.name.chars().any(char::is_control));
        }
    }

    #[test]
    fn commands_that_change_a_device_are_not_read() {
        let mut packet = search(8);
        for command in [1_u32, 3, 0x10] {
            packet[8..12].copy_from_slice(&command.to_le_bytes());
            assert_eq!(read(&packet), None, "{command}");
        }
    }
}
