//! The bytes that a session reads of its client before it has a route: a PROXY header, a
//! ClientHello, a TLS handshake. Those that are no PROXY header, and not of a TLS session that ends
//! here, are kept, and become the first bytes that the endpoint gets.

use super::super::Worker;
use super::super::conn::Read;
use super::super::exchange::Held;
use super::session::{Phase, Session, SessionId};
use crate::counters::Close;
use crate::snapshot::Snapshot;
use hg_tls::{HelloReader, Selector};
use std::sync::Arc;

/// Bytes read at once. What the parsers leave undecided is bounded, and with it what is kept.
const EARLY_READ: usize = 16 * 1024;

/// The input that was read before the route was known.
#[derive(Default)]
pub(crate) struct Early {
    /// Everything that the client has sent, until the endpoint gets it; of a client whose TLS ends
    /// here what was inside, once that is known.
    pub(super) input: Vec<u8>,
    /// The progress in reading it as a ClientHello.
    pub(super) hello: HelloReader,
    /// The name that it asks for in its ClientHello.
    pub(crate) sni: Option<Box<str>>,
    /// The listener's TLS, where the client's TLS ends there.
    pub(super) tls: Option<Arc<Selector>>,
    /// The snapshot that knows its listener, once that has left the plan.
    pub(super) pinned: Option<Held>,
}

impl Early {
    /// Returns the beginning of a session; `pinned` knows a listener that has left the plan.
    pub(super) fn new(tls: Option<Arc<Selector>>, pinned: Option<Held>) -> Self {
        Self { tls, pinned, ..Self::default() }
    }

    /// Returns that of a connection of which something was read as one of HTTP.
    pub(crate) fn read(input: Vec<u8>, pinned: Option<Held>) -> Self {
        Self { input, pinned, ..Self::default() }
    }

    /// Keeps the snapshot that knows the listener, which leaves the plan now.
    pub(super) fn pin(&mut self, held: &Held) {
        self.pinned.get_or_insert_with(|| held.clone());
    }
}

impl Session {
    /// Reports whether its listener is in a snapshot, at the same place.
    pub(super) fn has_listener_in(&self, snapshot: &Snapshot) -> bool {
        let there = snapshot.listeners.get(usize::from(self.origin.listener));
        there.and_then(Option::as_ref).is_some_and(|l| l.name == self.origin.listener_name)
    }
}

impl Worker {
    /// Returns the snapshot that knows the listener of a session: the newest one that does.
    pub(super) fn session_snapshot(&self, s: &Session) -> Held {
        let pinned = s.early.as_ref().and_then(|early| early.pinned.as_ref());
        match pinned {
            Some(pinned) if !s.has_listener_in(&self.held) => pinned.clone(),
            _ => self.held.clone(),
        }
    }

    /// Reads until the session has a route, or cannot get one.
    pub(super) fn read_early(&mut self, id: SessionId) {
        let waits = |s: &&mut Session| {
            let reads = matches!(
                s.phase,
                Phase::Header { .. } | Phase::Hello { .. } | Phase::Handshake { .. }
            );
            reads && s.client.readable
        };
        while let Some(s) = self.tcp.get_mut(id).filter(waits) {
            let is_header = matches!(s.phase, Phase::Header { .. });
            let is_tls = s.client.is_tls();
            let mut buffer = self.io.take_for(&s.client);
            let read = s.client.read(&mut self.io, &mut buffer, EARLY_READ);
            let mut n = 0;
            if let (Ok(Read::Data(range)), Some(early)) = (&read, &mut s.early) {
                early.input.extend_from_slice(buffer.get(range.clone()).unwrap_or_default());
                n = range.len() as u64;
            }
            self.io.give_back(is_tls, buffer);
            match read {
                read if is_tls => self.on_session_handshake(id, read, n),
                Ok(Read::Data(_)) if is_header => self.on_session_header(id),
                Ok(Read::Data(_)) => {
                    self.took_early(id, n);
                    self.on_session_hello(id);
                }
                Ok(Read::Blocked) => return,
                Ok(Read::End) if is_header => return self.end_header(id),
                Ok(Read::End) => return self.close_session(id, Close::HelloCut),
                Err(_) => return self.close_session(id, Close::ClientReset),
            }
        }
    }

    /// Counts bytes that the client has sent before its route was known, and that the endpoint gets.
    pub(super) fn took_early(&mut self, id: SessionId, n: u64) {
        let ends_tls = |s: &Session| s.early.as_ref().is_some_and(|early| early.tls.is_some());
        if let Some(s) = self.tcp.get_mut(id).filter(|s| s.client.is_established() || !ends_tls(s))
        {
            s.halves.took(n);
            self.counters.bytes_received.add(n);
        }
    }

    /// Sends the endpoint what the client has sent already. Reports whether it could be sent.
    pub(super) fn hand_over_early(&mut self, id: SessionId) -> bool {
        let Some(s) = self.tcp.get_mut(id) else {
            return false;
        };
        let (Phase::Relaying(up), Some(early)) = (&mut s.phase, &mut s.early) else {
            return true;
        };
        let input = std::mem::take(&mut early.input);
        // Only the name is still of use: for the access log.
        s.early.take_if(|early| early.sni.is_none());
        up.send_small(&mut self.io, &input).is_ok()
    }
}
