//! The sequence parameter set of H.264, as far as size and colours need it. Wire source: ITU-T H.264,
//! 7.3.2.1.1 and E.1.1.

use super::bits::Bits;
use super::frame::VideoFormat;
use super::trouble::PictureError;

/// Profiles whose sets say chroma format and bit depth.
const HIGH: [u32; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
/// The most macroblocks in a row or column.
const BLOCKS_MAX: u32 = 1 << 14;
/// An aspect ratio that is written out.
const EXTENDED_ASPECT: u32 = 255;

/// Reads a set without its one header byte.
pub(super) fn sequence(payload: &[u8]) -> Result<VideoFormat, PictureError> {
    let mut bits = Bits::of(payload);
    let profile = bits.bits(8)?;
    bits.skip(16)?;
    bits.number_to(31)?;
    let (mut chroma, mut bit_depth) = (1, 8);
    if HIGH.contains(&profile) {
        chroma = bits.number_to(3)?;
        if chroma == 3 {
            bits.flag()?;
        }
        bit_depth = bits.number_to(6)? + 8;
        bits.number_to(6)?;
        bits.flag()?;
        if bits.flag()? {
            scaling_lists(&mut bits, if chroma == 3 { 12 } else { 8 })?;
        }
    }
    bits.number_to(12)?;
    match bits.number_to(2)? {
        0 => {
            bits.number_to(12)?;
        }
        1 => {
            bits.flag()?;
            bits.signed()?;
            bits.signed()?;
            for _ in 0..bits.number_to(255)? {
                bits.signed()?;
            }
        }
        _ => {}
    }
    bits.number_to(16)?;
    bits.flag()?;
    let columns = bits.number_to(BLOCKS_MAX)? + 1;
    let rows = bits.number_to(BLOCKS_MAX)? + 1;
    let frames_only = bits.flag()?;
    if !frames_only {
        bits.flag()?;
    }
    bits.flag()?;
    let fields = if frames_only { 1 } else { 2 };
    let (coded_width, coded_height) = (columns * 16, rows * 16 * fields);
    let (mut cut_width, mut cut_height) = (0, 0);
    if bits.flag()? {
        let mut side = || bits.number_to(BLOCKS_MAX * 16);
        let (left, right, top, bottom) = (side()?, side()?, side()?, side()?);
        let (unit_x, unit_y) = match chroma {
            1 => (2, 2 * fields),
            2 => (2, fields),
            _ => (1, fields),
        };
        cut_width = (left + right) * unit_x;
        cut_height = (top + bottom) * unit_y;
    }
    let width = coded_width
        .checked_sub(cut_width)
        .filter(|width| *width > 0);
    let height = coded_height
        .checked_sub(cut_height)
        .filter(|height| *height > 0);
    let (Some(width), Some(height)) = (width, height) else {
        return Err(PictureError::Damaged);
    };
    let (full_range, matrix) = colours(&mut bits).unwrap_or((false, None));
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

fn scaling_lists(bits: &mut Bits, count: usize) -> Result<(), PictureError> {
    for list in 0..count {
        if !bits.flag()? {
            continue;
        }
        let (mut last, mut next) = (8_i64, 8_i64);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = (last + bits.signed()? + 256).rem_euclid(256);
            }
            last = if next == 0 { last } else { next };
        }
    }
    Ok(())
}

/// The range and the matrix of the colours; a set that ends before it has neither.
fn colours(bits: &mut Bits) -> Result<(bool, Option<u8>), PictureError> {
    if !bits.flag()? {
        return Ok((false, None));
    }
    signal(bits)
}

/// The part of the usability information that H.264 and H.265 share.
pub(super) fn signal(bits: &mut Bits) -> Result<(bool, Option<u8>), PictureError> {
    if bits.flag()? && bits.bits(8)? == EXTENDED_ASPECT {
        bits.skip(32)?;
    }
    if bits.flag()? {
        bits.flag()?;
    }
    if !bits.flag()? {
        return Ok((false, None));
    }
    bits.skip(3)?;
    let full_range = bits.flag()?;
    let mut matrix = None;
    if bits.flag()? {
        bits.skip(16)?;
        matrix = u8::try_from(bits.bits(8)?).ok();
    }
    Ok((full_range, matrix))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Baseline, level 3.0, 44 by 36 macroblocks, nothing cut, no usability information: numbers 0, 0,
    /// 2, 1, 0, 43, 35 of Exp-Golomb code between flags.
    pub(crate) const SPS_704: &[u8] = &[
        66,
        0,
        30,
        0b1101_1010,
        0b0000_0010,
        0b1100_0000,
        0b0100_1001,
        0b1001_0000,
    ];

    #[test]
    fn a_baseline_set_tells_its_size() {
        let format = sequence(SPS_704).unwrap();
        assert_eq!((format.width, format.height), (704, 576));
        assert_eq!(
            (format.bit_depth, format.full_range, format.matrix),
            (8, false, None)
        );
        assert!(!format.is_bt709());
    }

    #[test]
    fn a_set_that_ends_early_is_damaged() {
        for end in 0..SPS_704.len() {
            assert!(sequence(&SPS_704[..end]).is_err(), "{end}");
        }
    }
}
