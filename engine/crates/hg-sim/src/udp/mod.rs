//! The scene of UDP: clients that send datagrams, endpoints that answer each of them so often, and a
//! network that loses and reorders them.
//!
//! - `draw`: what a seed decides,
//! - `book`: what was sent and what came.

mod book;
mod draw;

use crate::body::Way;
use crate::counters::{Counter, WorkerCounters};
use crate::ledger::{Ledger, wrong};
use crate::play::{Deed, Object, Play};
use crate::world::{Actor, Cx, LISTENER_PORT, Stir};
use book::{Book, Name};
use draw::{Drawn, Sender};
use hg_net::{Datagram, Rng, Weather};
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

/// The time that a client waits for answers to its last datagram.
const PATIENCE_US: u64 = 2_000_000;

const SEND: u8 = 0;
const DONE: u8 = 1;

fn listener() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], LISTENER_PORT))
}

/// A client.
struct Client {
    id: u32,
    sender: Sender,
    next: usize,
    book: Rc<RefCell<Book>>,
}

impl Client {
    fn wait(&self, cx: &mut Cx<'_>) {
        match self.sender.datagrams.get(self.next) {
            Some((_, pause_us)) => cx.timer(SEND, *pause_us),
            None => cx.timer(DONE, PATIENCE_US),
        }
    }
}

impl Actor for Client {
    fn on(&mut self, cx: &mut Cx<'_>, what: Stir) -> io::Result<()> {
        match what {
            Stir::Timer(SEND) => {
                let Some((len, _)) = self.sender.datagrams.get(self.next) else { return Ok(()) };
                let number = u32::try_from(self.next).unwrap_or(u32::MAX);
                let name = Name { client: self.id, number, answer: 0 };
                self.book.borrow_mut().sent(name, *len);
                let bytes = name.bytes(Way::Up, *len);
                let from = self.sender.address;
                hg_net::send_datagram(Datagram { from, to: listener(), bytes });
                self.next += 1;
                self.wait(cx);
            }
            Stir::Timer(_) => *cx.finished += 1,
            _ => self.wait(cx),
        }
        Ok(())
    }

    fn state(&self) -> String {
        format!("client {}: {} of {} sent", self.id, self.next, self.sender.datagrams.len())
    }
}

pub(crate) struct Udp {
    seed: u64,
    drawn: Drawn,
    book: Rc<RefCell<Book>>,
    /// For endpoints.
    rng: RefCell<Rng>,
}

impl Udp {
    pub(crate) fn new(seed: u64) -> Self {
        let drawn = Drawn::new(seed);
        // The listener's, one for each flow, and one that is about to become one.
        let most_open = usize::try_from(drawn.flows).unwrap_or(0) + 2;
        let clients = drawn.senders.iter().map(|sender| sender.address).collect();
        let book = Book::new(drawn.calm, most_open, clients);
        let rng = RefCell::new(Rng::new(seed ^ 0xa45));
        Self { seed, drawn, book: Rc::new(RefCell::new(book)), rng }
    }

    /// Answers a datagram that has come to an endpoint.
    fn answer(&self, name: Name, d: &Datagram) {
        let rng = &mut self.rng.borrow_mut();
        let (least, most) = self.drawn.answers;
        for answer in 0..rng.between(least, most) {
            let name = Name { answer: u32::try_from(answer).unwrap_or(0), ..name };
            let len = usize::try_from(rng.size(1_400)).unwrap_or(0);
            self.book.borrow_mut().answered(name, len);
            let bytes = name.bytes(Way::Down, len);
            hg_net::send_datagram(Datagram { from: d.to, to: d.from, bytes });
        }
    }
}

impl Play for Udp {
    fn seed(&self) -> u64 {
        self.seed
    }

    fn weather(&self) -> Weather {
        self.drawn.weather.clone()
    }

    fn text(&self) -> String {
        format!("{:#?}", self.drawn)
    }

    fn is_udp(&self) -> bool {
        true
    }

    fn objects(&self) -> Vec<Object> {
        self.drawn.objects.clone()
    }

    fn ports(&self) -> Vec<u16> {
        self.drawn.ports.clone()
    }

    fn deeds(&self) -> &[(u64, Deed)] {
        &self.drawn.deeds
    }

    fn clients(&self) -> Vec<Box<dyn Actor>> {
        let make = |(id, sender): (u32, &Sender)| {
            let (sender, book) = (sender.clone(), self.book.clone());
            let client: Box<dyn Actor> = Box::new(Client { id, sender, next: 0, book });
            client
        };
        (0..).zip(&self.drawn.senders).map(make).collect()
    }

    fn endpoint(&self, _port: u16, _socket: usize) -> Option<Box<dyn Actor>> {
        None
    }

    fn datagram(&self, d: &Datagram) -> io::Result<()> {
        self.book.borrow().check_open()?;
        if self.book.borrow().clients.contains(&d.to) {
            return self.book.borrow_mut().at_client(d, listener());
        }
        let name = self.book.borrow_mut().at_endpoint(d)?;
        self.answer(name, d);
        Ok(())
    }

    fn ledger(&self) -> Rc<RefCell<Ledger>> {
        Rc::default()
    }

    fn is_open(&self) -> bool {
        false
    }

    fn check(&self, counters: &WorkerCounters) -> io::Result<()> {
        let udp = &counters.udp;
        let sum = |all: &[Counter]| all.iter().map(Counter::get).sum::<u64>();
        let (opened, ended) = (udp.flows.total.get(), sum(&udp.ended));
        if opened != ended || udp.flows.active.get() > 0 {
            return wrong(format!("{opened} flows were opened, {ended} ended"));
        }
        let book = self.book.borrow();
        let (sent, answers) = book.counts();
        let (asked, came) = book.totals();
        let (passed, back) = (udp.received.datagrams.get(), udp.sent.datagrams.get());
        let dropped = sum(&udp.dropped);
        if passed > sent || back > answers {
            return wrong(format!("{passed} of {sent} passed, {back} of {answers} came back"));
        }
        if book.calm && (dropped > 0 || (passed, back) != (sent, answers) || asked != came) {
            return wrong(format!(
                "in calm weather {dropped} are dropped: {passed} of {sent} passed, \
                 {back} of {answers} came back, {came} of {asked} came"
            ));
        }
        Ok(())
    }

    fn totals(&self) -> (usize, usize) {
        self.book.borrow().totals()
    }
}
