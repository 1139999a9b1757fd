//! Power of two choices on peak-EWMA latency times load, failure-aware.
//!
//! The policy draws two endpoints by weight and takes the cheaper one (Mitzenmacher, "The Power of
//! Two Choices in Randomized Load Balancing", 2001). Cost is as in Finagle's `Peak EWMA`
//! (`com.twitter.finagle.loadbalancer.PeakEwma`) and linkerd: latency × (requests in flight + 1),
//! where latency is an average that jumps to a higher sample at once and decays exponentially
//! towards lower ones. A failed request counts as one of [`PENALTY_US`] (linkerd's `load-biaser`),
//! so that an endpoint that fails fast does not look like the fastest. Without new samples the
//! average decays towards nothing, so a shunned endpoint is tried again.
//!
//! Weights count twice: endpoints are drawn by weight, and load is taken relative to weight. With
//! unequal weights the policy keeps the first one drawn unless the second costs clearly less
//! ([`CLEARLY`]); otherwise the noise of equally fast endpoints would even the shares out.

use crate::load::{Choice, Sample};
use crate::members::Members;
use crate::policy::{Asked, NoOptions, Policy, Tier};

/// Time after which a sample's part in the average has fallen to 1/e; linkerd's default.
const DECAY_US: f64 = 10_000_000.0;
/// Latency an endpoint starts with, before its first sample; linkerd's default.
const START_US: f64 = 30_000.0;
/// The least latency that a failure counts as; linkerd's default.
const PENALTY_US: f64 = 5_000_000.0;
/// With unequal weights, the second endpoint is taken if it costs less than this share of the
/// first.
const CLEARLY: f64 = 0.8;

/// A decaying peak average of latency in microseconds.
#[derive(Clone, Copy, Debug)]
struct Latency {
    average_us: f64,
    updated_us: u64,
}

impl Latency {
    /// Returns the average now, decayed since the last sample; a clock that runs backwards counts
    /// as zero.
    fn at(&self, now_us: u64) -> f64 {
        let elapsed = now_us.saturating_sub(self.updated_us) as f64;
        self.average_us * (-elapsed / DECAY_US).exp()
    }

    fn add(&mut self, now_us: u64, sample_us: f64) {
        let elapsed = now_us.saturating_sub(self.updated_us) as f64;
        let keep = (-elapsed / DECAY_US).exp();
        self.average_us = if sample_us > self.average_us * keep {
            sample_us
        } else {
            self.average_us * keep + sample_us * (1.0 - keep)
        };
        self.updated_us = self.updated_us.max(now_us);
    }
}

#[derive(Clone, Debug)]
pub(crate) struct P2c {
    members: Members,
    /// Latencies by member; `None` before the first pick or sample, when the clock is not known
    /// yet.
    latency: Box<[Option<Latency>]>,
    mean_weight: f64,
}

impl Policy for P2c {
    type Options = NoOptions;

    fn new(Tier { members, .. }: Tier<'_>, _: &NoOptions) -> Self {
        let latency = vec![None; members.len()].into();
        let mean_weight = members.total() as f64 / members.len().max(1) as f64;
        Self { members, latency, mean_weight }
    }

    /// Costs O(log n), or O(n) if a draw is not allowed.
    fn pick(&mut self, choice: &Choice<'_>, asked: &mut Asked<'_>) -> Option<u32> {
        let (now_us, rng) = (asked.now_us, &mut *asked.rng);
        let first = self.members.draw(choice, None, rng)?;
        let slot = match self.members.draw(choice, Some(first), rng) {
            None => first,
            Some(second) => {
                let bar = if self.members.are_equal() { 1.0 } else { CLEARLY };
                let first_cost = self.cost(first, choice, now_us);
                if self.cost(second, choice, now_us) < first_cost * bar { second } else { first }
            }
        };
        self.members.as_slice().get(slot).map(|m| m.endpoint)
    }

    /// Adds the sample of a finished request.
    fn finished(&mut self, slot: usize, now_us: u64, sample: Sample) {
        let Some(known) = self.latency.get_mut(slot) else { return };
        let sample_us = match sample {
            Sample::Took(us) => us as f64,
            Sample::Failed(us) => (us as f64).max(PENALTY_US),
            Sample::AtLeast(us) => {
                let before_us = known.map_or(START_US, |latency| latency.at(now_us));
                if us as f64 <= before_us {
                    return;
                }
                us as f64
            }
        };
        match known {
            Some(latency) => latency.add(now_us, sample_us),
            None => *known = Some(Latency { average_us: sample_us, updated_us: now_us }),
        }
    }

    /// Takes over what another balancer learned about a member.
    fn inherit(&mut self, slot: usize, old: &Self, old_slot: usize) {
        if let (Some(new), Some(known)) = (self.latency.get_mut(slot), old.latency.get(old_slot)) {
            *new = *known;
        }
    }
}

