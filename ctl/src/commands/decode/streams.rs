//! Putting the segments of TCP connections in order.
//!
//! Segments are kept until the capture ends and are put in order then, so that no order of arrival
//! matters. What is kept is bounded per direction and in all; what is beyond is counted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tvtfleet_proto::device::tvt::explain::{Piece, Sender};

use super::packet::Segment;

/// Bytes kept of one direction of a connection.
pub(super) const DIRECTION_MAX: usize = 32 * 1024 * 1024;
/// Bytes kept of all connections together.
pub(super) const TOTAL_MAX: usize = 256 * 1024 * 1024;
/// Connections kept.
pub(super) const CONNECTIONS_MAX: usize = 10_000;
/// What a segment costs besides its payload.
const SEGMENT_COST: usize = 64;

/// The connections of a capture, in the order of their first segments.
#[derive(Debug)]
pub(super) struct Connections {
    ports: Vec<u16>,
    connections: Vec<Connection>,
    /// The newest connection of each pair of addresses.
    newest: BTreeMap<(SocketAddr, SocketAddr), usize>,
    held: usize,
    arrivals: u64,
    /// Segments of connections beyond [`CONNECTIONS_MAX`].
    pub(super) passed_over: u64,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) device: SocketAddr,
    pub(super) client: SocketAddr,
    /// When its first segment was seen, from the start of the capture.
    pub(super) first_at: Duration,
    from_device: Direction,
    from_client: Direction,
    /// Who closed it first, and whether by a reset.
    pub(super) ended: Option<(Sender, bool)>,
}

#[derive(Debug, Default)]
struct Direction {
    /// The sequence number of the first byte, where the opening segment was seen.
    start: Option<u32>,
    segments: Vec<Held>,
    held: usize,
    omitted: u64,
}

#[derive(Debug)]
struct Held {
    arrival: u64,
    at: Duration,
    sequence: u32,
    bytes: Vec<u8>,
}

impl Connections {
    /// Takes connections to devices on these ports.
    pub(super) fn new(ports: Vec<u16>) -> Self {
        Self {
            ports,
            connections: Vec::new(),
            newest: BTreeMap::new(),
            held: 0,
            arrivals: 0,
            passed_over: 0,
        }
    }

    /// Takes a segment seen at `at`.
    pub(super) fn take(&mut self, at: Duration, segment: &Segment<'_>) {
        let Some(sender) = self.sender(segment) else {
            return;
        };
        let (device, client) = match sender {
            Sender::Device => (segment.source, segment.destination),
            Sender::Client => (segment.destination, segment.source),
        };
        let Some(place) = self.place(at, segment, sender, (device, client)) else {
            self.passed_over = self.passed_over.saturating_add(1);
            return;
        };
        self.arrivals = self.arrivals.saturating_add(1);
        let arrival = self.arrivals;
        let room = TOTAL_MAX.saturating_sub(self.held);
        if let Some(connection) = self.connections.get_mut(place) {
            let kept = connection.take(arrival, at, segment, sender, room);
            self.held = self.held.saturating_add(kept);
        }
    }

    /// Ends the capture.
    pub(super) fn finish(self) -> Vec<Connection> {
        self.connections
    }

    /// Who sent a segment; `None` where it is not to or from a device.
    fn sender(&self, segment: &Segment<'_>) -> Option<Sender> {
        let from = self.ports.contains(&segment.source.port());
        let to = self.ports.contains(&segment.destination.port());
        match (from, to) {
            (true, false) => Some(Sender::Device),
            (false, true) => Some(Sender::Client),
            (false, false) => None,
            // Both ports are such: whoever opened it is the client.
            (true, true) => {
                let known = self
                    .newest
                    .contains_key(&(segment.source, segment.destination));
                Some(if known || (segment.opens && segment.acknowledges) {
                    Sender::Device
                } else {
                    Sender::Client
                })
            }
        }
    }

    /// The connection that a segment belongs to, perhaps a new one.
    fn place(
        &mut self,
        at: Duration,
        segment: &Segment<'_>,
        sender: Sender,
        pair: (SocketAddr, SocketAddr),
    ) -> Option<usize> {
        let known = self.newest.get(&pair).copied();
        let reopened = segment.opens
            && known
                .and_then(|place| self.connections.get(place))
                .is_some_and(|known| !known.direction(sender).may_begin_at(first_byte(segment)));
        if let Some(place) = known.filter(|_| !reopened) {
            return Some(place);
        }
        let place = self.connections.len();
        if place >= CONNECTIONS_MAX {
            return None;
        }
        self.newest.insert(pair, place);
        self.connections.push(Connection {
            device: pair.0,
            client: pair.1,
            first_at: at,
            from_device: Direction::default(),
            from_client: Direction::default(),
            ended: None,
        });
        Some(place)
    }
}

