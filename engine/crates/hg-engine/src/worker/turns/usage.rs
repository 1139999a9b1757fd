//! How much of a worker's time a client has had lately.

/// What a client may take of a worker's time before it counts as used: one part of so many.
const SHARE: u64 = 16;
/// A client seldom asks that takes less than one part of so many.
const LITTLE: u64 = 32;
/// How much at once is still counted.
const MOST_US: u64 = 1_000;

/// The time that a worker has spent on a client, in a bucket that leaks at the client's share, and in
/// one that leaks more slowly: the virtual scheduling algorithm of ITU-T I.371, with microseconds for
/// cells.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// When the first bucket is empty.
    empty_at_us: u64,
    /// When the second one is.
    seldom_at_us: u64,
}

impl Usage {
    /// Adds time that was spent on the client until now.
    pub(crate) fn spend(&mut self, took_us: u64, now_us: u64) {
        let filled = |at_us: u64, part: u64| {
            let after = at_us.max(now_us) + took_us.min(MOST_US) * part;
            after.min(now_us + MOST_US * part)
        };
        self.empty_at_us = filled(self.empty_at_us, SHARE);
        self.seldom_at_us = filled(self.seldom_at_us, LITTLE);
    }

    /// Reports whether the client has had more than its share.
    pub(crate) fn is_much(self, now_us: u64) -> bool {
        self.empty_at_us > now_us
    }

    /// Reports whether the client has had little.
    pub(crate) fn is_little(self, now_us: u64) -> bool {
        self.seldom_at_us <= now_us
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
        assert!(!counts(10, 160, 100_000));
        assert!(counts(11, 160, 1));
        assert!(counts(11, 160, 100_000));
    }

    #[test]
    fn a_client_that_takes_little_is_told_from_one_that_takes_its_share() {
        let mut usage = Usage::default();
        assert!(usage.is_little(0));
        usage.spend(10, 1_000);
        assert!(!usage.is_little(1_319));
        assert!(usage.is_little(1_320));
        usage.spend(10, 1_320);
        assert!(!usage.is_little(1_480) && !usage.is_much(1_480));
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
