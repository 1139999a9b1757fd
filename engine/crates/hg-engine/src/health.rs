//! The known health of endpoints: shared by workers, which read it, and the house thread, which
//! writes it when it changes. Keyed by identity, so it survives every swap.

use crate::agents::AgentHealth;
use crate::breaker::Guard;
use crate::concurrency::Concurrency;
use crate::counters::lock;
use crate::outliers::Verdicts;
use crate::report::{AgentReport, HealthReport};
use crate::shares::Shares;
use crate::slow_start::is_warm;
use crate::snapshot::{EndpointEntry, UpstreamEntry};
use hg_net::Clock;
use hg_resilience::{
    Active, Admin, Agent, Bar, Census, Circuit, Ejection, Epoch, Event, FULL_WEIGHT, Outlier,
    Panic, Shared, Standing, State, Streaks, Takes, View, Why,
};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

/// The health of one endpoint of one upstream.
pub(crate) struct EndpointHealth {
    pub(crate) shared: Shared,
    /// Checks that passed and that failed.
    pub(crate) passed: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// The finding of the last check that failed; empty after one that passed.
    found: Mutex<String>,
    /// The answers of its agent.
    pub(crate) agent: AgentHealth,
    /// Failures in a row, of all workers.
    pub(crate) streaks: Streaks,
    /// The clock of its ejections; the house thread's.
    pub(crate) ejection: Mutex<Ejection>,
    guard: OnceLock<Box<Guard>>,
    shares: OnceLock<Box<Shares>>,
}

impl EndpointHealth {
    fn new(state: State) -> Self {
        Self {
            shared: Shared::new(state),
            passed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            found: Mutex::default(),
            agent: AgentHealth::default(),
            streaks: Streaks::default(),
            ejection: Mutex::default(),
            guard: OnceLock::new(),
            shares: OnceLock::new(),
        }
    }

    /// Returns its breaker; makes it at the first call.
    pub(crate) fn guard(&self) -> &Guard {
        self.guard.get_or_init(Box::default)
    }

    /// Reports whether it has had a breaker.
    pub(crate) fn is_guarded(&self) -> bool {
        self.guard.get().is_some()
    }

    /// Returns what its requests of the last seconds say by number; makes it at the first call.
    pub(crate) fn shares(&self) -> &Shares {
        self.shares.get_or_init(Box::default)
    }

    /// Counts a check and keeps what it found.
    pub(crate) fn checked(&self, found: Option<&str>) {
        let count = if found.is_none() { &self.passed } else { &self.failed };
        count.fetch_add(1, Relaxed);
        let mut last = lock(&self.found);
        last.clear();
        last.push_str(found.unwrap_or_default());
    }

    /// Returns what the last check found, if it failed.
    pub(crate) fn found(&self) -> String {
        lock(&self.found).clone()
    }
}

/// The health of one upstream.
#[derive(Default)]
pub(crate) struct UpstreamHealth {
    /// Moves with every change of an endpoint and of the panic latch.
    pub(crate) epoch: Epoch,
    pub(crate) panic: AtomicBool,
    /// Held by the worker that ejects an endpoint.
    pub(crate) ejecting: Mutex<()>,
    /// The number of times that a breaker opened, of the upstream or of its endpoints.
    pub(crate) opened: AtomicU64,
    /// The verdicts on endpoints that looked like outliers.
    pub(crate) verdicts: Verdicts,
    /// The number of requests that it has and may have at a time.
    pub(crate) concurrency: Concurrency,
    guard: OnceLock<Box<Guard>>,
}

impl UpstreamHealth {
    /// Returns its breaker; makes it at the first call.
    pub(crate) fn guard(&self) -> &Guard {
        self.guard.get_or_init(Box::default)
    }

    /// Reports whether it has had a breaker.
    pub(crate) fn is_guarded(&self) -> bool {
        self.guard.get().is_some()
    }
}

