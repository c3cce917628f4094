//! How much an RTSP server says: counted before a client library collects it.
//!
//! The library keeps an answer until it is whole, and a frame until its last packet: it has no bound of
//! its own. This looks at the same bytes, and says when an answer, a frame or the whole conversation is
//! longer than allowed. Where a server manages to be read differently here and there, the bound on the
//! whole stands.

use crate::device::http::Trouble;
use crate::error::ErrorCode;

use super::greeting::HEAD_MAX;

/// Bytes of an answer's body: descriptions have a few hundred.
pub const BODY_MAX: usize = 64 * 1024;
/// What packets add to a frame: one part in sixteen, and room for small ones.
const PACKETS: usize = 64 * 1024;
/// What may go by before a key frame comes, in bytes: 10 seconds of 24 Mbit/s.
pub const PASSING_MAX: u64 = 32 * 1024 * 1024;

/// The first byte of a packet between answers, and the bytes before its content.
const DOLLAR: u8 = b'$';
const PACKET_HEAD: usize = 4;
/// What is read of a packet's content: marker and time.
const RTP_HEAD: usize = 8;

/// Counts what a server says.
#[derive(Debug)]
pub struct Meter {
    state: State,
    frame_max: usize,
    total_max: u64,
    total: u64,
    /// Bytes of the frame that is coming.
    frame: usize,
    /// The time that its packets have.
    time: Option<[u8; 4]>,
}

#[derive(Debug)]
enum State {
    /// Before an answer or a packet.
    Between,
    /// In the head of an answer: the line so far, all bytes so far, and the length of the body.
    Head {
        line: Vec<u8>,
        bytes: usize,
        body: usize,
    },
    /// In something of which so many bytes are left.
    Inside(usize),
    /// At the beginning of a packet.
    Packet { head: Vec<u8> },
}

impl Meter {
    /// A meter for one conversation, in which a frame may have so many bytes.
    #[must_use]
    pub fn new(frame_max: usize) -> Self {
        let allowed = u64::try_from(frame_max).unwrap_or(u64::MAX);
        Self {
            state: State::Between,
            frame_max: frame_max
                .saturating_add(frame_max / 16)
                .saturating_add(PACKETS),
            total_max: allowed.saturating_add(PASSING_MAX),
            total: 0,
            frame: 0,
            time: None,
        }
    }

    /// Counts what the server said next.
    ///
    /// # Errors
    ///
    /// `rtsp.bad_answer` for an answer or a conversation that is too long, `picture.too_large` for a
    /// frame. Nothing of it may be passed on then.
    pub fn count(&mut self, said: &[u8]) -> Result<(), Trouble> {
        let length = u64::try_from(said.len()).unwrap_or(u64::MAX);
        self.total = self.total.saturating_add(length);
        if self.total > self.total_max {
            let text = "the RTSP server sends without an end";
            return Err(Trouble::new(ErrorCode::RtspBadAnswer, text, None));
        }
        let mut rest = said;
        while let Some((byte, after)) = rest.split_first() {
            match &mut self.state {
                State::Inside(left) => {
                    let skipped = rest.len().min(*left);
                    *left -= skipped;
                    if *left == 0 {
                        self.state = State::Between;
                    }
                    rest = rest.get(skipped..).unwrap_or_default();
                    continue;
                }
                State::Between => match *byte {
                    b'\r' | b'\n' => {}
                    DOLLAR => {
                        self.state = State::Packet {
                            head: Vec::with_capacity(PACKET_HEAD + RTP_HEAD),
                        };
                        continue;
                    }
                    _ => {
                        self.state = State::Head {
                            line: Vec::new(),
                            bytes: 0,
                            body: 0,
                        };
                        continue;
                    }
                },
                State::Head { line, bytes, body } => {
                    *bytes += 1;
                    if *bytes > HEAD_MAX {
                        return Err(long_answer());
                    }
                    if *byte != b'\n' {
                        line.push(*byte);
                    } else if line.trim_ascii().is_empty() {
                        self.state = inside(*body);
                    } else {
                        *body = length_of(line).unwrap_or(*body);
                        if *body > BODY_MAX {
                            return Err(long_answer());
                        }
                        line.clear();
                    }
                }
                State::Packet { head } => {
                    head.push(*byte);
                    if let Some(packet) = Packet::read(head) {
                        self.state = inside(packet.left);
                        self.add(&packet)?;
                    }
                }
            }
            rest = after;
        }
        Ok(())
    }

    /// Adds a packet to the frame that is coming.
    fn add(&mut self, packet: &Packet) -> Result<(), Trouble> {
        let Some((last, time)) = packet.video else {
            return Ok(());
        };
        if self.time != Some(time) {
            self.frame = 0;
        }
        self.time = Some(time);
        self.frame = self.frame.saturating_add(packet.length);
        if self.frame > self.frame_max {
            let text = "a frame is larger than allowed";
            return Err(Trouble::new(ErrorCode::PictureTooLarge, text, None));
        }
        if last {
            self.frame = 0;
        }
        Ok(())
    }
}

