//! Frames: a flag, a length, a 16-byte command header and a payload.

use super::field::{u32_at, wire_len};

/// Flag of every frame that the simulator sends.
pub(crate) const FLAG: [u8; 4] = *b"1111";
/// Flag of a greeting; also accepted in front of a client's frame.
pub(crate) const HEAD_FLAG: [u8; 4] = *b"head";
/// An empty frame, sent between commands.
pub(crate) const HEARTBEAT: [u8; 8] = *b"1111\0\0\0\0";
/// Bytes in front of the command header: flag and length.
const PREFIX_LEN: usize = 8;
/// Bytes of the command header, which the length counts.
const HEADER_LEN: u32 = 16;

/// A command header without its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) flag: [u8; 4],
    pub(crate) command: u32,
    pub(crate) id: u32,
    pub(crate) version: u32,
    pub(crate) data_len: u32,
}

impl Header {
    /// Writes the 24 header bytes; the length wraps, as a broken device's would.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(24);
        bytes.extend(self.flag);
        bytes.extend(self.data_len.wrapping_add(HEADER_LEN).to_le_bytes());
        for word in [self.command, self.id, self.version, self.data_len] {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    }
}

/// Writes a whole frame.
pub(crate) fn frame(command: u32, id: u32, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        flag: FLAG,
        command,
        id,
        version: 0,
        data_len: wire_len(payload.len()),
    };
    let mut bytes = header.encode();
    bytes.extend(payload);
    bytes
}

/// What stands at the start of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Not yet a whole frame.
    Incomplete,
    /// A frame and the number of bytes it took.
    Frame(Frame, usize),
    /// Bytes that can be no frame.
    Malformed(FrameDefect),
}

/// One frame of a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Eight bytes without a command.
    Heartbeat,
    /// A command with its payload.
    Command {
        /// Command number.
        command: u32,
        /// Request number, echoed in the reply.
        id: u32,
        /// The announced payload; bytes behind it inside the frame are dropped.
        payload: Vec<u8>,
    },
}

/// Why bytes can be no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameDefect {
    /// Neither `1111` nor `head`.
    Flag,
    /// A length of 1 to 15, or a payload longer than its frame.
    Length,
    /// A length above the limit.
    TooLarge,
}

/// Takes the first frame off `buffer`; `limit` bounds the length field.
pub(crate) fn split_frame(buffer: &[u8], limit: u32) -> Unit {
    let Some(flag) = buffer.first_chunk::<4>() else {
        return Unit::Incomplete;
    };
    if *flag != FLAG && *flag != HEAD_FLAG {
        return Unit::Malformed(FrameDefect::Flag);
    }
    let Some(length) = u32_at(buffer, 4) else {
        return Unit::Incomplete;
    };
    if length == 0 {
        return Unit::Frame(Frame::Heartbeat, PREFIX_LEN);
    }
    if length < HEADER_LEN {
        return Unit::Malformed(FrameDefect::Length);
    }
    if length > limit {
        return Unit::Malformed(FrameDefect::TooLarge);
    }
    let total = PREFIX_LEN.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
    let (Some(whole), Some(command), Some(id), Some(data_len)) = (
        buffer.get(..total),
        u32_at(buffer, 8),
        u32_at(buffer, 12),
        u32_at(buffer, 20),
    ) else {
        return Unit::Incomplete;
    };
    let payload = usize::try_from(data_len)
        .ok()
        .and_then(|data_len| whole.get(24..24_usize.checked_add(data_len)?));
    match payload {
        Some(payload) => Unit::Frame(
            Frame::Command {
                command,
                id,
                payload: payload.to_vec(),
            },
            total,
        ),
        None => Unit::Malformed(FrameDefect::Length),
    }
}
