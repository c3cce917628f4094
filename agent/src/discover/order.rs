//! The order of a sweep: scattered, so that neighbours are not asked in a burst, and fixed by a seed,
//! so that a position is all it takes to go on later.

/// A permutation of the numbers below a size: four Feistel rounds over the next even power of two,
/// walked on where a number falls outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    size: u64,
    seed: u64,
    half_bits: u32,
}

const ROUNDS: u64 = 4;

impl Order {
    pub(crate) fn new(size: u64, seed: u64) -> Self {
        let bits = u64::BITS.saturating_sub(size.saturating_sub(1).leading_zeros());
        Self {
            size,
            seed,
            half_bits: bits.div_ceil(2).max(1),
        }
    }

    pub(crate) const fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) const fn len(&self) -> u64 {
        self.size
    }

    /// The number at a position; `None` beyond the end.
    pub(crate) fn get(&self, position: u64) -> Option<u64> {
        if position >= self.size {
            return None;
        }
        // The domain is less than four times the size, so this ends soon; it ends for certain
        // because the permutation has cycles and the start is inside.
        let mut number = self.permute(position);
        while number >= self.size {
            number = self.permute(number);
        }
        Some(number)
    }

    fn permute(&self, number: u64) -> u64 {
        let mask = (1_u64 << self.half_bits).wrapping_sub(1);
        let (mut left, mut right) = (number >> self.half_bits & mask, number & mask);
        for round in 0..ROUNDS {
            let mixed = mix(right ^ self.seed.rotate_left(13).wrapping_add(round)) & mask;
            (left, right) = (right, left ^ mixed);
        }
        left << self.half_bits | right
    }
}

/// The finaliser of splitmix64.
pub(crate) const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_comes_once(size in 0_u64..5000, seed in any::<u64>()) {
            let order = Order::new(size, seed);
            let mut seen = vec![false; usize::try_from(size).unwrap()];
            for position in 0..size {
                let number = order.get(position).unwrap();
                prop_assert!(!std::mem::replace(&mut seen[usize::try_from(number).unwrap()], true));
            }
            prop_assert_eq!(order.get(size), None);
        }
    }

    #[test]
    fn neighbours_are_not_asked_one_after_the_other() {
        let order = Order::new(65_534, 7);
        let close = (1..65_534)
            .filter(|at| order.get(*at).unwrap().abs_diff(order.get(at - 1).unwrap()) < 16)
            .count();
        assert!(close < 200, "{close}");
    }
}
