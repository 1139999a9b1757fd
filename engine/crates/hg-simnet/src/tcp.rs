//! Connections: two sockets, each of which holds what is on its way to it.

use crate::kernel::{Coming, Kernel, Object, Remote};
use crate::{Flow, Happening, Token};
use std::collections::VecDeque;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

/// The side that holds a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Engine,
    Peer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Connecting,
    Open,
    /// Refused or reset.
    Broken,
}

/// A piece of what is on its way to a socket.
pub(crate) enum Piece {
    Data(Vec<u8>),
    End,
    Reset,
}

/// One end of a connection.
pub(crate) struct Socket {
    pub(crate) owner: Owner,
    pub(crate) other: usize,
    pub(crate) state: State,
    pub(crate) watch: Watch,
    /// The port that it calls, and in the higher half the caller's address.
    pub(crate) calls: u64,
    pub(crate) inbox: VecDeque<u8>,
    pub(crate) ended: bool,
    /// The error that the next call reports.
    pub(crate) error: Option<ErrorKind>,
    /// True if we ended our half.
    pub(crate) finished: bool,
    /// True if the descriptor is closed.
    pub(crate) closed: bool,
    /// True if a write found too little room.
    pub(crate) wants_room: bool,
    way: Way,
}

/// A socket's registration with a poller.
#[derive(Default)]
pub(crate) struct Watch {
    pub(crate) token: Option<Token>,
    /// True if an event is to be reported.
    pub(crate) edge: bool,
}

/// The way to a socket.
struct Way {
    pieces: VecDeque<(u64, Piece)>,
    /// Bytes on it.
    bytes: usize,
    /// Most bytes on it and in the socket.
    capacity: usize,
    /// The network resets the connection once so many bytes have come here.
    reset_after: Option<u64>,
    last_arrival: u64,
}

impl Socket {
    fn room(&self) -> usize {
        self.way.capacity.saturating_sub(self.inbox.len() + self.way.bytes)
    }

    pub(crate) fn is_readable(&self) -> bool {
        !self.inbox.is_empty() || self.ended || self.state == State::Broken
    }
}

impl Kernel {
    /// Makes both ends of a connection; returns the ids.
    pub(crate) fn pair(&mut self, first: Owner, second: Owner, state: State) -> (usize, usize) {
        let id = self.objects.len();
        for (owner, other) in [(first, id + 1), (second, id)] {
            let most = self.weather.buffer.max(4);
            let capacity = usize::try_from(self.rng.between(most / 4, most)).unwrap_or(1).max(1);
            let resets = self.rng.chance(self.weather.resets / 2);
            let way = Way {
                pieces: VecDeque::new(),
                bytes: 0,
                capacity,
                reset_after: resets.then(|| self.rng.size(64 * 1024)),
                last_arrival: 0,
            };
            let socket = Socket {
                owner,
                other,
                state,
                watch: Watch::default(),
                calls: 0,
                inbox: VecDeque::new(),
                ended: false,
                error: None,
                finished: false,
                closed: false,
                wants_room: false,
                way,
            };
            self.add(Object::Socket(Box::new(socket)));
        }
        (id, id + 1)
    }

    pub(crate) fn room_of(&mut self, id: usize) -> usize {
        let other = self.socket(id).map_or(usize::MAX, |s| s.other);
        self.socket(other).map_or(0, |s| s.room())
    }

    /// Puts a piece on its way to a socket, behind those before it.
    fn dispatch(&mut self, to: usize, piece: Piece) {
        let at = self.now + self.latency();
        let Some(s) = self.socket(to) else { return };
        let at = at.max(s.way.last_arrival);
        s.way.last_arrival = at;
        if let Piece::Data(d) = &piece {
            s.way.bytes += d.len();
        }
        s.way.pieces.push_back((at, piece));
        self.after(at - self.now, Coming::Arrival(to));
    }

