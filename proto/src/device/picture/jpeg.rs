//! Whether bytes are a whole JPEG picture, and how large it is.

use super::frame::limits;
use super::trouble::PictureError;

/// Begins every picture.
const SOI: [u8; 2] = [0xFF, 0xD8];
/// Ends every picture.
const EOI: [u8; 2] = [0xFF, 0xD9];
/// Segments before the pixels; more are no picture of a camera.
const SEGMENTS_MAX: usize = 256;

/// A JPEG picture that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jpeg {
    /// Bytes of the picture, from SOI to EOI.
    pub bytes: usize,
    /// NUL bytes after it, which buffers of the vendor's library leave there.
    pub stripped: usize,
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// Components: 1 is grey, 3 is colour.
    pub components: u8,
    /// Bits per sample.
    pub precision: u8,
}

impl Jpeg {
    /// Checks a picture; the first [`Self::bytes`] bytes are what may be kept.
    ///
    /// # Errors
    ///
    /// What is wrong, the most telling first: an empty answer, a document, a picture without an end.
    pub fn check(bytes: &[u8]) -> Result<Self, PictureError> {
        if bytes.is_empty() {
            return Err(PictureError::Empty);
        }
        if bytes.len() > limits::JPEG_BYTES {
            return Err(PictureError::TooLarge);
        }
        if !bytes.starts_with(&SOI) {
            return Err(if is_document(bytes) {
                PictureError::Document
            } else {
                PictureError::NotJpeg
            });
        }
        let (whole, complete) = framed(bytes);
        if !complete {
            return Err(PictureError::CutOff);
        }
        let frame = frame_header(whole)?;
        if !limits::allow(frame.width.into(), frame.height.into()) {
            return Err(PictureError::TooLarge);
        }
        Ok(Self {
            bytes: whole.len(),
            stripped: bytes.len().saturating_sub(whole.len()),
            width: frame.width,
            height: frame.height,
            components: frame.components,
            precision: frame.precision,
        })
    }
}

/// A picture without NUL bytes after its end, and whether it has a beginning and an end. Bytes are cut
/// off only where they follow a complete picture.
#[must_use]
pub fn framed(bytes: &[u8]) -> (&[u8], bool) {
    let used = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last.saturating_add(1));
    let cut = bytes.get(..used).unwrap_or(bytes);
    if cut.len() >= 4 && cut.starts_with(&SOI) && cut.ends_with(&EOI) {
        (cut, true)
    } else {
        (bytes, false)
    }
}

/// Whether bytes begin as XML or HTML does.
fn is_document(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
}

struct FrameHeader {
    precision: u8,
    width: u16,
    height: u16,
    components: u8,
}

/// The first frame header, looked for in the segments before the pixels.
fn frame_header(bytes: &[u8]) -> Result<FrameHeader, PictureError> {
    let mut rest = bytes.get(2..).unwrap_or_default();
    for _ in 0..SEGMENTS_MAX {
        let marker = match rest {
            // Fill bytes may precede a marker.
            [0xFF, 0xFF, ..] => {
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            [0xFF, marker, ..] => *marker,
            _ => return Err(PictureError::Damaged),
        };
        match marker {
            // The end, or the pixels.
            0xD9 | 0xDA => return Err(PictureError::NoFrameHeader),
            // Markers without a segment.
            0x01 | 0xD0..=0xD7 => {
                rest = rest.get(2..).unwrap_or_default();
                continue;
            }
            0x00 | 0xD8 => return Err(PictureError::Damaged),
            _ => {}
        }
        let [high, low] = *rest
            .get(2..4)
            .and_then(<[u8]>::first_chunk)
            .ok_or(PictureError::Damaged)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let end = length.checked_add(2).ok_or(PictureError::Damaged)?;
        let segment = rest.get(4..end).ok_or(PictureError::Damaged)?;
        if is_frame(marker) {
            return read_frame(segment);
        }
        rest = rest.get(end..).unwrap_or_default();
    }
    Err(PictureError::NoFrameHeader)
}

/// Whether a marker begins a frame: SOF0 to SOF15 without DHT, JPG and DAC, which stand among them.
const fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC)
}

