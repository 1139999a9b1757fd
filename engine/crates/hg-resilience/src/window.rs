//! The results of an endpoint in the last minute, second by second.
//!
//! The watching thread takes what the workers counted, every second, and puts it here. Samples expire
//! by themselves, so that an endpoint that took no traffic for a while is not judged by what was
//! before.

use crate::Verdict;
use crate::seconds::Seconds;

/// Seconds that a window remembers.
const SECONDS: usize = 60;

/// Finished requests, by what they say about the endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Good ones.
    pub good: u32,
    /// Failed ones, those that were limited included.
    pub failed: u32,
    /// Those of both that took longer than the breaker's limit.
    pub slow: u32,
}

impl Counts {
    /// Returns how many requests finished.
    pub fn total(self) -> u32 {
        self.good.saturating_add(self.failed)
    }

    /// Returns the part that succeeded, from 0 to 1; nothing if no request finished.
    pub(crate) fn success_rate(self) -> Option<f64> {
        let total = f64::from(self.good) + f64::from(self.failed);
        (total > 0.0).then(|| f64::from(self.good) / total)
    }

    /// Reports whether at least so many percent of the requests are among `part`.
    pub(crate) fn reaches(self, part: u32, percent: u8) -> bool {
        u64::from(part) * 100 >= u64::from(self.total()) * u64::from(percent)
    }

    /// Counts one more request.
    pub fn note(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Good => self.good = self.good.saturating_add(1),
            Verdict::Bad | Verdict::Throttled => self.failed = self.failed.saturating_add(1),
            Verdict::Neutral => {}
        }
    }

    fn plus(self, other: Counts) -> Counts {
        Counts {
            good: self.good.saturating_add(other.good),
            failed: self.failed.saturating_add(other.failed),
            slow: self.slow.saturating_add(other.slow),
        }
    }
}

/// Counts of the last 60 seconds of one endpoint.
#[derive(Clone, Debug, Default)]
pub struct Window(Seconds<Counts, SECONDS>);

impl Window {
    /// Adds counts to the present second.
    pub fn add(&mut self, now_ms: u64, counts: Counts) {
        if let Some(second) = self.0.present(now_ms) {
            *second = second.plus(counts);
        }
    }

    /// Returns the sum over the last `seconds`, the present one included; at most 60.
    pub fn sum(&mut self, now_ms: u64, seconds: u64) -> Counts {
        self.0.last(now_ms, seconds).fold(Counts::default(), |sum, second| sum.plus(*second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn good(good: u32) -> Counts {
        Counts { good, ..Counts::default() }
    }

    #[test]
    fn samples_expire_after_the_length_asked_for() {
        let mut window = Window::default();
        window.add(100_000, good(3));
        window.add(101_999, good(4));
        assert_eq!(window.sum(101_999, 1), good(4));
        assert_eq!(window.sum(101_999, 2), good(7));
        assert_eq!(window.sum(159_999, 60), good(7));
        assert_eq!(window.sum(160_000, 60), good(4));
        assert_eq!(window.sum(162_000, 99), good(0));
    }

    #[test]
    fn a_clock_that_runs_backwards_counts_as_one_that_stands() {
        let mut window = Window::default();
        window.add(10_000, good(1));
        window.add(1_000, good(1));
        assert_eq!(window.sum(0, 1), good(2));
    }

    #[test]
    fn shares_are_reached_at_their_edge() {
        let counts = Counts { good: 10, failed: 10, slow: 5 };
        assert!(counts.reaches(counts.failed, 50) && !counts.reaches(counts.failed, 51));
        assert_eq!(counts.total(), 20);
    }

    proptest! {
        #[test]
        fn the_sum_is_that_of_the_samples_in_time(
            steps in prop::collection::vec((0u64..20_000, 0u32..5), 1..60),
            seconds in 0u64..70,
        ) {
            let (mut window, mut now_ms, mut all) = (Window::default(), 0, Vec::new());
            for (step, n) in steps {
                now_ms += step;
                window.add(now_ms, good(n));
                all.push((now_ms / 1_000, n));
                let oldest = (now_ms / 1_000 + 1).saturating_sub(seconds.min(60));
                let sum = all.iter().filter(|(s, _)| *s >= oldest).map(|(_, n)| n).sum();
                prop_assert_eq!(window.sum(now_ms, seconds), good(sum));
            }
        }
    }
}
