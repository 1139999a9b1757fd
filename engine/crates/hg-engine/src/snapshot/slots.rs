//! Names to slots: a name keeps its slot, and another name reuses the slot later.

use foldhash::{HashMap, HashMapExt as _};
use std::hash::Hash;

#[derive(Clone)]
pub(super) struct Slots<K> {
    by_key: HashMap<K, usize>,
    free: Vec<usize>,
    next: usize,
}

impl<K> Default for Slots<K> {
    fn default() -> Self {
        Self { by_key: HashMap::new(), free: Vec::new(), next: 0 }
    }
}

impl<K: Hash + Eq + Clone> Slots<K> {
    pub(super) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<usize>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.by_key.get(key).copied()
    }

    /// Returns the key's slot, and whether this call made it.
    pub(super) fn take(&mut self, key: &K) -> (usize, bool) {
        if let Some(&slot) = self.by_key.get(key) {
            return (slot, false);
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        });
        self.by_key.insert(key.clone(), slot);
        (slot, true)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn release(&mut self, key: &K) {
        if let Some(slot) = self.by_key.remove(key) {
            self.free.push(slot);
        }
    }
}
