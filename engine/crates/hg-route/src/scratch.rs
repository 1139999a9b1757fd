//! What a worker keeps between look-ups, so that none of them allocates or locks.

use crate::automaton::Caches;
use crate::paths::Ends;

/// A worker's memory for look-ups: lazily built regex states, and small buffers. Bounded: 64 MiB
/// and 64 automata, however many routers it is used with; most configs need none of it.
#[derive(Default)]
pub struct Scratch {
    pub(crate) tools: Tools,
    /// Where segments of the path end.
    pub(crate) ends: Ends,
    /// Groups of regexes whose literal prefix begins the path.
    pub(crate) groups: Vec<u32>,
    /// Patterns of one group that match the path.
    pub(crate) patterns: Vec<u32>,
}

/// What conditions need.
#[derive(Default)]
pub(crate) struct Tools {
    pub(crate) caches: Caches,
    /// The value under test.
    pub(crate) value: Vec<u8>,
}

impl Scratch {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives back what belongs to routers that are gone. For the moment after a worker took a new
    /// snapshot; without it the memory is given back when it is needed for something else.
    pub fn trim(&mut self) {
        self.tools.caches.trim();
    }

    /// Bytes of regex states held.
    pub fn memory_bytes(&self) -> usize {
        self.tools.caches.memory_bytes()
    }
}
