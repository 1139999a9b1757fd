//! Tunnels: after a 101, bytes pass in both directions until both sides have ended (RFC 9110 §7.8).

use super::Worker;
use super::client::Phase;
use super::conn::Read;
use super::exchange::{ExId, Exchange, Relay, Stage, pair};
use hg_net::Ticks;
use hg_proto::BodyReader;
use std::ops::Range;

/// Reads of each side in one turn before other connections have theirs.
const TURN: usize = 4;

impl Relay {
    /// Becomes one half of a tunnel, whose handshake may not be out yet.
    pub(crate) fn tunnel(&mut self) {
        let (never, pace) = (std::mem::take(&mut self.never), self.carried_pace());
        let reader = BodyReader::UntilClose;
        *self = Relay { reader, done: false, never, pace, ..Relay::default() };
    }
}

impl Worker {
    /// Sends the 101 and the bytes that followed the upstream's head, then passes bytes.
    pub(super) fn start_tunnel(
        &mut self,
        x: ExId,
        ui: usize,
        head: &[u8],
        buffer: &mut Vec<u8>,
        early: Range<usize>,
    ) {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        if e.stream.is_http2() {
            self.open_stream_tunnel(x);
            self.relay_answer(x, head, buffer, early);
            return self.pump_request(x);
        }
        e.answered = true;
        e.close_after = true;
        e.request.tunnel();
        e.response.tunnel();
        e.response.bytes = early.len() as u64;
        e.frames.feed(buffer.get(early.clone()).unwrap_or_default());
        e.stage = Stage::Tunnel;
        c.phase = Phase::Tunnel;
        self.counters.tunnels.opened();
        self.counters.bytes_sent.add((head.len() + early.len()) as u64);
        if c.conn.send(&mut self.io, head, buffer, early).is_err() {
            return self.client_gone(x);
        }
        // What the client sent before the answer belongs to the tunnel (no client should, some do).
        let input = std::mem::take(&mut c.input);
        if let Some(up) = self.ups.get_mut(ui)
            && !input.is_empty()
            && up.conn.send_small(&mut self.io, &input).is_err()
        {
            return self.close_tunnel(x);
        }
        self.progress(x);
        self.pump_tunnel(x);
    }

