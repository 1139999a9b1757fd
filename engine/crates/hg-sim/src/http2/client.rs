//! A client over HTTP/2 with prior knowledge: several streams at a time, and what it checks of them.

use super::frame;
use super::link::{Heard, Link};
use super::request::{GO_ON, answer, request};
use super::stream::Stream;
use super::ways::Ways;
use super::wire::{PULL, PUSH, Pulled};
use crate::body::Way;
use crate::client::Manner;
use crate::ledger::{Outcome, wrong};
use crate::world::{Actor, Cx, Stir};
use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;

const NEXT: u8 = 2;
const CREDIT: u8 = 4;
const CHAT: u8 = 5;
const LINGER: u8 = 6;

pub(crate) struct Client {
    /// Its own address, and the port that it calls.
    place: (Ipv4Addr, u16),
    manner: Manner,
    ways: Ways,
    /// Requests still to be made.
    ids: VecDeque<usize>,
    link: Option<Link>,
    connected: bool,
    /// The last stream that the worker serves, once it has said so.
    away: Option<u32>,
    /// Bytes left until the client gives the connection up.
    patience: Option<usize>,
    resting: bool,
    credits: bool,
    /// The WebSockets of the connection.
    tunnels: Vec<usize>,
}

impl Client {
    pub(crate) fn new(
        place: (Ipv4Addr, u16),
        manner: Manner,
        ways: Ways,
        ids: VecDeque<usize>,
    ) -> Self {
        Self {
            place,
            manner,
            ways,
            ids,
            link: None,
            connected: false,
            away: None,
            patience: None,
            resting: false,
            credits: false,
            tunnels: Vec::new(),
        }
    }

    fn dial(&mut self, cx: &mut Cx<'_>) {
        if self.ids.is_empty() {
            *cx.finished += 1;
            return;
        }
        let socket = hg_net::dial(self.place.0, self.place.1);
        cx.own(socket);
        let paces = (self.manner.dribble, self.manner.sips);
        self.link = Some(Link::new(true, socket, paces, self.ways.clone()));
        (self.connected, self.away, self.resting, self.credits) = (false, None, false, false);
        let leaves = cx.rng.chance(self.manner.leaves);
        self.patience = leaves.then(|| usize::try_from(cx.rng.size(200_000)).unwrap_or(0));
        if self.ways.change_us > 0 {
            cx.soon(CHAT, self.ways.change_us);
        }
    }

    /// Makes requests as far as the client wants several at once.
    fn ask(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        let Some(link) = self.link.as_mut().filter(|_| self.connected) else { return Ok(()) };
        let most = self.manner.depth.min(link.theirs.streams);
        while link.streams.len() < most && self.away.is_none() && !self.resting {
            let Some(&id) = self.ids.front() else { break };
            if cx.ledger.spec(id)?.tunnel.is_some() {
                match (link.theirs.came, link.theirs.connects) {
                    (false, _) => break,
                    (_, false) => return wrong("no extended CONNECT is offered".to_owned()),
                    _ => self.tunnels.push(id),
                }
            }
            self.ids.pop_front();
            request(link, id, cx)?;
            if cx.rng.chance(500) && self.manner.rest_us > 0 {
                self.resting = true;
                cx.soon(NEXT, self.manner.rest_us);
            }
        }
        self.push(cx)
    }

    fn push(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        let Some(link) = self.link.as_mut().filter(|_| self.connected) else { return Ok(()) };
        link.flush(cx);
        self.cut_off(cx)
    }

    /// Cuts off the streams of which the client has enough.
    fn cut_off(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        let Some(link) = self.link.as_mut() else { return Ok(()) };
        let spent = std::mem::take(&mut link.flow.spent);
        if spent.is_empty() {
            return Ok(());
        }
        for stream in spent {
            let Some((id, ended)) = link.streams.get(&stream).map(|s| (s.id, s.ended)) else {
                continue;
            };
            link.reset(stream, frame::CANCEL);
            if !ended {
                cx.ledger.note(id, Outcome::Left)?;
            }
        }
        self.after(cx)
    }

    fn pull(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        loop {
            let Some(link) = self.link.as_mut() else { return Ok(()) };
            let socket = link.wire.socket;
            let pulled = link.wire.pull(cx);
            match pulled {
                Pulled::Nothing => return Ok(()),
                Pulled::More(n) | Pulled::Pause(n) => {
                    self.read(cx)?;
                    if self.link.as_ref().is_none_or(|l| l.wire.socket != socket)
                        || self.spend(n, cx)?
                    {
                        return Ok(());
                    }
                }
                Pulled::End | Pulled::Reset => return self.lost(cx),
            }
            if matches!(pulled, Pulled::Pause(_)) {
                return Ok(());
            }
        }
    }

    /// Counts bytes against the client's patience. Reports whether it has left.
    fn spend(&mut self, n: usize, cx: &mut Cx<'_>) -> io::Result<bool> {
        let Some(left) = self.patience else { return Ok(false) };
        self.patience = Some(left.saturating_sub(n));
        if left > n {
            return Ok(false);
        }
        let reset = cx.rng.chance(500);
        self.end(Outcome::Left, reset, cx)?;
        Ok(true)
    }

    fn lost(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        if !self.connected
            && let Some(id) = self.ids.pop_front()
        {
            cx.ledger.note(id, Outcome::Cut)?;
        }
        self.end(Outcome::Cut, false, cx)
    }

