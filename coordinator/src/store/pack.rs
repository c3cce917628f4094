//! Bodies in the database: protobuf messages, compressed where they are large.
//!
//! One byte says how the rest is packed: `0` plain; `1` zstd behind the unpacked length as 32 bits,
//! little-endian. Contexts are kept, because making one costs more than packing a report.

use std::borrow::Cow;
use std::cell::RefCell;

use prost::Message;
use sha2::{Digest, Sha256};
use zstd::bulk::{Compressor, Decompressor};

use super::error::DbError;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
/// Smaller bodies do not get smaller.
const COMPRESS_FROM: usize = 256;
/// Level 1: results are written far more often than they are read.
const LEVEL: i32 = 1;
/// The largest body, in bytes: far above what a message of the stream can carry.
const BODY_MAX: usize = 16 * 1024 * 1024;
const HEAD: usize = 5;

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The first half of the SHA-256 of a plain body: enough to tell two states of a device apart.
pub(super) fn hash(plain: &[u8]) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(plain).into();
    let (half, _) = digest.split_at(16);
    half.try_into().unwrap_or_default()
}

/// Packs an encoded message.
pub(super) fn pack(plain: &[u8]) -> Vec<u8> {
    if plain.len() >= COMPRESS_FROM
        && let Some(packed) = compress(plain)
    {
        return packed;
    }
    let mut body = Vec::with_capacity(plain.len().saturating_add(1));
    body.push(PLAIN);
    body.extend_from_slice(plain);
    body
}

/// Encodes and packs a message.
pub(super) fn pack_message(message: &impl Message) -> Vec<u8> {
    pack(&message.encode_to_vec())
}

/// Unpacks and decodes a message. An empty body is a message without any field.
pub(super) fn unpack<M: Message + Default>(what: &'static str, body: &[u8]) -> Result<M, DbError> {
    let plain = unpack_plain(what, body)?;
    M::decode(&*plain).map_err(|error| DbError::damaged(what, error))
}

/// Unpacks an encoded message.
pub(super) fn unpack_plain<'a>(
    what: &'static str,
    body: &'a [u8],
) -> Result<Cow<'a, [u8]>, DbError> {
    let damaged = |reason: &dyn std::fmt::Display| DbError::damaged(what, reason);
    match body.split_first() {
        None => Ok(Cow::Borrowed(&[])),
        Some((&PLAIN, plain)) => Ok(Cow::Borrowed(plain)),
        Some((&ZSTD, packed)) => {
            let (length, packed) = packed
                .split_first_chunk::<4>()
                .ok_or_else(|| damaged(&"too short"))?;
            let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
            if length > BODY_MAX {
                return Err(damaged(&"too large"));
            }
            let plain = decompress(packed, length).map_err(|error| damaged(&error))?;
            Ok(Cow::Owned(plain))
        }
        Some((other, _)) => Err(damaged(&format!("packing {other} is not known"))),
    }
}

fn compress(plain: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(plain.len()).ok()?;
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Compressor::new(LEVEL).ok();
        }
        let packed = slot.as_mut()?.compress(plain).ok()?;
        if packed.len().saturating_add(HEAD) >= plain.len() {
            return None;
        }
        let mut body = Vec::with_capacity(packed.len().saturating_add(HEAD));
        body.push(ZSTD);
        body.extend_from_slice(&length.to_le_bytes());
        body.extend_from_slice(&packed);
        Some(body)
    })
}

fn decompress(packed: &[u8], length: usize) -> std::io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|slot| match slot {
        Some(decompressor) => decompressor.decompress(packed, length),
        None => slot.insert(Decompressor::new()?).decompress(packed, length),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tvtfleet_proto::wire::v1::ApiError;

    fn message(text: String) -> ApiError {
        ApiError {
            code: text,
            message: String::new(),
            hint: String::new(),
        }
    }

    #[test]
    fn large_bodies_shrink_and_read_back() {
        let large = message("camera ".repeat(400));
        let body = pack_message(&large);
        assert!(body.len() < 100, "{}", body.len());
        assert_eq!(unpack::<ApiError>("test", &body).unwrap(), large);
        assert_eq!(
            unpack::<ApiError>("test", &[]).unwrap(),
            ApiError::default()
        );
    }

    #[test]
    fn damaged_bodies_are_named() {
        for body in [
            &[9_u8][..],
            &[ZSTD, 1, 0],
            &[ZSTD, 9, 0, 0, 0, 1, 2],
            &[ZSTD, 255, 255, 255, 255],
            &[PLAIN, 255],
        ] {
            let error = unpack::<ApiError>("thing", body).unwrap_err();
            assert!(
                error.to_string().starts_with("stored thing is damaged"),
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn packing_round_trips(text in ".{0,600}") {
            let message = message(text);
            prop_assert_eq!(unpack::<ApiError>("test", &pack_message(&message)).unwrap(), message);
        }
    }
}
