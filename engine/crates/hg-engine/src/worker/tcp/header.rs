//! Sessions of listeners with PROXY headers: the client is the one of the header, and is routed and
//! counted once that was read.

use super::super::Worker;
use super::super::proxy_protocol::{First, seated};
use super::session::{Phase, Session, SessionId};
use crate::counters::{Close, Refused};
use hg_relay::proxy_protocol::Addresses;
use hg_tls::ClientHelloInfo;

fn close_of(why: Refused) -> Close {
    match why {
        Refused::ProxyMissing => Close::ProxyMissing,
        Refused::ProxyMalformed => Close::ProxyMalformed,
        Refused::ProxyTooLong => Close::ProxyTooLong,
        Refused::ProxyChecksum => Close::ProxyChecksum,
        Refused::ProxyTimeout => Close::ProxyTimeout,
        Refused::ProxyIncomplete => Close::ProxyIncomplete,
        Refused::Client => Close::ClientLimit,
        _ => Close::ProxyUntrusted,
    }
}

impl Worker {
    /// Looks at what came so far.
    pub(super) fn on_session_header(&mut self, id: SessionId) {
        let Some(s) = self.tcp.get(id) else {
            return;
        };
        let Some(early) = &s.early else { return };
        let held = self.session_snapshot(s);
        let Some(terms) = held.proxy_terms(s.origin.listener) else {
            // A reload took away what made the header credible.
            return self.refuse_header(id, Refused::ProxyUntrusted);
        };
        match First::of(&early.input, terms, terms.trusts(s.origin.peer.ip())) {
            First::Refused(why) => self.refuse_header(id, why),
            First::Undecided => {}
            First::Client => self.begin_session(id, Addresses::Own),
            First::Header(len, addresses) => {
                if let Some(early) = self.tcp.get_mut(id).and_then(|s| s.early.as_mut()) {
                    early.input.drain(..len);
                }
                self.begin_session(id, addresses);
            }
        }
    }

    /// Continues with the client of a session, which is known now.
    fn begin_session(&mut self, id: SessionId, addresses: Addresses) {
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        let ends = (&mut s.client, &mut s.origin.peer, &mut s.origin.seat);
        if !seated(&self.shared, &self.held.settings, ends, addresses) {
            return self.refuse_header(id, Refused::Client);
        }
        let n = s.early.as_ref().map_or(0, |early| early.input.len());
        self.took_early(id, n as u64);
        let Some(s) = self.tcp.get(id) else { return };
        let held = self.session_snapshot(s);
        let listener = s.origin.listener;
        let ends_tls = s.early.as_ref().is_some_and(|early| early.tls.is_some());
        if !ends_tls && !held.tcp.asks_hello(listener) {
            return self.route_session(id, ClientHelloInfo::default());
        }
        let until = self.hello_until(&held, listener);
        if let Some(s) = self.tcp.get_mut(id) {
            s.phase = Phase::Hello { until };
        }
        self.arm_session(id);
        self.on_session_hello(id);
    }

    /// Takes the client's end of stream before its header was whole.
    pub(super) fn end_header(&mut self, id: SessionId) {
        let Some(s) = self.tcp.get(id) else {
            return;
        };
        if s.has_begun() {
            return self.refuse_header(id, Refused::ProxyIncomplete);
        }
        if self.must_tell(id) {
            // Checks of load balancers do so: nobody was refused.
            return self.close_session(id, Close::ProxyMissing);
        }
        if let Some(s) = self.tcp.get_mut(id) {
            // The relay reads the end again.
            s.client.readable = true;
        }
        self.begin_session(id, Addresses::Own);
    }

    /// Ends a session whose header took too long. A client that may have none, and has sent nothing,
    /// waits for the server to speak.
    pub(super) fn expire_session_header(&mut self, id: SessionId) {
        let Some(s) = self.tcp.get(id) else {
            return;
        };
        if s.has_begun() || self.must_tell(id) {
            return self.refuse_header(id, Refused::ProxyTimeout);
        }
        self.begin_session(id, Addresses::Own);
    }

    /// Reports whether no connection of the session's listener goes without a header.
    fn must_tell(&self, id: SessionId) -> bool {
        let Some(s) = self.tcp.get(id) else {
            return true;
        };
        let held = self.session_snapshot(s);
        held.proxy_terms(s.origin.listener).is_none_or(|terms| terms.is_required)
    }

    /// Counts a refusal as for HTTP, and ends the session.
    fn refuse_header(&mut self, id: SessionId, why: Refused) {
        self.counters.refuse(why);
        self.close_session(id, close_of(why));
    }
}

impl Session {
    /// Reports whether its client has sent something.
    fn has_begun(&self) -> bool {
        self.early.as_ref().is_some_and(|early| !early.input.is_empty())
    }
}
