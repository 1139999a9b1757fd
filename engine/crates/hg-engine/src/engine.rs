//! The engine's handle: everything that the rest of the process may ask of the workers.

use crate::counters::{WorkerCounters, lock};
use crate::hand_over::GivenFlows;
use crate::outlets::{self, Outlets};
use crate::place::Place;
use crate::report::{EngineEvent, EventLevel};
use crate::retired::Retired;
use crate::shared::{Shared, marks};
use crate::snapshot::{Builder, Snapshot, Update};
use crate::thread;
use crate::worker::{Done, Mailbox, Message};
use crate::{histogram, house, machine};
use hg_log::{TapFilter, TapReader};
use hg_net::{Address, Fd, Poller};
use hg_plan::{Change, ObjectError, Plan};
use hg_resilience::Marks;
use hg_tls::Ticketer;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// The setup of the process. It stays the same for the life of the process.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Number of workers; at least 1 is started.
    pub workers: usize,
    /// The CPU to which each worker is bound, by index; workers without an entry run on any CPU.
    pub cpus: Vec<usize>,
    /// Counts data-plane processes of this node.
    pub generation: u64,
    /// Secrets (hex, 32 bytes) from which session ticket keys are derived: the current one, then
    /// older ones.
    pub ticket_secrets: Vec<String>,
}

/// The time that it took to compile a plan and to serve it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Time to compile it, outside the workers; microseconds.
    pub compile_us: u64,
    /// Time until the last worker served it; microseconds.
    pub swap_us: u64,
}

/// The resolver's result for a name.
#[derive(Clone, Default)]
pub(crate) struct Resolved {
    pub(crate) addresses: Arc<[Address]>,
    pub(crate) error: String,
}

pub(crate) struct WorkerHandle {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) counters: Arc<WorkerCounters>,
    pub(crate) restarts: AtomicU64,
}

pub(crate) struct Inner {
    pub(crate) config: EngineConfig,
    pub(crate) shared: Arc<Shared>,
    pub(crate) workers: Vec<WorkerHandle>,
    pub(crate) sockets: Mutex<BTreeMap<Place, Vec<Arc<Fd>>>>,
    pub(crate) names: Arc<Mutex<HashMap<Arc<str>, Resolved>>>,
    pub(crate) serving: Mutex<Arc<Snapshot>>,
    pub(crate) started: Instant,
    pub(crate) draining: AtomicBool,
    pub(crate) finished: AtomicUsize,
    pub(crate) swaps: AtomicU64,
    pub(crate) swap_us: AtomicU64,
    pub(crate) records: Outlets,
    ticketer: Arc<Ticketer>,
    pub(crate) builder: Mutex<Builder>,
    /// Objects that left the plan and may still be in use; they are freed here, not on a worker.
    pub(crate) retired: Mutex<Retired>,
}

/// The workers of this process. Any thread may call any method.
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

/// A worker that does not answer for so long is stuck; the others then serve the plan.
const SWAP_TIMEOUT: Duration = Duration::from_secs(5);

impl Engine {
    /// Starts the workers, with nothing to serve yet.
    ///
    /// # Errors
    /// When a thread or its poller cannot be made, or a ticket secret is not 32 bytes of hex.
    pub fn start(config: EngineConfig) -> io::Result<Engine> {
        let ticketer = Ticketer::new(&config.ticket_secrets).map_err(io::Error::other)?;
        let count = config.workers.max(1);
        let mut workers = Vec::with_capacity(count);
        let mut pollers = Vec::with_capacity(count);
        for index in 0..count {
            let poller = Poller::new()?;
            workers.push(WorkerHandle {
                mailbox: Arc::new(Mailbox::new(poller.waker(), index)),
                counters: Arc::default(),
                restarts: AtomicU64::new(0),
            });
            pollers.push(poller);
        }
        let shared = Arc::new(Shared::new(count));
        let builder = Mutex::new(Builder::new(ticketer.clone(), shared.clock, shared.keep.clone()));
        let names = Arc::default();
        let records = Outlets::start(count, &shared, &names)?;
        let inner = Arc::new(Inner {
            config,
            shared,
            workers,
            sockets: Mutex::default(),
            names,
            serving: Mutex::default(),
            started: Instant::now(),
            draining: AtomicBool::new(false),
            finished: AtomicUsize::new(0),
            swaps: AtomicU64::new(0),
            swap_us: AtomicU64::new(0),
            records,
            builder,
            ticketer,
            retired: Mutex::default(),
        });
        for (index, poller) in pollers.into_iter().enumerate() {
            thread::spawn(inner.clone(), index, poller)?;
        }
        house::spawn(inner.clone())?;
        Ok(Engine { inner })
    }

