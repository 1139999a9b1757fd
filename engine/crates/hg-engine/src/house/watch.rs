//! The endpoints that are checked, their checks, and the changes that the verdicts cause. Endpoints
//! with the same address, TLS and check share one check, whatever upstreams they belong to; a check
//! that a reload does not change keeps its clock and its verdict.

use super::agents::hear;
use super::answer::Failure;
use super::asked::Asked;
use super::attempt::{Passed, Terms};
use crate::counters::lock;
use crate::outliers::ejections;
use crate::report::EventLevel;
use crate::shared::Shared;
use crate::snapshot::{EndpointEntry, UpstreamEntry};
use hg_net::Address;
use hg_plan::Kind;
use hg_policy::{Random as _, WyRand};
use hg_resilience::{
    Active, Agent, Check, CheckPolicy, Event, FULL_WEIGHT, Panic, PanicPolicy, Reason, Report,
    Takes,
};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// The properties that make two checks the same.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    asked: Asked,
    address: Arc<str>,
    targets: Arc<[Address]>,
    /// The text that distinguishes the TLS of upstreams.
    setup: Arc<str>,
    /// The most bytes and lines of an answer's head.
    head: (usize, usize),
}

/// A check that is repeated for its endpoints.
struct Checked {
    key: Key,
    check: Check,
    policy: CheckPolicy,
    terms: Terms,
    timeout_ms: u64,
    /// The endpoints that it judges: slot of the upstream and index there.
    users: Vec<(usize, usize)>,
    /// The time at which it is due, unless one is under way.
    due_ms: Option<u64>,
    /// The last failure, which stays known while the endpoint is down.
    reason: Reason,
    /// The last answer of an agent.
    report: Option<Report>,
}

/// An upstream whose endpoints are checked.
struct Watched {
    entry: Arc<UpstreamEntry>,
    /// The checks of its endpoints, and their agents; none while a name does not resolve.
    checks: Vec<usize>,
    panic: Panic,
}

/// A check to be started.
pub(super) struct Due {
    pub(super) id: usize,
    pub(super) terms: Terms,
    pub(super) timeout_ms: u64,
}

/// All that is watched.
pub(super) struct Watch {
    shared: Arc<Shared>,
    upstreams: HashMap<usize, Watched>,
    checks: slab::Slab<Checked>,
    by_key: HashMap<Key, usize>,
    due: BTreeSet<(u64, usize)>,
    rng: WyRand,
}

impl Watch {
    pub(super) fn new(shared: Arc<Shared>, seed: u64) -> Self {
        Self {
            shared,
            rng: WyRand::new(seed),
            upstreams: HashMap::new(),
            checks: slab::Slab::new(),
            by_key: HashMap::new(),
            due: BTreeSet::new(),
        }
    }

    /// Takes over what a slot holds now. Returns the checks that nobody needs any more.
    pub(super) fn update(
        &mut self,
        slot: usize,
        entry: Option<Arc<UpstreamEntry>>,
        now_ms: u64,
    ) -> Vec<usize> {
        let old = self.upstreams.remove(&slot);
        let mut released = Vec::new();
        let kept = old.as_ref().zip(entry.as_ref()).filter(|(o, e)| o.entry.name == e.name);
        let panic = kept.map_or_else(Panic::default, |(o, _)| o.panic);
        if let Some(entry) = entry {
            settle(&entry, now_ms);
            let health = &entry.plan.health;
            let judged = health.outliers.is_some() || health.breaker.is_some();
            let asked = health.check.is_some() || health.agent.is_some();
            if judged || asked || health.slow_start_ms > 0 {
                self.watch(slot, entry, now_ms);
            }
        } else if let Some(old) = &old {
            old.entry.health.panic.store(false, Relaxed);
            old.entry.health.epoch.advance();
        }
        if let Some(w) = self.upstreams.get_mut(&slot) {
            w.panic = panic;
        }
        for id in old.into_iter().flat_map(|o| o.checks) {
            if self.release(id, slot) {
                released.push(id);
            }
        }
        self.turn_panic(slot, now_ms);
        released
    }

