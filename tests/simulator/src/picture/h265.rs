//! H.265 of coding units whose samples are sent as they are (ITU-T H.265, 7.3.8.7: `pcm_sample`).
//!
//! Coding tree units are of 16 by 16 and are not split. All that is arithmetically coded is one bin of
//! context a unit, which says that it is not partitioned, and the ends.

use super::bits::{Bits, unit};
use super::scene::{SIDE, Scene};

/// Parameter sets and one picture: units without start codes.
pub(crate) fn h265(scene: &Scene) -> Vec<Vec<u8>> {
    vec![
        unit(&[0x40, 1], &video_set()),
        unit(&[0x42, 1], &sequence(scene)),
        unit(&[0x44, 1], &picture_set()),
        unit(&[0x26, 1], &slice(scene)),
    ]
}

/// Profile Main, level 3.1.
fn profile(bits: &mut Bits) {
    bits.bits(1, 8);
    bits.bits(0x6000_0000, 32);
    bits.bits(0x9000_0000, 32);
    bits.bits(0, 16);
    bits.bits(93, 8);
}

fn video_set() -> Vec<u8> {
    let mut bits = Bits::default();
    bits.bits(0, 4);
    // Base layer internal and available, one layer, one sub-layer, nested.
    bits.bits(3, 2);
    bits.bits(0, 6);
    bits.bits(0, 3);
    bits.bit(true);
    bits.bits(0xFFFF, 16);
    profile(&mut bits);
    bits.bit(true);
    // Buffering 1, no reordering, no latency.
    for _ in 0..3 {
        bits.ue(0);
    }
    bits.bits(0, 6);
    bits.ue(0);
    bits.bits(0, 2);
    bits.trailing()
}

fn sequence(scene: &Scene) -> Vec<u8> {
    let side = |squares: usize| u32::try_from(squares * SIDE).unwrap_or(0);
    let mut bits = Bits::default();
    bits.bits(0, 4);
    bits.bits(0, 3);
    bits.bit(true);
    profile(&mut bits);
    bits.ue(0);
    bits.ue(1);
    bits.ue(side(scene.columns()));
    bits.ue(side(scene.rows()));
    bits.bit(false);
    // Depths of 8, picture order of 4 bits.
    for _ in 0..3 {
        bits.ue(0);
    }
    bits.bit(true);
    for _ in 0..3 {
        bits.ue(0);
    }
    // Smallest coding unit of 16 and no larger one, transforms of 4 to 16, no depth.
    for value in [1, 0, 0, 2, 0, 0] {
        bits.ue(value);
    }
    // No scaling lists, no asymmetric parts, no sample offsets, but samples as they are.
    for bit in [false, false, false, true] {
        bits.bit(bit);
    }
    // Of 8 bits each, in units of 16, not filtered.
    bits.bits(7, 4);
    bits.bits(7, 4);
    bits.ue(1);
    bits.ue(0);
    bits.bit(true);
    // No short-term sets, no long-term ones, no temporal vectors, no smoothing, no information.
    bits.ue(0);
    for _ in 0..5 {
        bits.bit(false);
    }
    bits.trailing()
}

fn picture_set() -> Vec<u8> {
    let mut bits = Bits::default();
    bits.ue(0);
    bits.ue(0);
    bits.bits(0, 2);
    bits.bits(0, 3);
    bits.bits(0, 2);
    for _ in 0..2 {
        bits.ue(0);
    }
    // Quantiser 26.
    bits.ue(0);
    bits.bits(0, 3);
    for _ in 0..2 {
        bits.ue(0);
    }
    // No offsets in slices, no weights (2), no bypass, no tiles, no wavefronts.
    bits.bits(0, 6);
    // Slices do not filter across; deblocking is off.
    bits.bit(false);
    for bit in [true, false, true] {
        bits.bit(bit);
    }
    // No scaling lists, no list changes, merge level 2, no extensions.
    bits.bits(0, 2);
    bits.ue(0);
    bits.bits(0, 2);
    bits.trailing()
}

fn slice(scene: &Scene) -> Vec<u8> {
    let mut head = Bits::default();
    // The first slice, nothing before it is needed for output, picture set, intra, quantiser.
    head.bit(true);
    head.bit(false);
    head.ue(0);
    head.ue(2);
    head.ue(0);
    head.bit(true);
    head.align(false);
    let mut coder = Coder::new(head);
    for row in 0..scene.rows() {
        for column in 0..scene.columns() {
            coder.whole_part();
            coder.terminate(true);
            let bits = coder.finish();
            bits.raw(&[scene.square_of_video(row, column); SIDE * SIDE]);
            bits.raw(&[scene.colour.0; SIDE * SIDE / 4]);
            bits.raw(&[scene.colour.1; SIDE * SIDE / 4]);
            coder.restart();
            coder.terminate(row + 1 == scene.rows() && column + 1 == scene.columns());
        }
    }
    // The last bit that ending writes is the stop bit.
    coder.end()
}

