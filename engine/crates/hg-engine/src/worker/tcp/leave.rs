//! Sessions at the end of the process, and those whose route has left the plan.

use super::super::Worker;
use super::super::accept::deadline_after;
use super::super::claim::release_limits;
use super::session::{Session, SessionId};
use crate::counters::Close;
use crate::report::EventLevel;
use crate::snapshot::{Snapshot, TcpEntry};
use hg_net::Ticks;

impl Worker {
    fn session_ids(&self, which: impl Fn(&Session) -> bool) -> Vec<SessionId> {
        let chosen = self.tcp.sessions.iter().filter(|(_, s)| which(s));
        chosen.map(|(index, s)| SessionId { index, generation: s.generation }).collect()
    }

    /// Gives sessions whose route or listener the next snapshot lacks the time of a drain; the
    /// others go on as they are.
    pub(in super::super) fn drain_removed_routes(&mut self, next: &Snapshot) {
        if self.tcp.is_empty() {
            return;
        }
        let is_kept = |s: &Session| {
            let has = |route: &TcpEntry| next.tcp.has(s.origin.listener, &route.name);
            s.has_listener_in(next) && s.route.as_ref().is_none_or(has)
        };
        let until = deadline_after(self.now_us, next.settings.drain.deadline_ms.max(1));
        for id in self.session_ids(|_| true) {
            let Some(s) = self.tcp.get_mut(id) else {
                continue;
            };
            if is_kept(s) {
                s.times.drained_at = Ticks::MAX;
                continue;
            }
            if s.route.is_none()
                && let Some(early) = &mut s.early
            {
                early.pin(&self.held);
            }
            if s.times.drained_at == Ticks::MAX {
                s.times.drained_at = until;
                self.arm_session(id);
            }
        }
    }

    /// Ends every session: the time to drain is over.
    pub(in super::super) fn cut_sessions(&mut self) {
        let all = self.session_ids(|_| true);
        if all.is_empty() {
            return;
        }
        let text = format!("{} TCP connections were cut at the deadline of the drain", all.len());
        self.shared.event(EventLevel::Warn, "drain.cut", text);
        for id in all {
            self.close_session(id, Close::DrainDeadline);
        }
    }

    /// After a panic, removes sessions from the limits that all workers share.
    pub(in super::super) fn forget_sessions(&mut self) {
        for (_, s) in &mut self.tcp.sessions {
            if s.origin.seat.counted {
                self.shared.forget_client(s.origin.peer.ip());
            }
            if let (Some(entry), Some(endpoint)) =
                (s.target.claim.limits.take(), &s.target.endpoint)
            {
                release_limits(&entry, &endpoint.address);
            }
        }
    }
}
