//! One side of a session, of a client or of an endpoint: sends its bytes, ends its half as it wants
//! to, and checks what comes.

use crate::body::{Way, content, misplaced};
use crate::ledger::wrong;
use crate::tcp::book::{Book, Half, Heard, Who};
use crate::tcp::opening::{Opening, mark};
use crate::world::{Cx, Stir};
use hg_net::Received;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

/// The time at which a side ends its half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Once it has sent everything.
    AtOnce,
    /// Once the other side has ended its own as well.
    Last,
    Never,
}

/// The behaviour of a side in a session.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Bytes that it sends.
    pub(crate) len: usize,
    /// The time that it waits before its first byte, microseconds.
    pub(crate) waits_us: u64,
    /// Most bytes sent at once, and the longest pause between.
    pub(crate) dribble: (u64, u64),
    /// Most bytes read at once, and the longest pause between.
    pub(crate) sips: (u64, u64),
    pub(crate) ends: Ends,
    /// Leaves after so many bytes in both directions; `true` with a reset.
    pub(crate) leaves: Option<(usize, bool)>,
    /// Stops reading after so many bytes, for so long.
    pub(crate) stalls: Option<(usize, u64)>,
}

const PUSH: u8 = 0;
const PULL: u8 = 1;
const SPEAK: u8 = 2;
const READ_ON: u8 = 3;

pub(crate) struct Side {
    who: Who,
    socket: Option<usize>,
    part: Part,
    book: Rc<RefCell<Book>>,
    /// Port of an endpoint.
    port: u16,
    out: Vec<u8>,
    /// Bytes of `out` sent, and those before the body.
    sent: usize,
    before: usize,
    opening: Opening,
    /// The other side, once its bytes say.
    other: Option<usize>,
    /// Bytes sent and received.
    moved: usize,
    stage: Stage,
}

/// The progress of a side.
#[derive(Clone, Copy, Debug, Default)]
struct Stage {
    speaks: bool,
    /// True if it has stopped reading for a while.
    stalls: bool,
    /// True if it has ended its half.
    has_ended: bool,
    /// True if the other side has.
    heard: bool,
}

impl Side {
    /// Makes a side of a connection; `first` goes before its mark.
    pub(crate) fn new(
        who: Who,
        (socket, port): (usize, u16),
        (part, first): (Part, &[u8]),
        book: Rc<RefCell<Book>>,
    ) -> Self {
        let mut out = first.to_vec();
        out.extend_from_slice(&mark(who));
        let before = out.len();
        out.extend_from_slice(&content(who.1, who.0, part.len));
        Self {
            who,
            socket: Some(socket),
            part,
            book,
            port,
            out,
            sent: 0,
            before,
            opening: Opening::default(),
            other: None,
            moved: 0,
            stage: Stage::default(),
        }
    }

    /// Reports whether its connection is closed.
    pub(crate) fn is_over(&self) -> bool {
        self.socket.is_none()
    }

    /// Acts on what happened.
    pub(crate) fn on(&mut self, cx: &mut Cx<'_>, what: Stir) -> io::Result<()> {
        match what {
            Stir::Begin | Stir::Connected => {
                cx.timer(SPEAK, self.part.waits_us);
                self.pull(cx)
            }
            Stir::Readable | Stir::Timer(PULL) => self.pull(cx),
            Stir::Timer(READ_ON) => {
                self.stage.stalls = false;
                self.pull(cx)
            }
            Stir::Timer(SPEAK) => {
                self.stage.speaks = true;
                self.push(cx)
            }
            Stir::Writable | Stir::Timer(_) => self.push(cx),
        }
    }

