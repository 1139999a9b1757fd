//! An endpoint's side of a connection over HTTP/2.

use super::away::{FIRST_AWAY, LAST_AWAY};
use super::fields::Fields;
use super::frame;
use super::link::{Heard, Link};
use super::ways::Ways;
use super::wire::{PULL, PUSH, Pulled};
use crate::body::{Way, content, trailers};
use crate::endpoint::Habits;
use crate::grpc;
use crate::http1::Message;
use crate::ledger::{Act, Frame, Spec, wrong};
use crate::world::{Actor, Cx, Stir};
use std::collections::BTreeMap;
use std::io;

const ANSWER: u8 = 2;
const IDLE: u8 = 3;
const CREDIT: u8 = 4;
const CHAT: u8 = 5;
const AWAY: u8 = 6;

pub(crate) struct Session {
    pub(super) link: Link,
    habits: Habits,
    /// Streams that think, and until when, microseconds.
    pub(super) thinks: BTreeMap<u32, u64>,
    /// The last stream that it serves, once it has said so.
    pub(super) away: Option<u32>,
    /// True if the worker has surely read that.
    away_is_known: bool,
    credits: bool,
    /// Closes once everything is sent.
    closes: bool,
}

impl Session {
    pub(crate) fn new(socket: usize, habits: Habits, ways: Ways) -> Self {
        let link = Link::new(false, socket, (habits.dribble, habits.sips), ways);
        Self {
            link,
            habits,
            thinks: BTreeMap::new(),
            away: None,
            away_is_known: false,
            credits: false,
            closes: false,
        }
    }

    fn begin(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        let (change, away) = (self.link.ways.change_us, self.link.ways.away_us);
        if change > 0 {
            cx.soon(CHAT, change);
        }
        if away > 0 {
            cx.soon(AWAY, away);
        }
        self.read(cx)?;
        self.pull(cx)
    }

    fn pull(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        while self.link.wire.socket.is_some() {
            match self.link.wire.pull(cx) {
                Pulled::Nothing => return Ok(()),
                Pulled::More(_) => self.read(cx)?,
                Pulled::Pause(_) => return self.read(cx),
                Pulled::End | Pulled::Reset => self.link.wire.close(false),
            }
        }
        Ok(())
    }

    fn read(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        let mut heard = Vec::new();
        while self.link.wire.socket.is_some() && self.link.next(&mut heard)? {
            for what in heard.drain(..) {
                self.hear(what, cx)?;
            }
        }
        if self.link.ways.credit_us == 0 {
            self.link.credit();
        } else if !std::mem::replace(&mut self.credits, true) {
            cx.soon(CREDIT, self.link.ways.credit_us);
        }
        self.push(cx)
    }

    fn hear(&mut self, what: Heard, cx: &mut Cx<'_>) -> io::Result<()> {
        match what {
            Heard::Head(stream, fields) => self.on_head(stream, fields, cx),
            Heard::End(stream) => self.on_end(stream, cx),
            Heard::Reset(stream, _) => {
                self.thinks.remove(&stream);
                match self.link.streams.remove(&stream).filter(|s| s.id != usize::MAX) {
                    Some(s) => cx.ledger.check_part(s.id, Way::Up, &s.message),
                    None => Ok(()),
                }
            }
            Heard::Pong(FIRST_AWAY) => {
                self.say_away(self.link.last, frame::NO_ERROR);
                Ok(())
            }
            Heard::Pong(LAST_AWAY) => {
                self.away_is_known = true;
                Ok(())
            }
            Heard::Away(_) | Heard::Pong(_) => Ok(()),
        }
    }

