//! The state of the virtual kernel, and the order in which things happen.

use crate::datagram::{Mail, Post};
use crate::rng::Rng;
use crate::tcp::Socket;
use crate::{Address, Happening, Token};
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::SocketAddr;

/// The network's treatment of connections.
#[derive(Clone, Debug)]
pub struct Weather {
    /// Longest time that a piece of data is on its way, microseconds.
    pub latency_us: u64,
    /// Largest piece of data that arrives at once.
    pub piece: u64,
    /// Bytes that one direction of a connection holds: between 1/4 of it and this.
    pub buffer: u64,
    /// Writes that take less than there is room for; per mille.
    pub short_writes: u64,
    /// Writes that block although there is room; per mille.
    pub blocked_writes: u64,
    /// Connections that the network resets at some byte; per mille.
    pub resets: u64,
    /// Calls that find no descriptor free; per mille.
    pub no_descriptors: u64,
    /// Datagrams that the network loses; per mille.
    pub lost: u64,
    /// Waits from which the thread returns late, by up to 200 ms; per mille.
    pub late: u64,
}

/// The response of an address to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remote {
    /// Accepts.
    Up,
    /// Refuses with a reset.
    Refuses,
    /// Never answers.
    Silent,
    /// Cannot be reached, which the kernel knows at once.
    Unreachable,
}

/// The figures of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Hash of all that happened, in order.
    pub trace: u64,
    /// Turns of the poller.
    pub turns: u64,
    /// System calls of the engine.
    pub calls: u64,
    /// Sockets and pipes that the engine has open.
    pub open: usize,
    /// Resets by the network.
    pub resets: u64,
}

/// A descriptor's object.
pub(crate) enum Object {
    Socket(Box<Socket>),
    Listener(Listener),
    /// A socket of datagrams.
    Post(Box<Post>),
}

pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    /// Ends of connections that wait, with the peer's address.
    pub(crate) queue: VecDeque<(usize, SocketAddr)>,
    pub(crate) token: Option<Token>,
    /// True if it drops new connections.
    pub(crate) deaf: bool,
}

/// Something that will happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Coming {
    /// Data, an end or a reset reaches a socket.
    Arrival(usize),
    /// A socket learns that there is room to write.
    Room(usize),
    /// A connection is accepted, or not.
    Answer(usize),
    /// A connection reaches a listener.
    Call(usize),
    /// The time of a peer has come.
    Timer(u64),
    /// A datagram reaches its socket.
    Datagram(usize),
}

/// The time for which the engine has moved nothing.
#[derive(Default)]
pub(crate) struct Idle {
    /// Turns since then.
    pub(crate) turns: u32,
    /// The time at which it last moved something.
    pub(crate) since: u64,
}

/// The coming events, by time; at the same time in the order in which they were set.
#[derive(Default)]
struct Agenda {
    coming: BinaryHeap<Reverse<(u64, u64, Coming)>>,
    order: u64,
}

/// The objects that pollers look at.
#[derive(Default)]
pub(crate) struct Watched {
    /// Listeners, past ones included.
    pub(crate) listeners: Vec<usize>,
    /// Sockets of the engine with an edge to report.
    pub(crate) edges: Vec<usize>,
}

pub(crate) struct Kernel {
    pub(crate) now: u64,
    pub(crate) rng: Rng,
    pub(crate) weather: Weather,
    pub(crate) objects: Vec<Option<Object>>,
    pub(crate) remotes: BTreeMap<SocketAddr, Remote>,
    pub(crate) happened: VecDeque<Happening>,
    pub(crate) mail: Mail,
    pub(crate) watched: Watched,
    pub(crate) figures: Figures,
    pub(crate) idle: Idle,
    agenda: Agenda,
    lines: Option<Vec<String>>,
}

thread_local! {
    static KERNEL: RefCell<Option<Kernel>> = const { RefCell::new(None) };
}

/// Calls a function with this thread's kernel.
pub(crate) fn with<T: Default>(call: impl FnOnce(&mut Kernel) -> T) -> T {
    let run = |cell: &RefCell<Option<Kernel>>| cell.borrow_mut().as_mut().map(call);
    KERNEL.try_with(run).ok().flatten().unwrap_or_default()
}

