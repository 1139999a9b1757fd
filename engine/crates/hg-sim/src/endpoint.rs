//! An endpoint's side of a connection over HTTP/1.

use crate::body::{Way, content, trailers};
use crate::http1::{Message, Reader, Step, chunked};
use crate::ledger::{Act, Frame, Spec, wrong};
use crate::tunnel::{self, Incoming};
use crate::world::{Actor, Cx, Stir};
use hg_net::Received;
use std::fmt::Write as _;
use std::io;

/// The behaviour of an endpoint on all its connections.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    /// Most bytes sent at once, and the longest pause between.
    pub(crate) dribble: (u64, u64),
    /// Most bytes read at once, and the longest pause between.
    pub(crate) sips: (u64, u64),
    /// Closes an idle connection after a random time up to this; 0 = never.
    pub(crate) idle_us: u64,
    /// The mirror to which it belongs, from 1: it gets copies of requests only; 0 = none.
    pub(crate) mirror: usize,
}

const PUSH: u8 = 0;
const PULL: u8 = 1;
const ANSWER: u8 = 2;
const IDLE: u8 = 3;

/// The action once everything is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Stay,
    Close,
    Reset,
}

pub(crate) struct Session {
    socket: Option<usize>,
    habits: Habits,
    reader: Reader,
    out: Vec<u8>,
    after: After,
    /// The request that waits for its answer.
    thinks: Option<usize>,
    /// True if the request at hand has its answer already.
    answered: bool,
    hangs: bool,
    requests: u32,
    /// The key of the handshake, if the request at hand is one.
    key: String,
    /// The bytes that came over a WebSocket, once the connection is one.
    tunnel: Option<Incoming>,
}

impl Session {
    pub(crate) fn new(socket: usize, habits: Habits, input: Vec<u8>) -> Self {
        Self {
            socket: Some(socket),
            habits,
            reader: Reader::new(input),
            out: Vec::new(),
            after: After::Stay,
            thinks: None,
            answered: false,
            hangs: false,
            requests: 0,
            key: String::new(),
            tunnel: None,
        }
    }

    fn pull(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        while let Some(socket) = self.socket {
            let most = usize::try_from(cx.rng.between(1, self.habits.sips.0)).unwrap_or(1);
            match hg_net::receive(socket, &mut self.reader.input, most) {
                Received::Nothing => return Ok(()),
                Received::Bytes(n) => {
                    self.read(cx)?;
                    if n == most && self.habits.sips.1 > 0 {
                        cx.soon(PULL, self.habits.sips.1);
                        return Ok(());
                    }
                }
                Received::End if self.tunnel.is_some() => return self.half_ended(cx),
                Received::End | Received::Reset => {
                    self.socket = None;
                    hg_net::close(socket);
                }
            }
        }
        Ok(())
    }

    /// Takes the end of what a client sends over a WebSocket, and sends the rest.
    fn half_ended(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        if let Some(tunnel) = &self.tunnel {
            tunnel.ended(cx)?;
        }
        if self.after == After::Stay {
            self.after = After::Close;
        }
        self.push(cx)
    }

    fn read(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        if let Some(tunnel) = &mut self.tunnel {
            return tunnel.came(&self.reader.drain(), cx);
        }
        while self.thinks.is_none() && self.socket.is_some() {
            match self.reader.next(false, false) {
                Step::More => return Ok(()),
                Step::Bad(why) => return wrong(format!("an endpoint got nonsense: {why}")),
                Step::Head(m) => self.head(&m, cx)?,
                Step::Done(m) => self.done(&m, cx)?,
            }
        }
        Ok(())
    }

    fn head(&mut self, m: &Message, cx: &mut Cx<'_>) -> io::Result<()> {
        let id = cx.ledger.identify(m, self.habits.mirror)?;
        cx.ledger.arrived(id)?;
        self.requests += 1;
        self.answered = false;
        let spec = cx.ledger.spec(id)?.clone();
        if matches!(spec.act, Act::Early | Act::EarlyClose) {
            self.answer(id, &spec, cx);
            return self.push(cx);
        }
        if m.has("expect", "100-continue") {
            self.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            return self.push(cx);
        }
        Ok(())
    }

    fn done(&mut self, m: &Message, cx: &mut Cx<'_>) -> io::Result<()> {
        let id = cx.ledger.identify(m, self.habits.mirror)?;
        self.key = m.field("sec-websocket-key").unwrap_or_default().to_owned();
        if cx.ledger.spec(id)?.tunnel.is_none() {
            cx.ledger.check_request(id, m)?;
        }
        if self.answered {
            self.idle(cx);
            return Ok(());
        }
        let spec = cx.ledger.spec(id)?;
        self.thinks = Some(id);
        if spec.act == Act::Hang {
            self.hangs = true;
            return Ok(());
        }
        cx.timer(ANSWER, spec.think_us);
        Ok(())
    }