    /// Lets bytes pass as two bodies without end, where one side of the tunnel is a stream.
    pub(super) fn open_stream_tunnel(&mut self, x: ExId) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        e.request.tunnel();
        e.response.tunnel();
        e.close_after = true;
        e.stage = Stage::Answering;
        // Nothing but silence limits how long it stays, and how much passes.
        (e.due.request, e.due.one_try) = (Ticks::MAX, Ticks::MAX);
        e.body.limit = u64::MAX;
        e.replayable = false;
        self.counters.tunnels.opened();
    }

    /// Ends our half towards an endpoint of HTTP/1 once it has all that the client's stream sent.
    pub(super) fn end_tunnel_half(&mut self, x: ExId, ui: usize) {
        let Some(e) = self.exchanges.get_mut(x).filter(|e| e.status == 101) else {
            return;
        };
        let Some(up) = self.ups.get_mut(ui).filter(|up| up.conn.out.is_empty()) else {
            return;
        };
        if e.request.done && !std::mem::replace(&mut e.request.told, true) {
            up.conn.end_tls(&mut self.io);
            hg_net::shutdown_write(&up.conn.fd);
            self.end_if_over(x);
        }
    }

    /// Ends our half towards a client once it has all that the endpoint sent: what the client still
    /// sends passes on.
    pub(super) fn end_answer_half(&mut self, x: ExId) {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        let is_told = e.stream.is_http2() || !c.has_taken_all(e);
        if !is_told && !std::mem::replace(&mut e.response.told, true) {
            c.conn.end_tls(&mut self.io);
            hg_net::shutdown_write(&c.conn.fd);
        }
        self.progress(x);
    }

    /// Ends a WebSocket of which one side is a stream, if both halves have ended.
    pub(super) fn end_if_over(&mut self, x: ExId) {
        let is_over = |e: &Exchange| e.status == 101 && e.is_answer_complete() && !e.is_half_open();
        if self.exchanges.get(x).is_some_and(is_over) {
            self.answer_done(x, true);
        }
    }

    /// Ends a tunnel and the connection that it had taken over.
    pub(super) fn close_tunnel(&mut self, x: ExId) {
        if let Some(ci) = self.exchanges.get(x).map(|e| e.client) {
            self.close_client(ci);
        }
    }

    /// Passes what has come in both directions while the other side takes it.
    pub(super) fn pump_tunnel(&mut self, x: ExId) {
        let mut again = false;
        for from_client in [true, false] {
            for turn in 0..=TURN {
                if turn == TURN {
                    again = true;
                    break;
                }
                match self.pass(x, from_client) {
                    Some(true) => {}
                    Some(false) => break,
                    None => return self.close_tunnel(x),
                }
            }
        }
        if self.has_unread_reset(x) || self.pass_ends(x) {
            return self.close_tunnel(x);
        }
        if again {
            self.enqueue_exchange(x);
        }
    }

    /// Reports whether a side was reset and no read finds that, because the other side is behind.
    fn has_unread_reset(&mut self, x: ExId) -> bool {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return false;
        };
        let Some(up) = e.up.and_then(|ui| self.ups.get(ui)) else {
            return false;
        };
        let sides = [(&c.conn, &up.conn), (&up.conn, &c.conn)];
        sides.into_iter().any(|(from, to)| !to.out.is_empty() && from.is_reset())
    }

    /// Ends our half towards a side once it has taken everything that the other one sent before its
    /// end. Reports whether both have ended.
    fn pass_ends(&mut self, x: ExId) -> bool {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return false;
        };
        let up = e.up.and_then(|ui| self.ups.get(ui));
        let ends = [(&mut e.request, up.map(|u| &u.conn)), (&mut e.response, Some(&c.conn))];
        let mut is_over = true;
        for (relay, to) in ends {
            if relay.done
                && !relay.told
                && let Some(to) = to.filter(|to| to.out.is_empty())
            {
                relay.told = true;
                hg_net::shutdown_write(&to.fd);
            }
            is_over &= relay.told || (relay.done && to.is_none());
        }
        is_over
    }

    /// Reads and writes once in one direction. `Some(true)`: there may be more; `None`: the tunnel
    /// is over.
    fn pass(&mut self, x: ExId, from_client: bool) -> Option<bool> {
        let now_us = self.now_us;
        let (e, c) = pair(&mut self.exchanges, &mut self.clients, x)?;
        let up = self.ups.get_mut(e.up?)?;
        let relay = if from_client { &mut e.request } else { &mut e.response };
        let limit = self.io.pool.read_limit();
        let frames = &mut e.frames;
        let (from, to) =
            if from_client { (&mut c.conn, &mut up.conn) } else { (&mut up.conn, &mut c.conn) };
        if relay.done || !from.readable || !to.out.is_empty() {
            return Some(false);
        }
        let most = relay.allowed(now_us);
        if most == 0 {
            self.hold_back(x);
            return Some(false);
        }
        let limit = limit.min(most);
        let is_tls = from.is_tls();
        let mut buffer = self.io.take_for(from);
        let read = from.read(&mut self.io, &mut buffer, limit);
        let result = match read {
            Ok(Read::Data(range)) => {
                let n = range.len();
                relay.bytes += n as u64;
                let counter = if from_client {
                    &self.counters.bytes_received
                } else {
                    &self.counters.bytes_sent
                };
                counter.add(n as u64);
                if !from_client {
                    frames.feed(buffer.get(range.clone()).unwrap_or_default());
                }
                to.send(&mut self.io, &[], &mut buffer, range).ok().map(|()| true)
            }
            Ok(Read::Blocked) => Some(false),
            Ok(Read::End) => {
                relay.done = true;
                to.end_tls(&mut self.io);
                Some(false)
            }
            Err(_) => None,
        };
        self.io.give_back(is_tls, buffer);
        if result.is_some() {
            self.progress(x);
        }
        result
    }
}

#[cfg(test)]
mod tests;
