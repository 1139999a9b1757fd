//! Active checks of one endpoint: when the next one is due, and when results make a verdict.

use crate::random::{around, below};
use crate::{Event, Reason};

/// The rules by which an endpoint is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckPolicy {
    /// Time between the starts of two checks.
    pub interval_ms: u64,
    /// The same while the verdict is changing; never more than `interval_ms`.
    pub fast_ms: u64,
    /// The longest time between two checks of an endpoint that is down.
    pub max_down_ms: u64,
    /// The percentage by which a check may start earlier or later than that.
    pub jitter_percent: u8,
    /// Checks in a row that must pass for the verdict to become good; at least 1.
    pub healthy: u32,
    /// Checks in a row that must fail for the verdict to become bad; at least 1.
    pub unhealthy: u32,
}

impl Default for CheckPolicy {
    fn default() -> Self {
        Self {
            interval_ms: 5_000,
            fast_ms: 1_000,
            max_down_ms: 30_000,
            jitter_percent: 10,
            healthy: 2,
            unhealthy: 3,
        }
    }
}

/// The checks of one endpoint; belongs to the thread that checks, and outlives a reload that does
/// not change the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// The conclusion; `None` before the first result.
    up: Option<bool>,
    /// Results in a row that speak against it.
    against: u32,
    /// The last wait before jitter, while the endpoint is down.
    down_ms: u64,
    next_ms: u64,
}

impl Check {
    /// Makes the checks of an endpoint; `up` is what an earlier check concluded. The first one
    /// starts somewhere within the fast interval, so that many endpoints are not checked at once.
    pub fn new(policy: &CheckPolicy, up: Option<bool>, now_ms: u64, random: u64) -> Check {
        let next_ms = now_ms.saturating_add(below(random, fast_ms(policy)));
        Check { up, against: 0, down_ms: 0, next_ms }
    }

    /// Returns when the next check starts.
    pub fn next_ms(&self) -> u64 {
        self.next_ms
    }

    /// Returns what was concluded; `None` before the first result.
    pub fn is_up(&self) -> Option<bool> {
        self.up
    }

    /// Takes in a result: `Ok` if the check passed, the reason if it failed. Returns the event to
    /// apply if the verdict changed. The first result decides alone: until then nothing is known,
    /// and one result is better than none.
    pub fn result(
        &mut self,
        result: Result<(), Reason>,
        policy: &CheckPolicy,
        now_ms: u64,
        random: u64,
    ) -> Option<Event> {
        let changed = self.count(result.is_ok(), policy);
        let wait_ms = around(random, self.wait_ms(policy), policy.jitter_percent);
        self.next_ms = now_ms.saturating_add(wait_ms.max(1));
        changed.then(|| result.map_or_else(Event::CheckFailed, |()| Event::CheckPassed))
    }

    /// Counts a result; reports whether the verdict changed.
    fn count(&mut self, passed: bool, policy: &CheckPolicy) -> bool {
        if self.up == Some(passed) {
            self.against = 0;
            return false;
        }
        self.against = self.against.saturating_add(1);
        let needed = match self.up {
            None => 1,
            Some(true) => policy.unhealthy,
            Some(false) => policy.healthy,
        };
        if self.against < needed {
            return false;
        }
        (self.up, self.against, self.down_ms) = (Some(passed), 0, 0);
        true
    }

    /// Returns the wait after a result: short while results speak against the verdict, twice as
    /// long each time while the endpoint is down, the interval otherwise.
    fn wait_ms(&mut self, policy: &CheckPolicy) -> u64 {
        if self.against > 0 {
            self.down_ms = 0;
            return fast_ms(policy);
        }
        if self.up != Some(false) {
            return policy.interval_ms;
        }
        let longest = policy.max_down_ms.max(policy.interval_ms);
        let doubled = self.down_ms.saturating_mul(2);
        self.down_ms = doubled.clamp(policy.interval_ms, longest);
        self.down_ms
    }
}

