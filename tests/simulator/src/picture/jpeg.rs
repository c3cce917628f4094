//! JPEG of flat blocks: one coefficient each, coded with the tables of the standard.

use super::bits::Bits;
use super::scene::{COLUMNS, ROWS, Scene};

/// How often codes of 1 to 16 bits occur, and what they stand for: ITU-T T.81, annex K.
const DC_LUMA: ([u8; 16], &[u8]) = (
    [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
    &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
);
const DC_CHROMA: ([u8; 16], &[u8]) = (
    [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
    &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
);
/// Codes of the other coefficients: of both tables only the end of a block is used, in the code that
/// annex K gives it.
const AC_LUMA: ([u8; 16], &[u8]) = (
    [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125],
    &[
        0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61,
        0x07, 0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xA1, 0x08, 0x23, 0x42, 0xB1, 0xC1, 0x15, 0x52,
        0xD1, 0xF0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0A, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x25,
        0x26, 0x27, 0x28, 0x29, 0x2A, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45,
        0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0x63, 0x64,
        0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x83,
        0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
        0x9A, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6,
        0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3,
        0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xE1, 0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8,
        0xE9, 0xEA, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
    ],
);
/// The code of a block's end, and its length, for luma and for chroma.
const END_LUMA: (u32, u32) = (0b1010, 4);
const END_CHROMA: (u32, u32) = (0b00, 2);
/// The beginning of annex K's second table, as far as it is used: codes 00 and 01.
const AC_CHROMA: ([u8; 16], &[u8]) = (
    [0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    &[0x00, 0x01],
);

/// The quantiser of every coefficient: luma is then exact in steps of 1.
const STEP: u8 = 8;

/// Both quantiser tables, as RTP carries them.
pub(crate) fn tables() -> [u8; 128] {
    [STEP; 128]
}

/// A whole picture, and where its entropy-coded part begins and ends.
pub(crate) fn jpeg(scene: &Scene) -> (Vec<u8>, std::ops::Range<usize>) {
    let mut bytes = vec![0xFF, 0xD8];
    let mut segment = |marker: u8, body: &[u8]| {
        let length = u16::try_from(body.len() + 2).unwrap_or(u16::MAX);
        bytes.extend([0xFF, marker]);
        bytes.extend(length.to_be_bytes());
        bytes.extend_from_slice(body);
    };
    segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    for table in 0..2 {
        segment(0xDB, &[&[table], &[STEP; 64][..]].concat());
    }
    let side = |pixels: usize| u16::try_from(pixels).unwrap_or(0).to_be_bytes();
    let size = [side(Scene::height()), side(Scene::width())].concat();
    let parts = [3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1];
    segment(0xC0, &[&[8], &size[..], &parts].concat());
    for (class, (counts, values)) in [
        (0x00, DC_LUMA),
        (0x10, AC_LUMA),
        (0x01, DC_CHROMA),
        (0x11, AC_CHROMA),
    ] {
        segment(0xC4, &[&[class], &counts[..], values].concat());
    }
    segment(0xDA, &[3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0]);
    let start = bytes.len();
    bytes.extend(scan(scene));
    let end = bytes.len();
    bytes.extend([0xFF, 0xD9]);
    (bytes, start..end)
}

/// The blocks: four of luma and one of each colour for every square.
fn scan(scene: &Scene) -> Vec<u8> {
    let mut bits = Bits::default();
    let mut last = [0_i32; 3];
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            let light = full(scene.square(row, column), 16, 219);
            for _ in 0..4 {
                block(&mut bits, 0, light, &mut last);
            }
            block(
                &mut bits,
                1,
                full(scene.colour.0, 128, 224) + 128,
                &mut last,
            );
            block(
                &mut bits,
                2,
                full(scene.colour.1, 128, 224) + 128,
                &mut last,
            );
        }
    }
    bits.align(true);
    let stuffed = bits.bytes.iter().flat_map(|byte| {
        let zero = (*byte == 0xFF).then_some(0);
        std::iter::once(*byte).chain(zero)
    });
    stuffed.collect()
}

/// A level of video in the full range of JPEG.
fn full(level: u8, from: i32, span: i32) -> i32 {
    (i32::from(level) - from) * 255 / span
}

fn block(bits: &mut Bits, part: usize, level: i32, last: &mut [i32; 3]) {
    // A flat block's coefficient is eight times its level less 128; the quantiser takes the eight.
    let value = level.clamp(0, 255) - 128;
    let before = last
        .get_mut(part)
        .map_or(0, |last| std::mem::replace(last, value));
    let difference = value - before;
    let size = 32 - difference.unsigned_abs().leading_zeros();
    let (counts, _) = if part == 0 { DC_LUMA } else { DC_CHROMA };
    let (code, length) = code_of(&counts, size);
    bits.bits(code, length);
    let magnitude = if difference < 0 {
        difference + (1 << size) - 1
    } else {
        difference
    };
    bits.bits(u32::try_from(magnitude).unwrap_or(0), size);
    let (code, length) = if part == 0 { END_LUMA } else { END_CHROMA };
    bits.bits(code, length);
}

/// The code of a place in a table whose values are in order.
fn code_of(counts: &[u8; 16], place: u32) -> (u32, u32) {
    let (mut code, mut left) = (0, place);
    for (length, count) in (1_u32..).zip(counts) {
        let count = u32::from(*count);
        if left < count {
            return (code + left, length);
        }
        left -= count;
        code = (code + count) << 1;
    }
    (0, 0)
}
