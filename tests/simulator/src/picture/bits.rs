//! Writing bits.

/// Bits from the most significant one on.
#[derive(Debug, Default)]
pub(super) struct Bits {
    pub(super) bytes: Vec<u8>,
    used: u8,
}

impl Bits {
    pub(super) fn bit(&mut self, bit: bool) {
        if self.used == 0 {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << (7 - self.used);
        }
        self.used = (self.used + 1) % 8;
    }

    pub(super) fn bits(&mut self, value: u32, count: u32) {
        for shift in (0..count).rev() {
            self.bit(value >> shift & 1 == 1);
        }
    }

    /// An unsigned number of Exp-Golomb code.
    pub(super) fn ue(&mut self, value: u32) {
        let length = (value + 1).ilog2();
        self.bits(0, length);
        self.bits(value + 1, length + 1);
    }

    pub(super) fn is_aligned(&self) -> bool {
        self.used == 0
    }

    pub(super) fn align(&mut self, bit: bool) {
        while !self.is_aligned() {
            self.bit(bit);
        }
    }

    /// Bytes where a byte begins.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The stop bit and what fills the last byte.
    pub(super) fn trailing(mut self) -> Vec<u8> {
        self.bit(true);
        self.align(false);
        self.bytes
    }
}

/// A unit: its header, then the payload with the bytes that prevent start codes.
pub(super) fn unit(head: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = head.to_vec();
    let mut zeros = 0;
    for byte in payload {
        if zeros >= 2 && *byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        out.push(*byte);
    }
    out
}
