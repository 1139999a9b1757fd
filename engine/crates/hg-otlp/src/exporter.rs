//! The exporter's thread: gathers what workers hand over and sends it to the collector.

use crate::hand_over::{ExportStats, ExportWriter, Filled, Shared};
use crate::post::Client;
use crate::request::request_head;
use crate::signal::Signal;
use crate::target::Target;
use crate::verdict::{Verdict, verdict, wait};
use crate::waiting::Waiting;
use hg_dial::{Failure, Lookup};
use hg_plan::OtlpExport;
use hg_tls::ClientTls;
use std::io;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// After so long items are given up.
const GIVE_UP: Duration = Duration::from_secs(60);
/// The time that a process that ends waits for its last export.
const LAST: Duration = Duration::from_secs(5);

/// A message about exports, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Exports fail, for this reason; said once until they work again.
    Failing(String),
    /// They work again.
    Working,
}

type Tell = Box<dyn Fn(News) + Send>;

/// Sends the items of a signal to a collector, from a thread of its own. When it is dropped, the thread tries once
/// more to send what it has, and ends.
pub struct Exporter {
    shared: Arc<Shared>,
    thread: Thread,
    current: Mutex<Current>,
    stopped: OnceLock<Instant>,
}

/// The collector that is meant now, and the way on which the thread is told of another one.
struct Current {
    signal: Signal,
    plan: Option<OtlpExport>,
    tls: Option<Arc<ClientTls>>,
    changes: Sender<Option<Target>>,
}

impl Exporter {
    /// Starts the thread, which sends nothing before it is configured, for so many workers. `lookup`
    /// and `tell` are called on it.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(signal: Signal, workers: usize, lookup: Lookup, tell: Tell) -> io::Result<Self> {
        let (changes, incoming) = channel();
        let shared = Arc::new(Shared::new(workers));
        let theirs = shared.clone();
        let thread = std::thread::Builder::new().name(signal.thread().into()).spawn(move || {
            Gathered::new(&theirs, lookup, tell).run(&incoming);
            theirs.has_ended.store(true, Release);
        })?;
        let thread = thread.thread().clone();
        let current = Mutex::new(Current { signal, plan: None, tls: None, changes });
        let stopped = OnceLock::new();
        Ok(Self { shared, thread, current, stopped })
    }

    /// Changes where items go, while they flow: what waits goes to the new collector, or, if there
    /// is none any more, to the old one. The same again changes nothing. `tls` is that of the plan.
    pub fn configure(&self, plan: Option<&OtlpExport>, tls: Option<&Arc<ClientTls>>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = |tls: Option<&Arc<ClientTls>>| tls.map(|tls| *tls.digest());
        if current.plan.as_ref() == plan && digest(current.tls.as_ref()) == digest(tls) {
            return;
        }
        (current.plan, current.tls) = (plan.cloned(), tls.cloned());
        // A plan that is no target was refused before.
        let target = plan.and_then(|plan| Target::new(current.signal, plan, tls.cloned()).ok());
        let _ = current.changes.send(target);
        self.thread.unpark();
    }

    /// Returns a worker's end.
    pub fn writer(&self) -> ExportWriter {
        ExportWriter::new(self.shared.clone(), self.thread.clone())
    }

    /// Returns the counts since the start.
    pub fn stats(&self) -> ExportStats {
        self.shared.stats()
    }

    /// Has the thread send what it has and end. Drop the writers before.
    pub fn stop(&self) {
        self.stopped.get_or_init(Instant::now);
        self.shared.stop.store(true, Release);
        self.thread.unpark();
    }

    /// Reports whether the thread has ended since [`Self::stop`], or has had its time for that.
    pub fn is_over(&self) -> bool {
        let has_ended = self.shared.has_ended.load(Acquire);
        has_ended || self.stopped.get().is_some_and(|since| since.elapsed() >= LAST)
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Items that are sent together.
struct Batch {
    part: Filled,
    began: Instant,
    tries: u32,
    next: Instant,
}

/// The state of the thread.
struct Gathered<'a> {
    shared: &'a Shared,
    tell: Tell,
    client: Client,
    target: Option<Target>,
    /// True while the config names the target; without one, what waits still goes to the last one.
    is_wanted: bool,
    waiting: Waiting,
    batch: Option<Batch>,
}

impl<'a> Gathered<'a> {
    fn new(shared: &'a Shared, lookup: Lookup, tell: Tell) -> Self {
        let (client, waiting) = (Client::new(lookup), Waiting::new(Instant::now()));
        Self { shared, tell, client, target: None, is_wanted: false, waiting, batch: None }
    }