impl Connection {
    /// Whether nothing was sent before the first bytes of the pieces.
    pub(super) const fn is_from_the_start(&self) -> bool {
        self.from_device.start.is_some()
    }

    /// Bytes that were not kept.
    pub(super) const fn omitted(&self) -> u64 {
        self.from_device
            .omitted
            .saturating_add(self.from_client.omitted)
    }

    /// Whether anything was said.
    pub(super) const fn is_silent(&self) -> bool {
        self.from_device.segments.is_empty() && self.from_client.segments.is_empty()
    }

    /// The bytes of both directions in the order in which they could be read.
    pub(super) fn pieces(&self) -> Vec<Piece<'_>> {
        let mut runs = self.from_device.in_order(Sender::Device);
        runs.extend(self.from_client.in_order(Sender::Client));
        runs.sort_by_key(|(arrival, _)| *arrival);
        runs.into_iter().map(|(_, piece)| piece).collect()
    }

    /// Keeps a segment; returns what it costs.
    fn take(
        &mut self,
        arrival: u64,
        at: Duration,
        segment: &Segment<'_>,
        sender: Sender,
        room: usize,
    ) -> usize {
        if self.ended.is_none() && (segment.closes || segment.resets) {
            self.ended = Some((sender, segment.resets));
        }
        let direction = match sender {
            Sender::Device => &mut self.from_device,
            Sender::Client => &mut self.from_client,
        };
        let sequence = first_byte(segment);
        if segment.opens {
            direction.start.get_or_insert(sequence);
        }
        if segment.payload.is_empty() {
            return 0;
        }
        let cost = segment.payload.len().saturating_add(SEGMENT_COST);
        let left = room.min(DIRECTION_MAX.saturating_sub(direction.held));
        if cost > left {
            let bytes = u64::try_from(segment.payload.len()).unwrap_or(u64::MAX);
            direction.omitted = direction.omitted.saturating_add(bytes);
            return 0;
        }
        direction.held = direction.held.saturating_add(cost);
        direction.segments.push(Held {
            arrival,
            at,
            sequence,
            bytes: segment.payload.to_vec(),
        });
        cost
    }

    const fn direction(&self, sender: Sender) -> &Direction {
        match sender {
            Sender::Device => &self.from_device,
            Sender::Client => &self.from_client,
        }
    }
}

/// The sequence number of the byte behind an opening segment's own, or of the payload.
const fn first_byte(segment: &Segment<'_>) -> u32 {
    if segment.opens {
        segment.sequence.wrapping_add(1)
    } else {
        segment.sequence
    }
}

impl Direction {
    /// Whether an opening segment fits to what is known; else the addresses are used again.
    fn may_begin_at(&self, first: u32) -> bool {
        match self.start {
            Some(start) => start == first,
            None => self.segments.iter().all(|held| {
                let offset = held.sequence.wrapping_sub(first);
                usize::try_from(offset).is_ok_and(|offset| offset <= DIRECTION_MAX)
            }),
        }
    }

    /// The bytes in order, each run with the arrival of the segment that made it readable.
    fn in_order(&self, sender: Sender) -> Vec<(u64, Piece<'_>)> {
        let Some(reference) = self
            .start
            .or(self.segments.first().map(|held| held.sequence))
        else {
            return Vec::new();
        };
        // Sequence numbers wrap; what is kept is far less than half of their range.
        let offset = |held: &Held| i64::from(held.sequence.wrapping_sub(reference).cast_signed());
        let mut order: Vec<(i64, &Held)> = self
            .segments
            .iter()
            .map(|held| (offset(held), held))
            .collect();
        order.sort_by_key(|(offset, held)| (*offset, held.arrival));
        let first = order.first().map_or(0, |(offset, _)| *offset);
        let mut next = if self.start.is_some() { 0 } else { first };
        let (mut arrival, mut at) = (0, Duration::ZERO);
        let mut runs = Vec::new();
        for (offset, held) in order {
            let length = i64::try_from(held.bytes.len()).unwrap_or(i64::MAX);
            let end = offset.saturating_add(length);
            if end <= next {
                continue;
            }
            let known = usize::try_from(next.saturating_sub(offset)).unwrap_or(0);
            arrival = held.arrival.max(arrival);
            at = held.at.max(at);
            let piece = Piece {
                sender,
                at: Some(at),
                missing: u64::try_from(offset.saturating_sub(next)).unwrap_or(0),
                bytes: held.bytes.get(known..).unwrap_or_default(),
            };
            runs.push((arrival, piece));
            next = end;
        }
        runs
    }
}