    fn watch(&mut self, slot: usize, entry: Arc<UpstreamEntry>, now_ms: u64) {
        let health = &entry.plan.health;
        let mut checks = Vec::with_capacity(entry.endpoints.len());
        for (at, e) in entry.endpoints.iter().enumerate() {
            let check = health.check.as_ref().filter(|_| !e.targets.is_empty());
            let event = if check.is_some() { Event::ChecksOn } else { Event::ChecksOff };
            if e.health.shared.apply(event, now_ms, FULL_WEIGHT).is_some() {
                entry.health.epoch.advance();
            }
            let check = check.cloned().map(|check| Asked::Check(check.into()));
            let agent = health.agent.clone().filter(|_| !e.targets.is_empty()).map(Asked::Agent);
            for asked in check.into_iter().chain(agent) {
                let id = self.acquire(&entry, e, asked, now_ms);
                if let Some(c) = self.checks.get_mut(id) {
                    c.users.push((slot, at));
                    c.tell_known(&self.shared, &entry, at, now_ms);
                }
                checks.push(id);
            }
        }
        entry.reweigh();
        self.upstreams.insert(slot, Watched { entry, checks, panic: Panic::default() });
    }

    /// Returns the check of an endpoint; makes it if there is none like it.
    fn acquire(
        &mut self,
        entry: &UpstreamEntry,
        e: &EndpointEntry,
        asked: Asked,
        now_ms: u64,
    ) -> usize {
        let key = Key {
            asked,
            address: e.address.clone(),
            targets: e.targets.clone(),
            setup: e.pool.setup.clone(),
            head: (entry.limits.head_bytes, entry.limits.header_count),
        };
        if let Some(&id) = self.by_key.get(&key) {
            return id;
        }
        let (policy, known) = (key.asked.policy(), key.asked.known(&e.health));
        let state = Check::new(&policy, known, now_ms, self.rng.next_u64());
        let id = self.checks.insert(Checked {
            key: key.clone(),
            check: state,
            policy,
            terms: key.asked.terms(entry, e),
            timeout_ms: key.asked.timeout_ms(),
            users: Vec::new(),
            due_ms: None,
            report: None,
            reason: e.health.shared.load().reason,
        });
        self.by_key.insert(key, id);
        self.plan(id);
        id
    }

    /// Removes one use of a slot; reports whether the check is gone.
    fn release(&mut self, id: usize, slot: usize) -> bool {
        let Some(c) = self.checks.get_mut(id) else {
            return false;
        };
        // Uses of the slot's present entry were added after those of the old one.
        if let Some(at) = c.users.iter().position(|(s, _)| *s == slot) {
            c.users.remove(at);
        }
        if !c.users.is_empty() {
            return false;
        }
        if let Some(due_ms) = c.due_ms {
            self.due.remove(&(due_ms, id));
        }
        let gone = self.checks.remove(id);
        self.by_key.remove(&gone.key);
        true
    }

    /// Notes when a check is due.
    fn plan(&mut self, id: usize) {
        if let Some(c) = self.checks.get_mut(id) {
            let due_ms = c.check.next_ms();
            c.due_ms = Some(due_ms);
            self.due.insert((due_ms, id));
        }
    }

