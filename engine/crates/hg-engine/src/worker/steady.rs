//! The state of a worker between its turns: nothing waits that neither an event nor a timer wakes.
//! Builds with debug assertions check it while there are few connections, so that each test of the
//! engine does.

use super::Worker;
use super::client::{Client, Phase};
use super::conn::Conn;
use super::exchange::{Exchange, Relay, Stage};
use super::timers::Entry;
use super::up::Up;
use hg_net::Ticks;

/// Connections up to which each turn is checked.
const FEW: usize = 64;

impl Worker {
    /// Returns what would wait for ever, or too long; nothing, unless a timer was not set or bytes were
    /// not read. Looks at nothing while there are many connections.
    pub(super) fn lapse(&self) -> Option<&'static str> {
        let count = self.clients.len() + self.ups.len() + self.tcp.sessions.len();
        if count > FEW || !self.agenda.is_empty() {
            return None;
        }
        self.late_timer().or_else(|| self.unread())
    }

    fn late_timer(&self) -> Option<&'static str> {
        // The wheel has an entry for a tick that is over in the next one.
        let is_missed = |at: Ticks| at.max(self.now).saturating_add(1) < self.wheel_next;
        let is_late = |timer: Entry, due: Ticks| timer.0 > due || is_missed(timer.0);
        let of_client = |c: &Client| {
            let e = c.exchange.and_then(|x| self.exchanges.get(x)).filter(|e| !e.has_own_timer());
            let due = e.map_or(Ticks::MAX, Exchange::deadline);
            is_late(c.timer, c.deadline) || c.deadline > due
        };
        let of_stream = |e: &Exchange| {
            let s = &e.stream;
            e.has_own_timer() && (is_late(s.timer, s.deadline) || s.deadline > e.deadline())
        };
        let found = [
            (self.clients.iter().any(|(_, c)| of_client(c)), "timer of a client"),
            (!self.exchanges.ids(of_stream).is_empty(), "timer of a stream"),
            (self.ups.iter().any(|(_, up)| is_late(up.timer, up.deadline)), "timer of an endpoint"),
            (
                self.tcp.sessions.iter().any(|(_, s)| is_late(s.times.timer, s.due())),
                "timer of a session",
            ),
        ];
        found.into_iter().find_map(|(is_so, what)| is_so.then_some(what))
    }

    fn unread(&self) -> Option<&'static str> {
        let of_client = |c: &Client| match c.phase {
            Phase::Idle | Phase::Head | Phase::Hello(_) | Phase::Handshake => c.conn.readable,
            _ => false,
        };
        let found = [
            (self.clients.iter().any(|(_, c)| of_client(c)), "bytes of a client"),
            (self.holds(Self::has_unread_tunnel), "bytes of a tunnel"),
            (self.holds(Self::has_unread_head), "head of an answer"),
            (self.holds(Self::has_unread_answer), "body of an answer"),
            (self.holds(Self::has_unread_request), "body of a request"),
        ];
        found.into_iter().find_map(|(is_so, what)| is_so.then_some(what))
    }

    /// Reports whether something is so of an exchange that has its client and its endpoint to itself.
    fn holds(&self, is_so: fn(&Exchange, &Client, &Up) -> bool) -> bool {
        let is_one = |e: &Exchange| {
            let up = e.up.and_then(|ui| self.ups.get(ui)).filter(|up| up.http2.is_none());
            let c = self.clients.get(e.client).filter(|_| !e.has_own_timer());
            c.zip(up).is_some_and(|(c, up)| is_so(e, c, up))
        };
        !self.exchanges.ids(is_one).is_empty()
    }

    fn has_unread_tunnel(e: &Exchange, c: &Client, up: &Up) -> bool {
        let ways = [(&e.request, &c.conn, &up.conn), (&e.response, &up.conn, &c.conn)];
        let waits = |(relay, from, to): (&Relay, &Conn, &Conn)| {
            from.readable && to.out.is_empty() && !relay.done && relay.pace.is_none()
        };
        e.stage == Stage::Tunnel && ways.into_iter().any(waits)
    }

    fn has_unread_head(e: &Exchange, _: &Client, up: &Up) -> bool {
        e.stage == Stage::Waiting && up.conn.readable
    }

    fn has_unread_answer(e: &Exchange, c: &Client, up: &Up) -> bool {
        let is_open = e.stage == Stage::Answering && !e.response.done && e.response.pace.is_none();
        is_open && c.conn.out.is_empty() && up.conn.readable
    }

    fn has_unread_request(e: &Exchange, c: &Client, up: &Up) -> bool {
        let is_open = matches!(e.stage, Stage::Waiting | Stage::Answering) && !e.request.done;
        is_open && e.request.pace.is_none() && up.conn.out.is_empty() && c.conn.readable
    }
}
