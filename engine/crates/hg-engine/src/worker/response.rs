//! The upstream's answer: its head and interim heads, and what happens if none comes.

use super::Worker;
use super::accept::deadline_after;
use super::answer::{own, persistence};
use super::buffers::RESERVE;
use super::conn::Read;
use super::encode::Coded;
use super::exchange::{Connection, ExId, Exchange, Stage, pair};
use super::up::UpPhase;
use crate::counters::Retry;
use hg_proto::websocket::Accept;
use hg_proto::write::{self, Persistence};
use hg_proto::{HeaderSlots, Known, Parse, RespFraming, ResponseHead, Version, is_worth_parsing};
use std::ops::Range;

/// The time for which requests that must not be sent twice avoid the idle connections of an
/// endpoint that closed one during a request.
const DISTRUST_MS: u64 = 10_000;
/// Bytes read at once if an answer's head is expected: most bodies come along in the same read, and
/// most of a large one is left to be spliced.
const FIRST_READ: usize = 80 * 1024;

/// Most interim answers to one request: as many as WebDAV sends in half an hour (RFC 2518 §10.1).
const MAX_INTERIM: u32 = 100;

/// The kind of the first bytes of the input.
pub(super) enum Next {
    /// More bytes are needed.
    More,
    /// An interim head; the next head begins here.
    Interim(usize),
    /// The head is complete; its body begins here.
    Body(usize),
    /// A tunnel begins here.
    Tunnel(usize),
    /// The exchange is over.
    Over,
}

impl Worker {
    pub(super) fn on_up_readable(&mut self, x: ExId, ui: usize) {
        match self.exchanges.get(x).map(|e| e.stage) {
            Some(Stage::Tunnel) => self.pump_tunnel(x),
            Some(Stage::Waiting) => self.read_answer(x, ui),
            Some(Stage::Answering) => self.pump_response(x),
            _ => {}
        }
    }

    fn read_answer(&mut self, x: ExId, ui: usize) {
        loop {
            let Some(e) = self.exchanges.get(x) else {
                return;
            };
            if e.stage == Stage::Answering {
                // The bytes after the head may have come with it.
                return self.pump_response(x);
            }
            if e.stage != Stage::Waiting || e.up != Some(ui) {
                return;
            }
            let limit = self.answer_limit(x).min(e.response.first_read());
            let Some(up) = self.ups.get_mut(ui).filter(|u| u.conn.readable) else {
                return;
            };
            let limit = limit.min(up.conn.first_read(FIRST_READ));
            let is_tls = up.conn.is_tls();
            let mut buffer = self.io.take_for(&up.conn);
            let read = up.conn.read(&mut self.io, &mut buffer, limit);
            match read {
                Ok(Read::Data(range)) => {
                    self.on_answer_bytes(x, ui, &mut buffer, range);
                }
                Ok(Read::Blocked) => {}
                Ok(Read::End) => self.upstream_lost(x, ui, "closed before it answered"),
                Err(e) => self.upstream_lost(x, ui, &e.to_string()),
            }
            self.io.give_back(is_tls, buffer);
        }
    }

    fn on_answer_bytes(&mut self, x: ExId, ui: usize, buffer: &mut Vec<u8>, range: Range<usize>) {
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        if up.input.is_empty() {
            return self.take_answer(x, ui, buffer, range);
        }
        let more = buffer.get(range).unwrap_or_default();
        let before = up.input.len();
        up.input.extend_from_slice(more);
        let limits = self.exchanges.get(x).and_then(Exchange::entry).map(|u| &u.limits);
        if limits.is_some_and(|limits| !is_worth_parsing(before, more, limits)) {
            return;
        }
        let mut input = std::mem::take(&mut up.input);
        input.splice(0..0, [0u8; RESERVE]);
        let end = input.len();
        self.take_answer(x, ui, &mut input, RESERVE..end);
    }

