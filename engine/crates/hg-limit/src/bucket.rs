//! A cache line of slots, and where keys have theirs.

use crate::Key;
use std::sync::atomic::AtomicU64;

/// Slots in a bucket.
pub(crate) const SLOTS: usize = 8;

/// Slots that share a cache line; a slot of 0 is empty.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Bucket(pub(crate) [AtomicU64; SLOTS]);

/// Buckets, a power of two of them; their number never changes.
#[derive(Debug)]
pub(crate) struct Buckets(Box<[Bucket]>);

impl Buckets {
    /// Makes buckets with at least this many slots (8 to 2^27).
    pub(crate) fn new(slots: usize) -> Self {
        let buckets = slots.clamp(SLOTS, 1 << 27).div_ceil(SLOTS).next_power_of_two();
        Self((0..buckets).map(|_| Bucket::default()).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn slots(&self) -> usize {
        self.0.len() * SLOTS
    }

    /// Returns the bucket of a key and its number. The number comes from the low bits of the hash,
    /// tags from the high ones, so that a tag tells apart what shares a bucket.
    #[inline]
    pub(crate) fn of(&self, key: Key) -> (usize, Option<&Bucket>) {
        let index = key.0 as usize & (self.0.len() - 1);
        (index, self.0.get(index))
    }

    pub(crate) fn slot(&self, bucket: usize, slot: usize) -> Option<&AtomicU64> {
        self.0.get(bucket)?.0.get(slot)
    }

    /// Returns some buckets; fewer at the end.
    pub(crate) fn range(&self, from: usize, count: usize) -> impl Iterator<Item = &AtomicU64> {
        self.0.iter().skip(from).take(count).flat_map(|bucket| bucket.0.iter())
    }
}
