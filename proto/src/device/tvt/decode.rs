//! The stream decoder: bytes to greeting, heartbeats and frames.
//!
//! The state of the session decides what the next unit is, not a guess at its bytes: the first 64
//! bytes are the greeting, everything behind is frames. "Not enough bytes yet" and "wrong" are
//! different answers. A wrong byte ends the stream; nothing looks for the next flag.

use super::command::CommandId;
use super::failure::CodecError;
use super::field::{count, size, u32_at};
use super::frame::{
    COUNTED_HEADER, FLAG, Frame, HEAD_FLAG, HEADER_LEN, HEARTBEAT, Header, V4_FLAG,
};
use super::init::{INIT_LEN, Init};
use crate::error::ErrorCode;

const FLAG_LEN: usize = 4;

/// One unit of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// The greeting, with its 64 bytes.
    Init(Box<Init>, [u8; INIT_LEN]),
    /// "Still here".
    Heartbeat,
    /// Anything else.
    Command(Frame),
}

/// Cuts a stream into units. Memory grows with the bytes that arrive, up to one frame.
#[derive(Debug)]
pub struct Decoder {
    stage: Stage,
    buffer: Vec<u8>,
    /// Bytes taken in so far.
    offset: u64,
    frame_limit: u32,
    failed: Option<CodecError>,
}

#[derive(Debug)]
enum Stage {
    Init,
    Header,
    Payload(Header, u32),
    Ignored(Frame, u32),
}

impl Decoder {
    /// A decoder for a new connection. `frame_limit` is the largest `cmdLen`.
    #[must_use]
    pub const fn new(frame_limit: u32) -> Self {
        Self {
            stage: Stage::Init,
            buffer: Vec::new(),
            offset: 0,
            frame_limit,
            failed: None,
        }
    }

    /// A decoder for a stream whose greeting was read already.
    #[must_use]
    pub fn after_init(frame_limit: u32) -> Self {
        let mut decoder = Self::new(frame_limit);
        decoder.stage = Stage::Header;
        decoder
    }

    /// Changes the largest `cmdLen`, from the next frame on.
    pub const fn set_frame_limit(&mut self, frame_limit: u32) {
        self.frame_limit = frame_limit;
    }

    /// Bytes taken in so far.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes of memory held for the unit in progress.
    #[must_use]
    pub fn held(&self) -> usize {
        let ignored = match &self.stage {
            Stage::Ignored(frame, _) => frame.payload.capacity(),
            Stage::Init | Stage::Header | Stage::Payload(..) => 0,
        };
        self.buffer.capacity().saturating_add(ignored)
    }