    fn take_answer(&mut self, x: ExId, ui: usize, buffer: &mut Vec<u8>, mut range: Range<usize>) {
        let mut head = std::mem::take(&mut self.scratch.answer_head);
        loop {
            head.clear();
            let bytes = buffer.get(range.clone()).unwrap_or_default();
            match self.next_head(x, bytes, &mut head) {
                Next::More => {
                    let rest = buffer.get(range).unwrap_or_default();
                    if let Some(up) = self.ups.get_mut(ui) {
                        up.input.extend_from_slice(rest);
                    }
                    break;
                }
                Next::Interim(len) => range.start += len,
                Next::Body(len) => {
                    range.start += len;
                    self.note_answer_size(x, ui);
                    self.relay_answer(x, &head, buffer, range);
                    break;
                }
                Next::Tunnel(len) => {
                    range.start += len;
                    self.start_tunnel(x, ui, &head, buffer, range);
                    break;
                }
                Next::Over => break,
            }
        }
        self.scratch.answer_head = head;
    }

    /// Parses one head and writes what the client gets of it to `out`.
    fn next_head(&mut self, x: ExId, bytes: &[u8], out: &mut Vec<u8>) -> Next {
        let Some(e) = self.exchanges.get_mut(x) else {
            return Next::Over;
        };
        if e.times.first_byte_us == 0 {
            e.times.first_byte_us = self.now_us;
        }
        let Some(limits) = e.entry().map(|u| u.limits) else {
            return Next::Over;
        };
        let mut slots = HeaderSlots::new();
        match hg_proto::parse_response(bytes, &mut slots, &limits, e.method) {
            Ok(Parse::Complete(head)) => self.take_answer_head(x, &head, bytes, out),
            Ok(Parse::Partial) => Next::More,
            Err(reject) => {
                self.refuse(x, &reject);
                Next::Over
            }
        }
    }

    /// Takes a head, final or interim, and writes what the client gets of it to `out`. Over HTTP/1
    /// it stands at the start of `bytes`.
    pub(super) fn take_answer_head(
        &mut self,
        x: ExId,
        head: &ResponseHead<'_, '_>,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Next {
        let Some(e) = self.exchanges.get_mut(x) else {
            return Next::Over;
        };
        if e.times.first_byte_us == 0 {
            e.times.first_byte_us = self.now_us;
        }
        if head.is_interim {
            return self.take_interim(x, head, out);
        }
        e.note_call(head);
        let may_fail = head.status >= 400 || e.stream.grpc_status.is_some();
        if may_fail && self.discards(x, head, bytes) {
            return Next::Over;
        }
        self.commit(x);
        if head.status == 101 {
            let upgrade = self.exchanges.get(x).and_then(|e| e.upgrade);
            let valid = upgrade
                .is_some_and(|accept| hg_proto::websocket::check_response(head, &accept).is_ok());
            if !valid {
                self.refuse(x, &hg_proto::rejects::R_UPGRADE);
                return Next::Over;
            }
        }
        let is_tunnel = self.exchanges.get(x).is_some_and(|e| e.stream.is_tunnel);
        if is_tunnel && matches!(head.status, 200..=299) {
            // To its client this would be an open WebSocket.
            self.refuse(x, &hg_proto::rejects::R_UPGRADE);
            return Next::Over;
        }
        if let Some(e) = self.exchanges.get(x).filter(|e| e.is_sub()) {
            return match e.is_mirrored() {
                true => self.take_mirrored_head(x, head),
                false => self.take_sub_head(x, head),
            };
        }
        if head.status >= 400 && !is_tunnel && self.replaces(x, head, bytes) {
            return Next::Over;
        }
        self.counters.ignored_nominations.add(u64::from(head.ignored));
        self.write_answer_head(x, head, out);
        if head.status == 101 { Next::Tunnel(head.head_len) } else { Next::Body(head.head_len) }
    }

    fn take_interim(&mut self, x: ExId, head: &ResponseHead<'_, '_>, out: &mut Vec<u8>) -> Next {
        let Some(e) = self.exchanges.get_mut(x) else {
            return Next::Over;
        };
        let Some(limits) = e.entry().map(|u| u.limits) else {
            return Next::Over;
        };
        e.interim = (e.interim.0 + 1, e.interim.1 + head.head_len);
        // All interim heads together may be as long as one head.
        if e.interim.0 > MAX_INTERIM || e.interim.1 > limits.head_bytes {
            self.refuse(x, &hg_proto::rejects::R_INTERIM);
            return Next::Over;
        }
        self.pass_interim(x, head, out)
    }

    /// Passes 103 and similar answers on to clients that know them; our own 100 was sent already.
    fn pass_interim(&mut self, x: ExId, head: &ResponseHead<'_, '_>, out: &mut Vec<u8>) -> Next {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return Next::Over;
        };
        // While two tries are under way nobody knows which one answers.
        let is_passed = head.status != 100 && e.tries.side.is_none() && !e.is_sub();
        if is_passed && e.version != Version::H10 {
            out.clear();
            write::status_line(out, head.status, head.reason);
            write::fields(out, &head.fields, |_| false);
            write::end(out);
            self.counters.bytes_sent.add(out.len() as u64);
            if e.stream.is_http2() {
                if !self.send_interim(x, out) {
                    return Next::Over;
                }
            } else if c.conn.send_small(&mut self.io, out).is_err() {
                self.client_gone(x);
                return Next::Over;
            }
        }
        self.progress(x);
        Next::Interim(head.head_len)
    }

