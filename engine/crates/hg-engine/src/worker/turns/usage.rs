//! The share of a worker's time that a client has had lately.

/// The time of a worker that a client may take before it counts as used: one part of so many.
const SHARE: u64 = 32;
/// The most time that is still counted at once.
const MOST_US: u64 = 500;

/// The time that a worker has spent on a client, in a bucket that leaks at the client's share: the
/// virtual scheduling algorithm of ITU-T I.371, with microseconds for cells.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// The time at which the bucket is empty.
    empty_at_us: u64,
}

impl Usage {
    /// Adds time that was spent on the client until now.
    pub(crate) fn spend(&mut self, took_us: u64, now_us: u64) {
        let after = self.empty_at_us.max(now_us) + took_us.min(MOST_US) * SHARE;
        self.empty_at_us = after.min(now_us + MOST_US * SHARE);
    }

    /// Reports whether the client has had more than its share.
    pub(crate) fn is_much(self, now_us: u64) -> bool {
        self.empty_at_us > now_us
    }

    /// Returns what orders clients: who has had less goes first, and who came first of those that
    /// have had no more than their share.
    pub(crate) fn rank(self, now_us: u64) -> u64 {
        self.empty_at_us.max(now_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns whether a client still counts that has had `took_us` in each of `n` periods.
    fn counts(took_us: u64, period_us: u64, n: u64) -> bool {
        let mut usage = Usage::default();
        for k in 1..=n {
            usage.spend(took_us, k * period_us);
        }
        usage.is_much((n + 1) * period_us)
    }

    #[test]
    fn a_client_counts_above_its_share() {
        assert!(!counts(10, 320, 100_000));
        assert!(counts(11, 320, 1));
        assert!(counts(11, 320, 100_000));
    }

    #[test]
    fn who_has_had_more_comes_later() {
        let mut usages = [Usage::default(); 3];
        for (n, usage) in usages.iter_mut().enumerate() {
            usage.spend(10 * n as u64, 1_000);
        }
        assert!(usages.is_sorted_by(|a, b| a.rank(1_000) < b.rank(1_000)));
    }

    #[test]
    fn what_was_much_is_forgotten_soon() {
        let mut usage = Usage::default();
        usage.spend(1_000_000, 5_000_000);
        usage.spend(1_000_000, 5_000_000);
        assert_eq!(usage.rank(5_000_000), 5_016_000);
        assert_eq!(usage.rank(5_016_001), 5_016_001, "as if it had used nothing");
    }
}
