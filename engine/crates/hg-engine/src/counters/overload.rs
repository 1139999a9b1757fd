//! The degree of a worker's overload, and what it refuses for that.

use super::Counter;
use hg_resilience::Level;

/// The counters of the work that a worker refuses because there is too much to do.
#[derive(Debug, Default)]
pub(crate) struct OverloadCounters {
    /// The level now of requests that wait, and of turns; by number.
    queue: Counter,
    lag: Counter,
    /// Requests that were refused, by the number of the level.
    shed: [Counter; Level::ALL.len()],
    /// The number of times that new connections were left in the kernel's queue.
    pub(crate) pauses: Counter,
}

impl OverloadCounters {
    pub(crate) fn set(&self, (queue, lag): (Level, Level)) {
        self.queue.set(queue.number().into());
        self.lag.set(lag.number().into());
    }

    /// Returns the levels of requests that wait, and of turns.
    pub(crate) fn levels(&self) -> [u64; 2] {
        [self.queue.get(), self.lag.get()]
    }

    pub(crate) fn shed(&self, level: Level) {
        if let Some(c) = self.shed.get(usize::from(level.number())) {
            c.add(1);
        }
    }

    pub(crate) fn shed_at(&self, level: Level) -> u64 {
        self.shed.get(usize::from(level.number())).map_or(0, Counter::get)
    }
}
