//! A worker: one thread, one poller, its own connections, pools, timers and counters. The request
//! path shares nothing with another worker.

mod accept;
mod answer;
mod buffers;
mod client;
mod conn;
mod dispatch;
mod exchange;
mod finish;
mod frames;
mod head;
mod input;
mod leave;
mod mail;
mod relay;
mod request;
mod response;
mod retire;
mod splice;
mod timers;
mod tls;
mod tunnel;
mod up;
mod upload;
mod upstreams;

pub(crate) use mail::{Done, Mailbox, Message, Prime};

use crate::counters::WorkerCounters;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use accept::Acceptor;
use client::Client;
use conn::Io;
use exchange::{Exchange, Held};
use hg_log::LogWriter;
use hg_net::{Clock, Event, Poller, Ticks, Wheel};
use hg_policy::WyRand;
use leave::Leaving;
use slab::Slab;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use up::{Pools, Up};
use upstreams::Upstreams;

const KIND_LISTENER: u8 = 0;
const KIND_CLIENT: u8 = 1;
const KIND_UP: u8 = 2;
const KIND_HOUSE: u8 = 3;

/// Number of exchanges kept for the next requests.
const SPARE_EXCHANGES: usize = 1024;

pub(crate) struct Worker {
    shared: Arc<Shared>,
    mailbox: Arc<Mailbox>,
    counters: Arc<WorkerCounters>,
    poller: Poller,
    clock: Clock,
    now_us: u64,
    now: Ticks,
    wheel: Wheel,
    /// No entry of the wheel is due before this tick.
    wheel_next: Ticks,
    fired: Vec<(u64, Ticks)>,
    generation: u32,
    listeners: Slab<Acceptor>,
    accept_paused: bool,
    clients: Slab<Client>,
    ups: Slab<Up>,
    pools: Pools,
    upstreams: Upstreams,
    io: Io,
    #[expect(
        clippy::vec_box,
        reason = "boxes move between connections and this store, not their content"
    )]
    spare: Vec<Box<Exchange>>,
    /// Clients for the next turn: with pipelined requests or unread bytes.
    queue: VecDeque<(usize, u32)>,
    held: Held,
    rng: WyRand,
    router: hg_route::Scratch,
    rewritten: hg_middleware::Rewritten,
    names: head::Names,
    /// The head of an answer on its way to a client.
    answer_head: Vec<u8>,
    log: LogWriter,
    date: head::Date,
    leaving: Leaving,
    /// Released once the listeners are closed.
    listeners_closed: Option<Arc<Done>>,
    id_seed: u64,
}

impl Worker {
    /// Makes a worker without snapshot and sockets; both come by mail.
    ///
    /// # Errors
    /// When the kernel gives no poller.
    pub(crate) fn new(
        shared: Arc<Shared>,
        mailbox: Arc<Mailbox>,
        counters: Arc<WorkerCounters>,
        poller: Poller,
        log: LogWriter,
    ) -> io::Result<Self> {
        let clock = shared.clock;
        let seed = hg_net::unix_micros() ^ (Arc::as_ptr(&counters) as u64).rotate_left(32);
        let now_us = clock.micros();
        let mut worker = Self {
            shared,
            mailbox,
            counters,
            poller,
            clock,
            now_us,
            now: Clock::ticks(now_us),
            wheel: Wheel::default(),
            wheel_next: Ticks::MAX,
            fired: Vec::new(),
            generation: 0,
            listeners: Slab::new(),
            accept_paused: false,
            clients: Slab::new(),
            ups: Slab::new(),
            pools: Pools::default(),
            upstreams: Upstreams::default(),
            io: Io::default(),
            spare: Vec::new(),
            queue: VecDeque::new(),
            held: Rc::new(Arc::new(Snapshot::default())),
            rng: WyRand::new(seed),
            router: hg_route::Scratch::default(),
            rewritten: hg_middleware::Rewritten::default(),
            names: head::Names::default(),
            answer_head: Vec::new(),
            log,
            date: head::Date::default(),
            leaving: Leaving::No,
            listeners_closed: None,
            id_seed: seed,
        };
        // Ticks that the clock has already counted need no wheel turns.
        worker.wheel.advance(worker.now, &mut worker.fired);
        worker.house_keeping();
        Ok(worker)
    }

    /// Serves until a message asks it to leave and everything is finished.
    ///
    /// # Errors
    /// When waiting for events fails: nothing can be served then.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut events: Vec<Event> = Vec::with_capacity(256);
        loop {
            let timeout = self.timeout();
            let woken = self.poller.wait(timeout, &mut events)?;
            for event in events.drain(..) {
                self.tick();
                self.on_event(event);
            }
            self.tick();
            self.run_queue();
            self.run_timers();
            self.serve_waiting();
            if woken {
                self.read_mail();
            }
            if self.has_left() {
                return Ok(());
            }
        }
    }

    fn timeout(&self) -> Option<u64> {
        if !self.queue.is_empty() {
            return Some(0);
        }
        if !self.upstreams.waiting.is_empty() {
            // Another worker may free a place.
            return Some(Clock::TICK_MS);
        }
        if self.wheel_next == Ticks::MAX {
            return None;
        }
        Some(u64::from(self.wheel_next.saturating_sub(self.now)).max(1) * Clock::TICK_MS)
    }

    fn tick(&mut self) {
        self.now_us = self.clock.micros();
        self.now = Clock::ticks(self.now_us);
    }

    fn next_generation(&mut self) -> u32 {
        self.generation = (self.generation + 1) & 0xff_ffff;
        self.generation
    }

    fn on_event(&mut self, event: Event) {
        let (index, generation) = (event.token.index(), event.token.generation());
        let is_client = |c: &Client| c.generation == generation;
        let is_up = |u: &Up| u.generation == generation;
        match event.token.kind() {
            KIND_LISTENER => self.on_acceptable(index, generation),
            KIND_CLIENT if self.clients.get(index).is_some_and(is_client) => {
                self.on_client_event(index, event);
            }
            KIND_UP if self.ups.get(index).is_some_and(is_up) => self.on_up_event(index, event),
            // An event of a connection that is gone.
            _ => {}
        }
    }

    /// Queues a client for the next turn, once.
    fn enqueue(&mut self, ci: usize) {
        if let Some(c) = self.clients.get_mut(ci)
            && !c.queued
        {
            c.queued = true;
            self.queue.push_back((ci, c.generation));
        }
    }

    fn run_queue(&mut self) {
        for _ in 0..self.queue.len() {
            let Some((ci, generation)) = self.queue.pop_front() else {
                break;
            };
            let Some(c) = self.clients.get_mut(ci).filter(|c| c.generation == generation) else {
                continue;
            };
            c.queued = false;
            self.tick();
            self.proceed(ci);
        }
    }

    /// Returns an exchange, a used one if there is one.
    fn take_exchange(&mut self) -> Box<Exchange> {
        self.spare.pop().unwrap_or_default()
    }

    fn put_exchange(&mut self, mut exchange: Box<Exchange>) {
        self.io.pool.collected -= exchange.body.collected;
        if self.spare.len() < SPARE_EXCHANGES {
            exchange.recycle();
            self.spare.push(exchange);
        }
    }
}

#[cfg(test)]
mod tests;
