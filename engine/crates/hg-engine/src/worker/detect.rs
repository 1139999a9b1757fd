//! Connections of HTTP listeners that TCP routes may take: what their first bytes are, and the way
//! from a client to a session.

use super::Worker;
use super::accept::deadline_after;
use super::client::{Client, Phase};
use super::exchange::Held;
use super::tcp::{Early, Origin};
use crate::counters::{Detection, Timeout};
use crate::snapshot::{ListenerEntry, Snapshot};
use hg_net::Ticks;
use hg_relay::detect::{Detected, detect};
use hg_route::tcp::Arriving;
use hg_tls::{ClientHelloInfo, HelloReader};

impl ListenerEntry {
    /// Returns how HTTP begins, and how many milliseconds that may take.
    fn http_phase(&self) -> (Phase, u64) {
        match self.plan.tls {
            Some(_) => (Phase::Hello(HelloReader::default()), self.plan.handshake_timeout_ms),
            None => (Phase::Idle, self.plan.head_timeout_ms),
        }
    }
}

impl Worker {
    /// Returns how a client of a listener begins, and until when that must have come.
    pub(super) fn client_phase(
        &self,
        held: &Snapshot,
        (slot, entry): (u16, &ListenerEntry),
    ) -> (Phase, Ticks) {
        let (phase, ms) = entry.http_phase();
        match (held.tcp.has_routes(slot), held.tcp.takes_plain(slot)) {
            (false, _) => (phase, deadline_after(self.now_us, ms)),
            // Nobody takes a silent client: it has the time that it has anywhere.
            (true, false) => (Phase::Detect, deadline_after(self.now_us, ms)),
            (true, true) => {
                (Phase::Detect, deadline_after(self.now_us, entry.plan.detect_timeout_ms))
            }
        }
    }

    /// Returns the snapshot that knows the listener of a client.
    pub(super) fn client_snapshot(&self, c: &Client) -> Held {
        c.pinned.as_ref().unwrap_or(&self.held).clone()
    }

    /// Looks at what came so far.
    pub(super) fn on_first_bytes(&mut self, ci: usize) {
        let Some(c) = self.clients.get(ci) else {
            return;
        };
        let ends_tls = self.listener(ci).is_some_and(|entry| entry.tls.is_some());
        match detect(&c.input) {
            Detected::NeedMore => {}
            Detected::Http1 => self.begin_http(ci, Detection::Http1),
            Detected::Http2 => self.begin_http(ci, Detection::Http2),
            // The hello says more: `on_hello` looks at it.
            Detected::Tls if ends_tls => self.begin_http(ci, Detection::Tls),
            Detected::Tls => {
                self.counters.tcp.detected.add(Detection::Tls);
                self.give_to_tcp(ci, true);
            }
            Detected::Other => {
                self.counters.tcp.detected.add(Detection::Other);
                self.give_to_tcp(ci, false);
            }
        }
    }

    /// Serves a client as one of HTTP.
    fn begin_http(&mut self, ci: usize, what: Detection) {
        self.counters.tcp.detected.add(what);
        let Some((phase, ms)) = self.listener(ci).map(ListenerEntry::http_phase) else {
            return self.close_client(ci);
        };
        let deadline = deadline_after(self.now_us, ms);
        let Some(c) = self.clients.get_mut(ci) else {
            return;
        };
        (c.phase, c.deadline) = (phase, deadline);
        self.arm_client(ci);
        match phase {
            Phase::Hello(_) => self.on_hello(ci),
            _ => self.proceed(ci),
        }
    }

    /// Reports whether a TCP route by name or protocol takes the client of this hello.
    pub(super) fn is_of_tcp(&self, ci: usize, info: &ClientHelloInfo) -> bool {
        let Some(c) = self.clients.get(ci) else {
            return false;
        };
        let held = c.pinned.as_ref().unwrap_or(&self.held);
        if !held.tcp.has_routes(c.listener) {
            return false;
        }
        let client = c.peer.ip();
        let arriving = Arriving { client, sni: info.sni.as_deref(), alpn: &info.alpn };
        held.tcp.takes_hello(c.listener, arriving)
    }

    /// Makes a session of a client: from here on it is one of a TCP listener.
    pub(super) fn give_to_tcp(&mut self, ci: usize, begins_with_hello: bool) {
        let Some(name) = self.listener(ci).map(|entry| entry.name.clone()) else {
            return self.close_client(ci);
        };
        let Some(c) = self.clients.try_remove(ci) else {
            return;
        };
        let Client { conn, peer, listener, counters, seat, input, pinned, .. } = c;
        // Events of the connection are those of the session from now on.
        let _ = self.poller.remove(&conn.fd);
        self.counters.connections.sub(1);
        counters.connections.sub(1);
        let origin = Origin { peer, listener, listener_name: name, counters, seat };
        self.adopt_session(conn, origin, Early::read(input, pinned), begins_with_hello);
    }

    /// Takes the end of what a client sent before it was known what it speaks.
    pub(super) fn end_detection(&mut self, ci: usize) {
        let Some(c) = self.clients.get(ci) else {
            return;
        };
        if !self.client_snapshot(c).tcp.takes_plain(c.listener) {
            return self.close_client(ci);
        }
        self.counters.tcp.detected.add(Detection::Other);
        // The relay reads the end again.
        self.give_to_tcp(ci, false);
    }

    /// Gives a client that has not said what it speaks to a TCP route, if one takes it: in many
    /// protocols the server speaks first.
    pub(super) fn expire_detection(&mut self, ci: usize) {
        let Some(c) = self.clients.get(ci) else {
            return;
        };
        if self.client_snapshot(c).tcp.takes_plain(c.listener) {
            self.counters.tcp.detected.add(Detection::Silent);
            return self.give_to_tcp(ci, false);
        }
        let ends_tls = self.listener(ci).is_some_and(|entry| entry.tls.is_some());
        self.counters.timeout(if ends_tls { Timeout::Handshake } else { Timeout::Head });
        self.close_client(ci);
    }
}
