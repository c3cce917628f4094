//! From video's colours to those of JPEG.
//!
//! Devices send luma from 16 to 235 and chroma from 16 to 240 unless the stream says otherwise; JPEG
//! uses all of 0 to 255. JPEG means the matrix of BT.601, large video mostly that of BT.709.

use jpeg_encoder::{ImageBuffer, JpegColorType};
use tvtfleet_proto::device::picture::{Look, VideoFormat};

/// The planes of a decoded picture, in samples of 8 bits.
#[derive(Debug, Default)]
pub(super) struct Planes {
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) luma: Vec<u8>,
    pub(super) blue: Vec<u8>,
    pub(super) red: Vec<u8>,
    /// Columns of the chroma planes.
    pub(super) chroma_width: usize,
    /// Whether a row of chroma stands for two of luma.
    pub(super) chroma_halved: bool,
}

/// A picture ready to be encoded.
#[derive(Debug)]
pub(super) struct Painted {
    planes: Planes,
    luma: [u8; 256],
    chroma: [i32; 256],
    bt709: bool,
}

/// Shares of a matrix, in parts of 65536: blue and red in luma, and what chroma keeps and gives away.
const LUMA_BLUE: i32 = 6_660;
const LUMA_RED: i32 = 12_851;
const BLUE_KEEPS: i32 = 64_871;
const BLUE_GIVES: i32 = -7_252;
const RED_KEEPS: i32 = 64_447;
const RED_GIVES: i32 = -4_749;
const HALF: i32 = 1 << 15;

impl Painted {
    /// Takes planes, and widens the range of their luma where the stream's is narrow.
    pub(super) fn new(mut planes: Planes, format: &VideoFormat) -> Self {
        let stretch = |value: i32, from: i32, span: i32| {
            if format.full_range {
                value
            } else {
                ((value - from) * 255 * 2 + span) / (span * 2)
            }
        };
        let mut painted = Self {
            luma: [0; 256],
            chroma: [0; 256],
            bt709: format.is_bt709(),
            planes: Planes::default(),
        };
        for (value, (luma, chroma)) in
            (0_i32..).zip(painted.luma.iter_mut().zip(&mut painted.chroma))
        {
            *luma = clamped(stretch(value, 16, 219));
            *chroma = if format.full_range {
                value - 128
            } else {
                (value - 128) * 255 / 224
            };
        }
        let table = painted.luma;
        for value in &mut planes.luma {
            *value = table.get(usize::from(*value)).copied().unwrap_or(0);
        }
        painted.planes = planes;
        painted
    }

    /// How the picture looks.
    pub(super) fn look(&self) -> Option<Look> {
        let planes = &self.planes;
        Look::of(&planes.luma, planes.width.into(), planes.height.into())
    }

    fn chroma_of(&self, value: u8) -> i32 {
        self.chroma.get(usize::from(value)).copied().unwrap_or(0)
    }
}

impl ImageBuffer for &Painted {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.planes.width
    }

    fn height(&self) -> u16 {
        self.planes.height
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let planes = &self.planes;
        let (row, width) = (usize::from(y), usize::from(planes.width));
        let chroma_row = if planes.chroma_halved { row / 2 } else { row };
        let line = |plane: &'_ [u8], row: usize, width: usize| -> Vec<u8> {
            let start = row.saturating_mul(width);
            let end = start.saturating_add(width);
            plane.get(start..end).unwrap_or_default().to_vec()
        };
        let luma = line(&planes.luma, row, width);
        let blue = line(&planes.blue, chroma_row, planes.chroma_width);
        let red = line(&planes.red, chroma_row, planes.chroma_width);
        let halved = planes.chroma_width < width;
        let [to_luma, to_blue, to_red, _] = buffers;
        for column in 0..width {
            let at = if halved { column / 2 } else { column };
            let light = i32::from(luma.get(column).copied().unwrap_or(0));
            let cb = self.chroma_of(blue.get(at).copied().unwrap_or(128));
            let cr = self.chroma_of(red.get(at).copied().unwrap_or(128));
            let (light, cb, cr) = if self.bt709 {
                (
                    light + ((LUMA_BLUE * cb + LUMA_RED * cr + HALF) >> 16),
                    (BLUE_KEEPS * cb + BLUE_GIVES * cr + HALF) >> 16,
                    (RED_KEEPS * cr + RED_GIVES * cb + HALF) >> 16,
                )
            } else {
                (light, cb, cr)
            };
            to_luma.push(clamped(light));
            to_blue.push(clamped(cb + 128));
            to_red.push(clamped(cr + 128));
        }
    }
}

fn clamped(value: i32) -> u8 {
    u8::try_from(value.clamp(0, 255)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(full_range: bool, matrix: u8) -> VideoFormat {
        VideoFormat {
            width: 2,
            height: 2,
            coded_width: 16,
            coded_height: 16,
            bit_depth: 8,
            full_range,
            matrix: Some(matrix),
        }
    }

    fn pixel(luma: u8, blue: u8, red: u8, format: &VideoFormat) -> [u8; 3] {
        let planes = Planes {
            width: 2,
            height: 2,
            luma: vec![luma; 4],
            blue: vec![blue],
            red: vec![red],
            chroma_width: 1,
            chroma_halved: true,
        };
        let painted = Painted::new(planes, format);
        let mut buffers = [const { Vec::new() }; 4];
        (&painted).fill_buffers(1, &mut buffers);
        [buffers[0][1], buffers[1][1], buffers[2][1]]
    }

    #[test]
    fn black_and_white_reach_the_ends_of_the_range() {
        let narrow = format(false, 5);
        assert_eq!(pixel(16, 128, 128, &narrow), [0, 128, 128]);
        assert_eq!(pixel(235, 128, 128, &narrow), [255, 128, 128]);
        assert_eq!(pixel(126, 128, 128, &narrow), [128, 128, 128]);
        assert_eq!(pixel(126, 240, 16, &narrow)[1..], [255, 1]);
        assert_eq!(pixel(16, 100, 200, &format(true, 5)), [16, 100, 200]);
    }

    /// The colours of BT.709 and of BT.601 as numbers from 0 to 1.
    fn rgb(values: [u8; 3], (red, blue): (f64, f64)) -> [f64; 3] {
        let [y, cb, cr] = values.map(f64::from);
        let (cb, cr) = (cb - 128.0, cr - 128.0);
        let r = y + 2.0 * (1.0 - red) * cr;
        let b = y + 2.0 * (1.0 - blue) * cb;
        [r, (y - red * r - blue * b) / (1.0 - red - blue), b]
    }

    #[test]
    fn the_matrix_of_large_video_is_changed() {
        for values in [[120, 90, 170], [60, 140, 120], [200, 110, 135]] {
            let [luma, blue, red] = values;
            let found = rgb(pixel(luma, blue, red, &format(true, 1)), (0.299, 0.114));
            let wanted = rgb(values, (0.2126, 0.0722));
            for (one, two) in found.iter().zip(wanted) {
                assert!((one - two).abs() < 2.5, "{found:?} for {wanted:?}");
            }
        }
    }
}