/// A packet whose beginning is there.
struct Packet {
    length: usize,
    /// Bytes of it that are still to come.
    left: usize,
    /// Whether it is the last of its frame, and the frame's time; other packets have neither.
    video: Option<(bool, [u8; 4])>,
}

impl Packet {
    fn read(head: &[u8]) -> Option<Self> {
        let (start, content) = head.split_first_chunk::<PACKET_HEAD>()?;
        let [_, channel, high, low] = *start;
        let length = usize::from(u16::from_be_bytes([high, low]));
        // Channels with odd numbers tell how the stream goes.
        let is_video = channel % 2 == 0 && length >= RTP_HEAD;
        if !is_video {
            return Some(Self {
                length,
                left: length,
                video: None,
            });
        }
        let [_, mark, _, _, a, b, c, d] = *content.first_chunk::<RTP_HEAD>()?;
        Some(Self {
            length,
            left: length - RTP_HEAD,
            video: Some((mark & 0x80 != 0, [a, b, c, d])),
        })
    }
}

fn inside(left: usize) -> State {
    if left == 0 {
        State::Between
    } else {
        State::Inside(left)
    }
}

/// The length that a line of a head gives; one that is no number is as good as too long.
fn length_of(line: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(line);
    let (name, value) = text.split_once(':')?;
    if !name.trim().eq_ignore_ascii_case("content-length") {
        return None;
    }
    Some(value.trim().parse().unwrap_or(usize::MAX))
}

fn long_answer() -> Trouble {
    let text = "an answer of the RTSP server is longer than allowed";
    Trouble::new(ErrorCode::RtspBadAnswer, text, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(channel: u8, last: bool, time: u8, size: u16) -> Vec<u8> {
        let mut bytes = vec![DOLLAR, channel];
        bytes.extend(size.to_be_bytes());
        let mut content = vec![0x80, u8::from(last) << 7 | 96, 0, 0, 0, 0, 0, time];
        content.resize(usize::from(size), 7);
        bytes.extend(content);
        bytes
    }

    fn said(pieces: &[&[u8]], frame_max: usize) -> Result<(), ErrorCode> {
        let mut meter = Meter::new(frame_max);
        let whole = pieces.concat();
        meter.count(&whole).map_err(|trouble| trouble.code)
    }

    #[test]
    fn conversations_as_they_are_pass() {
        let answer = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\ncontent-length: 5\r\n\r\nv=0$\n";
        let frames: Vec<u8> = (0..200)
            .flat_map(|time| {
                let mut frame = packet(0, false, time, 60_000);
                frame.extend(packet(1, false, 9, 6));
                frame.extend(packet(0, true, time, 60_000));
                frame
            })
            .collect();
        assert_eq!(said(&[answer, b"\r\n", &frames, answer], 60_000), Ok(()));
    }

    #[test]
    fn what_is_longer_than_allowed_is_cut() {
        let long = format!("RTSP/1.0 200 OK\r\nContent-Length: {}\r\n", BODY_MAX + 1);
        let endless = Err(ErrorCode::RtspBadAnswer);
        assert_eq!(said(&[long.as_bytes()], 1), endless);
        assert_eq!(
            said(&[b"RTSP/1.0 200 OK\r\nContent-Length: many\r\n"], 1),
            endless
        );
        assert_eq!(said(&[&vec![b'x'; HEAD_MAX + 1]], 1), endless);
        let same = packet(0, false, 1, 60_000);
        let times = 1 + (1_000_000 + 1_000_000 / 16 + PACKETS) / 60_000;
        assert_eq!(said(&[&same.repeat(times - 1)], 1_000_000), Ok(()));
        let frame = said(&[&same.repeat(times)], 1_000_000);
        assert_eq!(frame, Err(ErrorCode::PictureTooLarge));
        // Frames that are small, and never the right one.
        let many = packet(0, true, 1, 60_000).repeat(600);
        assert_eq!(said(&[&many], 1_000_000), endless);
    }

    proptest! {
        #[test]
        fn the_verdict_does_not_depend_on_the_cuts(
            bytes in proptest::collection::vec(prop_oneof![Just(DOLLAR), Just(b'\n'), any::<u8>()], 0..400),
            step in 1_usize..60,
        ) {
            let mut whole = Meter::new(100);
            let mut cut = Meter::new(100);
            let at_once = whole.count(&bytes).map_err(|trouble| trouble.code);
            let in_pieces = bytes.chunks(step).try_for_each(|piece| cut.count(piece));
            prop_assert_eq!(at_once, in_pieces.map_err(|trouble| trouble.code));
        }
    }
}
