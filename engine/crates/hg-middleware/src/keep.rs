//! The state of steps beyond one snapshot, by kind and key, and counts of results.

use crate::notices::Notices;
use hg_limit::Desk;
use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

type Key = (&'static str, Box<str>, TypeId);
/// Name and kind of a middleware.
type ResultsKey = (Box<str>, &'static str);

/// The state of all steps of a process. The same kind and key give the same object in the next
/// snapshot and in all workers; it is freed with the last snapshot that uses it.
#[derive(Debug, Default)]
pub struct Keep {
    workers: usize,
    kept: Mutex<HashMap<Key, Weak<dyn Any + Send + Sync>>>,
    results: Mutex<BTreeMap<ResultsKey, Weak<Results>>>,
    desk: Arc<Desk>,
    notices: Arc<Notices>,
}

/// The count of one result of a middleware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultCount {
    /// Its name; empty for all that are written where they are used.
    pub middleware: String,
    /// Its kind.
    pub kind: &'static str,
    /// A word from the closed list of the kind.
    pub result: &'static str,
    /// The number of times.
    pub count: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Keep {
    /// Makes an empty one for so many workers.
    pub fn new(workers: usize) -> Self {
        Self { workers, ..Self::default() }
    }

    /// Returns where limits that several nodes share leave what they admitted.
    pub fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Returns what steps have to tell whoever watches the node.
    pub fn notices(&self) -> &Arc<Notices> {
        &self.notices
    }

    /// Returns the object of a kind and a key; makes it if there is none.
    pub fn get<T: Any + Send + Sync>(
        &self,
        kind: &'static str,
        key: &str,
        make: impl FnOnce() -> T,
    ) -> Arc<T> {
        let mut kept = lock(&self.kept);
        let key: Key = (kind, key.into(), TypeId::of::<T>());
        let there = kept.get(&key).and_then(Weak::upgrade);
        if let Some(found) = there.and_then(|found| found.downcast::<T>().ok()) {
            return found;
        }
        if kept.len() == kept.capacity() {
            kept.retain(|_, one| one.strong_count() > 0);
        }
        let made = Arc::new(make());
        let any: Arc<dyn Any + Send + Sync> = made.clone();
        kept.insert(key, Arc::downgrade(&any));
        made
    }

    /// Returns the counts of a kind, for the middleware, or other object, of that name.
    pub fn results_of(
        &self,
        middleware: &str,
        kind: &'static str,
        names: &'static [&'static str],
    ) -> Arc<Results> {
        let mut results = lock(&self.results);
        let key = (Box::from(middleware), kind);
        if let Some(found) = results.get(&key).and_then(Weak::upgrade) {
            return found;
        }
        if results.len().is_power_of_two() {
            results.retain(|_, one| one.strong_count() > 0);
        }
        let cells = (0..self.workers.max(1)).map(|_| Cells::default()).collect();
        let made = Arc::new(Results { names, cells });
        results.insert(key, Arc::downgrade(&made));
        made
    }

    /// Returns every count, in the order of name and kind.
    pub fn results(&self) -> Vec<ResultCount> {
        let results = lock(&self.results);
        let live = results.iter().filter_map(|(key, one)| Some((key, one.upgrade()?)));
        live.flat_map(|((middleware, kind), one)| {
            let middleware = middleware.to_string();
            let counts =
                one.names.iter().enumerate().map(|(index, result)| (*result, one.sum(index)));
            counts
                .map(|(result, count)| ResultCount {
                    middleware: middleware.clone(),
                    kind,
                    result,
                    count,
                })
                .collect::<Vec<_>>()
        })
        .collect()
    }
}

/// The number of a worker that does not exist, for questions that are not counted.
pub const NOBODY: usize = usize::MAX;

/// Most results that a kind may have.
const MOST: usize = 8;

/// The counts of one worker, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Cells([AtomicU64; MOST]);

/// Counts of what came of a middleware, by an index into the `RESULTS` of its kind.
#[derive(Debug)]
pub struct Results {
    names: &'static [&'static str],
    cells: Box<[Cells]>,
}

impl Results {
    /// Counts one; `worker` is the number of the worker that counts, or [`NOBODY`].
    pub fn add(&self, worker: usize, index: usize) {
        self.add_many(worker, index, 1);
    }

    /// Counts so many, for the worker of that number.
    pub fn add_many(&self, worker: usize, index: usize, many: u64) {
        if worker == NOBODY {
            return;
        }
        let cells = self.cells.get(worker % self.cells.len());
        if let Some(cell) = cells.and_then(|cells| cells.0.get(index)) {
            cell.fetch_add(many, Relaxed);
        }
    }

    fn sum(&self, index: usize) -> u64 {
        let of = |cells: &Cells| cells.0.get(index).map_or(0, |cell| cell.load(Relaxed));
        self.cells.iter().map(of).sum()
    }
}

#[cfg(test)]
#[path = "keep_tests.rs"]
mod tests;
