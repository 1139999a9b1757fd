//! The record of what both sides of every TCP session have sent and seen, and the check that it
//! fits together.

use crate::body::Way;
use crate::ledger::wrong;
use crate::tcp::opening::{Met, Start};
use std::collections::BTreeSet;
use std::io;

/// The faults that a run may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Nothing: every session is whole.
    Calm,
    /// Clients and endpoints leave at any byte; all else works.
    Fair,
    /// Everything.
    Rough,
}

/// The state of one side's half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Open,
    /// It ended its half, and may still read.
    Ended,
    /// It closed the connection: in order, as far as the kernel could.
    Closed,
    Reset,
}

/// The end of what a side gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    End,
    Reset,
}

/// One side of a session: a client's, or a connection to an endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Bytes given to the kernel, and those that it wants to send.
    pub(crate) sent: usize,
    pub(crate) whole: usize,
    pub(crate) half: Half,
    pub(crate) got: usize,
    pub(crate) heard: Option<Heard>,
    /// The other side, once either knows of the other.
    pub(crate) other: Option<usize>,
    pub(crate) is_over: bool,
}

impl Line {
    pub(crate) fn new(whole: usize) -> Self {
        let (half, heard, other, is_over) = (Half::Open, None, None, false);
        Self { sent: 0, whole, half, got: 0, heard, other, is_over }
    }

    /// Reports whether it has everything of a side.
    fn has_all_of(&self, other: &Self) -> bool {
        self.heard == Some(Heard::End) && self.got == other.whole
    }
}

/// Names a side of a session by the way of its bytes, and its number.
pub(crate) type Who = (Way, usize);

/// The information that endpoints may get of a client: none, or a version of the PROXY protocol.
pub(crate) type Tells = BTreeSet<Option<u8>>;

/// The places where clients may arrive, by any plan of a run: ports, and what endpoints get there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ways {
    pub(crate) ports: BTreeSet<u16>,
    pub(crate) tells: Tells,
}

#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) mood: Mood,
    /// The beginnings of the clients' streams; the clients' lines have the same numbers.
    pub(crate) starts: Vec<Start>,
    /// The places where clients without a name, and those with the name of the second route, may
    /// arrive.
    pub(crate) ways: [Ways; 2],
    pub(crate) clients: Vec<Line>,
    pub(crate) endpoints: Vec<Line>,
}

impl Book {
    pub(crate) fn line(&mut self, (way, id): Who) -> io::Result<&mut Line> {
        let lines = if way == Way::Up { &mut self.clients } else { &mut self.endpoints };
        match lines.get_mut(id) {
            Some(line) => Ok(line),
            None => wrong(format!("{way:?} {id} does not exist")),
        }
    }

    /// Returns the other side of a line, if it is known.
    fn other(&mut self, (way, id): Who) -> io::Result<Option<Line>> {
        let back = if way == Way::Up { Way::Down } else { Way::Up };
        match self.line((way, id))?.other {
            Some(other) => self.line((back, other)).map(|line| Some(line.clone())),
            None => Ok(None),
        }
    }

    /// Notes that bytes of one side have come to another.
    pub(crate) fn met(&mut self, (way, id): Who, other: usize) -> io::Result<()> {
        let back = if way == Way::Up { Way::Down } else { Way::Up };
        for (who, with) in [((way, id), other), ((back, other), id)] {
            let before = self.line(who)?.other.replace(with);
            if before.is_some_and(|before| before != with) {
                return wrong(format!("{who:?} speaks with {before:?} and with {with}"));
            }
        }
        Ok(())
    }

    /// Checks what an endpoint at a port was told of a client before its first byte.
    pub(crate) fn introduced(&self, id: usize, port: u16, met: &Met) -> io::Result<()> {
        let Some(start) = self.starts.get(id) else {
            return wrong(format!("there is no client {id}"));
        };
        let ways = self.ways.get(usize::from(start.is_second)).cloned().unwrap_or_default();
        if !ways.ports.contains(&port) {
            return wrong(format!("client {id} arrived at port {port}, not at {:?}", ways.ports));
        }
        if met.hello != start.hello {
            return wrong(format!("the hello of client {id} came changed"));
        }
        let told = met.told.as_ref();
        if !ways.tells.contains(&told.map(|(version, _)| *version)) {
            return wrong(format!("of client {id} the endpoint is told {told:?}"));
        }
        match told {
            Some((_, source)) if *source != start.source => {
                wrong(format!("client {id} is {}, not {source}", start.source))
            }
            _ => Ok(()),
        }
    }

    /// Checks how what a side gets has ended: an end comes only behind everything that the other
    /// side has sent before its own, and a reset only from a side that has left.
    pub(crate) fn heard(&mut self, who: Who, how: Heard) -> io::Result<()> {
        let mood = self.mood;
        let other = self.other(who)?;
        let me = self.line(who)?;
        me.heard.get_or_insert(how);
        match (how, other) {
            (Heard::End, None) => wrong(format!("{who:?} got an end from nobody")),
            (Heard::End, Some(o)) if me.got != o.sent => {
                wrong(format!("{who:?} got an end after {} of {} bytes", me.got, o.sent))
            }
            (Heard::End, Some(o)) if !matches!(o.half, Half::Ended | Half::Closed) => {
                wrong(format!("{who:?} got an end where the other side has {:?}", o.half))
            }
            (Heard::Reset, _) if mood == Mood::Calm => {
                wrong(format!("{who:?} got a reset in calm weather"))
            }
            (Heard::Reset, Some(o)) if mood == Mood::Fair && !o.is_over => {
                wrong(format!("{who:?} got a reset, but the other side is still there"))
            }
            _ => Ok(()),
        }
    }

    /// Notes that a side has closed its socket.
    pub(crate) fn over(&mut self, who: Who) -> io::Result<()> {
        let mood = self.mood;
        let other = self.other(who)?;
        let me = self.line(who)?;
        me.is_over = true;
        let is_whole = other.is_some_and(|other| me.has_all_of(&other));
        if mood == Mood::Calm && !is_whole {
            return wrong(format!("{who:?} is not whole in calm weather: {me:?}"));
        }
        Ok(())
    }

    /// Reports whether a side has not seen its end yet.
    pub(crate) fn is_open(&self) -> bool {
        self.clients.iter().chain(&self.endpoints).any(|line| !line.is_over)
    }

    /// Returns how many sessions there were, and how many of them were whole.
    pub(crate) fn totals(&self) -> (usize, usize) {
        let is_whole = |c: &&Line| {
            let other = c.other.and_then(|other| self.endpoints.get(other));
            other.is_some_and(|o| c.has_all_of(o) && o.has_all_of(c))
        };
        (self.clients.len(), self.clients.iter().filter(is_whole).count())
    }

    /// Returns the bytes that all clients have sent, without PROXY headers, and all endpoints.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        let hellos: usize = self.starts.iter().map(|start| start.hello.len()).sum();
        let marks = crate::tcp::opening::MARK * self.clients.len();
        let sent = |lines: &[Line]| lines.iter().map(|line| line.sent).sum::<usize>() + marks;
        ((sent(&self.clients) + hellos) as u64, sent(&self.endpoints) as u64)
    }
}
