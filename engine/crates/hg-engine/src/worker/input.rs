//! Events of a client's socket, and the bytes of the heads that it brings.

use super::Worker;
use super::buffers::RESERVE;
use super::client::Phase;
use super::conn::Read;
use super::exchange::{ExId, Exchange, pair};
use hg_net::Event;
use hg_proto::is_worth_parsing;
use std::ops::Range;

/// Bytes read at once if a head is expected; a small upload comes along in the same read.
const HEAD_READ: usize = 64 * 1024;
/// Requests of one connection served in one turn before other connections have theirs.
const PIPELINE_BATCH: usize = 8;

impl Worker {
    pub(super) fn on_client_event(&mut self, ci: usize, event: Event) {
        let Some(c) = self.clients.get_mut(ci) else {
            return;
        };
        // A tunnel's client may have sent something before both halves ended.
        let of = c.exchange.filter(|_| event.closed).and_then(|x| self.exchanges.get(x));
        let may_have_sent = c.phase == Phase::Tunnel || of.is_some_and(Exchange::is_half_open);
        if event.closed && !may_have_sent {
            return self.connection_lost(ci);
        }
        c.conn.note_event(&event);
        if event.writable && !c.conn.out.is_empty() && !self.flush_client(ci) {
            return;
        }
        if self.clients.get(ci).is_some_and(|c| c.conn.readable) {
            self.on_client_readable(ci);
        }
    }

    /// Writes what was kept for a client. Returns false if the connection was closed.
    fn flush_client(&mut self, ci: usize) -> bool {
        let Some(c) = self.clients.get_mut(ci) else {
            return false;
        };
        let c_is_http2 = c.phase == Phase::Http2;
        let before = c.conn.out.waiting();
        match c.conn.flush(&mut self.io) {
            Ok(false) => {
                self.note_progress(ci);
                self.note_http2_progress(ci);
                self.collect_on(ci, before);
                self.clients.contains(ci)
            }
            Ok(true) => {
                self.note_progress(ci);
                if c_is_http2 {
                    self.mark_dirty(ci);
                    return true;
                }
                self.proceed(ci);
                self.clients.contains(ci)
            }
            Err(_) => {
                self.connection_lost(ci);
                false
            }
        }
    }

    /// Continues whatever can continue, because there is room towards the client or its turn has
    /// come.
    pub(super) fn proceed(&mut self, ci: usize) {
        let Some(c) = self.clients.get(ci) else {
            return;
        };
        match c.phase {
            Phase::Exchange => {
                if let Some(x) = c.exchange {
                    self.proceed_exchange(x);
                }
            }
            Phase::Tunnel => {
                if let Some(x) = c.exchange {
                    self.pump_tunnel(x);
                }
            }
            Phase::Closing { unread } => {
                if c.conn.out.is_empty() {
                    self.close_politely(ci, unread);
                }
            }
            Phase::Http2 => self.read_http2(ci),
            Phase::Lingering => self.discard_input(ci),
            Phase::ProxyHeader
            | Phase::Detect
            | Phase::Hello(_)
            | Phase::Handshake
            | Phase::Idle
            | Phase::Head => {
                self.use_input(ci);
                // The bytes kept may end inside a head whose rest came during the last request: no
                // event will announce it again.
                if self.clients.get(ci).is_some_and(|c| c.conn.readable) {
                    self.on_client_readable(ci);
                }
            }
        }
    }

    /// Continues an exchange whose client may take more, or has sent more.
    pub(super) fn proceed_exchange(&mut self, x: ExId) {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        if c.has_taken_all(e) && e.is_answer_complete() {
            match e.status {
                101 if e.is_half_open() => self.end_answer_half(x),
                101 => return self.answer_done(x, true),
                _ => return self.finish(x),
            }
        }
        let Some(e) = self.exchanges.get(x) else {
            return;
        };
        if e.is_multiplexed() {
            self.pump_answer(x);
        } else if let Some(ui) = e.up {
            self.on_up_readable(x, ui);
        }
        if self.upstreams.hedged > 0 {
            self.proceed_other(x);
        }
        if pair(&mut self.exchanges, &mut self.clients, x).is_some_and(|(e, c)| c.has_input(e)) {
            self.pump_request(x);
        }
    }

    /// Notes that a client has taken something.
    fn note_progress(&mut self, ci: usize) {
        if let Some(x) = self.clients.get(ci).and_then(|c| c.exchange) {
            self.progress(x);
        }
    }

    pub(super) fn on_client_readable(&mut self, ci: usize) {
        let Some(c) = self.clients.get(ci) else {
            return;
        };
        match c.phase {
            Phase::ProxyHeader | Phase::Detect | Phase::Hello(_) => self.read_first(ci),
            Phase::Handshake | Phase::Idle | Phase::Head => self.read_head(ci),
            Phase::Exchange | Phase::Tunnel => match c.exchange {
                Some(x) if c.phase == Phase::Exchange => self.pump_request(x),
                Some(x) => self.pump_tunnel(x),
                None => {}
            },
            Phase::Http2 => self.read_http2(ci),
            Phase::Lingering => self.discard_input(ci),
            Phase::Closing { .. } => {}
        }
    }

