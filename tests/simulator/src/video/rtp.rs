//! Units of video as RTP packets inside an RTSP connection.

use super::spec::VideoCodec;
use crate::picture::{Scene, tables};

/// Bytes of a packet's payload.
const PAYLOAD: usize = 1400;

/// The packets of one frame, each with what frames it in the connection.
pub(super) struct Packets {
    sequence: u16,
    timestamp: u32,
    kind: u8,
}

impl Packets {
    pub(super) const fn new(codec: VideoCodec) -> Self {
        let kind = match codec {
            VideoCodec::Jpeg => 26,
            VideoCodec::H264 | VideoCodec::H265 => 96,
        };
        Self {
            sequence: 0,
            timestamp: 0,
            kind,
        }
    }

    /// The units of a frame of H.264 or H.265; large ones in fragments (RFC 6184, RFC 7798).
    pub(super) fn units(&mut self, codec: VideoCodec, units: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, unit) in units.iter().enumerate() {
            let last = number + 1 == units.len();
            if unit.len() <= PAYLOAD {
                self.packet(&mut out, last, unit);
                continue;
            }
            let (head, rest, kind) = match (codec, unit.as_slice()) {
                (VideoCodec::H265, [first, second, rest @ ..]) => {
                    let head = vec![first & 0x81 | 49 << 1, *second];
                    (head, rest, first >> 1 & 0x3F)
                }
                (_, [first, rest @ ..]) => (vec![first & 0xE0 | 28], rest, first & 0x1F),
                _ => continue,
            };
            let count = rest.len().div_ceil(PAYLOAD);
            for (place, piece) in rest.chunks(PAYLOAD).enumerate() {
                let start = u8::from(place == 0) << 7;
                let end = u8::from(place + 1 == count) << 6;
                let payload = [&head, &[start | end | kind][..], piece].concat();
                self.packet(&mut out, last && place + 1 == count, &payload);
            }
        }
        self.timestamp = self.timestamp.wrapping_add(3600);
        out
    }

    /// Pieces out of the middle of a key frame's picture; the first ones begin it.
    pub(super) fn pieces(&mut self, codec: VideoCodec, begins: bool) -> Vec<u8> {
        let mut out = Vec::new();
        for place in 0..50 {
            let start = u8::from(begins && place == 0) << 7;
            let head = match codec {
                VideoCodec::H265 => vec![49 << 1, 1, start | 19],
                VideoCodec::H264 | VideoCodec::Jpeg => vec![0x60 | 28, start | 5],
            };
            self.packet(&mut out, false, &[head, vec![0x55; PAYLOAD]].concat());
        }
        out
    }

    /// A JPEG picture's entropy-coded part, with the tables in the first packet (RFC 2435).
    pub(super) fn jpeg(&mut self, scan: &[u8]) -> Vec<u8> {
        let eighths = |pixels: usize| u8::try_from(pixels / 8).unwrap_or(0);
        let size = [eighths(Scene::width()), eighths(Scene::height())];
        let mut out = Vec::new();
        let count = scan.len().div_ceil(PAYLOAD);
        let mut offset = 0_usize;
        for (place, piece) in scan.chunks(PAYLOAD).enumerate() {
            let at = u32::try_from(offset).unwrap_or(0).to_be_bytes();
            let mut payload = vec![0];
            payload.extend_from_slice(at.get(1..).unwrap_or_default());
            payload.extend([1, 255]);
            payload.extend(size);
            if place == 0 {
                payload.extend([0, 0, 0, 128]);
                payload.extend(tables());
            }
            payload.extend_from_slice(piece);
            self.packet(&mut out, place + 1 == count, &payload);
            offset += piece.len();
        }
        self.timestamp = self.timestamp.wrapping_add(3600);
        out
    }

    fn packet(&mut self, out: &mut Vec<u8>, marker: bool, payload: &[u8]) {
        self.sequence = self.sequence.wrapping_add(1);
        let length = u16::try_from(payload.len() + 12).unwrap_or(u16::MAX);
        out.extend([b'$', 0]);
        out.extend(length.to_be_bytes());
        out.extend([0x80, u8::from(marker) << 7 | self.kind]);
        out.extend(self.sequence.to_be_bytes());
        out.extend(self.timestamp.to_be_bytes());
        out.extend(0x5456_5401_u32.to_be_bytes());
        out.extend_from_slice(payload);
    }
}
