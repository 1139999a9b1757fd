//! The output of streams: heads at once into the session, bodies as its windows and its order
//! allow, and everything once per turn into the socket.

use super::part::Part;
use super::{Http2, STREAM_READ, STREAM_READ_LEAST, STREAM_READ_SHUT, WORKER_HOLDS, text};
use crate::counters::Bound;
use crate::worker::client::Phase;
use crate::worker::exchange::{ExId, Exchange, pair};
use crate::worker::{Turn, Worker};
use hg_h2::{NeverIndexed, Refused, lines_of_text};
use hg_net::Ticks;
use hg_proto::respond::CONTINUE;

/// Connections with something to send at the end of this turn: slab index and generation.
#[derive(Default)]
pub(crate) struct Dirty {
    pub(crate) clients: Vec<(usize, u32)>,
    pub(crate) ups: Vec<(usize, u32)>,
}

/// Sends the head of an answer, as HTTP/1 text, and a part of its body; whether more follows is in
/// `e.response`.
fn send(e: &mut Exchange, h: &mut Http2, head: &[u8], body: &[u8]) -> Result<(), Refused> {
    let id = e.stream.id;
    let trailers = e.response.trailers();
    if !head.is_empty() {
        let end = e.response.done && body.is_empty() && trailers.is_empty();
        send_head(h, (id, head), &e.response.never, end)?;
        if end {
            return Ok(());
        }
    }
    let (is_last, never) = (e.response.done, &e.response.never);
    let part = Part { id, held: &mut e.stream.held, is_last, trailers, never };
    part.put(&mut h.session, body)
}

/// Sends a head, final or interim, that was written as HTTP/1 text.
fn send_head(
    h: &mut Http2,
    (id, head): (u32, &[u8]),
    never: &NeverIndexed,
    end: bool,
) -> Result<(), Refused> {
    let lines = lines_of_text(text::lines(head), never);
    h.session.send_response(id, text::status(head), lines, end)
}

