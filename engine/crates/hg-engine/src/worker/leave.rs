//! The end of a worker: it hands its sockets to a successor, or it drains.

use super::accept::deadline_after;
use super::answer::own;
use super::claim::release_limits;
use super::client::Phase;
use super::exchange::{ExId, Exchange, Stage, pair};
use super::http2::in_order;
use super::up::Up;
use super::{Done, KIND_LEAVING, Worker};
use crate::hand_over::GivenFlows;
use hg_net::{Ticks, Token};
use std::sync::{Arc, mpsc};

/// The stages of leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    No,
    /// Still accepts; every answer says that its connection ends.
    Announced {
        listeners_until: Ticks,
        deadline: Ticks,
    },
    /// No listener is open any more; idle connections end at `idle_until`.
    Closing {
        idle_until: Ticks,
        deadline: Ticks,
    },
}

impl Leaving {
    pub(crate) fn accepts(self) -> bool {
        !matches!(self, Leaving::Closing { .. })
    }

    pub(crate) fn keeps_alive(self) -> bool {
        self == Leaving::No
    }

    /// Returns when a connection that has just become idle must close.
    pub(crate) fn idle_deadline(self) -> Ticks {
        match self {
            Leaving::Closing { idle_until, .. } => idle_until,
            _ => Ticks::MAX,
        }
    }
}

/// A close frame with status 1001, "going away" (RFC 6455 §7.4.1).
const GOING_AWAY: &[u8] = &[0x88, 0x02, 0x03, 0xe9];

/// Returns the token of the times of a drain.
fn token() -> Token {
    Token::new(KIND_LEAVING, 0, 0)
}

impl Worker {
    /// Releases our sockets to a successor without touching their queues.
    pub(super) fn hand_off(&mut self, flows: Option<&mpsc::Sender<GivenFlows>>) {
        if !self.leaving.accepts() {
            return;
        }
        self.forget_listeners();
        match flows {
            Some(to) => self.give_flows(to),
            None => self.forget_datagram_sockets(),
        }
        self.begin_closing(self.held.settings.drain.deadline_ms);
    }

    pub(super) fn drain(&mut self, closed: Arc<Done>) {
        if self.leaving != Leaving::No {
            return;
        }
        self.listeners_closed = Some(closed);
        self.announce_all_http2();
        let drain = &self.held.settings.drain;
        let listeners_until = deadline_after(self.now_us, drain.delay_ms.max(1));
        let deadline = deadline_after(self.now_us, drain.deadline_ms.max(1));
        self.leaving = Leaving::Announced { listeners_until, deadline };
        self.enter(token(), listeners_until);
    }

    fn begin_closing(&mut self, left_ms: u64) {
        self.listeners_closed = None;
        let idle_ms = self.held.settings.drain.idle_grace_ms.max(1);
        let idle_until = deadline_after(self.now_us, idle_ms);
        let deadline = deadline_after(self.now_us, left_ms.max(1));
        self.leaving = Leaving::Closing { idle_until, deadline };
        self.enter(token(), idle_until);
        self.enter(token(), deadline);
        self.announce_all_http2();
        let idle: Vec<usize> =
            self.clients.iter().filter(|(_, c)| c.phase == Phase::Idle).map(|(i, _)| i).collect();
        for ci in idle {
            if let Some(c) = self.clients.get_mut(ci) {
                c.deadline = idle_until;
            }
            self.arm_client(ci);
        }
    }

    /// Continues to leave; called a few times a second, and when a time of the drain is over.
    pub(super) fn go_on_leaving(&mut self) {
        match self.leaving {
            Leaving::No => {}
            Leaving::Announced { listeners_until, deadline } => {
                if self.now >= listeners_until {
                    if let Some(done) = self.listeners_closed.take() {
                        self.close_listeners(&done);
                    }
                    let left =
                        deadline.saturating_sub(self.now).saturating_mul(hg_net::Clock::TICK_MS);
                    self.begin_closing(left);
                }
            }
            Leaving::Closing { idle_until, deadline } => {
                if self.now >= idle_until {
                    self.close_some_tunnels(deadline);
                }
                if self.now >= deadline {
                    self.cut_sessions();
                    self.cut_flows();
                    let all = self.clients.iter().map(|(i, _)| i);
                    let all: Vec<usize> = all.filter(|ci| self.stand_in != Some(*ci)).collect();
                    for ci in all {
                        self.end_client(ci);
                    }
                }
            }
        }
    }

