//! Requests on their way to an endpoint: the head at once into the session, the body as its windows and
//! its order allow, and what all streams of a connection say once per turn into the socket.

use super::pace::SMALL;
use super::{STALLED_MS, Shared, UpStream};
use crate::counters::{Bound, Http2Counters};
use crate::worker::Worker;
use crate::worker::accept::deadline_after;
use crate::worker::answer::own;
use crate::worker::exchange::{ConnectTime, ExId, Exchange, Stage, pair};
use crate::worker::http2::Part;
use crate::worker::multiplex::end::Loss;
use crate::worker::relay::frame_upload;
use hg_h2::{Code, NeverIndexed, Refused, RequestLine, lines_of_text};
use hg_net::Ticks;
use hg_proto::{BodyReader, ChunkedDecoder, Scheme};
use std::ops::Range;

/// The number of new connections that a WebSocket waits for until their endpoint has said what it
/// offers; other requests may take the room on some.
const MOST_WAITS: u8 = 16;

/// The time in milliseconds, and the counters.
type Now<'a> = (u64, &'a Http2Counters);

/// A request's head, as HTTP/1 text, taken apart.
struct Text<'a> {
    line: RequestLine<'a>,
    lines: &'a [u8],
}

impl<'a> Text<'a> {
    /// Takes apart what [`crate::worker::head::write_upstream_head`] wrote.
    fn of(head: &'a [u8], scheme: Scheme, of: (bool, &'a NeverIndexed)) -> Option<Self> {
        let end = head.iter().position(|b| *b == b'\n')?;
        let (first, lines) = head.split_at_checked(end + 1)?;
        let first = std::str::from_utf8(first).ok()?.strip_suffix(" HTTP/1.1\r\n")?;
        let (method, target) = first.split_once(' ')?;
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let end = lines.iter().position(|b| *b == b'\r')?;
        let host = std::str::from_utf8(lines.get(..end)?).ok()?;
        let authority = host.strip_prefix("host: ")?;
        let (websocket, never) = of;
        let line = RequestLine { method, scheme, authority, path, query, websocket, never };
        Some(Self { line, lines })
    }
}

/// Returns the body that stands after a head, without the framing of HTTP/1.
fn kept_body(e: &Exchange) -> Vec<u8> {
    if e.request.bytes == 0 {
        return Vec::new();
    }
    let end = e.head.windows(4).position(|four| four == b"\r\n\r\n");
    let body = end.and_then(|at| e.head.get(at + 4..)).unwrap_or_default();
    let mut body = body.to_vec();
    if e.request.chunked {
        // We framed it ourselves.
        let fed = BodyReader::Chunked(ChunkedDecoder::new()).feed(&mut body);
        body.truncate(fed.map_or(0, |fed| fed.data_len));
    }
    body
}

/// Opens a stream with the request of an exchange and as much of the body as is at hand.
fn open(e: &mut Exchange, h: &mut Shared, scheme: Scheme, now: Now<'_>) -> Result<(), Refused> {
    let body = kept_body(e);
    let websocket = e.upgrade.is_some();
    if websocket || e.stream.is_grpc {
        h.pace.allow_messages();
    }
    let never = &e.request.never;
    let Some(text) = Text::of(&e.head, scheme, (websocket, never)) else {
        return Err(Refused::State);
    };
    let is_whole = e.request.done && body.is_empty() && e.request.trailers().is_empty();
    let end = is_whole && !websocket;
    let id = h.session.send_request(&text.line, lines_of_text(text.lines, never), end)?;
    let s = e.link.stream.get_or_insert_default();
    (s.id, s.has_ended) = (id, false);
    if is_whole { Ok(()) } else { put(e, h, &body, now) }
}

/// Gives the session a part of a request's body, unless that is small and must wait; whether more
/// follows is in `e.request`.
fn put(e: &mut Exchange, h: &mut Shared, body: &[u8], now: Now<'_>) -> Result<(), Refused> {
    let s = e.link.stream.get_or_insert_default();
    // The frame that ends a stream is never one of many.
    let is_end = e.request.done && e.request.trailers().is_empty();
    let is_small = !is_end && s.held.len() + body.len() < SMALL;
    if h.pace.is_waiting(s.id) {
        s.held.hold(body);
        if !is_small {
            h.pace.end_wait(s.id);
            h.session.want(s.id);
        }
        return Ok(());
    }
    let is_frame = s.held.is_empty() && !body.is_empty();
    if is_small && is_frame && !h.pace.may_send(s.id, now.0) {
        now.1.bound(Bound::Parts);
        s.held.hold(body);
        return Ok(());
    }
    part(s, &e.request).put(&mut h.session, body)
}