    fn on_head(&mut self, stream: u32, fields: Fields, cx: &mut Cx<'_>) -> io::Result<()> {
        let of = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        let first = format!(
            "{} {} HTTP/2",
            of(":method").unwrap_or_default(),
            of(":path").unwrap_or_default()
        );
        let message = Message { first, fields, ..Message::default() };
        let id = cx.ledger.identify(&message, self.habits.mirror)?;
        if self.away_is_known {
            return wrong(format!("request {id} on a connection after its GOAWAY"));
        }
        let open = self.link.streams.len();
        if open > self.link.mine.streams() {
            return wrong(format!("request {id} makes {open} streams at once"));
        }
        if self.away.is_some_and(|last| stream > last) {
            // It was on its way when the endpoint said that it would not be served.
            cx.ledger.turned_away(id)?;
            self.link.cut(stream);
            return Ok(());
        }
        if cx.ledger.may_refuse(id, cx.rng.chance(self.link.ways.refuses))? {
            cx.ledger.turned_away(id)?;
            self.link.reset(stream, frame::REFUSED_STREAM);
            return Ok(());
        }
        cx.ledger.arrived(id)?;
        cx.ledger.check_call(id, &message)?;
        let spec = cx.ledger.spec(id)?.clone();
        let waits = message.has("expect", "100-continue");
        let Some(s) = self.link.streams.get_mut(&stream) else { return Ok(()) };
        (s.id, s.message) = (id, message);
        if matches!(spec.act, Act::Early | Act::EarlyClose) {
            self.answer(stream, &spec, cx)?;
        } else if spec.tunnel.is_some() && spec.act != Act::Hang {
            // Its client sends nothing before the answer.
            self.thinks.insert(stream, hg_net::now_us() + spec.think_us);
            cx.timer(ANSWER, spec.think_us);
        } else if waits {
            let fields = [(":status".to_owned(), "100".to_owned())];
            self.link.head(stream, &fields, false, cx.rng);
        }
        Ok(())
    }

    fn on_end(&mut self, stream: u32, cx: &mut Cx<'_>) -> io::Result<()> {
        let Some(s) = self.link.streams.get_mut(&stream) else { return Ok(()) };
        let id = s.id;
        cx.ledger.check_request(id, &s.message)?;
        s.send.go_on();
        let spec = cx.ledger.spec(id)?;
        if !s.send.held || s.send.done {
            self.link.forget(stream);
            self.idle(cx);
        } else if spec.act != Act::Hang {
            let think_us = spec.think_us;
            self.thinks.insert(stream, hg_net::now_us() + think_us);
            cx.timer(ANSWER, think_us);
        }
        Ok(())
    }

    /// Sends the head of a request's answer, and readies what follows.
    fn answer(&mut self, stream: u32, spec: &Spec, cx: &mut Cx<'_>) -> io::Result<()> {
        let Some(id) = self.link.streams.get(&stream).map(|s| s.id) else { return Ok(()) };
        if spec.act == Act::Garbage {
            self.speak_nonsense(stream, cx);
            return Ok(());
        }
        let ending = spec.call.map(|call| cx.ledger.ending(id, &call)).transpose()?;
        if spec.act == Act::Interim {
            let hints = [(":status", "103"), ("link", "</a>")];
            let hints = hints.map(|(n, v)| (n.to_owned(), v.to_owned()));
            self.link.head(stream, &hints, false, cx.rng);
        }
        let status = if spec.act == Act::Busy { "503" } else { "200" };
        let mut fields: Fields =
            vec![(":status".to_owned(), status.to_owned()), ("x-id".to_owned(), id.to_string())];
        let tunnel = spec.tunnel.filter(|_| spec.act != Act::Busy);
        if spec.down.1 == Frame::Length && tunnel.is_none() {
            fields.push(("content-length".to_owned(), spec.down.0.to_string()));
        }
        let mut body = content(id, Way::Down, tunnel.map_or(spec.answer_len(), |(_, down)| down));
        let mut trailers = spec.has_down_trailers().then(|| trailers(id, Way::Down));
        if let Some(ending) = ending {
            ending.put(&mut fields, &mut body, &mut trailers);
        }
        let more = grpc::split(spec.call.filter(|_| trailers.is_some()), &mut body);
        let end = body.is_empty() && trailers.is_none() && tunnel.is_none();
        self.link.head(stream, &fields, end, cx.rng);
        let Some(s) = self.link.streams.get_mut(&stream) else { return Ok(()) };
        s.send.bytes = body;
        (s.send.more, s.send.trailers) = (more, trailers);
        (s.send.held, s.send.done) = (false, end);
        if s.ended {
            s.send.go_on();
        }
        if let Act::Cut(n, _) = spec.act {
            let n = n % (s.send.bytes.len() + 1);
            s.patience = Some(n).filter(|_| !end);
            if n == 0 && !end {
                self.link.flow.spent.push(stream);
            }
        }
        self.link.forget(stream);
        if spec.act == Act::Last && self.away.is_none() {
            self.announce();
        }
        Ok(())
    }

