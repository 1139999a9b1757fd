//! The number of requests that all workers together have at an upstream, and the number that
//! latency allows. Only upstreams with that option write these words.

use crate::counters::lock;
use hg_resilience::{Gradient, GradientPolicy};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// The time for which the other workers leave a place to one that has too few and whose requests
/// wait: it looks again more often than that.
const HUNGRY_US: u64 = 50_000;

/// The state that the workers learn together of one upstream.
#[derive(Default)]
pub(crate) struct Concurrency {
    in_flight: AtomicU32,
    /// 0 before the first policy.
    limit: AtomicU32,
    learned: Mutex<Option<(GradientPolicy, Gradient)>>,
    /// The time until which a worker with less than its share wants a place.
    hungry_until_us: AtomicU64,
}

impl Concurrency {
    /// Takes over the policy of a plan; what was learned under the same one stays.
    pub(crate) fn adopt(&self, policy: &GradientPolicy) {
        let mut learned = lock(&self.learned);
        if learned.as_ref().is_none_or(|(known, _)| known != policy) {
            let gradient = Gradient::new(policy);
            self.limit.store(gradient.limit(), Relaxed);
            *learned = Some((*policy, gradient));
        }
    }

    /// Returns how many requests there may be at a time.
    pub(crate) fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    /// Reports whether a worker that has `own` requests under way may have no further one. Where
    /// another one waits with less than its share of the limit, none has more than its own.
    pub(crate) fn is_full(&self, own: u32, workers: u32, now_us: u64) -> bool {
        let limit = self.limit();
        let is_over = own >= limit.div_ceil(workers.max(1));
        if self.in_flight.load(Relaxed) < limit {
            return is_over && now_us < self.hungry_until_us.load(Relaxed);
        }
        if !is_over {
            self.hungry_until_us.store(now_us.saturating_add(HUNGRY_US), Relaxed);
        }
        true
    }

    /// Counts requests that begin.
    pub(crate) fn begin(&self, requests: u32) {
        self.in_flight.fetch_add(requests, Relaxed);
    }

    /// Counts requests that are over; returns how many there were with them.
    pub(crate) fn end(&self, requests: u32) -> u32 {
        self.in_flight.fetch_sub(requests, Relaxed)
    }

    /// Takes in the latency of a request and how many were under way. While another worker does the
    /// same the sample is left out: no worker waits for another.
    pub(crate) fn add(&self, latency_us: u64, in_flight: u32) {
        let Ok(mut learned) = self.learned.try_lock() else {
            return;
        };
        if let Some((policy, gradient)) = &mut *learned {
            gradient.add(latency_us, in_flight, policy);
            self.limit.store(gradient.limit(), Relaxed);
        }
    }

    /// Returns how many requests are under way.
    #[allow(
        dead_code,
        reason = "tests and the simulator, which compiles these sources too, call it"
    )]
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_ten() -> Concurrency {
        let concurrency = Concurrency::default();
        concurrency.adopt(&GradientPolicy { initial: 10, ..GradientPolicy::default() });
        concurrency
    }

    #[test]
    fn workers_have_one_limit_together() {
        let all = of_ten();
        all.begin(9);
        assert!(!all.is_full(9, 2, 0), "one worker may have more than its share");
        all.begin(1);
        assert!(all.is_full(10, 2, 0) && all.is_full(0, 2, 0));
        assert_eq!((all.end(3), all.in_flight()), (10, 7));
        assert!(!all.is_full(7, 2, u64::MAX));
    }

    #[test]
    fn a_worker_with_too_few_gets_its_share_of_what_becomes_free() {
        let all = of_ten();
        all.begin(10);
        assert!(all.is_full(0, 2, 1_000), "it waits from now on");
        all.end(1);
        assert!(all.is_full(9, 2, 1_000), "the place is left to it");
        assert!(!all.is_full(0, 2, 1_000), "and it takes it");
        assert!(!all.is_full(4, 2, 1_000), "whoever has less than its share may, too");
        assert!(!all.is_full(9, 2, 1_000 + HUNGRY_US), "it is not there any more");
    }

    #[test]
    fn another_policy_begins_anew_and_the_same_one_goes_on() {
        let all = of_ten();
        let policy = GradientPolicy { initial: 10, ..GradientPolicy::default() };
        (0..50).for_each(|_| all.add(1_000, all.limit()));
        let grown = all.limit();
        assert!(grown > 10, "{grown}");
        all.adopt(&policy);
        assert_eq!(all.limit(), grown);
        all.adopt(&GradientPolicy { initial: 7, ..policy });
        assert_eq!(all.limit(), 7);
    }

    #[test]
    fn a_sample_of_two_workers_at_once_is_left_out() {
        let all = of_ten();
        let held = lock(&all.learned);
        (0..50).for_each(|_| all.add(1_000, 10));
        drop(held);
        assert_eq!(all.limit(), 10);
    }
}
