//! The sequence parameter set of H.265, as far as size and colours need it. Wire source: ITU-T H.265,
//! 7.3.2.2.1, 7.3.3, 7.3.4, 7.3.7 and E.2.1.

use super::bits::Bits;
use super::frame::VideoFormat;
use super::h264;
use super::trouble::PictureError;

/// The largest side that can be coded at all.
const SIDE_MAX: u32 = 1 << 16;
/// The most short-term sets.
const SETS_MAX: u32 = 64;
/// The most pictures in one of them.
const PICTURES_MAX: u32 = 16;

/// Reads a set without its two header bytes.
pub(super) fn sequence(payload: &[u8]) -> Result<VideoFormat, PictureError> {
    let mut bits = Bits::of(payload);
    bits.skip(4)?;
    let sub_layers = bits.bits(3)?;
    if sub_layers > 6 {
        return Err(PictureError::Damaged);
    }
    bits.flag()?;
    profile(&mut bits, sub_layers)?;
    bits.number_to(15)?;
    let chroma = bits.number_to(3)?;
    let planes_apart = chroma == 3 && bits.flag()?;
    let coded_width = bits.number_to(SIDE_MAX)?;
    let coded_height = bits.number_to(SIDE_MAX)?;
    let (mut cut_width, mut cut_height) = (0, 0);
    if bits.flag()? {
        let mut side = || bits.number_to(SIDE_MAX);
        let (left, right, top, bottom) = (side()?, side()?, side()?, side()?);
        let (unit_x, unit_y) = match chroma {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        cut_width = (left + right) * unit_x;
        cut_height = (top + bottom) * unit_y;
    }
    let bit_depth = bits.number_to(8)? + 8;
    let width = coded_width.checked_sub(cut_width).filter(|side| *side > 0);
    let height = coded_height
        .checked_sub(cut_height)
        .filter(|side| *side > 0);
    let (Some(width), Some(height)) = (width, height) else {
        return Err(PictureError::Damaged);
    };
    // Decoders allocate whole blocks; what is behind the size is read for the colours only.
    let chroma = if planes_apart { 0 } else { chroma };
    let (full_range, matrix) = colours(&mut bits, sub_layers, chroma).unwrap_or((false, None));
    Ok(VideoFormat {
        width,
        height,
        coded_width,
        coded_height,
        bit_depth: u8::try_from(bit_depth).unwrap_or(u8::MAX),
        full_range,
        matrix,
    })
}

fn profile(bits: &mut Bits, sub_layers: u32) -> Result<(), PictureError> {
    bits.skip(88)?;
    bits.skip(8)?;
    let mut present = Vec::new();
    for _ in 0..sub_layers {
        present.push((bits.flag()?, bits.flag()?));
    }
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers))?;
    }
    for (profile, level) in present {
        bits.skip(if profile { 88 } else { 0 })?;
        bits.skip(if level { 8 } else { 0 })?;
    }
    Ok(())
}

fn colours(
    bits: &mut Bits,
    sub_layers: u32,
    chroma: u32,
) -> Result<(bool, Option<u8>), PictureError> {
    bits.number_to(8)?;
    let order = bits.number_to(12)? + 4;
    let layers = if bits.flag()? { 0 } else { sub_layers };
    for _ in layers..=sub_layers {
        for _ in 0..3 {
            bits.number()?;
        }
    }
    for _ in 0..6 {
        bits.number_to(32)?;
    }
    if bits.flag()? && bits.flag()? {
        scaling_lists(bits, chroma)?;
    }
    bits.skip(2)?;
    if bits.flag()? {
        bits.skip(8)?;
        bits.number_to(5)?;
        bits.number_to(5)?;
        bits.flag()?;
    }
    short_term_sets(bits)?;
    if bits.flag()? {
        for _ in 0..bits.number_to(32)? {
            bits.skip(order + 1)?;
        }
    }
    bits.skip(2)?;
    if !bits.flag()? {
        return Ok((false, None));
    }
    h264::signal(bits)
}

fn scaling_lists(bits: &mut Bits, chroma: u32) -> Result<(), PictureError> {
    for size in 0_u32..4 {
        let step = if size == 3 && chroma != 3 { 3 } else { 1 };
        for _ in (0..6).step_by(step) {
            if !bits.flag()? {
                bits.number_to(6)?;
                continue;
            }
            if size > 1 {
                bits.signed()?;
            }
            for _ in 0..64.min(1_u32 << (4 + (size << 1))) {
                bits.signed()?;
            }
        }
    }
    Ok(())
}

