//! The results of recent verifications, so that they need not be repeated.

use crate::sealed::Fingerprint;
use std::collections::HashMap;
use std::sync::{RwLock, TryLockError};

const SHARDS: usize = 16;

/// Results by fingerprint, for a while: bounded, and shared by threads that never wait for each
/// other. Whoever finds a part of it in use goes without: a reader verifies again, a writer leaves
/// its result out.
///
/// Each part has two halves of an age. When the young half is full it becomes the old one, and the
/// old one is forgotten: what was added stays for at least half of the capacity's additions.
#[derive(Debug)]
pub struct Verified<V> {
    shards: Box<[RwLock<Shard<V>>]>,
    half: usize,
}

#[derive(Debug)]
struct Shard<V> {
    young: HashMap<Fingerprint, Entry<V>>,
    old: HashMap<Fingerprint, Entry<V>>,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    /// The first moment at which it no longer counts, on the caller's clock.
    until: u64,
}

impl<V: Clone> Verified<V> {
    /// Makes an empty one for at most `capacity` results, rounded up to a multiple of 32.
    pub fn new(capacity: usize) -> Self {
        let shard = || RwLock::new(Shard { young: HashMap::new(), old: HashMap::new() });
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            half: capacity.div_ceil(SHARDS * 2).max(1),
        }
    }

    /// Returns a result that still counts at `now`.
    pub fn get(&self, of: &Fingerprint, now: u64) -> Option<V> {
        let shard = match self.shard(of)?.try_read() {
            Ok(shard) => shard,
            Err(TryLockError::Poisoned(shard)) => shard.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let entry = shard.young.get(of).or_else(|| shard.old.get(of))?;
        (now < entry.until).then(|| entry.value.clone())
    }

    /// Remembers a result until a moment.
    pub fn put(&self, of: Fingerprint, value: V, until: u64) {
        let Some(shard) = self.shard(&of) else { return };
        let mut shard = match shard.try_write() {
            Ok(shard) => shard,
            Err(TryLockError::Poisoned(shard)) => shard.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if shard.young.len() >= self.half && !shard.young.contains_key(&of) {
            shard.old = std::mem::take(&mut shard.young);
        }
        shard.young.insert(of, Entry { value, until });
    }

    /// Returns how many results it holds, those that no longer count among them.
    pub fn len(&self) -> usize {
        let count = |shard: &RwLock<Shard<V>>| {
            shard.try_read().map_or(0, |shard| shard.young.len() + shard.old.len())
        };
        self.shards.iter().map(count).sum()
    }

    /// Reports whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, of: &Fingerprint) -> Option<&RwLock<Shard<V>>> {
        self.shards.get(usize::from(of.0[0]) % SHARDS)
    }
}

#[cfg(test)]
#[path = "bounded_tests.rs"]
mod tests;
