//! The layout of a segment: a header, then records.
//!
//! ```text
//! segment  magic "TVTSPL01" (8)  epoch (16)  record*
//! record   length u32  sequence u64  crc32 u32  payload (length bytes)
//! ```
//!
//! Numbers are little-endian. The checksum covers length, sequence and payload.

use std::ops::Range;

use tvtfleet_proto::model::id::{Epoch, Sequence};

const MAGIC: &[u8; 8] = b"TVTSPL01";
/// What the magics of all versions have in common.
const MAGIC_FAMILY: &[u8] = b"TVTSPL";
/// Bytes before the first record.
pub(super) const SEGMENT_HEADER: usize = 24;
/// Bytes of a record before its payload.
pub(super) const RECORD_HEADER: usize = 16;
/// The largest payload: twice the largest message, for whoever writes it.
pub(super) const PAYLOAD_MAX: usize = 1024 * 1024;

/// The first bytes of a segment.
pub(super) fn segment_header(epoch: Epoch) -> [u8; SEGMENT_HEADER] {
    let mut header = [0; SEGMENT_HEADER];
    let (magic, rest) = header.split_at_mut(MAGIC.len());
    magic.copy_from_slice(MAGIC);
    rest.copy_from_slice(epoch.uuid().as_bytes());
    header
}

/// Why a segment's header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHeader {
    Damaged,
    Newer,
}

/// Reads the epoch of a segment.
pub(super) fn read_header(bytes: &[u8]) -> Result<Epoch, BadHeader> {
    let (magic, rest) = bytes.split_first_chunk::<8>().ok_or(BadHeader::Damaged)?;
    if magic != MAGIC {
        let newer = magic.starts_with(MAGIC_FAMILY);
        return Err(if newer {
            BadHeader::Newer
        } else {
            BadHeader::Damaged
        });
    }
    let epoch = rest.first_chunk::<16>().ok_or(BadHeader::Damaged)?;
    Ok(Epoch::new(uuid::Uuid::from_bytes(*epoch)))
}

/// The bytes of a record.
pub(super) fn encode(sequence: Sequence, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(RECORD_HEADER.saturating_add(payload.len()));
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&sequence.0.to_le_bytes());
    bytes.extend_from_slice(&checksum(length, sequence, payload).to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// The fields of a record before its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) length: usize,
    pub(super) sequence: Sequence,
    crc: u32,
}

impl RecordHeader {
    /// Reads a header; `None` where there are too few bytes, or the length is impossible.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let crc = rest.first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        (length <= PAYLOAD_MAX).then_some(Self {
            length,
            sequence: Sequence(u64::from_le_bytes(*sequence)),
            crc: u32::from_le_bytes(*crc),
        })
    }

    /// Whether a payload is the one that was written.
    pub(super) fn fits(&self, payload: &[u8]) -> bool {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        payload.len() == self.length && checksum(length, self.sequence, payload) == self.crc
    }
}

