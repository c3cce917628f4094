//! Reading fields at fixed offsets, and making a device's text fit to be kept.

use std::fmt::Write as _;

use super::limits::TEXT_CHARACTERS;

/// The byte at an offset, if the bytes reach that far.
pub(super) fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

/// The little-endian 16-bit number at an offset.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array_at(bytes, at).map(u16::from_le_bytes)
}

/// The little-endian 32-bit number at an offset.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

/// `N` bytes at an offset.
pub(super) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// The text of a NUL-padded field, not trimmed: UTF-8 with invalid bytes replaced, control
/// characters as spaces, at most [`TEXT_CHARACTERS`].
pub(super) fn padded_text(field: &[u8]) -> String {
    let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
    keep(&String::from_utf8_lossy(text))
}

/// A text with control characters as spaces and at most [`TEXT_CHARACTERS`].
pub(super) fn keep(text: &str) -> String {
    text.chars()
        .take(TEXT_CHARACTERS)
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect()
}

/// [`keep`], without white space at both ends.
pub(super) fn keep_trimmed(text: &str) -> String {
    let inner =
        text.trim_matches(|character: char| character.is_whitespace() || character.is_control());
    let mut kept = keep(inner);
    kept.truncate(kept.trim_end().len());
    kept
}

/// Lower-case hexadecimal digits without separators.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A 32-bit count as a size; saturates where `usize` is smaller.
pub(super) fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// A length as the wire and the counters have it; saturates.
pub(super) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_beyond_the_end_are_absent() {
        let bytes = [1, 2, 3, 4, 5];
        assert_eq!(u32_at(&bytes, 1), Some(0x0504_0302));
        assert_eq!(u32_at(&bytes, 2), None);
        assert_eq!(u16_at(&bytes, 3), Some(0x0504));
        assert_eq!(u8_at(&bytes, 5), None);
        assert_eq!(u32_at(&bytes, usize::MAX), None);
    }

    #[test]
    fn text_is_made_fit_to_be_kept() {
        assert_eq!(padded_text(b" Gate\x07 2 \0junk"), " Gate  2 ");
        assert_eq!(padded_text(b"a\xff"), "a\u{fffd}");
        assert_eq!(keep_trimmed("\u{1} a\tb \r\n"), "a b");
        assert_eq!(keep(&"x".repeat(1000)).len(), TEXT_CHARACTERS);
        assert_eq!(hex(&[0, 0xab]), "00ab");
    }
}
