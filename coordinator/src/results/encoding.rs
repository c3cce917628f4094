//! From the bytes of a file to text, and from its numbers to ours.

use std::borrow::Cow;

/// The bytes are no text that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEncoding {
    /// A byte that UTF-8 does not have there.
    #[error("not UTF-8 at byte {offset} (0x{byte:02X}); save the file as UTF-8")]
    Utf8 {
        /// From the file's beginning, from 0.
        offset: usize,
        /// The byte.
        byte: u8,
    },
    /// The byte order mark says UTF-16, but this is none.
    #[error("not UTF-16 at byte {offset}, although the file begins with its byte order mark")]
    Utf16 {
        /// From the file's beginning, from 0.
        offset: usize,
    },
}

/// Text in UTF-8, with or without byte order mark, or UTF-16 with one.
pub(crate) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, BadEncoding> {
    match bytes {
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes).map(Cow::Owned),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes).map(Cow::Owned),
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest, 3).map(Cow::Borrowed),
        _ => utf8(bytes, 0).map(Cow::Borrowed),
    }
}

fn utf8(bytes: &[u8], skipped: usize) -> Result<&str, BadEncoding> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        BadEncoding::Utf8 {
            offset: at + skipped,
            byte: bytes.get(at).copied().unwrap_or(0),
        }
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, BadEncoding> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(bytes.len());
    let mut offset = 2;
    for character in char::decode_utf16(pairs.iter().copied().map(unit)) {
        let character = character.map_err(|_| BadEncoding::Utf16 { offset })?;
        offset += 2 * character.len_utf16();
        text.push(character);
    }
    if rest.is_empty() {
        Ok(text)
    } else {
        Err(BadEncoding::Utf16 { offset })
    }
}

/// The offset of a line and column (both from 1, columns in bytes) as `serde_json` counts them.
pub(crate) fn byte_offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    (before + column.saturating_sub(1)).min(text.len())
}

/// The whole part of a JSON number, where an `i64` holds it exactly.
pub(crate) fn truncated(number: f64) -> Option<i64> {
    /// 2^53: up to here every whole number is a double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.is_finite() && number.abs() <= EXACT {
        format!("{:.0}", number.trunc()).parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_marks_are_understood() {
        let utf16 = |unit: fn(u16) -> [u8; 2], mark: [u8; 2]| -> Vec<u8> {
            mark.into_iter()
                .chain("Süd 😀".encode_utf16().flat_map(unit))
                .collect()
        };
        assert_eq!(decode("\u{FEFF}Süd".as_bytes()).unwrap(), "Süd");
        assert_eq!(
            decode(&utf16(u16::to_le_bytes, [0xFF, 0xFE])).unwrap(),
            "Süd 😀"
        );
        assert_eq!(
            decode(&utf16(u16::to_be_bytes, [0xFE, 0xFF])).unwrap(),
            "Süd 😀"
        );
    }

    #[test]
    fn the_first_bad_byte_is_named() {
        assert_eq!(
            decode(b"[\"S\xFCd\"]"),
            Err(BadEncoding::Utf8 {
                offset: 3,
                byte: 0xFC
            })
        );
        assert_eq!(
            decode(b"\xEF\xBB\xBFS\xFCd"),
            Err(BadEncoding::Utf8 {
                offset: 4,
                byte: 0xFC
            })
        );
        assert_eq!(
            decode(b"\xFF\xFEa\0\x00\xD8b\0"),
            Err(BadEncoding::Utf16 { offset: 4 })
        );
        assert_eq!(
            decode(b"\xFF\xFEa\0b"),
            Err(BadEncoding::Utf16 { offset: 4 })
        );
    }
}
