//! Adaptive concurrency: a worker's part of the requests that an upstream gets at a time, whose limit
//! all workers learn together from how long answers take.

use super::claim::Left;
use crate::health::UpstreamHealth;
use crate::snapshot::UpstreamEntry;
use hg_resilience::{Gradient, GradientPolicy};
use std::sync::Arc;

/// A body that takes longer is a stream, whose request says nothing of the load.
const STREAM_US: u64 = 1_000_000;

/// The requests of this worker that are under way; with it they are gone from the count of all.
pub(crate) struct Adaptive {
    of_all: Arc<UpstreamHealth>,
    in_flight: u32,
}

impl Drop for Adaptive {
    fn drop(&mut self) {
        self.of_all.concurrency.end(self.in_flight);
    }
}

impl Adaptive {
    /// Takes over the limit that the plan asks for; `active` are the requests under way.
    pub(crate) fn of(entry: &UpstreamEntry, active: u32) -> Option<Self> {
        let plan = entry.plan.health.concurrency.as_ref()?;
        let endpoints = u32::try_from(entry.endpoints.len()).unwrap_or(u32::MAX);
        let policy = GradientPolicy {
            initial: plan.initial,
            min: plan.min,
            max: plan.max,
            ..GradientPolicy::default()
        };
        let of_all = entry.health.clone();
        of_all.concurrency.adopt(&policy.for_endpoints(endpoints));
        of_all.concurrency.begin(active);
        Some(Self { of_all, in_flight: active })
    }

    /// Returns the requests of this worker.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(crate) fn is_full(&self, workers: u32, now_us: u64) -> bool {
        self.of_all.concurrency.is_full(self.in_flight, workers, now_us)
    }

    pub(crate) fn begin(&mut self) {
        self.in_flight = self.in_flight.saturating_add(1);
        self.of_all.concurrency.begin(1);
    }

    /// Takes in how a request ended that began here.
    pub(crate) fn end(&mut self, left: &Left) {
        if self.in_flight == 0 {
            return;
        }
        self.in_flight -= 1;
        let in_flight = self.of_all.concurrency.end(1);
        if Gradient::counts(left.outcome, is_stream(left.times.first_byte_us, left.now_us)) {
            self.of_all.concurrency.add(left.head_us(), in_flight);
        }
    }
}

/// Reports whether an answer took so long after its first byte, 0 = there was none.
fn is_stream(first_byte_us: u64, now_us: u64) -> bool {
    first_byte_us > 0 && now_us.saturating_sub(first_byte_us) > STREAM_US
}

#[cfg(test)]
mod tests;
