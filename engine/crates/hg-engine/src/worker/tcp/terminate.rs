//! Sessions whose TLS ends here: the handshake with the client, after which its route is found by
//! what the two have agreed on. What the client sends with the end of its handshake is kept as the
//! first bytes for the endpoint.

use super::super::Worker;
use super::super::conn::{self, Read};
use super::super::tls::kind_word;
use super::session::{Phase, SessionId};
use crate::counters::{Close, Timeout};
use hg_tls::{ClientHelloInfo, Selector, ServerSession};
use std::io;

impl Worker {
    /// Begins TLS with what the listener has for the name in the hello.
    pub(super) fn begin_handshake(
        &mut self,
        id: SessionId,
        selector: &Selector,
        sni: Option<Box<str>>,
    ) {
        let made = match selector.select(sni.as_deref()) {
            Ok(selection) => ServerSession::new(selection, sni.as_deref()),
            Err(refusal) => {
                let mut alert = Vec::new();
                refusal.write_alert(&mut alert);
                self.keep_name(id, sni);
                return self.refuse_handshake(id, &alert, Close::TlsRefused);
            }
        };
        self.keep_name(id, sni);
        let Ok(session) = made else {
            return self.refuse_handshake(id, &[], Close::TlsHandshake);
        };
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        let (Phase::Hello { until }, Some(early)) = (&s.phase, &mut s.early) else {
            return;
        };
        // It knows every name of its listener: no session keeps that after a reload.
        early.tls = None;
        s.phase = Phase::Handshake { until: *until };
        s.client.start_tls(conn::Session::Server(session), std::mem::take(&mut early.input));
        // No event announces again what was already read.
        s.client.readable = true;
    }

    /// Keeps the name that a client asks for: for the log, and for the endpoint.
    fn keep_name(&mut self, id: SessionId, sni: Option<Box<str>>) {
        if let Some(early) = self.tcp.get_mut(id).and_then(|s| s.early.as_mut()) {
            early.sni = sni;
        }
    }

    /// Continues after a read in the handshake, which brought so many bytes for the endpoint.
    pub(super) fn on_session_handshake(&mut self, id: SessionId, read: io::Result<Read>, n: u64) {
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        match read {
            // rustls has sent an alert, unless the connection is gone.
            Err(_) => return self.handshake_failed_as(id, Close::TlsHandshake),
            Ok(Read::End) if !s.client.is_established() => {
                return self.handshake_failed_as(id, Close::TlsHandshake);
            }
            Ok(_) if !s.client.is_established() => return,
            // The relay reads the end again.
            Ok(Read::End) => s.client.readable = true,
            Ok(_) => {}
        }
        let Some(session) = s.client.session() else { return };
        let kind = kind_word(session.kind());
        let info = ClientHelloInfo {
            sni: s.early.as_ref().and_then(|early| early.sni.clone()),
            alpn: s.client.alpn().map(Box::from).into_iter().collect(),
        };
        self.counters.handshake(("client", session.version_word(), kind));
        if self.is_session_outdated(id) {
            return self.close_session(id, Close::TlsRefused);
        }
        self.took_early(id, n);
        self.route_session(id, info);
    }

    /// Reports whether the plan has changed in the handshake, and now asks more of the client.
    fn is_session_outdated(&self, id: SessionId) -> bool {
        let Some(s) = self.tcp.get(id) else {
            return false;
        };
        let held = self.session_snapshot(s);
        match (held.tls_of(s.origin.listener), s.client.session()) {
            (Some(selector), Some(conn::Session::Server(session))) => {
                selector.needs_421(session, session.sni().unwrap_or_default())
            }
            _ => false,
        }
    }

    /// Ends a session whose client gets no TLS; the alert says why. What is no TLS has none, and is
    /// reset.
    pub(super) fn refuse_handshake(&mut self, id: SessionId, alert: &[u8], why: Close) {
        if let Some(s) = self.tcp.get_mut(id).filter(|_| !alert.is_empty()) {
            // The peer may be gone: the session ends either way.
            let _ = s.client.send_small(&mut self.io, alert);
            return self.handshake_failed_as(id, why);
        }
        self.counters.handshake(("client", "", "failed"));
        self.close_session(id, why);
    }

    /// Ends a session whose client was told by an alert, if it is still there.
    fn handshake_failed_as(&mut self, id: SessionId, why: Close) {
        self.counters.handshake(("client", "", "failed"));
        self.linger_session(id, why);
    }

    /// Ends a session whose handshake took too long.
    pub(super) fn expire_handshake(&mut self, id: SessionId) {
        self.counters.timeout(Timeout::Handshake);
        self.counters.handshake(("client", "", "failed"));
        self.close_session(id, Close::HandshakeTimeout);
    }
}
