//! What is doubtful about a picture that is whole.

use std::fmt;

use super::look::Look;
use crate::model::time::UtcMillis;

/// Milliseconds between two pictures before sameness says anything.
const FROZEN_AFTER: i64 = 60_000;

/// One doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flag {
    /// Equal byte for byte to the last picture of this channel.
    MaybeStale,
    /// Equal byte for byte to a picture of another channel.
    MaybeSwapped,
    /// The camera sees nothing.
    Black,
    /// One colour.
    Uniform,
    /// The same scene to the last bit as at least a minute ago; only clock and name may differ.
    Frozen,
    /// Smaller than what was asked for: another way or another stream.
    Degraded,
    /// A key frame that could not be decoded, kept as it came.
    Raw,
    /// The site had to let it go before it was sent: its bytes will not come.
    Dropped,
}

impl Flag {
    /// Every flag.
    pub const ALL: &'static [Self] = &[
        Self::MaybeStale,
        Self::MaybeSwapped,
        Self::Black,
        Self::Uniform,
        Self::Frozen,
        Self::Degraded,
        Self::Raw,
        Self::Dropped,
    ];

    /// The name used in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MaybeStale => "maybe_stale",
            Self::MaybeSwapped => "maybe_swapped",
            Self::Black => "black",
            Self::Uniform => "uniform",
            Self::Frozen => "frozen",
            Self::Degraded => "degraded",
            Self::Raw => "raw",
            Self::Dropped => "dropped",
        }
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is remembered of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// When it came.
    pub taken_at: UtcMillis,
    /// How it looked, where it could be decoded.
    pub look: Option<Look>,
}

impl Seen {
    /// The doubts about a picture, given the last one of the same channel.
    #[must_use]
    pub fn flags(&self, last: Option<&Self>) -> Vec<Flag> {
        let mut flags = Vec::new();
        if let Some(last) = last {
            let apart = self
                .taken_at
                .millis()
                .saturating_sub(last.taken_at.millis());
            if last.sha256 == self.sha256 {
                flags.push(Flag::MaybeStale);
            } else if apart >= FROZEN_AFTER
                && let (Some(look), Some(before)) = (&self.look, &last.look)
                && look.is_same(before)
            {
                flags.push(Flag::Frozen);
            }
        }
        if let Some(look) = &self.look {
            flags.extend(look.is_black().then_some(Flag::Black));
            flags.extend((look.is_uniform() && !look.is_black()).then_some(Flag::Uniform));
        }
        flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(mark: u8, seconds: i64, level: u8) -> Seen {
        let luma: Vec<u8> = (0..320_u32 * 192)
            .map(|place| level.wrapping_add(u8::try_from(place % 13).unwrap()))
            .collect();
        Seen {
            sha256: [mark; 32],
            taken_at: UtcMillis::new(seconds * 1000),
            look: Look::of(&luma, 320, 192),
        }
    }

    #[test]
    fn the_same_bytes_are_stale_and_the_same_scene_is_frozen() {
        let first = seen(1, 0, 100);
        assert_eq!(first.flags(None), []);
        assert_eq!(seen(1, 5, 100).flags(Some(&first)), [Flag::MaybeStale]);
        assert_eq!(seen(2, 59, 100).flags(Some(&first)), []);
        assert_eq!(seen(2, 60, 100).flags(Some(&first)), [Flag::Frozen]);
        assert_eq!(seen(2, 60, 101).flags(Some(&first)), []);
    }

    #[test]
    fn a_black_picture_is_not_called_uniform_as_well() {
        assert_eq!(seen(1, 0, 0).flags(None), [Flag::Black]);
    }
}
