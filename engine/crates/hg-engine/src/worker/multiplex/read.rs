//! Frames as they come from an endpoint.

use super::end::Loss;
use crate::worker::conn::Read;
use crate::worker::{Turn, Worker};
use hg_h2::{By, Event, Incoming};
use hg_net::Ticks;
use std::ops::Range;

/// Bytes read at once: some frames of 16 KiB of a few streams.
const READ: usize = 128 * 1024;
/// Reads in one turn before other connections have theirs.
const TURN: usize = 4;

impl Worker {
    pub(crate) fn on_shared_event(&mut self, ui: usize, event: hg_net::Event) {
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        up.conn.note_event(&event);
        if event.writable && !up.conn.out.is_empty() {
            match up.conn.flush(&mut self.io) {
                Ok(true) => self.mark_shared(ui),
                Ok(false) => self.note_taken(ui),
                Err(e) => return self.lose_shared(ui, Loss::Broken, &e.to_string()),
            }
        }
        self.read_shared(ui);
    }

    /// Reads frames while there are any, then passes on what came.
    pub(crate) fn read_shared(&mut self, ui: usize) {
        for _ in 0..TURN {
            let Some(up) = self.ups.get_mut(ui) else {
                return;
            };
            let may_read = up.http2.as_deref().is_some_and(|h| h.session.may_read());
            if !up.conn.readable || !may_read {
                return;
            }
            let generation = up.generation;
            let is_tls = up.conn.is_tls();
            let mut buffer = self.io.take_for(&up.conn);
            let read = up.conn.read(&mut self.io, &mut buffer, READ);
            let lost = match read {
                Ok(Read::Data(range)) => {
                    self.on_shared_frames(ui, &buffer, range);
                    None
                }
                Ok(Read::Blocked) => {
                    self.io.give_back(is_tls, buffer);
                    return;
                }
                Ok(Read::End) => Some("the endpoint closed the connection".to_owned()),
                Err(e) => Some(e.to_string()),
            };
            self.io.give_back(is_tls, buffer);
            if self.ups.get(ui).is_none_or(|up| up.generation != generation) {
                return;
            }
            self.pump_ready(ui);
            if let Some(why) = lost {
                return self.lose_shared(ui, Loss::Broken, &why);
            }
        }
        self.enqueue_shared(ui);
    }

    /// Queues a connection for the next turn, once, if there may be something to read.
    pub(super) fn enqueue_shared(&mut self, ui: usize) {
        let Some(up) = self.ups.get_mut(ui).filter(|up| up.conn.readable) else {
            return;
        };
        let Some(h) = up.http2.as_deref_mut() else {
            return;
        };
        if h.session.may_read() && !std::mem::replace(&mut h.noted.queued, true) {
            self.agenda.add(Turn::Up(ui, up.generation));
        }
    }

    /// Reads on in a turn that was queued.
    pub(crate) fn take_shared_turn(&mut self, ui: usize, generation: u32) {
        let up = self.ups.get_mut(ui).filter(|up| up.generation == generation);
        if let Some(h) = up.and_then(|up| up.http2.as_deref_mut()) {
            h.noted.queued = false;
            self.read_shared(ui);
        }
    }

    /// Takes bytes of a connection; keeps those of a frame that is not whole.
    pub(super) fn on_shared_frames(&mut self, ui: usize, buffer: &[u8], range: Range<usize>) {
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        let more = buffer.get(range).unwrap_or_default();
        if let Some(h) = up.http2.as_deref_mut() {
            // Whoever sends is there.
            h.probed_until = Ticks::MAX;
        }
        let generation = up.generation;
        let input = std::mem::take(&mut up.input);
        let mut incoming = std::mem::take(&mut self.scratch.incoming);
        if input.is_empty() {
            let used = self.each_shared_frame(ui, more, &mut incoming);
            self.keep_frame(ui, generation, input, more.get(used..).unwrap_or_default());
        } else {
            let mut whole = input;
            whole.extend_from_slice(more);
            let used = self.each_shared_frame(ui, &whole, &mut incoming);
            whole.drain(..used.min(whole.len()));
            self.keep_frame(ui, generation, whole, &[]);
        }
        self.scratch.incoming = incoming;
        self.mark_shared(ui);
        self.rearm_shared(ui, false);
    }