fn checksum(length: u32, sequence: Sequence, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(&sequence.0.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// What is in the records of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// The records that can be read, in order, with the place of their payload.
    pub(super) records: Vec<(Sequence, Range<usize>)>,
    /// Whether something before the last readable record cannot be read.
    pub(super) holes: bool,
    /// Where what follows the last readable record begins, if anything does.
    pub(super) torn: Option<usize>,
}

/// How far a sequence number may be ahead of the one before it, to be believed behind damage.
const AHEAD_MAX: u64 = 1 << 20;

/// Reads all records of a segment's bytes. Sequence numbers must grow.
///
/// Behind damage the next record is looked for byte by byte: a damaged length says nothing about where
/// it begins.
pub(super) fn scan(bytes: &[u8]) -> Scan {
    let mut scan = Scan::default();
    let mut at = SEGMENT_HEADER;
    // Where unreadable bytes began, while no later record has been found.
    let mut bad_from = None;
    while at < bytes.len() {
        let last = scan.records.last().map(|(last, _)| *last);
        if let Some((sequence, place)) = record_at(bytes, at, last, bad_from.is_some()) {
            scan.holes |= bad_from.take().is_some();
            at = place.end;
            scan.records.push((sequence, place));
        } else {
            bad_from = bad_from.or(Some(at));
            at = at.saturating_add(1);
        }
    }
    scan.torn = bad_from;
    scan
}

/// The whole record at an offset, with the place of its payload.
fn record_at(
    bytes: &[u8],
    at: usize,
    last: Option<Sequence>,
    searching: bool,
) -> Option<(Sequence, Range<usize>)> {
    let header = RecordHeader::read(bytes.get(at..)?)?;
    let before = last.map_or(0, |last| last.0);
    let ahead = header.sequence.0.checked_sub(before)?;
    // The first number of a segment is anything.
    if ahead == 0 || (searching && last.is_some() && ahead > AHEAD_MAX) {
        return None;
    }
    let start = at.saturating_add(RECORD_HEADER);
    let place = start..start.saturating_add(header.length);
    let payload = bytes.get(place.clone())?;
    header.fits(payload).then_some((header.sequence, place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segment(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = segment_header(Epoch::new(uuid::Uuid::from_u128(7))).to_vec();
        for (number, payload) in (1..).zip(payloads) {
            bytes.extend(encode(Sequence(number), payload));
        }
        bytes
    }

    #[test]
    fn headers_tell_versions_from_damage() {
        let epoch = Epoch::new(uuid::Uuid::from_u128(7));
        assert_eq!(read_header(&segment_header(epoch)), Ok(epoch));
        assert_eq!(
            read_header(b"TVTSPL02aaaaaaaaaaaaaaaa"),
            Err(BadHeader::Newer)
        );
        assert_eq!(
            read_header(b"rubbishrubbishrubbishrub"),
            Err(BadHeader::Damaged)
        );
        assert_eq!(read_header(b""), Err(BadHeader::Damaged));
    }

    proptest! {
        #[test]
        fn whole_segments_read_back(payloads in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..60), 0..20)) {
            let bytes = segment(&payloads);
            let scan = scan(&bytes);
            prop_assert_eq!((scan.holes, scan.torn), (false, None));
            let read: Vec<_> = scan.records.iter().map(|(_, place)| bytes[place.clone()].to_vec()).collect();
            prop_assert_eq!(read, payloads);
        }

        #[test]
        fn a_cut_loses_the_last_record_only(payloads in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..60), 1..20), cut in 1_usize..16) {
            let bytes = segment(&payloads);
            let bytes = &bytes[..bytes.len() - cut];
            let scan = scan(bytes);
            prop_assert!(!scan.holes);
            prop_assert!(scan.torn.is_some() || bytes.len() == segment(&payloads[..payloads.len() - 1]).len());
            prop_assert_eq!(scan.records.len(), payloads.len() - 1);
        }

        #[test]
        fn one_flipped_bit_in_a_payload_loses_one_record(payloads in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 1..60), 1..20), which in any::<usize>(), bit in 0_u8..8) {
            let mut bytes = segment(&payloads);
            let which = which % payloads.len();
            let place = scan(&bytes).records[which].1.clone();
            bytes[place.start] ^= 1 << bit;
            let scan = scan(&bytes);
            prop_assert_eq!(scan.records.len(), payloads.len() - 1);
            prop_assert!(scan.records.iter().all(|(number, _)| usize::try_from(number.0).unwrap() != which + 1));
            prop_assert_eq!(scan.holes, which + 1 < payloads.len());
            prop_assert_eq!(scan.torn.is_some(), which + 1 == payloads.len());
        }

        #[test]
        fn one_flipped_bit_anywhere_loses_one_record(payloads in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 1..60), 1..20), at in any::<usize>(), bit in 0_u8..8) {
            let mut bytes = segment(&payloads);
            let length = bytes.len() - SEGMENT_HEADER;
            bytes[SEGMENT_HEADER + at % length] ^= 1 << bit;
            prop_assert_eq!(scan(&bytes).records.len(), payloads.len() - 1);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = (scan(&bytes), read_header(&bytes));
        }
    }
}
