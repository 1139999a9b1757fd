//! A client over HTTP/1: sends its requests, pipelined or not, and checks what it gets.

use crate::body::{Way, content, trailers};
use crate::http1::{Reader, Step, chunked};
use crate::ledger::{Frame, Ledger, Outcome, wrong};
use crate::world::{Actor, Cx, Stir};
use hg_net::Received;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io;
use std::net::Ipv4Addr;

/// The behaviour of a client.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// Most requests under way at once.
    pub(crate) depth: usize,
    /// Most bytes sent at once, and the longest pause between.
    pub(crate) dribble: (u64, u64),
    /// Most bytes read at once, and the longest pause between.
    pub(crate) sips: (u64, u64),
    /// Longest pause between two requests.
    pub(crate) rest_us: u64,
    /// Speaks HTTP/1.0: one request for each connection.
    pub(crate) is_old: bool,
    /// Ends its half after its last request.
    pub(crate) half_closes: bool,
    /// Gives up a connection after so many bytes in both directions; per mille of connections.
    pub(crate) leaves: u64,
}

const PUSH: u8 = 0;
const PULL: u8 = 1;
const NEXT: u8 = 2;
const GO_ON: u8 = 3;

/// The time that a client waits for `100 Continue`.
const CONTINUE_US: u64 = 1_000_000;

pub(crate) struct Client {
    /// Its own address, and the port that it calls.
    place: (Ipv4Addr, u16),
    manner: Manner,
    /// Requests still to be made.
    ids: VecDeque<usize>,
    socket: Option<usize>,
    connected: bool,
    /// Requests under way.
    asked: VecDeque<usize>,
    out: Vec<u8>,
    /// A body that waits for `100 Continue`.
    held: Option<Vec<u8>>,
    reader: Reader,
    /// True if the connection takes no more requests.
    closing: bool,
    /// Bytes left until the client gives the connection up.
    patience: Option<usize>,
    resting: bool,
}

impl Client {
    pub(crate) fn new(ip: Ipv4Addr, port: u16, manner: Manner, ids: VecDeque<usize>) -> Self {
        Self {
            place: (ip, port),
            manner,
            ids,
            socket: None,
            connected: false,
            asked: VecDeque::new(),
            out: Vec::new(),
            held: None,
            reader: Reader::default(),
            closing: false,
            patience: None,
            resting: false,
        }
    }

    fn dial(&mut self, cx: &mut Cx<'_>) {
        if self.ids.is_empty() {
            *cx.finished += 1;
            return;
        }
        let socket = hg_net::dial(self.place.0, self.place.1);
        cx.own(socket);
        self.socket = Some(socket);
        self.connected = false;
        self.reader = Reader::default();
        self.closing = false;
        (self.out, self.held, self.resting) = (Vec::new(), None, false);
        let leaves = cx.rng.chance(self.manner.leaves);
        self.patience = leaves.then(|| usize::try_from(cx.rng.size(200_000)).unwrap_or(0));
    }

    /// Makes requests as far as the client wants several at once.
    fn ask(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        let depth = if self.manner.is_old { 1 } else { self.manner.depth };
        while self.asked.len() < depth && !self.closing && self.held.is_none() && !self.resting {
            let Some(id) = self.ids.pop_front() else { break };
            self.write_request(id, cx)?;
            self.asked.push_back(id);
            self.closing |= self.manner.is_old;
            let rests = cx.rng.chance(500) && self.manner.rest_us > 0;
            if rests {
                self.resting = true;
                cx.soon(NEXT, self.manner.rest_us);
            }
        }
        self.push(cx)
    }