fn read_frame(segment: &[u8]) -> Result<FrameHeader, PictureError> {
    let [precision, h1, h0, w1, w0, components] =
        *segment.first_chunk().ok_or(PictureError::Damaged)?;
    let (height, width) = (u16::from_be_bytes([h1, h0]), u16::from_be_bytes([w1, w0]));
    if width == 0 || height == 0 || components == 0 {
        return Err(PictureError::Damaged);
    }
    Ok(FrameHeader {
        precision,
        width,
        height,
        components,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 704 by 576, with an application segment before the frame.
    fn picture() -> Vec<u8> {
        let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 1, 2, 0xFF];
        bytes.extend([0xFF, 0xC0, 0, 11, 8, 0x02, 0x40, 0x02, 0xC0, 1, 1, 0x11, 0]);
        bytes.extend([0xFF, 0xDA, 0, 2, 0x55, 0x66, 0xFF, 0xD9]);
        bytes
    }

    #[test]
    fn a_whole_picture_tells_its_size() {
        let jpeg = Jpeg::check(&picture()).unwrap();
        assert_eq!((jpeg.width, jpeg.height, jpeg.components), (704, 576, 1));
        let padded = [picture(), vec![0; 9]].concat();
        let found = Jpeg::check(&padded).unwrap();
        assert_eq!((found.bytes, found.stripped), (picture().len(), 9));
    }

    #[test]
    fn what_is_no_picture_is_told_apart() {
        let check = |bytes: &[u8]| Jpeg::check(bytes).unwrap_err();
        assert_eq!(check(b""), PictureError::Empty);
        assert_eq!(check(b"\r\n <html>"), PictureError::Document);
        assert_eq!(check(b"\xEF\xBB\xBF<?xml?>"), PictureError::Document);
        assert_eq!(check(b"GIF89a"), PictureError::NotJpeg);
        assert_eq!(
            check(&[0xFF, 0xD8, 0xFF, 0xD9]),
            PictureError::NoFrameHeader
        );
        let picture = picture();
        assert_eq!(check(&picture[..picture.len() - 1]), PictureError::CutOff);
        let tail = [picture.clone(), vec![b'x', 0]].concat();
        assert_eq!(check(&tail), PictureError::CutOff);
        let mut flat = picture.clone();
        (flat[14], flat[15]) = (0, 0);
        assert_eq!(check(&flat), PictureError::Damaged);
        let mut wide = picture;
        (wide[14], wide[15], wide[16], wide[17]) = (0xFF, 0xFF, 0xFF, 0xFF);
        assert_eq!(check(&wide), PictureError::TooLarge);
        let huge = vec![0xFF; limits::JPEG_BYTES + 1];
        assert_eq!(check(&huge), PictureError::TooLarge);
    }

    #[test]
    fn every_prefix_of_a_picture_is_refused() {
        let picture = picture();
        for end in 0..picture.len() {
            assert!(Jpeg::check(&picture[..end]).is_err(), "{end}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_is_framed(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Jpeg::check(&bytes);
            let dressed = [&SOI[..], &bytes, &EOI].concat();
            if let Ok(jpeg) = Jpeg::check(&dressed) {
                let kept = &dressed[..jpeg.bytes];
                prop_assert!(kept.starts_with(&SOI) && kept.ends_with(&EOI));
                prop_assert!(dressed[jpeg.bytes..].iter().all(|byte| *byte == 0));
                prop_assert!(jpeg.width > 0 && jpeg.height > 0);
            }
        }

        #[test]
        fn padding_changes_nothing_but_its_count(count in 0_usize..64) {
            let jpeg = Jpeg::check(&[picture(), vec![0; count]].concat()).unwrap();
            prop_assert_eq!(Jpeg { stripped: 0, ..jpeg }, Jpeg::check(&picture()).unwrap());
            prop_assert_eq!(jpeg.stripped, count);
        }
    }
}
