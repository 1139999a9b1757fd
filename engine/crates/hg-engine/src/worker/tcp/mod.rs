//! TCP routes: connections of which no byte but those of TLS is read for its meaning. A session is a
//! thing of its own beside the clients and exchanges of HTTP; it shares their sockets, buffers, timers
//! and endpoints.
//!
//! - `open`: from accept to a session with a route,
//! - `early`: what is read before there is a route: `header`, the PROXY header of listeners that have
//!   them, and `hello`, the ClientHello, where routes ask for names,
//! - `terminate`: the handshake with a client whose TLS ends here,
//! - `dial`: an endpoint, and a connection to it, or the next one,
//! - `originate`: the handshake with an endpoint; `acceptance`: what is learnt of it,
//! - `tell`: what the endpoint is told of the client,
//! - `queue`: sessions that wait for a place,
//! - `relay`: bytes in both directions; `halves` says what has ended, and what is held back (pure),
//! - `close`: counts, log line, and what the two sides see; `linger`: clients that an alert was sent to,
//! - `leave`: drain, and routes that left the plan.

mod acceptance;
mod close;
mod dial;
mod early;
mod halves;
mod header;
mod hello;
mod leave;
mod linger;
mod open;
mod originate;
mod queue;
mod relay;
mod session;
mod tell;
mod terminate;

pub(crate) use early::Early;
pub(crate) use session::{Origin, SessionId};

use super::Worker;
use super::timers::Fired;
use crate::counters::{Close, Timeout};
use hg_net::{Event, Ticks, Token};
use session::{Phase, Session};
use slab::Slab;
use std::collections::VecDeque;

/// Tokens of sessions: their clients and timers.
pub(crate) const KIND_SESSION: u8 = 5;
/// Tokens of connections to endpoints; the index is the session's.
pub(crate) const KIND_SESSION_UP: u8 = 6;

/// The sessions of a worker.
#[derive(Default)]
pub(crate) struct Tcp {
    pub(super) sessions: Slab<Session>,
    /// Sessions that wait for a place at an upstream, the oldest first.
    waiting: VecDeque<SessionId>,
}

impl Tcp {
    fn get(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(id.index).filter(|s| s.generation == id.generation)
    }

    fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.sessions.get_mut(id.index).filter(|s| s.generation == id.generation)
    }

    /// Reports whether no session is open.
    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Reports whether a session waits for a place.
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl Worker {
    /// Takes an event of a client's side.
    pub(super) fn on_session_event(&mut self, event: Event) {
        let (index, generation) = (event.token.index(), event.token.generation());
        let id = SessionId { index, generation };
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        s.client.note_event(&event);
        let is_relaying = matches!(s.phase, Phase::Relaying(_));
        if event.writable && !is_relaying && s.client.flush(&mut self.io).is_err() {
            return self.close_session(id, Close::ClientReset);
        }
        match &s.phase {
            Phase::Relaying(_) => self.on_side_event(id, halves::Side::Client, event),
            Phase::Header { .. } | Phase::Hello { .. } | Phase::Handshake { .. } => {
                self.read_early(id);
            }
            Phase::Told { .. } => self.hear_out(id),
            // It gave up; the kernel has no error otherwise while we have sent nothing.
            _ if event.closed => self.close_session(id, Close::ClientReset),
            _ => {}
        }
    }

    /// Takes an event of a connection to an endpoint, made or in the making.
    pub(super) fn on_session_up_event(&mut self, event: Event) {
        let (index, generation) = (event.token.index(), event.token.generation());
        let Some(s) = self.tcp.sessions.get_mut(index) else {
            return;
        };
        let id = SessionId { index, generation: s.generation };
        match &mut s.phase {
            Phase::Dialing(dial) if dial.is_securing() && s.up_generation == generation => {
                self.on_securing_event(id, event);
            }
            Phase::Relaying(up) if s.up_generation == generation => {
                up.note_event(&event);
                self.on_side_event(id, halves::Side::Endpoint, event);
            }
            Phase::Dialing(_) if event.writable || event.closed => {
                self.on_dialed(id, generation, event);
            }
            _ => {}
        }
    }

    /// Makes sure that the wheel fires no later than what is due next.
    fn arm_session(&mut self, id: SessionId) {
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        let due = s.due();
        if s.times.timer.moves_to(due) {
            self.enter(Token::new(KIND_SESSION, id.generation, id.index), due);
        }
    }

    /// Takes an entry of the wheel.
    pub(super) fn fire_session(&mut self, token: Token, at: Ticks) {
        let id = SessionId { index: token.index(), generation: token.generation() };
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        let due = s.due();
        match s.times.timer.fires(at, due, self.now) {
            Fired::Stale => {}
            Fired::Early => self.arm_session(id),
            Fired::Due => self.expire_session(id),
        }
    }

    /// Ends what took too long.
    fn expire_session(&mut self, id: SessionId) {
        let now = self.now;
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        if s.times.drained_at <= now {
            return self.close_session(id, Close::RouteRemoved);
        }
        if s.times.ends_at <= now {
            return self.close_session(id, Close::Lifetime);
        }
        match &s.phase {
            Phase::Header { .. } => self.expire_session_header(id),
            Phase::Hello { .. } => {
                self.counters.timeout(Timeout::Handshake);
                self.close_session(id, Close::HelloTimeout);
            }
            Phase::Handshake { .. } => self.expire_handshake(id),
            // It was counted before.
            Phase::Told { .. } => self.close_session(id, Close::TlsHandshake),
            Phase::Queued { .. } => {
                self.counters.timeout(Timeout::Queue);
                self.close_session(id, Close::QueueTimeout);
            }
            Phase::Dialing(_) => self.expire_dial(id),
            Phase::Relaying(_) if s.target.acceptance.due() <= now => {
                self.note_accepted(id);
                self.arm_session(id);
            }
            Phase::Relaying(_) if s.halves.resumes_at().is_some() => self.resume_session(id),
            Phase::Relaying(_) => {
                let half_open = s.halves.is_half_open();
                self.counters.timeout(Timeout::StreamIdle);
                self.close_session(id, if half_open { Close::HalfOpen } else { Close::Idle });
            }
        }
    }
}

#[cfg(test)]
mod tests;
