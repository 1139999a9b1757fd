//! An engine that records its calls.

use crate::engine_port::{Applied, BlobLookup, EngineApi};
use hg_engine::{
    EndpointOrder, EngineEvent, EngineMetrics, EngineStatus, GivenFlows, MovedFlow, TapFilter,
    TapReader, Taps, ToldFlow,
};
use hg_plan::{Change, Kind, ObjectError, Plan};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

/// Longest wait for a condition in a test.
const DEADLINE: Duration = Duration::from_secs(45);

#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub digest: Option<String>,
    pub applies: usize,
    pub changed: Vec<String>,
    pub sockets: BTreeMap<String, usize>,
    pub closed: Vec<String>,
    pub is_handed_off: bool,
    pub is_draining: bool,
    pub taken: Vec<ToldFlow>,
    pub taken_back: Vec<(usize, Vec<ToldFlow>)>,
    pub left_behind: Option<u64>,
    pub reopened: usize,
    pub addresses: Vec<(String, Result<Vec<SocketAddr>, String>)>,
}

#[derive(Default)]
pub(crate) struct FakeEngine {
    seen: Mutex<Seen>,
    changed: Condvar,
    pub is_drained: AtomicBool,
    pub hangs: AtomicBool,
    /// True while the machine lacks what a middleware named `needy` needs.
    pub is_bare: AtomicBool,
    pub flows: Mutex<Vec<GivenFlows>>,
    pub names: Mutex<Vec<String>>,
    pub events: Mutex<Vec<EngineEvent>>,
    pub restarts: Mutex<Vec<u64>>,
    knows_nothing: AtomicBool,
    orders: Mutex<Vec<(String, String, EndpointOrder)>>,
}

impl FakeEngine {
    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until what was recorded meets a condition.
    pub fn wait(&self, condition: impl Fn(&Seen) -> bool) -> Seen {
        let start = Instant::now();
        let mut seen = self.seen.lock().unwrap();
        while !condition(&seen) {
            let left = DEADLINE.checked_sub(start.elapsed()).expect("the condition came true");
            seen = self.changed.wait_timeout(seen, left).unwrap().0;
        }
        seen.clone()
    }

    /// Returns the orders so far.
    pub fn orders(&self) -> Vec<(String, String, EndpointOrder)> {
        self.orders.lock().unwrap().clone()
    }

    pub fn forget_endpoints(&self) {
        self.knows_nothing.store(true, Ordering::Relaxed);
    }

    fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap());
        self.changed.notify_all();
    }
}

fn fault(name: &str, path: &str, message: &str) -> ObjectError {
    ObjectError {
        kind: Kind::Middleware,
        name: name.into(),
        path: path.into(),
        message: message.into(),
    }
}

impl EngineApi for FakeEngine {
    /// Refuses a middleware named `bad`, panics on one named `panic`, and reads every certificate.
    fn apply(
        &self,
        plan: &Plan,
        changed: &[Change],
        blobs: &BlobLookup<'_>,
    ) -> Result<Applied, Vec<ObjectError>> {
        assert!(plan.middleware("panic").is_none(), "asked to");
        if plan.middleware("bad").is_some() {
            return Err(vec![fault("bad", "respond.status", "is bad")]);
        }
        for (name, certificate) in plan.certificates() {
            if blobs(&certificate.key).is_none() {
                return Err(vec![fault(name, "key", "is missing")]);
            }
        }
        self.note(|seen| {
            seen.digest = Some(plan.digest().hex());
            seen.applies += 1;
            seen.changed = changed.iter().map(|change| change.name.to_string()).collect();
        });
        Ok(Applied { compile_us: 7, swap_us: 3 })
    }

    /// Misses what a middleware named `needy` needs.
    fn check_machine(&self, plan: &Plan, _changed: &[Change]) -> Result<(), Vec<ObjectError>> {
        match plan.middleware("needy") {
            Some(_) if self.is_bare.load(Ordering::Relaxed) => {
                Err(vec![fault("needy", "respond", "is not there now")])
            }
            _ => Ok(()),
        }
    }

