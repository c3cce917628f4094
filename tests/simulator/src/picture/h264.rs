//! H.264 of macroblocks whose samples are sent as they are (ITU-T H.264, 7.3.5: `I_PCM`).

use super::bits::{Bits, unit};
use super::scene::{SIDE, Scene};

/// Parameter sets and one picture: units without start codes.
pub(crate) fn h264(scene: &Scene) -> Vec<Vec<u8>> {
    vec![
        unit(&[0x67], &sequence(scene)),
        unit(&[0x68], &picture_set()),
        unit(&[0x65], &slice(scene)),
    ]
}

fn small(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

fn sequence(scene: &Scene) -> Vec<u8> {
    let mut bits = Bits::default();
    // Baseline, level 3.0.
    for value in [66, 0xC0, 30] {
        bits.bits(value, 8);
    }
    // Numbers of the set, of frame numbers, order type 2, no reference.
    for value in [0, 0, 2, 0] {
        bits.ue(value);
    }
    bits.bit(false);
    bits.ue(small(scene.columns()) - 1);
    bits.ue(small(scene.rows()) - 1);
    // Frames only, direct inference, not cut, no usability information.
    for bit in [true, true, false, false] {
        bits.bit(bit);
    }
    bits.trailing()
}

fn picture_set() -> Vec<u8> {
    let mut bits = Bits::default();
    bits.ue(0);
    bits.ue(0);
    bits.bits(0, 2);
    for _ in 0..3 {
        bits.ue(0);
    }
    bits.bits(0, 3);
    // Three quantiser offsets of 0.
    for _ in 0..3 {
        bits.ue(0);
    }
    // Deblocking can be switched off in the slice.
    for bit in [true, false, false] {
        bits.bit(bit);
    }
    bits.trailing()
}

fn slice(scene: &Scene) -> Vec<u8> {
    let mut bits = Bits::default();
    // First macroblock, intra slice, picture set.
    for value in [0, 7, 0] {
        bits.ue(value);
    }
    // frame_num of 4 bits, idr_pic_id, the two reference flags, slice_qp_delta, no deblocking.
    bits.bits(0, 4);
    bits.ue(0);
    bits.bits(0, 2);
    bits.ue(0);
    bits.ue(1);
    for row in 0..scene.rows() {
        for column in 0..scene.columns() {
            bits.ue(25);
            bits.align(false);
            bits.raw(&[scene.square_of_video(row, column); SIDE * SIDE]);
            bits.raw(&[scene.colour.0; SIDE * SIDE / 4]);
            bits.raw(&[scene.colour.1; SIDE * SIDE / 4]);
        }
    }
    bits.trailing()
}
