//! TLS on a worker: a client's hello, and the handshake with an endpoint.

use super::Worker;
use super::answer::own;
use super::client::{Client, Phase};
use super::conn::{Read, Session, sends_alert};
use super::exchange::ExId;
use super::up::UpPhase;
use hg_proto::Reject;
use hg_tls::{HandshakeKind, Parse, ServerSession, TlsError, TlsErrorKind};

/// Bytes read at once for a hello.
const HELLO_READ: usize = 16 * 1024;

impl Worker {
    /// Reads what comes before the first request: a PROXY header, what tells the protocol where TCP
    /// routes are on the listener, then a hello, by whose name certificate and policy are chosen.
    pub(super) fn read_first(&mut self, ci: usize) {
        let waits = |c: &&mut Client| {
            matches!(c.phase, Phase::ProxyHeader | Phase::Detect | Phase::Hello(_))
                && c.conn.readable
        };
        while let Some(c) = self.clients.get_mut(ci).filter(waits) {
            let mut buffer = self.io.take_for(&c.conn);
            let read = c.conn.read(&mut self.io, &mut buffer, HELLO_READ);
            if let Ok(Read::Data(range)) = &read {
                c.input.extend_from_slice(buffer.get(range.clone()).unwrap_or_default());
            }
            self.io.give_back(false, buffer);
            match read {
                Ok(Read::Data(_)) if c.phase == Phase::ProxyHeader => self.on_header(ci),
                Ok(Read::Data(_)) if c.phase == Phase::Detect => self.on_first_bytes(ci),
                Ok(Read::Data(_)) => self.on_hello(ci),
                Ok(Read::Blocked) => return,
                Ok(Read::End) if c.phase == Phase::Detect => return self.end_detection(ci),
                // The end may follow a part of the hello directly.
                Ok(Read::End) | Err(_) => return self.ended_early(ci),
            }
        }
    }

    pub(super) fn on_hello(&mut self, ci: usize) {
        let selector = self.listener(ci).and_then(|l| l.tls.clone());
        let Some(selector) = selector else {
            return self.close_client(ci);
        };
        let Some(c) = self.clients.get_mut(ci) else {
            return;
        };
        let Phase::Hello(reader) = &mut c.phase else {
            return;
        };
        let info = match reader.read(&c.input) {
            Ok(Parse::Partial) => return,
            Ok(Parse::Complete(info)) if self.is_of_tcp(ci, &info) => {
                return self.give_to_tcp(ci, true);
            }
            Ok(Parse::Complete(info)) => info,
            Err(e) => {
                let mut alert = Vec::new();
                e.write_alert(&mut alert);
                return self.refuse_hello(ci, &alert);
            }
        };
        let session = match selector.select(info.sni.as_deref()) {
            Ok(selection) => ServerSession::new(selection, info.sni.as_deref()),
            Err(refusal) => {
                let mut alert = Vec::new();
                refusal.write_alert(&mut alert);
                return self.refuse_hello(ci, &alert);
            }
        };
        let Some(c) = self.clients.get_mut(ci) else {
            return;
        };
        match session {
            Ok(session) => {
                let first = std::mem::take(&mut c.input);
                c.conn.start_tls(Session::Server(session), first);
                c.phase = Phase::Handshake;
                // No event announces again what was already read.
                c.conn.readable = true;
                self.on_client_readable(ci);
            }
            Err(_) => self.close_client(ci),
        }
    }

    fn refuse_hello(&mut self, ci: usize, alert: &[u8]) {
        self.counters.handshake(("client", "", "failed"));
        if let Some(c) = self.clients.get_mut(ci) {
            // The peer may be gone: the connection ends either way.
            let _ = c.conn.send_small(&mut self.io, alert);
            c.input = Vec::new();
        }
        self.close_politely(ci, true);
    }

    /// Counts a handshake that has just succeeded.
    pub(super) fn note_handshake(&mut self, ci: usize) {
        let Some(c) = self.clients.get_mut(ci).filter(|c| c.phase == Phase::Handshake) else {
            return;
        };
        let Some(session) = c.conn.session().filter(|_| c.conn.is_established()) else {
            return;
        };
        let kind = kind_word(session.kind());
        self.counters.handshake(("client", session.version_word(), kind));
        c.phase = Phase::Idle;
        if self.has_agreed_on_http2(ci) {
            return self.start_http2(ci);
        }
        let ms = self.listener(ci).map_or(0, |l| l.plan.head_timeout_ms);
        let at = super::accept::deadline_after(self.now_us, ms);
        if let Some(c) = self.clients.get_mut(ci) {
            c.deadline = at;
        }
        self.arm_client(ci);
    }

    /// Counts a handshake that failed; ignores other errors.
    pub(super) fn handshake_failed(&mut self, ci: usize) {
        if self.clients.get(ci).is_some_and(|c| c.phase == Phase::Handshake) {
            self.counters.handshake(("client", "", "failed"));
        }
    }

