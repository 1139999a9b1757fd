//! The speed of bodies (`bandwidth`): what each limit is owed, and when more bytes may pass.
//!
//! Bytes are put on the accounts of their limits before they pass, some at a time, and pass once no
//! more than the burst is owed. Bodies that share an account so have turns one after the other,
//! each at a separate time: none asks twice, and no two are woken for the same bytes.

use crate::keep::Results;
use crate::limit_state::{Kept, State};
use hg_limit::{Cell, Key, Rate};
use std::sync::Arc;

/// Fewest bytes that are put on an account at a time.
const LEAST: u64 = 1024;
/// Most bytes that are put on an account at a time.
const MOST: u64 = 64 * 1024;
/// Bytes of an answer read with its head, if fewer may pass: those beyond are owed.
const FIRST_READ: u64 = 4 * 1024;

/// The counted results of a limit's requests.
pub(crate) const RESULTS: &[&str] = &["passed", "held", "evicted"];
const PASSED: usize = 0;
const HELD: usize = 1;
const EVICTED: usize = 2;

/// The two directions of [`Counts::bytes`] and [`Counts::held_us`].
pub(crate) const DIRECTIONS: &[&str] = &["download", "upload"];

/// The kind under which the bytes of limits are counted, by direction.
pub const BANDWIDTH_BYTES: &str = "bandwidth.bytes";
/// The kind under which it is counted for how many microseconds bodies were held back.
pub const BANDWIDTH_HELD: &str = "bandwidth.held_us";

/// The counts of a limit, in one direction.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    pub(crate) results: Arc<Results>,
    pub(crate) bytes: Arc<Results>,
    pub(crate) held_us: Arc<Results>,
    /// The number of the worker.
    pub(crate) worker: usize,
    /// An index of [`DIRECTIONS`].
    pub(crate) direction: usize,
}

/// Bytes a second, and how many pass at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Speed {
    pub(crate) rate: Rate,
    burst: u64,
    /// The number of bytes put on the account at a time: those of a twentieth of a second.
    quantum: u64,
}

impl Speed {
    /// Makes a speed. The burst is at least what makes up for coarse timers: the bytes of 20 ms.
    pub(crate) fn new(per_s: u64, burst: u64) -> Self {
        let quantum = (per_s / 20).clamp(LEAST, MOST);
        Self { rate: Rate::bytes(per_s), burst: burst.max(quantum).max(per_s / 50), quantum }
    }
}

/// The account of what bodies owe.
#[derive(Debug)]
pub(crate) enum Account {
    /// Of one body.
    Own(Cell),
    /// Of the bodies of one client's connection.
    Connection(Arc<Cell>),
    /// Of all that share it.
    Shared(Arc<Kept>, Key),
}

/// One limit, as it applies to one body.
#[derive(Debug)]
pub(crate) struct Limit {
    pub(crate) speed: Speed,
    pub(crate) account: Account,
    pub(crate) counts: Option<Counts>,
    pub(crate) has_held: bool,
}

impl Limit {
    /// Puts bytes on the account; returns for how many microseconds they have to wait.
    fn owe(&self, now_us: u64, bytes: u64) -> u64 {
        let Speed { rate, burst, .. } = self.speed;
        let verdict = match &self.account {
            Account::Own(cell) => cell.owe(now_us, bytes, burst),
            Account::Connection(cell) => cell.owe(now_us, bytes, burst),
            Account::Shared(kept, key) => match kept.get() {
                Some(State::All(cell)) => cell.owe(now_us, bytes, burst),
                Some(State::Keys(table, _)) => table.owe(*key, now_us, bytes, burst),
                None => return 0,
            },
        };
        if verdict.evicted {
            self.count_evicted();
        }
        rate.wait_us(&verdict)
    }

    fn pay(&self, now_us: u64, bytes: u64) {
        match &self.account {
            Account::Own(_) => {}
            Account::Connection(cell) => cell.pay(now_us, bytes),
            Account::Shared(kept, key) => match kept.get() {
                Some(State::All(cell)) => cell.pay(now_us, bytes),
                Some(State::Keys(table, _)) => table.pay(*key, now_us, bytes),
                None => {}
            },
        }
    }

    /// Counts an account that lost what it owed to this one.
    pub(crate) fn count_evicted(&self) {
        self.count(EVICTED);
    }

    fn count(&self, result: usize) {
        if let Some(counts) = &self.counts {
            counts.results.add(counts.worker, result);
        }
    }

