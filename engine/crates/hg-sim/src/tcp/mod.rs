//! The scene of TCP: sessions of any bytes, whose sides end, leave and reset where they want to.
//!
//! - `draw`: what a seed decides,
//! - `side`, `client`: who plays,
//! - `opening`: PROXY headers, hellos and marks, by which an endpoint knows whose bytes come,
//! - `book`: what both sides have sent and seen.

mod book;
mod client;
mod draw;
mod opening;
mod side;

use crate::body::Way;
use crate::counters::{Close, WorkerCounters};
use crate::ledger::Ledger;
use crate::ledger::wrong;
use crate::play::{Deed, Object, Play};
use crate::world::Actor;
use book::{Book, Line, Mood};
use client::{Client, Endpoint};
use draw::Drawn;
use hg_net::{Rng, Weather};
use side::Side;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

pub(crate) struct Tcp {
    seed: u64,
    drawn: Drawn,
    book: Rc<RefCell<Book>>,
    /// For endpoints.
    rng: RefCell<Rng>,
}

impl Tcp {
    pub(crate) fn new(seed: u64) -> Self {
        let drawn = Drawn::new(seed);
        let mut parts: Vec<_> = drawn.clients.iter().flat_map(|(parts, _)| parts).collect();
        parts.sort_by_key(|(id, _)| *id);
        let book = Book {
            mood: drawn.terms.mood,
            starts: drawn.starts.clone(),
            ways: drawn.ways.clone(),
            clients: parts.iter().map(|(_, part)| Line::new(part.len)).collect(),
            endpoints: Vec::new(),
        };
        let (book, rng) = (Rc::new(RefCell::new(book)), RefCell::new(Rng::new(seed ^ 0xe9d)));
        Self { seed, drawn, book, rng }
    }
}

impl Play for Tcp {
    fn seed(&self) -> u64 {
        self.seed
    }

    fn weather(&self) -> Weather {
        self.drawn.terms.weather.clone()
    }

    fn text(&self) -> String {
        format!("{:#?}", self.drawn)
    }

    fn objects(&self) -> Vec<Object> {
        self.drawn.objects.clone()
    }

    fn ports(&self) -> Vec<u16> {
        Drawn::ports()
    }

    fn deeds(&self) -> &[(u64, Deed)] {
        &self.drawn.deeds
    }

    fn clients(&self) -> Vec<Box<dyn Actor>> {
        let make = |(parts, rest_us): &_| {
            let client: Box<dyn Actor> =
                Box::new(Client::new(Clone::clone(parts), *rest_us, self.book.clone()));
            client
        };
        self.drawn.clients.iter().map(make).collect()
    }

    fn endpoint(&self, port: u16, socket: usize) -> Option<Box<dyn Actor>> {
        let part = self.drawn.terms.part(&mut self.rng.borrow_mut(), false);
        let mut book = self.book.borrow_mut();
        let who = (Way::Down, book.endpoints.len());
        book.endpoints.push(Line::new(part.len));
        let side = Side::new(who, (socket, port), (part, &[]), self.book.clone());
        Some(Box::new(Endpoint(side)))
    }

    fn ledger(&self) -> Rc<RefCell<Ledger>> {
        Rc::default()
    }

    fn is_open(&self) -> bool {
        self.book.borrow().is_open()
    }

    fn check(&self, counters: &WorkerCounters) -> io::Result<()> {
        let closed: u64 = counters.tcp.closed.iter().map(|c| c.get()).sum();
        let at = |why: Close| counters.tcp.closed.get(why as usize).map_or(0, |c| c.get());
        let (opened, unrouted) = (counters.tcp.sessions.total.get(), at(Close::NoRoute));
        // Those without a route may have ended before they were sessions.
        if opened > closed || closed > opened + unrouted {
            return wrong(format!("{opened} sessions, {closed} ends, {unrouted} without a route"));
        }
        let book = self.book.borrow();
        if book.mood != Mood::Calm {
            return Ok(());
        }
        let whole = at(Close::ClientEnd) + at(Close::EndpointEnd);
        let counted = (counters.bytes_received.get(), counters.bytes_sent.get());
        if whole != book.clients.len() as u64 || counted != book.bytes() {
            let bytes = book.bytes();
            return wrong(format!("{whole} whole sessions, {counted:?} bytes of {bytes:?}"));
        }
        Ok(())
    }

    fn totals(&self) -> (usize, usize) {
        self.book.borrow().totals()
    }
}
