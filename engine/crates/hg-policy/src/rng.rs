//! A random source and one implementation of it.

/// A source of random numbers; the caller owns and seeds it.
pub trait Random {
    /// Returns the next 64 random bits.
    fn next_u64(&mut self) -> u64;

    /// Returns a number below `bound`, or 0 if `bound` is 0. Multiplies and shifts (Lemire, "Fast
    /// random integer generation in an interval", 2019) without the rejection step: the bias is
    /// below `bound / 2^64`.
    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }
}

/// wyrand (Wang Yi, public domain): one word of state, about a nanosecond per number. Not for
/// secrets.
#[derive(Clone, Debug)]
pub struct WyRand(u64);

impl WyRand {
    /// Makes a generator with a seed; every seed is good, and equal seeds give equal numbers on
    /// every machine.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl Random for WyRand {
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0xa076_1d64_78bd_642f);
        let wide = u128::from(self.0) * u128::from(self.0 ^ 0xe703_7ed1_a0b4_28db);
        ((wide >> 64) ^ wide) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_below_a_bound_fill_it_evenly() {
        let mut rng = WyRand::new(7);
        let mut seen = [0u32; 10];
        for _ in 0..100_000 {
            seen[rng.below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|n| (9_500..10_500).contains(n)), "{seen:?}");
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn equal_seeds_give_equal_numbers() {
        let (mut a, mut b) = (WyRand::new(1), WyRand::new(1));
        assert!((0..100).all(|_| a.next_u64() == b.next_u64()));
        assert_ne!(WyRand::new(1).next_u64(), WyRand::new(2).next_u64());
    }
}
