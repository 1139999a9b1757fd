//! A worker's state of upstreams and endpoints: keyed by identity, kept over every swap.

mod places;

use super::adaptive::Adaptive;
use super::affinity::Wanted;
use super::claim::{Admission, Claim, Left};
use super::exchange::ExId;
use super::hedge::Latencies;
use super::retry::Budgets;
use super::seen::{STALE, Seen};
use super::up::{PoolRef, Pools};
use crate::counters::{EndpointCounters, UpstreamCounters, WorkerCounters, lock};
use crate::shared::Shared;
use crate::shares::Pending;
use crate::snapshot::{EndpointEntry, PoolKey, Snapshot, UpstreamEntry};
use hg_net::{Address, Ticks};
use hg_policy::{Balancer, Load, Token, Tried, WyRand};
use hg_resilience::{Budget, Shedder, Verdict};
use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Marks an endpoint that left its upstream.
pub(crate) const GONE: usize = usize::MAX;

/// One endpoint of one upstream.
pub(crate) struct EndpointState {
    pub(crate) address: Arc<str>,
    /// Its index in the upstream now, or [`GONE`].
    pub(crate) slot: Cell<usize>,
    pub(crate) pool: PoolRef,
    pub(crate) counters: Arc<EndpointCounters>,
    /// The addresses at which it can be reached; empty while its name does not resolve.
    pub(crate) targets: Arc<[Address]>,
    /// The index of the target that answered last, which is tried first.
    pub(crate) preferred: Cell<usize>,
    /// The time until which its idle connections are not trusted, because one closed as a request
    /// went out on it.
    pub(crate) distrusted_until: Cell<Ticks>,
    /// Its name in affinity cookies.
    pub(crate) token: Token,
}

impl EndpointState {
    fn new(
        upstream: &str,
        entry: &EndpointEntry,
        pools: &mut Pools,
        counters: &UpstreamCounters,
    ) -> Self {
        Self {
            token: hg_policy::token(upstream, &entry.pool.address),
            address: entry.address.clone(),
            slot: Cell::new(GONE),
            pool: pools.acquire(&entry.pool),
            counters: counters.endpoint(&entry.address),
            targets: entry.targets.clone(),
            preferred: Cell::new(0),
            distrusted_until: Cell::new(0),
        }
    }

    /// Counts a request that failed here.
    pub(crate) fn failed(&self, why: &str) {
        self.counters.failures.add(1);
        self.remember(why);
    }

    /// Keeps the last error, for status.
    pub(crate) fn remember(&self, why: &str) {
        let mut last = lock(&self.counters.last_error);
        last.clear();
        last.push_str(why);
    }
}

/// One upstream.
pub(crate) struct UpstreamState {
    /// Unique in this worker; stays the same as long as the upstream's name.
    pub(crate) id: u64,
    pub(crate) entry: Arc<UpstreamEntry>,
    pub(crate) endpoints: Vec<Rc<EndpointState>>,
    pub(crate) counters: Arc<UpstreamCounters>,
    /// Exchanges that wait for a place.
    pub(crate) waiting: VecDeque<ExId>,
    balancer: Balancer,
    active: Vec<u32>,
    usable: Vec<bool>,
    pub(super) seen: Seen,
    /// True if the endpoints have breakers.
    breaks: bool,
    limited: bool,
    learned: Learned,
}

/// The facts that a worker learns of an upstream from requests that ended.
struct Learned {
    /// The counts that the shares of outlier detection are made of.
    pending: Pending,
    /// The number of requests that there may be at a time.
    limit: Option<Adaptive>,
}

impl Learned {
    fn of(entry: &UpstreamEntry, old: Option<&UpstreamState>, active: &[u32]) -> Self {
        // Requests at endpoints that are gone count until they end.
        let known = old.and_then(|old| old.learned.limit.as_ref());
        let active = known.map_or_else(|| active.iter().sum(), Adaptive::in_flight);
        let limit = Adaptive::of(entry, active);
        Self { pending: Pending::default(), limit }
    }
}

/// The reason why no endpoint was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPick {
    /// The connection limits are reached; waiting may help.
    Full,
    /// Breakers keep requests away.
    Broken,
    /// No usable endpoint is left.
    None,
}

