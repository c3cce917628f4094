//! Buffers for a library that is not trusted with them.

/// Bytes behind the promised end that must stay as they are.
const GUARD: usize = 4096;
/// What the buffer and the guard are filled with.
const FILL: u8 = 0xA5;

/// A buffer with room behind its end, where an overrun is seen.
#[derive(Debug)]
pub(crate) struct Guarded {
    bytes: Vec<u8>,
    room: usize,
}

impl Guarded {
    /// A buffer of `room` bytes that are told from bytes that were written.
    pub(crate) fn filled(room: usize) -> Self {
        let bytes = vec![FILL; room.saturating_add(GUARD)];
        Self { bytes, room }
    }

    /// A buffer of `room` zero bytes, for records that a library fills in part.
    pub(crate) fn zeroed(room: usize) -> Self {
        let mut guarded = Self::filled(room);
        for byte in guarded.bytes.iter_mut().take(room) {
            *byte = 0;
        }
        guarded
    }

    /// Where the library writes; it may write [`Self::room`] bytes.
    pub(crate) fn start(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }

    /// How many bytes the library is promised.
    pub(crate) const fn room(&self) -> usize {
        self.room
    }

    /// What was written, unless the library wrote behind the end.
    pub(crate) fn written(&self) -> Option<&[u8]> {
        let (room, guard) = self.bytes.split_at_checked(self.room)?;
        guard.iter().all(|byte| *byte == FILL).then_some(room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_behind_the_end_is_seen() {
        let mut guarded = Guarded::zeroed(10);
        assert_eq!(guarded.written().unwrap(), [0; 10]);
        guarded.bytes[10] = 0;
        assert_eq!(guarded.written(), None);
    }
}
