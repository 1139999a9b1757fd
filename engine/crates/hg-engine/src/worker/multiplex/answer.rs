//! Answers: heads, bodies and trailers as they come on their streams, and their way to the clients.

use super::{Shared, UpStream};
use crate::worker::Worker;
use crate::worker::buffers::RESERVE;
use crate::worker::exchange::{ExId, Stage, pair};
use crate::worker::response::Next;
use hg_h2::{Asked, Incoming};
use hg_proto::respond::reason_phrase;
use hg_proto::{BodyReader, Lines, Method};

/// A buffer above this size is not kept for the next answers.
const LARGE: usize = 256 * 1024;

impl Worker {
    fn exchange_at(&self, ui: usize, stream: u32) -> Option<ExId> {
        self.ups.get(ui)?.http2.as_deref()?.streams.get(&stream).copied()
    }

    /// Takes the head of an answer, final or interim.
    pub(super) fn on_up_head(&mut self, ui: usize, stream: u32, end: bool, incoming: &Incoming) {
        // Without an exchange nobody waits for the answer any more.
        let Some(x) = self.exchange_at(ui, stream) else {
            return;
        };
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        incoming.message().note_never_indexed(&mut e.response.never);
        let mut lines = Lines::new();
        let (is_head, websocket) = (e.method == Method::Head, e.upgrade.is_some());
        let asked = Asked { is_head, websocket, end };
        let mut head = incoming.message().response(&mut lines, &asked);
        head.reason = reason_phrase(head.status).as_bytes();
        let mut text = std::mem::take(&mut self.scratch.answer_head);
        text.clear();
        let next = self.take_answer_head(x, &head, &[], &mut text);
        let is_tunnel = matches!(next, Next::Tunnel(_));
        if is_tunnel {
            self.open_stream_tunnel(x);
        }
        if (is_tunnel || matches!(next, Next::Body(_)))
            && let Some(e) = self.exchanges.get_mut(x)
        {
            // The session holds the body to its declared length, and says where it ends.
            e.response.reader = if end { BodyReader::None } else { BodyReader::UntilClose };
            e.response.done = end;
            let s = e.up_stream();
            s.has_ended |= end;
            std::mem::swap(&mut s.head, &mut text);
            self.note_ready(ui, x);
        }
        self.scratch.answer_head = text;
        if is_tunnel {
            self.pump_request(x);
        }
    }

    /// Takes a part of an answer's body.
    pub(super) fn on_up_data(&mut self, ui: usize, stream: u32, bytes: &[u8], end: bool) {
        let x = self.exchange_at(ui, stream);
        let Some((x, e)) = x.and_then(|x| Some((x, self.exchanges.get_mut(x)?))) else {
            return self.credit_up(ui, stream, bytes.len());
        };
        let s = e.up_stream();
        s.came(bytes);
        s.has_ended |= end;
        let is_message = !end && !bytes.is_empty() && e.is_call();
        self.note_ready(ui, x);
        if is_message {
            self.trial_answered(x, 200);
        }
    }

    /// Takes the trailers of an answer, and with them its end.
    pub(super) fn on_up_trailers(&mut self, ui: usize, stream: u32, incoming: &Incoming) {
        let x = self.exchange_at(ui, stream);
        let Some((x, e)) = x.and_then(|x| Some((x, self.exchanges.get_mut(x)?))) else {
            return;
        };
        incoming.message().write_trailers(e.response.trailers.get_or_insert_default());
        incoming.message().note_never_indexed(&mut e.response.never);
        let s = e.up_stream();
        s.has_ended = true;
        if s.waiting() > 0 || !self.discards_call(x) {
            self.note_ready(ui, x);
        } else if let Some(e) = self.exchanges.get_mut(x) {
            e.up_stream().head.clear();
        }
    }

    /// Notes that an exchange has something for its client.
    fn note_ready(&mut self, ui: usize, x: ExId) {
        let h = self.ups.get_mut(ui).and_then(|up| up.http2.as_deref_mut());
        if let (Some(h), Some(e)) = (h, self.exchanges.get_mut(x))
            && !std::mem::replace(&mut e.up_stream().is_ready, true)
        {
            h.ready.push(x);
        }
    }

    /// Passes on what the last read brought.
    pub(super) fn pump_ready(&mut self, ui: usize) {
        let Some(h) = self.shared_at(ui) else {
            return;
        };
        let mut ready = std::mem::take(&mut h.ready);
        for x in ready.drain(..) {
            if let Some(s) = self.exchanges.get_mut(x).and_then(|e| e.link.stream.as_deref_mut()) {
                s.is_ready = false;
                self.pump_answer(x);
            }
        }
        if let Some(h) = self.shared_at(ui).filter(|h| h.ready.is_empty()) {
            h.ready = ready;
        }
    }

    /// Passes on what has come of an answer if the client takes it now.
    pub(crate) fn pump_answer(&mut self, x: ExId) {
        self.pass_answer(x);
        self.count_answer(x);
    }

    /// Has the client's connection count what its stream leaves here: a client that takes nothing
    /// has a window of each of its streams wait.
    fn count_answer(&mut self, x: ExId) {
        let now_us = self.now_us;
        let Some(e) = self.exchanges.get_mut(x).filter(|e| e.stream.is_http2()) else {
            return;
        };
        let memory = e.link.stream.as_deref().map_or(0, UpStream::memory);
        let before = std::mem::replace(&mut e.stream.counted, memory);
        if before != memory
            && let Some(h) = self.clients.get_mut(e.client).and_then(|c| c.http2.as_deref_mut())
        {
            h.held.note(&mut self.io.pool, (before, memory), now_us);
        }
    }

    fn pass_answer(&mut self, x: ExId) {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        let room = if e.answered { c.room(e, &self.io.pool) } else { usize::MAX };
        if e.stage != Stage::Answering || room == 0 {
            return;
        }
        let up = e.up;
        let Some(s) = e.link.stream.as_deref_mut().filter(|s| s.id != 0 && s.has_news()) else {
            return;
        };
        let (stream, waiting) = (s.id, s.waiting());
        // An end without bytes waits for nothing, and a head neither.
        let most = if waiting == 0 { usize::MAX } else { e.response.allowed(self.now_us) };
        if most == 0 && s.head.is_empty() {
            return self.hold_back(x);
        }
        let most = most.min(room);
        let is_last = waiting <= most;
        e.response.ends = is_last && s.has_ended;
        let (mut head, mut body) = std::mem::take(&mut self.scratch.answer);
        std::mem::swap(&mut head, &mut s.head);
        s.take_body(most, &mut body);
        let end = body.len();
        self.relay_answer(x, &head, &mut body, RESERVE..end);
        if body.capacity() > LARGE {
            // A slow client's connection took the buffer over and left this one.
            self.io.pool.put(std::mem::take(&mut body));
        }
        head.clear();
        body.clear();
        self.scratch.answer = (head, body);
        if let Some(ui) = up {
            self.credit_up(ui, stream, end - RESERVE);
        }
        if !is_last {
            self.enqueue_exchange(x);
        }
    }

    /// Lets an endpoint send as many bytes more on a stream as were taken.
    fn credit_up(&mut self, ui: usize, stream: u32, bytes: usize) {
        if let Some(Shared { session, .. }) = self.shared_at(ui) {
            session.credit(stream, u32::try_from(bytes).unwrap_or(u32::MAX));
            self.mark_shared(ui);
        }
    }
}

#[cfg(test)]
mod tests;