impl UpstreamState {
    /// Picks an endpoint for a request and counts the request there. Also returns what the request
    /// takes of limits and breakers; it comes back with [`UpstreamState::left`].
    pub(crate) fn pick(
        &mut self,
        tried: &Tried,
        wanted: Wanted,
        (now_us, rng): (u64, &mut WyRand),
        shared: &Shared,
    ) -> Result<(Rc<EndpointState>, Claim), NoPick> {
        let now_ms = now_us / 1_000;
        let of_all = self.entry.acquire(shared, None, now_ms).map_err(|_| NoPick::Broken)?;
        let picked = self.pick_endpoint(tried, wanted, (now_us, rng), shared);
        if let (Err(_), Some(permit)) = (&picked, of_all) {
            self.entry.unused(shared, 0, permit, now_ms);
        }
        let (i, mut admission) = picked?;
        let (endpoint, limits) = self.join(i).ok_or(NoPick::None)?;
        admission.permit = admission.permit.or(of_all);
        Ok((endpoint, Claim { limits, admission }))
    }

    /// Counts a request at an endpoint; also returns what is to be given back of limits.
    pub(super) fn join(
        &mut self,
        i: usize,
    ) -> Option<(Rc<EndpointState>, Option<Arc<UpstreamEntry>>)> {
        let endpoint = self.endpoints.get(i)?;
        if let Some(a) = self.active.get_mut(i) {
            *a += 1;
        }
        endpoint.counters.active.add(1);
        if let Some(limit) = &mut self.learned.limit {
            limit.begin();
        }
        if self.limited {
            self.entry.in_use.fetch_add(1, Relaxed);
            if let Some(e) = self.entry.endpoints.get(i) {
                e.in_use.fetch_add(1, Relaxed);
            }
        }
        Some((endpoint.clone(), self.limited.then(|| self.entry.clone())))
    }

    /// Picks the endpoint that takes a request, and asks its breaker.
    fn pick_endpoint(
        &mut self,
        tried: &Tried,
        wanted: Wanted,
        (now_us, rng): (u64, &mut WyRand),
        shared: &Shared,
    ) -> Result<(usize, Admission), NoPick> {
        self.follow_health();
        if self.is_full(shared, now_us) {
            return Err(NoPick::Full);
        }
        let named = self.named(wanted);
        let full = self.limited && self.look_for_room(named)?;
        let mut spared: Option<(usize, Tried)> = None;
        let mut own = named.filter(|slot| self.takes_named(*slot, tried));
        loop {
            let load = Load { active: &self.active, usable: &self.usable };
            let but = spared.as_ref().map_or(tried, |(_, but)| but);
            let picked = own.or_else(|| self.balancer.pick(&load, but, wanted.key, now_us, rng));
            let i = match (picked, spared.take()) {
                (Some(i), _) if own.take().is_some() => i,
                (Some(i), before) if self.seen.warming && self.seen.spares(i, rng) => {
                    let mut but = before.map_or(*tried, |(_, but)| but);
                    if but.insert(i) {
                        spared = Some((i, but));
                        continue;
                    }
                    i
                }
                (Some(i), _) => i,
                // No other endpoint takes the request.
                (None, Some((i, _))) => i,
                (None, None) => return Err(self.no_pick(tried, full)),
            };
            if !self.seen.probes && !self.breaks {
                return Ok((i, Admission::default()));
            }
            if let Some(admission) = self.ask(shared, i, now_us / 1_000) {
                return Ok((i, admission));
            }
            // Other requests try the endpoint; the next pick looks again.
            self.seen.epoch = STALE;
            match self.usable.get_mut(i) {
                Some(usable) => *usable = false,
                None => return Err(NoPick::None),
            }
        }
    }

    /// Asks breaker and ejections whether an endpoint takes one more request.
    fn ask(&self, shared: &Shared, i: usize, now_ms: u64) -> Option<Admission> {
        let permit = self.entry.acquire(shared, Some(i), now_ms).ok()?;
        let probes = if self.seen.probes { self.entry.admits(i, now_ms) } else { Some(false) };
        if let Some(is_probe) = probes {
            return Some(Admission { permit, is_probe });
        }
        if let Some(permit) = permit {
            self.entry.unused(shared, i, permit, now_ms);
        }
        None
    }