    /// Returns when the next check is due.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.due.first().map(|(due_ms, _)| *due_ms)
    }

    /// Takes the check that is due longest.
    pub(super) fn take_due(&mut self, now_ms: u64) -> Option<Due> {
        let &(due_ms, id) = self.due.first().filter(|(due_ms, _)| *due_ms <= now_ms)?;
        self.due.remove(&(due_ms, id));
        let c = self.checks.get_mut(id)?;
        c.due_ms = None;
        Some(Due { id, terms: c.terms.clone(), timeout_ms: c.timeout_ms })
    }

    /// Takes in the result of a check that began at `began_ms`.
    pub(super) fn result(&mut self, id: usize, result: Result<Passed, Failure>, times: (u64, u64)) {
        let result = match result {
            Ok(Passed::Agent(report)) => return self.heard(id, Ok(report), times),
            Err(failure) if self.is_agent(id) => return self.heard(id, Err(failure), times),
            Ok(Passed::Check) => Ok(()),
            Err(failure) => Err(failure),
        };
        let (began_ms, now_ms) = times;
        let random = self.rng.next_u64();
        let Some(c) = self.checks.get_mut(id) else {
            return;
        };
        let found = result.as_ref().err().map(|f| f.found.clone());
        let word = result.map_err(|f| f.reason);
        c.reason = word.err().unwrap_or(Reason::CheckPassed);
        let event = c.check.result(word, &c.policy, began_ms, random);
        let users = c.users.clone();
        for (slot, at) in &users {
            let Some(w) = self.upstreams.get(slot) else { continue };
            let Some(e) = w.entry.endpoints.get(*at) else { continue };
            e.health.checked(found.as_deref());
            if let Some(event) = event {
                apply(&self.shared, &w.entry, *at, event, now_ms);
            }
        }
        if event.is_some() {
            users.iter().for_each(|(slot, _)| self.turn_panic(*slot, now_ms));
        }
        self.plan(id);
    }

    fn is_agent(&self, id: usize) -> bool {
        self.checks.get(id).is_some_and(|c| matches!(c.key.asked, Asked::Agent(_)))
    }

    /// Takes in what an agent answered, or why it did not.
    fn heard(&mut self, id: usize, answer: Result<Report, Failure>, times: (u64, u64)) {
        let (began_ms, now_ms) = times;
        let random = self.rng.next_u64();
        let Some(c) = self.checks.get_mut(id) else {
            return;
        };
        // An agent that does not answer is asked as often as one that does.
        let _ = c.check.result(Ok(()), &c.policy, began_ms, random);
        for (slot, at) in &c.users {
            if let Some(w) = self.upstreams.get(slot) {
                hear(&self.shared, &w.entry, *at, &answer, now_ms);
            }
        }
        c.report = answer.ok().or(c.report.take());
        let users: Vec<usize> = c.users.iter().map(|(slot, _)| *slot).collect();
        users.into_iter().for_each(|slot| self.turn_panic(slot, now_ms));
        self.plan(id);
    }

    /// Looks again at every upstream where time alone changes something: an ejection or a panic
    /// ends, a breaker half opens, an endpoint starts slowly.
    pub(super) fn turn(&mut self, now_ms: u64) {
        let mut slots = Vec::new();
        for (slot, w) in self.upstreams.iter().filter(|(_, w)| w.changes_by_time()) {
            w.turn_ejections(&self.shared, now_ms, &mut self.rng);
            w.entry.sweep(&self.shared, now_ms);
            w.entry.turn_breakers(&self.shared, now_ms);
            w.entry.turn_slow_start(now_ms);
            w.entry.reweigh();
            slots.push(*slot);
        }
        slots.into_iter().for_each(|slot| self.turn_panic(slot, now_ms));
    }

    /// Reports whether time alone may change something.
    pub(super) fn changes_by_time(&self) -> bool {
        self.upstreams.values().any(Watched::changes_by_time)
    }

    fn turn_panic(&mut self, slot: usize, now_ms: u64) {
        let Some(w) = self.upstreams.get_mut(&slot) else {
            return;
        };
        let policy = PanicPolicy {
            below_percent: w.entry.plan.health.panic_threshold,
            ..PanicPolicy::default()
        };
        let census = w.entry.standings().judged();
        let turned = w.panic.turn(census, &policy, now_ms);
        if w.entry.health.panic.swap(w.panic.is_on(), Relaxed) != w.panic.is_on() {
            w.entry.health.epoch.advance();
        }
        let Some(on) = turned else { return };
        let (usable, judged, below) = (census.usable, census.judged(), policy.below_percent);
        let name = &w.entry.name;
        let (level, message) = match on {
            true => (
                EventLevel::Warn,
                format!(
                    "upstream {name} is in panic: {usable} of {judged} endpoints are usable, the \
                     threshold is {below} %; requests go to endpoints that look bad, too"
                ),
            ),
            false => (EventLevel::Info, format!("upstream {name} is no longer in panic")),
        };
        let object = Some((Kind::Upstream, name.to_string()));
        self.shared.object_event(level, "upstream.panic", object, message);
    }
}

