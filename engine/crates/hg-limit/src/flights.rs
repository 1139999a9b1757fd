//! Requests in flight by key, in a table that never grows.
//!
//! A slot is one word: a tag of 40 bits and a count of 24. A slot is its key's as long as it counts
//! something, so nothing is ever evicted. If all eight slots of a bucket count something, a further
//! key is refused, and that is counted: a table with room for four times the requests that can be in
//! flight at once practically never does.

use crate::Key;
use crate::bucket::{Bucket, Buckets};
use std::sync::atomic::{AtomicU64, Ordering};

const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// The number of requests in flight for each key, shared by all workers.
#[derive(Debug)]
pub struct Flights {
    buckets: Buckets,
    crowded: AtomicU64,
}

/// The place of one request in flight, to be given back with [`Flights::end`].
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Permit {
    bucket: u32,
    slot: u8,
}

/// The reason why a request may not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its key has as many in flight as it may.
    Full,
    /// The table has no room for its key.
    Crowded,
}

impl Flights {
    /// Makes a table with room for at least `keys` keys with requests in flight (rounded up to a power
    /// of two, 8 to 2^27).
    pub fn new(keys: usize) -> Self {
        Self { buckets: Buckets::new(keys), crowded: AtomicU64::new(0) }
    }

    /// Returns how many keys have room.
    pub fn keys(&self) -> usize {
        self.buckets.slots()
    }

    /// Returns how many requests were refused because the table had no room for their key.
    pub fn crowded(&self) -> u64 {
        self.crowded.load(Ordering::Relaxed)
    }

    /// Counts a request of a key that may have `most` in flight (at most 2^24 - 1).
    ///
    /// # Errors
    /// Says why it may not begin; nothing is counted then.
    #[inline]
    pub fn begin(&self, key: Key, most: u32) -> Result<Permit, Refusal> {
        let tag = (key.0 >> COUNT_BITS).max(1) << COUNT_BITS;
        let most = u64::from(most).min(COUNT_MASK);
        let (index, bucket) = self.buckets.of(key);
        let Some(bucket) = bucket else { return Err(Refusal::Crowded) };
        loop {
            match take(bucket, tag, most) {
                Try::Counted(slot, first) => {
                    if first && is_second(bucket, slot, tag) {
                        continue;
                    }
                    let bucket = u32::try_from(index).unwrap_or(u32::MAX);
                    return Ok(Permit { bucket, slot: u8::try_from(slot).unwrap_or(u8::MAX) });
                }
                Try::Full => return Err(Refusal::Full),
                Try::Crowded => {
                    self.crowded.fetch_add(1, Ordering::Relaxed);
                    return Err(Refusal::Crowded);
                }
                Try::Lost => {}
            }
        }
    }

    /// Counts a request as ended.
    #[inline]
    pub fn end(&self, permit: Permit) {
        let Some(slot) = self.buckets.slot(permit.bucket as usize, permit.slot.into()) else {
            return;
        };
        let fewer = |word: u64| Some(if word & COUNT_MASK <= 1 { 0 } else { word - 1 });
        let _ = slot.fetch_update(Ordering::SeqCst, Ordering::Relaxed, fewer);
    }

    /// Returns how many requests of a key are in flight.
    pub fn in_flight(&self, key: Key) -> u32 {
        let tag = (key.0 >> COUNT_BITS).max(1) << COUNT_BITS;
        let words = self.buckets.of(key).1.into_iter().flat_map(|bucket| &bucket.0);
        let mut words = words.map(|word| word.load(Ordering::Relaxed));
        words.find(|word| word & !COUNT_MASK == tag).map_or(0, |word| (word & COUNT_MASK) as u32)
    }

    /// Returns how many requests are in flight, and of how many keys: a pass over the table.
    pub fn total(&self) -> (u64, usize) {
        let words = self.buckets.range(0, self.buckets.len());
        let counts = words.map(|word| word.load(Ordering::Relaxed) & COUNT_MASK);
        counts.filter(|count| *count > 0).fold((0, 0), |(sum, keys), n| (sum + n, keys + 1))
    }
}

enum Try {
    /// Counted in this slot, and whether it is the first of its key there.
    Counted(usize, bool),
    Full,
    Crowded,
    /// Another worker changed the slot first.
    Lost,
}

#[inline]
fn take(bucket: &Bucket, tag: u64, most: u64) -> Try {
    let mut empty = None;
    for (number, slot) in bucket.0.iter().enumerate() {
        let word = slot.load(Ordering::Relaxed);
        if word & !COUNT_MASK == tag {
            if word & COUNT_MASK >= most {
                return Try::Full;
            }
            return claim(slot, word, word + 1, number, false);
        }
        if word == 0 && empty.is_none() {
            empty = Some((number, slot));
        }
    }
    match empty {
        _ if most == 0 => Try::Full,
        Some((number, slot)) => claim(slot, 0, tag | 1, number, true),
        None => Try::Crowded,
    }
}

#[inline]
fn claim(slot: &AtomicU64, old: u64, new: u64, number: usize, first: bool) -> Try {
    match slot.compare_exchange(old, new, Ordering::SeqCst, Ordering::Relaxed) {
        Ok(_) => Try::Counted(number, first),
        Err(_) => Try::Lost,
    }
}

/// Reports whether a slot before this one has the same tag, because another worker began the key in
/// the same moment; ours is then given up, unless somebody counted on it already.
fn is_second(bucket: &Bucket, slot: usize, tag: u64) -> bool {
    let has_tag = |other: &AtomicU64| other.load(Ordering::SeqCst) & !COUNT_MASK == tag;
    let Some(ours) = bucket.0.get(slot) else { return false };
    bucket.0.iter().take(slot).any(has_tag)
        && ours.compare_exchange(tag | 1, 0, Ordering::SeqCst, Ordering::Relaxed).is_ok()
}

#[cfg(test)]
#[path = "flights_tests.rs"]
mod tests;
