//! Objects that left the plan. Requests in flight, connections and reports may still use them. Each
//! is kept until the last of those releases it; the thread that applies a plan or asks for events
//! then frees it, never a worker.

use crate::counters::{WorkerCounters, lock};
use crate::engine::Inner;
use crate::snapshot::{Builder, Snapshot};
use hg_plan::{Change, Kind};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Snapshots that were replaced, and the objects whose counters may have to be freed.
#[derive(Default)]
pub(crate) struct Retired {
    snapshots: Vec<Arc<Snapshot>>,
    upstreams: HashSet<Arc<str>>,
    listeners: HashSet<Arc<str>>,
}

impl Retired {
    /// Keeps `before`, which was replaced; the plan served now differs from it in `changed`.
    pub(crate) fn put(&mut self, before: Arc<Snapshot>, changed: &[Change]) {
        self.snapshots.push(before);
        for change in changed {
            match change.kind {
                Kind::Upstream => drop(self.upstreams.insert(change.name.clone())),
                Kind::Listener => drop(self.listeners.insert(change.name.clone())),
                _ => {}
            }
        }
    }

    /// Frees snapshots that nothing uses any more; reports whether there were any.
    fn free_snapshots(&mut self) -> bool {
        let before = self.snapshots.len();
        self.snapshots.retain(|s| Arc::strong_count(s) > 1);
        self.snapshots.len() < before
    }

    /// Frees counters of objects that are neither served nor in use.
    fn free_counters(&mut self, serving: &Snapshot, workers: &[&WorkerCounters]) {
        let pending = std::mem::take(&mut self.upstreams);
        if !pending.is_empty() {
            let entries = serving.upstreams.iter().flatten().filter(|u| pending.contains(&u.name));
            let served: HashMap<&str, _> = entries.map(|u| (&*u.name, &**u)).collect();
            // A request that began with a snapshot counts under that snapshot's upstream.
            let before = self.snapshots.iter().flat_map(|s| s.upstreams.iter().flatten());
            let in_flight: HashSet<&Arc<str>> =
                before.map(|u| &u.name).filter(|name| pending.contains(*name)).collect();
            let stays = |name: &Arc<str>| {
                let served = served.get(&**name).copied();
                // Every worker frees what it can, whatever the others still need.
                (served.is_none() && in_flight.contains(name))
                    || workers.iter().filter(|w| !w.tidy_upstream(name, served)).count() > 0
            };
            self.upstreams = pending.iter().filter(|name| stays(name)).cloned().collect();
        }
        let pending = std::mem::take(&mut self.listeners);
        if !pending.is_empty() {
            let entries = serving.listeners.iter().flatten();
            let served: HashSet<&Arc<str>> =
                entries.map(|l| &l.name).filter(|name| pending.contains(*name)).collect();
            let stays = |name: &Arc<str>| {
                !served.contains(name)
                    && workers.iter().filter(|w| !w.forget_listener(name)).count() > 0
            };
            self.listeners = pending.iter().filter(|name| stays(name)).cloned().collect();
        }
    }
}

impl Inner {
    /// Frees what nothing uses any more.
    pub(crate) fn sweep(&self, builder: &mut Builder) {
        let serving = lock(&self.serving).clone();
        let mut retired = lock(&self.retired);
        // The house thread lets go of entries after the workers do.
        let let_go = self.shared.house.take_let_go();
        if retired.free_snapshots() || let_go {
            builder.sweep();
        }
        let workers: Vec<&WorkerCounters> = self.workers.iter().map(|w| &*w.counters).collect();
        retired.free_counters(&serving, &workers);
    }
}

#[cfg(test)]
mod tests;
