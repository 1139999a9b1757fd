//! The thread that applies plans, one after the other.

use super::applier::{Applier, Outcome};
use super::machine::Transaction;
use hg_plan::{Digest, Plan};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Quiet time before an applied plan is written to the disk, so that a burst pays once.
const SETTLE_AFTER: Duration = Duration::from_millis(100);

/// A burst without such a pause is written to the disk after this long.
const SETTLE_AT_LATEST: Duration = Duration::from_secs(2);

/// Pause after a failed write to the disk.
const SETTLE_RETRY: Duration = Duration::from_secs(30);

/// Compiling recurses over regexes and JSON, both bounded. This is 2 MiB of address space, touched
/// only as used.
const STACK_BYTES: usize = 2 * 1024 * 1024;

/// The root digest of the served plan, readable from any thread.
#[derive(Clone, Debug, Default)]
pub struct Held(Arc<RwLock<Digest>>);

impl Held {
    /// Returns the digest.
    pub fn get(&self) -> Digest {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, digest: Digest) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = digest;
    }
}

/// Called with each plan that the workers begin to serve.
pub type OnServed = Box<dyn Fn(&Plan) + Send>;

enum Job {
    Apply(Transaction, oneshot::Sender<Outcome>),
    Leave(Sender<Duration>),
}

/// The handle of the thread; the thread ends when the last clone is gone.
#[derive(Clone)]
pub struct ApplyThread {
    jobs: Sender<Job>,
    held: Held,
}

impl ApplyThread {
    /// Starts the thread; calls `on_served` at once for the plan already held.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(applier: Applier, on_served: OnServed) -> io::Result<(Self, JoinHandle<()>)> {
        let (jobs, inbox) = channel();
        let held = Held::default();
        held.set(applier.plan().digest());
        let thread_held = held.clone();
        let run = move || run(applier, &inbox, &thread_held, &on_served);
        let builder = std::thread::Builder::new().name("hg-apply".into()).stack_size(STACK_BYTES);
        let thread = builder.spawn(run)?;
        Ok((Self { jobs, held }, thread))
    }

    /// Returns the digest of the served plan.
    pub fn held(&self) -> Digest {
        self.held.get()
    }

    /// Applies a transaction; `None` if the process is about to exit.
    pub async fn apply(&self, transaction: Transaction) -> Option<Outcome> {
        let (answer, outcome) = oneshot::channel();
        self.jobs.send(Job::Apply(transaction, answer)).ok()?;
        outcome.await.ok()
    }

    /// Accepts no more plans, and lets a successor write the plan's directory; waits until that is
    /// so. Returns how long the plan lets a drain take; `None` if the thread is gone.
    pub fn leave(&self) -> Option<Duration> {
        let (done, wait) = channel();
        self.jobs.send(Job::Leave(done)).ok()?;
        wait.recv().ok()
    }
}

fn run(mut applier: Applier, inbox: &Receiver<Job>, held: &Held, on_served: &OnServed) {
    on_served(applier.plan());
    let mut unsettled_since: Option<Instant> = None;
    let mut pause = SETTLE_AFTER;
    loop {
        let next = match unsettled_since {
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(since) if pause == SETTLE_AFTER && since.elapsed() >= SETTLE_AT_LATEST => {
                Err(RecvTimeoutError::Timeout)
            }
            Some(_) => inbox.recv_timeout(pause),
        };
        match next {
            Ok(Job::Apply(transaction, answer)) => {
                let outcome = applier.apply(transaction);
                held.set(applier.plan().digest());
                let is_applied = matches!(outcome, Outcome::Applied(_));
                // The caller may be gone; the plan is served all the same.
                let _ = answer.send(outcome);
                if is_applied {
                    on_served(applier.plan());
                    pause = SETTLE_AFTER;
                }
            }
            Ok(Job::Leave(done)) => {
                let _ = done.send(applier.leave());
            }
            Err(RecvTimeoutError::Timeout) => {
                pause = if applier.settle() { SETTLE_AFTER } else { SETTLE_RETRY };
                unsettled_since = None;
            }
            Err(RecvTimeoutError::Disconnected) => {
                applier.settle();
                return;
            }
        }
        if !applier.is_unsettled() {
            unsettled_since = None;
        } else if unsettled_since.is_none() {
            unsettled_since = Some(Instant::now());
        }
    }
}
