//! ICMP echo: asking whether a host is alive.

use std::io;
use std::net::Ipv4Addr;

use socket2::{Domain, Protocol, Type};
use tokio::net::UdpSocket;

use super::sockets::{self, Trouble};

const REQUEST: u8 = 8;
const REPLY: u8 = 0;
/// Marks our own requests: two bytes of the seed, and this text.
const TEXT: &[u8; 8] = b"tvtfleet";
const IPV4: u8 = 4;

/// A socket for echo requests.
#[derive(Debug)]
pub(crate) struct Echo {
    pub(crate) socket: UdpSocket,
    id: u16,
    /// Whether the kernel gives the IP header as well, and lets us choose the id.
    raw: bool,
}

impl Echo {
    /// Opens an unprivileged ping socket, or a raw one. Neither may be allowed.
    pub(crate) fn open(bind: Option<Ipv4Addr>, id: u16) -> Result<Self, Trouble> {
        let open = |kind| sockets::datagram(Domain::IPV4, kind, Some(Protocol::ICMPV4), bind);
        match open(Type::DGRAM) {
            Ok(socket) => Ok(Self {
                socket,
                id,
                raw: false,
            }),
            Err(_) => open(Type::RAW).map(|socket| Self {
                socket,
                id,
                raw: true,
            }),
        }
    }

    pub(crate) fn try_send(&self, to: Ipv4Addr, sequence: u16) -> io::Result<usize> {
        let request = request(self.id, sequence);
        self.socket.try_send_to(&request, (to, 0).into())
    }

    /// The sequence number of a datagram from this socket that is an answer to us.
    pub(crate) fn reply(&self, datagram: &[u8]) -> Option<u16> {
        let message = if self.raw {
            payload(datagram)
        } else {
            Some(datagram)
        };
        reply(message?, self.raw.then_some(self.id))
    }
}

fn request(id: u16, sequence: u16) -> [u8; 16] {
    let mut packet = [0; 16];
    let fields = [
        &[REQUEST, 0, 0, 0],
        id.to_be_bytes().as_slice(),
        sequence.to_be_bytes().as_slice(),
        TEXT,
    ]
    .concat();
    for (to, from) in packet.iter_mut().zip(fields) {
        *to = from;
    }
    let [high, low] = checksum(&packet).to_be_bytes();
    let [_, _, a, b, ..] = &mut packet;
    (*a, *b) = (high, low);
    packet
}

/// The ones' complement sum of RFC 792.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        if let [high, rest @ ..] = pair {
            let low = rest.first().copied().unwrap_or(0);
            sum = sum.saturating_add(u32::from(u16::from_be_bytes([*high, low])));
        }
    }
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

fn reply(message: &[u8], id: Option<u16>) -> Option<u16> {
    // A raw socket hears every other message too.
    let [REPLY, 0, _, _, high, low, first, second, text @ ..] = message else {
        return None;
    };
    let is_ours = id.is_none_or(|id| id == u16::from_be_bytes([*high, *low])) && text == TEXT;
    is_ours.then(|| u16::from_be_bytes([*first, *second]))
}

/// What follows the IP header.
fn payload(packet: &[u8]) -> Option<&[u8]> {
    let first = packet.first()?;
    if first >> 4 != IPV4 {
        return None;
    }
    packet.get(usize::from(first & 0x0F) * 4..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_a_right_checksum_and_only_our_replies_count() {
        let mut packet = request(0x1234, 0x0506);
        assert_eq!(checksum(&packet), 0);
        assert_eq!(reply(&packet, None), None);
        packet[0] = REPLY;
        assert_eq!(reply(&packet, Some(0x1234)), Some(0x0506));
        assert_eq!(reply(&packet, None), Some(0x0506));
        assert_eq!(reply(&packet, Some(1)), None);
        assert_eq!(reply(&packet[..15], None), None);
    }

    #[test]
    fn the_ip_header_of_raw_sockets_is_skipped() {
        let mut packet = vec![0x46; 24];
        packet.extend(request(7, 1));
        assert_eq!(payload(&packet), Some(request(7, 1).as_slice()));
        assert_eq!(payload(&[0x60; 40]), None);
        assert_eq!(payload(&[0x4F, 0]), None);
    }
}
