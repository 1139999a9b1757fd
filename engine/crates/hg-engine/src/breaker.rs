//! Circuit breakers: of each endpoint, or of an upstream as a whole. Requests ask before they are
//! sent and tell how they ended; the house thread looks at shares of failed and slow requests, and
//! half opens what was open for long enough.

use crate::counters::lock;
use crate::report::{EventLevel, ReasonCount};
use crate::shared::Shared;
use crate::shares::Tally;
use crate::snapshot::UpstreamEntry;
use hg_plan::{BreakerScope, CircuitBreaker, Kind};
use hg_resilience::{
    Breaker, BreakerPolicy, Circuit, Counts, Event, Permit, Reason, Trip, Turn, Verdict, Window,
};
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;

/// A breaker, and what its shares are made of.
#[derive(Default)]
pub(crate) struct Guard {
    breaker: Breaker,
    tally: Tally,
    /// The house thread's; most breakers have none.
    window: Mutex<Option<Box<Window>>>,
}

impl Guard {
    /// Returns what the breaker does now, and until when an open one stays so.
    pub(crate) fn state(&self) -> (Circuit, Option<u64>) {
        (self.breaker.circuit(), self.breaker.open_until_ms())
    }

    /// Returns why the requests of the last seconds open the breaker, if they do.
    fn cause(&self, plan: &CircuitBreaker, now_ms: u64) -> Option<Reason> {
        let trip = trip(plan)?;
        let counts = self.tally.take();
        let mut window = lock(&self.window);
        if self.breaker.circuit() != Circuit::Closed {
            // What was before it closes must not open it again.
            *window = None;
            return None;
        }
        let window = window.get_or_insert_default();
        window.add(now_ms, counts);
        trip.cause(window.sum(now_ms, trip.window_s))
    }
}

fn policy(plan: &CircuitBreaker) -> BreakerPolicy {
    BreakerPolicy {
        failures: plan.failures,
        open_for_ms: plan.open_ms,
        successes: plan.successes,
        probes: plan.probes,
    }
}

/// Returns which shares open the breaker, if any do.
fn trip(plan: &CircuitBreaker) -> Option<Trip> {
    let asked = plan.error_percent > 0 || plan.slow_percent > 0;
    asked.then_some(Trip {
        error_percent: plan.error_percent,
        slow_percent: plan.slow_percent,
        slow_ms: plan.slow_ms,
        requests: plan.requests,
        window_s: plan.window_s,
    })
}

/// The outcome of a request, for the breaker that let it through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    pub(crate) permit: Permit,
    pub(crate) verdict: Verdict,
    /// The time that the head of the answer, or the end without one, took.
    pub(crate) head_ms: u64,
    pub(crate) now_ms: u64,
}

impl UpstreamEntry {
    /// Returns the breaker of an endpoint, or of the whole upstream (`None`), if the plan has it.
    fn guard(&self, at: Option<usize>) -> Option<(&Guard, &CircuitBreaker)> {
        let plan = self.plan.health.breaker.as_ref()?;
        let guard = match (plan.per, at) {
            (BreakerScope::Upstream, None) => self.health.guard(),
            (BreakerScope::Endpoint, Some(at)) => self.endpoints.get(at)?.health.guard(),
            _ => return None,
        };
        Some((guard, plan))
    }

    /// Reports whether requests ask a breaker of the endpoint, or of the whole upstream (`None`).
    pub(crate) fn has_breaker(&self, at: Option<usize>) -> bool {
        self.guard(at).is_some()
    }

    /// Asks the breaker of an endpoint, or of the whole upstream, for a request. `Ok(None)` where
    /// there is none; an error if it lets nothing through.
    pub(crate) fn acquire(
        &self,
        shared: &Shared,
        at: Option<usize>,
        now_ms: u64,
    ) -> Result<Option<Permit>, Refused> {
        let Some((guard, plan)) = self.guard(at) else {
            return Ok(None);
        };
        let permit = guard.breaker.acquire(now_ms, &policy(plan)).ok_or(Refused)?;
        if let Some(turn) = permit.turned {
            self.turned(shared, at, turn.event(), now_ms);
        }
        Ok(Some(permit))
    }

    /// Reports whether the breaker of an endpoint would let a request through; asks for none.
    pub(crate) fn would_admit(&self, at: usize, now_ms: u64) -> bool {
        self.guard(Some(at))
            .is_none_or(|(guard, plan)| guard.breaker.would_admit(now_ms, &policy(plan)))
    }

    /// Takes in how a request ended that a breaker let through; `at` is its endpoint.
    pub(crate) fn judge(&self, shared: &Shared, at: usize, judged: Judged) {
        let Some(plan) = &self.plan.health.breaker else {
            return;
        };
        let at = (plan.per == BreakerScope::Endpoint).then_some(at);
        let Some((guard, plan)) = self.guard(at) else {
            return;
        };
        // What began before it opened says nothing once it has closed.
        if trip(plan).is_some() && guard.breaker.is_current(judged.permit) {
            let mut one = Counts::default();
            one.note(judged.verdict);
            one.slow = u32::from(judged.head_ms > plan.slow_ms).min(one.total());
            guard.tally.add(one);
        }
        let Judged { permit, verdict, now_ms, .. } = judged;
        if let Some(turn) = guard.breaker.report(permit, verdict, now_ms, &policy(plan)) {
            self.turned(shared, at, turn.event(), now_ms);
        }
    }

    /// Gives back what a breaker permitted to a request that was not sent.
    pub(crate) fn unused(&self, shared: &Shared, at: usize, permit: Permit, now_ms: u64) {
        let judged = Judged { permit, verdict: Verdict::Neutral, head_ms: 0, now_ms };
        self.judge(shared, at, judged);
    }

