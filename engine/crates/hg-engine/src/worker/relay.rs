//! Bodies in transit: read, checked, framed again, written. A relay never holds more than one read.

use super::Worker;
use super::answer::own;
use super::buffers::RESERVE;
use super::conn::{Read, make_room};
use super::exchange::{ExId, Exchange, Relay, Stage, pair};
use super::http2;
use super::upload::BODIES_MOST;
use crate::counters::Bound;
use hg_proto::write::ChunkHeader;
use hg_proto::{Admission, Fed};
use hg_resilience::Outcome;
use std::ops::Range;

/// Reads of one body in one turn before other connections have theirs.
const TURN: usize = 4;

/// Frames in place what `fed` found at `start`: puts the chunk's header before it and its end after
/// it. May overwrite the bytes after the data and `RESERVE` bytes before it.
pub(super) fn frame(
    relay: &mut Relay,
    buffer: &mut Vec<u8>,
    start: usize,
    fed: &Fed,
) -> Range<usize> {
    let done = fed.done || relay.ends;
    relay.copy(buffer.get(start..start + fed.data_len).unwrap_or_default());
    relay.bytes += fed.data_len as u64;
    relay.done = done;
    let mut range = start..start + fed.data_len;
    if !relay.chunked {
        return range;
    }
    let trailers = relay.trailers().to_vec();
    make_room(buffer, range.end + trailers.len());
    if fed.data_len > 0 {
        let header = ChunkHeader::new(fed.data_len as u64);
        let header = header.as_bytes();
        range.start = start.saturating_sub(header.len());
        put(buffer, range.start, header);
        put(buffer, range.end, b"\r\n");
        range.end += 2;
    }
    if done {
        for part in [&b"0\r\n"[..], &trailers, b"\r\n"] {
            put(buffer, range.end, part);
            range.end += part.len();
        }
    }
    range
}

/// Frames a part of a request's body as [`frame`] does. Keeps no trailer that could not have stood in
/// the head: a backend that merges the two would take it for a line of the proxy's own.
pub(super) fn frame_upload(
    e: &mut Exchange,
    listener: u16,
    (buffer, start): (&mut Vec<u8>, usize),
    fed: &Fed,
) -> Range<usize> {
    if (fed.done || e.request.ends) && !e.request.trailers().is_empty() {
        e.request.trailers = Some(e.sifted_trailers(listener));
    }
    frame(&mut e.request, buffer, start, fed)
}

