//! Bits of a parameter set of H.264 or H.265, with the bytes that prevent start codes taken out.

use super::trouble::PictureError;

/// Bytes of a parameter set that are read.
const SET_MAX: usize = 4096;

/// Reads bits from the most significant one on.
pub(super) struct Bits {
    bytes: Vec<u8>,
    /// Bits read.
    at: usize,
}

impl Bits {
    /// The bits of a unit's payload, without its header.
    pub(super) fn of(payload: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(payload.len().min(SET_MAX));
        let mut zeros = 0;
        for byte in payload.iter().take(SET_MAX) {
            if zeros >= 2 && *byte == 3 {
                zeros = 0;
                continue;
            }
            zeros = if *byte == 0 { zeros + 1 } else { 0 };
            bytes.push(*byte);
        }
        Self { bytes, at: 0 }
    }

    pub(super) fn flag(&mut self) -> Result<bool, PictureError> {
        let byte = self.bytes.get(self.at / 8).ok_or(PictureError::Damaged)?;
        let set = byte >> (7 - self.at % 8) & 1 == 1;
        self.at += 1;
        Ok(set)
    }

    /// At most 32 bits.
    pub(super) fn bits(&mut self, count: u32) -> Result<u32, PictureError> {
        let mut value = 0_u32;
        for _ in 0..count.min(32) {
            value = value << 1 | u32::from(self.flag()?);
        }
        Ok(value)
    }

    pub(super) fn skip(&mut self, count: u32) -> Result<(), PictureError> {
        for _ in 0..count {
            self.flag()?;
        }
        Ok(())
    }

    /// An unsigned number of Exp-Golomb code.
    pub(super) fn number(&mut self) -> Result<u32, PictureError> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return Err(PictureError::Damaged);
            }
        }
        let rest = self.bits(zeros)?;
        Ok(((1_u32 << zeros) - 1).saturating_add(rest))
    }

    /// As [`Self::number`], with an upper bound.
    pub(super) fn number_to(&mut self, most: u32) -> Result<u32, PictureError> {
        let value = self.number()?;
        if value > most {
            return Err(PictureError::Damaged);
        }
        Ok(value)
    }

    /// A signed number; its sign is in the lowest bit.
    pub(super) fn signed(&mut self) -> Result<i64, PictureError> {
        let code = i64::from(self.number()?);
        let size = (code + 1) / 2;
        Ok(if code % 2 == 0 { -size } else { size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_the_standard_writes_them() {
        // 1, 010, 011, 00100, 00101, then a marker bit.
        let mut bits = Bits::of(&[0b1010_0110, 0b0100_0010, 0b1100_0000]);
        let read: Vec<u32> = std::iter::repeat_with(|| bits.number().unwrap())
            .take(5)
            .collect();
        assert_eq!(read, [0, 1, 2, 3, 4]);
        let mut signed = Bits::of(&[0b1010_0110, 0b0100_0010, 0b1100_0000]);
        let read: Vec<i64> = std::iter::repeat_with(|| signed.signed().unwrap())
            .take(5)
            .collect();
        assert_eq!(read, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn bytes_that_prevent_start_codes_are_taken_out() {
        let mut bits = Bits::of(&[0, 0, 3, 1, 0, 0, 3]);
        assert_eq!(bits.bits(32), Ok(0x0000_0100));
        assert_eq!(bits.bits(8), Ok(0));
        assert_eq!(bits.flag(), Err(PictureError::Damaged));
        assert_eq!(Bits::of(&[0; 8]).number(), Err(PictureError::Damaged));
    }
}