/// Replaces this thread's kernel.
pub(crate) fn install(kernel: Option<Kernel>) -> Option<Kernel> {
    KERNEL.with(|cell| std::mem::replace(&mut *cell.borrow_mut(), kernel))
}

impl Kernel {
    pub(crate) fn new(seed: u64, weather: Weather, traced: bool) -> Self {
        Self {
            now: 1_000_000,
            rng: Rng::new(seed),
            weather,
            objects: Vec::new(),
            remotes: BTreeMap::new(),
            happened: VecDeque::new(),
            mail: Mail::default(),
            watched: Watched::default(),
            figures: Figures::default(),
            idle: Idle::default(),
            agenda: Agenda::default(),
            lines: traced.then(Vec::new),
        }
    }

    /// Notes what happened, for the hash and for whoever reads the trace.
    pub(crate) fn note(&mut self, what: &'static str, who: usize, much: usize) {
        let mut hash = self.figures.trace;
        for word in [self.now, what.len() as u64, who as u64, much as u64] {
            hash = (hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
        self.figures.trace = hash;
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>12} {what} {who} {much}", self.now));
        }
    }

    pub(crate) fn is_traced(&self) -> bool {
        self.lines.is_some()
    }

    pub(crate) fn tell(&mut self, line: String) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>12} {line}", self.now));
        }
    }

    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }

    /// Counts a system call of the engine; it takes a moment.
    pub(crate) fn call(&mut self) {
        self.figures.calls += 1;
        self.now += self.rng.below(3);
    }

    /// Notes that the engine moved something.
    pub(crate) fn moved(&mut self) {
        self.idle = Idle { turns: 0, since: self.now };
    }

    pub(crate) fn add(&mut self, object: Object) -> usize {
        self.objects.push(Some(object));
        self.objects.len() - 1
    }

    pub(crate) fn socket(&mut self, id: usize) -> Option<&mut Socket> {
        match self.objects.get_mut(id)?.as_mut()? {
            Object::Socket(s) => Some(s),
            _ => None,
        }
    }

    pub(crate) fn listener(&mut self, id: usize) -> Option<&mut Listener> {
        match self.objects.get_mut(id)?.as_mut()? {
            Object::Listener(l) => Some(l),
            _ => None,
        }
    }

    /// Lets something happen after some time.
    pub(crate) fn after(&mut self, us: u64, what: Coming) {
        self.agenda.order += 1;
        self.agenda.coming.push(Reverse((self.now + us, self.agenda.order, what)));
    }

    /// Returns a random time on the way.
    pub(crate) fn latency(&mut self) -> u64 {
        let most = self.weather.latency_us;
        // Most data is fast; that some is slow is what reorders connections.
        if self.rng.chance(850) { self.rng.below(most / 8 + 1) } else { self.rng.below(most + 1) }
    }

    /// Returns when the next thing happens.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.agenda.coming.peek().map(|Reverse((at, _, _))| *at)
    }

    /// Lets everything happen that is due.
    pub(crate) fn settle(&mut self) {
        while let Some(&Reverse((at, _, what))) = self.agenda.coming.peek() {
            if at > self.now {
                return;
            }
            self.agenda.coming.pop();
            match what {
                Coming::Arrival(id) => self.arrive(id),
                Coming::Room(id) => self.make_room(id),
                Coming::Answer(id) => self.answer(id),
                Coming::Call(id) => self.knock(id),
                Coming::Timer(tag) => self.happened.push_back(Happening::Timer(tag)),
                Coming::Datagram(at) => {
                    self.deliver(at);
                    if !self.mail.come.is_empty() {
                        self.happened.push_back(Happening::Datagrams);
                    }
                }
            }
            // Peers act before the next thing happens.
            if !self.happened.is_empty() {
                return;
            }
        }
    }

    /// Returns the address as one of the network's.
    pub(crate) fn inet(address: &Address) -> Option<SocketAddr> {
        match address {
            Address::Inet(a) => Some(*a),
            Address::Unix(_) => None,
        }
    }
}
