//! A stream's request: its head, and the bytes of its body on their way to the upstream.

use crate::counters::Bound;
use crate::worker::Worker;
use crate::worker::accept::deadline_after;
use crate::worker::buffers::{Pending, RESERVE};
use crate::worker::exchange::{ExId, Stage, pair};
use crate::worker::request::{Sent, Step};
use crate::worker::timers::Entry;
use crate::worker::turns::Turn;
use hg_h2::{Arrival, Incoming, Place, grpc};
use hg_net::{Clock, Ticks};
use hg_proto::{BodyReader, Known, Lines, Reject, RequestHead, Version};

/// The state that an exchange has if its client speaks HTTP/2.
pub(crate) struct Stream {
    /// Its number; 0 over HTTP/1.
    pub(crate) id: u32,
    /// Bytes of the answer that the session has not taken.
    pub(crate) held: Pending,
    /// Memory that its connection counts of what has come of the answer and is not in `held`.
    pub(crate) counted: usize,
    /// Bytes of the request's body that the upstream has not got, after [`RESERVE`] empty ones.
    incoming: Vec<u8>,
    /// True if the end of the request's body has come.
    pub(crate) has_ended: bool,
    /// True if its request breaks the rules of HTTP/2.
    pub(crate) is_malformed: bool,
    /// True if its request is an extended CONNECT: a 2xx opens a WebSocket.
    pub(crate) is_tunnel: bool,
    /// True if its client expects failures as those of gRPC.
    pub(crate) is_grpc: bool,
    /// The `grpc-status` in the head of its answer.
    pub(crate) grpc_status: Option<u32>,
    pub(crate) queued: Queued,
    pub(crate) deadline: Ticks,
    /// Tick of its earliest entry in the wheel.
    pub(crate) timer: Entry,
}

/// The parts of a stream that are in the queue for the next turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Queued {
    pub(crate) answer: bool,
    pub(crate) input: bool,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            id: 0,
            held: Pending::default(),
            counted: 0,
            incoming: Vec::new(),
            has_ended: false,
            is_malformed: false,
            is_tunnel: false,
            is_grpc: false,
            grpc_status: None,
            queued: Queued::default(),
            deadline: Ticks::MAX,
            timer: Entry::NONE,
        }
    }
}

impl Stream {
    pub(crate) fn is_http2(&self) -> bool {
        self.id != 0
    }

    /// Reports whether a part of the request's body, or its end, waits to be passed on.
    pub(crate) fn has_input(&self) -> bool {
        self.waiting() > 0 || self.has_ended
    }

    /// Returns how many bytes of the request's body wait to be passed on.
    fn waiting(&self) -> usize {
        self.incoming.len().saturating_sub(RESERVE)
    }

    /// Takes the part of the request's body that waits, at most so many bytes of it; they begin at
    /// [`RESERVE`].
    fn take_input(&mut self, most: usize) -> Vec<u8> {
        if self.waiting() > most {
            let mut part = vec![0; RESERVE];
            part.extend(self.incoming.drain(RESERVE..RESERVE + most));
            return part;
        }
        let mut input = std::mem::take(&mut self.incoming);
        input.resize(input.len().max(RESERVE), 0);
        input
    }

    fn came(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.incoming.resize(self.incoming.len().max(RESERVE), 0);
        self.incoming.extend_from_slice(bytes);
    }

    /// Resets it; keeps small allocations.
    pub(crate) fn recycle(&mut self) -> Self {
        let (held, mut incoming) = (self.held.recycle(), std::mem::take(&mut self.incoming));
        incoming.clear();
        incoming.shrink_to(4096);
        Self { held, incoming, ..Self::default() }
    }
}

/// A part of a stream's body on its way.
struct Part {
    ci: usize,
    stream: u32,
    /// Its bytes, after [`RESERVE`] empty ones.
    input: Vec<u8>,
    /// True if nothing else has come.
    is_last: bool,
}

