//! Breaker conditions over a window: too many errors, or too many slow answers.

use crate::{Counts, Reason};

/// The conditions under which the counts of a window open a breaker; off by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trip {
    /// The part of failed requests that opens it; 0 is off.
    pub error_percent: u8,
    /// The part of slow requests that opens it; 0 is off.
    pub slow_percent: u8,
    /// Requests longer than this are slow; whoever counts them compares.
    pub slow_ms: u64,
    /// Requests that a verdict needs.
    pub requests: u32,
    /// Length of the window; at most 60.
    pub window_s: u64,
}

impl Default for Trip {
    fn default() -> Self {
        Self { error_percent: 0, slow_percent: 0, slow_ms: 1_000, requests: 20, window_s: 10 }
    }
}

impl Trip {
    /// Returns why the counts open the breaker, if they do. The caller then clears the window.
    pub fn cause(&self, counts: Counts) -> Option<Reason> {
        if counts.total() < self.requests.max(1) {
            return None;
        }
        let reached = |part, percent| percent > 0 && counts.reaches(part, percent);
        if reached(counts.failed, self.error_percent) {
            return Some(Reason::BreakerRatio);
        }
        reached(counts.slow, self.slow_percent).then_some(Reason::BreakerLatency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_trips_at_its_share_and_with_enough_requests() {
        let trip = Trip { error_percent: 50, slow_percent: 80, ..Trip::default() };
        let cause = |good, failed, slow| trip.cause(Counts { good, failed, slow });
        assert_eq!(cause(10, 10, 0), Some(Reason::BreakerRatio));
        assert_eq!(cause(11, 10, 0), None);
        assert_eq!(cause(0, 19, 19), None, "too few");
        assert_eq!(cause(20, 0, 16), Some(Reason::BreakerLatency));
        assert_eq!(cause(20, 0, 15), None);
        assert_eq!(cause(0, 0, 0), None);
    }

    #[test]
    fn the_default_never_trips() {
        let all = Counts { good: 0, failed: 1_000, slow: 1_000 };
        assert_eq!(Trip::default().cause(all), None);
    }
}
