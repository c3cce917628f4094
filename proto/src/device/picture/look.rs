//! What a picture shows, as far as a machine can tell cheaply: darkness, sameness, stillness.
//!
//! The top and bottom eighth are left out, because recorders write clock and name there: a covered
//! camera is black beneath its clock, and a frozen one has a clock that runs. What is left is looked at
//! in a grid of [`COLUMNS`] by [`ROWS`] cells.

/// Columns of the grid.
const COLUMNS: usize = 16;
/// Rows of the grid.
const ROWS: usize = 9;
/// Luma below which a pixel is dark, of 255. A night picture with any light has more above it.
const DARK: u8 = 32;
/// Parts in a thousand that must be dark in a black picture.
const BLACK_PERMILLE: u64 = 980;
/// A spread of luma below this is uniform: a covered lens, or a frame decoded without its reference.
const UNIFORM_BELOW: u64 = 2;
/// Parts in a hundred of the cells that must be the same in two pictures of a frozen camera. Two
/// pictures of a live camera have noise: a cell of 1,000 pixels has the same sum by chance in less than
/// one case of a hundred.
const SAME_PERCENT: usize = 99;

/// The look of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    black: bool,
    uniform: bool,
    /// The sums of the cells, of which the low 16 bits tell pictures apart.
    cells: Vec<u16>,
}

impl Look {
    /// Looks at the luma of a picture: `width` by `height` samples from 0 (black) to 255. `None` for
    /// pictures smaller than the grid and for a plane that is too short.
    #[must_use]
    pub fn of(luma: &[u8], width: usize, height: usize) -> Option<Self> {
        let band = height / 8;
        let rows = height.checked_sub(band.checked_mul(2)?)?;
        if width < COLUMNS || rows < ROWS || luma.len() < width.checked_mul(height)? {
            return None;
        }
        let mut sums = vec![0_u64; COLUMNS * ROWS];
        let (mut count, mut sum, mut squares, mut dark) = (0_u64, 0_u64, 0_u64, 0_u64);
        let lines = luma.chunks_exact(width).skip(band).take(rows);
        for (row, line) in lines.enumerate() {
            let grid_row = row * ROWS / rows;
            for (column, value) in line.iter().enumerate() {
                let level = u64::from(*value);
                if let Some(cell) = sums.get_mut(grid_row * COLUMNS + column * COLUMNS / width) {
                    *cell += level;
                }
                count += 1;
                sum += level;
                squares += level * level;
                dark += u64::from(*value < DARK);
            }
        }
        // The square of the spread, times the square of the count: whole numbers stay exact.
        let spread = u128::from(count) * u128::from(squares) - u128::from(sum) * u128::from(sum);
        let bound =
            u128::from(UNIFORM_BELOW * UNIFORM_BELOW) * u128::from(count) * u128::from(count);
        Some(Self {
            black: dark * 1000 >= count * BLACK_PERMILLE,
            uniform: spread < bound,
            cells: sums.into_iter().map(low).collect(),
        })
    }

    /// Whether the picture is black: at least 98 % of it is darker than 32 of 255.
    #[must_use]
    pub const fn is_black(&self) -> bool {
        self.black
    }

    /// Whether the picture is of one colour: its luma has a standard deviation below 2.
    #[must_use]
    pub const fn is_uniform(&self) -> bool {
        self.uniform
    }

    /// Whether two pictures show the same to the last bit in at least 99 % of their cells.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let same = self
            .cells
            .iter()
            .zip(&other.cells)
            .filter(|(one, two)| one == two)
            .count();
        same * 100 >= self.cells.len() * SAME_PERCENT
    }

    /// The text that a manifest keeps, for the next comparison.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(2 + self.cells.len() * 4);
        text.push(if self.black { 'b' } else { '-' });
        text.push(if self.uniform { 'u' } else { '-' });
        for cell in &self.cells {
            text.push_str(&format!("{cell:04x}"));
        }
        text
    }

    /// The look of a text from [`Self::to_text`].
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (black, rest) = split_flag(text, 'b')?;
        let (uniform, rest) = split_flag(rest, 'u')?;
        if rest.len() != COLUMNS * ROWS * 4 || !rest.is_ascii() {
            return None;
        }
        let digits = rest.as_bytes().chunks_exact(4);
        let cells = digits
            .map(|four| u16::from_str_radix(std::str::from_utf8(four).ok()?, 16).ok())
            .collect::<Option<_>>()?;
        Some(Self {
            black,
            uniform,
            cells,
        })
    }
}

fn split_flag(text: &str, letter: char) -> Option<(bool, &str)> {
    if let Some(rest) = text.strip_prefix(letter) {
        Some((true, rest))
    } else {
        text.strip_prefix('-').map(|rest| (false, rest))
    }
}

fn low(sum: u64) -> u16 {
    u16::try_from(sum & 0xFFFF).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WIDTH: usize = 320;
    const HEIGHT: usize = 192;

    /// A picture with noise that differs by `seed`, as sensors have it.
    fn noisy(level: u8, spread: u32, seed: u32) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
        let noise = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state % (spread + 1)
        });
        noise
            .take(WIDTH * HEIGHT)
            .map(|noise| level.saturating_add(u8::try_from(noise).unwrap()))
            .collect()
    }

    fn look(luma: &[u8]) -> Look {
        Look::of(luma, WIDTH, HEIGHT).unwrap()
    }

    /// Writes into the bands where clocks stand.
    fn with_clock(mut luma: Vec<u8>, text: u8) -> Vec<u8> {
        luma[WIDTH * 4..WIDTH * 12].fill(text);
        luma
    }

    #[test]
    fn a_covered_camera_is_black_beneath_its_clock() {
        let covered = look(&with_clock(noisy(4, 8, 1), 235));
        assert!(covered.is_black());
        assert!(!look(&noisy(40, 8, 1)).is_black());
        let mut lit = noisy(4, 8, 1);
        lit[WIDTH * 80..WIDTH * 86].fill(200);
        assert!(!look(&lit).is_black(), "a lamp at night");
    }

    #[test]
    fn a_grey_picture_is_uniform_and_noise_is_not() {
        assert!(look(&with_clock(vec![128; WIDTH * HEIGHT], 235)).is_uniform());
        assert!(look(&noisy(128, 5, 1)).is_uniform(), "spread 1.7");
        assert!(!look(&noisy(128, 9, 1)).is_uniform(), "spread 2.9");
    }

    #[test]
    fn only_a_frozen_camera_is_the_same_beneath_its_clock() {
        let first = look(&with_clock(noisy(90, 6, 1), 10));
        assert!(first.is_same(&look(&with_clock(noisy(90, 6, 1), 250))));
        let alike = (2..40).filter(|seed| first.is_same(&look(&noisy(90, 6, *seed))));
        assert_eq!(alike.count(), 0, "the same scene with new noise");
    }

    #[test]
    fn small_pictures_have_no_look() {
        assert_eq!(Look::of(&[0; 100], 10, 10), None);
        assert_eq!(Look::of(&[0; 100], 320, 192), None);
        assert_eq!(Look::of(&[], usize::MAX, usize::MAX), None);
    }

    proptest! {
        #[test]
        fn a_look_is_read_back(seed in any::<u32>(), level in any::<u8>()) {
            let found = look(&noisy(level, 20, seed));
            prop_assert_eq!(Look::from_text(&found.to_text()), Some(found));
        }

        #[test]
        fn any_text_is_a_look_or_none(text in ".{0,700}") {
            let _ = Look::from_text(&text);
        }
    }
}
