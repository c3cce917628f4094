//! The search.

use std::net::Ipv4Addr;

/// Where searches are sent.
pub const SEARCHES: Ipv4Addr = Ipv4Addr::new(234, 55, 55, 55);
/// Where devices answer and announce themselves; some use the other group.
pub const ANSWERS: Ipv4Addr = Ipv4Addr::new(234, 55, 55, 56);
/// The UDP port of both.
pub const PORT: u16 = 23_456;
/// The time-to-live of a search.
pub const TTL: u32 = 5;
/// Bytes of a search, and the least of an announcement.
pub const LENGTH: usize = 140;
/// The version that the vendor's library sends.
pub const VERSION_SDK: u16 = 8;
/// The version that the vendor's newest tool sends.
pub const VERSION_NEW: u16 = 11;

pub(super) const MAGIC: [u8; 4] = *b"MHED";
const COMMAND_SEARCH: u32 = 1;

/// The search datagram of a version.
#[must_use]
pub fn search(version: u16) -> [u8; LENGTH] {
    let mut packet = [0; LENGTH];
    let header = [
        MAGIC.as_slice(),
        &version.to_le_bytes(),
        &1_u16.to_le_bytes(),
        &COMMAND_SEARCH.to_le_bytes(),
    ]
    .concat();
    for (to, from) in packet.iter_mut().zip(header) {
        *to = from;
    }
    packet
}
