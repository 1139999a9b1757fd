//! The state that the workers of a process share: limits on connections, and events for its
//! watchers. Workers touch it once per connection, never once per request.

use crate::counters::{Refused, lock};
use crate::helpers::Helpers;
use crate::house::Inbox;
use crate::report::{EngineEvent, EventLevel};
use crate::sharing::Sharing;
use crate::snapshot::ListenerEntry;
use hg_middleware::Keep;
use hg_net::{Clock, Offload};
use hg_plan::{Kind, Settings, Shedding};
use hg_policy::{Random as _, WyRand};
use hg_resilience::{Level, Marks};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// Events kept while no reader takes them; older ones are dropped.
const EVENTS: usize = 1024;

/// Most helper threads.
const HELPERS: usize = 4;

/// The memory of the process, and how much it may be.
#[derive(Default)]
pub(crate) struct Memory {
    /// 0 = any.
    limit: AtomicU64,
    /// The points at which the levels beside the limit begin.
    marks: Mutex<Marks>,
    level: AtomicU8,
}

impl Memory {
    /// Takes over the limit of a plan.
    pub(crate) fn limit(&self, bytes: u64, marks: Marks) {
        *lock(&self.marks) = marks;
        self.limit.store(bytes, Relaxed);
        if bytes == 0 {
            self.set(Level::Calm);
        }
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.limit.load(Relaxed) > 0
    }

    /// Compares the memory with its limit. The house thread calls this, ten times a second.
    pub(crate) fn turn(&self) {
        let limit = self.limit.load(Relaxed);
        if limit == 0 {
            return;
        }
        let marks = *lock(&self.marks);
        let now = || marks.level(self.level(), hg_net::resident_bytes(), limit);
        let mut level = now();
        if level > Level::Calm {
            // The allocator keeps what was freed until its threads free more. Workers that refuse
            // requests do not, so that the overload would never end.
            hg_net::give_memory_back();
            level = now();
        }
        self.set(level);
    }

    pub(crate) fn level(&self) -> Level {
        Level::of_number(self.level.load(Relaxed))
    }

    fn set(&self, level: Level) {
        self.level.store(level.number(), Relaxed);
    }
}

/// Returns where the levels of a plan begin.
pub(crate) fn marks(plan: &Shedding) -> Marks {
    Marks { strained: plan.strained_percent, critical: plan.critical_percent }
}

/// The UDP flows of all workers. Each holds a descriptor, and anybody can open one by a datagram with a
/// forged address: half of all descriptors remain for everything else.
pub(crate) struct FlowCount {
    open: AtomicU32,
    most: u32,
    /// True if flows of a predecessor are still to come, so that no worker reads what clients send.
    pub(crate) awaited: AtomicBool,
    /// Flows that stayed with a predecessor.
    pub(crate) left_behind: AtomicU64,
    /// The kernel's handling of several datagrams of a flow at once.
    pub(crate) offload: Offload,
    /// The sharing of clients among the sockets of each address.
    pub(crate) sharing: Mutex<HashMap<SocketAddr, Arc<Sharing>>>,
}

impl FlowCount {
    fn new(descriptors: u64) -> Self {
        let most = u32::try_from(descriptors / 2).unwrap_or(u32::MAX);
        Self {
            open: AtomicU32::new(0),
            most,
            awaited: false.into(),
            left_behind: 0.into(),
            offload: Offload::probe(),
            sharing: Mutex::default(),
        }
    }

    /// Reports whether there may be one more. Workers that ask at the same time may each get a yes.
    pub(crate) fn has_room(&self) -> bool {
        self.open.load(Relaxed) < self.most
    }

    pub(crate) fn opened(&self) {
        self.open.fetch_add(1, Relaxed);
    }

    pub(crate) fn ended(&self) {
        self.open.fetch_sub(1, Relaxed);
    }
}

pub(crate) struct Shared {
    pub(crate) clock: Clock,
    /// Number of workers; at least 1.
    pub(crate) workers: u32,
    open: AtomicU32,
    pub(crate) flows: FlowCount,
    /// Filled only while there is a limit per client.
    clients: Mutex<HashMap<IpAddr, u32>>,
    events: Mutex<VecDeque<EngineEvent>>,
    /// Decides which verdicts of outlier detection are enforced; one is drawn for each verdict.
    draws: Mutex<WyRand>,
    /// The memory of the process.
    pub(crate) memory: Memory,
    /// The inbox of the house thread.
    pub(crate) house: Inbox,
    /// The state that middlewares keep.
    pub(crate) keep: Arc<Keep>,
    /// The threads for work that takes too long for a worker.
    pub(crate) helpers: Helpers,
    tickets: AtomicU64,
}