    /// Puts the answer of a request into what is to be sent.
    fn answer(&mut self, id: usize, spec: &Spec, cx: &mut Cx<'_>) {
        self.answered = true;
        let begin = self.out.len();
        let (len, frame) = spec.down;
        match spec.act {
            Act::Garbage => {
                self.out.extend_from_slice(b"220 sim.example ready\r\n\r\n");
                self.after = After::Close;
                return;
            }
            Act::Interim => {
                self.out.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
            }
            _ => {}
        }
        if let Some((up, down)) = spec.tunnel.filter(|_| spec.act != Act::Busy) {
            self.out.extend_from_slice(&tunnel::accepted(id, &self.key));
            self.out.extend_from_slice(&content(id, Way::Down, down));
            self.tunnel = Some(Incoming::new(id, up));
            return self.cut(begin, spec);
        }
        let status = if spec.act == Act::Busy { "503 Busy" } else { "200 OK" };
        let mut head = format!("HTTP/1.1 {status}\r\nX-Id: {id}\r\n");
        let _ = match frame {
            Frame::Length => write!(head, "Content-Length: {len}\r\n"),
            Frame::Chunked => write!(head, "Transfer-Encoding: chunked\r\n"),
            Frame::Close => write!(head, "Connection: close\r\n"),
        };
        let last = matches!(spec.act, Act::Last | Act::EarlyClose);
        if last && frame != Frame::Close {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        self.out.extend_from_slice(head.as_bytes());
        let body = content(id, Way::Down, spec.answer_len());
        match frame {
            Frame::Chunked if spec.method != "HEAD" => {
                let has_sum = spec.has_down_trailers();
                let sum = if has_sum { trailers(id, Way::Down) } else { Vec::new() };
                self.out.extend_from_slice(&chunked(&body, &sum, cx.rng));
            }
            _ => self.out.extend_from_slice(&body),
        }
        if last || frame == Frame::Close {
            self.after = After::Close;
        }
        self.cut(begin, spec);
    }

    /// Leaves out the end of an answer if it is to be cut off.
    fn cut(&mut self, begin: usize, spec: &Spec) {
        let Act::Cut(n, reset) = spec.act else { return };
        let len = self.out.len() - begin;
        self.out.truncate(begin + n % len.max(1));
        // An end would look like that of the body.
        let resets = reset || spec.down.1 == Frame::Close;
        self.after = if resets { After::Reset } else { After::Close };
    }

    fn push(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        let Some(socket) = self.socket else { return Ok(()) };
        while !self.out.is_empty() {
            let n = usize::try_from(cx.rng.between(1, self.habits.dribble.0)).unwrap_or(1);
            let n = n.min(self.out.len());
            let sent = hg_net::send(socket, self.out.get(..n).unwrap_or_default());
            // A reset is found by reading.
            let sent = sent.unwrap_or(self.out.len());
            self.out.drain(..sent);
            if sent < n {
                return Ok(());
            }
            if self.habits.dribble.1 > 0 && !self.out.is_empty() {
                cx.soon(PUSH, self.habits.dribble.1);
                return Ok(());
            }
        }
        match self.after {
            After::Stay if self.tunnel.is_some() => hg_net::finish(socket),
            After::Stay => {}
            After::Close => {
                self.socket = None;
                hg_net::close(socket);
            }
            After::Reset => {
                self.socket = None;
                hg_net::abort(socket);
            }
        }
        Ok(())
    }

    /// Begins to wait for the next request.
    fn idle(&mut self, cx: &mut Cx<'_>) {
        if self.habits.idle_us > 0 {
            cx.soon(IDLE, self.habits.idle_us);
        }
    }
}

impl Actor for Session {
    fn on(&mut self, cx: &mut Cx<'_>, what: Stir) -> io::Result<()> {
        match what {
            Stir::Begin | Stir::Connected => {
                self.read(cx)?;
                self.pull(cx)
            }
            Stir::Readable | Stir::Timer(PULL) => self.pull(cx),
            Stir::Writable | Stir::Timer(PUSH) => self.push(cx),
            Stir::Timer(ANSWER) => {
                let Some(id) = self.thinks.take() else { return Ok(()) };
                let spec = cx.ledger.spec(id)?.clone();
                self.answer(id, &spec, cx);
                self.push(cx)?;
                self.idle(cx);
                self.read(cx)
            }
            Stir::Timer(IDLE) => {
                let is_idle = self.out.is_empty() && self.thinks.is_none() && self.tunnel.is_none();
                if is_idle
                    && !self.reader.is_amid()
                    && let Some(socket) = self.socket.take()
                {
                    hg_net::close(socket);
                }
                Ok(())
            }
            Stir::Timer(_) => Ok(()),
        }
    }

    fn state(&self) -> String {
        format!(
            "endpoint: socket {:?}, thinks {:?}, hangs {}, to send {}",
            self.socket,
            self.thinks,
            self.hangs,
            self.out.len()
        )
    }
}