/// The health of all upstreams and endpoints by identity; it outlives every snapshot.
pub(crate) struct HealthTable {
    clock: Clock,
    upstreams: HashMap<Arc<str>, Arc<UpstreamHealth>>,
    /// By upstream, then by identity.
    endpoints: HashMap<Arc<str>, HashMap<Arc<str>, Arc<EndpointHealth>>>,
    /// The orders of operators, by upstream and configured address; `ready` is no order.
    orders: HashMap<(Arc<str>, Arc<str>), Admin>,
}

impl HealthTable {
    pub(crate) fn new(clock: Clock) -> Self {
        let (upstreams, endpoints, orders) = Default::default();
        Self { clock, upstreams, endpoints, orders }
    }

    pub(crate) fn upstream(&mut self, name: &Arc<str>) -> Arc<UpstreamHealth> {
        self.upstreams.entry(name.clone()).or_default().clone()
    }

    /// Keeps an order for the endpoints with this configured address.
    pub(crate) fn order(&mut self, name: &Arc<str>, address: &Arc<str>, order: Admin) {
        let key = (name.clone(), address.clone());
        match order {
            Admin::Ready => drop(self.orders.remove(&key)),
            order => drop(self.orders.insert(key, order)),
        }
    }

    /// Returns upstream and address of every endpoint that has an order.
    pub(crate) fn ordered(&self) -> Vec<(String, String)> {
        self.orders.keys().map(|(u, a)| (u.to_string(), a.to_string())).collect()
    }

    /// Reports whether an endpoint of an upstream takes its full share of the requests.
    pub(crate) fn has_warm(&self, name: &Arc<str>) -> bool {
        let mut all = self.endpoints.get(name).into_iter().flat_map(HashMap::values);
        all.any(|health| is_warm(health.shared.load()))
    }

    /// Returns the health of an endpoint; `identity` tells the addresses of a name apart. A new
    /// endpoint begins with the weight `start`; one that is `checked` is unknown until its first
    /// check.
    pub(crate) fn endpoint(
        &mut self,
        name: &Arc<str>,
        (address, identity): (&Arc<str>, &Arc<str>),
        (checked, start): (bool, u16),
    ) -> Arc<EndpointHealth> {
        let now_ms = self.clock.micros() / 1_000;
        let order = self.orders.get(&(name.clone(), address.clone())).copied();
        let new = || Arc::new(EndpointHealth::new(State::added(checked, now_ms, start)));
        let of_upstream = self.endpoints.entry(name.clone()).or_default();
        let health = of_upstream.entry(identity.clone()).or_insert_with(new).clone();
        // An order may have come while the plan did not have the endpoint.
        let event = Event::Operator(order.unwrap_or(Admin::Ready));
        if health.shared.apply(event, now_ms, FULL_WEIGHT).is_some() {
            self.upstream(name).epoch.advance();
        }
        health
    }

    /// Returns how many upstreams and endpoints are held.
    #[cfg(test)]
    pub(crate) fn len(&self) -> [usize; 2] {
        let endpoints = self.endpoints.values().map(HashMap::len).sum();
        [self.upstreams.len(), endpoints]
    }

    /// Forgets what only this table still holds.
    pub(crate) fn sweep(&mut self) {
        self.upstreams.retain(|_, health| Arc::strong_count(health) > 1);
        self.endpoints.retain(|_, of_upstream| {
            of_upstream.retain(|_, health| Arc::strong_count(health) > 1);
            !of_upstream.is_empty()
        });
    }
}

/// The states of the endpoints of an upstream: those that take requests first, and their backups.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standings {
    pub(crate) first: Census,
    pub(crate) backup: Census,
}

impl Standings {
    /// Returns what the panic threshold is a share of. While a backup is usable, there is no
    /// reason to send requests to endpoints that look bad.
    pub(crate) fn judged(self) -> Census {
        if self.backup.usable > 0 { Census::default() } else { self.first }
    }
}

