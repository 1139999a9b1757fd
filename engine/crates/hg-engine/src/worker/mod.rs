//! A worker: one thread, one poller, its own connections, pools, timers and counters. The request
//! path shares nothing with another worker.

mod accept;
mod adaptive;
mod affinity;
mod answer;
mod balance;
mod branch;
mod buffers;
mod calls;
mod chain;
mod claim;
mod client;
mod collect;
mod conn;
mod decode;
mod detect;
mod dispatch;
mod encode;
mod exchange;
mod finish;
mod frames;
mod head;
mod hedge;
mod http2;
mod identity;
mod input;
mod leave;
mod left_over;
mod mail;
mod mirror;
mod multiplex;
mod pace;
mod pages;
mod pause;
mod proxy_protocol;
mod queue;
mod record;
mod relay;
mod request;
mod response;
mod retire;
mod retry;
mod room;
mod seen;
mod shed;
mod splice;
mod steady;
mod store;
mod stranded;
mod subrequest;
mod tcp;
mod timers;
mod tls;
mod trace;
mod tunnel;
mod turns;
mod udp;
mod up;
mod upload;
mod upstreams;

pub(crate) use mail::{Done, Mailbox, Message, Prime};

use crate::counters::WorkerCounters;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use accept::Acceptor;
use client::{Client, Phase};
use conn::Io;
use exchange::{ExId, Exchange, Held};
use hg_log::LogWriter;
use hg_net::{Clock, Event, Poller, Ticks, Wheel};
use hg_otlp::ExportWriter;
use hg_policy::WyRand;
use leave::Leaving;
use slab::Slab;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use store::Store;
use turns::{Agenda, Turn};
use up::{Pools, Up};
use upstreams::Upstreams;

/// The interval at which a worker looks for a place while requests wait for one.
const WAITING_MS: u64 = 16;

const KIND_LISTENER: u8 = 0;
const KIND_CLIENT: u8 = 1;
const KIND_UP: u8 = 2;
const KIND_HOUSE: u8 = 3;
/// Deadlines of exchanges over HTTP/2; those over HTTP/1 have their connection's.
const KIND_EXCHANGE: u8 = 4;
/// Times of a drain.
const KIND_LEAVING: u8 = 9;

/// Room that each request uses, one after the other.
#[derive(Default)]
struct Scratch {
    router: hg_route::Scratch,
    rewritten: hg_middleware::Rewritten,
    names: head::Names,
    /// The head of a stream while it is served.
    incoming: hg_h2::Incoming,
    /// Head and body of an answer over HTTP/2 on their way to its client.
    answer: (Vec<u8>, Vec<u8>),
    codecs: encode::Codecs,
    /// The head of an answer on its way to a client.
    answer_head: Vec<u8>,
}

/// The destinations of the records of requests.
pub(crate) struct Records {
    pub(crate) log: LogWriter,
    pub(crate) traces: ExportWriter,
}

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
    /// The client of exchanges that have none, once there was one.
    stand_in: Option<usize>,
    ups: Slab<Up>,
    pools: Pools,
    upstreams: Upstreams,
    io: Io,
    exchanges: Store<Exchange>,
    tcp: tcp::Tcp,
    udp: udp::Udp,
    agenda: Agenda,
    /// HTTP/2 connections with something to send at the end of this turn.
    dirty: http2::Dirty,
    held: Held,
    rng: WyRand,
    scratch: Scratch,
    records: Records,
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
        records: Records,
    ) -> io::Result<Self> {
        let clock = shared.clock;
        let seed = hg_net::seed(&*counters);
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
            stand_in: None,
            ups: Slab::new(),
            pools: Pools::default(),
            upstreams: Upstreams::default(),
            io: Io::default(),
            exchanges: Store::default(),
            tcp: tcp::Tcp::default(),
            udp: udp::Udp::default(),
            agenda: Agenda::default(),
            dirty: http2::Dirty::default(),
            held: Rc::new(Arc::new(Snapshot::default())),
            rng: WyRand::new(seed),
            scratch: Scratch::default(),
            records,
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
            self.begin_round();
            let mut began_us = None;
            for event in events.drain(..) {
                self.tick();
                began_us.get_or_insert(self.now_us);
                self.meet(event);
            }
            self.tick();
            self.run_queue();
            let waited_us = self.run_later();
            self.run_timers();
            self.serve_waiting();
            self.serve_waiting_sessions();
            if woken {
                self.read_mail();
            }
            self.flush_dirty();
            self.relieve();
            self.flush_answers();
            self.note_pending();
            self.note_turn(began_us, waited_us);
            debug_assert_eq!(self.lapse(), None, "nothing wakes it");
            if self.has_left() {
                self.say_farewell();
                debug_assert!(self.debts().is_empty(), "still held: {:?}", self.debts());
                return Ok(());
            }
        }
    }

    fn timeout(&self) -> Option<u64> {
        if !self.agenda.is_empty() {
            return Some(0);
        }
        if !self.upstreams.waiting.is_empty() || self.tcp.waits() {
            // Another worker may free a place.
            return Some(WAITING_MS);
        }
        if self.wheel_next == Ticks::MAX {
            return None;
        }
        Some(self.wheel_next.saturating_sub(self.now).max(1) * Clock::TICK_MS)
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
            tcp::KIND_SESSION => self.on_session_event(event),
            tcp::KIND_SESSION_UP => self.on_session_up_event(event),
            udp::KIND_DATAGRAMS => self.on_datagrams(index, generation),
            udp::KIND_FLOW => self.on_answers(index, generation),
            // An event of a connection that is gone.
            _ => {}
        }
    }

    /// Opens the exchange of a client's next request.
    fn open_exchange(&mut self, ci: usize) -> Option<ExId> {
        let c = self.clients.get_mut(ci)?;
        c.phase = Phase::Exchange;
        debug_assert!(c.exchange.is_none());
        let x = self.exchanges.open();
        c.exchange = Some(x);
        if let Some(e) = self.exchanges.get_mut(x) {
            e.client = ci;
            e.start_us = self.now_us;
            e.client_ip = c.peer.ip().to_canonical();
            e.log.taps = self.records.log.taps();
        }
        Some(x)
    }
}

#[cfg(test)]
mod tests;
