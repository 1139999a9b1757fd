//! Sessions that wait for a place at an upstream whose limit on connections is reached.

use super::super::Worker;
use super::super::accept::deadline_after;
use super::super::affinity::Wanted;
use super::super::upstreams::UpstreamState;
use super::dial::dialing;
use super::session::{Phase, Session, SessionId};
use crate::counters::Close;

impl UpstreamState {
    /// Returns how many requests and TCP connections wait for a place.
    pub(crate) fn queue_len(&self) -> u64 {
        self.waiting.len() as u64 + self.counters.sessions_waiting.get()
    }
}

impl Worker {
    /// Lets a session wait for a place, or ends it if too many wait. One that comes from the queue
    /// waits on as before.
    pub(super) fn queue_session(&mut self, id: SessionId) {
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        let (slot, upstream) = s.target.upstream;
        let Some(u) = self.upstreams.same(slot, upstream) else {
            return self.close_session(id, Close::NoUpstream);
        };
        let waited_until = dialing(s).and_then(|dial| dial.waited_until);
        let plan = &u.entry.plan;
        if waited_until.is_none() {
            if u.queue_len() >= u64::from(plan.queue) {
                u.counters.queue_full.add(1);
                return self.close_session(id, Close::QueueFull);
            }
            u.counters.queued.add(1);
            s.target.times.began_us = self.now_us;
        }
        let until =
            waited_until.unwrap_or_else(|| deadline_after(self.now_us, plan.queue_timeout_ms));
        s.phase = Phase::Queued { until, at: u.counters.clone() };
        u.counters.sessions_waiting.add(1);
        self.tcp.waiting.push_back(id);
        self.arm_session(id);
    }

    /// Gives places that became free to the sessions that have waited longest. Each has its turn, so
    /// those that wait on keep their order.
    pub(in super::super) fn serve_waiting_sessions(&mut self) {
        for _ in 0..self.tcp.waiting.len() {
            let Some(id) = self.tcp.waiting.pop_front() else {
                return;
            };
            let Some(s) = self.tcp.get_mut(id) else {
                continue;
            };
            if !matches!(s.phase, Phase::Queued { .. }) {
                continue;
            }
            let (slot, upstream) = s.target.upstream;
            let Some(u) = self.upstreams.same(slot, upstream) else {
                self.close_session(id, Close::NoUpstream);
                continue;
            };
            if u.has_room(Wanted::default(), &self.shared, self.now_us) {
                self.serve_session(id);
            } else {
                self.tcp.waiting.push_back(id);
            }
        }
    }

    /// Lets a session connect that waited; it waits on if another worker took the place meanwhile.
    pub(super) fn serve_session(&mut self, id: SessionId) {
        let Some((Phase::Queued { at, .. }, times)) =
            self.tcp.get_mut(id).map(|s| (&s.phase, s.target.times))
        else {
            return;
        };
        let counters = at.clone();
        self.leave_queue(id);
        self.begin_dial(id);
        let waits = |s: &Session| matches!(s.phase, Phase::Queued { .. });
        if !self.tcp.get(id).is_some_and(waits) {
            counters.queue_wait_us.add(self.now_us.saturating_sub(times.began_us));
        }
    }

    /// Counts a session as no longer waiting, at an upstream that may have left the plan.
    pub(super) fn leave_queue(&mut self, id: SessionId) {
        if let Some(Phase::Queued { at, .. }) = self.tcp.get_mut(id).map(|s| &s.phase) {
            at.sessions_waiting.sub(1);
        }
    }
}
