//! The handle of the store's thread.

use crate::keeper::Keeper;
use hg_dial::{Lookup, Place, Reason, Reasons};
use hg_limit::Desk;
use hg_plan::LimitStore as Plan;
use hg_tls::ClientTls;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::Release};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;

/// A message about the store, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It is away, for this reason; said once until it counts again.
    Away(String),
    /// It counts.
    Ready,
}

/// The state of the store, and what was asked of it since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitStoreStats {
    /// True if there is one in the plan.
    pub is_configured: bool,
    /// True if it counts.
    pub is_ready: bool,
    /// The time since which it is away, seconds since the Unix epoch; 0 while it counts.
    pub away_since_s: u64,
    /// The reason why it is away, for a person.
    pub why: String,
    /// Keys that were charged.
    pub charged: u64,
    /// Requests that were admitted on credit and whose charges failed.
    pub lost: u64,
    /// Connections, charges and trials that failed, in the order of [`Reason::ALL`].
    pub failures: [u64; Reason::ALL.len()],
}

/// The state that the thread and its handle share.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) stop: AtomicBool,
    pub(crate) charged: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) failures: Reasons,
    pub(crate) away_since_s: AtomicU64,
    pub(crate) why: Mutex<String>,
}

/// The store that is meant.
pub(crate) struct Meant {
    pub(crate) plan: Plan,
    pub(crate) place: Place,
}

impl Meant {
    fn new(plan: &Plan, tls: Option<&Arc<ClientTls>>) -> Arc<Self> {
        let (address, tls) = (plan.address.clone(), tls.cloned());
        let place = Place { address, tls, protocol: None };
        Arc::new(Self { plan: plan.clone(), place })
    }

    /// Returns how long a connection, or an answer, may take.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.plan.timeout_ms.max(1))
    }

    fn is_same(&self, other: &Self) -> bool {
        self.plan == other.plan && self.place.is_same(&other.place)
    }
}

/// The clock of the workers, in microseconds.
pub(crate) type Now = Arc<dyn Fn() -> u64 + Send + Sync>;
pub(crate) type Tell = Arc<dyn Fn(News) + Send + Sync>;

/// The store that limits are shared through, with a thread of its own from the first plan on that has
/// one. When it is dropped, the thread ends.
pub struct LimitStore {
    shared: Arc<Shared>,
    desk: Arc<Desk>,
    now: Now,
    tell: Tell,
    lookup: Lookup,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    meant: Option<Arc<Meant>>,
    thread: Option<(Thread, Sender<Option<Arc<Meant>>>)>,
}

impl LimitStore {
    /// Makes the handle; nothing runs before it is configured. `now` is the clock of the workers in
    /// microseconds; `lookup` and `tell` are called on the thread.
    pub fn new(
        desk: Arc<Desk>,
        now: impl Fn() -> u64 + Send + Sync + 'static,
        lookup: Lookup,
        tell: impl Fn(News) + Send + Sync + 'static,
    ) -> Self {
        let (shared, state) = Default::default();
        Self { shared, desk, now: Arc::new(now), tell: Arc::new(tell), lookup, state }
    }

    /// Changes which store is asked; `tls` is that of the plan. The same again changes nothing;
    /// another one is away until it has answered.
    pub fn configure(&self, plan: Option<&Plan>, tls: Option<&Arc<ClientTls>>) {
        let meant = plan.map(|plan| Meant::new(plan, tls));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = match (&state.meant, &meant) {
            (Some(before), Some(now)) => before.is_same(now),
            (before, now) => before.is_none() && now.is_none(),
        };
        if is_same {
            return;
        }
        state.meant.clone_from(&meant);
        self.desk.set_nodes(plan.map_or(1, |plan| plan.nodes));
        if state.thread.is_none() {
            state.thread = self.start();
        }
        if let Some((thread, changes)) = &state.thread {
            // The thread lives as long as this handle.
            let _ = changes.send(meant);
            thread.unpark();
        }
    }

    fn start(&self) -> Option<(Thread, Sender<Option<Arc<Meant>>>)> {
        let (changes, incoming) = channel();
        let keeper = Keeper::new(
            (self.shared.clone(), self.desk.clone()),
            (self.now.clone(), self.tell.clone(), self.lookup.clone()),
            incoming,
        );
        let begin = move || {
            let mut keeper = keeper;
            keeper.run();
        };
        match std::thread::Builder::new().name("hg-limits".into()).spawn(begin) {
            Ok(started) => {
                let thread = started.thread().clone();
                let theirs = thread.clone();
                self.desk.open(Box::new(move || theirs.unpark()));
                Some((thread, changes))
            }
            Err(error) => {
                (self.tell)(News::Away(format!("its thread did not start: {error}")));
                None
            }
        }
    }

    /// Returns how it is.
    pub fn stats(&self) -> LimitStoreStats {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (is_configured, is_ready) = (state.meant.is_some(), self.desk.is_ready());
        let is_away = is_configured && !is_ready;
        let why = || self.shared.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
        LimitStoreStats {
            is_configured,
            is_ready,
            away_since_s: if is_away { self.shared.away_since_s.load(Relaxed) } else { 0 },
            why: if is_away { why() } else { String::new() },
            charged: self.shared.charged.load(Relaxed),
            lost: self.shared.lost.load(Relaxed),
            failures: self.shared.failures.counts(),
        }
    }
}

impl Drop for LimitStore {
    fn drop(&mut self) {
        self.shared.stop.store(true, Release);
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some((thread, _)) = &state.thread {
            thread.unpark();
        }
    }
}
