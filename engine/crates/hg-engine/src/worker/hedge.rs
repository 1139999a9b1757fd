//! Hedging: a second try beside one whose answer takes long. Both are tries of one exchange, which
//! has one of them at hand: whatever concerns the other one brings it to hand first. The first
//! acceptable head ends the other try, which then says nothing of its endpoint.

use super::Worker;
use super::accept::deadline_after;
use super::claim::Claim;
use super::exchange::{ConnectTime, Deadlines, ExId, Exchange, Stage, TryTimes, pair};
use super::upstreams::EndpointState;
use crate::counters::{Denied, Hedged};
use crate::snapshot::UpstreamEntry;
use hg_net::{Clock, Ticks};
use hg_resilience::{Hedge, HedgePolicy, Outcome, Quantile};
use std::collections::HashMap;
use std::mem::swap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Of so many in a hundred requests the answer comes without a hedge.
const PERCENTILE: u8 = 95;

/// The state that an exchange holds of the try that is not at hand.
pub(crate) struct Side {
    stage: Stage,
    endpoint: Option<Rc<EndpointState>>,
    up: Option<usize>,
    attempts: Vec<usize>,
    next_address: usize,
    on_reused: bool,
    connect: ConnectTime,
    times: TryTimes,
    due: Deadlines,
    claim: Claim,
    counted: bool,
    /// True if it is the one that began later.
    is_hedge: bool,
}

impl Side {
    /// Makes a try that has not begun.
    fn later() -> Self {
        Self {
            stage: Stage::Connecting,
            endpoint: None,
            up: None,
            attempts: Vec::new(),
            next_address: 0,
            on_reused: false,
            connect: ConnectTime::default(),
            times: TryTimes::default(),
            due: Deadlines::default(),
            claim: Claim::default(),
            counted: false,
            is_hedge: true,
        }
    }

    fn has(&self, ui: usize) -> bool {
        self.up == Some(ui) || self.attempts.contains(&ui)
    }
}

/// The latencies of a worker's routes that hedge after their p95, by name.
#[derive(Default)]
pub(crate) struct Latencies(HashMap<Arc<str>, Quantile, foldhash::fast::RandomState>);

impl Latencies {
    fn get_us(&self, route: &Arc<str>) -> Option<u64> {
        self.0.get(route)?.get_us()
    }

    fn add(&mut self, route: &Arc<str>, latency_us: u64) {
        if let Some(known) = self.0.get_mut(route) {
            return known.add(latency_us, PERCENTILE);
        }
        // No snapshot holds the names of routes that are gone.
        self.0.retain(|name, _| Arc::strong_count(name) > 1);
        self.0.entry(route.clone()).or_default().add(latency_us, PERCENTILE);
    }
}

impl Exchange {
    /// Puts the other try in the place of the one at hand.
    fn turn(&mut self) {
        let Some(side) = self.tries.side.as_deref_mut() else {
            return;
        };
        swap(&mut self.stage, &mut side.stage);
        swap(&mut self.endpoint, &mut side.endpoint);
        swap(&mut self.up, &mut side.up);
        swap(&mut self.attempts, &mut side.attempts);
        swap(&mut self.next_address, &mut side.next_address);
        swap(&mut self.on_reused, &mut side.on_reused);
        swap(&mut self.connect, &mut side.connect);
        swap(&mut self.times, &mut side.times);
        swap(&mut self.due, &mut side.due);
        swap(&mut self.claim, &mut side.claim);
        swap(&mut self.counted, &mut side.counted);
        swap(&mut self.tries.is_hedge, &mut side.is_hedge);
        // These two are the request's.
        swap(&mut self.due.request, &mut side.due.request);
        swap(&mut self.due.idle, &mut side.due.idle);
    }

    /// Returns the next deadline of the try that is not at hand; without one, when it may begin.
    pub(super) fn other_deadline(&self) -> Ticks {
        match self.tries.side.as_deref() {
            Some(side) => side.due.of(side.stage).min(side.due.one_try),
            None => self.due.hedge,
        }
    }

    /// Takes what the other try holds of the limits; for a worker that is gone.
    pub(super) fn side_limits(&mut self) -> Option<(Arc<UpstreamEntry>, Rc<EndpointState>)> {
        let side = self.tries.side.take()?;
        side.claim.limits.zip(side.endpoint)
    }

    fn hedge(&self) -> Option<HedgePolicy> {
        self.retry()?.hedge
    }
}

