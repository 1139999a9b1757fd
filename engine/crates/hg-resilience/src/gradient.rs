//! Adaptive concurrency: how many requests an upstream takes at a time, learned from latency.
//!
//! The algorithm is Gradient2 of Netflix's concurrency-limits (`Gradient2Limit.java`): the limit
//! shrinks by the proportion in which latency now exceeds latency in the long run, and grows by a
//! small queue while it does not. It sends no probes and so turns no request away to measure.

use crate::Outcome;

/// The rules by which the limit moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GradientPolicy {
    /// The limit to begin with.
    pub initial: u32,
    /// The least limit; the number of endpoints is the least where that is more.
    pub min: u32,
    /// The largest limit.
    pub max: u32,
    /// The number of requests by which the limit grows at a time.
    pub queue: u32,
    /// The part of each new value that counts, in thousandths.
    pub smoothing_permille: u32,
    /// Latency that is tolerated, in thousandths of that in the long run.
    pub tolerance_permille: u32,
    /// Samples that make the long run.
    pub window: u32,
}

impl Default for GradientPolicy {
    fn default() -> Self {
        Self {
            initial: 20,
            min: 4,
            max: 1_000,
            queue: 4,
            smoothing_permille: 200,
            tolerance_permille: 1_500,
            window: 600,
        }
    }
}

impl GradientPolicy {
    /// Returns the policy for an upstream with so many endpoints, none of which shall starve.
    pub fn for_endpoints(self, endpoints: u32) -> GradientPolicy {
        Self { min: self.min.max(endpoints), ..self }
    }

    fn clamp(&self, limit: f64) -> f64 {
        let min = f64::from(self.min.max(1));
        limit.clamp(min, f64::from(self.max).max(min))
    }
}

/// Samples whose mean starts the long run.
const WARM: u32 = 10;
/// The factor by which the long run shrinks when it is far above the present, after an overload.
const FORGET: f64 = 0.95;

/// The limit of one upstream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gradient {
    limit: f64,
    long_us: f64,
    samples: u32,
}

impl Gradient {
    /// Makes the limit to begin with.
    pub fn new(policy: &GradientPolicy) -> Gradient {
        Gradient { limit: policy.clamp(f64::from(policy.initial)), long_us: 0.0, samples: 0 }
    }

    /// Reports whether a request tells anything about the capacity of its endpoint: it was not
    /// cancelled (a hedge that lost is), it reached the endpoint, and its answer was no stream.
    pub fn counts(outcome: Outcome, streamed: bool) -> bool {
        !streamed && !matches!(outcome, Outcome::Cancelled | Outcome::Refused | Outcome::Connect)
    }

    /// Takes in the latency of a request and how many were in flight when it started.
    pub fn add(&mut self, latency_us: u64, in_flight: u32, policy: &GradientPolicy) {
        let short = latency_us.max(1) as f64;
        let long = self.lengthen(short, policy);
        // Few requests in flight say nothing about a higher limit.
        if f64::from(in_flight) < self.limit / 2.0 {
            self.limit = policy.clamp(self.limit);
            return;
        }
        let tolerance = f64::from(policy.tolerance_permille) / 1_000.0;
        let gradient = (tolerance * long / short).clamp(0.5, 1.0);
        let wanted = self.limit * gradient + f64::from(policy.queue);
        let part = (f64::from(policy.smoothing_permille) / 1_000.0).clamp(0.0, 1.0);
        self.limit = policy.clamp(self.limit * (1.0 - part) + wanted * part);
    }

    /// Returns how many requests may be in flight.
    pub fn limit(&self) -> u32 {
        self.limit as u32
    }

    /// Adds a sample to the long run; returns the long run as it was before it is shortened.
    fn lengthen(&mut self, short: f64, policy: &GradientPolicy) -> f64 {
        self.samples = self.samples.saturating_add(1);
        let part = if self.samples <= WARM {
            1.0 / f64::from(self.samples)
        } else {
            2.0 / (f64::from(policy.window) + 1.0).max(2.0)
        };
        let long = self.long_us + (short - self.long_us) * part;
        self.long_us = if long > short * 2.0 { long * FORGET } else { long };
        long
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fed(latencies_us: impl IntoIterator<Item = u64>) -> Gradient {
        let policy = GradientPolicy::default();
        let mut gradient = Gradient::new(&policy);
        for latency_us in latencies_us {
            gradient.add(latency_us, gradient.limit(), &policy);
        }
        gradient
    }

    #[test]
    fn steady_latency_under_full_load_raises_the_limit_to_the_most() {
        assert_eq!(Gradient::new(&GradientPolicy::default()).limit(), 20);
        assert_eq!(fed([1_000]).limit(), 20, "four fifths of a request");
        assert_eq!(fed([1_000; 6]).limit(), 24);
        assert_eq!(fed([1_000; 5_000]).limit(), 1_000);
    }

    #[test]
    fn rising_latency_lowers_the_limit_and_the_old_one_raises_it_again() {
        let steady = [1_000; 200];
        let before = fed(steady).limit();
        let slow = fed(steady.into_iter().chain([10_000; 50]));
        assert!(slow.limit() < before / 2, "{} of {before}", slow.limit());
        let again = fed(steady.into_iter().chain([10_000; 50]).chain([1_000; 300]));
        assert!(again.limit() > slow.limit() * 2);
    }

    #[test]
    fn the_long_run_forgets_an_overload_within_a_few_samples() {
        let after = fed([10_000; 300].into_iter().chain([1_000; 40]));
        assert!(after.long_us < 2_100.0, "{}", after.long_us);
    }

    #[test]
    fn an_idle_upstream_does_not_grow_its_limit() {
        let policy = GradientPolicy::default();
        let mut gradient = Gradient::new(&policy);
        for _ in 0..1_000 {
            gradient.add(1_000, 9, &policy);
        }
        assert_eq!(gradient.limit(), 20);
        gradient.add(1_000, 10, &policy);
        gradient.add(1_000, 11, &policy);
        assert_eq!(gradient.limit(), 21, "half of the limit is load enough");
    }

    #[test]
    fn the_least_is_at_least_one_for_each_endpoint() {
        let policy = GradientPolicy::default().for_endpoints(9);
        assert_eq!(policy.min, 9);
        assert_eq!(GradientPolicy::default().for_endpoints(2).min, 4);
        let wrong = GradientPolicy { min: 50, max: 10, ..policy };
        assert_eq!(Gradient::new(&wrong).limit(), 50);
    }

    #[test]
    fn only_requests_that_tell_something_count() {
        let counted = Outcome::ALL.into_iter().filter(|o| Gradient::counts(*o, false)).count();
        assert_eq!(counted, 7);
        assert!(Outcome::ALL.into_iter().all(|o| !Gradient::counts(o, true)));
    }

    proptest! {
        #[test]
        fn the_limit_stays_between_its_bounds(
            samples in prop::collection::vec((any::<u64>(), any::<u32>()), 1..300),
        ) {
            let policy = GradientPolicy::default();
            let mut gradient = Gradient::new(&policy);
            for (latency_us, in_flight) in samples {
                gradient.add(latency_us, in_flight, &policy);
                prop_assert!((policy.min..=policy.max).contains(&gradient.limit()));
            }
        }
    }
}
