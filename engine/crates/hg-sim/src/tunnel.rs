//! WebSockets over HTTP/1: both sides send so many bytes, then end their half, and take what comes.

use crate::body::{Way, content};
use crate::client::Manner;
use crate::http1::{Message, Reader, Step};
use crate::ledger::{Outcome, wrong};
use crate::world::{Actor, Cx, Stir};
use hg_net::Received;
use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;

/// The key of RFC 6455 §1.3 and what answers it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const PUSH: u8 = 0;
const PULL: u8 = 1;

fn handshake(id: usize) -> Vec<u8> {
    format!(
        "GET /r/{id} HTTP/1.1\r\nHost: sim.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
    .into_bytes()
}

/// Returns an endpoint's answer to a handshake.
pub(crate) fn accepted(id: usize, key: &str) -> Vec<u8> {
    let accept = hg_proto::websocket::accept(key.as_bytes());
    let accept = String::from_utf8_lossy(&accept);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\nX-Id: {id}\r\n\r\n"
    )
    .into_bytes()
}

/// The bytes that an endpoint gets over a WebSocket.
pub(crate) struct Incoming {
    id: usize,
    most: usize,
    got: Vec<u8>,
}

impl Incoming {
    pub(crate) fn new(id: usize, most: usize) -> Self {
        Self { id, most, got: Vec::new() }
    }

    pub(crate) fn came(&mut self, bytes: &[u8], cx: &mut Cx<'_>) -> io::Result<()> {
        self.got.extend_from_slice(bytes);
        cx.ledger.check_tunnel(self.id, self.most, &self.got, false)
    }

    /// Takes an end in order.
    pub(crate) fn ended(&self, cx: &mut Cx<'_>) -> io::Result<()> {
        cx.ledger.check_tunnel(self.id, self.most, &self.got, true)
    }
}

/// A client that opens one WebSocket after the other.
pub(crate) struct Client {
    place: (Ipv4Addr, u16),
    manner: Manner,
    ids: VecDeque<usize>,
    id: Option<usize>,
    socket: Option<usize>,
    connected: bool,
    out: Vec<u8>,
    reader: Reader,
    /// The bytes that came over the WebSocket, once it is open.
    got: Option<Vec<u8>>,
    /// True if the other half has ended.
    has_ended: bool,
    patience: Option<usize>,
}

impl Client {
    pub(crate) fn new(place: (Ipv4Addr, u16), manner: Manner, ids: VecDeque<usize>) -> Self {
        Self {
            place,
            manner,
            ids,
            id: None,
            socket: None,
            connected: false,
            out: Vec::new(),
            reader: Reader::default(),
            got: None,
            has_ended: false,
            patience: None,
        }
    }

    fn dial(&mut self, cx: &mut Cx<'_>) {
        self.id = self.ids.pop_front();
        if self.id.is_none() {
            *cx.finished += 1;
            return;
        }
        let socket = hg_net::dial(self.place.0, self.place.1);
        cx.own(socket);
        self.socket = Some(socket);
        (self.connected, self.has_ended, self.got) = (false, false, None);
        (self.out, self.reader) = (Vec::new(), Reader::default());
        let leaves = cx.rng.chance(self.manner.leaves);
        self.patience = leaves.then(|| usize::try_from(cx.rng.size(60_000)).unwrap_or(0));
    }

    fn begin(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        self.connected = true;
        let Some(id) = self.id else { return Ok(()) };
        cx.ledger.asked(id, false)?;
        self.out = handshake(id);
        self.push(cx)
    }

    /// Notes how the WebSocket at hand ended, and opens the next one.
    fn end(&mut self, outcome: Outcome, cx: &mut Cx<'_>) -> io::Result<()> {
        if let Some(socket) = self.socket.take() {
            hg_net::close(socket);
        }
        if let Some(id) = self.id.take() {
            cx.ledger.note(id, outcome)?;
        }
        self.dial(cx);
        Ok(())
    }

    fn push(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        let Some(socket) = self.socket.filter(|_| self.connected) else { return Ok(()) };
        while !self.out.is_empty() {
            let n = usize::try_from(cx.rng.between(1, self.manner.dribble.0)).unwrap_or(1);
            let n = n.min(self.out.len());
            let sent = hg_net::send(socket, self.out.get(..n).unwrap_or_default());
            // A reset is found by reading.
            let sent = sent.unwrap_or(self.out.len());
            self.out.drain(..sent);
            if self.spend(sent, cx)? || sent < n {
                return Ok(());
            }
            if self.manner.dribble.1 > 0 && !self.out.is_empty() {
                cx.soon(PUSH, self.manner.dribble.1);
                return Ok(());
            }
        }
        if self.got.is_some() {
            hg_net::finish(socket);
        }
        self.end_if_over(cx)
    }