    /// Counts a request that [`UpstreamState::pick`] counted as gone from its endpoint.
    pub(crate) fn left(&mut self, endpoint: &EndpointState, left: &Left, shared: &Shared) {
        self.gone(endpoint, left);
        self.learn(endpoint, left, shared);
    }

    /// Does the same for what [`UpstreamState::learn`] was told of before.
    pub(crate) fn gone(&mut self, endpoint: &EndpointState, left: &Left) {
        let i = endpoint.slot.get();
        if let Some(limit) = &mut self.learned.limit {
            limit.end(left);
        }
        if let Some(a) = self.active.get_mut(i) {
            *a = a.saturating_sub(1);
            self.balancer.finished(i, left.now_us, left.sample());
        }
    }

    /// Tells outlier detection and the breaker how a request went, which may last on.
    pub(crate) fn learn(&mut self, endpoint: &EndpointState, left: &Left, shared: &Shared) {
        let i = endpoint.slot.get();
        // Of an endpoint that is gone only the breaker of all learns.
        if i < self.active.len() && self.entry.plan.health.outliers.is_some() {
            let ended = left.ended();
            if self.entry.note(shared, i, ended) {
                self.count(i, left.outcome.verdict(), ended.now_ms);
            }
        }
        self.judge(shared, i, left);
    }

    /// Counts how a request ended, and now and then tells the others.
    fn count(&mut self, i: usize, verdict: Verdict, now_ms: u64) {
        let Some(counted) = self.learned.pending.note(i, verdict, now_ms) else {
            return;
        };
        for (at, counts) in counted {
            if let Some(e) = self.entry.endpoints.get(at) {
                e.health.shares().tally.add(counts);
            }
        }
    }

    /// Returns the requests that are counted at endpoints, and those in the limit that adapts.
    pub(super) fn under_way(&self) -> [usize; 2] {
        let limited = self.learned.limit.as_ref().map_or(0, Adaptive::in_flight);
        [self.active.iter().map(|count| *count as usize).sum(), limited as usize]
    }

    /// Looks again at the health of the endpoints if it has changed: one load if it has not.
    fn follow_health(&mut self) {
        let epoch = self.entry.health.epoch.get();
        if epoch != self.seen.epoch {
            self.refresh_usable(epoch);
        }
    }

    /// Looks up which endpoints can be reached and take requests by their health. The caller has
    /// read `epoch` before, so that a change meanwhile makes the next pick look again.
    fn refresh_usable(&mut self, epoch: u64) {
        self.seen.probes = self.entry.write_takes(&mut self.seen.takes);
        self.seen.warming = self.entry.write_weights(&mut self.seen.weights);
        for (takes, e) in self.seen.takes.iter_mut().zip(&self.endpoints) {
            *takes &= !e.targets.is_empty();
        }
        self.usable.copy_from_slice(&self.seen.takes);
        if let Some((version, mut balancer)) = self.entry.weighed_since(self.seen.weighed) {
            balancer.inherit(&self.balancer, Some);
            (self.balancer, self.seen.weighed) = (balancer, version);
        }
        self.seen.epoch = epoch;
    }
}

fn entry_is_limited(entry: &UpstreamEntry) -> bool {
    entry.plan.max_connections > 0 || entry.endpoints.iter().any(|e| e.max_connections > 0)
}

/// Every upstream of a worker, by slot.
#[derive(Default)]
pub(crate) struct Upstreams {
    slots: Vec<Option<UpstreamState>>,
    budgets: Budgets,
    /// The times that answers of routes that hedge take.
    pub(crate) latencies: Latencies,
    /// Exchanges with two tries under way.
    pub(crate) hedged: usize,
    last_id: u64,
    /// The worker's knowledge of its load.
    pub(crate) shedder: Shedder,
    /// Slots where clients wait.
    pub(crate) waiting: Vec<usize>,
}

impl Upstreams {
    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut UpstreamState> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// Returns the upstream, if its id is still the same.
    pub(crate) fn same(&mut self, slot: usize, id: u64) -> Option<&mut UpstreamState> {
        self.get_mut(slot).filter(|u| u.id == id)
    }

    /// Returns all upstreams.
    pub(super) fn iter(&self) -> impl Iterator<Item = &UpstreamState> {
        self.slots.iter().flatten()
    }

