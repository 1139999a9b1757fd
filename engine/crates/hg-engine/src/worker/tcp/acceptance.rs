//! The acceptance of a connection by an endpoint, which decides what health and breakers learn of
//! it. In TLS 1.3 our handshake is over before the endpoint has looked at our certificate: what it
//! says of that comes instead of its first bytes.

use super::super::Worker;
use super::super::claim::Left;
use super::session::{Phase, SessionId};
use hg_net::Ticks;
use hg_resilience::Outcome;

/// The known state of the acceptance by the endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Acceptance {
    /// There is no connection.
    #[default]
    Unknown,
    /// There is one, which the endpoint may refuse until then.
    Open(Ticks),
    /// Health and breakers were told.
    Told,
}

impl Acceptance {
    /// Returns when silence counts as consent.
    pub(crate) fn due(self) -> Ticks {
        match self {
            Acceptance::Open(until) => until,
            Acceptance::Unknown | Acceptance::Told => Ticks::MAX,
        }
    }
}

impl Worker {
    /// Counts a connection to an endpoint; nothing more than that it accepts is learnt of it, over
    /// TLS 1.3 once it has said something, or has kept silent for the rest of the time to connect.
    pub(super) fn note_connected(&mut self, id: SessionId, until: Ticks) {
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        let Phase::Relaying(up) = &s.phase else { return };
        let is_open = up.session().is_some_and(|session| session.version_word() == "1.3");
        s.target.acceptance = Acceptance::Open(until);
        if let Some(endpoint) = &s.target.endpoint {
            endpoint.counters.requests.add(1);
        }
        if !is_open {
            self.note_accepted(id);
        }
        self.arm_session(id);
    }

    /// Tells health and breakers that an endpoint takes connections.
    pub(super) fn note_accepted(&mut self, id: SessionId) {
        self.tell_acceptance(id, Outcome::Ok);
    }

    /// Notes that an endpoint has ended a connection in whose handshake it has said nothing against
    /// it: without a byte of its own it has refused us.
    pub(super) fn note_refused(&mut self, id: SessionId, why: &str) {
        let found = self.tcp.get_mut(id);
        let Some(s) = found.filter(|s| s.target.acceptance.due() != Ticks::MAX) else {
            return;
        };
        if s.halves.bytes().1 > 0 {
            return self.note_accepted(id);
        }
        if let Some(endpoint) = &s.target.endpoint {
            endpoint.counters.connect_failures.add(1);
            endpoint.failed(why);
        }
        self.tell_acceptance(id, Outcome::Connect);
    }

    fn tell_acceptance(&mut self, id: SessionId, outcome: Outcome) {
        let now_us = self.now_us;
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        let target = &mut s.target;
        target.acceptance = Acceptance::Told;
        let admission = std::mem::take(&mut target.claim.admission);
        let left = Left { outcome, admission, times: target.times, now_us };
        let (slot, upstream) = target.upstream;
        if let (Some(endpoint), Some(u)) = (&target.endpoint, self.upstreams.same(slot, upstream)) {
            u.learn(endpoint, &left, &self.shared);
        }
    }
}
