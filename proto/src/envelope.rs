//! The outer form of every message body: one byte that says how the rest is packed.
//!
//! `0` is plain, `1` is zstd. Bodies above [`COMPRESS_FROM`] bytes are packed where that makes them
//! smaller. A receiver states how large the unpacked body may be; nothing is allocated beyond that.

use std::io::Read;

use prost::Message;

use crate::error::ErrorCode;

/// Bodies larger than this many bytes are compressed.
pub const COMPRESS_FROM: usize = 1024;
/// The largest body that any receiver accepts, in bytes after unpacking.
pub const BODY_MAX: usize = 8 * 1024 * 1024;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
/// Level 3: the library's own default, fast enough for a small edge box.
const LEVEL: i32 = 3;

/// A message body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// There is not even the first byte.
    #[error("empty message")]
    Empty,
    /// The first byte says something that this version does not know.
    #[error("message packed in an unknown way ({0})")]
    UnknownPacking(u8),
    /// The body is larger than the receiver allows.
    #[error("message of more than {0} bytes")]
    TooLarge(usize),
    /// The compressed body is damaged.
    #[error("damaged compressed message")]
    Damaged,
    /// The body is no such protobuf message.
    #[error("message does not decode: {0}")]
    Protobuf(String),
}

impl EnvelopeError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Empty | Self::Damaged | Self::Protobuf(_) => ErrorCode::MessageInvalid,
            Self::UnknownPacking(_) => ErrorCode::MessageVersion,
            Self::TooLarge(_) => ErrorCode::MessageTooLarge,
        }
    }
}

/// Packs a protobuf message.
#[must_use]
pub fn seal<M: Message>(message: &M) -> Vec<u8> {
    let mut plain = Vec::with_capacity(message.encoded_len().saturating_add(1));
    plain.push(PLAIN);
    // A vector grows as needed, so encoding into it cannot fail.
    if message.encode(&mut plain).is_err() {
        return vec![PLAIN];
    }
    if plain.len() <= COMPRESS_FROM {
        return plain;
    }
    let body = plain.get(1..).unwrap_or_default();
    match zstd::bulk::compress(body, LEVEL) {
        Ok(packed) if packed.len() < body.len() => {
            let mut sealed = Vec::with_capacity(packed.len().saturating_add(1));
            sealed.push(ZSTD);
            sealed.extend_from_slice(&packed);
            sealed
        }
        Ok(_) | Err(_) => plain,
    }
}

/// Unpacks a protobuf message of at most `limit` bytes.
///
/// # Errors
///
/// `message.invalid`, `message.version` or `message.too_large`.
pub fn open<M: Message + Default>(sealed: &[u8], limit: usize) -> Result<M, EnvelopeError> {
    let (packing, body) = sealed.split_first().ok_or(EnvelopeError::Empty)?;
    let decode =
        |plain: &[u8]| M::decode(plain).map_err(|error| EnvelopeError::Protobuf(error.to_string()));
    match *packing {
        PLAIN if body.len() > limit => Err(EnvelopeError::TooLarge(limit)),
        PLAIN => decode(body),
        ZSTD => {
            let reader =
                zstd::stream::read::Decoder::new(body).map_err(|_| EnvelopeError::Damaged)?;
            let mut plain = Vec::new();
            let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
            reader
                .take(bound)
                .read_to_end(&mut plain)
                .map_err(|_| EnvelopeError::Damaged)?;
            if plain.len() > limit {
                Err(EnvelopeError::TooLarge(limit))
            } else {
                decode(&plain)
            }
        }
        other => Err(EnvelopeError::UnknownPacking(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::v1::ApiError;
    use proptest::prelude::*;

    fn message(text: &str) -> ApiError {
        ApiError {
            code: "internal".into(),
            message: text.into(),
            hint: String::new(),
        }
    }

    #[test]
    fn small_bodies_stay_plain_and_large_ones_shrink() {
        let small = seal(&message("x"));
        assert_eq!(small.first(), Some(&PLAIN));
        let large = seal(&message(&"camera ".repeat(1000)));
        assert_eq!(large.first(), Some(&ZSTD));
        assert!(large.len() < 200);
        assert_eq!(
            open::<ApiError>(&large, BODY_MAX),
            Ok(message(&"camera ".repeat(1000)))
        );
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = seal(&message(&"0".repeat(4_000_000)));
        assert!(bomb.len() < 2000);
        assert_eq!(
            open::<ApiError>(&bomb, 100_000),
            Err(EnvelopeError::TooLarge(100_000))
        );
    }

    #[test]
    fn nonsense_has_its_own_errors() {
        assert_eq!(open::<ApiError>(&[], 10), Err(EnvelopeError::Empty));
        assert_eq!(
            open::<ApiError>(&[7, 1], 10),
            Err(EnvelopeError::UnknownPacking(7))
        );
        assert_eq!(
            open::<ApiError>(&[ZSTD, 1, 2, 3], 10),
            Err(EnvelopeError::Damaged)
        );
        assert_eq!(
            open::<ApiError>(&[PLAIN, 0xFF], 10).map_err(|e| e.code()),
            Err(ErrorCode::MessageInvalid)
        );
    }

    proptest! {
        #[test]
        fn sealing_round_trips(text in ".{0,3000}") {
            prop_assert_eq!(open::<ApiError>(&seal(&message(&text)), BODY_MAX), Ok(message(&text)));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = open::<ApiError>(&bytes, 4096);
        }
    }
}
