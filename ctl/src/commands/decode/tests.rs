use std::net::SocketAddr;
use std::time::Duration;

use pcap_parser::Linktype;
use proptest::prelude::*;
use tvtfleet_proto::device::tvt::explain::Sender;

use super::capture;
use super::packet::{self, Segment};
use super::streams::{Connections, DIRECTION_MAX};

fn device() -> SocketAddr {
    "10.0.0.9:6036".parse().unwrap()
}

fn client() -> SocketAddr {
    "10.0.0.5:50000".parse().unwrap()
}

fn segment(sender: Sender, sequence: u32, payload: &[u8]) -> Segment<'_> {
    let (source, destination) = match sender {
        Sender::Device => (device(), client()),
        Sender::Client => (client(), device()),
    };
    Segment {
        source,
        destination,
        sequence,
        opens: false,
        acknowledges: true,
        closes: false,
        resets: false,
        payload,
    }
}

fn opening(sender: Sender, sequence: u32) -> Segment<'static> {
    Segment {
        opens: true,
        acknowledges: sender == Sender::Device,
        ..segment(sender, sequence, &[])
    }
}

/// The bytes of one sender, and how many are missing.
fn stream(connections: Connections, sender: Sender) -> (Vec<u8>, u64) {
    let found = connections.finish();
    assert_eq!(found.len(), 1);
    let pieces = found[0].pieces();
    let own = || pieces.iter().filter(|piece| piece.sender == sender);
    (
        own().flat_map(|piece| piece.bytes.to_vec()).collect(),
        own().map(|piece| piece.missing).sum(),
    )
}

fn connections() -> Connections {
    Connections::new(vec![6036])
}

proptest! {
    /// Cuts a stream into overlapping segments, shuffles and repeats them.
    #[test]
    fn any_segmentation_and_order_gives_the_same_streams(
        bytes in prop::collection::vec(any::<u8>(), 1..400),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40), 0..12),
        order in prop::collection::vec(any::<u32>(), 40),
        initial in any::<u32>(),
        is_opened in any::<bool>(),
    ) {
        let mut starts: Vec<usize> = cuts.iter().map(|(cut, _)| cut.index(bytes.len())).collect();
        starts.extend([0, bytes.len()]);
        starts.sort_unstable();
        let first = initial.wrapping_add(1);
        let mut segments = Vec::new();
        for (place, pair) in starts.windows(2).enumerate() {
            let overlap = cuts.get(place).map_or(0, |(_, overlap)| *overlap);
            let end = (pair[1] + overlap).min(bytes.len());
            let sequence = first.wrapping_add(u32::try_from(pair[0]).unwrap());
            segments.push(segment(Sender::Device, sequence, &bytes[pair[0]..end]));
            if overlap % 3 == 0 {
                segments.push(segment(Sender::Device, sequence, &bytes[pair[0]..pair[1]]));
            }
        }
        if is_opened {
            segments.push(opening(Sender::Device, initial));
        }
        let mut shuffled: Vec<_> = order.iter().cycle().zip(segments).collect();
        shuffled.sort_by_key(|(key, _)| **key);
        let mut connections = connections();
        for (_, segment) in &shuffled {
            connections.take(Duration::ZERO, segment);
        }
        prop_assert_eq!(stream(connections, Sender::Device), (bytes, 0));
    }

    #[test]
    fn lost_segments_are_counted_and_nothing_else_changes(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 3..8),
        lost in any::<prop::sample::Index>(),
    ) {
        // The last segment cannot be missed by anybody.
        let lost = lost.index(parts.len() - 1);
        let mut connections = connections();
        connections.take(Duration::ZERO, &opening(Sender::Device, 99));
        let mut sequence = 100_u32;
        for (place, part) in parts.iter().enumerate() {
            if place != lost {
                connections.take(Duration::ZERO, &segment(Sender::Device, sequence, part));
            }
            sequence += u32::try_from(part.len()).unwrap();
        }
        let kept: Vec<u8> =
            parts.iter().enumerate().filter(|(place, _)| *place != lost).flat_map(|(_, part)| part.clone()).collect();
        let missing = u64::try_from(parts[lost].len()).unwrap();
        prop_assert_eq!(stream(connections, Sender::Device), (kept, missing));
    }

    #[test]
    fn any_packet_and_any_capture_is_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        magic in prop::sample::select(vec![
            &[0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0][..],
            &[0xA1, 0xB2, 0x3C, 0x4D, 0, 2, 0, 4][..],
            &[10, 13, 13, 10, 28, 0, 0, 0, 0x4D, 0x3C, 0x2B, 0x1A, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 28, 0, 0, 0][..],
            &[][..],
        ]),
    ) {
        for link in [0, 1, 12, 101, 108, 113, 228, 229, 276, 147] {
            let _ = packet::segment(Linktype(link), &bytes);
        }
        let file = [magic, &bytes].concat();
        let _ = capture::read(file.as_slice(), &mut connections());
    }
}

