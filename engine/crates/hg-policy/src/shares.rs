//! A choice among numbered items by weight.

use crate::Random;

/// Weights prepared for drawing, for a route's `split` and the random policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// Running sums; the last one is the total.
    sums: Box<[u64]>,
}

impl Shares {
    /// Makes shares from weights in order; an index with weight 0 is never drawn.
    pub fn new(weights: impl IntoIterator<Item = u32>) -> Self {
        let mut sum = 0u64;
        let sums = weights.into_iter().map(|w| {
            sum += u64::from(w);
            sum
        });
        Self { sums: sums.collect() }
    }

    /// Returns the sum of weights.
    pub fn total(&self) -> u64 {
        self.sums.last().copied().unwrap_or(0)
    }

    /// Returns an index drawn by weight; `None` if every weight is 0. O(log n).
    pub fn pick(&self, rng: &mut dyn Random) -> Option<usize> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let ticket = rng.below(total);
        Some(self.sums.partition_point(|sum| *sum <= ticket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WyRand;

    #[test]
    fn draws_follow_weights_and_never_hit_zero() {
        let shares = Shares::new([0, 95, 0, 5, 0]);
        let mut rng = WyRand::new(3);
        let mut seen = [0u32; 5];
        for _ in 0..100_000 {
            seen[shares.pick(&mut rng).unwrap()] += 1;
        }
        assert_eq!((seen[0], seen[2], seen[4]), (0, 0, 0));
        assert!((4_700..5_300).contains(&seen[3]), "{seen:?}");
    }

    #[test]
    fn nothing_is_drawn_from_nothing() {
        assert_eq!(Shares::new([]).pick(&mut WyRand::new(0)), None);
        assert_eq!(Shares::new([0, 0]).pick(&mut WyRand::new(0)), None);
    }
}
