//! A peer's connection over HTTP/2: its state, and what it sends.

use super::fields::{Fields, Reader, Writer};
use super::frame::{self, put, put_number};
use super::settings::{Mine, Offer, Theirs};
use super::stream::Stream;
use super::ways::{ALWAYS, Ways};
use super::wire::{Pace, Wire};
use crate::world::Cx;
use hg_net::Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Something that concerns the owner.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A head, interim or final.
    Head(u32, Fields),
    /// The end of the message.
    End(u32),
    Reset(u32, u32),
    /// The last stream that the other side serves.
    Away(u32),
    Pong(u64),
}

/// The number of times that a peer says something on a connection without need; the worker bounds
/// that.
const CHATS: u32 = 12;
/// Bytes that wait for the socket before bodies wait.
const ENOUGH: usize = 32 * 1024;

#[derive(Debug)]
pub(crate) struct Link {
    pub(super) is_client: bool,
    pub(crate) wire: Wire,
    pub(crate) ways: Ways,
    pub(crate) mine: Mine,
    pub(crate) theirs: Theirs,
    pub(crate) streams: BTreeMap<u32, Stream>,
    pub(crate) flow: Flow,
    pub(super) blocks: Blocks,
    pub(super) pings: VecDeque<u64>,
    chats: u32,
    /// The highest stream of the side that opens them.
    pub(crate) last: u32,
}

/// The state of the connection, beside that of its streams.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(super) send: i64,
    pub(super) recv: i64,
    pub(super) owed: u32,
    /// Streams that are at the end of their owner's patience.
    pub(crate) spent: Vec<u32>,
    /// Streams that we cut off: frames may still come.
    pub(super) cut: BTreeSet<u32>,
}

#[derive(Debug)]
pub(super) struct Blocks {
    pub(super) reader: Reader,
    writer: Writer,
    /// A block that is not whole: its stream, whether it ends that, and its bytes.
    pub(super) open: Option<(u32, bool, Vec<u8>)>,
}

impl Link {
    pub(crate) fn new(
        is_client: bool,
        socket: usize,
        (up, down): (Pace, Pace),
        ways: Ways,
    ) -> Self {
        let mut link = Self {
            is_client,
            wire: Wire::new(socket, up, down),
            mine: Mine::default(),
            theirs: Theirs::default(),
            streams: BTreeMap::new(),
            flow: Flow {
                send: 65_535,
                recv: 65_535,
                owed: 0,
                spent: Vec::new(),
                cut: BTreeSet::new(),
            },
            blocks: Blocks {
                reader: Reader::new(ways.offer.table),
                writer: Writer::default(),
                open: None,
            },
            pings: VecDeque::new(),
            chats: 0,
            last: 0,
            ways,
        };
        if is_client {
            link.wire.out.extend_from_slice(frame::PREFACE);
        }
        link.offer(link.ways.offer);
        link
    }

    /// Sends SETTINGS.
    fn offer(&mut self, offer: Offer) {
        let grown = self.mine.offer(offer, &mut self.wire.out);
        self.streams.values_mut().for_each(|s| s.recv_window += grown);
    }

    /// Says something that changes nothing for requests: other settings, a PING. Reports whether there
    /// is more to say.
    pub(crate) fn chat(&mut self, rng: &mut Rng) -> bool {
        self.chats += 1;
        if rng.chance(400) {
            self.ping(rng.bits());
        }
        if rng.chance(300) && self.is_client && !self.streams.is_empty() {
            let stream = rng.between(0, u64::from(self.last / 2)) as u32 * 2 + 1;
            let mut payload = stream.to_be_bytes().to_vec();
            payload.extend_from_slice(format!("u={},i", rng.below(8)).as_bytes());
            put(&mut self.wire.out, frame::PRIORITY_UPDATE, 0, 0, &payload);
        }
        if self.mine.is_settled() {
            let least = u64::from(self.ways.offer.window);
            let window = rng.between(least, least * 4).min(1 << 20) as u32;
            let frame = rng.between(16_384, 20_000) as u32;
            let table = rng.size(u64::from(self.ways.offer.table)) as u32;
            self.offer(Offer { window, frame, table, ..self.mine.last() });
        }
        self.chats < CHATS
    }

    pub(crate) fn ping(&mut self, mark: u64) {
        self.pings.push_back(mark);
        put(&mut self.wire.out, frame::PING, 0, 0, &mark.to_be_bytes());
    }

    pub(crate) fn new_stream(&self) -> Stream {
        Stream::new(self.theirs.window, self.mine.window())
    }

    /// Sends a head, cut into frames as chance wants.
    pub(crate) fn head(
        &mut self,
        stream: u32,
        fields: &[(String, String)],
        end: bool,
        rng: &mut Rng,
    ) {
        let block = self.blocks.writer.block(fields, rng);
        let parts = rng.between(1, 3) as usize;
        let mut parts = block.chunks((block.len() / parts).max(1)).peekable();
        let mut kind = frame::HEADERS;
        while let Some(part) = parts.next() {
            let mut flags = if end && kind == frame::HEADERS { frame::END } else { 0 };
            if parts.peek().is_none() {
                flags |= frame::END_HEADERS;
            }
            put(&mut self.wire.out, kind, flags, stream, part);
            kind = frame::CONTINUATION;
        }
    }

