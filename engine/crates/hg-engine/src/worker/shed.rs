//! Load shedding: while there is too much to do, new requests are answered at once, those that matter
//! least first, and those under way are served.

use super::Worker;
use super::answer::own;
use super::exchange::{ExId, pair};
use crate::report::EventLevel;
use crate::shared::marks;
use hg_policy::Random;
use hg_proto::Reject;
use hg_resilience::{Importance, Level, Overload, SheddingPolicy};

/// Clients come back after one to so many seconds, not all together.
const MOST_RETRY_AFTER_S: u64 = 3;

/// A level above calm, and what there is too much of.
pub(super) type Load = (Level, Overload);

fn reject(overload: Overload) -> &'static Reject {
    match overload {
        Overload::Memory => &own::OVERLOAD_MEMORY,
        Overload::Queue => &own::OVERLOAD_QUEUE,
        Overload::Lag => &own::OVERLOAD_LAG,
    }
}

/// Returns what a level means for those who ask.
fn meaning(level: Level) -> &'static str {
    match level {
        Level::Calm => "every request is served",
        Level::Strained => "requests of low importance get 503",
        Level::Overloaded => "only requests of high importance are served, others get 503",
        Level::Critical => "every new request gets 503, and new connections wait",
    }
}

impl Worker {
    /// Returns what there is too much of now; nothing where no limit is set.
    fn load(&self) -> Option<Load> {
        self.held.settings.shedding.as_ref()?;
        self.upstreams.shedder.overload(self.now_us, self.shared.memory.level())
    }

    /// Reports whether there is too much to do.
    pub(super) fn is_loaded(&self) -> bool {
        self.load().is_some()
    }

    /// Returns what there is too much of, before a request is routed. While that is memory, the
    /// client's connection ends after this answer.
    pub(super) fn load_at_request(&mut self, x: ExId) -> Option<Load> {
        let load = self.load()?;
        self.tell(load.0, load.1);
        if load.1 == Overload::Memory {
            self.end_connection_after(x);
        }
        Some(load)
    }

    /// Answers a request with 503 if it matters too little at this level. Reports whether it did.
    pub(super) fn sheds(&mut self, x: ExId, load: Option<Load>, importance: Importance) -> bool {
        let Some((level, overload)) = load.filter(|(level, _)| importance.is_shed_at(*level))
        else {
            return false;
        };
        self.counters.overload.shed(level);
        let after_s = 1 + self.rng.below(MOST_RETRY_AFTER_S);
        self.refuse_for(x, reject(overload), Some(after_s));
        true
    }

    /// Reports whether new connections wait in the kernel's queue now.
    pub(super) fn holds_connections(&self) -> bool {
        self.load().is_some_and(|(level, _)| level == Level::Critical)
    }

    fn end_connection_after(&mut self, x: ExId) {
        let Some((e, _)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        e.keep_alive = false;
        let (ci, is_http2) = (e.client, e.stream.is_http2());
        if is_http2 {
            self.announce_http2(ci);
        }
    }

    fn tell(&mut self, level: Level, overload: Overload) {
        if !self.upstreams.shedder.tells(self.now_us, level) {
            return;
        }
        let (name, means, why) = (level.name(), meaning(level), reject(overload).detail);
        let message = format!("{name}: {why}; {means}");
        self.shared.event(EventLevel::Warn, "node.overload", message);
    }

    /// Takes in a turn of the loop that began then, nothing if it had no event, and how long the
    /// work waited that was done in it.
    pub(super) fn note_turn(&mut self, began_us: Option<u64>, waited_us: u64) {
        let Some(plan) = &self.held.settings.shedding else {
            return;
        };
        let began_us = began_us.unwrap_or(self.now_us);
        let policy =
            SheddingPolicy { queued: plan.queued, lag_us: plan.lag_ms * 1_000, marks: marks(plan) };
        let queued = if policy.queued > 0 { self.upstreams.queued() } else { 0 };
        let took_us = self.now_us.saturating_sub(began_us).max(waited_us);
        let shedder = &mut self.upstreams.shedder;
        shedder.turn(self.now_us, took_us, queued, &policy);
        self.counters.overload.set(shedder.levels());
        if self.load().is_none() && self.upstreams.shedder.tells(self.now_us, Level::Calm) {
            let message = format!("calm: {}", meaning(Level::Calm));
            self.shared.event(EventLevel::Info, "node.overload", message);
        }
    }
}