    /// Takes bytes that a socket's holder sends.
    pub(crate) fn send(&mut self, id: usize, bytes: &[u8]) -> Result<Flow> {
        let room = self.room_of(id);
        let (short, blocked) = (
            self.rng.chance(self.weather.short_writes),
            self.rng.chance(self.weather.blocked_writes),
        );
        let cut = usize::try_from(self.rng.between(1, bytes.len().max(1) as u64)).unwrap_or(1);
        let Some(s) = self.socket(id) else { return Err(ErrorKind::BrokenPipe.into()) };
        if let Some(e) = s.error.take() {
            return Err(e.into());
        }
        match s.state {
            State::Connecting => return Ok(Flow::Blocked),
            State::Broken => return Err(ErrorKind::BrokenPipe.into()),
            State::Open if s.finished => return Err(ErrorKind::BrokenPipe.into()),
            State::Open => {}
        }
        let other = s.other;
        let is_engine = s.owner == Owner::Engine;
        let mut n = bytes.len().min(room);
        if is_engine && blocked {
            n = 0;
        } else if is_engine && short {
            n = n.min(cut);
        }
        if n < bytes.len() {
            s.wants_room = true;
            if room > n {
                let us = self.latency();
                self.after(us, Coming::Room(id));
            }
        }
        if n == 0 {
            return Ok(Flow::Blocked);
        }
        self.cut_up(other, bytes.get(..n).unwrap_or_default());
        Ok(Flow::Bytes(n))
    }

    /// Puts bytes on their way in pieces; the network may break the connection among them.
    fn cut_up(&mut self, to: usize, mut bytes: &[u8]) {
        let reset = self.socket(to).and_then(|s| {
            let left = s.way.reset_after?;
            s.way.reset_after = Some(left.saturating_sub(bytes.len() as u64));
            usize::try_from(left).ok().filter(|left| *left < bytes.len())
        });
        if let Some(at) = reset {
            bytes = bytes.get(..at).unwrap_or_default();
        }
        while !bytes.is_empty() {
            let most = self.weather.piece.max(bytes.len() as u64 / 16);
            let n = usize::try_from(self.rng.between(1, most)).unwrap_or(1).min(bytes.len());
            let (piece, rest) = bytes.split_at(n);
            self.dispatch(to, Piece::Data(piece.to_vec()));
            bytes = rest;
        }
        if reset.is_some() {
            self.figures.resets += 1;
            let other = self.socket(to).map_or(usize::MAX, |s| s.other);
            self.dispatch(to, Piece::Reset);
            self.dispatch(other, Piece::Reset);
        }
    }

    /// Takes at most `most` bytes that have arrived.
    pub(crate) fn receive(&mut self, id: usize, most: usize) -> Result<(Vec<u8>, Flow)> {
        let Some(s) = self.socket(id) else { return Err(ErrorKind::NotConnected.into()) };
        if !s.inbox.is_empty() {
            let n = most.min(s.inbox.len());
            let bytes: Vec<u8> = s.inbox.drain(..n).collect();
            self.offer_room(id);
            return Ok((bytes, Flow::Bytes(n)));
        }
        if let Some(e) = s.error.take() {
            return Err(e.into());
        }
        Ok((Vec::new(), if s.is_readable() { Flow::End } else { Flow::Blocked }))
    }

    /// Tells the sender towards this socket of room, if it waits for some.
    fn offer_room(&mut self, id: usize) {
        let other = self.socket(id).map_or(usize::MAX, |s| s.other);
        if self.socket(other).is_some_and(|s| s.wants_room) {
            let us = self.latency();
            self.after(us, Coming::Room(other));
        }
    }

    pub(crate) fn make_room(&mut self, id: usize) {
        let room = self.room_of(id);
        let Some(s) = self.socket(id) else { return };
        if s.wants_room && room > 0 && s.state == State::Open {
            s.wants_room = false;
            self.signal(id, Happening::Writable(id));
        }
    }

    /// Reports an event to the socket's holder.
    fn signal(&mut self, id: usize, what: Happening) {
        let Some(s) = self.socket(id) else { return };
        if s.closed {
            return;
        }
        match s.owner {
            Owner::Peer => self.happened.push_back(what),
            Owner::Engine => {
                if s.watch.token.is_some() && !std::mem::replace(&mut s.watch.edge, true) {
                    self.watched.edges.push(id);
                }
            }
        }
    }

    /// Delivers what is due at a socket.
    pub(crate) fn arrive(&mut self, id: usize) {
        let now = self.now;
        let mut told = false;
        while let Some(s) = self.socket(id)
            && s.way.pieces.front().is_some_and(|(at, _)| *at <= now)
        {
            let Some((_, piece)) = s.way.pieces.pop_front() else { break };
            if s.state == State::Broken {
                continue;
            }
            told = true;
            match piece {
                Piece::Data(d) => {
                    s.way.bytes = s.way.bytes.saturating_sub(d.len());
                    if s.closed {
                        let other = s.other;
                        s.state = State::Broken;
                        self.dispatch(other, Piece::Reset);
                    } else {
                        s.inbox.extend(&d);
                    }
                }
                Piece::End => s.ended = true,
                Piece::Reset => {
                    s.state = State::Broken;
                    s.error = Some(ErrorKind::ConnectionReset);
                }
            }
        }
        if told {
            self.signal(id, Happening::Readable(id));
        }
    }

