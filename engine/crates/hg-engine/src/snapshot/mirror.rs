//! The upstreams to which requests of a route are sent once more, and the choice of those requests.

use hg_middleware::{Keep, Results, Seat};
use hg_policy::{Block, Portion, Random};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// The kind of the counts of mirrored requests, beside those of middlewares. Each mirror has its own,
/// whose name is that of the route, a space and that of the upstream.
pub const MIRROR: &str = "mirror";

/// The outcome of a request that was to be mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mirrored {
    /// An answer came whole, with a status below 500.
    Answered,
    /// An answer came whole, with another status.
    Error,
    /// There was no connection, or it broke, or the answer was no HTTP, or the node left.
    Failed,
    /// There was no whole answer in time.
    Timeout,
    /// Too many others were under way, or the node had too much to do.
    Dropped,
    /// Its body is longer than those that are mirrored.
    TooLarge,
    /// Its own upstream did not get it whole.
    Incomplete,
    /// It opens a WebSocket.
    Unsupported,
}

impl Mirrored {
    /// The words for them, in order.
    pub(crate) const NAMES: &[&str] = &[
        "answered",
        "error",
        "failed",
        "timeout",
        "dropped",
        "too_large",
        "incomplete",
        "unsupported",
    ];
}

/// The terms on which requests of a route are mirrored to one upstream.
pub(crate) struct MirrorTerms {
    /// The upstream's slot.
    pub(crate) upstream: u32,
    pub(crate) most_bytes: u64,
    pub(crate) timeout_ms: u64,
    portion: Portion,
    most: u32,
    state: Arc<State>,
    results: Arc<Results>,
}

/// The state that outlives a reload.
#[derive(Default)]
struct State {
    block: Block,
    /// Mirrored requests that have not ended.
    taken: Arc<AtomicU32>,
}

impl MirrorTerms {
    pub(super) fn new(plan: &hg_plan::Mirror, upstream: u32, route: &str, keep: &Keep) -> Self {
        let name = format!("{route} {}", plan.upstream);
        Self {
            upstream,
            most_bytes: plan.body_bytes,
            timeout_ms: plan.timeout_ms,
            portion: Portion::new(plan.share),
            most: plan.in_flight,
            state: keep.get(MIRROR, &name, State::default),
            results: keep.results_of(&name, MIRROR, Mirrored::NAMES),
        }
    }

    /// Reports whether the next request is one of those that are mirrored.
    pub(crate) fn takes(&self, rng: &mut dyn Random) -> bool {
        self.portion.takes(&self.state.block, rng)
    }

    /// Counts one of which nothing was sent.
    pub(crate) fn count(&self, worker: usize, came: Mirrored) {
        self.results.add(worker, came as usize);
    }

    /// Begins one; returns nothing if too many are under way.
    pub(crate) fn begin(&self, worker: usize) -> Option<Flight> {
        let seat = Seat::take(&self.state.taken, self.most)?;
        let results = self.results.clone();
        Some(Flight { results, worker, came: Mirrored::Incomplete, _seat: seat })
    }
}

/// A request that is mirrored; it is counted when this is dropped.
pub(crate) struct Flight {
    results: Arc<Results>,
    worker: usize,
    /// The outcome so far.
    pub(crate) came: Mirrored,
    _seat: Seat,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.results.add(self.worker, self.came as usize);
    }
}

#[cfg(test)]
#[path = "mirror_tests.rs"]
mod tests;
