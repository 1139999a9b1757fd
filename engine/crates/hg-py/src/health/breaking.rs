//! The circuit breaker of an endpoint whose requests are read from a log, after they have ended.

use hg_resilience::{
    Breaker, BreakerPolicy, Circuit, Counts, Event, Reason, Trip, Turn, Verdict, Window,
};
use pyo3::prelude::*;

/// The limits at which a breaker opens and closes: any Python object with these attributes.
#[derive(FromPyObject)]
pub(super) struct Breaking {
    failures: u16,
    open_ms: u64,
    successes: u16,
    probes: u16,
    error_percent: u8,
    slow_percent: u8,
    slow_ms: u64,
    requests: u32,
    window_s: u64,
}

impl Breaking {
    fn policy(&self) -> BreakerPolicy {
        BreakerPolicy {
            failures: self.failures,
            open_for_ms: self.open_ms,
            successes: self.successes,
            probes: self.probes,
        }
    }

    /// Returns which shares open the breaker, if any do.
    fn trip(&self) -> Option<Trip> {
        let asked = self.error_percent > 0 || self.slow_percent > 0;
        asked.then_some(Trip {
            error_percent: self.error_percent,
            slow_percent: self.slow_percent,
            slow_ms: self.slow_ms,
            requests: self.requests,
            window_s: self.window_s,
        })
    }
}

/// A breaker, and what its shares are made of.
#[derive(Default)]
pub(super) struct Guard {
    /// Apart: it has a cache line of its own, and Python aligns no objects.
    breaker: Box<Breaker>,
    /// Most breakers have none.
    window: Option<Box<Window>>,
}

impl Guard {
    /// Returns when it half opens, if it is open.
    pub(super) fn open_until_ms(&self) -> Option<u64> {
        self.breaker.open_until_ms()
    }

    /// Takes in how a request ended that began in its present period.
    pub(super) fn judge(
        &mut self,
        plan: &Breaking,
        (verdict, head_ms): (Verdict, u64),
        now_ms: u64,
    ) -> Option<Event> {
        if self.breaker.circuit() == Circuit::Open {
            return None;
        }
        if plan.trip().is_some() {
            self.count(plan, verdict, head_ms, now_ms);
        }
        let policy = plan.policy();
        let permit = self.breaker.acquire(now_ms, &policy)?;
        self.breaker.report(permit, verdict, now_ms, &policy).map(Turn::event)
    }

    fn count(&mut self, plan: &Breaking, verdict: Verdict, head_ms: u64, now_ms: u64) {
        let (good, failed) = match verdict {
            Verdict::Good => (1, 0),
            Verdict::Bad | Verdict::Throttled => (0, 1),
            Verdict::Neutral => return,
        };
        let slow = u32::from(head_ms > plan.slow_ms);
        let window = self.window.get_or_insert_default();
        window.add(now_ms, Counts { good, failed, slow });
    }

    /// Looks at what time and shares change, about once a second.
    pub(super) fn turn(&mut self, plan: &Breaking, now_ms: u64) -> Option<Event> {
        let policy = plan.policy();
        if let Some(turn) = self.breaker.wake(now_ms, &policy) {
            return Some(turn.event());
        }
        if self.breaker.circuit() != Circuit::Closed {
            // What was before it closes must not open it again.
            self.window = None;
            return None;
        }
        let trip = plan.trip()?;
        let counts = self.window.as_mut()?.sum(now_ms, trip.window_s);
        let reason: Reason = trip.cause(counts)?;
        self.window = None;
        self.breaker.trip(now_ms, &policy).map(|_| Event::BreakerOpened(reason))
    }

    /// Closes it, because the config does not have it any more.
    pub(super) fn close(&mut self, now_ms: u64) -> Option<Event> {
        self.window = None;
        self.breaker.close(now_ms).map(Turn::event)
    }
}
