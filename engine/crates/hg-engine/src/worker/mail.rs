//! The channel from the rest of the process to a worker: a mailbox that it reads between turns.

use super::Worker;
use super::exchange::ExId;
use crate::counters::lock;
use crate::hand_over::{GivenFlows, MovedFlow};
use crate::place::Place;
use crate::sharing::Strays;
use crate::snapshot::Snapshot;
use hg_middleware::Brought;
use hg_net::{Fd, Waker};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};

/// Messages to a worker.
pub(crate) enum Message {
    /// Serve this from now on; `upstreams` are the slots that changed.
    Swap { snapshot: Arc<Snapshot>, upstreams: Arc<[usize]>, done: mpsc::Sender<()> },
    /// A listening socket of this worker, and which of those of its place it is.
    Socket { place: Place, index: usize, fd: Arc<Fd> },
    /// Accept what waits in the socket's queue, then close the socket.
    CloseListener { place: Place, done: Arc<Done> },
    /// A successor has the sockets: release them and finish what is in flight, but give UDP flows
    /// away where somebody takes them.
    HandOff(Option<mpsc::Sender<GivenFlows>>),
    /// Go on with flows of a predecessor; say which cannot be.
    TakeFlows { flows: Vec<(usize, MovedFlow)>, refused: mpsc::Sender<Vec<usize>> },
    /// Go on with flows that were given away and that nobody took.
    TakeBackFlows(Vec<MovedFlow>),
    /// Flows of a predecessor have come, if there were any: read what clients send.
    ReadDatagrams,
    /// Datagrams of clients that belong to this worker.
    Strays(Strays),
    /// Drain; release the notice once every listener is closed.
    Drain(Arc<Done>),
    /// Release the notice, which shows that this worker's loop turns.
    Probe(Arc<Done>),
    /// The result of a job that an exchange waits for; none if the job failed.
    Brought { x: ExId, ticket: u64, brought: Option<Brought> },
    /// Panic, as a bug would.
    #[cfg(test)]
    Panic,
    /// Call this on the worker's thread, between two turns.
    #[cfg(test)]
    Call(Box<dyn FnOnce(&mut Worker) + Send>),
}

/// Calls a function once the last worker that holds it releases it.
pub(crate) struct Done(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Done {
    pub(crate) fn new(call: Box<dyn FnOnce() + Send>) -> Self {
        Self(Mutex::new(Some(call)))
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(call) = lock(&self.0).take() {
            call();
        }
    }
}

/// The state that a worker starts with.
pub(crate) struct Prime {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) sockets: Vec<(Place, usize, Arc<Fd>)>,
}

/// A worker's inbox.
pub(crate) struct Mailbox {
    messages: Mutex<VecDeque<Message>>,
    waker: Mutex<Waker>,
    /// The worker's number, from 0.
    pub(crate) index: usize,
}

impl Mailbox {
    pub(crate) fn new(waker: Waker, index: usize) -> Self {
        Self { messages: Mutex::default(), waker: Mutex::new(waker), index }
    }

    /// Sets the poller of a worker that replaces another one, and wakes it: it must read what its
    /// predecessor left, and whoever wrote meanwhile has woken the predecessor.
    pub(crate) fn rewire(&self, waker: Waker) {
        let mut current = lock(&self.waker);
        *current = waker;
        current.wake();
    }

    pub(crate) fn send(&self, message: Message) {
        lock(&self.messages).push_back(message);
        lock(&self.waker).wake();
    }
}

impl Worker {
    pub(super) fn read_mail(&mut self) {
        loop {
            let Some(message) = lock(&self.mailbox.messages).pop_front() else {
                return;
            };
            match message {
                Message::Swap { snapshot, upstreams, done } => {
                    self.swap(snapshot, &upstreams);
                    // The sender may have given up waiting.
                    let _ = done.send(());
                }
                Message::Socket { place, index, fd } => self.add_any_socket(place, index, fd),
                Message::CloseListener { place, done } => {
                    let Place { address, is_udp } = place;
                    match is_udp {
                        true => self.close_datagram_socket(address),
                        false => self.close_listener(address, &done),
                    }
                }
                Message::HandOff(flows) => self.hand_off(flows.as_ref()),
                Message::TakeFlows { flows, refused } => {
                    // Nobody waits any more if this fails.
                    let _ = refused.send(self.take_flows(flows));
                }
                Message::TakeBackFlows(flows) => self.take_back_flows(flows),
                Message::ReadDatagrams => self.refresh_datagram_sockets(),
                Message::Strays(strays) => self.take_strays(strays),
                Message::Drain(closed) => self.drain(closed),
                Message::Probe(done) => drop(done),
                Message::Brought { x, ticket, brought } => self.take_brought(x, ticket, brought),
                #[cfg(test)]
                Message::Panic => std::panic::panic_any("asked to"),
                #[cfg(test)]
                Message::Call(call) => call(self),
            }
        }
    }

    /// Takes over what the engine knows; the first call in a worker's life.
    pub(crate) fn prime(&mut self, prime: Prime) {
        let all: Vec<usize> = (0..prime.snapshot.upstreams.len()).collect();
        self.swap(prime.snapshot, &all);
        for (place, index, fd) in prime.sockets {
            self.add_any_socket(place, index, fd);
        }
    }

    fn add_any_socket(&mut self, Place { address, is_udp }: Place, index: usize, fd: Arc<Fd>) {
        match is_udp {
            true => self.add_datagram_socket(address, index, fd),
            false => self.add_socket(address, fd),
        }
    }

    /// Serves a new snapshot; requests in flight keep the one they began with.
    fn swap(&mut self, snapshot: Arc<Snapshot>, upstreams: &[usize]) {
        self.counters.set_bounds(&snapshot.settings.latency_bounds_us);
        self.retire_listeners(&snapshot);
        self.drain_removed_routes(&snapshot);
        let stranded = self.upstreams.take_stranded(&snapshot, upstreams);
        let orphans = self.upstreams.swap(&snapshot, upstreams, &mut self.pools, &self.counters);
        for ui in orphans {
            self.close_up(ui);
        }
        // Without these changes every flow has its route and its endpoint still.
        let flows_stay = upstreams.is_empty() && Arc::ptr_eq(&self.held.udp, &snapshot.udp);
        self.held = Rc::new(snapshot);
        self.take_back_retired();
        self.refresh_listeners();
        self.end_stranded(stranded);
        self.refresh_datagram_sockets();
        if !flows_stay {
            self.settle_flows();
        }
    }
}