    /// Closes a client's connection at the deadline; requests without a whole answer get one that
    /// says why, or break off.
    fn end_client(&mut self, ci: usize) {
        let Some(c) = self.clients.get(ci) else { return };
        let streams = c.http2.as_deref().map(|h| in_order(&h.streams)).unwrap_or_default();
        for x in streams.into_iter().map(|(_, x)| x).chain(c.exchange) {
            match self.exchanges.get_mut(x) {
                Some(e) if e.stage == Stage::Tunnel && !e.stream.is_http2() => {
                    e.reason = own::DRAIN_DEADLINE.code;
                    self.counters.reject(own::DRAIN_DEADLINE.code);
                }
                Some(e) if !e.is_answer_complete() => {
                    self.refuse_for(x, &own::DRAIN_DEADLINE, None);
                }
                _ => {}
            }
        }
        self.flush_http2(ci);
        self.close_client(ci);
    }

    /// Ends tunnels one after the other, spread over the time that is left.
    fn close_some_tunnels(&mut self, deadline: Ticks) {
        let of_streams = |e: &Exchange| e.status == 101 && e.stage == Stage::Answering;
        let tunnels = self.exchanges.ids(|e| e.stage == Stage::Tunnel || of_streams(e));
        let turns = deadline.saturating_sub(self.now).saturating_mul(hg_net::Clock::TICK_MS) / 200;
        let share = tunnels.len().div_ceil(usize::try_from(turns / 2).unwrap_or(1).max(1));
        for x in tunnels.into_iter().take(share) {
            self.end_tunnel(x);
        }
    }

    /// Sends 1001 if that cannot fall into the middle of a message, and ends our half.
    fn end_tunnel(&mut self, x: ExId) {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        if !e.frames.is_between() || !c.has_taken_all(e) {
            return;
        }
        let ci = e.client;
        if e.stream.is_http2() {
            e.response.done = true;
            self.detach(x, None, "");
            if self.send_stream(x, &[], GOING_AWAY) {
                self.end_when_taken(x);
            }
            return;
        }
        // Where the endpoint has ended its half, the client has been told so already.
        if !e.response.told && c.conn.send_small(&mut self.io, GOING_AWAY).is_err() {
            return self.close_client(ci);
        }
        c.phase = Phase::Closing { unread: true };
        self.end_exchange_of(ci);
        self.close_politely(ci, true);
    }

    /// Tells endpoints over HTTP/2 that this process leaves, so that they see no broken connection;
    /// nobody waits for copies of requests.
    pub(super) fn say_farewell(&mut self) {
        self.abandon_mirrors();
        let is_shared = |up: &Up| up.http2.is_some();
        let all: Vec<usize> =
            self.ups.iter().filter(|(_, up)| is_shared(up)).map(|(ui, _)| ui).collect();
        for ui in &all {
            self.retire_shared(*ui);
        }
        self.flush_dirty();
        // What an endpoint does not take by now is lost.
        for ui in all {
            self.close_shared(ui);
        }
    }

    pub(super) fn has_left(&self) -> bool {
        matches!(self.leaving, Leaving::Closing { .. })
            && self.has_no_clients()
            && self.tcp.is_empty()
            && self.udp.is_over()
            && self.listeners.is_empty()
    }
}

impl Drop for Worker {
    /// After a panic, removes its clients from the limits that all workers share. A worker that
    /// left in order has no clients any more.
    fn drop(&mut self) {
        self.forget_sessions();
        self.forget_flows();
        for (_, c) in &mut self.clients {
            if c.seat.counted {
                self.shared.forget_client(c.peer.ip());
            }
        }
        for e in self.exchanges.iter_mut() {
            if let (Some(entry), Some(endpoint)) = (e.claim.limits.take(), &e.endpoint) {
                release_limits(&entry, &endpoint.address);
            }
            if let Some((entry, endpoint)) = e.side_limits() {
                release_limits(&entry, &endpoint.address);
            }
        }
    }
}