    /// Compiles a plan off the workers and swaps it in; returns when every worker serves it.
    /// `changed` are the objects that differ from the plan served before.
    ///
    /// # Errors
    /// Returns one entry per problem; the workers keep serving the previous plan.
    pub fn apply(
        &self,
        plan: &Plan,
        changed: &[Change],
        blobs: &dyn Fn(&str) -> Option<Arc<[u8]>>,
    ) -> Result<Applied, Vec<ObjectError>> {
        let inner = &self.inner;
        let mut builder = lock(&inner.builder);
        let begun = Instant::now();
        let before = builder.current().clone();
        outlets::check(plan)?;
        histogram::check(plan)?;
        let update = builder.apply(plan, changed, blobs)?;
        let compiled = Instant::now();
        self.warn_of_certificates(&before, &update.snapshot);
        inner.records.configure(&update.snapshot);
        *lock(&inner.serving) = update.snapshot.clone();
        let shedding = update.snapshot.settings.shedding.as_ref();
        let marks = shedding.map_or_else(Marks::default, marks);
        inner.shared.memory.limit(shedding.map_or(0, |plan| plan.memory_bytes), marks);
        inner.shared.house.wake();
        self.swap(&update);
        let swap_us = u64::try_from(compiled.elapsed().as_micros()).unwrap_or(u64::MAX);
        inner.swaps.fetch_add(1, Relaxed);
        inner.swap_us.store(swap_us, Relaxed);
        lock(&inner.retired).put(before, changed);
        inner.sweep(&mut builder);
        self.forget_names(&mut builder);
        let compile_us = u64::try_from((compiled - begun).as_micros()).unwrap_or(u64::MAX);
        Ok(Applied { compile_us, swap_us })
    }

    /// Checks that the machine has now what a plan needs of it, where that is not as in the plan
    /// served: a sink of its access log that can be opened, and roots where TLS is verified by those of
    /// the system. `changed` are the objects that differ.
    ///
    /// [`apply`](Self::apply) does not ask: it serves such a plan, and tries again in operation.
    ///
    /// # Errors
    /// Returns one entry per thing that is not there.
    pub fn check_machine(&self, plan: &Plan, changed: &[Change]) -> Result<(), Vec<ObjectError>> {
        let served = lock(&self.inner.serving).clone();
        machine::check(plan, changed, &served.settings)
    }

    /// Hands a snapshot to every worker and waits until each serves it.
    fn swap(&self, update: &Update) {
        let (done, all_done) = mpsc::channel();
        self.send(update, &done);
        drop(done);
        for _ in &self.inner.workers {
            if all_done.recv_timeout(SWAP_TIMEOUT).is_err() {
                self.inner.shared.event(
                    EventLevel::Error,
                    "worker.stuck",
                    "a worker did not take the plan in time".into(),
                );
                break;
            }
        }
    }

    fn send(&self, update: &Update, done: &mpsc::Sender<()>) {
        self.inner.shared.house.send(&update.snapshot, &update.upstreams);
        for worker in &self.inner.workers {
            worker.mailbox.send(Message::Swap {
                snapshot: update.snapshot.clone(),
                upstreams: update.upstreams.clone(),
                done: done.clone(),
            });
        }
    }

    /// Warns of certificates outside their validity period, which are served all the same.
    fn warn_of_certificates(&self, before: &Snapshot, now: &Snapshot) {
        if Arc::ptr_eq(&before.tls, &now.tls) {
            return;
        }
        let now_s = i64::try_from(hg_net::unix_micros() / 1_000_000).unwrap_or(0);
        for w in now.tls.warnings(now_s) {
            let object = Some((w.kind, w.name.to_string()));
            let (level, kind) = (EventLevel::Warn, "certificate.validity");
            self.inner.shared.object_event(level, kind, object, w.message);
        }
    }

    /// Takes over the listening sockets of an address; one of UDP ends with `/udp`. The index is the worker's; if there are more
    /// sockets than workers, each worker adopts several.
    pub fn add_sockets(&self, address: &str, sockets: Vec<Fd>) {
        let Ok(place) = address.parse::<Place>() else {
            let message = format!("`{address}` is not an address and port");
            return self.inner.shared.event(EventLevel::Error, "listener.failed", message);
        };
        let sockets: Vec<Arc<Fd>> = sockets.into_iter().map(Arc::new).collect();
        {
            let mut all = lock(&self.inner.sockets);
            // Until flows have come, a predecessor reads, and the kernel gives it what it gave before.
            if !self.inner.shared.flows.awaited.load(Relaxed) {
                self.share_out(place, &sockets);
            }
            all.insert(place, sockets.clone());
        }
        let each = sockets.iter().enumerate().zip(self.inner.workers.iter().cycle());
        for ((index, fd), worker) in each {
            worker.mailbox.send(Message::Socket { place, index, fd: fd.clone() });
        }
    }

    /// Stops accepting on an address: drops new SYNs, accepts what waits, closes the sockets, then
    /// calls `done`.
    pub fn close_listener(&self, address: &str, done: Box<dyn FnOnce() + Send>) {
        let done = Arc::new(Done::new(done));
        let Ok(place) = address.parse::<Place>() else {
            return;
        };
        lock(&self.inner.sockets).remove(&place);
        if place.is_udp {
            lock(&self.inner.shared.flows.sharing).remove(&place.address);
        }
        for worker in &self.inner.workers {
            worker.mailbox.send(Message::CloseListener { place, done: done.clone() });
        }
    }

