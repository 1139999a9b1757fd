//! The debt of a limit that counts all requests together.

use crate::rate::{decide, put};
use crate::{Rate, Verdict};
use std::sync::atomic::{AtomicU64, Ordering};

/// One debt, shared by all workers.
#[derive(Debug)]
#[repr(align(64))]
pub struct Cell {
    /// The time at which nothing is owed any more, in units of the rate.
    free: AtomicU64,
    rate: Rate,
}

impl Cell {
    /// Makes a cell that owes nothing.
    pub fn new(rate: Rate) -> Self {
        Self { free: AtomicU64::new(0), rate }
    }

    /// Returns the rate.
    pub fn rate(&self) -> &Rate {
        &self.rate
    }

    /// Counts a request of this cost, if it is within the rate and the burst.
    #[inline]
    pub fn check(&self, now_us: u64, cost: u32, burst: u32) -> Verdict {
        self.change(now_us, |debt| decide(debt, cost, burst))
    }

    /// Puts bytes on the account, whatever it owes already. [`Rate::wait_us`] of the verdict says how
    /// long they have to wait until no more than the burst is owed.
    pub fn owe(&self, now_us: u64, bytes: u64, burst: u64) -> Verdict {
        self.change(now_us, |debt| put(debt, bytes, burst))
    }

    /// Takes bytes that were not used off the account.
    pub fn pay(&self, now_us: u64, bytes: u64) {
        let now = self.rate.units(now_us);
        let less = |free: u64| {
            let debt = free.saturating_sub(now);
            (debt > 0).then(|| free - debt.min(bytes))
        };
        let _ = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Returns how long it takes until nothing is owed any more, in microseconds.
    pub fn owed_us(&self, now_us: u64) -> u64 {
        let free = self.free.load(Ordering::Relaxed);
        self.rate.micros(free.saturating_sub(self.rate.units(now_us)))
    }

    #[inline]
    fn change(&self, now_us: u64, decide: impl Fn(u64) -> Verdict) -> Verdict {
        let now = self.rate.units(now_us);
        let mut free = self.free.load(Ordering::Relaxed);
        loop {
            let verdict = decide(free.saturating_sub(now));
            if !verdict.allowed {
                return verdict;
            }
            let next = now.saturating_add(verdict.debt);
            match self.free.compare_exchange_weak(free, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return verdict,
                Err(changed) => free = changed,
            }
        }
    }

    /// Returns what a check would, and counts nothing.
    pub fn peek(&self, now_us: u64, cost: u32, burst: u32) -> Verdict {
        let free = self.free.load(Ordering::Relaxed);
        decide(free.saturating_sub(self.rate.units(now_us)), cost, burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_one_request_for_each_that_is_earned() {
        let cell = Cell::new(Rate::new(10, 1_000_000));
        assert_eq!((0..5).filter(|_| cell.check(7, 1, 3).allowed).count(), 3);
        assert!(!cell.peek(99_000, 1, 3).allowed);
        assert!(cell.peek(100_007, 1, 3).allowed);
        assert!(cell.check(100_007, 1, 3).allowed);
        assert!(!cell.check(100_007, 1, 3).allowed);
    }

    #[test]
    fn bytes_beyond_the_burst_wait_one_after_the_other() {
        let rate = Rate::bytes(1_000_000);
        let cell = Cell::new(rate);
        let waits = |bytes| rate.wait_us(&cell.owe(0, bytes, 100_000));
        assert_eq!([waits(100_000), waits(50_000), waits(50_000)], [0, 50_000, 100_000]);
        cell.pay(0, 50_000);
        assert_eq!(waits(10_000), 60_000);
        // What is paid too much is no credit.
        cell.pay(0, 10_000_000);
        assert_eq!([waits(100_000), waits(1)], [0, 1]);
    }

    #[test]
    fn a_debt_is_over_once_its_bytes_are_earned() {
        let cell = Cell::new(Rate::bytes(1_000_000));
        assert_eq!(cell.owed_us(0), 0);
        cell.owe(0, 50_000, 100_000);
        assert_eq!([0, 20_000, 50_000, 60_000].map(|us| cell.owed_us(us)), [50_000, 30_000, 0, 0]);
    }

    #[test]
    fn workers_admit_together_what_one_would() {
        let cell = Cell::new(Rate::new(1, 1_000_000));
        let admitted = || (0..1000).filter(|_| cell.check(5, 1, 600).allowed).count();
        let sum: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(admitted)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(sum, 600);
    }
}
