//! The places of an upstream: which endpoints are open to a request, and whether one has room for it.

use super::{NoPick, UpstreamState};
use crate::shared::Shared;
use crate::snapshot::EndpointEntry;
use crate::worker::affinity::Wanted;
use hg_policy::Tried;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

impl UpstreamState {
    /// Returns the endpoint that the client's cookie names.
    pub(super) fn named(&self, wanted: Wanted) -> Option<usize> {
        self.entry.affinity.as_ref()?.slot(wanted.token?)
    }

    /// Reports whether an endpoint that the client's cookie names takes the request: also one of
    /// weight 0, which gets no new clients.
    pub(super) fn takes_named(&self, slot: usize, tried: &Tried) -> bool {
        self.usable.get(slot).copied().unwrap_or(false) && !tried.contains(slot)
    }

    /// Looks up which endpoints are below their limits. Reports whether one is not that takes the
    /// request otherwise; its cookie names `named`.
    pub(super) fn look_for_room(&mut self, named: Option<usize>) -> Result<bool, NoPick> {
        if !is_below(&self.entry.in_use, self.entry.plan.max_connections) {
            return Err(NoPick::Full);
        }
        let mut full = false;
        let entries = self.entry.endpoints.iter().zip(&self.seen.takes);
        for (i, (usable, (e, takes))) in self.usable.iter_mut().zip(entries).enumerate() {
            let room = has_place(e);
            full |= !room && *takes && is_open(e, i, named);
            *usable = room && *takes;
        }
        Ok(full)
    }

    /// Returns why no endpoint was picked.
    pub(super) fn no_pick(&self, tried: &Tried, full: bool) -> NoPick {
        match tried.is_empty() {
            true if full => NoPick::Full,
            true if self.breaks && self.entry.broken_until_ms().is_some() => NoPick::Broken,
            _ => NoPick::None,
        }
    }

    /// Reports whether as many requests are under way as answers in time allow.
    pub(super) fn is_full(&self, shared: &Shared, now_us: u64) -> bool {
        self.learned.limit.as_ref().is_some_and(|limit| limit.is_full(shared.workers, now_us))
    }

    /// Reports whether a request that waits could have a place: whether a pick would find one.
    pub(crate) fn has_room(&mut self, wanted: Wanted, shared: &Shared, now_us: u64) -> bool {
        self.follow_health();
        if self.is_full(shared, now_us)
            || !is_below(&self.entry.in_use, self.entry.plan.max_connections)
        {
            return false;
        }
        let named = self.named(wanted);
        let mut endpoints = self.entry.endpoints.iter().zip(&self.seen.takes).enumerate();
        endpoints.any(|(i, (e, takes))| {
            let is_candidate = *takes && is_open(e, i, named) && has_place(e);
            is_candidate && self.entry.would_admit(i, now_us / 1_000)
        })
    }
}

/// Reports whether the weight of an endpoint lets a request go there, whose cookie names `named`.
fn is_open(e: &EndpointEntry, i: usize, named: Option<usize>) -> bool {
    e.weight > 0 || named == Some(i)
}

fn has_place(e: &EndpointEntry) -> bool {
    is_below(&e.in_use, e.max_connections)
}

/// Reports whether a count is below a limit; 0 is no limit.
fn is_below(count: &AtomicU32, limit: u32) -> bool {
    limit == 0 || count.load(Relaxed) < limit
}
