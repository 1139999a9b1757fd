//! Sessions that begin with a ClientHello: where routes ask for names it is read, never changed, and
//! handed to the endpoint; where the listener ends TLS a handshake follows, unless the route for the
//! name has TLS passed through.

use super::super::Worker;
use super::session::{SessionId, Target};
use crate::counters::Close;
use crate::snapshot::{Snapshot, TcpEntry};
use hg_net::Ticks;
use hg_route::tcp::Arriving;
use hg_tls::{ClientHelloInfo, HelloError, Parse};

fn reason(error: HelloError) -> Close {
    match error {
        HelloError::NotTls => Close::NotTls,
        HelloError::Malformed => Close::BadHello,
        HelloError::TooLong => Close::HelloTooLong,
    }
}

impl Worker {
    /// Looks at what came so far.
    pub(super) fn on_session_hello(&mut self, id: SessionId) {
        let Some(s) = self.tcp.get(id) else {
            return;
        };
        let now = self.session_snapshot(s).tls_of(s.origin.listener).cloned();
        let Some(early) = self.tcp.get_mut(id).and_then(|s| s.early.as_mut()) else {
            return;
        };
        if let (Some(tls), Some(now)) = (&mut early.tls, now) {
            // The plan may be newer than the connection.
            *tls = now;
        }
        let hello = early.hello.read(&early.input);
        match (hello, early.tls.clone()) {
            (Ok(Parse::Partial), _) => {}
            (Ok(Parse::Complete(info)), None) => self.route_session(id, info),
            (Ok(Parse::Complete(info)), Some(_)) if self.is_passed(id, &info) => {
                self.pass_hello(id, info);
            }
            (Ok(Parse::Complete(info)), Some(selector)) => {
                self.begin_handshake(id, &selector, info.sni);
            }
            (Err(error), None) => self.close_session(id, reason(error)),
            (Err(error), Some(_)) => {
                let mut alert = Vec::new();
                error.write_alert(&mut alert);
                self.refuse_handshake(id, &alert, reason(error));
            }
        }
    }

    /// Reports whether the route for a hello has its TLS passed through, where the listener ends TLS.
    fn is_passed(&self, id: SessionId, info: &ClientHelloInfo) -> bool {
        let Some(s) = self.tcp.get(id) else {
            return false;
        };
        let client = s.origin.peer.ip();
        let arriving = Arriving { client, sni: info.sni.as_deref(), alpn: &info.alpn };
        self.session_snapshot(s).tcp.passes_tls(s.origin.listener, arriving)
    }

    /// Routes a session whose TLS does not end here, although the listener has some.
    fn pass_hello(&mut self, id: SessionId, info: ClientHelloInfo) {
        let Some(early) = self.tcp.get_mut(id).and_then(|s| s.early.as_mut()) else {
            return;
        };
        early.tls = None;
        // What came so far was for us until now.
        let n = early.input.len();
        self.took_early(id, n as u64);
        self.route_session(id, info);
    }

    /// Finds the route of a session by its hello, if it has one, or by its handshake, and begins to connect to an
    /// endpoint.
    pub(super) fn route_session(&mut self, id: SessionId, info: ClientHelloInfo) {
        let Some(s) = self.tcp.get(id) else {
            return;
        };
        let client = s.origin.peer.ip();
        let arriving = Arriving { client, sni: info.sni.as_deref(), alpn: &info.alpn };
        let held = self.session_snapshot(s);
        let route = held.tcp.find(s.origin.listener, arriving, s.client.is_tls()).cloned();
        if let Some(early) = self.tcp.get_mut(id).and_then(|s| s.early.as_mut()) {
            early.sni = info.sni;
            early.pinned = None;
        }
        match route {
            Some(route) => self.take_route(id, route),
            None => self.close_session(id, Close::NoRoute),
        }
    }

    fn take_route(&mut self, id: SessionId, route: TcpEntry) {
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        s.target = Target::of(&route, s.origin.peer.ip(), &mut self.rng);
        s.times.lives(&route);
        s.route = Some(route);
        self.begin_dial(id);
    }

    /// Returns until when a hello must have come.
    pub(super) fn hello_until(&self, held: &Snapshot, listener: u16) -> Ticks {
        let entry = held.listeners.get(usize::from(listener)).and_then(Option::as_ref);
        let ms = entry.map_or(0, |entry| entry.plan.handshake_timeout_ms);
        super::super::accept::deadline_after(self.now_us, ms)
    }
}
