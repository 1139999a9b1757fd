//! Bodies in transit: read, checked, framed again, written. A relay never holds more than one read.

use super::Worker;
use super::answer::own;
use super::buffers::RESERVE;
use super::client::Phase;
use super::conn::{Read, make_room};
use super::exchange::{Relay, Stage};
use hg_proto::Fed;
use hg_proto::write::ChunkHeader;
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
    relay.bytes += fed.data_len as u64;
    relay.done = fed.done;
    let mut range = start..start + fed.data_len;
    if !relay.chunked {
        return range;
    }
    let trailers = relay.reader.trailers().to_vec();
    make_room(buffer, range.end + trailers.len());
    if fed.data_len > 0 {
        let header = ChunkHeader::new(fed.data_len as u64);
        let header = header.as_bytes();
        range.start = start.saturating_sub(header.len());
        put(buffer, range.start, header);
        put(buffer, range.end, b"\r\n");
        range.end += 2;
    }
    if fed.done {
        for part in [&b"0\r\n"[..], &trailers, b"\r\n"] {
            put(buffer, range.end, part);
            range.end += part.len();
        }
    }
    range
}

fn put(buffer: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = buffer.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

impl Worker {
    /// Passes on the client's body while the upstream takes it.
    pub(super) fn pump_request(&mut self, ci: usize) {
        for _ in 0..TURN {
            let Some(c) = self.clients.get_mut(ci) else {
                return;
            };
            let Some(e) = c.exchange.as_deref_mut() else {
                return;
            };
            if c.phase != Phase::Exchange || e.request.done || e.stage == Stage::Queued {
                return;
            }
            if e.stage == Stage::Collecting {
                return self.collect(ci);
            }
            let Some(ui) = e.up else { return };
            if self.ups.get(ui).is_none_or(|u| !u.conn.out.is_empty()) {
                return self.hold_body(ci, true);
            }
            self.hold_body(ci, false);
            let Some(c) = self.clients.get_mut(ci) else {
                return;
            };
            let early = std::mem::take(&mut c.input);
            if !early.is_empty() {
                let mut buffer = vec![0; RESERVE];
                buffer.extend_from_slice(&early);
                let end = buffer.len();
                self.relay_request(ci, ui, &mut buffer, RESERVE..end);
                continue;
            }
            if !c.conn.readable {
                return;
            }
            let go_on = self.splice_request(ci, ui);
            if !go_on.unwrap_or_else(|| self.read_request(ci, ui)) {
                return;
            }
        }
        self.enqueue(ci);
    }

    /// Reads once from a request's body and passes that on. Reports whether there may be more.
    fn read_request(&mut self, ci: usize, ui: usize) -> bool {
        let limit = self.io.pool.read_limit();
        let Some(c) = self.clients.get_mut(ci) else {
            return false;
        };
        let is_tls = c.conn.is_tls();
        let mut buffer = self.io.take_for(&c.conn);
        let read = c.conn.read(&mut self.io, &mut buffer, limit);
        let go_on = match read {
            Ok(Read::Data(range)) => {
                self.relay_request(ci, ui, &mut buffer, range);
                true
            }
            Ok(Read::Blocked) => false,
            // The body is cut short: the request cannot be completed.
            Ok(Read::End) | Err(_) => {
                self.client_gone(ci);
                false
            }
        };
        self.io.give_back(is_tls, buffer);
        go_on
    }

    fn relay_request(&mut self, ci: usize, ui: usize, buffer: &mut Vec<u8>, range: Range<usize>) {
        let Some(c) = self.clients.get_mut(ci) else {
            return;
        };
        let Some(e) = c.exchange.as_deref_mut() else {
            return;
        };
        let fed = match e.request.reader.feed(buffer.get_mut(range.clone()).unwrap_or_default()) {
            Ok(fed) => fed,
            Err(reject) => return self.refuse(ci, &reject),
        };
        if e.request.bytes + fed.data_len as u64 > e.body.limit {
            return self.refuse(ci, &own::BODY_TOO_LARGE);
        }
        let rest = buffer.get(range.start + fed.consumed..range.end).unwrap_or_default();
        c.input.extend_from_slice(rest);
        self.counters.bytes_received.add(fed.data_len as u64);
        let framed = frame(&mut e.request, buffer, range.start, &fed);
        e.replayable = false;
        e.body_came(fed.data_len, self.now_us);
        if e.request.done {
            e.start_waiting(self.now_us);
        }
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        if up.conn.send(&mut self.io, &[], buffer, framed).is_err() {
            // The upstream may have answered already and given the reason (RFC 9112 §9.5).
            return self.answer_or_lose(ci, ui);
        }
        self.progress(ci);
    }

    /// Writes what was kept for an upstream. Returns false if the connection is gone.
    pub(super) fn flush_up(&mut self, ci: usize, ui: usize) -> bool {
        let Some(up) = self.ups.get_mut(ui) else {
            return false;
        };
        match up.conn.flush(&mut self.io) {
            Ok(false) => {
                self.progress(ci);
                true
            }
            Ok(true) => {
                self.progress(ci);
                if self.clients.get(ci).is_some_and(|c| c.phase == Phase::Tunnel) {
                    self.pump_tunnel(ci);
                } else {
                    self.pump_request(ci);
                }
                self.ups.get(ui).is_some_and(|u| u.client == ci)
            }
            Err(_) => {
                self.answer_or_lose(ci, ui);
                false
            }
        }
    }

    /// Passes on the upstream's answer while the client takes it.
    pub(super) fn pump_response(&mut self, ci: usize) {
        for _ in 0..TURN {
            let Some(c) = self.clients.get_mut(ci) else {
                return;
            };
            let Some(e) = c.exchange.as_deref_mut() else {
                return;
            };
            if e.response.done || !e.answered || !c.conn.out.is_empty() {
                return;
            }
            let Some(ui) = e.up else { return };
            if self.ups.get(ui).is_none_or(|u| !u.conn.readable) {
                return;
            }
            let go_on = self.splice_answer(ci, ui);
            if !go_on.unwrap_or_else(|| self.read_body(ci, ui)) {
                return;
            }
        }
        self.enqueue(ci);
    }

    /// Reads once from an answer's body and passes that on. Reports whether there may be more.
    fn read_body(&mut self, ci: usize, ui: usize) -> bool {
        let limit = self.io.pool.read_limit();
        let Some(up) = self.ups.get_mut(ui) else {
            return false;
        };
        let is_tls = up.conn.is_tls();
        let mut buffer = self.io.take_for(&up.conn);
        let read = up.conn.read(&mut self.io, &mut buffer, limit);
        let go_on = match read {
            Ok(Read::Data(range)) => {
                self.relay_answer(ci, &[], &mut buffer, range);
                true
            }
            Ok(Read::Blocked) => false,
            Ok(Read::End) => {
                self.answer_ended(ci, &mut buffer);
                false
            }
            Err(e) => {
                self.truncated(ci, &e.to_string());
                false
            }
        };
        self.io.give_back(is_tls, buffer);
        go_on
    }

    /// Sends `head` and the part of the answer's body in `range`.
    pub(super) fn relay_answer(
        &mut self,
        ci: usize,
        head: &[u8],
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) {
        let Some(c) = self.clients.get_mut(ci) else {
            return;
        };
        let Some(e) = c.exchange.as_deref_mut() else {
            return;
        };
        let input = buffer.get_mut(range.clone()).unwrap_or_default();
        let fed = match e.response.reader.feed(input) {
            Ok(fed) => fed,
            Err(reject) => {
                let reject = reject.in_response();
                return if e.answered {
                    self.truncated(ci, reject.detail)
                } else {
                    self.refuse(ci, &reject)
                };
            }
        };
        let extra = fed.done && fed.consumed < range.len();
        let framed = frame(&mut e.response, buffer, range.start, &fed);
        self.counters.bytes_sent.add((head.len() + framed.len()) as u64);
        if c.conn.send(&mut self.io, head, buffer, framed).is_err() {
            return self.client_gone(ci);
        }
        e.answered = true;
        if e.response.done {
            self.answer_done(ci, extra);
        } else {
            self.progress(ci);
        }
    }

    /// Handles the end of the upstream's half: it completes an answer without length and truncates
    /// any other.
    fn answer_ended(&mut self, ci: usize, buffer: &mut Vec<u8>) {
        let Some(c) = self.clients.get_mut(ci) else {
            return;
        };
        let Some(e) = c.exchange.as_deref_mut() else {
            return;
        };
        if e.response.reader.eof().is_err() {
            return self.truncated(ci, own::RESPONSE_TRUNCATED.detail);
        }
        make_room(buffer, RESERVE);
        let fed = Fed { consumed: 0, data_len: 0, done: true };
        let framed = frame(&mut e.response, buffer, RESERVE, &fed);
        self.counters.bytes_sent.add(framed.len() as u64);
        if !framed.is_empty() && c.conn.send(&mut self.io, &[], buffer, framed).is_err() {
            return self.client_gone(ci);
        }
        self.answer_done(ci, true);
    }

    /// Ends an answer that stops in the middle, in a way that the client notices.
    pub(super) fn truncated(&mut self, ci: usize, why: &str) {
        self.counters.reject(own::RESPONSE_TRUNCATED.code);
        if let Some(e) = self.clients.get_mut(ci).and_then(|c| c.exchange.as_deref_mut()) {
            e.reason = own::RESPONSE_TRUNCATED.code;
        }
        self.detach(ci, Some(Outcome::Reset), why);
        self.cut(ci);
    }
}