    /// Returns how many requests wait for a place.
    pub(crate) fn queued(&self) -> u64 {
        let waiting = |slot: &usize| Some(self.slots.get(*slot)?.as_ref()?.waiting.len() as u64);
        self.waiting.iter().filter_map(waiting).sum()
    }

    /// Returns the retry budget of an upstream.
    pub(crate) fn budget(&mut self, slot: usize, id: u64) -> Option<&mut Budget> {
        self.budgets.of(slot, id)
    }

    /// Takes over the changed slots of a new snapshot. Returns idle connections (slab indices) of
    /// pools that nothing uses any more.
    pub(crate) fn swap(
        &mut self,
        snapshot: &Snapshot,
        changed: &[usize],
        pools: &mut Pools,
        counters: &WorkerCounters,
    ) -> Vec<usize> {
        self.slots.resize_with(snapshot.upstreams.len().max(self.slots.len()), || None);
        let mut orphans = Vec::new();
        for &slot in changed {
            let entry = snapshot.upstreams.get(slot).and_then(Option::as_ref);
            let old = self.slots.get_mut(slot).and_then(Option::take);
            let new = entry.map(|entry| self.build(entry, old.as_ref(), pools, counters));
            if let Some(old) = old {
                let kept = new.as_ref().is_some_and(|n| n.id == old.id);
                for (e, state) in old.entry.endpoints.iter().zip(&old.endpoints) {
                    let stays = kept
                        && new
                            .as_ref()
                            .is_some_and(|n| n.endpoints.iter().any(|x| Rc::ptr_eq(x, state)));
                    if !stays {
                        state.slot.set(GONE);
                        orphans.extend(pools.release(&e.pool));
                    }
                }
            }
            if let Some(s) = self.slots.get_mut(slot) {
                *s = new;
            }
        }
        orphans
    }

    fn build(
        &mut self,
        entry: &Arc<UpstreamEntry>,
        old: Option<&UpstreamState>,
        pools: &mut Pools,
        counters: &WorkerCounters,
    ) -> UpstreamState {
        let old = old.filter(|o| o.entry.name == entry.name);
        let counters = counters.upstream(&entry.name);
        let kept = old.map_or_else(Vec::new, |o| kept(entry, o));
        let before = |i: usize| kept.get(i).copied().flatten();
        let endpoints: Vec<Rc<EndpointState>> = entry
            .endpoints
            .iter()
            .enumerate()
            .map(|(i, e)| {
                let state = before(i).and_then(|at| old?.endpoints.get(at)).cloned();
                let state = state.unwrap_or_else(|| {
                    Rc::new(EndpointState::new(&entry.name, e, pools, &counters))
                });
                state.slot.set(i);
                state
            })
            .collect();
        let active = |i| before(i).and_then(|at| old?.active.get(at)).copied().unwrap_or(0);
        let mut balancer = entry.balancer.clone();
        if let Some(old) = old {
            balancer.inherit(&old.balancer, before);
        }
        let active: Vec<u32> = (0..endpoints.len()).map(active).collect();
        let learned = Learned::of(entry, old, &active);
        let mut state = UpstreamState {
            id: old.map_or(self.last_id + 1, |o| o.id),
            entry: entry.clone(),
            active,
            usable: vec![true; endpoints.len()],
            seen: Seen::new(endpoints.len()),
            breaks: entry.has_breaker(Some(0)),
            endpoints,
            counters,
            waiting: old.map(|o| o.waiting.clone()).unwrap_or_default(),
            balancer,
            limited: entry_is_limited(entry),
            learned,
        };
        self.last_id = self.last_id.max(state.id);
        state.refresh_usable(state.entry.health.epoch.get());
        state
    }
}

/// Returns for each endpoint of an entry the index of its state in `old`. Endpoints that are
/// written twice keep a state each.
fn kept(entry: &UpstreamEntry, old: &UpstreamState) -> Vec<Option<usize>> {
    let mut places: HashMap<&PoolKey, VecDeque<usize>> = HashMap::new();
    for (at, e) in old.entry.endpoints.iter().enumerate() {
        places.entry(&e.pool).or_default().push_back(at);
    }
    let mut next = |e: &EndpointEntry| places.get_mut(&e.pool)?.pop_front();
    entry.endpoints.iter().map(&mut next).collect()
}