impl UpstreamEntry {
    /// Reports whether the house thread has to do with it: its endpoints are checked, may be ejected
    /// or have breakers, or had a moment ago.
    pub(crate) fn concerns_checks(&self) -> bool {
        let untouched = |e: &EndpointEntry| {
            let state = e.health.shared.load();
            state.active == Active::Unchecked
                && state.outlier == Outlier::In
                && state.agent == Agent::Ready
        };
        let health = &self.plan.health;
        let judged = health.check.is_some() || health.agent.is_some() || health.outliers.is_some();
        judged
            || health.breaker.is_some()
            || health.slow_start_ms > 0
            || self.is_broken()
            || self.is_warming()
            || !self.endpoints.iter().all(untouched)
    }

    /// Counts how its endpoints stand now. Endpoints without a weight take nothing and do not
    /// count.
    pub(crate) fn standings(&self) -> Standings {
        let of = |backup| {
            let those = self.endpoints.iter().filter(|e| e.weight > 0 && e.backup == backup);
            Census::of(those.map(|e| e.health.shared.load()))
        };
        Standings { first: of(false), backup: of(true) }
    }

    /// Returns what decides about endpoints besides their own state; `backup` says which endpoints.
    pub(crate) fn view(&self, standings: Standings, backup: bool) -> View {
        let census = if backup { standings.backup } else { standings.first };
        View { panic: self.health.panic.load(Relaxed), ..Panic::default().view(census) }
    }

    /// Returns whether an endpoint takes requests.
    pub(crate) fn takes(&self, at: usize) -> Takes {
        let Some(e) = self.endpoints.get(at) else {
            return Takes::No;
        };
        e.health.shared.load().takes(self.view(self.standings(), e.backup))
    }

    /// Reports whether an endpoint keeps a UDP flow that it has.
    pub(crate) fn keeps_flow(&self, at: usize) -> bool {
        self.endpoints.get(at).is_some_and(|e| {
            e.health.shared.load().keeps_flow(self.view(self.standings(), e.backup))
        })
    }

    /// Writes for each endpoint whether it takes requests. Reports whether one of them takes only
    /// some, so that a request has to ask ([`UpstreamEntry::admits`]).
    pub(crate) fn write_takes(&self, takes: &mut [bool]) -> bool {
        let standings = self.standings();
        let mut probes = false;
        for (takes, e) in takes.iter_mut().zip(&self.endpoints) {
            let view = self.view(standings, e.backup);
            let word = e.health.shared.load().takes(view);
            *takes = word != Takes::No;
            probes |= matches!(word, Takes::Probe | Takes::Permitted);
        }
        probes
    }

    /// Reports on the endpoints at these places: one, or the addresses of a name.
    pub(crate) fn health_report(&self, places: Range<usize>, now_ms: u64) -> HealthReport {
        let several = places.len() > 1;
        let mut report = HealthReport::default();
        let now_unix_ms = hg_net::unix_micros() / 1_000;
        let mut latest_ms = None;
        for at in places {
            let Some(e) = self.endpoints.get(at) else { continue };
            let state = e.health.shared.load();
            let (word, takes, why) = self.told(at, state, now_ms);
            report.state = match report.state {
                "" => word,
                same if same == word => same,
                _ => "degraded",
            };
            report.takes |= takes;
            if latest_ms < Some(state.changed_ms) {
                latest_ms = Some(state.changed_ms);
                report.reason = state.reason.as_str();
                let ago_ms = now_ms.saturating_sub(state.changed_ms);
                report.changed_unix_ms = now_unix_ms.saturating_sub(ago_ms);
            }
            let join = if report.why.is_empty() { "" } else { ". " };
            let who = if several { format!("{} ", e.pool.address) } else { String::new() };
            report.why.push_str(&format!("{join}{who}{why}"));
            report.checks_passed += e.health.passed.load(Relaxed);
            report.checks_failed += e.health.failed.load(Relaxed);
            self.add_agent(e, &mut report);
        }
        report
    }

