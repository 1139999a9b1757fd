//! Debts of many keys in a table that never grows.
//!
//! A slot is one word: a tag of 24 bits and the low 40 bits of the time at which its key owes nothing
//! any more. A slot whose time is past says what an empty one says, so giving it to another key loses
//! nothing. Only if all eight slots of a bucket are owed to does a new key take the one that owes
//! least; that is counted, since the key that had it starts anew.
//!
//! Two keys of one bucket share their count if their tags are equal: one pair in 16 million. Workers that meet a new key in the same moment may admit one request more each.

use crate::bucket::{Bucket, Buckets};
use crate::rate::{MOST_OWED, decide, put};
use crate::{Key, Rate, Verdict};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bits of a time in a slot.
const TIME_BITS: u32 = 40;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
/// Times of slots turn over after four eras. Before that, everything that is past is cleared.
const ERA_BITS: u32 = TIME_BITS - 2;
/// No key owes more: a time further ahead is one of an earlier turn.
const MOST_DEBT: u64 = 1 << ERA_BITS;
const _: () = assert!(MOST_OWED <= MOST_DEBT);
/// Buckets that one check clears in a new era: what 64 cache lines cost.
const CLEARED_AT_ONCE: usize = 64;

/// The debts of keys under one rate, shared by all workers. Its size is what it was made with: 8 bytes
/// a key.
#[derive(Debug)]
pub struct Table {
    rate: Rate,
    buckets: Buckets,
    /// The era of the last check, and above it how many buckets were cleared in it.
    progress: AtomicU64,
    evictions: AtomicU64,
}

impl Table {
    /// Makes a table with room for at least `keys` keys in debt (rounded up to a power of two, 8 to
    /// 2^27) at this time of the clock that checks use.
    pub fn new(rate: Rate, keys: usize, now_us: u64) -> Self {
        let buckets = Buckets::new(keys);
        let progress = AtomicU64::new(done(rate.units(now_us) >> ERA_BITS, buckets.len()));
        Self { rate, buckets, progress, evictions: AtomicU64::new(0) }
    }

    /// Returns the rate.
    pub fn rate(&self) -> &Rate {
        &self.rate
    }

    /// Returns how many keys have room.
    pub fn keys(&self) -> usize {
        self.buckets.slots()
    }

    /// Returns how many keys lost their debt to another one because their bucket was full of keys in
    /// debt. Anything but a few says that the table is too small, or under attack.
    pub fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    /// Counts a request of this cost, if it is within the rate and the burst. A cost above the burst
    /// never is. Bursts above [`crate::MAX_BURST`] count as that.
    #[inline]
    pub fn check(&self, key: Key, now_us: u64, cost: u32, burst: u32) -> Verdict {
        self.change(key, now_us, |debt| decide(debt, cost, burst))
    }

    /// Puts bytes on the account of a key, whatever it owes already. [`Rate::wait_us`] of the verdict
    /// says how long they have to wait until no more than the burst is owed.
    pub fn owe(&self, key: Key, now_us: u64, bytes: u64, burst: u64) -> Verdict {
        self.change(key, now_us, |debt| put(debt, bytes, burst))
    }

