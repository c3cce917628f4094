//! Reading capture files: pcap in all its byte orders, and pcapng.

use std::io::Read;
use std::time::Duration;

use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};

use super::packet;
use super::streams::Connections;

/// Bytes of the reader's buffer at first.
const BUFFER: usize = 256 * 1024;
/// The largest block of a capture that is read, in bytes.
const BLOCK_MAX: usize = 4 * 1024 * 1024;
/// Interfaces of one capture.
const INTERFACES_MAX: usize = 256;

/// What a capture held besides the connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Packets read.
    pub(super) packets: u64,
    /// Packets of a link type that cannot be read.
    pub(super) unknown_link: u64,
    /// One such link type.
    pub(super) link: Option<i32>,
    /// Whether the file ends in the middle of a packet.
    pub(super) is_cut: bool,
}

/// Whether bytes begin like a capture.
pub(super) fn is_capture(head: &[u8]) -> bool {
    const MAGICS: [[u8; 4]; 7] = [
        [0xA1, 0xB2, 0xC3, 0xD4],
        [0xD4, 0xC3, 0xB2, 0xA1],
        [0xA1, 0xB2, 0x3C, 0x4D],
        [0x4D, 0x3C, 0xB2, 0xA1],
        [0xA1, 0xB2, 0xCD, 0x34],
        [0x34, 0xCD, 0xB2, 0xA1],
        [0x0A, 0x0D, 0x0D, 0x0A],
    ];
    MAGICS.iter().any(|magic| head.starts_with(magic))
}

/// Reads a capture to its end and hands over its TCP segments. A file that was cut off while it was
/// written is read as far as it goes.
///
/// # Errors
///
/// A text that says what is wrong with the file.
pub(super) fn read(
    source: impl Read + Send,
    connections: &mut Connections,
) -> Result<Tally, String> {
    let mut reader = create_reader(BUFFER, source).map_err(|error| reason(&error))?;
    let mut packets = Packets::default();
    let mut size = BUFFER;
    loop {
        let step = match reader.next() {
            Ok((length, block)) => {
                packets.take(block, connections);
                Step::Consume(length)
            }
            Err(PcapError::Eof) => Step::End,
            Err(PcapError::UnexpectedEof) => {
                packets.tally.is_cut = true;
                Step::End
            }
            Err(PcapError::Incomplete(_)) => Step::Refill,
            Err(PcapError::BufferTooSmall) => Step::Grow,
            Err(error) => return Err(reason(&error)),
        };
        match step {
            Step::Consume(length) => reader.consume(length),
            Step::Refill => {
                let before = reader.data().len();
                reader.refill().map_err(|error| reason(&error))?;
                if reader.data().len() == before && !reader.reader_exhausted() {
                    // The buffer is full and the block is longer.
                    size = grown(&mut *reader, size)?;
                }
            }
            Step::Grow => {
                size = grown(&mut *reader, size)?;
                reader.refill().map_err(|error| reason(&error))?;
            }
            Step::End => return Ok(packets.tally),
        }
    }
}

/// Doubles the reader's buffer.
fn grown(reader: &mut dyn PcapReaderIterator, size: usize) -> Result<usize, String> {
    let size = size.saturating_mul(2);
    if size > BLOCK_MAX || !reader.grow(size) {
        return Err(format!("a block has more than {BLOCK_MAX} bytes"));
    }
    Ok(size)
}

enum Step {
    Consume(usize),
    Refill,
    Grow,
    End,
}

/// What an error of the reader means; its own text holds the bytes that it could not read.
fn reason(error: &PcapError<&[u8]>) -> String {
    match error {
        PcapError::Eof | PcapError::UnexpectedEof | PcapError::Incomplete(_) => {
            "it ends before its first packet"
        }
        PcapError::ReadError => "it cannot be read",
        PcapError::HeaderNotRecognized => "it has no header of a capture",
        PcapError::BufferTooSmall => "a block is too large",
        PcapError::NomError(..) | PcapError::OwnedNomError(..) => "a block is damaged",
    }
    .to_owned()
}

#[derive(Default)]
struct Packets {
    tally: Tally,
    interfaces: Vec<Interface>,
    first: Option<Duration>,
}

#[derive(Clone, Copy)]
struct Interface {
    link: Linktype,
    /// Units of time per second.
    resolution: u64,
}

impl Packets {
    fn take(&mut self, block: PcapBlockOwned<'_>, connections: &mut Connections) {
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                let resolution = if header.is_nanosecond_precision() {
                    1_000_000_000
                } else {
                    1_000_000
                };
                self.interfaces = vec![Interface {
                    link: header.network,
                    resolution,
                }];
            }
            PcapBlockOwned::Legacy(packet) => {
                let Some(interface) = self.interfaces.first().copied() else {
                    return;
                };
                let fraction = since(u64::from(packet.ts_usec), interface.resolution);
                let at = Duration::from_secs(packet.ts_sec.into()).saturating_add(fraction);
                let length = usize::try_from(packet.caplen).unwrap_or(usize::MAX);
                let bytes = packet.data.get(..length).unwrap_or(packet.data);
                self.packet(interface.link, at, bytes, connections);
            }
            PcapBlockOwned::NG(Block::SectionHeader(_)) => self.interfaces.clear(),
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                if self.interfaces.len() < INTERFACES_MAX {
                    let resolution = interface.ts_resolution().filter(|units| *units != 0);
                    self.interfaces.push(Interface {
                        link: interface.linktype,
                        resolution: resolution.unwrap_or(1_000_000),
                    });
                }
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let place = usize::try_from(packet.if_id).unwrap_or(usize::MAX);
                let Some(interface) = self.interfaces.get(place).copied() else {
                    return;
                };
                let units = (u64::from(packet.ts_high) << 32) | u64::from(packet.ts_low);
                let length = usize::try_from(packet.caplen).unwrap_or(usize::MAX);
                let bytes = packet.data.get(..length).unwrap_or(packet.data);
                self.packet(
                    interface.link,
                    since(units, interface.resolution),
                    bytes,
                    connections,
                );
            }
            PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
                let Some(interface) = self.interfaces.first().copied() else {
                    return;
                };
                let length = usize::try_from(packet.origlen).unwrap_or(usize::MAX);
                let bytes = packet.data.get(..length).unwrap_or(packet.data);
                let at = self.first.unwrap_or_default();
                self.packet(interface.link, at, bytes, connections);
            }
            // Names, statistics, secrets and the like.
            PcapBlockOwned::NG(_) => {}
        }
    }

    fn packet(
        &mut self,
        link: Linktype,
        at: Duration,
        bytes: &[u8],
        connections: &mut Connections,
    ) {
        self.tally.packets = self.tally.packets.saturating_add(1);
        let first = *self.first.get_or_insert(at);
        if !packet::is_known(link) {
            self.tally.unknown_link = self.tally.unknown_link.saturating_add(1);
            self.tally.link = Some(link.0);
            return;
        }
        if let Some(segment) = packet::segment(link, bytes) {
            connections.take(at.saturating_sub(first), &segment);
        }
    }
}

/// A number of units as a span; `resolution` is not 0.
fn since(units: u64, resolution: u64) -> Duration {
    let seconds = units.checked_div(resolution).unwrap_or(0);
    let rest = u128::from(units.checked_rem(resolution).unwrap_or(0));
    let nanos = rest
        .saturating_mul(1_000_000_000)
        .checked_div(resolution.into())
        .unwrap_or(0);
    Duration::from_secs(seconds)
        .saturating_add(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)))
}
