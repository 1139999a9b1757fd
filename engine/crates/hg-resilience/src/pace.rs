//! The pace of checks: a bound at a time and one per second, so that ten thousand endpoints do not
//! make a storm, nor their TLS handshakes starve the traffic.

/// Bounds of all checks of a process; 0 switches one off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacePolicy {
    /// Checks under way at a time.
    pub at_once: u32,
    /// Checks that start in a second.
    pub per_second: u32,
}

impl Default for PacePolicy {
    fn default() -> Self {
        Self { at_once: 64, per_second: 100 }
    }
}

/// The pace of the thread that checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    under_way: u32,
    /// The time at which the next check may start; a thread that comes late catches up by at most
    /// this lag.
    next_us: u64,
}

/// Starts that a late thread may catch up with.
const LAG_US: u64 = 100_000;

impl Pace {
    /// Starts a check, or says that it has to wait. A check that was started ends with
    /// [`Pace::end`].
    #[must_use]
    pub fn start(&mut self, policy: &PacePolicy, now_us: u64) -> bool {
        let full = policy.at_once > 0 && self.under_way >= policy.at_once;
        if full || self.next_us > now_us {
            return false;
        }
        let gap_us = 1_000_000u64.checked_div(policy.per_second.into()).unwrap_or(0);
        self.next_us = self.next_us.max(now_us.saturating_sub(LAG_US)).saturating_add(gap_us);
        self.under_way += 1;
        true
    }

    /// Counts the end of a check, however it ended.
    pub fn end(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many start now.
    fn starts(pace: &mut Pace, policy: &PacePolicy, now_us: u64) -> usize {
        (0..1_000).take_while(|_| pace.start(policy, now_us)).count()
    }

    #[test]
    fn so_many_run_at_a_time() {
        let policy = PacePolicy { at_once: 3, per_second: 0 };
        let mut pace = Pace::default();
        assert_eq!(starts(&mut pace, &policy, 0), 3);
        pace.end();
        assert_eq!(starts(&mut pace, &policy, 0), 1);
    }

    #[test]
    fn so_many_start_in_a_second_even_if_the_thread_is_late() {
        let policy = PacePolicy { at_once: 0, per_second: 100 };
        let mut pace = Pace::default();
        let started: usize = (0..=100).map(|i| starts(&mut pace, &policy, i * 10_000)).sum();
        assert_eq!(started, 101);
        let late = starts(&mut pace, &policy, 60_000_000);
        assert_eq!(late, 11, "a tenth of a second is caught up with");
    }

    #[test]
    fn bounds_of_zero_are_off() {
        let off = PacePolicy { at_once: 0, per_second: 0 };
        assert_eq!(starts(&mut Pace::default(), &off, 0), 1_000);
    }
}
