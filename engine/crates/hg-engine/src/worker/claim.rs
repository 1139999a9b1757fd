//! What a request takes of its upstream's limits and breakers, and how it gives that back.

use super::Worker;
use super::exchange::{ExId, TryTimes};
use crate::breaker::Judged;
use crate::snapshot::UpstreamEntry;
use hg_policy::Sample;
use hg_resilience::{Outcome, Permit, Verdict};
use std::sync::Arc;

/// What a request at an endpoint holds of the upstream.
#[derive(Default)]
pub(crate) struct Claim {
    /// The upstream whose limits count it, if there are any.
    pub(crate) limits: Option<Arc<UpstreamEntry>>,
    /// What a breaker permitted.
    pub(crate) permit: Option<Permit>,
}

/// How a request left its endpoint.
pub(crate) struct Left {
    pub(crate) outcome: Outcome,
    pub(crate) permit: Option<Permit>,
    pub(crate) times: TryTimes,
    pub(crate) now_us: u64,
}

impl Left {
    /// Returns how long the answer's head, or the end without one, took. A body takes as long as its
    /// client likes.
    pub(crate) fn head_us(&self) -> u64 {
        self.times.head_us(self.now_us)
    }

    /// Returns what the balancer learns of it.
    pub(crate) fn sample(&self) -> Sample {
        let head_us = self.head_us();
        match self.outcome.verdict() {
            Verdict::Bad | Verdict::Throttled => Sample::Failed(head_us),
            // It was given up before its time was known.
            Verdict::Neutral if self.times.first_byte_us == 0 => Sample::AtLeast(head_us),
            Verdict::Good | Verdict::Neutral => Sample::Took(head_us),
        }
    }

    /// Returns what a breaker learns of it.
    pub(crate) fn judged(&self) -> Option<Judged> {
        Some(Judged {
            permit: self.permit?,
            verdict: self.outcome.verdict(),
            head_ms: self.head_us() / 1_000,
            now_ms: self.now_us / 1_000,
        })
    }
}

impl Worker {
    /// Tells a half-open breaker at the head of an answer what it waits for: the body may be a
    /// stream without an end, or the head the begin of a tunnel.
    pub(super) fn trial_answered(&mut self, x: ExId, status: u16) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        let Some(permit) = e.claim.permit.take_if(|permit| permit.is_trial()) else {
            return;
        };
        let left = Left {
            outcome: Outcome::of_status(status),
            permit: Some(permit),
            times: e.times,
            now_us: self.now_us,
        };
        let at = e.endpoint.as_ref().map_or(usize::MAX, |endpoint| endpoint.slot.get());
        if let Some(u) = self.upstreams.same(e.upstream, e.upstream_id) {
            u.judge(&self.shared, at, &left);
        }
    }
}