fn fast_ms(policy: &CheckPolicy) -> u64 {
    policy.fast_ms.min(policy.interval_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: CheckPolicy = CheckPolicy {
        interval_ms: 5_000,
        fast_ms: 1_000,
        max_down_ms: 30_000,
        jitter_percent: 0,
        healthy: 2,
        unhealthy: 3,
    };
    const PASS: Result<(), Reason> = Ok(());
    const FAIL: Result<(), Reason> = Err(Reason::CheckStatus);
    const FAILED: Option<Event> = Some(Event::CheckFailed(Reason::CheckStatus));

    /// Feeds results, each one when it is due; returns event and wait of each.
    fn run(results: &[Result<(), Reason>]) -> Vec<(Option<Event>, u64)> {
        let mut check = Check::new(&POLICY, None, 0, 0);
        let feed = results.iter().map(|result| {
            let now_ms = check.next_ms();
            let event = check.result(*result, &POLICY, now_ms, 0);
            (event, check.next_ms() - now_ms)
        });
        feed.collect()
    }

    #[test]
    fn the_first_result_decides_alone() {
        assert_eq!(run(&[PASS]), [(Some(Event::CheckPassed), 5_000)]);
        assert_eq!(run(&[FAIL]), [(FAILED, 5_000)]);
    }

    #[test]
    fn it_takes_three_failures_in_a_row_to_go_down_with_fast_checks_between() {
        let results = [PASS, FAIL, FAIL, PASS, FAIL, FAIL, FAIL];
        let after = run(&results);
        let waits: Vec<_> = after.iter().map(|(_, wait)| *wait).collect();
        assert_eq!(waits, [5_000, 1_000, 1_000, 5_000, 1_000, 1_000, 5_000]);
        assert!(after[1..6].iter().all(|(event, _)| event.is_none()));
        assert_eq!(after[6].0, FAILED);
    }

    #[test]
    fn checks_of_an_endpoint_that_is_down_back_off_and_become_fast_when_one_passes() {
        let results = [FAIL, FAIL, FAIL, FAIL, FAIL, PASS, FAIL, PASS, PASS];
        let after = run(&results);
        let waits: Vec<_> = after.iter().map(|(_, wait)| *wait).collect();
        assert_eq!(waits, [5_000, 10_000, 20_000, 30_000, 30_000, 1_000, 5_000, 1_000, 5_000]);
        assert_eq!(after[8].0, Some(Event::CheckPassed));
        assert!(after[1..8].iter().all(|(event, _)| event.is_none()));
    }

    #[test]
    fn the_first_check_is_spread_over_the_fast_interval() {
        let first = |random| Check::new(&POLICY, None, 100, random).next_ms();
        assert_eq!([0, u64::MAX / 2, u64::MAX].map(first), [100, 599, 1_099]);
    }

    #[test]
    fn a_verdict_of_earlier_checks_takes_as_many_results_to_change_as_ever() {
        let mut check = Check::new(&POLICY, Some(true), 0, 0);
        let mut events = (0..3).map(|now_ms| check.result(FAIL, &POLICY, now_ms, 0));
        assert_eq!(
            [events.next(), events.next(), events.next()],
            [Some(None), Some(None), Some(FAILED)]
        );
    }

    #[test]
    fn a_zero_threshold_is_one_and_a_zero_interval_does_not_spin() {
        let policy = CheckPolicy { interval_ms: 0, healthy: 0, unhealthy: 0, ..POLICY };
        let mut check = Check::new(&policy, None, 0, 0);
        assert_eq!(check.result(PASS, &policy, 7, 0), Some(Event::CheckPassed));
        assert_eq!(check.next_ms(), 8);
        assert_eq!(check.result(FAIL, &policy, 8, 0), FAILED);
    }

    proptest! {
        #[test]
        fn the_next_check_is_always_ahead_and_within_the_longest_wait(
            results in prop::collection::vec((any::<bool>(), any::<u64>()), 1..60),
        ) {
            let policy = CheckPolicy::default();
            let mut check = Check::new(&policy, None, 0, 1);
            for (passed, random) in results {
                let now_ms = check.next_ms();
                let result = if passed { PASS } else { FAIL };
                check.result(result, &policy, now_ms, random);
                let wait = check.next_ms() - now_ms;
                prop_assert!((900..=33_000).contains(&wait), "{wait}");
            }
        }
    }
}