    fn write_answer_head(&mut self, x: ExId, head: &ResponseHead<'_, '_>, out: &mut Vec<u8>) {
        if !self.exchanges.get(x).is_some_and(Exchange::is_call) {
            self.trial_answered(x, head.status);
        }
        let coded = self.coded(x, head);
        let token = self.note_affinity(x);
        let keeps = self.leaving.keeps_alive();
        // RFC 9110 §6.6.1: who forwards an answer without a Date adds one.
        let date = head.fields.get(Known::Date).is_none().then(|| self.date.text());
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        let connection = c.connection();
        let old_client = e.version == Version::H10;
        let has_chunks = e.version == Version::H11;
        let mut framing = coded.framing(head.framing);
        if has_chunks && matches!(framing, RespFraming::Length(_)) && announces_trailers(head) {
            framing = RespFraming::Chunked;
        }
        let streams = matches!(framing, RespFraming::Chunked | RespFraming::UntilClose);
        e.status = head.status;
        e.response.reader = head.framing.into();
        e.response.done = e.response.reader.is_done();
        e.response.chunked = streams && has_chunks;
        let keep_ms = |s| u64::from(s).saturating_sub(1) * 1000;
        e.link.keep_ms =
            head.keep_alive.then(|| head.keep_alive_timeout_s.map_or(u64::MAX, keep_ms));
        let keep = e.keep_alive && keeps && e.request.done && !(old_client && streams);
        e.close_after = !keep;
        e.stage = Stage::Answering;
        write::status_line(out, head.status, head.reason);
        answer_fields(out, head, e, connection, (date.as_ref(), coded));
        e.write_affinity(token, connection.scheme, out);
        if head.status == 101 {
            let made = e.upgrade.as_ref().filter(|_| head.version == Version::H2);
            return finish_upgrade_head(out, made);
        }
        let bare = matches!(head.status, 100..=199 | 204);
        if e.response.chunked || !streams {
            let length = head.content_length.filter(|_| !bare && coded.keeps_length());
            write::response_framing(out, framing, length);
        }
        write::connection(out, persistence(keep, e.version));
        write::end(out);
    }

    /// Handles the loss of an upstream's connection before any part of an answer went out.
    pub(super) fn upstream_lost(&mut self, x: ExId, ui: usize, why: &str) {
        let received = self.ups.get(ui).is_some_and(|u| !u.input.is_empty());
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        if e.answered {
            return self.truncated(x, why);
        }
        // A pooled connection that ends before a byte of the answer was most likely closed while
        // the request was on its way (RFC 9112 §9.3.1): send once more, on a fresh one.
        let stale = e.on_reused && !received;
        if let Some(p) = e.endpoint.as_ref().filter(|_| stale) {
            p.distrusted_until.set(deadline_after(self.now_us, DISTRUST_MS));
        }
        let again = stale && !e.tries.stale && e.replayable && e.method.is_idempotent();
        if !again {
            if let Some(p) = &e.endpoint {
                p.remember(why);
            }
            return self.refuse(x, &own::LOST);
        }
        e.tries.stale = true;
        e.up = None;
        e.next_address = 0;
        self.count_retry(x, Retry::StaleConnection);
        self.drop_up(ui);
        self.renew_connect(x);
        self.open_next(x);
    }