/// The arithmetic coder (ITU-T H.265, 9.3.4.6), with the one context that is used here.
struct Coder {
    bits: Bits,
    low: u32,
    range: u32,
    outstanding: u32,
    first: bool,
    /// How sure the context is of a 1.
    state: usize,
}

/// The range of the less likely bin for the upper quarter of ranges and down; of the states that a
/// context reaches which sees nothing but the likelier bin.
const LESS: [[u32; 4]; 63] = [
    [128, 176, 208, 240],
    [128, 167, 197, 227],
    [128, 158, 187, 216],
    [123, 150, 178, 205],
    [116, 142, 169, 195],
    [111, 135, 160, 185],
    [105, 128, 152, 175],
    [100, 122, 144, 166],
    [95, 116, 137, 158],
    [90, 110, 130, 150],
    [85, 104, 123, 142],
    [81, 99, 117, 135],
    [77, 94, 111, 128],
    [73, 89, 105, 122],
    [69, 85, 100, 116],
    [66, 80, 95, 110],
    [62, 76, 90, 104],
    [59, 72, 86, 99],
    [56, 69, 81, 94],
    [53, 65, 77, 89],
    [51, 62, 73, 85],
    [48, 59, 69, 80],
    [46, 56, 66, 76],
    [43, 53, 63, 72],
    [41, 50, 59, 69],
    [39, 48, 56, 65],
    [37, 45, 54, 62],
    [35, 43, 51, 59],
    [33, 41, 48, 56],
    [32, 39, 46, 53],
    [30, 37, 43, 50],
    [29, 35, 41, 48],
    [27, 33, 39, 45],
    [26, 31, 37, 43],
    [24, 30, 35, 41],
    [23, 28, 33, 39],
    [22, 27, 32, 37],
    [21, 26, 30, 35],
    [20, 24, 29, 33],
    [19, 23, 27, 31],
    [18, 22, 26, 30],
    [17, 21, 25, 28],
    [16, 20, 23, 27],
    [15, 19, 22, 25],
    [14, 18, 21, 24],
    [14, 17, 20, 23],
    [13, 16, 19, 22],
    [12, 15, 18, 21],
    [12, 14, 17, 20],
    [11, 14, 16, 19],
    [11, 13, 15, 18],
    [10, 12, 15, 17],
    [10, 12, 14, 16],
    [9, 11, 13, 15],
    [9, 11, 12, 14],
    [8, 10, 12, 14],
    [8, 9, 11, 13],
    [7, 9, 11, 12],
    [7, 9, 10, 12],
    [7, 8, 10, 11],
    [6, 8, 9, 11],
    [6, 7, 9, 10],
    [6, 7, 8, 9],
];

impl Coder {
    fn new(bits: Bits) -> Self {
        let mut coder = Self {
            bits,
            low: 0,
            range: 0,
            outstanding: 0,
            first: true,
            state: 0,
        };
        coder.restart();
        coder
    }

    /// Begins anew at a byte; the context stays.
    fn restart(&mut self) {
        (self.low, self.range) = (0, 510);
        (self.outstanding, self.first) = (0, true);
    }

    /// The bin that says that a unit is one part: the likelier one, always.
    fn whole_part(&mut self) {
        let quarter = usize::try_from(self.range >> 6 & 3).unwrap_or(0);
        let less = LESS.get(self.state).and_then(|row| row.get(quarter));
        self.range -= less.copied().unwrap_or(2);
        self.state = (self.state + 1).min(LESS.len() - 1);
        self.renormalise();
    }

    fn terminate(&mut self, end: bool) {
        self.range -= 2;
        if end {
            self.low += self.range;
            self.range = 2;
            self.renormalise();
            self.put(self.low >> 9 & 1 == 1);
            self.bits.bits(self.low >> 7 & 3 | 1, 2);
        } else {
            self.renormalise();
        }
    }

    /// The bits at a byte's beginning, after [`Self::terminate`] with an end.
    fn finish(&mut self) -> &mut Bits {
        self.bits.align(false);
        &mut self.bits
    }

    fn end(mut self) -> Vec<u8> {
        self.bits.align(false);
        self.bits.bytes
    }

    fn renormalise(&mut self) {
        while self.range < 256 {
            if self.low < 256 {
                self.put(false);
            } else if self.low >= 512 {
                self.low -= 512;
                self.put(true);
            } else {
                self.low -= 256;
                self.outstanding += 1;
            }
            self.range <<= 1;
            self.low <<= 1;
        }
    }

    fn put(&mut self, bit: bool) {
        if self.first {
            self.first = false;
        } else {
            self.bits.bit(bit);
        }
        for _ in 0..std::mem::take(&mut self.outstanding) {
            self.bits.bit(!bit);
        }
    }
}
