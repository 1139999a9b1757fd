//! Everyone around the worker: hands on what happens, and ends the run.

use crate::ledger::{Ledger, wrong};
use crate::play::{Deed, Play};
use crate::worker::{Done, Mailbox, Message};
use hg_net::{Happening, Peers, Remote, Rng};
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

/// An event for an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stir {
    Begin,
    Connected,
    Readable,
    Writable,
    Timer(u8),
}

/// Someone who talks to the worker over a socket.
pub(crate) trait Actor {
    fn on(&mut self, cx: &mut Cx<'_>, what: Stir) -> io::Result<()>;
    /// Describes what it does, for a failed run.
    fn state(&self) -> String;
}

/// The state that an actor may touch.
pub(crate) struct Cx<'a> {
    pub(crate) rng: &'a mut Rng,
    pub(crate) ledger: &'a mut Ledger,
    /// Clients that have nothing left to do.
    pub(crate) finished: &'a mut usize,
    owners: &'a mut Vec<usize>,
    me: usize,
}

impl Cx<'_> {
    /// Takes a socket: what happens to it goes to this actor.
    pub(crate) fn own(&mut self, socket: usize) {
        if self.owners.len() <= socket {
            self.owners.resize(socket + 1, usize::MAX);
        }
        if let Some(owner) = self.owners.get_mut(socket) {
            *owner = self.me;
        }
    }

    /// Sets a timer of this actor.
    pub(crate) fn timer(&mut self, kind: u8, after_us: u64) {
        hg_net::timer(after_us, (self.me as u64) << 8 | u64::from(kind));
    }

    /// Sets a timer for a random time up to `most_us` from now.
    pub(crate) fn soon(&mut self, kind: u8, most_us: u64) {
        let us = self.rng.below(most_us);
        self.timer(kind, us);
    }
}

/// Timers of the world itself: their tags have this bit.
const OWN: u64 = 1 << 63;
const DRAIN: u64 = OWN | 1;
const OVERDUE: u64 = OWN | 2;
/// Deeds of the scenario, by index.
const DEED: u64 = OWN | 1 << 32;

/// All clients must be done by then, microseconds after the begin.
const CLIENTS_US: u64 = 3_600_000_000;
/// The worker must leave within this time of a drain.
const LEAVE_US: u64 = 120_000_000;

/// Carries out what only the engine's owner can do.
pub(crate) type Deeds = Box<dyn FnMut(&Deed) -> io::Result<()>>;

pub(crate) struct World {
    play: Rc<dyn Play>,
    rng: Rng,
    ledger: Rc<RefCell<Ledger>>,
    mailbox: Arc<Mailbox>,
    deeds: Deeds,
    actors: Vec<Option<Box<dyn Actor>>>,
    owners: Vec<usize>,
    finished: usize,
    clients: usize,
    draining: bool,
    ending: bool,
}

impl World {
    pub(crate) fn new(play: Rc<dyn Play>, mailbox: Arc<Mailbox>, deeds: Deeds) -> Self {
        let rng = Rng::new(play.seed() ^ 0x77_0a1d);
        let ledger = play.ledger();
        Self {
            play,
            rng,
            ledger,
            mailbox,
            deeds,
            actors: Vec::new(),
            owners: Vec::new(),
            finished: 0,
            clients: 0,
            draining: false,
            ending: false,
        }
    }

    /// Brings everyone onto the stage.
    pub(crate) fn begin(&mut self) -> io::Result<()> {
        let play = self.play.clone();
        for port in play.ports() {
            hg_net::remote(address_of(port), Remote::Up);
        }
        for (i, deed) in play.deeds().iter().enumerate() {
            hg_net::timer(deed.0, DEED | i as u64);
        }
        let clients = play.clients();
        self.clients = clients.len();
        for client in clients {
            let me = self.actors.len();
            self.actors.push(Some(client));
            self.stir(me, Stir::Begin)?;
        }
        hg_net::timer(CLIENTS_US, OVERDUE);
        Ok(())
    }