    fn push(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        while let Some(socket) = self.socket.filter(|_| self.stage.speaks && !self.stage.has_ended)
        {
            let left = self.out.get(self.sent..).unwrap_or_default();
            if left.is_empty() {
                return self.end_half(socket);
            }
            let n = usize::try_from(cx.rng.between(1, self.part.dribble.0)).unwrap_or(1);
            let n = n.min(left.len());
            let Some(sent) = hg_net::send(socket, left.get(..n).unwrap_or_default()) else {
                return self.broken();
            };
            self.sent += sent;
            let body = self.sent.saturating_sub(self.before);
            self.book.borrow_mut().line(self.who)?.sent = body;
            if self.spend(sent)? || sent < n {
                return Ok(());
            }
            if self.part.dribble.1 > 0 && self.sent < self.out.len() {
                cx.soon(PUSH, self.part.dribble.1);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Ends its half, if it wants to by now.
    fn end_half(&mut self, socket: usize) -> io::Result<()> {
        let wants = match self.part.ends {
            Ends::AtOnce => true,
            Ends::Last => self.stage.heard,
            Ends::Never => false,
        };
        if !wants {
            return Ok(());
        }
        self.stage.has_ended = true;
        hg_net::finish(socket);
        self.book.borrow_mut().line(self.who)?.half = Half::Ended;
        if self.stage.heard { self.close(false) } else { Ok(()) }
    }

    /// Closes the connection.
    fn close(&mut self, reset: bool) -> io::Result<()> {
        let Some(socket) = self.socket.take() else { return Ok(()) };
        if reset {
            hg_net::abort(socket)
        } else {
            hg_net::close(socket)
        }
        hg_net::trace(|| format!("{:?} is over; reset: {reset}", self.who));
        let mut book = self.book.borrow_mut();
        let line = book.line(self.who)?;
        line.half = match line.half {
            half @ (Half::Ended | Half::Closed) => half,
            _ if reset => Half::Reset,
            _ => Half::Closed,
        };
        book.over(self.who)
    }

    /// Takes a reset, after which nothing more comes.
    fn broken(&mut self) -> io::Result<()> {
        self.book.borrow_mut().heard(self.who, Heard::Reset)?;
        self.close(true)
    }

    /// Counts bytes against the side's patience. Reports whether it has left.
    fn spend(&mut self, n: usize) -> io::Result<bool> {
        self.moved += n;
        let Some((_, reset)) = self.part.leaves.filter(|(most, _)| self.moved > *most) else {
            return Ok(false);
        };
        // The other side must learn whose end it is.
        self.close(reset || self.sent < self.before)?;
        Ok(true)
    }

    fn pull(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        while let Some(socket) = self.socket.filter(|_| !self.stage.stalls) {
            let most = usize::try_from(cx.rng.between(1, self.part.sips.0)).unwrap_or(1);
            match hg_net::receive(socket, &mut self.opening.input, most) {
                Received::Nothing => return Ok(()),
                Received::Reset => return self.broken(),
                Received::End => return self.ended(cx),
                Received::Bytes(n) => {
                    self.read()?;
                    if self.spend(n)? {
                        return Ok(());
                    }
                    if let Some((_, us)) = self.part.stalls.take_if(|(at, _)| self.moved > *at) {
                        self.stage.stalls = true;
                        cx.timer(READ_ON, us);
                    } else if n == most && self.part.sips.1 > 0 {
                        cx.soon(PULL, self.part.sips.1);
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn ended(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        if std::mem::replace(&mut self.stage.heard, true) {
            return Ok(());
        }
        self.book.borrow_mut().heard(self.who, Heard::End)?;
        if self.stage.has_ended { self.close(false) } else { self.push(cx) }
    }

    /// Checks what has come.
    fn read(&mut self) -> io::Result<()> {
        let from = if self.who.0 == Way::Up { Way::Down } else { Way::Up };
        if self.other.is_none() {
            let Some(met) = self.opening.next(from)? else { return Ok(()) };
            let mut book = self.book.borrow_mut();
            book.met(self.who, met.id)?;
            if from == Way::Up {
                book.introduced(met.id, self.port, &met)?;
            }
            self.other = Some(met.id);
        }
        let (Some(other), got) = (self.other, std::mem::take(&mut self.opening.input)) else {
            return Ok(());
        };
        let mut book = self.book.borrow_mut();
        let sent = book.line((from, other))?.sent;
        let line = book.line(self.who)?;
        if let Some(at) = misplaced(other, from, line.got, &got) {
            return wrong(format!("{:?}: byte {at} of {from:?} {other} is wrong", self.who));
        }
        line.got += got.len();
        if line.got > sent {
            return wrong(format!("{:?} got {} bytes of {sent}", self.who, line.got));
        }
        Ok(())
    }

    pub(crate) fn state(&self) -> String {
        let (left, heard) = (self.out.len() - self.sent, self.stage.heard);
        format!(
            "{:?}: socket {:?}, to send {left}, heard an end {heard}, {:?}",
            self.who, self.socket, self.part.ends
        )
    }
}
