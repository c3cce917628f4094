//! Looking at JPEG pictures: how they look, and small ones for contact sheets.

use jpeg_encoder::{ColorType, Encoder};
use tvtfleet_proto::device::picture::{Jpeg, Look, limits};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// How a checked picture looks; `None` where it cannot be decoded.
pub(super) fn look(jpeg: &Jpeg, bytes: &[u8]) -> Option<Look> {
    let luma = decoded(jpeg, bytes, ColorSpace::Luma)?;
    Look::of(&luma, jpeg.width.into(), jpeg.height.into())
}

/// A small picture, three bytes a pixel: red, green, blue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Its rows, without gaps.
    pub rgb: Vec<u8>,
}

/// A picture made to fit into a width and a height; `None` where the bytes are no picture that can be
/// decoded.
///
/// For pictures that were made here; [`super::Studio::thumbnail`] is for those of devices.
#[must_use]
pub fn thumbnail(bytes: &[u8], max_width: usize, max_height: usize) -> Option<Thumbnail> {
    let jpeg = Jpeg::check(bytes).ok()?;
    let (from_width, from_height) = (usize::from(jpeg.width), usize::from(jpeg.height));
    let rgb = decoded(&jpeg, bytes, ColorSpace::RGB)?;
    let by_width = from_width * max_height > from_height * max_width;
    let (width, height) = if by_width {
        (max_width, from_height * max_width / from_width)
    } else {
        (from_width * max_height / from_height, max_height)
    };
    let (width, height) = (width.clamp(1, from_width), height.clamp(1, from_height));
    let mut small = Vec::with_capacity(width * height * 3);
    for row in 0..height {
        let rows = row * from_height / height..((row + 1) * from_height / height).max(1);
        for column in 0..width {
            let columns = column * from_width / width..((column + 1) * from_width / width).max(1);
            let (mut sums, mut count) = ([0_u32; 3], 0_u32);
            for y in rows.clone() {
                let start = (y * from_width + columns.start) * 3;
                let end = (y * from_width + columns.end) * 3;
                for pixel in rgb.get(start..end).unwrap_or_default().chunks_exact(3) {
                    for (sum, value) in sums.iter_mut().zip(pixel) {
                        *sum += u32::from(*value);
                    }
                    count += 1;
                }
            }
            let mean = |sum: u32| u8::try_from(sum / count.max(1)).unwrap_or(u8::MAX);
            small.extend(sums.map(mean));
        }
    }
    Some(Thumbnail {
        width,
        height,
        rgb: small,
    })
}

impl Thumbnail {
    /// The picture as JPEG; `None` where a side is larger than JPEG can say.
    #[must_use]
    pub fn to_jpeg(&self, quality: u8) -> Option<Vec<u8>> {
        let side = |side: usize| u16::try_from(side).ok();
        let mut bytes = Vec::new();
        let encoder = Encoder::new(&mut bytes, quality.clamp(1, 100));
        encoder
            .encode(
                &self.rgb,
                side(self.width)?,
                side(self.height)?,
                ColorType::Rgb,
            )
            .ok()?;
        Some(bytes)
    }
}

/// The samples of a picture whose header has been checked; its size is checked again by the decoder.
fn decoded(jpeg: &Jpeg, bytes: &[u8], colours: ColorSpace) -> Option<Vec<u8>> {
    let side = usize::try_from(limits::SIDE).ok()?;
    let options = DecoderOptions::default()
        .set_max_width(side)
        .set_max_height(side)
        .jpeg_set_out_colorspace(colours);
    let samples = JpegDecoder::new_with_options(ZCursor::new(bytes), options)
        .decode()
        .ok()?;
    let wanted = usize::from(jpeg.width) * usize::from(jpeg.height) * colours.num_components();
    (samples.len() == wanted).then_some(samples)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::snapshot) fn picture(
        width: u16,
        height: u16,
        colour: impl Fn(usize, usize) -> [u8; 3],
    ) -> Vec<u8> {
        let mut rgb = Vec::new();
        for row in 0..usize::from(height) {
            for column in 0..usize::from(width) {
                rgb.extend(colour(row, column));
            }
        }
        let mut bytes = Vec::new();
        let encoder = Encoder::new(&mut bytes, 90);
        encoder.encode(&rgb, width, height, ColorType::Rgb).unwrap();
        bytes
    }

    #[test]
    fn a_thumbnail_keeps_shape_and_colours() {
        let bytes = picture(400, 200, |_, column| {
            if column < 200 {
                [220, 30, 30]
            } else {
                [30, 30, 220]
            }
        });
        let small = thumbnail(&bytes, 100, 100).unwrap();
        assert_eq!((small.width, small.height), (100, 50));
        let at = |column: usize| &small.rgb[(25 * 100 + column) * 3..][..3];
        assert!(at(20)[0] > 180 && at(20)[2] < 80, "{:?}", at(20));
        assert!(at(80)[2] > 180 && at(80)[0] < 80, "{:?}", at(80));
        let tiny = thumbnail(&picture(8, 8, |_, _| [9; 3]), 100, 100).unwrap();
        assert_eq!((tiny.width, tiny.height), (8, 8));
    }

    #[test]
    fn a_dark_picture_is_seen_to_be_dark() {
        let see = |level: u8| {
            let bytes = picture(320, 192, |row, column| {
                [level + u8::try_from((row + column) % 9).unwrap(); 3]
            });
            look(&Jpeg::check(&bytes).unwrap(), &bytes).unwrap()
        };
        assert!(see(0).is_black() && !see(90).is_black());
    }

    #[test]
    fn a_header_without_a_picture_has_no_look() {
        let hollow = [
            &[
                0xFF, 0xD8, 0xFF, 0xC0, 0, 11, 8, 0x02, 0x40, 0x02, 0xC0, 1, 1, 0x11, 0,
            ][..],
            &[0xFF, 0xDA, 0, 2, 0x55, 0xFF, 0xD9],
        ]
        .concat();
        let jpeg = Jpeg::check(&hollow).unwrap();
        assert_eq!(look(&jpeg, &hollow), None);
        assert_eq!(thumbnail(&hollow, 10, 10), None);
        assert_eq!(thumbnail(b"", 10, 10), None);
    }
}