pub(super) fn put(buffer: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = buffer.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

impl Exchange {
    /// Returns the trailers of its request that may go to the endpoint: not those that its route sets or
    /// removes in the head, in any spelling, nor names with `_` that its listener does not keep.
    fn sifted_trailers(&self, listener: u16) -> Vec<u8> {
        let held = self.snapshot.as_ref();
        let entry = held.and_then(|held| held.listeners.get(usize::from(listener))?.as_deref());
        let (Some(entry), Some(route)) = (entry, self.route()) else {
            return Vec::new();
        };
        let underscores = entry.plan.underscores_in_headers;
        let admission = Admission { claims: false, underscores };
        let edits = route.terms.chain.request_headers();
        let is_kept = |line: &&[u8]| {
            let name = line.split(|b| *b == b':').next().unwrap_or_default();
            admission.takes(name) && !edits.drops_spelling(name)
        };
        let lines = self.request.trailers().split_inclusive(|b| *b == b'\n');
        lines.filter(is_kept).flatten().copied().collect()
    }
}

impl Worker {
    /// Passes on the client's body while the upstream takes it.
    pub(super) fn pump_request(&mut self, x: ExId) {
        for _ in 0..TURN {
            let Some(e) = self.exchanges.get(x) else {
                return;
            };
            if e.request.done || matches!(e.stage, Stage::Queued | Stage::Tunnel) {
                return;
            }
            if e.stage == Stage::Collecting {
                return self.collect(x);
            }
            let Some(ui) = e.up else { return };
            if !self.ups.get(ui).is_some_and(|up| e.has_room_at(up)) {
                return self.wait_for_endpoint(x);
            }
            self.hold_body(x, false);
            if self.exchanges.get(x).is_some_and(|e| e.request.has_undecoded()) {
                self.decode_on(x, ui);
                continue;
            }
            if self.exchanges.get(x).is_some_and(|e| e.stream.is_http2()) {
                self.pump_stream(x, ui);
                return;
            }
            let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
                return;
            };
            let early = std::mem::take(&mut c.input);
            if !early.is_empty() {
                let mut buffer = vec![0; RESERVE];
                buffer.extend_from_slice(&early);
                let end = buffer.len();
                self.relay_request(x, ui, &mut buffer, RESERVE..end);
                continue;
            }
            if !c.conn.readable {
                return;
            }
            let most = e.request.allowed(self.now_us);
            if most == 0 {
                return self.hold_back_upload(x);
            }
            let go_on = self.splice_request(x, ui);
            if !go_on.unwrap_or_else(|| self.read_request(x, ui, most)) {
                return;
            }
        }
        self.enqueue_exchange(x);
    }

    /// Reads no more of a body until its endpoint takes more.
    fn wait_for_endpoint(&mut self, x: ExId) {
        let is_reset = |ci| self.clients.get(ci).is_some_and(|c| c.conn.is_reset());
        // An event told of it while the endpoint still took something, and no read finds it.
        if self.exchanges.get(x).is_some_and(|e| e.is_half_open() && is_reset(e.client)) {
            return self.client_gone(x);
        }
        self.hold_body(x, true);
    }

    /// Reads once from a request's body and passes that on, at most so many bytes. Reports whether
    /// there may be more.
    fn read_request(&mut self, x: ExId, ui: usize, allowed: usize) -> bool {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return false;
        };
        let most = match e.is_multiplexed() {
            false => usize::MAX,
            true if self.io.pool.bodies() < BODIES_MOST => http2::STREAM_READ,
            true => {
                self.counters.http2.bound(Bound::Uploads);
                http2::STREAM_READ_LEAST
            }
        };
        let limit = self.io.pool.read_limit().min(most).min(allowed);
        let is_tls = c.conn.is_tls();
        let mut buffer = self.io.take_for(&c.conn);
        let read = c.conn.read(&mut self.io, &mut buffer, limit);
        let go_on = match read {
            Ok(Read::Data(range)) => {
                self.relay_request(x, ui, &mut buffer, range);
                true
            }
            Ok(Read::Blocked) => false,
            Ok(Read::End) if self.exchanges.get(x).is_some_and(|e| e.status == 101) => {
                if let Some(e) = self.exchanges.get_mut(x) {
                    e.request.ends = true;
                }
                self.relay_request(x, ui, &mut buffer, RESERVE..RESERVE);
                false
            }
            // The body is cut short: the request cannot be completed.
            Ok(Read::End) | Err(_) => {
                self.client_gone(x);
                false
            }
        };
        self.io.give_back(is_tls, buffer);
        go_on
    }

    pub(super) fn relay_request(
        &mut self,
        x: ExId,
        ui: usize,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        if e.is_multiplexed() {
            return self.relay_to_stream(x, buffer, range);
        }
        let fed = match e.request.reader.feed(buffer.get_mut(range.clone()).unwrap_or_default()) {
            Ok(fed) => fed,
            Err(reject) => return self.refuse(x, &reject),
        };
        if e.request.came() + fed.data_len as u64 > e.body.limit {
            return self.refuse(x, &own::BODY_TOO_LARGE);
        }
        let rest = buffer.get(range.start + fed.consumed..range.end).unwrap_or_default();
        c.input.extend_from_slice(rest);
        self.counters.bytes_received.add(fed.data_len as u64);
        let mut own = self.scratch.codecs.buffer_for(&e.request);
        let place = (buffer, range.start);
        let part = e.request.decode(&mut own, place, &fed, self.mailbox.index);
        let (buffer, start, made) = match part {
            Ok(part) => part,
            Err(reject) => return self.refuse(x, &reject),
        };
        let framed = frame_upload(e, c.listener, (buffer, start), &made);
        e.keep_for_retry(buffer.get(framed.clone()).unwrap_or_default());
        e.body_came(fed.data_len, self.now_us);
        if e.request.done {
            e.start_waiting(self.now_us);
        }
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        if up.conn.send(&mut self.io, &[], buffer, framed).is_err() {
            // The upstream may have answered already and given the reason (RFC 9112 §9.5).
            return self.answer_or_lose(x, ui);
        }
        self.scratch.codecs.keep(own);
        self.expect_hedge(x);
        self.progress(x);
        self.release_mirrors(x);
        self.end_tunnel_half(x, ui);
    }

    /// Writes what was kept for an upstream. Returns false if the connection is gone.
    pub(super) fn flush_up(&mut self, x: ExId, ui: usize) -> bool {
        let Some(up) = self.ups.get_mut(ui) else {
            return false;
        };
        match up.conn.flush(&mut self.io) {
            Ok(false) => {
                self.progress(x);
                true
            }
            Ok(true) => {
                self.progress(x);
                if self.exchanges.get(x).is_some_and(|e| e.stage == Stage::Tunnel) {
                    self.pump_tunnel(x);
                } else {
                    self.end_tunnel_half(x, ui);
                    self.pump_request(x);
                }
                self.ups.get(ui).is_some_and(|u| u.exchange == Some(x))
            }
            Err(_) => {
                self.answer_or_lose(x, ui);
                false
            }
        }
    }

    /// Passes on the upstream's answer while the client takes it.
    pub(super) fn pump_response(&mut self, x: ExId) {
        for _ in 0..TURN {
            let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
                return;
            };
            if e.response.done || !e.answered {
                return;
            }
            let room = c.room(e, &self.io.pool);
            if room == 0 {
                return;
            }
            let Some(ui) = e.up else { return };
            if self.ups.get(ui).is_none_or(|u| !u.conn.readable) {
                return;
            }
            let most = e.response.allowed(self.now_us);
            if most == 0 {
                return self.hold_back(x);
            }
            let go_on = self.splice_answer(x, ui);
            if !go_on.unwrap_or_else(|| self.read_body(x, ui, most.min(room))) {
                return;
            }
        }
        self.enqueue_exchange(x);
    }

    /// Reads once from an answer's body and passes that on, at most so many bytes. Reports whether
    /// there may be more.
    fn read_body(&mut self, x: ExId, ui: usize, most: usize) -> bool {
        let limit = self.answer_limit(x).min(most);
        let Some(up) = self.ups.get_mut(ui) else {
            return false;
        };
        let is_tls = up.conn.is_tls();
        let mut buffer = self.io.take_for(&up.conn);
        let read = up.conn.read(&mut self.io, &mut buffer, limit);
        let go_on = match read {
            Ok(Read::Data(range)) => {
                self.relay_answer(x, &[], &mut buffer, range);
                true
            }
            Ok(Read::Blocked) => false,
            Ok(Read::End) => {
                self.answer_ended(x, &mut buffer);
                false
            }
            Err(e) => {
                self.truncated(x, &e.to_string());
                false
            }
        };
        self.io.give_back(is_tls, buffer);
        go_on
    }

    /// Sends `head` and the part of the answer's body in `range`.
    pub(super) fn relay_answer(
        &mut self,
        x: ExId,
        head: &[u8],
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        let input = buffer.get_mut(range.clone()).unwrap_or_default();
        let fed = match e.response.reader.feed(input) {
            Ok(fed) => fed,
            Err(reject) => {
                let reject = reject.in_response();
                return if e.answered {
                    self.truncated(x, reject.detail)
                } else {
                    self.refuse(x, &reject)
                };
            }
        };
        let extra = fed.done && fed.consumed < range.len();
        let is_behind =
            e.answered && self.clients.get(e.client).is_some_and(|c| !c.has_taken_all(e));
        let mut own = self.scratch.codecs.buffer_for(&e.response);
        let (buffer, framed) =
            e.response.frame_coded(&mut self.scratch.codecs, &mut own, (buffer, range.start), &fed);
        if e.status == 101 {
            e.frames.feed(buffer.get(framed.clone()).unwrap_or_default());
        }
        if !self.send_part(x, head, buffer, framed) {
            return;
        }
        self.scratch.codecs.keep(own);
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        e.answered = true;
        if e.response.done {
            self.answer_done(x, extra);
        } else if !is_behind {
            // Else it is collected for a client that takes nothing now.
            self.progress(x);
        }
    }

    /// Sends `head` and a part of the answer's body to whom it is for. Reports whether that is still
    /// there.
    #[inline]
    fn send_part(
        &mut self,
        x: ExId,
        head: &[u8],
        buffer: &mut Vec<u8>,
        framed: Range<usize>,
    ) -> bool {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return false;
        };
        if e.is_sub() {
            return self.take_sub_body(x, buffer.get(framed).unwrap_or_default());
        }
        self.counters.bytes_sent.add((head.len() + framed.len()) as u64);
        if e.stream.is_http2() {
            return self.send_stream(x, head, buffer.get(framed).unwrap_or_default());
        }
        let is_sent = c.conn.send(&mut self.io, head, buffer, framed).is_ok();
        if !is_sent {
            self.client_gone(x);
        }
        is_sent
    }

    /// Handles the end of the upstream's half: it completes an answer without length and truncates
    /// any other.
    fn answer_ended(&mut self, x: ExId, buffer: &mut Vec<u8>) {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        // Over TLS, an end without close_notify may be that of somebody on the way (RFC 9112 §9.8).
        let is_cut = e.up.and_then(|ui| self.ups.get(ui)).is_some_and(|up| up.conn.is_cut());
        if e.response.reader.eof().is_err() || is_cut {
            return self.truncated(x, own::RESPONSE_TRUNCATED.detail);
        }
        make_room(buffer, RESERVE);
        let fed = Fed { consumed: 0, data_len: 0, done: true };
        let mut own = Vec::new();
        let (buffer, framed) =
            e.response.frame_coded(&mut self.scratch.codecs, &mut own, (buffer, RESERVE), &fed);
        self.counters.bytes_sent.add(framed.len() as u64);
        if e.stream.is_http2() {
            if !self.send_stream(x, &[], buffer.get(framed).unwrap_or_default()) {
                return;
            }
        } else if !framed.is_empty() && c.conn.send(&mut self.io, &[], buffer, framed).is_err() {
            return self.client_gone(x);
        }
        self.answer_done(x, true);
    }

    /// Ends an answer that stops in the middle, in a way that the client notices.
    pub(super) fn truncated(&mut self, x: ExId, why: &str) {
        self.counters.reject(own::RESPONSE_TRUNCATED.code);
        if let Some(e) = self.exchanges.get_mut(x) {
            e.reason = own::RESPONSE_TRUNCATED.code;
        }
        self.detach(x, Some(Outcome::Reset), why);
        self.cut(x);
    }
}

#[cfg(test)]
mod tests;