impl Worker {
    /// Serves the request whose head has come.
    pub(super) fn on_stream_head(
        &mut self,
        ci: usize,
        (stream, end, wait_ms): (u32, bool, u16),
        incoming: &Incoming,
    ) -> Option<()> {
        let x = self.open_stream(ci, stream)?;
        let c = self.clients.get(ci)?;
        let held = c.pinned.clone().unwrap_or_else(|| self.held.clone());
        let listener = held.listeners.get(usize::from(c.listener))?.as_deref()?;
        let admission = hg_proto::Admission {
            claims: listener.client.trusts(c.peer.ip().to_canonical()),
            underscores: listener.plan.underscores_in_headers,
        };
        let arrival = Arrival { admission, tls: c.conn.is_tls(), end };
        let mut lines = Lines::new();
        let head = match incoming.message().request(&mut lines, &arrival) {
            Ok(head) => head,
            Err(reject) => {
                self.refuse(x, &reject);
                return None;
            }
        };
        let most = listener.plan.keepalive_requests;
        self.note_head(x, &head, &held, most);
        if most > 0 && self.clients.get(ci).is_some_and(|c| u64::from(c.requests) >= most) {
            self.announce_http2(ci);
        }
        let sent = Sent { bytes: &[], admission };
        self.note_kind(x, &head, end);
        if let Some(e) = self.exchanges.get_mut(x) {
            incoming.message().note_never_indexed(&mut e.request.never);
        }
        match self.begin(x, &head, &held, listener, sent) {
            Step::Forward => {
                self.limit_grpc(x, &head);
                self.start_stream(x, wait_ms);
            }
            Step::Wait => {
                let paused = self.exchanges.get_mut(x).and_then(|e| e.chained.paused.as_mut());
                if let Some(paused) = paused {
                    paused.wait_ms = wait_ms;
                }
            }
            Step::Over => {}
        }
        Some(())
    }

    /// Notes whether a request is one of gRPC, or opens a WebSocket.
    fn note_kind(&mut self, x: ExId, head: &RequestHead<'_, '_>, end: bool) {
        let kind = head.fields.get(Known::ContentType).and_then(grpc::kind);
        if let Some(e) = self.exchanges.get_mut(x) {
            e.stream.is_grpc = kind == Some(grpc::Kind::Native);
            e.stream.is_tunnel = head.connection.upgrade_websocket;
            // The client's half may end with the handshake.
            e.stream.has_ended = end && e.stream.is_tunnel;
        }
    }

    /// Limits a request of gRPC by the deadline that its client sent.
    pub(crate) fn limit_grpc(&mut self, x: ExId, head: &RequestHead<'_, '_>) {
        let now_us = self.now_us;
        let Some(e) = self.exchanges.get_mut(x).filter(|e| e.stream.is_grpc) else {
            return;
        };
        let mut sent = head.fields.iter().filter(|f| f.name == "grpc-timeout");
        if let Some(left_us) = sent.next().and_then(|f| grpc::timeout_us(f.value)) {
            let due = Clock::after(now_us.saturating_add(left_us), 0);
            e.due.request = e.due.request.min(due);
        }
    }

    /// Opens the exchange of a stream.
    fn open_stream(&mut self, ci: usize, stream: u32) -> Option<ExId> {
        let c = self.clients.get_mut(ci)?;
        let h = c.http2.as_deref_mut()?;
        let x = self.exchanges.open();
        h.streams.insert(stream, x);
        h.rest_at = Ticks::MAX;
        let e = self.exchanges.get_mut(x)?;
        e.client = ci;
        e.start_us = self.now_us;
        e.client_ip = c.peer.ip().to_canonical();
        e.log.taps = self.records.log.taps();
        e.version = Version::H2;
        e.stream.id = stream;
        Some(x)
    }

    /// Answers a request that HTTP/2 does not allow.
    pub(super) fn on_malformed(&mut self, ci: usize, stream: u32, reject: &Reject) {
        if let Some(x) = self.open_stream(ci, stream) {
            if let Some(e) = self.exchanges.get_mut(x) {
                e.method = hg_proto::Method::Other("");
                e.stream.is_malformed = true;
            }
            self.note_http2_request(ci);
            self.refuse(x, reject);
        }
    }