    fn read_head(&mut self, ci: usize) {
        for _ in 0..PIPELINE_BATCH {
            let Some(c) = self.clients.get_mut(ci) else {
                return;
            };
            let waits = matches!(c.phase, Phase::Handshake | Phase::Idle | Phase::Head);
            // Requests that wait for their turn are served before more is read, so a client can
            // have at most a head and one read here.
            let has_turn = c.standing.queued && !c.input.is_empty();
            // An answer that the client does not take holds back its next request.
            if !waits || has_turn || !c.conn.readable || !c.conn.out.is_empty() {
                return;
            }
            let is_tls = c.conn.is_tls();
            let limit = c.conn.first_read(HEAD_READ);
            let mut buffer = self.io.take_for(&c.conn);
            let read = c.conn.read(&mut self.io, &mut buffer, limit);
            let go_on = match read {
                Ok(Read::Data(range)) => {
                    self.note_handshake(ci);
                    if self.clients.get(ci).is_some_and(|c| c.phase == Phase::Http2) {
                        self.on_frames(ci, &buffer, range);
                    } else if !range.is_empty() {
                        self.on_head_bytes(ci, &mut buffer, range);
                    }
                    true
                }
                Ok(Read::Blocked) => false,
                Ok(Read::End) => {
                    // The client ended between or inside heads: nobody waits for an answer.
                    self.close_client(ci);
                    false
                }
                Err(e) => {
                    self.handshake_failed(ci);
                    self.close_after(ci, &e);
                    false
                }
            };
            self.io.give_back(is_tls, buffer);
            if !go_on {
                return;
            }
            // Frames may wait in the socket; no event will announce them again.
            if self.clients.get(ci).is_some_and(|c| c.phase == Phase::Http2) {
                return self.enqueue(ci);
            }
        }
        self.enqueue(ci);
    }

    fn on_head_bytes(&mut self, ci: usize, buffer: &mut Vec<u8>, range: Range<usize>) {
        let Some(c) = self.clients.get_mut(ci) else {
            return;
        };
        if c.input.is_empty() {
            let rest = self.take_requests(ci, buffer, range);
            self.keep_input(ci, buffer.get(rest).unwrap_or_default());
            return;
        }
        let more = buffer.get(range).unwrap_or_default();
        let before = c.input.len();
        c.input.extend_from_slice(more);
        // Only in this phase a part of a head is there, which was parsed before.
        if c.phase == Phase::Head
            && self.listener(ci).is_some_and(|l| !is_worth_parsing(before, more, &l.limits))
        {
            return;
        }
        self.use_input(ci);
    }

    /// Continues with bytes that came earlier, if there are any.
    pub(super) fn use_input(&mut self, ci: usize) {
        let Some(c) = self.clients.get_mut(ci) else {
            return;
        };
        if c.input.is_empty() || !matches!(c.phase, Phase::Idle | Phase::Head) {
            return;
        }
        let mut input = std::mem::take(&mut c.input);
        // Room before the first byte: see `relay::frame`.
        input.splice(0..0, [0u8; RESERVE]);
        let end = input.len();
        let rest = self.take_requests(ci, &mut input, RESERVE..end);
        self.keep_input(ci, input.get(rest).unwrap_or_default());
    }

    pub(super) fn keep_input(&mut self, ci: usize, rest: &[u8]) {
        if let Some(c) = self.clients.get_mut(ci)
            && !rest.is_empty()
        {
            debug_assert!(c.input.is_empty());
            c.input.extend_from_slice(rest);
        }
    }

    /// Takes as many requests as can be served at once; returns the range of what is left.
    fn take_requests(
        &mut self,
        ci: usize,
        buffer: &mut Vec<u8>,
        mut range: Range<usize>,
    ) -> Range<usize> {
        for _ in 0..PIPELINE_BATCH {
            let Some(c) = self.clients.get_mut(ci) else {
                return 0..0;
            };
            if !matches!(c.phase, Phase::Idle | Phase::Head) || !c.conn.out.is_empty() {
                // The code that finishes the request, or flushes, returns to it.
                return range;
            }
            if range.is_empty() {
                return range;
            }
            if c.phase == Phase::Idle {
                c.phase = Phase::Head;
                self.start_head_timer(ci);
            }
            match self.take_request(ci, buffer, range.clone()) {
                Some(start) => range = start..range.end,
                None => return range,
            }
        }
        self.enqueue(ci);
        range
    }

    /// Discards what comes after an answer that closes the connection, up to a bound.
    pub(super) fn discard_input(&mut self, ci: usize) {
        loop {
            let Some(c) = self.clients.get_mut(ci) else {
                return;
            };
            let is_tls = c.conn.is_tls();
            let mut buffer = self.io.take_for(&c.conn);
            let read = c.conn.read(&mut self.io, &mut buffer, HEAD_READ);
            self.io.give_back(is_tls, buffer);
            match read {
                Ok(Read::Data(range)) => {
                    let Some(c) = self.clients.get_mut(ci) else {
                        return;
                    };
                    // `requests` has no other use by now: it counts down what may still come.
                    c.requests =
                        c.requests.saturating_sub(u32::try_from(range.len()).unwrap_or(u32::MAX));
                    if c.requests == 0 {
                        return self.close_client(ci);
                    }
                    if !c.conn.readable {
                        return;
                    }
                }
                Ok(Read::Blocked) => return,
                Ok(Read::End) | Err(_) => return self.close_client(ci),
            }
        }
    }
}