    /// Handles a failure to send: the answer may have come before and be the reason.
    pub(super) fn answer_or_lose(&mut self, x: ExId, ui: usize) {
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        up.conn.out.release(&mut self.io.pool);
        up.conn.readable = true;
        if let Some(e) = self.exchanges.get_mut(x) {
            // The rest of the request cannot be sent: the connections end with the answer.
            e.keep_alive = false;
            e.replayable &= e.retry().is_some();
        }
        match self.exchanges.get(x) {
            Some(e) if e.stage == Stage::Tunnel => self.close_tunnel(x),
            Some(e) if e.is_half_open() => self.finish(x),
            _ => self.on_up_readable(x, ui),
        }
    }

    /// Ends an answer that was read whole: pools the connection or closes it.
    pub(super) fn answer_done(&mut self, x: ExId, extra: bool) {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        let flushed = c.has_taken_all(e);
        if e.is_half_open() {
            return self.end_answer_half(x);
        }
        if !flushed && e.most_collected() > 0 {
            self.counters.pending.collected.add(1);
        }
        if e.is_multiplexed() {
            let outcome = e.outcome();
            self.leave_endpoint(x, self.now_us, outcome);
            self.leave_stream(x, false);
        } else if let Some(ui) = e.up.take() {
            let keep_ms = e.link.keep_ms.filter(|_| !extra && e.request.done);
            let is_cut = !e.request.done && e.status != 101;
            let outcome = e.outcome();
            let idle = e.entry().map(|u| (u.plan.pool.idle_timeout_ms, u.plan.pool.max_idle));
            self.leave_endpoint(x, self.now_us, outcome);
            match idle.zip(keep_ms) {
                Some(((idle_ms, max_idle), keep_ms)) => {
                    self.put_idle(ui, idle_ms.min(keep_ms), max_idle as usize);
                }
                None if is_cut => self.abandon_up(ui),
                None => self.drop_up(ui),
            }
        }
        if flushed {
            self.finish(x);
        } else {
            self.progress(x);
        }
    }

    /// Puts the connection into its pool if the pool still exists and has room.
    pub(super) fn put_idle(&mut self, ui: usize, idle_ms: u64, max_idle: usize) {
        self.make_room(ui, max_idle);
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        let clean = up.conn.out.is_empty()
            && !up.conn.read_closed
            && !(up.conn.readable && hg_net::is_readable_or_closed(&up.conn.fd));
        let pool = self.pools.get(up.pool).filter(|p| clean && p.idle.len() < max_idle);
        let Some(pool) = pool else {
            return self.drop_up(ui);
        };
        pool.idle.push(ui);
        up.phase = UpPhase::Idle;
        up.exchange = None;
        up.conn.readable = false;
        up.endpoint.counters.idle.add(1);
        up.deadline = deadline_after(self.now_us, idle_ms.max(1));
        self.arm_up(ui);
    }
}

/// Returns the fields of an answer as its route edits them and its coding needs them, with `date` if
/// the upstream sent none.
pub(super) fn answer_fields(
    out: &mut Vec<u8>,
    head: &ResponseHead<'_, '_>,
    e: &Exchange,
    connection: Connection<'_>,
    (date, coded): (Option<&[u8; 29]>, Coded),
) {
    let edits = e.edits_of(head.status);
    let edits = edits.filter(|edits| !edits.is_empty());
    let drops = |name: &[u8]| edits.is_some_and(|edits| edits.drops(name));
    write::fields(out, &head.fields, |f| coded.drops(f) || drops(f.name.as_bytes()));
    coded.append(head, drops, out);
    if let Some(date) = date.filter(|_| !drops(b"date")) {
        write::line(out, "date", date);
    }
    if let Some(edits) = edits {
        e.with_view(connection, |view| edits.append(view, hg_net::unix_micros, out));
    }
    e.append_lines(head.status, out);
}

/// Reports whether the head of an answer over HTTP/2 names trailers. There it may have a length as
/// well; over HTTP/1.1 only chunks have trailers (RFC 9112 §7.1.2).
fn announces_trailers(head: &ResponseHead<'_, '_>) -> bool {
    head.version == Version::H2 && head.fields.get(Known::Trailer).is_some()
}

fn finish_upgrade_head(out: &mut Vec<u8>, made: Option<&Accept>) {
    if let Some(accept) = made {
        // Over HTTP/2 the endpoint has sent none.
        write::line(out, "sec-websocket-accept", accept);
    }
    write::connection(out, Persistence::WebSocket);
    write::end(out);
}

#[cfg(test)]
mod tests;
