//! From an accepted connection to a session with a route.

use super::super::accept::deadline_after;
use super::super::client::Seat;
use super::super::conn::Conn;
use super::super::exchange::Held;
use super::super::timers::Entry;
use super::super::{Worker, room};
use super::KIND_SESSION;
use super::early::Early;
use super::halves::Halves;
use super::session::{Origin, Phase, Session, SessionId, Target, Times};
use crate::counters::Close;
use crate::report::EventLevel;
use crate::snapshot::{Snapshot, TcpEntry};
use hg_net::{Fd, Ticks, Token};
use hg_tls::ClientHelloInfo;

impl Worker {
    /// Makes a session of a connection. Where the listener has no PROXY headers and ends no TLS, and
    /// no route of it asks for a name, it has its route at once, and waits for no byte of the client: in many
    /// protocols the server speaks first.
    /// `pinned` knows a listener that has left the plan.
    pub(in super::super) fn open_session(&mut self, fd: Fd, origin: Origin, pinned: Option<Held>) {
        let held = pinned.as_ref().unwrap_or(&self.held).clone();
        if let Some(phase) = self.early_phase(&held, origin.listener) {
            let tls = held.tls_of(origin.listener).cloned();
            let early = Box::new(Early::new(tls, pinned));
            let ends = (Conn::new(fd), origin);
            if let Some(id) = self.insert_session(ends, (None, Some(early)), phase) {
                self.arm_session(id);
                // It is often there already.
                self.read_early(id);
            }
            return;
        }
        let Some(route) = held.tcp.find(origin.listener, origin.peer.ip().into(), false).cloned()
        else {
            return self.refuse_session(fd, &origin, Close::NoRoute);
        };
        let phase = Phase::Dialing(Box::default());
        let ends = (Conn::new(fd), origin);
        if let Some(id) = self.insert_session(ends, (Some(route), None), phase) {
            self.begin_dial(id);
        }
    }

    /// Makes a session of a connection of an HTTP listener of which something was read: of a hello, or
    /// of what is neither TLS nor HTTP.
    pub(in super::super) fn adopt_session(
        &mut self,
        client: Conn,
        origin: Origin,
        early: Early,
        begins_with_hello: bool,
    ) {
        let held = early.pinned.as_ref().unwrap_or(&self.held).clone();
        let phase = Phase::Hello { until: self.hello_until(&held, origin.listener) };
        let n = early.input.len() as u64;
        let Some(id) = self.insert_session((client, origin), (None, Some(Box::new(early))), phase)
        else {
            return;
        };
        self.took_early(id, n);
        if !begins_with_hello {
            return self.route_session(id, ClientHelloInfo::default());
        }
        self.arm_session(id);
        self.on_session_hello(id);
        self.read_early(id);
    }

    /// Returns what connections of a listener begin with, if it has to be read before they have a
    /// route.
    fn early_phase(&self, held: &Snapshot, listener: u16) -> Option<Phase> {
        if let Some(terms) = held.proxy_terms(listener) {
            return Some(Phase::Header { until: deadline_after(self.now_us, terms.timeout_ms) });
        }
        let until = self.hello_until(held, listener);
        let asks = held.tcp.asks_hello(listener) || held.tls_of(listener).is_some();
        asks.then_some(Phase::Hello { until })
    }

    fn insert_session(
        &mut self,
        (mut client, origin): (Conn, Origin),
        (route, early): (Option<TcpEntry>, Option<Box<Early>>),
        phase: Phase,
    ) -> Option<SessionId> {
        let generation = self.next_generation();
        let vacant = room::vacant_entry(&mut self.tcp.sessions);
        let id = SessionId { index: vacant.key(), generation };
        client.readable = early.is_some();
        let token = Token::new(KIND_SESSION, generation, id.index);
        if let Err(e) = self.poller.add_stream(&client.fd, token) {
            let Seat { open, counted, .. } = &origin.seat;
            self.shared.leave(open, origin.peer.ip(), *counted);
            self.shared.event(EventLevel::Error, "accept.failed", e.to_string());
            hg_net::close_with_reset(client.fd);
            return None;
        }
        self.counters.connections.add(1);
        self.counters.tcp.sessions.opened();
        origin.counters.connections.add(1);
        let mut times = Times {
            began_us: self.now_us,
            active_at: self.now,
            ends_at: Ticks::MAX,
            drained_at: Ticks::MAX,
            timer: Entry::NONE,
        };
        route.iter().for_each(|route| times.lives(route));
        let target = route.as_ref().map(|r| Target::of(r, origin.peer.ip(), &mut self.rng));
        let target = target.unwrap_or_default();
        vacant.insert(Session {
            generation,
            up_generation: 0,
            client,
            origin,
            phase,
            target,
            halves: Halves::default(),
            times,
            route,
            early,
            told_id: None,
            queued: false,
        });
        Some(id)
    }
}
