//! Memory that a worker keeps between look-ups, so that none of them allocates or locks.

use crate::automaton::Caches;
use crate::paths::Ends;

/// A worker's memory for look-ups: lazily built regex states, and small buffers. Limited to 64 MiB
/// and 64 automata, however many routers use it; most configs need none of it.
#[derive(Default)]
pub struct Scratch {
    pub(crate) tools: Tools,
    /// Ends of the path's segments.
    pub(crate) ends: Ends,
    /// Groups of regexes whose literal prefix begins the path.
    pub(crate) groups: Vec<u32>,
    /// Patterns of one group that match the path.
    pub(crate) patterns: Vec<u32>,
}

/// Memory that conditions need.
#[derive(Default)]
pub(crate) struct Tools {
    pub(crate) caches: Caches,
    /// The value under test.
    pub(crate) value: Vec<u8>,
}

impl Scratch {
    /// Makes an empty scratch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Frees what belongs to routers that are gone. Call it after a worker took a new snapshot;
    /// without the call the memory is freed when something else needs it.
    pub fn trim(&mut self) {
        self.tools.caches.trim();
    }

    /// Returns the bytes of regex states that it holds.
    pub fn memory_bytes(&self) -> usize {
        self.tools.caches.memory_bytes()
    }
}
