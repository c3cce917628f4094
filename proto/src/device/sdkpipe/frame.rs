//! Frames: the length of the payload as a 32-bit little-endian number, then the payload.

use std::ops::Range;

use zeroize::Zeroizing;

/// The longest payload of a request, in bytes.
pub const REQUEST_MAX: usize = 64 * 1024;
/// The longest payload of an answer, in bytes: pictures travel as base64 text.
pub const ANSWER_MAX: usize = 12 * 1024 * 1024;

const LENGTH: Range<usize> = 0..4;

/// The peer does not keep to the framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A payload is longer than allowed.
    #[error("a frame of {announced} bytes, {max} are allowed")]
    TooLarge {
        /// What the frame's head announces, in bytes.
        announced: usize,
        /// What is allowed, in bytes.
        max: usize,
    },
    /// A frame without a payload.
    #[error("a frame without content")]
    Empty,
}

/// Puts a payload into a frame.
///
/// # Errors
///
/// [`FrameError`] where the payload is empty or longer than `max`.
pub fn frame(payload: &[u8], max: usize) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    let announced = payload.len();
    check(announced, max)?;
    let too_large = |_| FrameError::TooLarge { announced, max };
    let length = u32::try_from(announced).map_err(too_large)?;
    Ok(Zeroizing::new(
        [length.to_le_bytes().as_slice(), payload].concat(),
    ))
}

/// Collects bytes and yields the payloads of complete frames.
#[derive(Debug)]
pub struct FrameReader {
    // May hold a password in the helper.
    buffer: Zeroizing<Vec<u8>>,
    max: usize,
}

impl FrameReader {
    /// A reader that takes payloads of up to `max` bytes.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            buffer: Zeroizing::default(),
            max,
        }
    }

    /// Takes bytes from the peer. Call [`Self::next_payload`] until it has none before giving more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete payload, or `None` while bytes are missing.
    ///
    /// # Errors
    ///
    /// [`FrameError`]; the stream cannot be read on after that.
    pub fn next_payload(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, FrameError> {
        let Some(head) = self.buffer.get(LENGTH).and_then(<[u8]>::first_chunk) else {
            return Ok(None);
        };
        let announced = usize::try_from(u32::from_le_bytes(*head)).unwrap_or(usize::MAX);
        check(announced, self.max)?;
        let end = LENGTH.end.saturating_add(announced);
        let Some(payload) = self.buffer.get(LENGTH.end..end) else {
            return Ok(None);
        };
        let payload = Zeroizing::new(payload.to_vec());
        let rest = self.buffer.get(end..).unwrap_or_default().to_vec();
        self.buffer = Zeroizing::new(rest);
        Ok(Some(payload))
    }

    /// Whether bytes of an unfinished frame are waiting.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        !self.buffer.is_empty()
    }
}

const fn check(announced: usize, max: usize) -> Result<(), FrameError> {
    if announced == 0 {
        Err(FrameError::Empty)
    } else if announced > max {
        Err(FrameError::TooLarge { announced, max })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bytes_of_a_frame_are_fixed() {
        assert_eq!(*frame(b"{}", 10).unwrap(), b"\x02\0\0\0{}");
        assert_eq!(frame(b"", 10).unwrap_err(), FrameError::Empty);
        let error = FrameError::TooLarge {
            announced: 11,
            max: 10,
        };
        assert_eq!(frame(&[1; 11], 10).unwrap_err(), error);
        let mut reader = FrameReader::new(10);
        // Refused on the head alone, before anything is kept for it.
        reader.push(&11_u32.to_le_bytes());
        assert_eq!(reader.next_payload().unwrap_err(), error);
    }

    proptest! {
        #[test]
        fn payloads_survive_any_cut(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..5),
            step in 1_usize..9,
        ) {
            let stream: Vec<u8> = payloads.iter().flat_map(|p| frame(p, 64).unwrap().to_vec()).collect();
            let mut reader = FrameReader::new(64);
            let mut found = Vec::new();
            for piece in stream.chunks(step) {
                reader.push(piece);
                while let Some(payload) = reader.next_payload().unwrap() {
                    found.push(payload.to_vec());
                }
            }
            prop_assert_eq!(found, payloads);
            prop_assert!(!reader.is_inside());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = FrameReader::new(32);
            reader.push(&bytes);
            while let Ok(Some(payload)) = reader.next_payload() {
                prop_assert!(payload.len() <= 32);
            }
        }
    }
}
