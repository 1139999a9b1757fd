//! Commands: what the owner sends, and the credit that it gives and takes.

use super::Session;
use crate::close::Code;
use crate::encode::Sensitivity;
use crate::event::{After, Grant, Refused};
use crate::limits::Role;
use crate::priority::Priority;
use crate::settings::Settings;
use crate::streams::Half;

/// Largest DATA frame that we send: larger ones would hold other streams up.
const MOST_DATA: usize = 16_384;

/// A field to send: a name in lower case, its value, and whether a table may hold it. Pseudo fields
/// come first.
pub type Line<'a> = (&'a [u8], &'a [u8], Sensitivity);

impl Session {
    /// Opens a stream with a request's head and returns its id. `is_head` says that the method is
    /// HEAD.
    ///
    /// # Errors
    /// The peer allows no more streams, or the connection is ending.
    pub fn open<'a>(
        &mut self,
        fields: impl IntoIterator<Item = Line<'a>>,
        end: bool,
        is_head: bool,
    ) -> Result<u32, Refused> {
        let id = self.begin(end, is_head)?;
        self.write_head(id, end, fields);
        Ok(id)
    }

    /// Opens a stream whose head is to be written.
    pub(super) fn begin(&mut self, end: bool, is_head: bool) -> Result<u32, Refused> {
        if self.role == Role::Server || self.is_ending() {
            return Err(Refused::Closing);
        }
        if self.streams.len() >= self.settings.peer.max_concurrent_streams as usize {
            return Err(Refused::Streams);
        }
        let id = self.away.next_id;
        self.away.next_id += 2;
        self.flood.open();
        let send = if end { Half::Ended } else { Half::Body };
        let mut stream = self.stream(id, Half::Head, send);
        stream.bodiless = is_head;
        self.streams.insert(stream);
        Ok(id)
    }

    /// Sends the head of a response; `end` says that no body follows.
    ///
    /// # Errors
    /// The stream is over, or its head was sent.
    pub fn head<'a>(
        &mut self,
        id: u32,
        fields: impl IntoIterator<Item = Line<'a>>,
        end: bool,
    ) -> Result<(), Refused> {
        self.answer(id, end, false)?;
        self.write_head(id, end, fields);
        self.settle(id);
        Ok(())
    }

    /// Takes the step of a response's head that is to be written.
    pub(super) fn answer(&mut self, id: u32, end: bool, interim: bool) -> Result<(), Refused> {
        let to = match (interim, end) {
            (true, _) => Half::Head,
            (false, true) => Half::Ended,
            (false, false) => Half::Body,
        };
        self.step(id, Half::Head, to)
    }

    /// Sends an interim response, 103 for example.
    ///
    /// # Errors
    /// The stream is over, or its head was sent.
    pub fn interim<'a>(
        &mut self,
        id: u32,
        fields: impl IntoIterator<Item = Line<'a>>,
    ) -> Result<(), Refused> {
        self.answer(id, false, true)?;
        self.write_head(id, false, fields);
        Ok(())
    }

    /// Sends trailers and ends the message. All body bytes must have been taken.
    ///
    /// # Errors
    /// The stream is over, or its head was not sent.
    pub fn trailers<'a>(
        &mut self,
        id: u32,
        fields: impl IntoIterator<Item = Line<'a>>,
    ) -> Result<(), Refused> {
        self.end_with_trailers(id)?;
        self.write_head(id, true, fields);
        self.settle(id);
        Ok(())
    }

    /// Takes the step of trailers that are to be written.
    pub(super) fn end_with_trailers(&mut self, id: u32) -> Result<(), Refused> {
        self.step(id, Half::Body, Half::Ended)?;
        self.stop_wanting(id);
        Ok(())
    }

    /// Moves the half that we send from one state to the next.
    fn step(&mut self, id: u32, from: Half, to: Half) -> Result<(), Refused> {
        let stream = self.streams.get_mut(id).filter(|s| !s.gone).ok_or(Refused::NoStream)?;
        if stream.send != from {
            return Err(Refused::State);
        }
        stream.send = to;
        Ok(())
    }

    pub(super) fn write_head<'a>(
        &mut self,
        id: u32,
        end: bool,
        fields: impl IntoIterator<Item = Line<'a>>,
    ) {
        let most = self.settings.peer.max_frame_size as usize;
        self.out.head(&mut self.hpack.encoder, id, end, most, |encoder, out| {
            for (name, value, secret) in fields {
                encoder.field(name, value, secret, out);
            }
        });
    }

    /// Says that the owner has body bytes for a stream whose head was sent; a grant follows when it is
    /// its turn.
    pub fn want(&mut self, id: u32) {
        let Some(slot) = self.streams.slot(id) else { return };
        let Some(stream) = self.streams.at_mut(slot) else { return };
        if stream.gone || stream.send != Half::Body {
            return;
        }
        stream.wants = true;
        if stream.send_window.open() > 0 {
            self.sched.push(slot, stream.priority);
        }
    }

    fn stop_wanting(&mut self, id: u32) {
        let Some(slot) = self.streams.slot(id) else { return };
        self.sched.finish(slot);
        if let Some(stream) = self.streams.at_mut(slot) {
            stream.wants = false;
        }
    }

    /// Returns how many bytes of a body the peer takes now on a stream, by the windows of both
    /// (RFC 9113 §5.2.1); 0 for a stream that is not open.
    pub fn window(&self, id: u32) -> usize {
        let of_stream = self.streams.get(id).map_or(0, |stream| stream.send_window.open());
        of_stream.min(self.window.send.open())
    }

    /// Returns whose turn it is to send and how much; `None` if no stream wants to and may, or
    /// enough output waits. The owner answers with [`Session::data`] and asks again.
    pub fn grant(&mut self) -> Option<Grant> {
        let room = self.limits.output_bytes.saturating_sub(self.out.len());
        let most = room.min(self.window.send.open());
        if most == 0 {
            return None;
        }
        loop {
            let (slot, turn) = self.sched.front()?;
            let stream = self.streams.at_mut(slot)?;
            let open = stream.send_window.open();
            if open > 0 {
                return Some(Grant { stream: stream.id, bytes: most.min(open).min(turn) });
            }
            self.sched.remove(slot);
        }
    }

    /// Sends body bytes, as many as the windows allow, and returns how many it took. The end is sent
    /// only with the last of them; it needs no grant if there are none.
    ///
    /// # Errors
    /// The stream is over, or its head was not sent.
    pub fn data(&mut self, id: u32, bytes: &[u8], after: After) -> Result<usize, Refused> {
        let slot = self.streams.slot(id).ok_or(Refused::NoStream)?;
        let stream = self.streams.at_mut(slot).filter(|s| !s.gone).ok_or(Refused::NoStream)?;
        if stream.send != Half::Body {
            return Err(Refused::State);
        }
        let taken = bytes.len().min(stream.send_window.open()).min(self.window.send.open());
        stream.send_window.take(taken);
        self.window.send.take(taken);
        let is_whole = taken == bytes.len();
        let end = is_whole && after == After::End;
        stream.wants = !is_whole || after == After::More;
        if end {
            stream.send = Half::Ended;
        }
        if stream.wants && stream.send_window.open() > 0 {
            self.sched.push(slot, stream.priority);
            self.sched.used(slot, taken);
        } else {
            self.sched.finish(slot);
        }
        self.write_data(id, bytes.get(..taken).unwrap_or_default(), end);
        self.settle(id);
        Ok(taken)
    }

    fn write_data(&mut self, id: u32, bytes: &[u8], end: bool) {
        let most = MOST_DATA.min(self.settings.peer.max_frame_size as usize);
        let pieces = bytes.chunks(most);
        let last = pieces.len().saturating_sub(1);
        for (at, piece) in pieces.enumerate() {
            self.out.data(id, piece, end && at == last);
            self.flood.sent_data();
        }
        if bytes.is_empty() && end {
            self.out.data(id, &[], true);
        }
    }

    /// Gives back the credit of body bytes that were taken; tells the peer in steps of half a
    /// window. A window that the peer has used up while the owner takes everything is too small:
    /// it doubles as long as the connection has something to spare.
    pub fn credit(&mut self, id: u32, bytes: u32) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        if stream.gone || stream.recv == Half::Ended {
            return;
        }
        let window = &mut stream.recv_window;
        let is_short = window.is_used_up();
        let Some(mut more) = window.credit(bytes) else { return };
        if is_short && window.held() == 0 {
            let step = window.size().min(self.window.spare);
            let size = window.size().saturating_add(step).min(self.limits.most_stream_window);
            let grown = window.grow(size).unwrap_or(0);
            self.window.spare -= grown;
            more += grown;
        }
        self.out.window_update(id, more);
    }

    /// Returns the body bytes of a stream whose credit was not given back.
    pub fn held(&self, id: u32) -> u64 {
        self.streams.get(id).map_or(0, |stream| stream.recv_window.held())
    }

    /// Changes the priority of a stream; that of an upstream's response wins (RFC 9218 §8).
    pub fn prioritise(&mut self, id: u32, priority: Priority) {
        let Some(slot) = self.streams.slot(id) else { return };
        if let Some(stream) = self.streams.at_mut(slot) {
            stream.priority = priority;
            self.sched.reorder(slot, priority);
        }
    }

    /// Cuts a stream off, by the owner's own decision: NO_ERROR after an answer that came before
    /// the request's end ([`Session::dismiss`]). The slot is free at once; the owner's work must be gone.
    pub fn reset(&mut self, id: u32, code: Code) {
        if self.cut(id) {
            self.out.reset(id, code);
        }
        self.release(id);
    }

    /// Lets go of a stream whose answer is whole though its request is not (RFC 9113 §8.1). Who says
    /// how much is still to come, and may send it without more credit, is left to do so, and that is
    /// dropped: RST_STREAM behind an answer makes curl 7.88 lose the answer where it has sent all.
    /// Everybody else is asked to stop by NO_ERROR.
    pub fn dismiss(&mut self, id: u32) {
        // That of most requests is over with their answer.
        let Some(stream) = self.streams.get(id) else { return };
        let fits = stream.left.is_some_and(|left| stream.recv_window.takes(left));
        if fits && stream.send == Half::Ended {
            self.cut(id);
            self.release(id);
        } else {
            self.reset(id, Code::NO_ERROR);
        }
    }

    /// Frees the slot of a stream that was cut off, after the work for it is gone.
    pub fn release(&mut self, id: u32) {
        let Some(stream) = self.streams.get(id).filter(|stream| stream.gone) else { return };
        if !stream.cut_by_peer {
            self.flood.cut_off();
            self.streams.remember(id);
        }
        self.forget(id);
    }

    /// Says by RST_STREAM that the request of a stream was malformed, also after a whole answer
    /// (RFC 9113 §8.1.1).
    pub fn refuse(&mut self, id: u32, code: Code) {
        if self.streams.get(id).is_none_or(|stream| !stream.gone) {
            self.out.reset(id, code);
        }
        self.cut(id);
        self.release(id);
    }

    /// Sends a PING; its acknowledgement is an event.
    pub fn ping(&mut self, data: [u8; 8]) {
        self.out.ping(data, false);
    }

    /// Returns the bytes to send.
    pub fn output(&self) -> &[u8] {
        self.out.pending()
    }

    /// Drops bytes of the output that were sent.
    pub fn sent(&mut self, bytes: usize) {
        self.out.sent(bytes);
    }

    /// Reports whether the owner should read on: not while the peer leaves too much unread.
    pub fn may_read(&self) -> bool {
        self.out.len() <= self.limits.output_bytes
            && self.out.control() <= self.limits.output_frames
    }

    /// Returns the number of streams that are open or whose work is not gone.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Returns what the peer announced.
    pub fn peer(&self) -> &Settings {
        &self.settings.peer
    }
}