    fn note_http2_request(&mut self, ci: usize) {
        if let Some(c) = self.clients.get_mut(ci) {
            c.requests = c.requests.saturating_add(1);
        }
    }

    /// Sends on a request whose middlewares are done: now, or once it has a place.
    pub(crate) fn start_stream(&mut self, x: ExId, wait_ms: u16) {
        let now_ms = self.now_us / 1000;
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        let Some(h) = c.http2.as_deref_mut() else {
            return;
        };
        match h.places.ask(e.stream.id, !e.request.done, wait_ms, now_ms) {
            Place::Now => self.agenda.add(Turn::Start(x)),
            Place::Later => {
                let has_place = h.places.taken() < h.bounds.dispatched;
                self.counters.http2.bound(match has_place {
                    _ if wait_ms > 0 => Bound::Resets,
                    true => Bound::Bodies,
                    false => Bound::Dispatched,
                });
                let queue_ms = e.entry().map_or(0, |u| u.plan.queue_timeout_ms);
                e.stage = Stage::Queued;
                e.due.connect = deadline_after(self.now_us, queue_ms);
                self.progress(x);
            }
        }
    }

    /// Asks the upstream, or collects the request's body first. It is done after the frames that came
    /// together with the request: one that is reset in them asks nobody.
    pub(crate) fn go_upstream(&mut self, x: ExId) {
        let Some(e) = self.exchanges.get(x).filter(|e| !e.answered && e.stage == Stage::Connecting)
        else {
            return;
        };
        let is_whole = e.request.done;
        if is_whole || !self.begin_collecting(x) {
            self.dispatch(x);
        }
    }

    /// Gives places that are free to the streams that wait for one.
    pub(crate) fn use_places(&mut self, ci: usize) {
        let now_ms = self.now_us / 1000;
        while let Some(h) = self.clients.get_mut(ci).and_then(|c| c.http2.as_deref_mut()) {
            if h.is_lost() {
                return;
            }
            let Some(stream) = h.places.next(now_ms) else {
                return;
            };
            let Some(x) = h.streams.get(&stream).copied() else {
                h.places.leave(stream);
                continue;
            };
            if let Some(e) = self.exchanges.get_mut(x) {
                let connect_ms = e.entry().map_or(0, |u| u.plan.connect_timeout_ms);
                e.stage = Stage::Connecting;
                e.due.connect = deadline_after(self.now_us, connect_ms);
                self.agenda.add(Turn::Start(x));
            }
        }
    }

    /// Takes a part of a request's body. It is passed on together with what other frames bring that
    /// came at the same time.
    pub(super) fn on_stream_data(&mut self, ci: usize, stream: u32, bytes: &[u8], end: bool) {
        let streams = self.clients.get(ci).and_then(|c| c.http2.as_deref()).map(|h| &h.streams);
        let Some(x) = streams.and_then(|s| s.get(&stream)).copied() else {
            // The answer is out already: nobody waits for the rest.
            return self.credit(ci, stream, bytes.len());
        };
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        e.stream.has_ended |= end;
        // What comes before a WebSocket is open belongs to it.
        let is_over = e.request.done && (e.answered || !e.stream.is_tunnel);
        if is_over || (e.is_answer_complete() && !e.is_half_open()) {
            return self.credit(ci, stream, bytes.len());
        }
        e.stream.came(bytes);
        if !std::mem::replace(&mut e.stream.queued.input, true) {
            self.agenda.add(Turn::Input(x));
        }
    }

    /// Takes the trailers of a request, and with them its end.
    pub(super) fn on_stream_trailers(&mut self, ci: usize, stream: u32, incoming: &Incoming) {
        let streams = self.clients.get(ci).and_then(|c| c.http2.as_deref()).map(|h| &h.streams);
        let x = streams.and_then(|s| s.get(&stream)).copied();
        if let Some(e) = x.and_then(|x| self.exchanges.get_mut(x)).filter(|e| !e.request.done) {
            incoming.message().write_trailers(e.request.trailers.get_or_insert_default());
            incoming.message().note_never_indexed(&mut e.request.never);
        }
        self.on_stream_data(ci, stream, &[], true);
    }