    fn stir(&mut self, me: usize, what: Stir) -> io::Result<()> {
        let Some(mut actor) = self.actors.get_mut(me).and_then(Option::take) else {
            return Ok(());
        };
        let ledger = self.ledger.clone();
        let mut cx = Cx {
            rng: &mut self.rng,
            ledger: &mut ledger.borrow_mut(),
            finished: &mut self.finished,
            owners: &mut self.owners,
            me,
        };
        let result = actor.on(&mut cx, what);
        if let Some(place) = self.actors.get_mut(me) {
            *place = Some(actor);
        }
        result
    }

    fn at_socket(&mut self, socket: usize, what: Stir) -> io::Result<()> {
        match self.owners.get(socket) {
            Some(me) => self.stir(*me, what),
            None => Ok(()),
        }
    }

    fn accepted(&mut self, port: u16, socket: usize) -> io::Result<()> {
        let Some(session) = self.play.endpoint(port, socket) else {
            return wrong(format!("the worker connected to port {port}"));
        };
        let me = self.actors.len();
        self.actors.push(Some(session));
        if self.owners.len() <= socket {
            self.owners.resize(socket + 1, usize::MAX);
        }
        if let Some(owner) = self.owners.get_mut(socket) {
            *owner = me;
        }
        self.stir(me, Stir::Begin)
    }

    fn drain(&mut self) {
        if !std::mem::replace(&mut self.draining, true) {
            hg_net::trace(|| "drain".to_owned());
            self.mailbox.send(Message::Drain(Arc::new(Done::new(Box::new(|| ())))));
            hg_net::timer(LEAVE_US, OVERDUE);
        }
    }

    fn on_timer(&mut self, tag: u64) -> io::Result<()> {
        match tag {
            DRAIN => self.drain(),
            OVERDUE => return self.overdue(),
            _ if tag & DEED == DEED => {
                let play = self.play.clone();
                let at = usize::try_from(tag & 0xffff_ffff).unwrap_or(usize::MAX);
                let deed = play.deeds().get(at);
                match deed {
                    Some((_, Deed::Drain)) => self.drain(),
                    Some((_, Deed::Remote(port, how))) => {
                        hg_net::remote(address_of(*port), *how);
                    }
                    Some((_, deed)) => (self.deeds)(deed)?,
                    None => {}
                }
            }
            _ => {
                let me = usize::try_from(tag >> 8).unwrap_or(usize::MAX);
                return self.stir(me, Stir::Timer((tag & 0xff) as u8));
            }
        }
        Ok(())
    }

    fn overdue(&self) -> io::Result<()> {
        let what = if self.finished < self.clients {
            "a client still waits"
        } else if self.draining {
            "the worker does not leave"
        } else {
            return Ok(());
        };
        let states: Vec<String> = self.actors.iter().flatten().map(|a| a.state()).collect();
        wrong(format!("{what}: {}", states.join("; ")))
    }
}

impl Peers for World {
    fn on(&mut self, what: Happening) -> io::Result<()> {
        match what {
            Happening::Connected(s) => self.at_socket(s, Stir::Connected)?,
            Happening::Readable(s) => self.at_socket(s, Stir::Readable)?,
            Happening::Writable(s) => self.at_socket(s, Stir::Writable)?,
            Happening::Accepted { port, socket } => self.accepted(port, socket)?,
            Happening::Timer(tag) => self.on_timer(tag)?,
            Happening::Datagrams => {
                while let Some(datagram) = hg_net::take_datagram() {
                    self.play.datagram(&datagram)?;
                }
            }
        }
        if self.finished >= self.clients && !std::mem::replace(&mut self.ending, true) {
            hg_net::timer(self.rng.below(2_000_000), DRAIN);
        }
        Ok(())
    }
}

/// The port at which the worker listens.
pub(crate) const LISTENER_PORT: u16 = 80;

/// Returns the address of an endpoint's port.
pub(crate) fn address_of(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 2, 0, 1], port))
}