    /// Closes a connection whose read failed. A client that was sent an alert can read it.
    pub(super) fn close_after(&mut self, ci: usize, error: &std::io::Error) {
        let Some(c) = self.clients.get_mut(ci).filter(|_| sends_alert(error)) else {
            return self.close_client(ci);
        };
        // What comes from now on has no meaning.
        c.conn.tls = None;
        c.conn.readable = true;
        self.close_politely(ci, true);
    }

    /// Reports whether this connection must not serve the request's host (RFC 9110 §15.5.20).
    pub(super) fn is_misdirected(&self, x: ExId, host: &str) -> bool {
        let Some(ci) = self.exchanges.get(x).map(|e| e.client) else {
            return false;
        };
        let Some(c) = self.clients.get(ci) else {
            return false;
        };
        let Some(selector) = self.listener(ci).and_then(|l| l.tls.as_ref()) else {
            return false;
        };
        let Some(Session::Server(session)) = c.conn.session() else {
            // It was opened before its listener had TLS.
            return true;
        };
        let mut name = [0; hg_proto::host::MAX_NAME_BYTES];
        selector.needs_421(session, hg_proto::host_key(host, &mut name))
    }

    /// Continues the handshake with an endpoint.
    pub(super) fn drive_up_handshake(&mut self, ui: usize) {
        loop {
            let Some(up) = self.ups.get_mut(ui) else {
                return;
            };
            let Some(x) = up.exchange else { return };
            if up.conn.flush(&mut self.io).is_err() {
                return self.up_handshake_failed(
                    x,
                    ui,
                    "connection lost in the TLS handshake",
                    &own::TLS_FAILED,
                );
            }
            let mut buffer = self.io.take_for(&up.conn);
            let read = up.conn.read(&mut self.io, &mut buffer, HELLO_READ);
            self.io.give_back(true, buffer);
            if up.conn.is_established() {
                return self.up_handshake_done(x, ui, read);
            }
            match read {
                Ok(Read::Data(_)) => {
                    if !up.conn.readable {
                        return;
                    }
                }
                Ok(Read::Blocked) => return,
                Ok(Read::End) => {
                    return self.up_handshake_failed(
                        x,
                        ui,
                        "closed in the TLS handshake",
                        &own::TLS_FAILED,
                    );
                }
                Err(e) => return self.up_handshake_failed(x, ui, &e.to_string(), &reject_of(&e)),
            }
        }
    }

    /// Sends the request on the new session, unless the endpoint has sent something or closed
    /// already.
    fn up_handshake_done(&mut self, x: ExId, ui: usize, read: std::io::Result<Read>) {
        let Some(up) = self.ups.get_mut(ui) else { return };
        if let Some(session) = up.conn.session() {
            let kind = kind_word(session.kind());
            self.counters.handshake(("upstream", session.version_word(), kind));
        }
        up.phase = UpPhase::Busy;
        let is_http2 = match up.conn.session() {
            Some(Session::Client(session)) => session.alpn() == Some(b"h2"),
            _ => false,
        };
        let why = match read {
            // Over HTTP/2 the endpoint may speak first.
            Ok(Read::Data(range)) if is_http2 => {
                let buffer = self.io.take_for(&up.conn);
                up.input.extend_from_slice(buffer.get(range).unwrap_or_default());
                self.io.give_back(true, buffer);
                return self.connected(x, ui);
            }
            Ok(Read::Data(range)) if !range.is_empty() => "data before the request",
            Ok(Read::End) | Err(_) => "closed after the handshake",
            _ => return self.connected(x, ui),
        };
        self.up_handshake_failed(x, ui, why, &own::TLS_FAILED);
    }

    fn up_handshake_failed(&mut self, x: ExId, ui: usize, why: &str, reject: &Reject) {
        self.counters.handshake(("upstream", "", "failed"));
        if let Some(up) = self.ups.get(ui) {
            up.endpoint.counters.connect_failures.add(1);
            up.endpoint.remember(why);
        }
        self.attempt_failed(x, ui, reject);
    }
}

/// Returns the answer that tells the client how the handshake failed.
fn reject_of(error: &std::io::Error) -> Reject {
    let tls = error.get_ref().and_then(|e| e.downcast_ref::<TlsError>());
    match tls.map(TlsError::kind) {
        Some(TlsErrorKind::Certificate) => own::TLS_CERTIFICATE,
        _ => own::TLS_FAILED,
    }
}

/// Returns the word of metrics for how a session got its keys.
pub(super) fn kind_word(kind: Option<HandshakeKind>) -> &'static str {
    match kind {
        Some(HandshakeKind::Resumed) => "resumed",
        _ => "full",
    }
}