    fn add_sockets(&self, address: &str, sockets: Vec<OwnedFd>) {
        self.note(|seen| {
            seen.sockets.insert(address.into(), sockets.len());
        });
    }

    fn close_listener(&self, address: &str, done: Box<dyn FnOnce() + Send>) {
        self.note(|seen| seen.closed.push(address.into()));
        std::thread::spawn(done);
    }

    /// Gives away the flows that a test put here.
    fn handoff(&self, flows: Option<mpsc::Sender<GivenFlows>>) {
        if let Some(to) = flows {
            for given in self.flows.lock().unwrap().drain(..) {
                to.send(given).unwrap();
            }
        }
        self.note(|seen| seen.is_handed_off = true);
    }

    fn take_back_flows(&self, given: GivenFlows) {
        let flows = given.flows.iter().map(|flow| flow.told.clone()).collect();
        self.note(|seen| seen.taken_back.push((given.worker, flows)));
    }

    fn await_flows(&self) {}

    /// Takes all but those of a route named `unknown`.
    fn take_flows(&self, flows: Vec<MovedFlow>, _patience: Duration) -> Vec<usize> {
        let (unknown, known): (Vec<_>, Vec<_>) =
            flows.iter().enumerate().partition(|(_, flow)| flow.told.route == "unknown");
        let taken = known.into_iter().map(|(_, flow)| flow.told.clone());
        self.note(|seen| seen.taken.extend(taken));
        unknown.into_iter().map(|(at, _)| at).collect()
    }

    fn flows_are_here(&self, left: u64) {
        self.note(|seen| seen.left_behind = Some(left));
    }

    fn drain(&self, closed: Box<dyn FnOnce() + Send>) {
        self.note(|seen| seen.is_draining = true);
        closed();
    }

    fn probe(&self, alive: Box<dyn FnOnce() + Send>) {
        if !self.hangs.load(Ordering::Relaxed) {
            alive();
        }
    }

    fn rotate_tickets(&self, _secret: &str) -> Result<(), String> {
        Ok(())
    }

    fn is_drained(&self) -> bool {
        self.is_drained.load(Ordering::Relaxed)
    }

    fn names(&self) -> Vec<String> {
        self.names.lock().unwrap().clone()
    }

    fn set_addresses(&self, name: &str, result: Result<Vec<SocketAddr>, String>) {
        self.note(|seen| seen.addresses.push((name.into(), result)));
    }

    /// Knows every endpoint but `unknown`, until it is told to forget them.
    fn find_endpoint(&self, upstream: &str, address: &str) -> Result<(), String> {
        if address == "unknown" || self.knows_nothing.load(Ordering::Relaxed) {
            return Err(format!("the upstream `{upstream}` has no endpoint `{address}`"));
        }
        Ok(())
    }

    fn ordered(&self) -> Vec<(String, String)> {
        let mut held = std::collections::BTreeMap::new();
        for (upstream, address, order) in self.orders() {
            held.insert((upstream, address), order);
        }
        held.retain(|_, order| *order != EndpointOrder::Ready);
        held.into_keys().collect()
    }

    fn order(&self, upstream: &str, address: &str, order: EndpointOrder) {
        self.orders.lock().unwrap().push((upstream.into(), address.into(), order));
    }

    fn status(&self) -> EngineStatus {
        EngineStatus { plan_digest: self.seen().digest.unwrap_or_default(), ..Default::default() }
    }

    fn metrics(&self) -> EngineMetrics {
        EngineMetrics { plan_swaps: 1, ..EngineMetrics::default() }
    }

    fn tap(&self, filter: TapFilter) -> Option<TapReader> {
        Arc::new(Taps::default()).open(filter)
    }

    fn reopen_logs(&self) {
        self.note(|seen| seen.reopened += 1);
    }

    fn take_events(&self) -> Vec<EngineEvent> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    fn worker_restarts(&self) -> Vec<u64> {
        self.restarts.lock().unwrap().clone()
    }
}
