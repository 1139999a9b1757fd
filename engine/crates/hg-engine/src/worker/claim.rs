//! The part of its upstream's limits and breakers that a request takes and gives back.

use super::Worker;
use super::exchange::{ExId, TryTimes};
use super::upstreams::{EndpointState, UpstreamState};
use crate::breaker::Judged;
use crate::outliers::Ended;
use crate::shared::Shared;
use crate::snapshot::UpstreamEntry;
use hg_policy::Sample;
use hg_resilience::{Outcome, Permit, Verdict};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// The claim that a request at an endpoint has on the upstream.
#[derive(Default)]
pub(crate) struct Claim {
    /// The upstream whose limits count it, if there are any.
    pub(crate) limits: Option<Arc<UpstreamEntry>>,
    pub(crate) admission: Admission,
}

/// Gives back what [`UpstreamState::pick`] took of the limits of `entry`.
pub(crate) fn release_limits(entry: &UpstreamEntry, address: &str) {
    entry.in_use.fetch_sub(1, Relaxed);
    if let Some(e) = entry.endpoints.iter().find(|e| &*e.address == address) {
        e.in_use.fetch_sub(1, Relaxed);
    }
}

/// The admission of a request to its endpoint, which waits for how the request ends.
#[derive(Clone, Copy, Default)]
pub(crate) struct Admission {
    /// The permit of a breaker.
    pub(crate) permit: Option<Permit>,
    /// True if it is the one request that probes an endpoint after an ejection.
    pub(crate) is_probe: bool,
}

impl Admission {
    /// Takes out what waits for the head of an answer: the body may be a stream without an end, or
    /// the head the begin of a tunnel.
    fn take_trial(&mut self) -> Option<Self> {
        let permit = self.permit.take_if(|permit| permit.is_trial());
        let is_probe = std::mem::take(&mut self.is_probe);
        (permit.is_some() || is_probe).then_some(Self { permit, is_probe })
    }
}

/// The outcome of a request that left its endpoint.
pub(crate) struct Left {
    pub(crate) outcome: Outcome,
    pub(crate) admission: Admission,
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

    /// Returns what outlier detection learns of it.
    pub(crate) fn ended(&self) -> Ended {
        Ended {
            outcome: self.outcome,
            is_probe: self.admission.is_probe,
            began_ms: self.times.began_us / 1_000,
            now_ms: self.now_us / 1_000,
        }
    }

    /// Returns what a breaker learns of it.
    pub(crate) fn judged(&self) -> Option<Judged> {
        Some(Judged {
            permit: self.admission.permit?,
            verdict: self.outcome.verdict(),
            head_ms: self.head_us() / 1_000,
            now_ms: self.now_us / 1_000,
        })
    }
}

impl UpstreamState {
    /// Counts at its endpoint what was picked by a process before this one; `None` if the endpoint is
    /// not there.
    pub(crate) fn rejoin(&mut self, address: &str) -> Option<(Rc<EndpointState>, Claim)> {
        let i = self.endpoints.iter().position(|e| &*e.address == address)?;
        let (endpoint, limits) = self.join(i)?;
        Some((endpoint, Claim { limits, ..Claim::default() }))
    }

    /// Tells a probed endpoint and the breaker that let a request through what the head of its answer
    /// says, and nothing else of it.
    pub(crate) fn answered(&self, shared: &Shared, i: usize, left: &Left) {
        if left.admission.is_probe {
            self.entry.probed(shared, i, left.ended());
        }
        self.judge(shared, i, left);
    }

    /// Tells the breaker that let a request through how it ended.
    pub(crate) fn judge(&self, shared: &Shared, i: usize, left: &Left) {
        if let Some(judged) = left.judged() {
            self.entry.judge(shared, i, judged);
        }
    }
}

impl Worker {
    /// Tells a half-open breaker and an ejected endpoint at the head of an answer what they wait for.
    pub(super) fn trial_answered(&mut self, x: ExId, status: u16) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        let Some(admission) = e.claim.admission.take_trial() else {
            return;
        };
        let outcome = Outcome::of_status(status);
        let left = Left { outcome, admission, times: e.times, now_us: self.now_us };
        let at = e.endpoint.as_ref().map_or(usize::MAX, |endpoint| endpoint.slot.get());
        if let Some(u) = self.upstreams.same(e.upstream, e.upstream_id) {
            u.answered(&self.shared, at, &left);
        }
    }
}

#[cfg(test)]
mod tests;
