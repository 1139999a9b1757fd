//! A request's body before and during its way to the upstream: how large it may be, how slowly it
//! may come, and the collecting of small bodies before the worker asks the upstream.

use super::Worker;
use super::accept::deadline_after;
use super::answer::own;
use super::buffers::RESERVE;
use super::client::Phase;
use super::conn::Read;
use super::exchange::{ExId, Exchange, Stage, pair};
use crate::snapshot::{ListenerEntry, RouteEntry};
use hg_net::{Clock, Ticks};
use hg_proto::{BodyReader, RequestHead};
use std::ops::Range;

/// Largest body that is kept with the head, so that both can be sent again.
const REPLAY_BODY: usize = 16 * 1024;
/// Most bytes that a worker holds of requests' bodies; above it, bodies pass on as they come, and in
/// smaller pieces to endpoints over HTTP/2.
pub(super) const BODIES_MOST: usize = 64 * 1024 * 1024;
/// Reads of one body in one turn before other connections have theirs.
const TURN: usize = 4;

/// Limits and progress of one request's body.
#[derive(Default)]
pub(crate) struct Body {
    /// Most bytes that it may have.
    pub(crate) limit: u64,
    /// Bytes of it that wait here for the rest.
    pub(crate) collected: usize,
    pace: Pace,
}

/// The check whether a body comes quickly enough. The body may fall behind its rate by `grace_us`;
/// bytes that came early give no credit for a later pause beyond that.
#[derive(Default)]
struct Pace {
    /// Bytes per second; 0 = any.
    rate: u64,
    grace_us: u64,
    /// The time at which the body has fallen too far behind; 0 = not watched.
    due_us: u64,
    /// The time since which none of it is read, because the upstream takes nothing; 0 = it is read.
    held_us: u64,
}

impl Pace {
    fn begin(&mut self, now_us: u64, grace_ms: u64, rate: u64) {
        let grace_us = grace_ms.saturating_mul(1000);
        let due_us = if grace_ms == 0 { 0 } else { now_us.saturating_add(grace_us) };
        *self = Self { rate, grace_us, due_us, held_us: 0 };
    }

    /// Counts bytes that have come.
    fn came(&mut self, bytes: usize, now_us: u64) {
        if self.due_us == 0 {
            return;
        }
        let most = now_us.saturating_add(self.grace_us);
        let bytes_us = (bytes as u64).saturating_mul(1_000_000);
        let earned = bytes_us.checked_div(self.rate).unwrap_or(u64::MAX);
        self.due_us = self.due_us.saturating_add(earned).min(most);
    }

    /// Pauses the clock while the body is not read, which is not the client's doing. Reports
    /// whether that has changed.
    fn hold(&mut self, is_held: bool, now_us: u64) -> bool {
        if self.due_us == 0 || is_held == (self.held_us > 0) {
            return false;
        }
        if is_held {
            self.held_us = now_us;
        } else {
            self.due_us = self.due_us.saturating_add(now_us.saturating_sub(self.held_us));
            self.held_us = 0;
        }
        true
    }

    fn deadline(&self) -> Ticks {
        if self.due_us == 0 || self.held_us > 0 {
            return Ticks::MAX;
        }
        Clock::after(self.due_us, 0)
    }
}

impl Exchange {
    /// Starts to expect the body now.
    pub(super) fn expect_body(&mut self, now_us: u64) {
        let Some((grace_ms, rate)) =
            self.route().map(|r| (r.terms.timeouts.body_ms, r.terms.timeouts.body_rate))
        else {
            return;
        };
        self.body.pace.begin(now_us, grace_ms, rate);
    }

    /// Starts to pass on the body, on a connection that is there.
    pub(super) fn start_upload(&mut self, now_us: u64) {
        self.times.upload_us = (now_us, 0);
        self.expect_body(now_us);
    }

    /// Starts to wait for the answer's first byte, now that the request is out.
    pub(super) fn start_waiting(&mut self, now_us: u64) {
        let ms = self.route().map_or(0, |r| r.terms.timeouts.first_byte_ms);
        self.due.first_byte = deadline_after(now_us, ms);
        if self.times.upload_us.0 > 0 {
            self.times.upload_us.1 = now_us;
        }
    }

    /// Counts bytes of the body that have come.
    pub(super) fn body_came(&mut self, bytes: usize, now_us: u64) {
        self.body.pace.came(bytes, now_us);
    }

