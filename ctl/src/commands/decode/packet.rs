//! From a captured packet to the TCP segment in it: link layer, IPv4 or IPv6, TCP.
//!
//! Fragments of IP packets are not put together: TCP avoids them. They are passed over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use pcap_parser::Linktype;

/// A TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) sequence: u32,
    pub(super) opens: bool,
    pub(super) acknowledges: bool,
    pub(super) closes: bool,
    pub(super) resets: bool,
    /// The payload, as far as it was captured.
    pub(super) payload: &'a [u8],
}

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86DD;
/// VLAN tags: 802.1Q, 802.1ad, and what came before it.
const VLAN_TAGS: [u16; 3] = [0x8100, 0x88A8, 0x9100];
/// More VLAN tags than anybody stacks.
const VLAN_DEPTH: usize = 4;
/// More IPv6 extension headers than anybody sends.
const EXTENSIONS: usize = 8;
const TCP: u8 = 6;

/// Whether packets of this link type can be read.
pub(super) fn is_known(link: Linktype) -> bool {
    matches!(
        link,
        Linktype::NULL
            | Linktype::LOOP
            | Linktype::ETHERNET
            | Linktype::RAW
            | Linktype(12 | 14)
            | Linktype::IPV4
            | Linktype::IPV6
            | Linktype::LINUX_SLL
            | Linktype::LINUX_SLL2
    )
}

/// The TCP segment in a packet; `None` where there is none.
pub(super) fn segment(link: Linktype, packet: &[u8]) -> Option<Segment<'_>> {
    match link {
        Linktype::ETHERNET => ethernet(packet),
        Linktype::LINUX_SLL => by_type(u16_at(packet, 14)?, packet.get(16..)?),
        Linktype::LINUX_SLL2 => by_type(u16_at(packet, 0)?, packet.get(20..)?),
        // The address family in front has its own numbers on each system, in either byte order.
        Linktype::NULL | Linktype::LOOP => ip(packet.get(4..)?),
        Linktype::RAW | Linktype(12 | 14) | Linktype::IPV4 | Linktype::IPV6 => ip(packet),
        _ => None,
    }
}

fn ethernet(packet: &[u8]) -> Option<Segment<'_>> {
    let mut at = 12_usize;
    for _ in 0..=VLAN_DEPTH {
        let ethertype = u16_at(packet, at)?;
        if !VLAN_TAGS.contains(&ethertype) {
            return by_type(ethertype, packet.get(at.checked_add(2)?..)?);
        }
        at = at.checked_add(4)?;
    }
    None
}

fn by_type(ethertype: u16, packet: &[u8]) -> Option<Segment<'_>> {
    match ethertype {
        ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => ip(packet),
        _ => None,
    }
}

fn ip(packet: &[u8]) -> Option<Segment<'_>> {
    match packet.first()? >> 4 {
        4 => ipv4(packet),
        6 => ipv6(packet),
        _ => None,
    }
}

fn ipv4(packet: &[u8]) -> Option<Segment<'_>> {
    let header = usize::from(packet.first()? & 0x0F).checked_mul(4)?;
    let fragment = u16_at(packet, 6)?;
    // The offset, and "more follow".
    if header < 20 || fragment & 0x3FFF != 0 || *packet.get(9)? != TCP {
        return None;
    }
    let source = Ipv4Addr::from(array_at::<4>(packet, 12)?);
    let destination = Ipv4Addr::from(array_at::<4>(packet, 16)?);
    let total = usize::from(u16_at(packet, 2)?);
    tcp(
        source.into(),
        destination.into(),
        payload(packet, header, total)?,
    )
}

fn ipv6(packet: &[u8]) -> Option<Segment<'_>> {
    let source = Ipv6Addr::from(array_at::<16>(packet, 8)?);
    let destination = Ipv6Addr::from(array_at::<16>(packet, 24)?);
    let total = usize::from(u16_at(packet, 4)?);
    let total = if total == 0 {
        0
    } else {
        total.checked_add(40)?
    };
    let mut rest = payload(packet, 40, total)?;
    let mut next = *packet.get(6)?;
    for _ in 0..EXTENSIONS {
        match next {
            TCP => return tcp(source.into(), destination.into(), rest),
            // Hop-by-hop options, routing, destination options, mobility.
            0 | 43 | 60 | 135 => {
                let length = usize::from(*rest.get(1)?).checked_add(1)?.checked_mul(8)?;
                next = *rest.first()?;
                rest = rest.get(length..)?;
            }
            _ => return None,
        }
    }
    None
}

/// What follows a header of `header` bytes in an IP packet of `total` bytes. A total of 0 was left to
/// the network card; Ethernet pads short packets, so the total counts where it is there.
fn payload(packet: &[u8], header: usize, total: usize) -> Option<&[u8]> {
    let end = match total {
        0 => packet.len(),
        some => some.min(packet.len()),
    };
    packet.get(header..end)
}

fn tcp(source: IpAddr, destination: IpAddr, segment: &[u8]) -> Option<Segment<'_>> {
    let header = usize::from(segment.get(12)? >> 4).checked_mul(4)?;
    if header < 20 {
        return None;
    }
    let flags = *segment.get(13)?;
    Some(Segment {
        source: SocketAddr::new(source, u16_at(segment, 0)?),
        destination: SocketAddr::new(destination, u16_at(segment, 2)?),
        sequence: u32::from_be_bytes(array_at(segment, 4)?),
        closes: flags & 0x01 != 0,
        opens: flags & 0x02 != 0,
        resets: flags & 0x04 != 0,
        acknowledges: flags & 0x10 != 0,
        payload: segment.get(header..)?,
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array_at(bytes, at).map(u16::from_be_bytes)
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}