    /// Lets the client send as many bytes more as were taken.
    pub(crate) fn credit(&mut self, ci: usize, stream: u32, bytes: usize) {
        if let Some(h) = self.clients.get_mut(ci).and_then(|c| c.http2.as_deref_mut()) {
            h.session.credit(stream, u32::try_from(bytes).unwrap_or(u32::MAX));
            self.mark_dirty(ci);
        }
    }

    /// Ends the exchange of a stream that was cut off.
    pub(super) fn on_stream_reset(&mut self, ci: usize, stream: u32) {
        let Some(h) = self.clients.get_mut(ci).and_then(|c| c.http2.as_deref_mut()) else {
            return;
        };
        match h.streams.get(&stream).copied() {
            Some(x) => self.client_gone(x),
            None => h.session.release(stream),
        }
    }

    /// Takes what has come of a stream's body, as much of it as may pass now; `None` = nothing.
    fn take_part(&mut self, x: ExId) -> Option<Part> {
        let e = self.exchanges.get_mut(x).filter(|e| e.stream.has_input())?;
        let (ci, stream, waiting) = (e.client, e.stream.id, e.stream.waiting());
        // An end without bytes waits for nothing.
        let most = if waiting == 0 { usize::MAX } else { e.request.allowed(self.now_us) };
        if most == 0 {
            self.hold_back_upload(x);
            return None;
        }
        let is_last = waiting <= most;
        if is_last && e.stream.has_ended && matches!(e.request.reader, BodyReader::UntilClose) {
            e.request.ends = true;
        }
        Some(Part { ci, stream, input: e.stream.take_input(most), is_last })
    }

    /// Passes on what has come of a stream's body.
    pub(crate) fn pump_stream(&mut self, x: ExId, ui: usize) {
        let Some(part) = self.take_part(x) else {
            return;
        };
        let Part { ci, stream, mut input, is_last } = part;
        let bytes = input.len() - RESERVE;
        self.relay_request(x, ui, &mut input, RESERVE..RESERVE + bytes);
        self.credit(ci, stream, bytes);
        self.leave_body(x, ci, stream);
        self.pump_on(x, is_last);
    }

    /// Goes on in the next turn unless all that has come was passed on.
    fn pump_on(&mut self, x: ExId, is_last: bool) {
        if !is_last || self.exchanges.get(x).is_some_and(|e| e.request.has_undecoded()) {
            self.enqueue_exchange(x);
        }
    }

    /// Frees the place of a body that is whole, where bodies have fewer places than streams. Who
    /// waits for it goes on with the connection's next deadline, which is now.
    pub(crate) fn leave_body(&mut self, x: ExId, ci: usize, stream: u32) {
        let is_whole = self.exchanges.get(x).is_some_and(|e| e.request.done);
        let h = self.clients.get_mut(ci).and_then(|c| c.http2.as_deref_mut());
        if let Some(h) = h.filter(|h| is_whole && h.bounds.bodies < h.bounds.dispatched) {
            h.places.body_ended(stream);
            self.rearm_http2(ci, false);
        }
    }

    /// Collects what has come of a stream's body.
    pub(crate) fn collect_stream(&mut self, x: ExId) {
        if self.exchanges.get(x).is_none_or(|e| e.stage != Stage::Collecting) {
            return;
        }
        let Some(part) = self.take_part(x) else {
            return;
        };
        let Part { ci, stream, mut input, is_last } = part;
        let bytes = input.len() - RESERVE;
        self.collect_bytes(x, &mut input, RESERVE..RESERVE + bytes);
        self.credit(ci, stream, bytes);
        self.leave_body(x, ci, stream);
        self.pump_on(x, is_last);
    }
}

#[cfg(test)]
mod tests;
