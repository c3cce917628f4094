//! Frames: a 24-byte header and a payload.

use super::command::CommandId;
use super::field::u32_at;

/// Bytes of a header.
pub const HEADER_LEN: usize = 24;
/// The unit that says only "still here"; both sides send it.
pub const HEARTBEAT: [u8; 8] = [b'1', b'1', b'1', b'1', 0, 0, 0, 0];
/// `cmdLen` counts the header from `cmdType` on.
pub(super) const COUNTED_HEADER: u32 = 16;

/// The flag that every frame of a client carries.
pub(super) const FLAG: [u8; 4] = *b"1111";
/// The flag of a greeting; tolerated on frames, as pytvt does.
pub(super) const HEAD_FLAG: [u8; 4] = *b"head";
/// The flag of some relatives of the DVR V4 family.
pub(super) const V4_FLAG: [u8; 4] = *b"AAAA";

const COMMAND_AT: usize = 8;
const ID_AT: usize = 12;
const VERSION_AT: usize = 16;
const DATA_LEN_AT: usize = 20;

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// `1111`, or `head` from devices that use it.
    pub flag: [u8; 4],
    /// What the frame is.
    pub command: CommandId,
    /// The request's number, echoed in its reply. 0xFFFF_FFFF: nobody asked. Devices may send 0.
    pub id: u32,
    /// The version of the command.
    pub version: u32,
    /// Bytes of payload.
    pub data_len: u32,
}

impl Header {
    /// The bytes of the header. `cmdLen` is `data_len` + 16, modulo 2^32.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let words = [
            self.flag,
            self.data_len.wrapping_add(COUNTED_HEADER).to_le_bytes(),
            self.command.0.to_le_bytes(),
            self.id.to_le_bytes(),
            self.version.to_le_bytes(),
            self.data_len.to_le_bytes(),
        ];
        let mut bytes = [0; HEADER_LEN];
        for (target, word) in bytes.chunks_exact_mut(4).zip(words) {
            target.copy_from_slice(&word);
        }
        bytes
    }

    /// Reads a header; `None` if there are fewer than 24 bytes. `cmdLen` is the caller's business.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            flag: bytes.first_chunk().copied()?,
            command: CommandId(u32_at(bytes, COMMAND_AT)?),
            id: u32_at(bytes, ID_AT)?,
            version: u32_at(bytes, VERSION_AT)?,
            data_len: u32_at(bytes, DATA_LEN_AT)?,
        })
    }
}

/// A whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its header.
    pub header: Header,
    /// Its payload, `data_len` bytes.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Makes a frame as a client sends it.
    #[must_use]
    pub fn new(command: CommandId, id: u32, version: u32, payload: Vec<u8>) -> Self {
        let data_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        Self {
            header: Header {
                flag: FLAG,
                command,
                id,
                version,
                data_len,
            },
            payload,
        }
    }

    /// The bytes of the frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LEN.saturating_add(self.payload.len()));
        bytes.extend_from_slice(&self.header.encode());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// The frame that ends a session.
    #[must_use]
    pub fn logout() -> Self {
        Self::new(CommandId::LOGOUT, 0, 0, Vec::new())
    }
}