    /// Ends our half of the connection.
    pub(crate) fn finish(&mut self, id: usize) {
        let Some(s) = self.socket(id) else { return };
        if s.state == State::Open && !std::mem::replace(&mut s.finished, true) {
            let other = s.other;
            self.dispatch(other, Piece::End);
        }
    }

    /// Closes a socket: with a reset if its holder asks for it or left data unread.
    pub(crate) fn close(&mut self, id: usize, reset: bool) {
        let Some(s) = self.socket(id) else { return };
        if std::mem::replace(&mut s.closed, true) {
            return;
        }
        s.watch.token = None;
        let (other, unread) = (s.other, !s.inbox.is_empty());
        let was = s.state;
        let resets = was == State::Open && (reset || unread);
        if resets || was == State::Connecting {
            s.state = State::Broken;
        }
        if resets {
            if self.rng.chance(500) {
                self.lose_some(other);
            }
            self.dispatch(other, Piece::Reset);
        } else if was == State::Open {
            self.finish(id);
        }
    }

    /// A reset takes along what was still to be sent.
    fn lose_some(&mut self, to: usize) {
        let keep = self.rng.below(4);
        let Some(s) = self.socket(to) else { return };
        let keep = usize::try_from(keep).unwrap_or(0).min(s.way.pieces.len());
        for (_, piece) in s.way.pieces.drain(keep..) {
            if let Piece::Data(d) = piece {
                s.way.bytes = s.way.bytes.saturating_sub(d.len());
            }
        }
    }

    /// Begins a connection of the engine; returns its end.
    pub(crate) fn call_remote(&mut self, address: SocketAddr) -> Result<usize> {
        let remote = self.remotes.get(&address).copied().unwrap_or(Remote::Refuses);
        if remote == Remote::Unreachable {
            return Err(Error::from(ErrorKind::NetworkUnreachable));
        }
        let (id, far) = self.pair(Owner::Engine, Owner::Peer, State::Connecting);
        if let Some(s) = self.socket(far) {
            s.calls = u64::from(address.port());
        }
        self.note("connect", id, usize::from(address.port()));
        if remote != Remote::Silent {
            let us = self.latency();
            self.after(us, Coming::Answer(id));
        }
        Ok(id)
    }

    /// The other side answers a connection of the engine.
    pub(crate) fn answer(&mut self, id: usize) {
        let Some(s) = self.socket(id) else { return };
        let (far, gone) = (s.other, s.closed);
        let port = self.socket(far).map_or(0, |s| s.calls);
        let up = self.remotes.iter().any(|(a, r)| u64::from(a.port()) == port && *r == Remote::Up);
        if gone {
            return;
        }
        for end in [id, far] {
            if let Some(s) = self.socket(end) {
                s.state = if up { State::Open } else { State::Broken };
                s.error = (!up).then_some(ErrorKind::ConnectionRefused);
            }
        }
        self.signal(id, Happening::Writable(id));
        if up {
            let port = u16::try_from(port).unwrap_or(0);
            self.happened.push_back(Happening::Accepted { port, socket: far });
        }
    }

    /// A connection of a peer reaches its listener.
    pub(crate) fn knock(&mut self, id: usize) {
        let Some(s) = self.socket(id) else { return };
        let far = s.other;
        let calls = self.socket(far).map_or(0, |s| s.calls);
        let (port, from) = (calls as u16, (calls >> 32) as u32);
        let peer = SocketAddr::from((from.to_be_bytes(), 40_000));
        let found = self.objects.iter_mut().flatten().find_map(|o| match o {
            Object::Listener(l) if l.address.port() == port => Some(l),
            _ => None,
        });
        let open = match found {
            // Its SYN is lost; the peer tries again.
            Some(l) if l.deaf => return self.after(1_000_000, Coming::Call(id)),
            Some(l) => {
                l.queue.push_back((far, peer));
                true
            }
            None => false,
        };
        for end in [id, far] {
            if let Some(s) = self.socket(end) {
                s.state = if open { State::Open } else { State::Broken };
                s.error = (!open).then_some(ErrorKind::ConnectionRefused);
            }
        }
        self.happened.push_back(match open {
            true => Happening::Connected(id),
            false => Happening::Readable(id),
        });
    }
}