    /// Returns when the first breaker that keeps requests away lets one through, if one does;
    /// milliseconds.
    pub(crate) fn broken_until_ms(&self) -> Option<u64> {
        let guards = (0..self.endpoints.len()).map(Some).chain([None]);
        let open = guards.filter_map(|at| match self.guard(at)?.0.state() {
            (Circuit::Open, until_ms) => until_ms,
            (Circuit::HalfOpen, _) => Some(0),
            (Circuit::Closed, _) => None,
        });
        open.min()
    }

    /// Returns how many breakers are in each state: the one of the upstream, or those of its
    /// endpoints; empty without breakers.
    pub(crate) fn breaker_states(&self) -> Vec<ReasonCount> {
        if self.plan.health.breaker.is_none() {
            return Vec::new();
        }
        let guards = (0..self.endpoints.len()).map(Some).chain([None]);
        let now: Vec<Circuit> = guards.filter_map(|at| Some(self.guard(at)?.0.state().0)).collect();
        let count =
            |state: Circuit| -> u64 { now.iter().map(|one| u64::from(*one == state)).sum() };
        let words = [
            (Circuit::Closed, "closed"),
            (Circuit::HalfOpen, "half-open"),
            (Circuit::Open, "open"),
        ];
        words.map(|(state, reason)| ReasonCount { reason, count: count(state) }).to_vec()
    }

    /// Looks at the breakers for what time and shares change. The house thread calls this.
    pub(crate) fn turn_breakers(&self, shared: &Shared, now_ms: u64) {
        if self.plan.health.breaker.is_none() {
            return;
        }
        for at in (0..self.endpoints.len()).map(Some).chain([None]) {
            let Some((guard, plan)) = self.guard(at) else { continue };
            if let Some(turn) = guard.breaker.wake(now_ms, &policy(plan)) {
                self.turned(shared, at, turn.event(), now_ms);
            }
            if let Some(reason) = guard.cause(plan, now_ms)
                && guard.breaker.trip(now_ms, &policy(plan)) == Some(Turn::Opened)
            {
                *lock(&guard.window) = None;
                self.turned(shared, at, Event::BreakerOpened(reason), now_ms);
            }
            self.agree(shared, at, now_ms);
        }
    }

    /// Brings the word of an endpoint to what its breaker does: two turns in a row of two workers
    /// may have come to the word in the other order.
    fn agree(&self, shared: &Shared, at: Option<usize>, now_ms: u64) {
        let Some((at, e)) = at.and_then(|at| Some((at, self.endpoints.get(at)?))) else {
            return;
        };
        let circuit = e.health.guard().breaker.circuit();
        let word = e.health.shared.load().circuit;
        let events: &[Event] = match (word, circuit) {
            (Circuit::Closed, Circuit::HalfOpen) => {
                &[Event::BreakerOpened(Reason::BreakerFailures), Event::BreakerHalfOpened]
            }
            (Circuit::Closed | Circuit::HalfOpen, Circuit::Open) => {
                &[Event::BreakerOpened(Reason::BreakerFailures)]
            }
            (Circuit::Open, Circuit::HalfOpen) => &[Event::BreakerHalfOpened],
            (Circuit::Open | Circuit::HalfOpen, Circuit::Closed) => &[Event::BreakerClosed],
            _ => return,
        };
        events.iter().for_each(|event| self.change(shared, at, *event, now_ms));
    }

    /// Closes the breakers that the plan does not have. Reports whether one was not closed.
    pub(crate) fn settle_breakers(&self, now_ms: u64) -> bool {
        let mut moved = false;
        for (at, e) in self.endpoints.iter().enumerate().filter(|(_, e)| e.health.is_guarded()) {
            if !self.has_breaker(Some(at)) {
                e.health.guard().breaker.close(now_ms);
                let weight = hg_resilience::FULL_WEIGHT;
                moved |= e.health.shared.apply(Event::BreakerClosed, now_ms, weight).is_some();
            }
        }
        if self.health.is_guarded() && !self.has_breaker(None) {
            self.health.guard().breaker.close(now_ms);
        }
        moved
    }

    /// Reports whether a breaker is not closed, the plan may have it or not.
    pub(crate) fn is_broken(&self) -> bool {
        let is_broken = |guard: &Guard| guard.state().0 != Circuit::Closed;
        let own = self.health.is_guarded() && is_broken(self.health.guard());
        let of_endpoint = |e: &crate::snapshot::EndpointEntry| {
            e.health.is_guarded() && is_broken(e.health.guard())
        };
        own || self.endpoints.iter().any(of_endpoint)
    }

    /// Applies a turn of a breaker, counts openings, and tells.
    fn turned(&self, shared: &Shared, at: Option<usize>, event: Event, now_ms: u64) {
        if matches!(event, Event::BreakerOpened(_)) {
            self.health.opened.fetch_add(1, Relaxed);
        }
        if let Some(at) = at {
            return self.change(shared, at, event, now_ms);
        }
        let Some((level, what)) = told(event) else { return };
        let why = event.reason().map_or("", Reason::text);
        let message = format!("upstream {} {what}: {why}", self.name);
        let object = Some((Kind::Upstream, self.name.to_string()));
        shared.object_event(level, "upstream.breaker", object, message);
    }
}

/// A breaker lets nothing through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

/// Returns what an event says of a breaker's turn.
pub(crate) fn told(event: Event) -> Option<(EventLevel, &'static str)> {
    match event {
        Event::BreakerOpened(_) => Some((EventLevel::Warn, "gets no requests")),
        Event::BreakerHalfOpened => Some((EventLevel::Info, "gets a few requests")),
        Event::BreakerClosed => Some((EventLevel::Info, "gets requests again")),
        _ => None,
    }
}