impl Worker {
    /// Sets when the second try of a request may begin, now that the first one waits for an answer.
    pub(super) fn expect_hedge(&mut self, x: ExId) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        let Some(policy) = e.hedge() else { return };
        let p95_us = e.route().and_then(|r| self.upstreams.latencies.get_us(&r.name));
        let first = e.tries.side.is_none() && e.tries.repeats == 0 && e.request.done;
        if let Some(ms) = policy.after_ms(p95_us).filter(|_| first) {
            e.due.hedge = Clock::after(self.now_us, ms);
        }
    }

    /// Brings the try to hand to which a connection belongs.
    pub(super) fn face(&mut self, ui: usize) {
        let x = self.ups.get(ui).and_then(|up| up.exchange);
        if let Some(e) = x.and_then(|x| self.exchanges.get_mut(x))
            && e.tries.side.as_deref().is_some_and(|side| side.has(ui))
        {
            e.turn();
        }
    }

    /// Brings the other try of an exchange to hand if it is due. Without one, begins it. Reports
    /// whether it began.
    pub(super) fn face_due(&mut self, x: ExId) -> bool {
        let now = self.now;
        let Some(e) = self.exchanges.get_mut(x) else {
            return false;
        };
        if e.other_deadline() > now || e.due.request <= now {
            return false;
        }
        if e.tries.side.is_some() {
            e.turn();
            return false;
        }
        e.due.hedge = Ticks::MAX;
        self.begin_hedge(x).is_some()
    }

    /// Begins the second try of a request, at another endpoint, if the budget has one.
    fn begin_hedge(&mut self, x: ExId) -> Option<()> {
        let (now_us, now_ms) = (self.now_us, self.now_us / 1_000);
        let (e, c) = pair(&mut self.exchanges, &mut self.clients, x)?;
        let share = e.retry()?.budget.share(self.shared.workers);
        let u = self.upstreams.same(e.upstream, e.upstream_id)?;
        let asked = Hedge {
            idempotent: e.method.is_idempotent(),
            replayable: e.replayable,
            panic: u.entry.health.panic.load(Relaxed),
            awaited: c.awaits_answer(),
            tries: e.tries.repeats.saturating_add(1),
        };
        // A request has one place on connections that carry many.
        let is_alone = !e.may_multiplex();
        let waits = e.stage == Stage::Waiting && e.request.done && e.upgrade.is_none() && is_alone;
        if !waits || !asked.may_start() || !e.mark_tried() {
            return None;
        }
        if self.upstreams.budget(e.upstream, e.upstream_id)?.balance(&share, now_ms) == 0 {
            self.counters.deny_retry(Denied::Budget);
            return None;
        }
        let u = self.upstreams.same(e.upstream, e.upstream_id)?;
        let picked = u.pick(&e.tried, e.wanted, (now_us, &mut self.rng), &self.shared).ok()?;
        let connect_ms = u.entry.plan.connect_timeout_ms;
        let budget = self.upstreams.budget(e.upstream, e.upstream_id)?;
        // There is one: it was asked a moment ago.
        let _ = budget.withdraw(&share, now_ms);
        e.tries.side = Some(Box::new(Side::later()));
        e.turn();
        e.tries.repeats += 1;
        e.due.connect = deadline_after(now_us, connect_ms);
        self.upstreams.hedged += 1;
        self.counters.hedge(Hedged::Sent);
        self.go_to(x, picked, 1);
        Some(())
    }

    /// Lets the try at hand be the one that answers; gives the other one up.
    pub(super) fn commit(&mut self, x: ExId) {
        let now_us = self.now_us;
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        if e.hedge() == Some(HedgePolicy::P95) {
            let other_us = e.tries.side.as_deref().map_or(e.times, |s| s.times).began_us;
            let began_us = e.times.began_us.min(other_us);
            if let Some(r) = e.snapshot.as_ref().and_then(|s| s.routes.get(e.route? as usize)) {
                self.upstreams.latencies.add(&r.name, now_us.saturating_sub(began_us));
            }
        }
        e.due.hedge = Ticks::MAX;
        if e.tries.side.is_some() && e.tries.is_hedge {
            self.counters.hedge(Hedged::Won);
        }
        self.drop_side(x);
    }

    /// Gives up the try that is not at hand; that says nothing of its endpoint.
    pub(super) fn drop_side(&mut self, x: ExId) {
        let Some(e) = self.exchanges.get_mut(x).filter(|e| e.tries.side.is_some()) else {
            return;
        };
        e.turn();
        self.lose(x, Outcome::Cancelled, "");
    }

    /// Gives up the try at hand, which ended so, and goes on with the other one. Reports whether
    /// there is one.
    pub(super) fn lose(&mut self, x: ExId, outcome: Outcome, why: &str) -> bool {
        let now_us = self.now_us;
        let Some(e) = self.exchanges.get_mut(x).filter(|e| e.tries.side.is_some()) else {
            return false;
        };
        let (up, attempts) = (e.up.take(), std::mem::take(&mut e.attempts));
        if outcome != Outcome::Cancelled
            && e.counted
            && let Some(endpoint) = &e.endpoint
        {
            endpoint.failed(why);
        }
        for ui in attempts.into_iter().chain(up) {
            self.abandon_up(ui);
        }
        self.leave_endpoint(x, now_us, outcome);
        self.upstreams.hedged = self.upstreams.hedged.saturating_sub(1);
        if let Some(e) = self.exchanges.get_mut(x) {
            e.turn();
            e.tries.side = None;
        }
        true
    }

    /// Continues the other try of an exchange, too, of which both may have something to read.
    pub(super) fn proceed_other(&mut self, x: ExId) {
        let Some(e) = self.exchanges.get_mut(x).filter(|e| e.tries.side.is_some()) else {
            return;
        };
        e.turn();
        if let Some(ui) = e.up {
            self.on_up_readable(x, ui);
        }
    }
}

#[cfg(test)]
mod tests;