    /// Sends what no endpoint may send.
    fn speak_nonsense(&mut self, stream: u32, cx: &mut Cx<'_>) {
        let out = &mut self.link.wire.out;
        match cx.rng.below(4) {
            0 => frame::put(out, frame::DATA, frame::END, stream, b"no head"),
            1 => frame::put(out, frame::HEADERS, 5, stream, &[0x80]),
            2 => frame::put(out, frame::WINDOW_UPDATE, 0, 0, &[0; 4]),
            _ => {
                let fields = [("x-id".to_owned(), "1".to_owned())];
                self.link.head(stream, &fields, true, cx.rng);
            }
        }
        self.closes = true;
    }

    fn push(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        self.link.flush(cx);
        for stream in std::mem::take(&mut self.link.flow.spent) {
            let Some(s) = self.link.streams.get(&stream).filter(|s| !s.send.done) else { continue };
            if let Act::Cut(_, false) = cx.ledger.spec(s.id)?.act {
                let reset = cx.rng.chance(500);
                self.link.wire.close(reset);
                return Ok(());
            }
            self.link.reset(stream, frame::INTERNAL_ERROR);
            self.link.wire.push(cx);
        }
        self.refuse_the_rest(cx)?;
        let is_over = self.away_is_known && self.link.streams.is_empty();
        match self.link.wire.socket.filter(|_| self.link.wire.out.is_empty()) {
            Some(_) if self.closes => self.link.wire.close(false),
            // The worker closes; what it still sends would turn a close of ours into a reset.
            Some(socket) if is_over => hg_net::finish(socket),
            _ => {}
        }
        Ok(())
    }

    /// Cuts off requests whose answers are out already, as some endpoints do.
    fn refuse_the_rest(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        let early = self.link.streams.iter().filter(|(_, s)| s.send.done && !s.ended);
        let early: Vec<(u32, usize)> = early.map(|(stream, s)| (*stream, s.id)).collect();
        for (stream, id) in early {
            if cx.ledger.spec(id)?.act == Act::EarlyClose {
                self.link.reset(stream, frame::NO_ERROR);
                self.link.wire.push(cx);
            }
        }
        Ok(())
    }

    /// Begins to wait for the next request.
    fn idle(&mut self, cx: &mut Cx<'_>) {
        if self.habits.idle_us > 0 && self.link.streams.is_empty() {
            cx.soon(IDLE, self.habits.idle_us);
        }
    }

    fn answer_due(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        let now = hg_net::now_us();
        let due: Vec<u32> =
            self.thinks.iter().filter(|(_, at)| **at <= now).map(|(id, _)| *id).collect();
        for stream in due {
            self.thinks.remove(&stream);
            let Some(s) = self.link.streams.get(&stream) else { continue };
            let spec = cx.ledger.spec(s.id)?.clone();
            self.answer(stream, &spec, cx)?;
        }
        self.push(cx)?;
        self.idle(cx);
        Ok(())
    }
}

impl Actor for Session {
    fn on(&mut self, cx: &mut Cx<'_>, what: Stir) -> io::Result<()> {
        if self.link.wire.socket.is_none() {
            return Ok(());
        }
        match what {
            Stir::Begin | Stir::Connected => self.begin(cx),
            Stir::Readable | Stir::Timer(PULL) => self.pull(cx),
            Stir::Writable | Stir::Timer(PUSH) => self.push(cx),
            Stir::Timer(ANSWER) => self.answer_due(cx),
            Stir::Timer(IDLE) => {
                if self.link.streams.is_empty() && self.link.wire.out.is_empty() {
                    self.link.wire.close(false);
                }
                Ok(())
            }
            Stir::Timer(CREDIT) => {
                self.credits = false;
                self.link.credit();
                self.push(cx)
            }
            Stir::Timer(CHAT) => {
                if self.link.chat(cx.rng) {
                    cx.soon(CHAT, self.link.ways.change_us);
                }
                self.push(cx)
            }
            Stir::Timer(AWAY) => {
                self.leave(cx)?;
                self.push(cx)
            }
            Stir::Timer(_) => Ok(()),
        }
    }

    fn state(&self) -> String {
        format!("endpoint over HTTP/2: thinks {:?}, {}", self.thinks, self.link.state())
    }
}