    /// Returns when the body has come too slowly; once an answer has begun, that is the upstream's
    /// concern.
    pub(super) fn body_deadline(&self) -> Ticks {
        let is_read = matches!(self.stage, Stage::Collecting | Stage::Waiting);
        if !is_read || self.request.done || self.answered {
            return Ticks::MAX;
        }
        self.body.pace.deadline()
    }

    /// Reports whether this worker may collect the rest of a body of which it holds `held` bytes.
    fn may_collect(&self, held: usize) -> bool {
        let most = self.route().map_or(0, |r| r.terms.bodies.request_buffer);
        let fits = match self.request.reader {
            BodyReader::Length { left } if self.request.decoded.is_none() => {
                self.request.bytes.saturating_add(left) <= most
            }
            _ => self.request.bytes < most,
        };
        most > 0 && fits && !self.request.done && held < BODIES_MOST
    }
}

impl Worker {
    pub(super) fn is_body_too_large(
        &mut self,
        x: ExId,
        head: &RequestHead<'_, '_>,
        route: &RouteEntry,
        listener: &ListenerEntry,
    ) -> bool {
        let limit = route.terms.bodies.most.unwrap_or(listener.plan.body_bytes);
        if let Some(e) = self.exchanges.get_mut(x) {
            e.body.limit = if limit == 0 { u64::MAX } else { limit };
        }
        let too_large =
            limit > 0 && matches!(head.framing, hg_proto::Framing::Length(n) if n > limit);
        if too_large {
            self.refuse(x, &own::BODY_TOO_LARGE);
        }
        too_large
    }

    /// Sends the rest of a request whose head is out.
    pub(super) fn go_on_sending(&mut self, x: ExId) {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        if e.request.done {
            self.expect_hedge(x);
            self.progress(x);
            return self.release_mirrors(x);
        }
        let has_begun = match e.stream.is_http2() {
            // A frame of any stream may wait for its rest with the connection.
            true => e.stream.has_input(),
            false => !c.input.is_empty(),
        };
        if e.expects_continue && !has_begun {
            e.expects_continue = false;
            if !self.send_continue(x) {
                return;
            }
        }
        self.progress(x);
        self.pump_request(x);
    }

    /// Takes the bytes of the body that have come, finds a connection and sends, or waits for the
    /// rest. Returns where the bytes of the next request begin.
    pub(super) fn start_body(
        &mut self,
        x: ExId,
        buffer: &mut Vec<u8>,
        rest: Range<usize>,
    ) -> usize {
        let Some(e) = self.exchanges.get_mut(x) else {
            return rest.end;
        };
        if e.request.done {
            self.dispatch(x);
            return rest.start;
        }
        let mut next = rest.end;
        if !(e.expects_continue && rest.is_empty()) {
            let Some(used) = self.keep_body(x, buffer, rest) else {
                return next;
            };
            next = used;
        }
        if !self.begin_collecting(x) {
            self.dispatch(x);
        }
        next
    }

    /// Keeps the body's bytes in `range` after the head. Returns where they end, or `None` if the
    /// request is over.
    fn keep_body(&mut self, x: ExId, buffer: &mut Vec<u8>, range: Range<usize>) -> Option<usize> {
        let (e, c) = pair(&mut self.exchanges, &mut self.clients, x)?;
        let input = buffer.get_mut(range.clone()).unwrap_or_default();
        let fed = match e.request.reader.feed(input) {
            Ok(fed) => fed,
            Err(reject) => {
                self.refuse(x, &reject);
                return None;
            }
        };
        if e.request.came() + fed.data_len as u64 > e.body.limit {
            self.refuse(x, &own::BODY_TOO_LARGE);
            return None;
        }
        // Framing may overwrite what follows the body: the next request, if the client did not wait.
        let next = range.start + fed.consumed;
        let after = match e.request.chunked {
            true => buffer.get(next..range.end).unwrap_or_default().to_vec(),
            false => Vec::new(),
        };
        let mut own = self.scratch.codecs.buffer_for(&e.request);
        let place = (&mut *buffer, range.start);
        let part = match e.request.decode(&mut own, place, &fed, self.mailbox.index) {
            Ok(part) => part,
            Err(reject) => {
                self.refuse(x, &reject);
                return None;
            }
        };
        let (part, start, made) = part;
        let framed = super::relay::frame_upload(e, c.listener, (part, start), &made);
        e.head.extend_from_slice(part.get(framed).unwrap_or_default());
        self.scratch.codecs.keep(own);
        super::relay::put(buffer, next, &after);
        // Larger bodies cannot be sent again, but they pass on all the same.
        e.replayable = match e.retry() {
            Some(_) => e.request.bytes <= super::retry::REPLAY_BYTES,
            None => e.request.done && e.request.bytes <= REPLAY_BODY as u64,
        };
        e.body_came(fed.data_len, self.now_us);
        self.counters.bytes_received.add(fed.data_len as u64);
        Some(next)
    }

