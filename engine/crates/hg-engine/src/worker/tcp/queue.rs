//! Sessions that wait for a place at an upstream whose limit on connections is reached.

use super::super::Worker;
use super::super::accept::deadline_after;
use super::super::upstreams::UpstreamState;
use super::session::{Phase, SessionId};
use crate::counters::Close;

impl UpstreamState {
    /// Returns how many requests and TCP connections wait for a place.
    pub(crate) fn queue_len(&self) -> u64 {
        self.waiting.len() as u64 + self.counters.sessions_waiting.get()
    }
}

impl Worker {
    /// Lets a session wait for a place, or ends it if too many wait.
    pub(super) fn queue_session(&mut self, id: SessionId) {
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        let (slot, upstream) = s.target.upstream;
        let Some(u) = self.upstreams.same(slot, upstream) else {
            return self.close_session(id, Close::NoUpstream);
        };
        let plan = &u.entry.plan;
        if u.queue_len() >= u64::from(plan.queue) {
            u.counters.queue_full.add(1);
            return self.close_session(id, Close::QueueFull);
        }
        let until = deadline_after(self.now_us, plan.queue_timeout_ms);
        s.phase = Phase::Queued { until, at: u.counters.clone() };
        s.target.times.began_us = self.now_us;
        u.counters.sessions_waiting.add(1);
        u.counters.queued.add(1);
        self.tcp.waiting.push_back(id);
        self.arm_session(id);
    }

    /// Gives places that became free to the sessions that have waited longest.
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
            let began_us = s.target.times.began_us;
            let Some(u) = self.upstreams.same(slot, upstream) else {
                self.close_session(id, Close::NoUpstream);
                continue;
            };
            if u.has_room(&self.shared, self.now_us) {
                u.counters.queue_wait_us.add(self.now_us.saturating_sub(began_us));
                self.leave_queue(id);
                self.begin_dial(id);
            } else {
                self.tcp.waiting.push_back(id);
            }
        }
    }

    /// Counts a session as no longer waiting, at an upstream that may have left the plan.
    pub(super) fn leave_queue(&mut self, id: SessionId) {
        if let Some(Phase::Queued { at, .. }) = self.tcp.get_mut(id).map(|s| &s.phase) {
            at.sessions_waiting.sub(1);
        }
    }
}