fn part<'a>(s: &'a mut UpStream, request: &'a crate::worker::exchange::Relay) -> Part<'a> {
    let (is_last, trailers, never) = (request.done, request.trailers(), &request.never);
    Part { id: s.id, held: &mut s.held, is_last, trailers, never }
}

impl Worker {
    /// Sends the request on a stream of this connection.
    pub(crate) fn attach_stream(&mut self, x: ExId, ui: usize, reused: bool) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        let scheme = if up.conn.is_tls() { Scheme::Https } else { Scheme::Http };
        let Some(h) = up.http2.as_deref_mut() else {
            return;
        };
        if e.upgrade.is_some() && !h.is_greeted() {
            e.stage = Stage::Connecting;
            let s = e.up_stream();
            // An endpoint may greet each connection and end it before it takes a request.
            if s.waits >= MOST_WAITS {
                let why = "the endpoint ends new connections, or has no room on them";
                return self.endpoint_failed(x, &own::NO_STREAMS, Some(why));
            }
            s.waits += 1;
            s.awaited = Some((ui, up.generation));
            h.late.push(x);
            return self.progress(x);
        }
        e.name_endpoint();
        let opened = open(e, h, scheme, (self.now_us / 1000, &self.counters.http2));
        e.note_upload(&mut self.io.pool, 0);
        match opened {
            Ok(()) => {}
            Err(Refused::NoWebSocket) => return self.refuse(x, &own::NO_WEBSOCKET),
            Err(_) => {
                let why = "the endpoint allows no stream on a new connection";
                return self.endpoint_failed(x, &own::NO_STREAMS, Some(why));
            }
        }
        self.note_attached(x, ui, reused);
        self.counters.http2.upstream.streams.opened();
        self.mark_shared(ui);
        self.go_on_sending(x);
    }

    /// Notes that the request of an exchange is on a stream of a connection.
    fn note_attached(&mut self, x: ExId, ui: usize, reused: bool) {
        let (Some(e), Some(up)) = (self.exchanges.get_mut(x), self.ups.get_mut(ui)) else {
            return;
        };
        let Some((h, s)) = up.http2.as_deref_mut().zip(e.link.stream.as_deref()) else {
            return;
        };
        h.streams.insert(s.id, x);
        let was_idle = std::mem::take(&mut h.noted.idle);
        let Some(endpoint) = e.endpoint.clone() else {
            return;
        };
        if was_idle {
            up.endpoint.counters.idle.sub(1);
        }
        endpoint.counters.requests.add(1);
        if up.conn.is_tls() {
            endpoint.counters.negotiated.use_now(true);
        }
        if reused {
            endpoint.counters.reuses.add(1);
            e.connect = ConnectTime::default();
        }
        // Several upstreams may share a pool; each counts its own requests.
        up.endpoint = endpoint;
        e.count_sending(&mut self.upstreams, self.now_us);
        e.up = Some(ui);
        e.on_reused = reused;
        e.stage = Stage::Waiting;
        if e.request.done {
            e.start_waiting(self.now_us);
        } else {
            e.start_upload(self.now_us);
        }
    }

    /// Passes on a part of a request's body.
    pub(crate) fn relay_to_stream(&mut self, x: ExId, buffer: &mut Vec<u8>, range: Range<usize>) {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        let Some(ui) = e.up else { return };
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
        // What is kept is framed as for HTTP/1; the bytes between the framing are the same.
        let mut own = self.scratch.codecs.buffer_for(&e.request);
        let place = (buffer, range.start);
        let part = e.request.decode(&mut own, place, &fed, self.mailbox.index);
        let (buffer, start, made) = match part {
            Ok(part) => part,
            Err(reject) => return self.refuse(x, &reject),
        };
        let framed = frame_upload(e, c.listener, (buffer, start), &made);
        e.keep_for_retry(buffer.get(framed).unwrap_or_default());
        e.body_came(fed.data_len, self.now_us);
        if e.request.done {
            e.start_waiting(self.now_us);
        }
        let body = buffer.get(start..start + made.data_len).unwrap_or_default();
        let h = self.ups.get_mut(ui).and_then(|up| up.http2.as_deref_mut());
        let before = e.held_upload();
        let now = (self.now_us / 1000, &self.counters.http2);
        let is_lost = h.is_none_or(|h| put(e, h, body, now).is_err());
        e.note_upload(&mut self.io.pool, before);
        self.scratch.codecs.keep(own);
        if is_lost {
            return self.on_stream_lost(x, Loss::Reset, "the stream ended before the request");
        }
        self.mark_shared(ui);
        self.progress(x);
        self.release_mirrors(x);
        self.end_if_over(x);
    }

    /// Notes that a connection has something to send at the end of this turn.
    pub(super) fn mark_shared(&mut self, ui: usize) {
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        if let Some(h) = up.http2.as_deref_mut()
            && !std::mem::replace(&mut h.noted.dirty, true)
        {
            self.dirty.ups.push((ui, up.generation));
        }
    }

    /// Notes that an endpoint has taken some of what waits for it.
    pub(super) fn note_taken(&mut self, ui: usize) {
        let stalled_at = deadline_after(self.now_us, STALLED_MS);
        if let Some(h) = self.shared_at(ui) {
            h.stalled_at = stalled_at;
            self.rearm_shared(ui, true);
        }
    }

    /// Sends as much as the endpoint takes now.
    pub(crate) fn flush_shared(&mut self, ui: usize) {
        let stalled_at = deadline_after(self.now_us, STALLED_MS);
        loop {
            self.grant_up(ui);
            let Some(up) = self.ups.get_mut(ui) else {
                return;
            };
            let Some(h) = up.http2.as_deref_mut() else {
                return;
            };
            h.noted.dirty = false;
            if up.conn.out.is_empty() {
                h.stalled_at = Ticks::MAX;
            }
            let n = h.session.output().len();
            if n == 0 || !up.conn.out.is_empty() {
                break;
            }
            let sent = up.conn.send(&mut self.io, h.session.output(), &mut Vec::new(), 0..0);
            self.counters.http2.sends.add(1);
            if let Err(e) = sent {
                return self.lose_shared(ui, Loss::Broken, &e.to_string());
            }
            h.session.sent(n);
            h.stalled_at = if up.conn.out.is_empty() { Ticks::MAX } else { stalled_at };
        }
        self.after_flush(ui);
    }

    /// Closes a connection whose last words are out, or reads on.
    fn after_flush(&mut self, ui: usize) {
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        let Some(h) = up.http2.as_deref_mut() else {
            return;
        };
        if h.session.is_done() && h.streams.is_empty() && h.session.output().is_empty() {
            return self.close_shared(ui);
        }
        self.enqueue_shared(ui);
        self.rearm_shared(ui, true);
    }

    /// Sends small parts of bodies whose turns have come.
    pub(super) fn take_paced_turns(&mut self, ui: usize) {
        let now_ms = self.now_us / 1000;
        let Some(h) = self.shared_at(ui) else {
            return;
        };
        let streams = &h.streams;
        h.pace.keep(|stream| streams.contains_key(&stream));
        while let Some(stream) = h.pace.next_turn(now_ms) {
            h.session.want(stream);
        }
        self.mark_shared(ui);
    }

    /// Gives the bodies of requests their turns while there is room; those whose bytes are all taken
    /// continue in the next turn.
    fn grant_up(&mut self, ui: usize) {
        let mut emptied = Vec::new();
        let Some(up) = self.ups.get_mut(ui).filter(|up| up.conn.out.is_empty()) else {
            return;
        };
        let Some(h) = up.http2.as_deref_mut() else {
            return;
        };
        while let Some(grant) = h.session.grant() {
            let x = h.streams.get(&grant.stream).copied();
            let found = x.and_then(|x| Some((x, self.exchanges.get_mut(x)?)));
            let used = found.map(|(x, e)| {
                let before = e.held_upload();
                let s = e.link.stream.get_or_insert_default();
                let used = part(s, &e.request).use_grant(&mut h.session, grant.bytes);
                if s.held.is_empty() {
                    emptied.push(x);
                }
                e.note_upload(&mut self.io.pool, before);
                used
            });
            if !matches!(used, Some(Ok(()))) {
                h.session.reset(grant.stream, Code::INTERNAL_ERROR);
            }
        }
        for x in emptied {
            self.enqueue_exchange(x);
        }
    }
}

#[cfg(test)]
mod tests;