    /// Hands over to a successor that has the sockets: closes ours without touching their queues
    /// and finishes what is in flight. UDP flows go to `flows`, if somebody takes them: each worker
    /// sends once.
    pub fn handoff(&self, flows: Option<mpsc::Sender<GivenFlows>>) {
        self.leave(|| Message::HandOff(flows.clone()));
    }

    /// Drains: reports not ready, stops accepting, finishes what is in flight, then leaves. Calls
    /// `closed` once every listener is closed.
    pub fn drain(&self, closed: Box<dyn FnOnce() + Send>) {
        let closed = Arc::new(Done::new(closed));
        self.leave(|| Message::Drain(closed.clone()));
    }

    /// Calls `alive` once every worker has completed a turn of its loop; never while one of them
    /// hangs.
    pub fn probe(&self, alive: Box<dyn FnOnce() + Send>) {
        let alive = Arc::new(Done::new(alive));
        for worker in &self.inner.workers {
            worker.mailbox.send(Message::Probe(alive.clone()));
        }
    }

    /// Makes session tickets from this secret (hex, 32 bytes) from now on, and still accepts those
    /// made from the secret before it.
    ///
    /// # Errors
    /// When it is not 32 bytes of hex.
    pub fn rotate_tickets(&self, secret: &str) -> Result<(), String> {
        self.inner.ticketer.rotate(secret)
    }

    fn leave(&self, message: impl Fn() -> Message) {
        self.inner.draining.store(true, Relaxed);
        lock(&self.inner.sockets).clear();
        self.inner.shared.house.wake();
        for worker in &self.inner.workers {
            worker.mailbox.send(message());
        }
    }

    /// Reports whether every worker has left, and their last lines of the access log, spans and log
    /// records, too, or have had their time.
    pub fn is_drained(&self) -> bool {
        let has_left = self.inner.finished.load(Relaxed) >= self.inner.workers.len();
        if has_left {
            self.inner.records.stop();
        }
        has_left && self.inner.records.are_over()
    }

    /// Returns the `host:port` names that the served plan needs resolved, sorted.
    pub fn names(&self) -> Vec<String> {
        let serving = lock(&self.inner.serving).clone();
        let endpoints = serving.upstreams.iter().flatten().flat_map(|u| &u.endpoints);
        let endpoints = endpoints.filter(|e| e.is_name).map(|e| e.address.to_string());
        let names: BTreeSet<String> = endpoints.chain(outlets::names(&serving.settings)).collect();
        names.into_iter().collect()
    }

    /// Sets what a name resolves to now; after an error the last good addresses stay. Waits for a
    /// plan that is being applied, never for a worker.
    pub fn set_addresses(&self, name: &str, result: Result<Vec<SocketAddr>, String>) {
        let mut builder = lock(&self.inner.builder);
        let name: Arc<str> = name.into();
        let addresses = {
            let mut names = lock(&self.inner.names);
            let entry = names.entry(name.clone()).or_default();
            match result {
                Err(error) => return entry.error = error,
                Ok(addresses) => {
                    entry.error.clear();
                    let new: Arc<[Address]> = addresses.into_iter().map(Address::Inet).collect();
                    if new == entry.addresses {
                        return;
                    }
                    entry.addresses = new.clone();
                    new
                }
            }
        };
        let before = builder.current().clone();
        if let Some(update) = builder.resolve(vec![(name, addresses)]) {
            *lock(&self.inner.serving) = update.snapshot.clone();
            // Nobody waits for the result: the channel has no reader.
            self.send(&update, &mpsc::channel().0);
            lock(&self.inner.retired).put(before, &[]);
        }
    }

    /// Forgets names that left the plan.
    fn forget_names(&self, builder: &mut Builder) {
        let mut names = lock(&self.inner.names);
        if names.is_empty() {
            return;
        }
        let used: BTreeSet<String> = self.names().into_iter().collect();
        names.retain(|name, _| used.contains(&**name));
        builder.keep_names(&used);
    }

    /// Opens a tap on the requests that begin from now on; `None` if too many are open.
    pub fn tap(&self, filter: TapFilter) -> Option<TapReader> {
        self.inner.records.log.tap(filter)
    }

    /// Closes the access log's file and opens it again.
    pub fn reopen_logs(&self) {
        self.inner.records.log.reopen();
    }

    /// Returns what happened since the last call.
    pub fn take_events(&self) -> Vec<EngineEvent> {
        // A plan that is being applied sweeps at its end.
        if let Ok(mut builder) = self.inner.builder.try_lock() {
            self.inner.sweep(&mut builder);
        }
        for told in self.inner.shared.keep.notices().take() {
            self.inner.shared.event(EventLevel::Info, told.kind, told.message);
        }
        self.inner.shared.take_events()
    }

    /// Returns how often each worker was replaced, by index.
    pub fn worker_restarts(&self) -> Vec<u64> {
        self.inner.workers.iter().map(|w| w.restarts.load(Relaxed)).collect()
    }
}
