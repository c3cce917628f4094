//! Reading and writing fields at fixed offsets.

/// Copies `value` to `offset`, cut at the end of `target`.
pub(crate) fn put(target: &mut [u8], offset: usize, value: &[u8]) {
    let room = target.get_mut(offset..).unwrap_or_default();
    for (to, from) in room.iter_mut().zip(value) {
        *to = *from;
    }
}

/// Copies text to a field of `width` bytes, NUL-padded, cut when too long.
pub(crate) fn put_text(target: &mut [u8], offset: usize, width: usize, text: &[u8]) {
    put(target, offset, text.get(..width).unwrap_or(text));
}

/// Reads four bytes at `offset`; `None` when they are not all there.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes
        .get(offset..)?
        .first_chunk()
        .map(|four| u32::from_le_bytes(*four))
}

/// Cuts a text field at its first NUL.
pub(crate) fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Returns a length as the wire writes it; no buffer of the simulator comes near the limit.
pub(crate) fn wire_len(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