    /// Waits for the rest of a small body if its route asks for that. Returns false if it does not.
    pub(super) fn begin_collecting(&mut self, x: ExId) -> bool {
        let held = self.io.pool.bodies();
        let Some(e) = self.exchanges.get_mut(x) else {
            return false;
        };
        if !e.may_collect(held) {
            return false;
        }
        e.stage = Stage::Collecting;
        e.expect_body(self.now_us);
        let is_asked = std::mem::take(&mut e.expects_continue) && e.request.bytes == 0;
        if is_asked && !self.send_continue(x) {
            return true;
        }
        self.note_collected(x);
        self.progress(x);
        self.collect(x);
        true
    }

    /// Adds what an exchange holds of its body to the worker's sum.
    fn note_collected(&mut self, x: ExId) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        let now = usize::try_from(e.request.bytes).unwrap_or(usize::MAX);
        self.io.pool.collected += now.saturating_sub(e.body.collected);
        e.body.collected = now;
    }

    /// Reads more of a body that is being collected; asks the upstream once the body is whole, or
    /// larger than the bytes that may be kept.
    pub(super) fn collect(&mut self, x: ExId) {
        if self.exchanges.get(x).is_some_and(|e| e.request.has_undecoded()) {
            self.collect_bytes(x, &mut vec![0; RESERVE], RESERVE..RESERVE);
            return self.enqueue_exchange(x);
        }
        if self.exchanges.get(x).is_some_and(|e| e.stream.is_http2()) {
            return self.collect_stream(x);
        }
        for _ in 0..TURN {
            let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
                return;
            };
            if e.stage != Stage::Collecting || !c.conn.readable {
                return;
            }
            let most = e.request.allowed(self.now_us);
            if most == 0 {
                return self.hold_back_upload(x);
            }
            let limit = self.io.pool.read_limit().min(most);
            let is_tls = c.conn.is_tls();
            let mut buffer = self.io.take_for(&c.conn);
            let go_on = match c.conn.read(&mut self.io, &mut buffer, limit) {
                Ok(Read::Data(range)) => {
                    self.collect_bytes(x, &mut buffer, range);
                    true
                }
                Ok(Read::Blocked) => false,
                // The body is cut short: the request cannot be completed.
                Ok(Read::End) | Err(_) => {
                    self.client_gone(x);
                    false
                }
            };
            self.io.give_back(is_tls, buffer);
            if !go_on {
                return;
            }
        }
        self.enqueue_exchange(x);
    }

    pub(super) fn collect_bytes(&mut self, x: ExId, buffer: &mut Vec<u8>, range: Range<usize>) {
        let Some(next) = self.keep_body(x, buffer, range.clone()) else {
            return;
        };
        self.note_collected(x);
        let held = self.io.pool.bodies();
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        c.input.extend_from_slice(buffer.get(next..range.end).unwrap_or_default());
        if e.may_collect(held) {
            return self.progress(x);
        }
        // The upstream's timeouts begin now.
        e.stage = Stage::Connecting;
        let connect_ms = e.entry().map_or(0, |u| u.plan.connect_timeout_ms);
        e.due.connect = deadline_after(self.now_us, connect_ms);
        self.dispatch(x);
    }

    /// Ends a body whose time has run out, unless bytes that came in time are in the socket.
    /// Returns true if the request is over.
    pub(super) fn expire_body(&mut self, x: ExId) {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        let ci = e.client;
        if hg_net::is_readable_or_closed(&c.conn.fd) {
            c.conn.readable = true;
            match c.phase {
                Phase::Http2 => self.on_client_readable(ci),
                _ => self.pump_request(x),
            }
        }
        let is_late = |e: &Exchange| e.body_deadline() <= self.now;
        let exchange = self.exchanges.get(x);
        if exchange.is_some_and(is_late) {
            self.counters.timeout(crate::counters::Timeout::Body);
            return self.refuse(x, &own::BODY_TIMEOUT);
        }
        self.rearm(x);
    }

    /// Notes whether a body is not read because the upstream takes nothing.
    pub(super) fn hold_body(&mut self, x: ExId, is_held: bool) {
        let now_us = self.now_us;
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        if e.body.pace.hold(is_held, now_us) {
            self.progress(x);
        }
    }
}

#[cfg(test)]
mod tests;
