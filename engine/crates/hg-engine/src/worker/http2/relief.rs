//! The memory that a worker holds for clients that do not take their answers, and the connections
//! that it closes when that is too much.

use super::{FAIR_SHARE, SLACK, STREAM_READ_LEAST, WORKER_ENDURES, WORKER_HOLDS};
use crate::worker::Worker;
use crate::worker::buffers::BufferPool;
use hg_h2::{Close, Code, Reason};

/// A client that has not taken [`PROGRESS`] bytes of what is held for it in this time has stalled.
const STALLED_US: u64 = 5_000_000;
const PROGRESS: usize = STREAM_READ_LEAST;

/// The data of answers that a connection holds because its session has not taken it.
#[derive(Default)]
pub(crate) struct Holding {
    /// Memory: that of a part counts whole until its last byte is taken.
    pub(crate) bytes: usize,
    /// Bytes of answers that the client has taken since `since_us`.
    pub(crate) taken: usize,
    /// The time at which it began to hold any, or the client had last taken [`PROGRESS`] bytes.
    pub(crate) since_us: u64,
}

impl Holding {
    /// Notes that one stream holds more, or less, than before.
    pub(crate) fn note(
        &mut self,
        pool: &mut BufferPool,
        (before, after): (usize, usize),
        now_us: u64,
    ) {
        if self.bytes == 0 {
            (self.taken, self.since_us) = (0, now_us);
        }
        self.bytes = (self.bytes + after).saturating_sub(before);
        pool.pending = (pool.pending + after).saturating_sub(before);
    }

    /// Notes that the client had room for so many of the bytes.
    pub(super) fn note_taken(&mut self, bytes: usize, now_us: u64) {
        self.taken += bytes;
        if self.taken >= PROGRESS {
            (self.taken, self.since_us) = (0, now_us);
        }
    }

    fn has_stalled(&self, now_us: u64) -> bool {
        now_us.saturating_sub(self.since_us) >= STALLED_US
    }
}

/// A connection that may be closed; the greatest is closed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    has_stalled: bool,
    bytes: usize,
    ci: usize,
    generation: u32,
}

impl Candidate {
    /// Returns how much the clients of a worker may hold before it is closed.
    fn bound(self) -> usize {
        match self.has_stalled || self.bytes > FAIR_SHARE {
            true => WORKER_HOLDS,
            false => WORKER_ENDURES,
        }
    }
}

impl Worker {
    /// Closes connections whose clients do not take their answers while the worker holds too much
    /// for them. It looks at all of them at most once for each [`SLACK`] that they hold more, and
    /// when the house is kept.
    pub(crate) fn relieve(&mut self) {
        let pending = self.io.pool.pending;
        if pending <= WORKER_HOLDS.max(self.io.pool.endured) {
            return;
        }
        let mut all = self.candidates(pending);
        all.sort_unstable();
        while let Some(one) = all.pop() {
            if self.io.pool.pending <= one.bound() - SLACK {
                break;
            }
            if self.clients.get(one.ci).is_some_and(|c| c.generation == one.generation) {
                let (code, reason) = (Code::ENHANCE_YOUR_CALM, Reason::StalledStreams);
                self.http2_failed(one.ci, Close { code, reason });
            }
        }
        self.io.pool.endured = self.io.pool.pending.saturating_add(SLACK).min(WORKER_ENDURES);
    }

    /// Returns the connections that may be closed while so much is held.
    fn candidates(&self, pending: usize) -> Vec<Candidate> {
        let now_us = self.now_us;
        let all = self.clients.iter().filter_map(|(ci, c)| {
            let held = &c.http2.as_deref()?.held;
            let (has_stalled, bytes) = (held.has_stalled(now_us), held.bytes);
            Some(Candidate { has_stalled, bytes, ci, generation: c.generation })
        });
        all.filter(|one| one.bytes > 0 && pending > one.bound()).collect()
    }
}

#[cfg(test)]
mod tests;
