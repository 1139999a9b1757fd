//! Items that wait to be sent, in parts that are each sent at once.

use crate::hand_over::Filled;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The time for which items are gathered, unless there are many.
const GATHER: Duration = Duration::from_millis(500);
/// Most bytes of items that are sent at once, unless one buffer has more: collectors refuse large
/// requests.
const PART_BYTES: usize = 512 * 1024;
/// Most bytes of items that wait beside those that are sent.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// The parts, the oldest first; only the last one may still grow.
pub(crate) struct Waiting {
    parts: VecDeque<Filled>,
    bytes: usize,
    /// The time at which the first of the items came.
    since: Instant,
}

impl Waiting {
    pub(crate) fn new(now: Instant) -> Self {
        Self { parts: VecDeque::new(), bytes: 0, since: now }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.bytes < MOST_BYTES
    }

    pub(crate) fn add(&mut self, filled: &Filled, now: Instant) {
        if self.parts.is_empty() {
            self.since = now;
        }
        self.bytes += filled.bytes.len();
        let fits = |part: &&mut Filled| part.bytes.len() + filled.bytes.len() <= PART_BYTES;
        if let Some(part) = self.parts.back_mut().filter(fits) {
            part.bytes.extend_from_slice(&filled.bytes);
            part.items += filled.items;
        } else {
            self.parts.push_back(Filled { bytes: filled.bytes.clone(), items: filled.items });
        }
    }

    /// Returns how long the items are gathered further; `None` if there are none.
    pub(crate) fn rest(&self, now: Instant) -> Option<Duration> {
        match self.parts.len() {
            0 => None,
            1 => Some((self.since + GATHER).saturating_duration_since(now)),
            _ => Some(Duration::ZERO),
        }
    }

    /// Takes the part that is sent next.
    pub(crate) fn pop(&mut self) -> Option<Filled> {
        let part = self.parts.pop_front()?;
        self.bytes -= part.bytes.len();
        Some(part)
    }
}

#[cfg(test)]
#[path = "waiting_tests.rs"]
mod tests;
