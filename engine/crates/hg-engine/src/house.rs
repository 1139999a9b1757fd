//! The house thread: checks the endpoints of all upstreams, for all workers. It has a poller of its
//! own and connections of its own, so that checks neither take a worker's time nor a pool's place.

mod agents;
mod answer;
mod asked;
mod attempt;
mod http2;
mod plain;
mod watch;

pub(crate) use answer::problems;

use crate::counters::lock;
use crate::engine::Inner;
use crate::report::EventLevel;
use crate::snapshot::{Snapshot, UpstreamEntry};
use answer::Failure;
use attempt::{Attempt, Passed};
use hg_net::{Event, Poller, Token, Waker};
use hg_resilience::{Pace, PacePolicy, Reason};
use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use watch::{Due, Watch};

const STACK: usize = 512 * 1024;
/// The wait of a check that the pace holds back, and the interval at which panic is looked at.
const PACE_MS: u64 = 10;
const TURN_MS: u64 = 1_000;
/// The interval at which the memory is compared with its limit: within a turn it may grow a lot.
const MEMORY_MS: u64 = 100;

/// The time that an endpoint has to refuse a TLS session whose handshake is over for us.
const SETTLE_MS: u64 = 500;

/// A change: a slot and what it holds now.
type Moved = (usize, Option<Arc<UpstreamEntry>>);

/// The channel through which the engine talks to the house thread.
#[derive(Default)]
pub(crate) struct Inbox {
    moved: Mutex<Vec<Moved>>,
    /// True if the thread has let go of something since the last sweep.
    let_go: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Inbox {
    /// Tells which slots of a snapshot changed.
    pub(crate) fn send(&self, snapshot: &Snapshot, slots: &[usize]) {
        let entry = |slot: &usize| {
            let entry = snapshot.upstreams.get(*slot).cloned().flatten();
            (*slot, entry.filter(|e| e.concerns_checks()))
        };
        lock(&self.moved).extend(slots.iter().map(entry));
        self.wake();
    }

    /// Reports whether the thread has let go of entries since the last call.
    pub(crate) fn take_let_go(&self) -> bool {
        self.let_go.swap(false, Relaxed)
    }

    /// Makes the thread look at what the engine does.
    pub(crate) fn wake(&self) {
        if let Some(waker) = &*lock(&self.waker) {
            waker.wake();
        }
    }
}

/// Starts the thread.
pub(crate) fn spawn(inner: Arc<Inner>) -> io::Result<()> {
    std::thread::Builder::new().name("house".into()).stack_size(STACK).spawn(move || {
        while !inner.draining.load(Relaxed) {
            let why = match catch_unwind(AssertUnwindSafe(|| House::new(&inner)?.run(&inner))) {
                Ok(Ok(())) => return,
                Ok(Err(e)) => e.to_string(),
                Err(_) => "panic".to_owned(),
            };
            let message = format!("the thread that checks endpoints was replaced: {why}");
            inner.shared.event(EventLevel::Error, "house.lost", message);
            // Whatever is wrong must not keep a CPU busy.
            std::thread::sleep(std::time::Duration::from_millis(TURN_MS));
        }
    })?;
    Ok(())
}

/// A check under way.
struct Running {
    attempt: Attempt,
    due: Due,
    generation: u32,
    next_target: usize,
    began_ms: u64,
    deadline_ms: u64,
}

struct House {
    watch: Watch,
    running: HashMap<usize, Running>,
    poller: Poller,
    pace: Pace,
    generation: u32,
}

impl House {
    fn new(inner: &Inner) -> io::Result<Self> {
        let poller = Poller::new()?;
        *lock(&inner.shared.house.waker) = Some(poller.waker());
        let serving = lock(&inner.serving).clone();
        let all: Vec<usize> = (0..serving.upstreams.len()).collect();
        inner.shared.house.send(&serving, &all);
        Ok(Self {
            watch: Watch::new(inner.shared.clone(), hg_net::unix_micros()),
            running: HashMap::new(),
            poller,
            pace: Pace::default(),
            generation: 0,
        })
    }

    fn run(mut self, inner: &Inner) -> io::Result<()> {
        let (mut events, mut turn_ms, mut memory_ms) = (Vec::new(), 0, 0);
        while !inner.draining.load(Relaxed) {
            let now_ms = inner.shared.clock.micros() / 1_000;
            let wait_ms = self.wait_ms(now_ms, inner.shared.memory.is_limited());
            self.poller.wait(wait_ms, &mut events)?;
            let now_us = inner.shared.clock.micros();
            let now_ms = now_us / 1_000;
            for event in events.drain(..) {
                self.on_event(&event, now_ms);
            }
            let moved = std::mem::take(&mut *lock(&inner.shared.house.moved));
            if !moved.is_empty() {
                self.update(moved, now_ms);
                inner.shared.house.let_go.store(true, Relaxed);
            }
            self.time_out(now_ms);
            self.start_due(now_us);
            if now_ms >= turn_ms {
                self.watch.turn(now_ms);
                turn_ms = now_ms + TURN_MS;
            }
            if now_ms >= memory_ms {
                inner.shared.memory.turn();
                memory_ms = now_ms + MEMORY_MS;
            }
        }
        Ok(())
    }