    fn held(&mut self, us: u64) {
        self.has_held = true;
        if let Some(counts) = &self.counts {
            counts.held_us.add_many(counts.worker, counts.direction, us);
        }
    }

    fn passed(&self, bytes: u64) {
        if let Some(counts) = &self.counts {
            counts.bytes.add_many(counts.worker, counts.direction, bytes);
        }
    }
}

/// All limits of one body, in one direction.
#[derive(Debug, Default)]
pub struct Pace {
    limits: Vec<Limit>,
    /// Bytes on the accounts that have not passed.
    credit: u64,
    /// Before this time none pass, microseconds.
    until_us: u64,
    /// The number of bytes of the body that were accounted for.
    seen: u64,
    /// The time at which it was last asked.
    now_us: u64,
}

impl Pace {
    /// Adds a limit. If bytes may pass without being asked about, as those that come with a head, the
    /// first ones are put on its account; returns for how many microseconds they have to wait.
    pub(crate) fn join(&mut self, limit: Limit, now_us: u64, comes_at_once: bool) -> u64 {
        let wait_us = if comes_at_once { limit.owe(now_us, LEAST) } else { 0 };
        self.limits.push(limit);
        (self.credit, self.now_us) = (if comes_at_once { LEAST } else { 0 }, now_us);
        self.hold(wait_us, self.limits.len() - 1, now_us);
        wait_us
    }

    /// Returns how many bytes may pass now, of a body of which so many have passed. None may
    /// before [`Pace::until_us`] if it returns 0.
    pub fn allow(&mut self, passed: u64, now_us: u64) -> u64 {
        self.note(passed, now_us);
        if now_us >= self.until_us && self.credit == 0 {
            let quantum = self.limits.iter().map(|limit| limit.speed.quantum).min();
            self.credit = quantum.unwrap_or(MOST);
            self.owe(self.credit, now_us);
        }
        if now_us < self.until_us { 0 } else { self.credit }
    }

    /// Returns when bytes may pass again, in microseconds.
    pub fn until_us(&self) -> u64 {
        self.until_us
    }

    /// Returns how many bytes of an answer may be read along with its head.
    pub fn first_read(&self) -> u64 {
        self.credit.max(FIRST_READ)
    }

    /// Begins to count the bytes of the body at 0 once more; so many have passed.
    pub fn restart(&mut self, passed: u64) {
        self.note(passed, self.now_us);
        self.seen = 0;
    }

    /// Ends it: the body has ended, and so many bytes of it have passed.
    pub fn end(&mut self, passed: u64, now_us: u64) {
        self.note(passed, now_us);
        let unused = std::mem::take(&mut self.credit);
        for limit in self.limits.drain(..) {
            limit.pay(now_us, unused);
            limit.count(if limit.has_held { HELD } else { PASSED });
        }
    }

    /// Accounts for what has passed since it was last asked.
    fn note(&mut self, passed: u64, now_us: u64) {
        self.now_us = now_us;
        let bytes = passed.saturating_sub(self.seen);
        if bytes == 0 {
            return;
        }
        self.seen = passed;
        self.limits.iter().for_each(|limit| limit.passed(bytes));
        let beyond = bytes.saturating_sub(self.credit);
        self.credit = self.credit.saturating_sub(bytes);
        if beyond > 0 {
            self.owe(beyond, now_us);
        }
    }

    fn owe(&mut self, bytes: u64, now_us: u64) {
        let waits = self.limits.iter().map(|limit| limit.owe(now_us, bytes)).enumerate();
        if let Some((at, wait_us)) = waits.max_by_key(|(_, wait_us)| *wait_us) {
            self.hold(wait_us, at, now_us);
        }
    }

    /// Lets nothing pass for a time, on behalf of one limit.
    fn hold(&mut self, wait_us: u64, at: usize, now_us: u64) {
        let until_us = now_us.saturating_add(wait_us);
        let from_us = self.until_us.max(now_us);
        if until_us <= from_us {
            return;
        }
        self.until_us = until_us;
        if let Some(limit) = self.limits.get_mut(at) {
            limit.held(until_us - from_us);
        }
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        // A request that went no further than its chain has not used what it was given.
        self.end(self.seen, self.now_us);
    }
}

/// The speed of the bodies of a request and of its answer; nothing = as quickly as they come.
#[derive(Debug, Default)]
pub struct Paces {
    /// Of the answer.
    pub download: Option<Box<Pace>>,
    /// Of the request.
    pub upload: Option<Box<Pace>>,
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
