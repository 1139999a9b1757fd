//! TLS towards an endpoint: a handshake between the connection and the first byte of the client. One
//! that fails, or takes too long, counts as a connection that could not be made.

use super::super::Worker;
use super::super::conn::{self, Conn, Read};
use super::super::tls::kind_word;
use super::dial::dialing;
use super::halves::Side;
use super::session::SessionId;
use crate::counters::Close;
use hg_net::Event;
use hg_tls::ClientTls;
use std::sync::Arc;

/// Bytes read at once: a handshake has little more.
const HANDSHAKE_READ: usize = 16 * 1024;

impl Worker {
    /// Returns the TLS towards the endpoints of a session's upstream, if it has one.
    pub(super) fn tls_towards(&mut self, id: SessionId) -> Option<Arc<ClientTls>> {
        let (slot, upstream) = self.tcp.get(id)?.target.upstream;
        self.upstreams.same(slot, upstream)?.entry.tls.clone()
    }

    /// Begins TLS on a new connection. The endpoint is offered the protocol that the client has
    /// agreed on with us: its bytes are what passes.
    pub(super) fn begin_originating(&mut self, id: SessionId, mut up: Conn, tls: &ClientTls) {
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        let address = s.target.endpoint.as_ref().map(|e| e.address.clone()).unwrap_or_default();
        let host = crate::snapshot::host_of(&address).trim_matches(['[', ']']);
        let made = tls.session_for(host, s.client.alpn());
        let Some(dial) = dialing(s) else { return };
        dial.wait_for_endpoint();
        let why = match made {
            Ok(session) => {
                up.start_tls(conn::Session::Client(session), Vec::new());
                match up.hello(&mut self.io) {
                    Ok(()) => {
                        *dial.securing() = Some(up);
                        self.arm_session(id);
                        return self.drive_originating(id);
                    }
                    Err(e) => e.to_string(),
                }
            }
            Err(e) => e.to_string(),
        };
        self.originating_failed(id, &why);
    }

    /// Takes an event of a connection in its handshake.
    pub(super) fn on_securing_event(&mut self, id: SessionId, event: Event) {
        let dial = self.tcp.get_mut(id).and_then(dialing);
        if let Some(up) = dial.and_then(|dial| dial.securing().as_mut()) {
            up.note_event(&event);
            self.drive_originating(id);
        }
    }

    /// Continues the handshake with an endpoint.
    fn drive_originating(&mut self, id: SessionId) {
        loop {
            let dial = self.tcp.get_mut(id).and_then(dialing);
            let Some(up) = dial.and_then(|dial| dial.securing().as_mut()) else {
                return;
            };
            if up.flush(&mut self.io).is_err() {
                return self.originating_failed(id, "connection lost in the TLS handshake");
            }
            let mut buffer = self.io.take_for(up);
            let read = up.read(&mut self.io, &mut buffer, HANDSHAKE_READ);
            let first = match &read {
                Ok(Read::Data(range)) => buffer.get(range.clone()).unwrap_or_default().to_vec(),
                _ => Vec::new(),
            };
            let (is_done, more) = (up.is_established(), up.readable);
            if is_done {
                // The relay reads an end again.
                up.readable |= matches!(read, Ok(Read::End));
            }
            self.io.give_back(true, buffer);
            match read {
                Err(e) => return self.originating_failed(id, &e.to_string()),
                Ok(_) if is_done => return self.secured(id, &first),
                Ok(Read::End) => {
                    return self.originating_failed(id, "closed in the TLS handshake");
                }
                Ok(Read::Data(_)) if more => {}
                Ok(_) => return,
            }
        }
    }

    /// Begins to pass bytes on a connection whose handshake is done; the endpoint may have spoken
    /// first.
    fn secured(&mut self, id: SessionId, first: &[u8]) {
        let dial = self.tcp.get_mut(id).and_then(dialing);
        let Some(up) = dial.and_then(|dial| dial.securing().take()) else {
            return;
        };
        if let Some(session) = up.session() {
            let kind = kind_word(session.kind());
            self.counters.handshake(("upstream", session.version_word(), kind));
        }
        self.begin_relaying(id, up, first);
    }

    /// Sends the client what its endpoint has sent with the end of the handshake. Reports whether it
    /// could be sent.
    pub(super) fn send_first(&mut self, id: SessionId, first: &[u8]) -> bool {
        let Some(s) = self.tcp.get_mut(id).filter(|_| !first.is_empty()) else {
            return true;
        };
        s.halves.of(Side::Endpoint).bytes += first.len() as u64;
        self.counters.bytes_sent.add(first.len() as u64);
        s.client.send_small(&mut self.io, first).is_ok()
    }

    /// Leaves a connection whose handshake has failed for another address, or another endpoint.
    fn originating_failed(&mut self, id: SessionId, why: &str) {
        self.counters.handshake(("upstream", "", "failed"));
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        if let Some(endpoint) = &s.target.endpoint {
            endpoint.counters.connect_failures.add(1);
            endpoint.remember(why);
        }
        let Some(dial) = dialing(s) else { return };
        dial.forget_attempts(&mut self.io.pool);
        dial.failed(Close::ConnectTls);
        self.dial_next(id);
    }

    /// Counts a handshake that is given up because it took too long.
    pub(super) fn note_unsecured(&mut self, id: SessionId) {
        let dial = self.tcp.get_mut(id).and_then(dialing);
        if dial.is_some_and(|dial| dial.is_securing()) {
            self.counters.handshake(("upstream", "", "failed"));
        }
    }
}
