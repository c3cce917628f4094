//! Key frames of H.264 and H.265: which codec, how large, and whether a decoder may see them.

use super::h264;
use super::h265;
use super::trouble::PictureError;

/// What is read of pictures at most.
pub mod limits {
    /// Bytes of a JPEG picture.
    pub const JPEG_BYTES: usize = 25 * 1024 * 1024;
    /// Bytes of a key frame.
    pub const FRAME_BYTES: usize = 16 * 1024 * 1024;
    /// Columns or rows.
    pub const SIDE: u32 = 8192;
    /// Pixels: what level 6.2 of both codecs allows.
    pub const PIXELS: u64 = 35_651_584;
    /// Units of a key frame.
    pub const UNITS: usize = 4096;

    /// Whether a picture may be this large.
    #[must_use]
    pub fn allow(width: u32, height: u32) -> bool {
        width > 0
            && height > 0
            && width <= SIDE
            && height <= SIDE
            && u64::from(width) * u64::from(height) <= PIXELS
    }
}

/// A video codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// H.264, also called AVC.
    H264,
    /// H.265, also called HEVC.
    H265,
}

impl Codec {
    /// The name used in files, and the ending of a raw key frame.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::H265 => "h265",
        }
    }

    /// The codec of a frame that describes video, by the four letters at byte 16 in any case. Wire
    /// source: frames of the vendor's library as pytvt 1.3.4 reads them.
    #[must_use]
    pub fn of_format(payload: &[u8]) -> Option<Self> {
        let letters = payload.get(16..20)?.to_ascii_uppercase();
        match letters.as_slice() {
            b"HEVC" | b"H265" => Some(Self::H265),
            b"H264" | b"AVC1" => Some(Self::H264),
            _ => None,
        }
    }

    /// Guesses the codec of a stream with start codes from its first unit.
    ///
    /// H.265 is looked for first, so that an H.264 stream that begins with some rare units is taken
    /// for it. What a session description says is better.
    #[must_use]
    pub fn sniff(stream: &[u8]) -> Option<Self> {
        let start = stream.windows(3).position(|three| three == [0, 0, 1])?;
        let head = *stream.get(start + 3)?;
        let h265_kind = head >> 1 & 0x3F;
        if head & 0x81 == 0 && matches!(h265_kind, 32 | 33 | 34 | 19 | 20 | 21) {
            return Some(Self::H265);
        }
        (head & 0x80 == 0 && matches!(head & 0x1F, 5 | 7 | 8)).then_some(Self::H264)
    }
}

/// What parameter sets say of a video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoFormat {
    /// Columns that are shown.
    pub width: u32,
    /// Rows that are shown.
    pub height: u32,
    /// Columns that are coded, which is what a decoder allocates.
    pub coded_width: u32,
    /// Rows that are coded.
    pub coded_height: u32,
    /// Bits per sample.
    pub bit_depth: u8,
    /// Whether luma goes from 0 to 255; devices mostly send 16 to 235.
    pub full_range: bool,
    /// The number of the colour matrix; `None` where the stream says nothing.
    pub matrix: Option<u8>,
}

impl VideoFormat {
    /// Whether colours follow BT.709 rather than BT.601: as the stream says, else by size.
    #[must_use]
    pub fn is_bt709(&self) -> bool {
        match self.matrix {
            Some(1) => true,
            Some(5 | 6) => false,
            Some(_) | None => self.height >= 720,
        }
    }
}

/// A key frame that may be given to a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFrame {
    /// How it is encoded.
    pub codec: Codec,
    /// What its parameter sets say.
    pub format: VideoFormat,
}

/// Checks a key frame with start codes: it must hold parameter sets and a picture, within the limits.
/// Where it holds several parameter sets, all of them must be.
///
/// # Errors
///
/// What is missing or too large.
pub fn key_frame(codec: Codec, stream: &[u8]) -> Result<KeyFrame, PictureError> {
    if stream.is_empty() {
        return Err(PictureError::Empty);
    }
    if stream.len() > limits::FRAME_BYTES {
        return Err(PictureError::TooLarge);
    }
    let mut format = None;
    let mut has_picture = false;
    for (number, unit) in units(stream).enumerate() {
        if number >= limits::UNITS {
            return Err(PictureError::TooLarge);
        }
        match codec {
            Codec::H264 => match unit {
                [head, payload @ ..] if head & 0x1F == 7 => format = Some(h264::sequence(payload)?),
                [head, ..] => has_picture |= head & 0x1F == 5,
                [] => {}
            },
            Codec::H265 => match unit {
                [head, _, payload @ ..] if head >> 1 & 0x3F == 33 => {
                    format = Some(h265::sequence(payload)?);
                }
                [head, ..] => has_picture |= matches!(head >> 1 & 0x3F, 16..=21),
                [] => {}
            },
        }
        if let Some(found) = &format
            && !limits::allow(found.coded_width, found.coded_height)
        {
            return Err(PictureError::TooLarge);
        }
    }
    let format = format.ok_or(PictureError::NoParameters)?;
    if !has_picture {
        return Err(PictureError::NoSlice);
    }
    Ok(KeyFrame { codec, format })
}

/// The units between start codes.
fn units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start(stream);
    std::iter::from_fn(move || {
        let this = rest?;
        match this.windows(3).position(|three| three == [0, 0, 1]) {
            Some(end) => {
                rest = this.get(end + 3..);
                this.get(..end)
            }
            None => {
                rest = None;
                Some(this)
            }
        }
    })
}

fn after_start(stream: &[u8]) -> Option<&[u8]> {
    let start = stream.windows(3).position(|three| three == [0, 0, 1])?;
    stream.get(start + 3..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_frame_needs_parameters_and_a_picture() {
        let sps = h264::tests::SPS_704;
        let whole = [&[0, 0, 0, 1, 0x67], sps, &[0, 0, 1, 0x65, 0x88]].concat();
        let found = key_frame(Codec::H264, &whole).unwrap();
        assert_eq!((found.format.width, found.format.height), (704, 576));
        let no_slice = [&[0, 0, 0, 1, 0x67], sps].concat();
        assert_eq!(
            key_frame(Codec::H264, &no_slice),
            Err(PictureError::NoSlice)
        );
        let bare = [0, 0, 1, 0x65, 0x88];
        assert_eq!(
            key_frame(Codec::H264, &bare),
            Err(PictureError::NoParameters)
        );
        assert_eq!(key_frame(Codec::H265, &[]), Err(PictureError::Empty));
        let many = [0, 0, 1, 9].repeat(limits::UNITS + 1);
        assert_eq!(key_frame(Codec::H264, &many), Err(PictureError::TooLarge));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_key_frame_within_limits_or_none(
            bytes in proptest::collection::vec(any::<u8>(), 0..600), h265 in any::<bool>(),
        ) {
            let codec = if h265 { Codec::H265 } else { Codec::H264 };
            let head: &[u8] = if h265 { &[0, 0, 1, 0x42, 1] } else { &[0, 0, 1, 0x67] };
            let slice: &[u8] = if h265 { &[0, 0, 1, 0x26, 1] } else { &[0, 0, 1, 0x65] };
            let _ = (Codec::sniff(&bytes), Codec::of_format(&bytes));
            if let Ok(frame) = key_frame(codec, &[head, &bytes, slice].concat()) {
                prop_assert!(limits::allow(frame.format.coded_width, frame.format.coded_height));
                prop_assert!(frame.format.width <= frame.format.coded_width);
                prop_assert!(frame.format.height <= frame.format.coded_height);
            }
        }
    }
}
