//! Pictures on their way: from a site to the coordinator in chunks, and from there to operators.

use std::fmt;
use std::str::FromStr;

use super::answer::PictureTaken;
use super::id::{JobId, SiteId, TenantId};

/// Bytes of a chunk; the last one of a picture may be shorter.
pub const CHUNK: u64 = 128 * 1024;
/// The largest picture, in bytes.
pub const PICTURE_MAX: u64 = 25 * 1024 * 1024;
/// The most pictures that a site asks about at a time.
pub const ASKED_MAX: usize = 64;
/// Bytes of a picture that an operator reads at a time.
pub const PART: u64 = 256 * 1024;

/// The SHA-256 of a picture's bytes: its name. Shown as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PictureDigest(pub [u8; 32]);

impl fmt::Display for PictureDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Not the digest of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 64 hexadecimal digits")]
pub struct BadDigest;

impl FromStr for PictureDigest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(BadDigest);
        }
        let mut bytes = [0_u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            for digit in pair {
                let digit = match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return Err(BadDigest),
                };
                *byte = (*byte << 4) | digit;
            }
        }
        Ok(Self(bytes))
    }
}

/// A piece of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureChunk {
    /// The picture.
    pub digest: PictureDigest,
    /// Bytes of the whole picture, 1 to [`PICTURE_MAX`].
    pub size: u64,
    /// Where the piece begins: a multiple of [`CHUNK`] below [`Self::size`].
    pub offset: u64,
    /// The piece: [`CHUNK`] bytes, fewer only at the end of the picture.
    pub data: Vec<u8>,
}

impl PictureChunk {
    /// How many bytes the piece at an offset has.
    #[must_use]
    pub const fn length_at(size: u64, offset: u64) -> u64 {
        let rest = size.saturating_sub(offset);
        if rest < CHUNK { rest } else { CHUNK }
    }
}

/// How much of a picture has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureState {
    /// The picture.
    pub digest: PictureDigest,
    /// Bytes from the start that need not be sent again.
    pub have: u64,
    /// Whether the coordinator has stored it.
    pub stored: bool,
}

/// Which pictures to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPictures {
    /// Of these tenants; empty is any.
    pub tenants: Vec<TenantId>,
    /// Of these sites; empty is any.
    pub sites: Vec<SiteId>,
    /// Of this device, by its lasting name; empty is any.
    pub device: String,
    /// Of this job; `None` is any.
    pub job: Option<JobId>,
    /// Only the newest of each channel.
    pub newest: bool,
    /// Where the last page ended; empty for the first.
    pub cursor: String,
    /// The most rows; 0 is [`super::api::PAGE_MAX`].
    pub limit: u32,
}

/// A picture that the fleet took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureView {
    /// Its number at the coordinator.
    pub id: u64,
    /// The site.
    pub site: SiteId,
    /// The lasting name of the device.
    pub device_id: String,
    /// Where the device stands, `HOST:PORT`; empty where it does not any more.
    pub address: String,
    /// The operator's name of the device.
    pub hostname: String,
    /// The job that took it.
    pub job: Option<JobId>,
    /// What is known of it, with the doubts that only the fleet can have.
    pub picture: PictureTaken,
    /// Whether the coordinator has its bytes.
    pub stored: bool,
}

/// Reads part of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadPicture {
    /// The picture, as [`PictureView::id`].
    pub id: u64,
    /// From which byte on.
    pub offset: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::picture::limits;

    #[test]
    fn every_picture_that_is_let_in_may_travel() {
        assert_eq!(u64::try_from(limits::JPEG_BYTES), Ok(PICTURE_MAX));
    }

    #[test]
    fn digests_read_back_and_nothing_else_does() {
        let digest = PictureDigest([0xA5; 32]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for text in [
            "",
            "a5",
            &"A5".repeat(32),
            &"../a".repeat(16),
            &"ä".repeat(32),
        ] {
            assert_eq!(text.parse::<PictureDigest>(), Err(BadDigest), "{text}");
        }
    }
}