fn short_term_sets(bits: &mut Bits) -> Result<(), PictureError> {
    let mut last = 0;
    for set in 0..bits.number_to(SETS_MAX)? {
        if set > 0 && bits.flag()? {
            bits.flag()?;
            bits.number()?;
            let mut kept = 0;
            for _ in 0..=last {
                // Used, or at least kept.
                if bits.flag()? || bits.flag()? {
                    kept += 1;
                }
            }
            last = kept;
            if last > PICTURES_MAX {
                return Err(PictureError::Damaged);
            }
        } else {
            let before = bits.number_to(PICTURES_MAX)?;
            let after = bits.number_to(PICTURES_MAX)?;
            last = before + after;
            for _ in 0..last {
                bits.number()?;
                bits.flag()?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes numbers and flags as bits.
    struct Pen(String);

    impl Pen {
        fn bits(mut self, value: u32, count: usize) -> Self {
            self.0.push_str(&format!("{value:0count$b}"));
            self
        }
        fn number(self, value: u32) -> Self {
            let size = usize::try_from((value + 1).ilog2()).unwrap();
            self.bits(0, size).cut(size == 0).bits(value + 1, size + 1)
        }
        /// `{:00b}` of nothing still writes a digit.
        fn cut(mut self, cut: bool) -> Self {
            if cut {
                self.0.pop();
            }
            self
        }
        fn bytes(mut self) -> Vec<u8> {
            self.0.push('1');
            while !self.0.len().is_multiple_of(8) {
                self.0.push('0');
            }
            let bytes = self.0.as_bytes().chunks(8);
            let plain: Vec<u8> = bytes
                .map(|eight| u8::from_str_radix(std::str::from_utf8(eight).unwrap(), 2).unwrap())
                .collect();
            let mut out: Vec<u8> = Vec::new();
            for byte in plain {
                if out.ends_with(&[0, 0]) && byte <= 3 {
                    out.push(3);
                }
                out.push(byte);
            }
            out
        }
    }

    /// 1920 by 1080 coded as 1088 rows, two short-term sets of which one is predicted, BT.709, full
    /// range.
    fn set() -> Vec<u8> {
        let pen = Pen(String::new()).bits(0, 4).bits(0, 3).bits(1, 1);
        let pen = pen.bits(0, 32).bits(0, 32).bits(0, 24).bits(93, 8);
        let pen = pen.number(0).number(1).number(1920).number(1088).bits(1, 1);
        let pen = pen.number(0).number(0).number(0).number(4);
        let pen = pen.number(0).number(0).number(4).bits(1, 1);
        let pen = pen.number(4).number(0).number(0);
        let pen = pen
            .number(0)
            .number(3)
            .number(0)
            .number(3)
            .number(1)
            .number(1);
        let pen = pen.bits(0, 1).bits(0, 2).bits(0, 1);
        let pen = pen.number(2);
        let pen = pen.number(1).number(0).number(0).bits(1, 1);
        let pen = pen.bits(1, 1).bits(0, 1).number(0).bits(1, 1).bits(1, 1);
        let pen = pen.bits(0, 1).bits(3, 2).bits(1, 1);
        let pen = pen.bits(1, 1).bits(1, 8).bits(0, 1);
        let pen = pen.bits(1, 1).bits(5, 3).bits(1, 1).bits(1, 1);
        pen.bits(1, 8).bits(1, 8).bits(1, 8).bytes()
    }

    #[test]
    fn size_and_colours_are_read() {
        let format = sequence(&set()).unwrap();
        assert_eq!((format.width, format.height), (1920, 1080));
        assert_eq!((format.coded_width, format.coded_height), (1920, 1088));
        assert_eq!((format.bit_depth, format.full_range), (8, true));
        assert_eq!(format.matrix, Some(1));
        assert!(format.is_bt709());
    }

    #[test]
    fn a_set_without_its_size_is_damaged() {
        for end in 0..15 {
            assert_eq!(sequence(&set()[..end]), Err(PictureError::Damaged), "{end}");
        }
        // What is missing behind the size costs the colours only.
        assert_eq!(
            sequence(&set()[..set().len() - 4]).map(|format| format.matrix),
            Ok(None)
        );
    }
}