    fn run(&mut self, incoming: &Receiver<Option<Target>>) {
        loop {
            // Read before the queue, so that what was handed over before the stop is found.
            let is_stopping = self.shared.stop.load(Acquire);
            while let Ok(target) = incoming.try_recv() {
                self.is_wanted = target.is_some();
                if let Some(target) = target {
                    self.target = Some(target);
                    self.client.close();
                    if let Some(batch) = &mut self.batch {
                        batch.next = Instant::now();
                    }
                } else {
                    self.shared.is_failing.store(false, Relaxed);
                }
            }
            take(self.shared, &mut self.waiting);
            if is_stopping {
                return self.send_the_rest();
            }
            self.form(false);
            self.send(false);
            match self.rest() {
                Some(rest) if rest.is_zero() => {}
                Some(rest) => std::thread::park_timeout(rest),
                None => std::thread::park(),
            }
        }
    }

    /// Returns how long there is nothing to do; nothing = until something comes.
    fn rest(&self) -> Option<Duration> {
        let now = Instant::now();
        match &self.batch {
            Some(batch) => Some(batch.next.saturating_duration_since(now)),
            None => self.waiting.rest(now),
        }
    }

    /// Sends what is left, once. Gives up what waits behind the first part of it that the collector
    /// cannot be sent: the process waits a few seconds only.
    fn send_the_rest(&mut self) {
        self.send(true);
        let shared = self.shared;
        let lost = || shared.unreachable.load(Relaxed);
        let before = lost();
        while lost() == before && !self.waiting.is_empty() {
            self.form(true);
            self.send(true);
            take(self.shared, &mut self.waiting);
        }
        while let Some(part) = self.waiting.pop() {
            self.shared.unreachable.fetch_add(part.items, Relaxed);
        }
    }

    /// Makes a batch of what has waited longest, once that is much or old.
    fn form(&mut self, now: bool) {
        let began = Instant::now();
        let is_due = now || self.waiting.rest(began).is_some_and(|rest| rest.is_zero());
        if self.batch.is_none()
            && is_due
            && let Some(part) = self.waiting.pop()
        {
            self.batch = Some(Batch { part, began, tries: 0, next: began });
        }
    }

    fn send(&mut self, now: bool) {
        let Self { shared, client, target, waiting, .. } = self;
        let Some(batch) = self.batch.as_mut().filter(|b| now || b.next <= Instant::now()) else {
            return;
        };
        let Some(target) = target else {
            shared.unreachable.fetch_add(batch.part.items, Relaxed);
            self.batch = None;
            return;
        };
        batch.tries += 1;
        let head = request_head(&target.service, batch.part.bytes.len());
        let mut between = || take(shared, waiting);
        let verdict = match client.post(target, [&head, &batch.part.bytes], &mut between) {
            Ok(answer) => verdict(answer.status, answer.retry_after_s, &answer.body),
            Err(why) => Verdict::Again { why, after_s: 0 },
        };
        let sent = batch.part.items;
        match verdict {
            Verdict::Taken { rejected } => {
                let rejected = rejected.min(sent);
                shared.exported.fetch_add(sent - rejected, Relaxed);
                shared.refused.fetch_add(rejected, Relaxed);
                self.batch = None;
                self.works();
            }
            Verdict::Again { why, after_s } => {
                if now || batch.began.elapsed() >= GIVE_UP {
                    shared.unreachable.fetch_add(sent, Relaxed);
                    self.batch = None;
                } else {
                    let random = u64::from(batch.began.elapsed().subsec_nanos());
                    batch.next = Instant::now() + wait(batch.tries, after_s, random);
                }
                self.fails(why);
            }
            Verdict::Refused { why } => {
                shared.refused.fetch_add(sent, Relaxed);
                self.batch = None;
                self.fails(why);
            }
        }
    }

    fn works(&self) {
        if self.shared.is_failing.swap(false, AcqRel) {
            (self.tell)(News::Working);
        }
    }

    fn fails(&self, why: Failure) {
        self.shared.failures.count(why.reason);
        if self.is_wanted && !self.shared.is_failing.swap(true, AcqRel) {
            (self.tell)(News::Failing(why.detail));
        }
    }
}

/// Takes what workers have handed over, as long as there is room.
fn take(shared: &Shared, waiting: &mut Waiting) {
    while waiting.has_room()
        && let Some(filled) = shared.buffers.pop()
    {
        waiting.add(&filled, Instant::now());
        shared.buffers.give_back(filled.bytes);
    }
}

#[cfg(test)]
#[path = "exporter_tests.rs"]
mod tests;