impl P2c {
    fn cost(&mut self, slot: usize, choice: &Choice<'_>, now_us: u64) -> f64 {
        let (Some(member), Some(latency)) =
            (self.members.as_slice().get(slot), self.latency.get_mut(slot))
        else {
            return f64::INFINITY;
        };
        let start = Latency { average_us: START_US, updated_us: now_us };
        let average_us = latency.get_or_insert(start).at(now_us);
        let active = f64::from(choice.active(member.endpoint));
        average_us * (1.0 + active * self.mean_weight / f64::from(member.weight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, endpoints, policy};
    use proptest::prelude::*;

    fn fed(weights: &[u32], seed: u64, sample: impl Fn(usize) -> (u64, bool)) -> Bench {
        let mut bench = Bench::seeded(&policy(r#""p2c""#), &endpoints(weights), seed);
        for i in 0..weights.len() {
            let (latency_us, failed) = sample(i);
            let sample = if failed { Sample::Failed(latency_us) } else { Sample::Took(latency_us) };
            bench.balancer.finished(i, bench.now_us, sample);
        }
        bench
    }

    #[test]
    fn the_faster_of_two_is_taken() {
        let mut bench = fed(&[1, 1], 1, |i| ([9_000, 1_000][i], false));
        assert_eq!(bench.count(1000), [0, 1000]);
    }

    #[test]
    fn load_outweighs_speed_when_it_is_high() {
        let mut bench = fed(&[1, 1], 1, |i| ([9_000, 1_000][i], false));
        bench.active = vec![0, 20];
        assert_eq!(bench.count(100), [100, 0]);
    }

    #[test]
    fn an_endpoint_that_fails_fast_is_shunned_and_tried_again_later() {
        let mut bench = fed(&[1, 1], 1, |i| ([100, 5_000][i], i == 0));
        assert_eq!(bench.count(1000), [0, 1000]);
        bench.now_us += 120_000_000;
        bench.balancer.finished(1, bench.now_us, Sample::Took(5_000));
        assert_eq!(bench.count(1000), [1000, 0]);
    }

    #[test]
    fn a_request_that_was_given_up_counts_only_if_it_waited_longer_than_others_took() {
        let mut bench = fed(&[1, 1], 1, |i| ([3_000, 1_000][i], false));
        bench.balancer.finished(0, bench.now_us, Sample::AtLeast(10));
        assert_eq!(bench.count(1000), [0, 1000], "giving up early makes nobody fast");
        bench.balancer.finished(1, bench.now_us, Sample::AtLeast(9_000));
        assert_eq!(bench.count(1000), [1000, 0], "what took longer than before is slower");
    }

    #[test]
    fn a_request_that_was_given_up_first_leaves_the_latency_that_all_start_with() {
        let mut bench = Bench::seeded(&policy(r#""p2c""#), &endpoints(&[1, 1]), 1);
        bench.balancer.finished(0, bench.now_us, Sample::AtLeast(10));
        bench.balancer.finished(1, bench.now_us, Sample::Took(20_000));
        assert_eq!(bench.count(1000), [0, 1000]);
    }

    #[test]
    fn a_peak_counts_at_once_and_decays_by_the_time_constant() {
        let mut latency = Latency { average_us: 1_000.0, updated_us: 0 };
        latency.add(1_000, 50_000.0);
        assert_eq!(latency.average_us, 50_000.0);
        latency.add(1_000 + DECAY_US as u64, 0.0);
        assert!((latency.average_us - 50_000.0 / std::f64::consts::E).abs() < 1.0);
        assert_eq!(latency.at(0), latency.average_us, "a clock that went back changes nothing");
    }

    #[test]
    fn weight_does_not_keep_a_failing_endpoint_in() {
        let mut bench = fed(&[9, 1], 1, |i| (1_000, i == 0));
        assert_eq!(bench.count(1000), [0, 1000]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn equally_fast_idle_endpoints_share_by_weight(
            weights in prop::collection::vec(0u32..10, 2..10),
            seed: u64,
        ) {
            let noise = [1_000, 1_050, 980, 1_100, 1_020, 1_080, 1_010, 990, 1_060, 1_030];
            let mut bench = fed(&weights, seed, |i| (noise[i], false));
            let total: u32 = weights.iter().sum();
            prop_assume!(total > 0);
            prop_assume!(weights.iter().any(|w| *w != weights[0] && *w > 0));
            let counts = bench.count(20_000);
            let alive: Vec<_> = weights.iter().filter(|w| **w > 0).collect();
            if alive.windows(2).all(|w| w[0] == w[1]) {
                return Ok(());
            }
            for (w, n) in weights.iter().zip(counts) {
                let share = f64::from(*w) / f64::from(total);
                prop_assert!((f64::from(n) / 20_000.0 - share).abs() < 0.02);
            }
        }

        #[test]
        fn held_requests_settle_near_the_weights(
            weights in prop::collection::vec(1u32..10, 2..6),
            seed: u64,
        ) {
            let mut bench = fed(&weights, seed, |_| (1_000, false));
            let total: u32 = weights.iter().sum();
            for _ in 0..total * 100 {
                let picked = bench.pick().unwrap();
                bench.active[picked] += 1;
            }
            for (w, n) in weights.iter().zip(&bench.active) {
                let ratio = f64::from(*n) / f64::from(w * 100);
                prop_assert!((0.7..1.3).contains(&ratio), "{ratio}: {:?} {weights:?}", bench.active);
            }
        }
    }
}