    /// Returns the word for an endpoint's state, whether it takes requests, and why.
    fn told(&self, at: usize, state: State, now_ms: u64) -> (&'static str, bool, String) {
        let Some(e) = self.endpoints.get(at) else {
            return ("unresolved", false, String::new());
        };
        if e.targets.is_empty() {
            return ("unresolved", false, "takes no traffic: its name does not resolve".into());
        }
        let word = match state.standing() {
            Standing::Unknown => "unknown",
            Standing::Out(Bar::Drain) => "drain",
            Standing::Out(Bar::Maintenance) => "maintenance",
            Standing::Out(Bar::Ejected) => "ejected",
            Standing::Probe | Standing::Out(Bar::Probing) => "probing",
            Standing::Out(Bar::Down | Bar::Reported) => "down",
            Standing::Out(Bar::Breaker) => "breaker-open",
            Standing::Trial => "breaker-half-open",
            Standing::Usable => "up",
        };
        if e.weight == 0 && self.affinity.is_none() {
            return (word, false, "takes no traffic: its weight is 0".into());
        }
        let standings = self.standings();
        let view = self.view(standings, e.backup);
        let why = Why {
            state,
            view,
            census: if e.backup { standings.backup } else { standings.first },
            panic_below_percent: self.plan.health.panic_threshold,
            until_ms: match state.standing() {
                Standing::Out(Bar::Breaker) => e.health.guard().state().1,
                _ => lock(&e.health.ejection).until_ms(),
            },
            now_ms,
        };
        let takes = state.takes(view) != Takes::No;
        if takes && let Some(told) = self.told_of_upstream(now_ms) {
            return told;
        }
        let why = match takes && e.weight == 0 {
            true => "takes only requests with its cookie: its weight is 0".to_owned(),
            false => why.to_string(),
        };
        (word, takes, format!("{why}{}", self.clauses(e, state)))
    }

    /// Returns what else is to be said of an endpoint, as further clauses.
    fn clauses(&self, e: &EndpointEntry, state: State) -> String {
        let mut clauses = String::new();
        if e.backup {
            clauses.push_str("; it is a backup: only while no other endpoint is usable");
        }
        let found = e.health.found();
        if state.active == Active::Down && !found.is_empty() {
            clauses.push_str(&format!("; the last check found: {found}"));
        }
        if self.plan.health.agent.is_some() {
            clauses.push_str(&e.health.agent.clauses());
        }
        clauses
    }

    /// Adds what the agent of an endpoint did to the report; of several the least weight.
    fn add_agent(&self, e: &EndpointEntry, report: &mut HealthReport) {
        if self.plan.health.agent.is_none() {
            return;
        }
        let percent = e.health.agent.said().percent();
        let known = report.agent.unwrap_or(AgentReport { percent, answers: 0, failures: 0 });
        report.agent = Some(AgentReport {
            percent: known.percent.min(percent),
            answers: known.answers + e.health.agent.answers.load(Relaxed),
            failures: known.failures + e.health.agent.failures.load(Relaxed),
        });
    }

    /// Returns the same for an endpoint that takes requests by itself, if the breaker of its
    /// upstream decides.
    fn told_of_upstream(&self, now_ms: u64) -> Option<(&'static str, bool, String)> {
        if !self.has_breaker(None) {
            return None;
        }
        let (circuit, until_ms) = self.health.guard().state();
        match circuit {
            Circuit::Closed => None,
            Circuit::HalfOpen => Some((
                "breaker-half-open",
                true,
                "takes a few requests: the breaker of its upstream is half open".into(),
            )),
            Circuit::Open => {
                let left_s = until_ms.unwrap_or(now_ms).saturating_sub(now_ms).div_ceil(1_000);
                let text = format!(
                    "takes no traffic: the breaker of its upstream is open; it is tried again in \
                     {left_s} s"
                );
                Some(("breaker-open", false, text))
            }
        }
    }
}