    /// Cuts a stream off.
    pub(crate) fn reset(&mut self, stream: u32, code: u32) {
        put_number(&mut self.wire.out, frame::RST_STREAM, stream, code);
        if self.streams.remove(&stream).is_some_and(|s| !s.ended) {
            self.flow.cut.insert(stream);
        }
    }

    pub(crate) fn say_away(&mut self, last: u32, code: u32) {
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        put(&mut self.wire.out, frame::GOAWAY, 0, 0, &payload);
    }

    /// Sends bodies as windows allow, in an order of chance, as long as the socket takes them.
    pub(crate) fn flush(&mut self, cx: &mut Cx<'_>) {
        loop {
            while self.wire.out.len() < ENOUGH {
                let window = self.flow.send;
                let ready = self.streams.iter().filter(|(_, s)| s.may_send(window));
                let ready: Vec<u32> = ready.map(|(id, _)| *id).collect();
                let Some(id) = cx.rng.pick(&ready) else { break };
                self.send_some(id, cx.rng);
            }
            if self.wire.push(cx) == 0 || !self.wire.out.is_empty() {
                return;
            }
        }
    }

    fn send_some(&mut self, id: u32, rng: &mut Rng) {
        let Some(s) = self.streams.get_mut(&id) else { return };
        let left = s.send.left();
        let room = s.send_window.min(self.flow.send).clamp(0, self.theirs.frame as i64) as usize;
        let most = left.min(room).min(s.patience.unwrap_or(usize::MAX));
        // Small frames are for the end of a body: the worker bounds them.
        let largest = if self.ways.pads == ALWAYS { 400 } else { 16_384 };
        let n = usize::try_from(rng.between(300, largest)).unwrap_or(300).min(most);
        let whole = n == left && s.send.more.is_none();
        let ends = whole && s.send.trailers.is_none() && s.patience != Some(n);
        let ends = ends && !(n > 0 && rng.chance(200));
        let spare = room.saturating_sub(n + 1).min(255);
        let pad = if rng.chance(self.ways.pads) && n > 0 {
            Some(rng.below(spare as u64 + 1))
        } else {
            None
        };
        let pad = pad.filter(|_| room > n);
        if n > 0 || ends {
            let bytes = s.send.bytes.get(s.send.at..s.send.at + n).unwrap_or_default();
            let mut payload = Vec::with_capacity(n + 256);
            payload.extend(pad.map(|p| p as u8));
            payload.extend_from_slice(bytes);
            payload.resize(payload.len() + pad.unwrap_or(0) as usize, 0);
            let flags = u8::from(ends) | if pad.is_some() { frame::PADDED } else { 0 };
            put(&mut self.wire.out, frame::DATA, flags, id, &payload);
            s.send.at += n;
            s.send_window -= payload.len() as i64;
            self.flow.send -= payload.len() as i64;
            s.send.done = ends;
        }
        if s.spend(n) {
            self.flow.spent.push(id);
        } else if whole
            && !ends
            && n == 0
            && let Some(trailers) = s.send.trailers.take()
        {
            s.send.done = true;
            self.head(id, &trailers, true, rng);
        }
        self.forget(id);
    }

    /// Drops a stream of which both halves have ended.
    pub(crate) fn forget(&mut self, id: u32) {
        if self.streams.get(&id).is_some_and(Stream::is_over) {
            self.streams.remove(&id);
        }
    }

    /// Drops a stream on which frames may still come.
    pub(crate) fn cut(&mut self, stream: u32) {
        self.streams.remove(&stream);
        self.flow.cut.insert(stream);
    }

    /// Gives windows back.
    pub(crate) fn credit(&mut self) {
        let owed = std::mem::take(&mut self.flow.owed);
        self.flow.recv += i64::from(owed);
        if owed > 0 {
            put_number(&mut self.wire.out, frame::WINDOW_UPDATE, 0, owed);
        }
        for (id, s) in self.streams.iter_mut().filter(|(_, s)| !s.ended && s.owed > 0) {
            put_number(&mut self.wire.out, frame::WINDOW_UPDATE, *id, s.owed);
            s.recv_window += i64::from(std::mem::take(&mut s.owed));
        }
    }

    pub(crate) fn state(&self) -> String {
        let stream = |(id, s): (&u32, &Stream)| {
            format!(
                "{id} of request {}: {} to send (window {}), got {} (window {}), ended {}",
                s.id,
                s.send.left(),
                s.send_window,
                s.message.body.len(),
                s.recv_window,
                s.ended
            )
        };
        let streams: Vec<String> = self.streams.iter().map(stream).collect();
        format!("socket {:?}, out {}, streams {streams:?}", self.wire.socket, self.wire.out.len())
    }
}