    /// Takes bytes that were not used off the account of a key.
    pub fn pay(&self, key: Key, now_us: u64, bytes: u64) {
        let now = self.rate.units(now_us);
        let tag = (key.0 >> TIME_BITS).max(1) << TIME_BITS;
        let less = |word: u64| {
            let owed = debt(word, now);
            let left = now.wrapping_add(owed.saturating_sub(bytes)) & TIME_MASK;
            (word & !TIME_MASK == tag && owed > 0).then_some(tag | left)
        };
        let slots = self.buckets.of(key).1.into_iter().flat_map(|bucket| &bucket.0);
        for slot in slots {
            if slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
                return;
            }
        }
    }

    #[inline]
    fn change(&self, key: Key, now_us: u64, decide: impl Fn(u64) -> Verdict) -> Verdict {
        let now = self.rate.units(now_us);
        let (index, bucket) = self.buckets.of(key);
        if self.progress.load(Ordering::Relaxed) != done(now >> ERA_BITS, self.buckets.len()) {
            self.clear(now);
        }
        let tag = (key.0 >> TIME_BITS).max(1) << TIME_BITS;
        loop {
            let verdict = bucket.map(|bucket| take(bucket, tag, now, &decide));
            match verdict {
                Some(Try::Known(verdict)) => return verdict,
                Some(Try::Claimed { verdict, slot, word, evicted }) => {
                    if evicted {
                        self.evictions.fetch_add(1, Ordering::Relaxed);
                    }
                    if self.is_second(index, slot, word) {
                        continue;
                    }
                    return Verdict { evicted, ..verdict };
                }
                Some(Try::Lost) => {}
                // No key is without a bucket.
                None => return decide(0),
            }
        }
    }

    /// Has a key owe at least what takes so long to earn; one that owes more stays as it is.
    pub fn raise(&self, key: Key, now_us: u64, ahead_us: u64) {
        let now = self.rate.units(now_us);
        let debt = self.rate.units(ahead_us).min(MOST_DEBT);
        let least = Verdict { allowed: true, evicted: false, debt, most: debt, lacks: 0 };
        let tag = (key.0 >> TIME_BITS).max(1) << TIME_BITS;
        let (index, Some(bucket)) = self.buckets.of(key) else { return };
        loop {
            match raise(bucket, tag, now, least) {
                Try::Known(_) => return,
                Try::Claimed { slot, word, evicted, .. } => {
                    if evicted {
                        self.evictions.fetch_add(1, Ordering::Relaxed);
                    }
                    if !self.is_second(index, slot, word) {
                        return;
                    }
                }
                Try::Lost => {}
            }
        }
    }

    /// Returns what a check would, and counts nothing.
    pub fn peek(&self, key: Key, now_us: u64, cost: u32, burst: u32) -> Verdict {
        let now = self.rate.units(now_us);
        let tag = (key.0 >> TIME_BITS).max(1) << TIME_BITS;
        let words = self.buckets.of(key).1.into_iter().flat_map(|bucket| &bucket.0);
        let found = words.map(|w| w.load(Ordering::Relaxed)).find(|w| w & !TIME_MASK == tag);
        decide(found.map_or(0, |word| debt(word, now)), cost, burst)
    }

    /// Returns how many keys owe something: for tests and status pages, a pass over the table.
    pub fn owing(&self, now_us: u64) -> usize {
        let now = self.rate.units(now_us);
        let words = self.buckets.range(0, self.buckets.len());
        words.filter(|word| debt(word.load(Ordering::Relaxed), now) > 0).count()
    }

    /// Reports whether a slot before this one has the same tag, because another worker claimed one for
    /// the same key in the same moment; ours is then given up.
    fn is_second(&self, bucket: usize, slot: usize, word: u64) -> bool {
        let has_tag =
            |other: &AtomicU64| other.load(Ordering::SeqCst) & !TIME_MASK == word & !TIME_MASK;
        let mut before = (0..slot).filter_map(|other| self.buckets.slot(bucket, other));
        let Some(ours) = self.buckets.slot(bucket, slot) else { return false };
        before.any(has_tag)
            && ours.compare_exchange(word, 0, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// Clears what is past, some buckets at a time, once in an era; all that is left of it if an era
    /// ends before that. What is cleared says nothing, and a slot that changed meanwhile stays.
    #[cold]
    fn clear(&self, now: u64) {
        let seen = self.progress.load(Ordering::Relaxed);
        let (era, cleared) = (seen & ERA_MASK, (seen >> ERA_SHIFT) as usize);
        let this = (now >> ERA_BITS) & ERA_MASK;
        let len = self.buckets.len();
        // Eras count up and turn over; a worker whose clock is behind the others' changes nothing.
        let ahead = this.wrapping_sub(era) & ERA_MASK;
        if ahead > ERA_MASK / 2 {
            return;
        }
        let idle = ahead > 1;
        let (from, count, next) = match ahead {
            0 => (cleared, CLEARED_AT_ONCE, progress(this, (cleared + CLEARED_AT_ONCE).min(len))),
            1 if cleared == len => (0, CLEARED_AT_ONCE, progress(this, CLEARED_AT_ONCE.min(len))),
            _ => (0, len, done(this, len)),
        };
        if self.progress.compare_exchange(seen, next, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        for slot in self.buckets.range(from, count) {
            let word = slot.load(Ordering::Relaxed);
            if word != 0 && (idle || debt(word, now) == 0) {
                // Another worker may have used it since: then it stays.
                let _ = slot.compare_exchange(word, 0, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
    }
}

/// Bits of an era in the word of the progress; the rest counts buckets.
const ERA_SHIFT: u32 = 32;
const ERA_MASK: u64 = (1 << ERA_SHIFT) - 1;

#[inline]
fn progress(era: u64, cleared: usize) -> u64 {
    era & ERA_MASK | (cleared as u64) << ERA_SHIFT
}

/// Returns the progress of an era in which all is cleared.
#[inline]
fn done(era: u64, buckets: usize) -> u64 {
    progress(era, buckets)
}

/// Returns what the key of a slot owes; 0 if its time is past.
#[inline]
fn debt(word: u64, now: u64) -> u64 {
    let ahead = word.wrapping_sub(now) & TIME_MASK;
    if word == 0 || ahead > MOST_DEBT { 0 } else { ahead }
}

/// The result of one look at a bucket.
enum Try {
    /// The key has a slot, and its debt was changed or is too great.
    Known(Verdict),
    /// The key got a slot of this number, which now has this word.
    Claimed { verdict: Verdict, slot: usize, word: u64, evicted: bool },
    /// Another worker changed the slot first.
    Lost,
}

#[inline]
fn take(bucket: &Bucket, tag: u64, now: u64, decide: impl Fn(u64) -> Verdict) -> Try {
    for slot in &bucket.0 {
        let word = slot.load(Ordering::Relaxed);
        if word & !TIME_MASK == tag {
            let verdict = decide(debt(word, now));
            if !verdict.allowed || replace(slot, word, tag, now, &verdict).is_some() {
                return Try::Known(verdict);
            }
            return Try::Lost;
        }
    }
    let verdict = decide(0);
    if verdict.allowed { claim(bucket, tag, now, verdict) } else { Try::Known(verdict) }
}

fn raise(bucket: &Bucket, tag: u64, now: u64, least: Verdict) -> Try {
    for slot in &bucket.0 {
        let word = slot.load(Ordering::Relaxed);
        if word & !TIME_MASK == tag {
            let is_there = debt(word, now) >= least.debt;
            if is_there || replace(slot, word, tag, now, &least).is_some() {
                return Try::Known(least);
            }
            return Try::Lost;
        }
    }
    if least.debt > 0 { claim(bucket, tag, now, least) } else { Try::Known(least) }
}

/// Takes the first slot that says nothing, or else the one that says least.
fn claim(bucket: &Bucket, tag: u64, now: u64, verdict: Verdict) -> Try {
    let words = bucket.0.iter().map(|slot| slot.load(Ordering::Relaxed));
    let least = words.enumerate().min_by_key(|(_, word)| debt(*word, now));
    let Some((number, word)) = least else { return Try::Known(verdict) };
    let slot = bucket.0.get(number);
    match slot.and_then(|slot| replace(slot, word, tag, now, &verdict)) {
        Some(new) => {
            Try::Claimed { verdict, slot: number, word: new, evicted: debt(word, now) > 0 }
        }
        None => Try::Lost,
    }
}

/// Writes the debt that a verdict leaves, unless the slot changed.
#[inline]
fn replace(slot: &AtomicU64, old: u64, tag: u64, now: u64, verdict: &Verdict) -> Option<u64> {
    let word = tag | now.wrapping_add(verdict.debt) & TIME_MASK;
    slot.compare_exchange(old, word, Ordering::SeqCst, Ordering::Relaxed).ok().map(|_| word)
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