    /// Ends the connection, and with it what is under way, then makes the next.
    fn end(&mut self, outcome: Outcome, reset: bool, cx: &mut Cx<'_>) -> io::Result<()> {
        if let Some(mut link) = self.link.take() {
            for s in link.streams.values().filter(|s| !s.ended) {
                cx.ledger.check_part(s.id, Way::Down, &s.message)?;
                cx.ledger.note(s.id, outcome)?;
            }
            link.wire.close(reset);
        }
        self.tunnels.clear();
        self.dial(cx);
        Ok(())
    }

    fn read(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        let mut heard = Vec::new();
        while let Some(link) = self.link.as_mut()
            && link.next(&mut heard)?
        {
            for what in heard.drain(..) {
                self.hear(what, cx)?;
            }
        }
        self.after(cx)
    }

    /// Carries on after something has come or ended.
    fn after(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        let Some(link) = self.link.as_mut() else { return Ok(()) };
        let is_over = self.away.is_some() || self.ids.is_empty();
        if is_over && link.streams.values().all(|s| s.ended) {
            // What endpoints still have to get over WebSockets would be lost.
            let lingers = cx.ledger.calm && self.tunnels.iter().any(|id| !cx.ledger.has_ended(*id));
            if !lingers {
                return self.end(Outcome::Cut, false, cx);
            }
            cx.timer(LINGER, 1_000_000);
        }
        if self.ways.credit_us == 0 {
            link.credit();
        } else if !std::mem::replace(&mut self.credits, true) {
            cx.soon(CREDIT, self.ways.credit_us);
        }
        self.ask(cx)
    }

    fn hear(&mut self, what: Heard, cx: &mut Cx<'_>) -> io::Result<()> {
        let Some(link) = self.link.as_mut() else { return Ok(()) };
        match what {
            Heard::Head(stream, fields) => {
                let Some(s) = link.streams.get_mut(&stream) else { return Ok(()) };
                let message = answer(fields);
                if (100..200).contains(&message.status()) {
                    s.send.held &= message.status() != 100;
                } else {
                    s.message = message;
                    s.send.held = false;
                    s.send.go_on();
                    if cx.ledger.spec(s.id)?.tunnel.is_some() && s.message.status() != 200 {
                        s.send.bytes.clear();
                    }
                }
            }
            Heard::End(stream) => {
                let Some(s) = link.streams.get_mut(&stream) else { return Ok(()) };
                let (id, message) = (s.id, std::mem::take(&mut s.message));
                link.forget(stream);
                cx.ledger.answered(id, &message)?;
            }
            Heard::Reset(stream, code) => {
                let Some(s) = link.streams.remove(&stream).filter(|s| !s.ended) else {
                    return Ok(());
                };
                cx.ledger.check_part(s.id, Way::Down, &s.message)?;
                match code {
                    frame::REFUSED_STREAM => self.ask_again(s.id, cx)?,
                    frame::NO_ERROR => {
                        return wrong(format!("request {} ends without its answer", s.id));
                    }
                    _ => cx.ledger.note(s.id, Outcome::Cut)?,
                }
            }
            Heard::Away(last) => self.on_away(last, cx)?,
            Heard::Pong(_) => {}
        }
        Ok(())
    }

    /// The worker takes no more streams, and has not served those above `last`.
    fn on_away(&mut self, last: u32, cx: &mut Cx<'_>) -> io::Result<()> {
        if self.away.is_some_and(|before| before < last) {
            return wrong(format!("GOAWAY with {last} after a lower one"));
        }
        self.away = Some(last);
        let Some(link) = self.link.as_mut() else { return Ok(()) };
        for (_, s) in link.streams.split_off(&last.saturating_add(1)) {
            if !s.ended {
                self.ask_again(s.id, cx)?;
            }
        }
        Ok(())
    }

    /// Makes a request anew that surely did not reach an endpoint.
    fn ask_again(&mut self, id: usize, cx: &mut Cx<'_>) -> io::Result<()> {
        cx.ledger.unprocessed(id)?;
        self.ids.push_front(id);
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
                self.ask(cx)
            }
            Stir::Timer(GO_ON) => {
                let link = self.link.iter_mut().filter(|_| self.connected);
                let streams = link.flat_map(|l| l.streams.values_mut());
                let is_open = |s: &Stream| s.has_head || !self.tunnels.contains(&s.id);
                streams.filter(|s| is_open(s)).for_each(|s| s.send.held = false);
                self.push(cx)
            }
            Stir::Timer(CREDIT) => {
                self.credits = false;
                self.link.iter_mut().for_each(Link::credit);
                self.push(cx)
            }
            Stir::Timer(LINGER) => self.after(cx),
            Stir::Timer(CHAT) => {
                let Some(link) = self.link.as_mut().filter(|_| self.connected) else {
                    return Ok(());
                };
                if link.chat(cx.rng) {
                    cx.soon(CHAT, self.ways.change_us);
                }
                self.push(cx)
            }
            Stir::Timer(_) => Ok(()),
        }
    }

    fn state(&self) -> String {
        let link = self.link.as_ref().map(Link::state);
        format!("client {} over HTTP/2: to do {:?}, {link:?}", self.place.0, self.ids)
    }
}
