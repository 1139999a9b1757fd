//! Load shedding: while there is too much to do, new requests are answered at once, and those under
//! way are served.

use super::Worker;
use super::answer::own;
use super::exchange::ExId;
use crate::report::EventLevel;
use hg_policy::Random;
use hg_proto::Reject;
use hg_resilience::{Overload, SheddingPolicy};

/// Clients come back after one to so many seconds, not all together.
const MOST_RETRY_AFTER_S: u64 = 3;

fn reject(overload: Overload) -> &'static Reject {
    match overload {
        Overload::Memory => &own::OVERLOAD_MEMORY,
        Overload::Queue => &own::OVERLOAD_QUEUE,
        Overload::Lag => &own::OVERLOAD_LAG,
    }
}

impl Worker {
    /// Answers a request with 503 if there is too much to do. Reports whether it did.
    pub(super) fn sheds(&mut self, x: ExId) -> bool {
        if self.held.settings.shedding.is_none() {
            return false;
        }
        let shedder = &mut self.upstreams.shedder;
        let Some(overload) = shedder.overload(self.now_us, self.shared.memory.is_high()) else {
            return false;
        };
        let why = reject(overload);
        if shedder.tells(self.now_us) {
            let message = format!("new requests get 503: {}", why.detail);
            self.shared.event(EventLevel::Warn, "node.overload", message);
        }
        let after_s = 1 + self.rng.below(MOST_RETRY_AFTER_S);
        self.refuse_for(x, why, Some(after_s));
        true
    }

    /// Takes in a turn of the loop that began then; nothing if it had no event.
    pub(super) fn note_turn(&mut self, began_us: Option<u64>) {
        let Some(plan) = &self.held.settings.shedding else {
            return;
        };
        let began_us = began_us.unwrap_or(self.now_us);
        let policy = SheddingPolicy { queued: plan.queued, lag_us: plan.lag_ms * 1_000 };
        let queued = if policy.queued > 0 { self.upstreams.queued() } else { 0 };
        let took_us = self.now_us.saturating_sub(began_us);
        self.upstreams.shedder.turn(self.now_us, took_us, queued, &policy);
    }
}
