//! Adaptive concurrency: how many requests an upstream gets at a time from this worker, learned from
//! how long answers take.

use super::claim::Left;
use crate::snapshot::UpstreamEntry;
use hg_resilience::{Gradient, GradientPolicy};

/// A body that takes longer is a stream, whose request says nothing of the load.
const STREAM_US: u64 = 1_000_000;

/// The limit of an upstream, and the requests under way.
pub(crate) struct Adaptive {
    policy: GradientPolicy,
    gradient: Gradient,
    in_flight: u32,
}

impl Adaptive {
    /// Makes the limit that the plan asks for; `old` is what was before, `active` the requests that
    /// are under way.
    pub(crate) fn of(entry: &UpstreamEntry, old: Option<&Self>, active: u32) -> Option<Self> {
        let plan = entry.plan.health.concurrency.as_ref()?;
        let endpoints = u32::try_from(entry.endpoints.len()).unwrap_or(u32::MAX);
        let policy = GradientPolicy {
            initial: plan.initial,
            min: plan.min,
            max: plan.max,
            ..GradientPolicy::default()
        };
        let policy = policy.for_endpoints(endpoints);
        let kept = old.filter(|old| old.policy == policy);
        let gradient = kept.map_or_else(|| Gradient::new(&policy), |old| old.gradient);
        let in_flight = old.map_or(active, |old| old.in_flight);
        Some(Self { policy, gradient, in_flight })
    }

    pub(crate) fn is_full(&self) -> bool {
        self.in_flight >= self.gradient.limit()
    }

    pub(crate) fn limit(&self) -> u32 {
        self.gradient.limit()
    }

    pub(crate) fn begin(&mut self) {
        self.in_flight = self.in_flight.saturating_add(1);
    }

    /// Takes in how a request ended that began here.
    pub(crate) fn end(&mut self, left: &Left) {
        let in_flight = self.in_flight;
        self.in_flight = in_flight.saturating_sub(1);
        let first_us = left.times.first_byte_us;
        let streamed = first_us > 0 && left.now_us.saturating_sub(first_us) > STREAM_US;
        if Gradient::counts(left.outcome, streamed) {
            self.gradient.add(left.head_us(), in_flight, &self.policy);
        }
    }
}