    fn write_request(&mut self, id: usize, cx: &mut Cx<'_>) -> io::Result<()> {
        let spec = cx.ledger.asked(id, self.manner.is_old)?.clone();
        let version = if self.manner.is_old { "1.0" } else { "1.1" };
        let mut head = format!("{} /r/{id} HTTP/{version}\r\nHost: sim.example\r\n", spec.method);
        let mut body = Vec::new();
        if let Some((len, frame)) = spec.up {
            body = content(id, Way::Up, len);
            if frame == Frame::Chunked && !self.manner.is_old {
                head.push_str("Transfer-Encoding: chunked\r\n");
                let sum = if spec.up_trailers { trailers(id, Way::Up) } else { Vec::new() };
                body = chunked(&body, &sum, cx.rng);
            } else {
                let _ = write!(head, "Content-Length: {len}\r\n");
            }
        }
        let waits = spec.waits_for_continue && !self.manner.is_old && !body.is_empty();
        if waits {
            head.push_str("Expect: 100-continue\r\n");
        }
        head.push_str("\r\n");
        self.out.extend_from_slice(head.as_bytes());
        if waits {
            self.held = Some(body);
            cx.timer(GO_ON, CONTINUE_US);
        } else {
            self.out.extend_from_slice(&body);
        }
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
        if self.manner.half_closes && self.ids.is_empty() && self.held.is_none() {
            hg_net::finish(socket);
        }
        Ok(())
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
        self.give_up(Outcome::Left, cx)?;
        Ok(true)
    }

    fn give_up(&mut self, outcome: Outcome, cx: &mut Cx<'_>) -> io::Result<()> {
        for id in std::mem::take(&mut self.asked) {
            cx.ledger.note(id, outcome)?;
        }
        self.dial(cx);
        Ok(())
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
                end => return self.lost(end == Received::End, cx),
            }
        }
        Ok(())
    }

    fn lost(&mut self, in_order: bool, cx: &mut Cx<'_>) -> io::Result<()> {
        let lost = self.socket;
        if in_order {
            self.read(true, cx)?;
        }
        if self.socket != lost {
            return Ok(());
        }
        if !self.connected {
            self.asked.extend(self.ids.pop_front());
        }
        self.end(cx)
    }

    fn is_bare(&self, ledger: &Ledger) -> io::Result<bool> {
        let Some(id) = self.asked.front() else { return Ok(false) };
        Ok(ledger.spec(*id)?.method == "HEAD")
    }

    fn read(&mut self, ended: bool, cx: &mut Cx<'_>) -> io::Result<()> {
        let socket = self.socket;
        while self.socket.is_some() && self.socket == socket {
            let bare = self.is_bare(cx.ledger)?;
            match self.reader.next(ended, bare) {
                Step::More => return Ok(()),
                Step::Head(_) => {}
                Step::Bad(why) => return wrong(format!("a client got nonsense: {why}")),
                Step::Done(m) if (100..200).contains(&m.status()) => {
                    if m.status() == 100 {
                        self.go_on(cx)?;
                    }
                }
                Step::Done(m) => {
                    let Some(id) = self.asked.pop_front() else {
                        return wrong(format!("an answer without a request: {:?}", m.first));
                    };
                    cx.ledger.answered(id, &m)?;
                    // A body that was never asked for keeps the connection from going on.
                    let unsent = self.asked.is_empty() && self.held.take().is_some();
                    self.closing |= m.has("connection", "close") || unsent;
                    if self.closing && (self.asked.is_empty() || m.has("connection", "close")) {
                        return self.end(cx);
                    }
                    self.ask(cx)?;
                    if self.socket == socket && self.asked.is_empty() && self.ids.is_empty() {
                        return self.end(cx);
                    }
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        if let Some(socket) = self.socket.take() {
            hg_net::close(socket);
        }
        self.give_up(Outcome::Cut, cx)
    }

    fn go_on(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        if let Some(body) = self.held.take() {
            self.out.extend_from_slice(&body);
            self.ask(cx)?;
        }
        Ok(())
    }
}

impl Actor for Client {
    fn on(&mut self, cx: &mut Cx<'_>, what: Stir) -> io::Result<()> {
        match what {
            Stir::Begin => {
                self.dial(cx);
                Ok(())
            }
            Stir::Connected => {
                self.connected = true;
                self.ask(cx)
            }
            Stir::Readable | Stir::Timer(PULL) => self.pull(cx),
            Stir::Writable | Stir::Timer(PUSH) => self.push(cx),
            Stir::Timer(NEXT) => {
                self.resting = false;
                if self.connected && self.socket.is_some() { self.ask(cx) } else { Ok(()) }
            }
            Stir::Timer(GO_ON) => self.go_on(cx),
            Stir::Timer(_) => Ok(()),
        }
    }

    fn state(&self) -> String {
        format!(
            "client {}: asked {:?}, to do {:?}, to send {}, socket {:?}",
            self.place.0,
            self.asked,
            self.ids,
            self.out.len(),
            self.socket
        )
    }
}