#[test]
fn directions_are_merged_as_they_were_seen() {
    let mut connections = connections();
    let seconds = Duration::from_secs;
    for (at, segment) in [
        (0, opening(Sender::Client, 9)),
        (1, opening(Sender::Device, 19)),
        (2, segment(Sender::Device, 22, b"c")),
        (3, segment(Sender::Client, 10, b"x")),
        (4, segment(Sender::Device, 20, b"ab")),
        (5, segment(Sender::Client, 11, b"y")),
    ] {
        connections.take(seconds(at), &segment);
    }
    let found = connections.finish();
    let pieces: Vec<_> = found[0]
        .pieces()
        .iter()
        .map(|piece| {
            (
                piece.sender,
                piece.at.unwrap().as_secs(),
                piece.bytes.to_vec(),
            )
        })
        .collect();
    let expected = [
        (Sender::Client, 3, b"x".to_vec()),
        (Sender::Device, 4, b"ab".to_vec()),
        (Sender::Device, 4, b"c".to_vec()),
        (Sender::Client, 5, b"y".to_vec()),
    ];
    assert_eq!(pieces, expected, "what came early could be read only later");
    assert!(found[0].is_from_the_start());
}

#[test]
fn used_again_addresses_are_another_connection() {
    let mut connections = connections();
    for (sequence, payload) in [(9, b"old"), (5000, b"new")] {
        connections.take(Duration::ZERO, &opening(Sender::Client, sequence));
        connections.take(Duration::ZERO, &opening(Sender::Client, sequence));
        connections.take(
            Duration::ZERO,
            &segment(Sender::Client, sequence + 1, payload),
        );
    }
    let found = connections.finish();
    let bytes: Vec<_> = found.iter().map(|one| one.pieces()[0].bytes).collect();
    assert_eq!(bytes, [b"old", b"new"]);
}

#[test]
fn other_ports_are_passed_over_and_either_side_may_have_the_port() {
    let mut connections = Connections::new(vec![6036, 9008]);
    let other = Segment {
        source: "10.0.0.9:80".parse().unwrap(),
        ..segment(Sender::Device, 1, b"x")
    };
    connections.take(Duration::ZERO, &other);
    let both = |opens, acknowledges| Segment {
        source: "10.0.0.5:9008".parse().unwrap(),
        opens,
        acknowledges,
        ..segment(Sender::Client, 1, b"x")
    };
    connections.take(Duration::ZERO, &both(true, false));
    connections.take(Duration::ZERO, &both(false, true));
    let found = connections.finish();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].device.port(), found[0].client.port()),
        (6036, 9008)
    );
}

#[test]
fn what_is_kept_is_bounded() {
    let mut connections = connections();
    let large = vec![0; 60_000];
    let mut sequence = 1_u32;
    let mut sent = 0_u64;
    while sent < u64::try_from(DIRECTION_MAX).unwrap() + 1_000_000 {
        connections.take(Duration::ZERO, &segment(Sender::Device, sequence, &large));
        sequence = sequence.wrapping_add(60_000);
        sent += 60_000;
    }
    let found = connections.finish();
    let kept: usize = found[0]
        .pieces()
        .iter()
        .map(|piece| piece.bytes.len())
        .sum();
    assert!(kept <= DIRECTION_MAX);
    assert_eq!(u64::try_from(kept).unwrap() + found[0].omitted(), sent);
}