    fn update(&mut self, moved: Vec<Moved>, now_ms: u64) {
        for (slot, entry) in moved {
            for id in self.watch.update(slot, entry, now_ms) {
                if self.running.remove(&id).is_some() {
                    self.pace.end();
                }
            }
        }
    }

    /// Returns how long nothing is to be done, unless something happens.
    fn wait_ms(&self, now_ms: u64, has_limit: bool) -> Option<u64> {
        let until = |at: u64| at.saturating_sub(now_ms);
        let due = self.watch.next_ms().map(|at| until(at).max(PACE_MS));
        let deadline = self.running.values().map(|r| until(r.deadline_ms)).min();
        let turn = self.watch.changes_by_time().then_some(TURN_MS);
        let memory = has_limit.then_some(MEMORY_MS);
        [due, deadline, turn, memory].into_iter().flatten().min()
    }

    fn start_due(&mut self, now_us: u64) {
        let now_ms = now_us / 1_000;
        let policy = PacePolicy::default();
        while self.watch.next_ms().is_some_and(|at| at <= now_ms)
            && self.pace.start(&policy, now_us)
        {
            match self.watch.take_due(now_ms) {
                Some(due) => self.start(due, now_ms),
                None => self.pace.end(),
            }
        }
    }

    fn start(&mut self, due: Due, now_ms: u64) {
        let deadline_ms = now_ms.saturating_add(due.timeout_ms);
        self.connect(due, 0, (now_ms, deadline_ms), now_ms);
    }

    /// Begins to connect to the first target from `next` on that the kernel does not refuse.
    fn connect(&mut self, due: Due, next: usize, times: (u64, u64), now_ms: u64) {
        let (began_ms, deadline_ms) = times;
        let mut failure = Failure::new(Reason::CheckConnect, "the endpoint has no address");
        for (at, target) in due.terms.targets.iter().enumerate().skip(next) {
            self.generation = self.generation.wrapping_add(1) & 0xff_ffff;
            let token = Token::new(0, self.generation, due.id);
            let attempt = Attempt::connect(target, &due.terms).and_then(|attempt| {
                let added = self.poller.add_stream(&attempt.fd, token);
                let refused = |e: io::Error| Failure::new(Reason::CheckConnect, e.to_string());
                added.map(|()| attempt).map_err(refused)
            });
            match attempt {
                Ok(attempt) => {
                    let (generation, next_target, id) = (self.generation, at + 1, due.id);
                    let running =
                        Running { attempt, due, generation, next_target, began_ms, deadline_ms };
                    self.running.insert(id, running);
                    return;
                }
                Err(why) => failure = why,
            }
        }
        self.end(due.id, Err(failure), (began_ms, now_ms));
    }

    fn on_event(&mut self, event: &Event, now_ms: u64) {
        let id = event.token.index();
        let Some(r) = self.running.get_mut(&id) else {
            return;
        };
        if r.generation != event.token.generation() {
            return;
        }
        let was_connecting = r.attempt.is_connecting();
        let result = match r.attempt.on_event(event, &r.due.terms) {
            Ok(false) => {
                if r.attempt.is_settling() {
                    r.deadline_ms = r.deadline_ms.min(now_ms + SETTLE_MS);
                }
                return;
            }
            Ok(true) => Ok(r.attempt.passed()),
            Err(failure) => Err(failure),
        };
        let Some(r) = self.running.remove(&id) else { return };
        let times = (r.began_ms, r.deadline_ms);
        let others = was_connecting && r.next_target < r.due.terms.targets.len();
        match result {
            Err(f) if others && is_connect(&f) => {
                self.connect(r.due, r.next_target, times, now_ms);
            }
            result => self.end(id, result, (r.began_ms, now_ms)),
        }
    }

    fn time_out(&mut self, now_ms: u64) {
        let late = self.running.iter().filter(|(_, r)| r.deadline_ms <= now_ms);
        let late: Vec<usize> = late.map(|(id, _)| *id).collect();
        for id in late {
            let Some(mut r) = self.running.remove(&id) else { continue };
            if r.attempt.is_settling() {
                self.end(id, Ok(r.attempt.passed()), (r.began_ms, now_ms));
                continue;
            }
            let found = match r.attempt.is_connecting() {
                true => format!("no connection in {} ms", r.due.timeout_ms),
                false => format!("no answer in {} ms", r.due.timeout_ms),
            };
            let failure = Failure::new(Reason::CheckTimeout, found);
            self.end(id, Err(failure), (r.began_ms, now_ms));
        }
    }

    fn end(&mut self, id: usize, result: Result<Passed, Failure>, times: (u64, u64)) {
        self.pace.end();
        self.watch.result(id, result, times);
    }
}

fn is_connect(failure: &Failure) -> bool {
    matches!(failure.reason, Reason::CheckConnect | Reason::CheckNoRoute)
}
