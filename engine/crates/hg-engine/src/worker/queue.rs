//! Requests that wait for a place at an upstream whose limits are reached.

use super::Worker;
use super::accept::deadline_after;
use super::answer::own;
use super::exchange::{ExId, Exchange, Stage};
use super::upstreams::Upstreams;

impl Upstreams {
    /// Notes that requests wait at a slot.
    fn wait_at(&mut self, slot: usize) {
        if !self.waiting.contains(&slot) {
            self.waiting.push(slot);
        }
    }
}

impl Worker {
    /// Lets a request wait for a place, or refuses it if too many wait.
    pub(super) fn queue_up(&mut self, x: ExId) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        let Some(u) = self.upstreams.same(e.upstream, e.upstream_id) else {
            return;
        };
        let plan = &u.entry.plan;
        if u.queue_len() >= u64::from(plan.queue) {
            u.counters.queue_full.add(1);
            return self.refuse(x, &own::QUEUE_FULL);
        }
        u.waiting.push_back(x);
        u.counters.queued.add(1);
        u.counters.waiting.set(u.waiting.len() as u64);
        e.stage = Stage::Queued;
        e.queued_us = self.now_us;
        e.due.connect = deadline_after(self.now_us, plan.queue_timeout_ms);
        self.upstreams.wait_at(e.upstream);
        self.progress(x);
    }

    /// Takes a request that waits for no place any more from the queue of its upstream: those that
    /// come may wait in its stead.
    pub(super) fn leave_waiting(&mut self, x: ExId) {
        let Some(e) = self.exchanges.get(x).filter(|e| e.stage == Stage::Queued) else {
            return;
        };
        let Some(u) = self.upstreams.same(e.upstream, e.upstream_id) else {
            return;
        };
        if let Some(at) = u.waiting.iter().position(|y| *y == x) {
            u.waiting.remove(at);
            u.counters.waiting.set(u.waiting.len() as u64);
        }
    }

    /// Gives places that became free to the requests that have waited longest; none has two turns.
    pub(super) fn serve_waiting(&mut self) {
        for slot in std::mem::take(&mut self.upstreams.waiting) {
            let waiting = self.upstreams.get_mut(slot).map_or(0, |u| u.waiting.len());
            for _ in 0..waiting {
                if !self.serve_next(slot) {
                    break;
                }
            }
            if self.upstreams.get_mut(slot).is_some_and(|u| !u.waiting.is_empty()) {
                self.upstreams.wait_at(slot);
            }
        }
    }

    /// Serves the first request that waits at an upstream. Returns false if none can be served now.
    fn serve_next(&mut self, slot: usize) -> bool {
        let Some(u) = self.upstreams.get_mut(slot) else {
            return false;
        };
        let Some(&x) = u.waiting.front() else {
            return false;
        };
        let queued = |e: &&Exchange| e.stage == Stage::Queued && !e.answered;
        let Some(e) = self.exchanges.get(x).filter(queued) else {
            u.waiting.pop_front();
            u.counters.waiting.set(u.waiting.len() as u64);
            return true;
        };
        u.has_room(e.wanted, &self.shared, self.now_us) && self.give_place(slot, x)
    }

    /// Sends the request that waits first. Where another worker took the place meanwhile, it waits on
    /// as before, and the result is false.
    pub(super) fn give_place(&mut self, slot: usize, x: ExId) -> bool {
        let (Some(u), Some(e)) = (self.upstreams.get_mut(slot), self.exchanges.get_mut(x)) else {
            return false;
        };
        u.waiting.pop_front();
        let counters = u.counters.clone();
        counters.waiting.set(u.waiting.len() as u64);
        let (since_us, until) = (e.queued_us, e.due.connect);
        let connect_ms = e.entry().map_or(0, |u| u.plan.connect_timeout_ms);
        e.stage = Stage::Connecting;
        e.due.connect = deadline_after(self.now_us, connect_ms);
        if self.dispatch_now(x) {
            counters.queue_wait_us.add(self.now_us.saturating_sub(since_us));
            return true;
        }
        if let Some(e) = self.exchanges.get_mut(x) {
            (e.stage, e.due.connect) = (Stage::Queued, until);
        }
        if let Some(u) = self.upstreams.get_mut(slot) {
            u.waiting.push_front(x);
            counters.waiting.set(u.waiting.len() as u64);
        }
        false
    }
}
