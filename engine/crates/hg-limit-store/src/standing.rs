//! The state of the store: whether it counts, and its next try. Pure: the caller has the clock.

/// The first wait after a failure, and the longest.
const FIRST_US: u64 = 100_000;
const LONGEST_US: u64 = 5_000_000;

/// The state of the store: whether it counts.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    is_ready: bool,
    /// The number of tries in vain since it counted last.
    tries: u32,
    /// The time of the next try.
    next_us: u64,
}

impl Standing {
    pub(crate) fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Returns for how long it is not tried; nothing if it may be now.
    pub(crate) fn wait_us(&self, now_us: u64) -> Option<u64> {
        self.next_us.checked_sub(now_us).filter(|wait| *wait > 0)
    }

    /// Takes a success; reports whether the store was away before.
    pub(crate) fn succeeded(&mut self) -> bool {
        (self.tries, self.next_us) = (0, 0);
        !std::mem::replace(&mut self.is_ready, true)
    }

    /// Takes a failure: the wait doubles with each one in a row, and is drawn from its upper half, so
    /// that nodes do not come all at once. Reports whether it is the first one in a row.
    pub(crate) fn failed(&mut self, now_us: u64, random: u64) -> bool {
        let most = FIRST_US.saturating_mul(1 << self.tries.min(16)).min(LONGEST_US);
        self.next_us = now_us.saturating_add(most / 2 + random % (most / 2 + 1));
        self.is_ready = false;
        self.tries = self.tries.saturating_add(1);
        self.tries == 1
    }

    /// Forgets everything: another store is meant.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_seconds_and_a_success_ends_them() {
        let mut standing = Standing::default();
        assert!(!standing.is_ready() && standing.wait_us(7).is_none());
        for (tries, most) in [100_000, 200_000, 400_000, 800_000].into_iter().enumerate() {
            assert_eq!(standing.failed(7, u64::MAX), tries == 0);
            let wait = standing.wait_us(7).unwrap();
            assert!((most / 2..=most).contains(&wait), "{wait}");
        }
        assert!(!(0..100).any(|_| standing.failed(7, 0)));
        assert_eq!(standing.wait_us(7), Some(LONGEST_US / 2));
        assert!(standing.succeeded());
        assert!(!standing.succeeded());
        assert!(standing.is_ready() && standing.wait_us(7).is_none());
        assert!(standing.failed(9, 0));
        assert_eq!(standing.wait_us(9), Some(FIRST_US / 2));
        assert_eq!(standing.wait_us(9 + FIRST_US / 2), None);
    }
}
