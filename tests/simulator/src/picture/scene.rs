//! What stands in a picture.

use serde::{Deserialize, Serialize};

/// Pixels of a square's side.
pub(crate) const SIDE: usize = 16;
/// Squares across.
pub(crate) const COLUMNS: usize = 20;
/// Squares down.
pub(crate) const ROWS: usize = 12;
/// The row in which the mark begins; above it runs the clock.
const MARK_ROW: usize = 2;
/// Luma of a 1 and of a 0, in the narrow range of video.
const BRIGHT: u8 = 200;
const DARK: u8 = 50;

/// Who is in a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    /// The device: the last four bytes of its Ethernet address.
    pub device: u32,
    /// The channel, from 1.
    pub channel: u16,
    /// 1 is the main stream, 2 the sub stream and so on; 0 is a still.
    pub stream: u8,
}

/// A picture before it is encoded: the luma of its squares, and one colour for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scene {
    squares: Vec<u8>,
    /// How many times larger than usual it is, across and down.
    times: usize,
    /// Blue and red, 128 is none.
    pub(crate) colour: (u8, u8),
}

impl Scene {
    /// What a camera sees: its mark, a clock in the first row, and noise in the last rows that differs
    /// with every `tick`.
    pub fn live(mark: Mark, tick: u32) -> Self {
        Self::with(mark, tick, tick)
    }

    /// A camera whose picture stands still while the clock runs.
    pub fn frozen(mark: Mark, clock: u32) -> Self {
        Self::with(mark, clock, 0)
    }

    fn with(mark: Mark, clock: u32, tick: u32) -> Self {
        let mut squares = vec![DARK; COLUMNS * ROWS];
        write(&mut squares, 0, COLUMNS, clock);
        let bits = MARK_ROW * COLUMNS;
        write(&mut squares, bits, 32, mark.device);
        write(&mut squares, bits + 32, 16, mark.channel.into());
        write(&mut squares, bits + 48, 8, mark.stream.into());
        let mut state = tick.wrapping_mul(0x9E37_79B9) ^ 0x5851_F42D;
        for square in squares.iter_mut().skip(6 * COLUMNS) {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *square = 60 + u8::try_from(state >> 26).unwrap_or(0) * 2;
        }
        Self {
            squares,
            times: 1,
            colour: (120, 140),
        }
    }

    /// One level all over: 16 is black.
    pub fn flat(level: u8) -> Self {
        Self {
            squares: vec![level; COLUMNS * ROWS],
            times: 1,
            colour: (128, 128),
        }
    }

    /// The same picture in video, so many times larger across and down.
    #[must_use]
    pub fn enlarged(self, times: usize) -> Self {
        Self {
            times: times.max(1),
            ..self
        }
    }

    /// The picture as a key frame of H.264 with start codes.
    pub fn h264(&self) -> Vec<u8> {
        with_start_codes(&super::h264(self))
    }

    /// The picture as a key frame of H.265 with start codes.
    pub fn h265(&self) -> Vec<u8> {
        with_start_codes(&super::h265(self))
    }

    /// The columns of the picture in pixels.
    pub const fn width() -> usize {
        COLUMNS * SIDE
    }

    /// Its rows.
    pub const fn height() -> usize {
        ROWS * SIDE
    }

    /// Squares across in video.
    pub(crate) fn columns(&self) -> usize {
        COLUMNS * self.times
    }

    /// Squares down in video.
    pub(crate) fn rows(&self) -> usize {
        ROWS * self.times
    }

    /// The luma of a square in video.
    pub(crate) fn square_of_video(&self, row: usize, column: usize) -> u8 {
        self.square(row / self.times, column / self.times)
    }

    /// The luma of a square.
    pub(crate) fn square(&self, row: usize, column: usize) -> u8 {
        self.squares
            .get(row * COLUMNS + column)
            .copied()
            .unwrap_or(DARK)
    }

    /// Reads the mark out of a decoded picture: luma by row, of the size of all pictures here.
    pub fn read_mark(luma: &[u8]) -> Option<Mark> {
        let number = |first: usize, count: usize| {
            (first..first + count).try_fold(0_u32, |value, place| {
                let place = MARK_ROW * COLUMNS + place;
                let (row, column) = (place / COLUMNS * SIDE + SIDE / 2, place % COLUMNS * SIDE);
                let level = luma.get(row * Self::width() + column + SIDE / 2)?;
                Some(value << 1 | u32::from(*level > 128))
            })
        };
        Some(Mark {
            device: number(0, 32)?,
            channel: u16::try_from(number(32, 16)?).ok()?,
            stream: u8::try_from(number(48, 8)?).ok()?,
        })
    }
}

fn with_start_codes(units: &[Vec<u8>]) -> Vec<u8> {
    units
        .iter()
        .flat_map(|unit| [0, 0, 0, 1].into_iter().chain(unit.iter().copied()))
        .collect()
}

fn write(squares: &mut [u8], first: usize, count: usize, value: u32) {
    for place in 0..count {
        let shift = u32::try_from(count - 1 - place).unwrap_or(0);
        let bit = value.checked_shr(shift).unwrap_or(0) & 1;
        if let Some(square) = squares.get_mut(first + place) {
            *square = if bit == 1 { BRIGHT } else { DARK };
        }
    }
}
