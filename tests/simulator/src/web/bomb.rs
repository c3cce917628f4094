//! Small bodies that grow without end for whoever unpacks them.

use flate2::{Compress, Compression, FlushCompress};

/// Bytes of one piece before it is packed.
const PIECE: usize = 1024 * 1024;
/// Pieces of a body.
const PIECES: usize = 512;

/// A body in an encoding of HTTP that grows to half a gigabyte: one packed piece that stands alone,
/// again and again.
pub(super) fn body(encoding: &str) -> Vec<u8> {
    let piece = piece();
    let mut bytes = match encoding {
        // The magic number, deflate, no flags, no time, no system.
        "gzip" => vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF],
        "deflate" => vec![0x78, 0x9C],
        _ => Vec::new(),
    };
    for _ in 0..PIECES {
        bytes.extend_from_slice(&piece);
    }
    // An empty last block. Whoever comes to the checksum has lost already.
    bytes.extend_from_slice(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// A packed piece that ends at a byte and refers to nothing before it.
fn piece() -> Vec<u8> {
    let mut packed = Vec::with_capacity(PIECE / 16);
    let mut compress = Compress::new(Compression::best(), false);
    // The vector has room for all of it, so the result is not looked at.
    let _ = compress.compress_vec(&vec![b' '; PIECE], &mut packed, FlushCompress::Full);
    packed
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Decompress, FlushDecompress};

    #[test]
    fn a_small_body_grows_to_half_a_gigabyte() {
        let bytes = body("deflate");
        assert!(bytes.len() < 2 * 1024 * 1024, "{}", bytes.len());
        let mut unpack = Decompress::new(true);
        let mut out = vec![0; PIECE];
        loop {
            let at = usize::try_from(unpack.total_in()).unwrap();
            let before = unpack.total_out();
            let result = unpack.decompress(&bytes[at..], &mut out, FlushDecompress::None);
            if result.is_err() || unpack.total_out() == before {
                break;
            }
        }
        assert_eq!(usize::try_from(unpack.total_out()), Ok(PIECE * PIECES));
    }
}