    /// Counts bytes against the client's patience. Reports whether it has left.
    fn spend(&mut self, n: usize, cx: &mut Cx<'_>) -> io::Result<bool> {
        let Some(left) = self.patience else { return Ok(false) };
        self.patience = Some(left.saturating_sub(n));
        if left > n {
            return Ok(false);
        }
        if let Some(socket) = self.socket.take() {
            if cx.rng.chance(500) { hg_net::abort(socket) } else { hg_net::close(socket) }
        }
        self.end(Outcome::Left, cx)?;
        Ok(true)
    }

    /// Ends the WebSocket once both halves have ended.
    fn end_if_over(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        let (Some(id), Some(got)) = (self.id, &self.got) else { return Ok(()) };
        if !self.has_ended || !self.out.is_empty() {
            return Ok(());
        }
        let outcome = cx.ledger.tunnel_outcome(id, got)?;
        self.end(outcome, cx)
    }

    fn pull(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        while let Some(socket) = self.socket {
            let most = usize::try_from(cx.rng.between(1, self.manner.sips.0)).unwrap_or(1);
            match hg_net::receive(socket, &mut self.reader.input, most) {
                Received::Nothing => return Ok(()),
                Received::Bytes(n) => {
                    self.read(false, cx)?;
                    if self.socket != Some(socket) || self.spend(n, cx)? {
                        return Ok(());
                    }
                    if n == most && self.manner.sips.1 > 0 {
                        cx.soon(PULL, self.manner.sips.1);
                        return Ok(());
                    }
                }
                Received::End if self.got.is_some() => {
                    self.has_ended = true;
                    return self.end_if_over(cx);
                }
                Received::End => {
                    self.read(true, cx)?;
                    if self.socket == Some(socket) {
                        return self.end(Outcome::Cut, cx);
                    }
                }
                _ => return self.end(Outcome::Cut, cx),
            }
        }
        Ok(())
    }

    fn read(&mut self, ended: bool, cx: &mut Cx<'_>) -> io::Result<()> {
        while let (Some(id), None) = (self.id, &self.got) {
            match self.reader.next(ended, false) {
                Step::More => return Ok(()),
                Step::Head(_) => {}
                Step::Bad(why) => return wrong(format!("WebSocket {id} got nonsense: {why}")),
                Step::Done(m) if m.status() == 101 => return self.open(id, &m, cx),
                Step::Done(m) if m.status() < 200 => {}
                Step::Done(m) => {
                    cx.ledger.answered(id, &m)?;
                    self.id = None;
                    return self.end(Outcome::Cut, cx);
                }
            }
        }
        let Some(id) = self.id else { return Ok(()) };
        let Some(got) = &mut self.got else { return Ok(()) };
        got.extend_from_slice(&self.reader.drain());
        cx.ledger.check_tunneled(id, got, false).map(|_| ())
    }

    fn open(&mut self, id: usize, m: &Message, cx: &mut Cx<'_>) -> io::Result<()> {
        let of = m.field("x-id").and_then(|v| v.parse().ok());
        if of != Some(id) || m.field("sec-websocket-accept") != Some(ACCEPT) {
            return wrong(format!("WebSocket {id} got the answer {m:?}"));
        }
        let up = cx.ledger.spec(id)?.tunnel.map_or(0, |(up, _)| up);
        self.got = Some(Vec::new());
        self.out.extend_from_slice(&content(id, Way::Up, up));
        self.read(false, cx)?;
        self.push(cx)
    }
}

impl Actor for Client {
    fn on(&mut self, cx: &mut Cx<'_>, what: Stir) -> io::Result<()> {
        match what {
            Stir::Begin => {
                self.dial(cx);
                Ok(())
            }
            Stir::Connected => self.begin(cx),
            Stir::Readable | Stir::Timer(PULL) => self.pull(cx),
            Stir::Writable | Stir::Timer(PUSH) => self.push(cx),
            Stir::Timer(_) => Ok(()),
        }
    }

    fn state(&self) -> String {
        let got = self.got.as_ref().map(Vec::len);
        let (ip, left) = (self.place.0, self.out.len());
        format!("client {ip}: WebSocket {:?}, got {got:?}, to send {left}", self.id)
    }
}