    /// Takes bytes from the front of `input` until a unit is complete. `None`: all bytes are taken
    /// and more are needed.
    ///
    /// # Errors
    ///
    /// `device.not_tvt`, `device.protocol`, `device.frame_too_large` or
    /// `device.unsupported_variant`; the same again on every later call.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Unit>, CodecError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = self.advance(input);
        if let Err(error) = &result {
            self.failed = Some(error.clone());
        }
        result
    }

    /// Says what the end of the stream means here: `None` between frames.
    #[must_use]
    pub fn end(&self) -> Option<CodecError> {
        if let Some(error) = &self.failed {
            return Some(error.clone());
        }
        let at_start = self.buffer.is_empty();
        match self.stage {
            Stage::Init if at_start => Some(CodecError::new(
                ErrorCode::Closed,
                self.offset,
                "the device closed the connection before it said anything",
            )),
            Stage::Init => Some(CodecError::truncated(
                self.offset,
                "the stream ended inside the greeting",
            )),
            Stage::Header if at_start => None,
            Stage::Header | Stage::Payload(..) | Stage::Ignored(..) => Some(CodecError::truncated(
                self.offset,
                "the stream ended inside a frame",
            )),
        }
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<Option<Unit>, CodecError> {
        loop {
            match std::mem::replace(&mut self.stage, Stage::Header) {
                Stage::Init => {
                    self.stage = Stage::Init;
                    if !self.fill(input, FLAG_LEN) {
                        return Ok(None);
                    }
                    if !self.buffer.starts_with(&HEAD_FLAG) {
                        return Err(CodecError::new(
                            ErrorCode::NotTvt,
                            0,
                            "what answers here does not greet like a TVT device",
                        ));
                    }
                    if !self.fill(input, INIT_LEN) {
                        return Ok(None);
                    }
                    let init = Init::parse(&self.buffer)?;
                    let mut packet = [0; INIT_LEN];
                    packet.copy_from_slice(&self.buffer);
                    self.buffer.clear();
                    self.stage = Stage::Header;
                    return Ok(Some(Unit::Init(Box::new(init), packet)));
                }
                Stage::Header => {
                    if !self.fill(input, HEARTBEAT.len()) {
                        return Ok(None);
                    }
                    let command_len = self.command_len()?;
                    if command_len == 0 {
                        self.buffer.clear();
                        return Ok(Some(Unit::Heartbeat));
                    }
                    if !self.fill(input, HEADER_LEN) {
                        return Ok(None);
                    }
                    let (header, ignored) = self.header(command_len)?;
                    self.buffer.clear();
                    self.stage = Stage::Payload(header, ignored);
                }
                Stage::Payload(header, ignored) => {
                    if !self.fill(input, size(header.data_len)) {
                        self.stage = Stage::Payload(header, ignored);
                        return Ok(None);
                    }
                    let payload = std::mem::take(&mut self.buffer);
                    self.stage = Stage::Ignored(Frame { header, payload }, ignored);
                }
                Stage::Ignored(frame, left) => {
                    let left = self.skip(input, left);
                    if left > 0 {
                        self.stage = Stage::Ignored(frame, left);
                        return Ok(None);
                    }
                    return Ok(Some(Unit::Command(frame)));
                }
            }
        }
    }

    /// Checks the first 8 bytes of a frame and gives its `cmdLen`.
    fn command_len(&self) -> Result<u32, CodecError> {
        let at = self.offset.saturating_sub(count(HEARTBEAT.len()));
        if self.buffer.starts_with(&V4_FLAG) {
            return Err(CodecError::new(
                ErrorCode::UnsupportedVariant,
                at,
                "the device speaks like the DVR V4 family",
            ));
        }
        if !self.buffer.starts_with(&FLAG) && !self.buffer.starts_with(&HEAD_FLAG) {
            return Err(CodecError::new(
                ErrorCode::ProtocolViolation,
                at,
                "a frame begins with an unknown flag",
            ));
        }
        let command_len = u32_at(&self.buffer, FLAG_LEN).unwrap_or_default();
        if (1..COUNTED_HEADER).contains(&command_len) {
            return Err(CodecError::new(
                ErrorCode::ProtocolViolation,
                at,
                "a frame announces less than its header",
            ));
        }
        if command_len > self.frame_limit {
            return Err(CodecError::new(
                ErrorCode::FrameTooLarge,
                at,
                "a frame announces more bytes than allowed",
            ));
        }
        Ok(command_len)
    }

    /// Reads the header and how many bytes behind the payload are to be ignored.
    fn header(&self, command_len: u32) -> Result<(Header, u32), CodecError> {
        let at = self.offset.saturating_sub(count(HEADER_LEN));
        let header = Header::decode(&self.buffer).ok_or(CodecError::truncated(
            at,
            "a frame has an incomplete header",
        ))?;
        let announced = command_len.saturating_sub(COUNTED_HEADER);
        match announced.checked_sub(header.data_len) {
            Some(ignored) => Ok((header, ignored)),
            None if header.command == CommandId::V4_PACK => Err(CodecError::new(
                ErrorCode::UnsupportedVariant,
                at,
                "the device splits commands like the DVR V4 family",
            )),
            None => Err(CodecError::new(
                ErrorCode::ProtocolViolation,
                at,
                "a frame's payload is longer than the frame",
            )),
        }
    }

    /// Takes bytes until the buffer holds `target`.
    fn fill(&mut self, input: &mut &[u8], target: usize) -> bool {
        let missing = target.saturating_sub(self.buffer.len());
        let taken = self.take(input, missing);
        if self.buffer.capacity().saturating_sub(self.buffer.len()) < taken.len() {
            // Doubles, but never beyond the unit: no more is announced than held.
            let growth = self.buffer.len().max(taken.len()).min(missing);
            self.buffer.reserve_exact(growth);
        }
        self.buffer.extend_from_slice(taken);
        self.buffer.len() >= target
    }

    fn skip(&mut self, input: &mut &[u8], left: u32) -> u32 {
        let taken = self.take(input, size(left)).len();
        left.saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX))
    }

    fn take<'a>(&mut self, input: &mut &'a [u8], most: usize) -> &'a [u8] {
        let (taken, rest) = input.split_at(most.min(input.len()));
        *input = rest;
        self.offset = self.offset.saturating_add(count(taken.len()));
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::{FRAME_AFTER_LOGIN, FRAME_BEFORE_LOGIN};
    use super::*;
    use proptest::prelude::*;

    fn decode(mut decoder: Decoder, pieces: &[&[u8]]) -> (Vec<Unit>, Option<ErrorCode>) {
        let mut units = Vec::new();
        for piece in pieces {
            let mut rest = *piece;
            loop {
                match decoder.next(&mut rest) {
                    Ok(Some(unit)) => units.push(unit),
                    Ok(None) => break,
                    Err(error) => return (units, Some(error.code)),
                }
            }
            assert!(rest.is_empty(), "an incomplete unit takes all bytes");
        }
        (units, decoder.end().map(|error| error.code))
    }

    fn frames() -> impl Strategy<Value = Vec<Frame>> {
        let frame = (
            any::<u32>(),
            any::<u32>(),
            any::<u32>(),
            prop::collection::vec(any::<u8>(), 0..200),
        )
            .prop_map(|(command, id, version, payload)| {
                Frame::new(CommandId(command), id, version, payload)
            });
        prop::collection::vec(frame, 0..5)
    }

    proptest! {
        #[test]
        fn decoding_reverses_encoding_whatever_the_pieces(
            frames in frames(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        ) {
            let mut stream: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
            stream.extend_from_slice(&HEARTBEAT);
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
            places.extend([0, stream.len()]);
            places.sort_unstable();
            let pieces: Vec<&[u8]> = places.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            let (units, end) = decode(Decoder::after_init(FRAME_BEFORE_LOGIN), &pieces);
            let mut expected: Vec<Unit> = frames.into_iter().map(Unit::Command).collect();
            expected.push(Unit::Heartbeat);
            prop_assert_eq!(units, expected);
            prop_assert_eq!(end, None);
        }

        #[test]
        fn every_prefix_of_a_frame_is_incomplete(
            payload in prop::collection::vec(any::<u8>(), 0..64),
            cut in any::<prop::sample::Index>(),
        ) {
            let stream = Frame::new(CommandId::LOGIN, 0, 0, payload).encode();
            let cut = cut.index(stream.len());
            let (units, end) = decode(Decoder::after_init(FRAME_BEFORE_LOGIN), &[&stream[..cut]]);
            prop_assert!(units.is_empty());
            prop_assert_eq!(end, if cut == 0 { None } else { Some(ErrorCode::Truncated) });
        }

        #[test]
        fn any_bytes_decode_to_something(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            greeted in any::<bool>(),
        ) {
            let mut stream = if greeted { b"head".to_vec() } else { Vec::new() };
            stream.extend(bytes);
            let _ = decode(Decoder::new(FRAME_BEFORE_LOGIN), &[&stream]);
        }
    }

    #[test]
    fn an_announced_length_costs_nothing() {
        let mut header = Frame::new(CommandId(1), 0, 0, Vec::new()).header;
        header.data_len = FRAME_AFTER_LOGIN - COUNTED_HEADER;
        let mut decoder = Decoder::after_init(FRAME_AFTER_LOGIN);
        assert_eq!(decoder.next(&mut header.encode().as_slice()), Ok(None));
        assert_eq!(decoder.next(&mut [0; 1000].as_slice()), Ok(None));
        assert!(decoder.held() <= 2024, "{} bytes held", decoder.held());
    }

    #[test]
    fn a_frame_in_small_pieces_never_holds_more_than_itself() {
        let length = 100_000;
        let stream = Frame::new(CommandId(1), 0, 0, vec![7; length]).encode();
        let mut decoder = Decoder::after_init(FRAME_AFTER_LOGIN);
        let mut units = Vec::new();
        for mut piece in stream.chunks(33) {
            units.extend(decoder.next(&mut piece).unwrap());
            assert!(decoder.held() <= length, "{} bytes held", decoder.held());
        }
        assert_eq!(units.len(), 1);
    }
}
