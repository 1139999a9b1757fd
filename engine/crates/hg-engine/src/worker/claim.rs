//! What a request takes of its upstream's limits and breakers, and how it gives that back.

use super::Worker;
use super::exchange::ExId;
use crate::breaker::Judged;
use crate::snapshot::UpstreamEntry;
use hg_resilience::{Outcome, Permit};
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
    pub(crate) began_us: u64,
    /// When the first byte of the answer came; 0 = none did.
    pub(crate) first_byte_us: u64,
    pub(crate) now_us: u64,
}

impl Left {
    /// Returns what a breaker learns of it.
    pub(crate) fn judged(&self) -> Option<Judged> {
        let head_us = if self.first_byte_us > 0 { self.first_byte_us } else { self.now_us };
        Some(Judged {
            permit: self.permit?,
            verdict: self.outcome.verdict(),
            head_ms: head_us.saturating_sub(self.began_us) / 1_000,
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
            began_us: e.dispatch_us,
            first_byte_us: e.first_byte_us,
            now_us: self.now_us,
        };
        let at = e.endpoint.as_ref().map_or(usize::MAX, |endpoint| endpoint.slot.get());
        if let Some(u) = self.upstreams.same(e.upstream, e.upstream_id) {
            u.judge(&self.shared, at, &left);
        }
    }
}