    /// Remembers how many streams an endpoint allows, for connections whose SETTINGS are on their way.
    fn note_streams(&mut self, ui: usize) {
        let Some(up) = self.ups.get(ui) else {
            return;
        };
        let allowed = up.http2.as_deref().map(|h| h.session.peer().max_concurrent_streams as usize);
        if let Some(pool) = self.pools.get(up.pool) {
            pool.streams = allowed;
        }
    }

    /// Lets those look again who waited for what the endpoint offers.
    fn take_late(&mut self, ui: usize) {
        if let Some(h) = self.shared_at(ui) {
            let late = std::mem::take(&mut h.late);
            self.agenda.extend(late.into_iter().map(Turn::Join));
        }
    }

    fn keep_frame(&mut self, ui: usize, generation: u32, mut input: Vec<u8>, rest: &[u8]) {
        if let Some(up) = self.ups.get_mut(ui).filter(|up| up.generation == generation) {
            input.extend_from_slice(rest);
            up.input = input;
        }
    }

    /// Handles every whole frame; returns how many bytes they have.
    fn each_shared_frame(&mut self, ui: usize, bytes: &[u8], incoming: &mut Incoming) -> usize {
        let generation = self.ups.get(ui).map(|up| up.generation);
        let now_ms = self.now_us / 1000;
        let mut at = 0;
        loop {
            let up = self.ups.get_mut(ui).filter(|up| Some(up.generation) == generation);
            let Some(h) = up.and_then(|up| up.http2.as_deref_mut()) else {
                return bytes.len();
            };
            match h.session.next(bytes, &mut at, now_ms, incoming) {
                Ok(Some(event)) => {
                    if matches!(event, Event::Data { .. }) {
                        h.pace.answered();
                    }
                    self.on_shared_frame(ui, event, bytes, incoming);
                }
                Ok(None) => return at,
                Err(close) => {
                    self.counters.http2.upstream.end(close.reason);
                    self.lose_shared(ui, Loss::Protocol, close.reason.text());
                    return bytes.len();
                }
            }
        }
    }

    fn on_shared_frame(&mut self, ui: usize, event: Event, bytes: &[u8], incoming: &Incoming) {
        match event {
            Event::Head { stream, end, .. } => self.on_up_head(ui, stream, end, incoming),
            Event::Data { stream, range, end } => {
                self.on_up_data(ui, stream, bytes.get(range).unwrap_or_default(), end);
            }
            Event::Trailers { stream } => self.on_up_trailers(ui, stream, incoming),
            Event::Reset { stream, code, by } => {
                let (loss, why) = match by {
                    By::Peer if code.is_unprocessed() => {
                        (Loss::Refused, "the endpoint refused the stream".to_owned())
                    }
                    By::Peer => {
                        (Loss::Reset, format!("the endpoint reset the stream with code {}", code.0))
                    }
                    By::Session(fault) => {
                        let why =
                            fault.map_or("the stream broke the rules of HTTP/2", |f| f.detail);
                        (Loss::Protocol, why.to_owned())
                    }
                };
                self.on_up_reset(ui, stream, loss, &why);
            }
            Event::GoAway { last, .. } => self.on_up_away(ui, last),
            // Room and windows follow from the session; any byte answers a PING of ours.
            Event::Settings => {
                self.note_streams(ui);
                self.take_late(ui);
            }
            Event::SettingsAcked | Event::Pong(_) => {}
            // An endpoint opens no stream.
            Event::Malformed { .. } | Event::Refused { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests;