impl Worker {
    /// Sends a part of an answer on its stream; reports whether the exchange goes on.
    pub(crate) fn send_stream(&mut self, x: ExId, head: &[u8], body: &[u8]) -> bool {
        let now_us = self.now_us;
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return false;
        };
        let (ci, before) = (e.client, e.stream.held.memory());
        let sent = c.http2.as_deref_mut().is_some_and(|h| {
            let sent = send(e, h, head, body);
            h.held.note(&mut self.io.pool, (before, e.stream.held.memory()), now_us);
            sent.is_ok()
        });
        self.mark_dirty(ci);
        if !sent {
            self.client_gone(x);
        }
        sent
    }

    /// Sends `head` of an exchange, with the body behind it, as the whole answer.
    pub(crate) fn send_own_stream(&mut self, x: ExId) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        let answer = std::mem::take(&mut e.head);
        let (head, body) = answer.split_at(text::body_start(&answer));
        if self.send_stream(x, head, body) {
            let Some(e) = self.exchanges.get_mut(x) else {
                return;
            };
            e.head = answer;
            self.end_when_taken(x);
        }
    }

    /// Ends an exchange whose answer is whole, now or once its client has taken all of it.
    pub(crate) fn end_when_taken(&mut self, x: ExId) {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        if c.has_taken_all(e) { self.finish(x) } else { self.progress(x) }
    }

    /// Tells a client that waits for it to send the body of its request; reports whether the
    /// exchange goes on.
    pub(crate) fn send_continue(&mut self, x: ExId) -> bool {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return false;
        };
        if e.stream.is_http2() {
            return self.send_interim(x, CONTINUE);
        }
        self.counters.bytes_sent.add(CONTINUE.len() as u64);
        let sent = c.conn.send_small(&mut self.io, CONTINUE).is_ok();
        if !sent {
            self.client_gone(x);
        }
        sent
    }

    /// Notes that a connection has something to send at the end of this turn.
    pub(crate) fn mark_dirty(&mut self, ci: usize) {
        let Some(c) = self.clients.get_mut(ci) else {
            return;
        };
        if let Some(h) = c.http2.as_deref_mut()
            && !std::mem::replace(&mut h.dirty, true)
        {
            self.dirty.clients.push((ci, c.generation));
        }
    }

    /// Returns how much of an answer may be read at once.
    pub(crate) fn answer_limit(&self, x: ExId) -> usize {
        let limit = self.io.pool.read_limit();
        let Some(e) = self.exchanges.get(x).filter(|e| e.stream.is_http2()) else {
            return limit;
        };
        if e.most_collected() > 0 {
            return limit.min(STREAM_READ);
        }
        let h = self.clients.get(e.client).and_then(|c| c.http2.as_deref());
        // The rest stays with the endpoint, which has it anyway.
        let is_shut = h.is_some_and(|h| h.session.window(e.stream.id) == 0);
        let limit = if is_shut { limit.min(STREAM_READ_SHUT) } else { limit };
        let bound = match h.is_some_and(|h| h.held.bytes >= h.bounds.answers) {
            true => Bound::Answers,
            false if self.io.pool.pending >= WORKER_HOLDS => Bound::Worker,
            false => return limit.min(STREAM_READ),
        };
        self.counters.http2.bound(bound);
        limit.min(STREAM_READ_LEAST)
    }

    /// Notes that a client has taken some of what waits for it.
    pub(crate) fn note_http2_progress(&mut self, ci: usize) {
        let now_us = self.now_us;
        if let Some(h) = self.clients.get_mut(ci).and_then(|c| c.http2.as_deref_mut()) {
            h.stalled_at = h.bounds.stalled_at(now_us);
            self.rearm_http2(ci, true);
        }
    }

    /// Sends what the connections of this turn have to send.
    pub(crate) fn flush_dirty(&mut self) {
        // Places that become free let further requests go to upstreams.
        while !self.dirty.clients.is_empty() || !self.dirty.ups.is_empty() {
            while let Some((ci, generation)) = self.dirty.clients.pop() {
                if self.clients.get(ci).is_some_and(|c| c.generation == generation) {
                    self.flush_http2(ci);
                }
            }
            while let Some((ui, generation)) = self.dirty.ups.pop() {
                if self.ups.get(ui).is_some_and(|up| up.generation == generation) {
                    self.flush_shared(ui);
                }
            }
        }
    }

    /// Sends as much as the client takes now; nothing if it has left.
    pub(crate) fn flush_http2(&mut self, ci: usize) {
        let now_us = self.now_us;
        loop {
            self.grant(ci);
            let Some(c) = self.clients.get_mut(ci).filter(|c| c.phase == Phase::Http2) else {
                return;
            };
            let Some(h) = c.http2.as_deref_mut() else {
                return;
            };
            h.dirty = false;
            if h.is_lost() {
                return;
            }
            if c.conn.out.is_empty() {
                h.stalled_at = Ticks::MAX;
            }
            let n = h.session.output().len();
            if n == 0 || !c.conn.out.is_empty() {
                break;
            }
            let sent = c.conn.send(&mut self.io, h.session.output(), &mut Vec::new(), 0..0);
            self.counters.http2.sends.add(1);
            if sent.is_err() {
                return self.connection_lost(ci);
            }
            h.session.sent(n);
            let is_taken = c.conn.out.is_empty();
            h.stalled_at = if is_taken { Ticks::MAX } else { h.bounds.stalled_at(now_us) };
        }
        self.go_on_http2(ci);
    }

    /// Gives the streams their turns while there is room; those whose bytes are all taken continue in
    /// the next turn.
    fn grant(&mut self, ci: usize) {
        let now_us = self.now_us;
        let Some(c) = self.clients.get_mut(ci).filter(|c| c.conn.out.is_empty()) else {
            return;
        };
        let Some(h) = c.http2.as_deref_mut() else {
            return;
        };
        while let Some(grant) = h.session.grant() {
            let x = h.streams.get(&grant.stream).copied();
            let Some((x, e)) = x.and_then(|x| Some((x, self.exchanges.get_mut(x)?))) else {
                h.session.reset(grant.stream, hg_h2::Code::INTERNAL_ERROR);
                continue;
            };
            let (left, before) = (e.stream.held.len(), e.stream.held.memory());
            let part = Part {
                id: grant.stream,
                held: &mut e.stream.held,
                is_last: e.response.done,
                trailers: e.response.trailers(),
                never: &e.response.never,
            };
            let used = part.use_grant(&mut h.session, grant.bytes);
            h.held.note_taken(left.saturating_sub(e.stream.held.len()), now_us);
            h.held.note(&mut self.io.pool, (before, e.stream.held.memory()), now_us);
            if used.is_err() {
                h.session.reset(grant.stream, hg_h2::Code::INTERNAL_ERROR);
                continue;
            }
            let rest = e.stream.held.len();
            if (1..left).contains(&rest) {
                e.taken_from(now_us);
            }
            let goes_on = rest == 0 || e.goes_on_collecting(left, rest);
            if goes_on && !std::mem::replace(&mut e.stream.queued.answer, true) {
                self.agenda.add(Turn::Stream(x));
            }
        }
    }

    /// Handles what was waiting for the output: reading on, or the end of the connection.
    fn go_on_http2(&mut self, ci: usize) {
        let Some(c) = self.clients.get_mut(ci) else {
            return;
        };
        let Some(h) = c.http2.as_deref_mut() else {
            return;
        };
        if h.session.is_done() && h.streams.is_empty() && h.session.output().is_empty() {
            return self.close_politely(ci, false);
        }
        if c.conn.readable && h.session.may_read() {
            self.enqueue(ci);
        }
        self.rearm_http2(ci, true);
    }

    /// Passes on an interim answer; reports whether the stream goes on.
    pub(crate) fn send_interim(&mut self, x: ExId, head: &[u8]) -> bool {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return false;
        };
        let ci = e.client;
        let (head, never) = ((e.stream.id, head), &e.response.never);
        let h = c.http2.as_deref_mut();
        let sent = h.is_some_and(|h| send_head(h, head, never, false).is_ok());
        self.mark_dirty(ci);
        if !sent {
            self.client_gone(x);
        }
        sent
    }
}

#[cfg(test)]
mod tests;
