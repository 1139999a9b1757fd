//! A share of the requests that is exact and cannot be foreseen.

use crate::Random;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// The whole that a share is a part of.
const WHOLE: u32 = 10_000;

/// A fraction in its lowest terms: so many of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    part: u32,
    of: u32,
}

/// The rest of the block at hand. All that take from it share it, workers too.
#[derive(Debug, Default)]
pub struct Block(AtomicU64);

impl Portion {
    /// Makes a portion from ten-thousandths; more than all is all.
    pub fn new(share: u16) -> Self {
        let share = u32::from(share).min(WHOLE);
        let divisor = gcd(share, WHOLE);
        Self { part: share / divisor, of: WHOLE / divisor }
    }

    /// Reports whether the next request belongs to it. Of each block of as many requests as the
    /// fraction in its lowest terms says, it takes exactly its part, at places that chance chooses
    /// (selection sampling: Knuth, TAOCP vol. 2, §3.4.2, algorithm S): clients whose requests come in
    /// a rhythm cannot fall in step with it.
    pub fn takes(self, block: &Block, rng: &mut dyn Random) -> bool {
        if self.part == 0 || self.part == self.of {
            return self.part > 0;
        }
        let random = rng.next_u64();
        let mut is_taken = false;
        let next = |packed| {
            let (left, wanted) = match unpack(packed) {
                (0, _) => (self.of, self.part),
                begun => begun,
            };
            let place = (u128::from(random) * u128::from(left)) >> 64;
            is_taken = place < u128::from(wanted);
            let wanted = wanted.saturating_sub(u32::from(is_taken));
            Some(pack(left.saturating_sub(1), wanted))
        };
        // The closure always gives a value.
        let _ = block.0.fetch_update(Relaxed, Relaxed, next);
        is_taken
    }
}

/// Requests left, and how many of them are wanted.
fn unpack(packed: u64) -> (u32, u32) {
    ((packed >> 32) as u32, packed as u32)
}

fn pack(left: u32, wanted: u32) -> u64 {
    u64::from(left) << 32 | u64::from(wanted)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

#[cfg(test)]
#[path = "portion_tests.rs"]
mod tests;