impl Shared {
    pub(crate) fn new(workers: usize) -> Self {
        Self::seeded(workers, hg_net::seed(&workers))
    }

    /// Does the same with a seed of the caller: equal seeds draw equal numbers.
    pub(crate) fn seeded(workers: usize, seed: u64) -> Self {
        Self {
            draws: Mutex::new(WyRand::new(seed)),
            clock: Clock::default(),
            workers: u32::try_from(workers).unwrap_or(u32::MAX).max(1),
            open: AtomicU32::new(0),
            flows: FlowCount::new(hg_net::descriptor_limit()),
            clients: Mutex::default(),
            events: Mutex::default(),
            memory: Memory::default(),
            house: Inbox::default(),
            keep: Arc::new(Keep::new(workers)),
            helpers: Helpers::new(workers.clamp(1, HELPERS)),
            tickets: AtomicU64::new(0),
        }
    }

    /// Returns a number that no other wait has.
    pub(crate) fn ticket(&self) -> u64 {
        self.tickets.fetch_add(1, Relaxed)
    }

    /// Returns the next 64 random bits.
    pub(crate) fn draw(&self) -> u64 {
        lock(&self.draws).next_u64()
    }

    /// Counts a new connection, or returns the limit that refuses it. `ip` is its client, if that is
    /// known already; [`Shared::admit_client`] counts it otherwise.
    pub(crate) fn admit(
        &self,
        settings: &Settings,
        listener: &ListenerEntry,
        ip: Option<IpAddr>,
    ) -> Option<Refused> {
        if self.open.fetch_add(1, Relaxed) >= settings.max_connections {
            self.open.fetch_sub(1, Relaxed);
            return Some(Refused::Process);
        }
        let limit = listener.plan.max_connections;
        if listener.open.fetch_add(1, Relaxed) >= limit && limit > 0 {
            self.open.fetch_sub(1, Relaxed);
            listener.open.fetch_sub(1, Relaxed);
            return Some(Refused::Listener);
        }
        if ip.is_some_and(|ip| !self.admit_client(settings, ip)) {
            self.open.fetch_sub(1, Relaxed);
            listener.open.fetch_sub(1, Relaxed);
            return Some(Refused::Client);
        }
        None
    }

    /// Counts a connection of a client where there is a limit; reports whether it allows one more.
    pub(crate) fn admit_client(&self, settings: &Settings, ip: IpAddr) -> bool {
        let most = settings.max_connections_per_client;
        if most == 0 {
            return true;
        }
        let mut clients = lock(&self.clients);
        let count = clients.entry(ip).or_default();
        if *count >= most {
            return false;
        }
        *count += 1;
        true
    }

    /// Returns the number of connections that are counted.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Relaxed) as usize
    }

    /// Returns the number of clients of which connections are counted.
    pub(crate) fn clients(&self) -> usize {
        lock(&self.clients).len()
    }

    /// Removes an admitted connection from the counts. `per_client` says whether that limit is on.
    pub(crate) fn leave(&self, listener_open: &AtomicU32, ip: IpAddr, per_client: bool) {
        self.open.fetch_sub(1, Relaxed);
        listener_open.fetch_sub(1, Relaxed);
        if per_client {
            self.forget_client(ip);
        }
    }

    /// Removes a connection of this client from its count.
    pub(crate) fn forget_client(&self, ip: IpAddr) {
        let mut clients = lock(&self.clients);
        if let Some(count) = clients.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&ip);
            }
        }
    }

    /// Removes the connections of a worker that is gone from the counts.
    pub(crate) fn forget_open(&self, connections: u64) {
        self.open.fetch_sub(u32::try_from(connections).unwrap_or(0), Relaxed);
    }

    pub(crate) fn event(&self, level: EventLevel, kind: &'static str, message: String) {
        self.object_event(level, kind, None, message);
    }

    pub(crate) fn object_event(
        &self,
        level: EventLevel,
        kind: &'static str,
        object: Option<(Kind, String)>,
        message: String,
    ) {
        let mut events = lock(&self.events);
        if events.len() >= EVENTS {
            events.pop_front();
        }
        events.push_back(EngineEvent { level, kind, object, message });
    }

    pub(crate) fn take_events(&self) -> Vec<EngineEvent> {
        lock(&self.events).drain(..).collect()
    }
}