impl Watched {
    fn changes_by_time(&self) -> bool {
        let health = &self.entry.plan.health;
        let judged = health.outliers.is_some() || health.breaker.is_some();
        // An order may end at any time, and its endpoint then starts slowly.
        let weighed = health.agent.is_some();
        self.panic.is_on() || judged || weighed || health.slow_start_ms > 0
    }

    /// Ends ejections whose time is over, and probes without a result.
    fn turn_ejections(&self, shared: &Shared, now_ms: u64, rng: &mut WyRand) {
        let Some(plan) = &self.entry.plan.health.outliers else {
            return;
        };
        let policy = ejections(plan);
        for (at, e) in self.entry.endpoints.iter().enumerate() {
            let state = e.health.shared.load();
            let event = lock(&e.health.ejection).turn(state, &policy, now_ms, rng.next_u64());
            if let Some(event) = event {
                self.entry.change(shared, at, event, now_ms);
            }
        }
    }
}

impl Checked {
    /// Brings a new endpoint to what is known already.
    fn tell_known(&self, shared: &Shared, entry: &UpstreamEntry, at: usize, now_ms: u64) {
        let heard = |e: &EndpointEntry| e.health.agent.has_spoken();
        if let Some(report) = &self.report {
            if !entry.endpoints.get(at).is_some_and(heard) {
                hear(shared, entry, at, &Ok(report.clone()), now_ms);
            }
        } else if let Some(event) = self.verdict() {
            apply(shared, entry, at, event, now_ms);
        }
    }

    /// Returns the event that brings a new endpoint to what the check has concluded already.
    fn verdict(&self) -> Option<Event> {
        if matches!(self.key.asked, Asked::Agent(_)) {
            return None;
        }
        Some(match self.check.is_up()? {
            true => Event::CheckPassed,
            false => Event::CheckFailed(self.reason),
        })
    }
}

/// Applies an event to an endpoint, and tells the workers and whoever reads events.
fn apply(shared: &Shared, entry: &UpstreamEntry, at: usize, event: Event, now_ms: u64) {
    let Some(e) = entry.endpoints.get(at) else { return };
    let start = entry.start_weight(at);
    let Some(change) = e.health.shared.apply(event, now_ms, start) else {
        return;
    };
    e.health.streaks.reset();
    entry.health.epoch.advance();
    let takes = entry.takes(at) == Takes::Yes;
    let level =
        if change.after.active == Active::Down { EventLevel::Warn } else { EventLevel::Info };
    let verb = if change.after.active == Active::Down { "is down" } else { "is up" };
    let found = match e.health.found() {
        text if text.is_empty() => String::new(),
        text => format!(" ({text})"),
    };
    let still = match (takes, change.after.active) {
        (true, Active::Down) => "; it takes traffic all the same",
        (false, Active::Up) => "; it takes no traffic all the same",
        _ => "",
    };
    let (why, address, name) = (change.after.reason.text(), &e.pool.address, &entry.name);
    let message = format!("endpoint {address} of upstream {name} {verb}: {why}{found}{still}");
    let object = Some((Kind::Upstream, name.to_string()));
    shared.object_event(level, "endpoint.health", object, message);
}

/// Forgets what checks and requests said of an upstream whose config does not ask any more.
fn settle(entry: &UpstreamEntry, now_ms: u64) {
    let checked = entry.plan.health.check.is_some();
    let ejects = entry.plan.health.outliers.is_some();
    let mut moved = !checked && !ejects && entry.health.panic.swap(false, Relaxed);
    for e in &entry.endpoints {
        let apply = |event| e.health.shared.apply(event, now_ms, FULL_WEIGHT).is_some();
        moved |= !checked && apply(Event::ChecksOff);
        moved |= !ejects && apply(Event::OutliersOff);
        if entry.plan.health.agent.is_none() {
            e.health.agent.forget();
            moved |= apply(Event::Agent(Agent::Ready));
        }
    }
    moved |= entry.settle_breakers(now_ms);
    entry.turn_slow_start(now_ms);
    if moved {
        entry.health.epoch.advance();
    }
}

#[cfg(test)]
mod tests;
