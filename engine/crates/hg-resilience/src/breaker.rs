//! The breaker of an upstream or an endpoint: closed, open, half open.
//!
//! One atomic word: circuit, a count, the requests that try it while it is half open, an era and a
//! stamp. While nothing fails, a request loads it twice and writes nothing. A request that was
//! admitted before the breaker opened says nothing about the endpoint after it: the stamp tells one
//! closed period from another, and the era, which grows each time that the breaker opens, tells the
//! requests that tried it since then. Those count however long they take; a stamp limits only how
//! long they keep a place.

use crate::state::circuit;
use crate::{Circuit, Event, Reason, Verdict};
use std::sync::atomic::{AtomicU64, Ordering};

/// The conditions under which a breaker opens and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Failures in a row that open it; 0 means that only [`Breaker::trip`] does.
    pub failures: u16,
    /// The time that it stays open.
    pub open_for_ms: u64,
    /// Successes while it is half open that close it; at least 1.
    pub successes: u16,
    /// Requests at a time while it is half open; at least 1, at most 127.
    pub probes: u16,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self { failures: 5, open_for_ms: 30_000, successes: 2, probes: 2 }
    }
}

/// The right to send one request; comes back with its result ([`Breaker::report`]).
#[must_use = "a permit that never comes back holds a place of a half-open breaker for a while"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    circuit: Circuit,
    era: u8,
    stamp: u64,
    /// The change that this admission made to the breaker.
    pub turned: Option<Turn>,
}

impl Permit {
    /// Reports whether the request tries a half-open breaker.
    pub fn is_trial(&self) -> bool {
        self.circuit == Circuit::HalfOpen
    }
}

/// A change of the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It opened from closed.
    Opened,
    /// It opened again from half open.
    Reopened,
    /// It became half open.
    HalfOpened,
    /// It closed.
    Closed,
}

impl Turn {
    /// Returns the event for the endpoint whose breaker this is. Whoever trips a breaker has a
    /// better reason than this and makes [`Event::BreakerOpened`] with it.
    pub fn event(self) -> Event {
        match self {
            Turn::Opened => Event::BreakerOpened(Reason::BreakerFailures),
            Turn::Reopened => Event::BreakerOpened(Reason::BreakerProbe),
            Turn::HalfOpened => Event::BreakerHalfOpened,
            Turn::Closed => Event::BreakerClosed,
        }
    }
}

/// One breaker, shared by all workers.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Breaker {
    word: AtomicU64,
}

/// The contents of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    circuit: Circuit,
    /// Closed: failures in a row. Half open: successes.
    count: u16,
    /// Half open: requests under way that have a place.
    probes: u8,
    /// The number of times that it opened, up to [`LAST_ERA`], then 0 again.
    era: u8,
    /// Closed: when it closed. Open: when it half opens. Half open: when requests that did not come
    /// back lose their places.
    stamp: u64,
}

const COUNT: u32 = 2;
const PROBES: u32 = 13;
const ERA: u32 = 20;
const STAMP: u32 = 26;
/// The most that a count holds.
const MOST: u16 = 0x7ff;
/// The most requests at a time that try a half-open breaker.
const MOST_PROBES: u8 = 0x7f;
/// The era after which they begin anew: hardly a request lasts through so many openings.
const LAST_ERA: u8 = 0x3f;
/// The last time that a stamp holds.
const LAST_MS: u64 = (1 << (64 - STAMP)) - 1;

impl Cell {
    fn from_word(word: u64) -> Cell {
        Cell {
            circuit: circuit(word),
            count: (word >> COUNT) as u16 & MOST,
            probes: (word >> PROBES) as u8 & MOST_PROBES,
            era: (word >> ERA) as u8 & LAST_ERA,
            stamp: word >> STAMP,
        }
    }

    fn to_word(self) -> u64 {
        self.circuit as u64
            | u64::from(self.count.min(MOST)) << COUNT
            | u64::from(self.probes.min(MOST_PROBES)) << PROBES
            | u64::from(self.era & LAST_ERA) << ERA
            | self.stamp.min(LAST_MS) << STAMP
    }

    fn opened(self, now_ms: u64, policy: &BreakerPolicy) -> Cell {
        let stamp = now_ms.saturating_add(policy.open_for_ms);
        let era = self.era.wrapping_add(1) & LAST_ERA;
        Cell { circuit: Circuit::Open, count: 0, probes: 0, era, stamp }
    }

    /// Returns an open cell as a half-open one, or a half-open one without the places that requests
    /// had there.
    fn half_opened(self, now_ms: u64, policy: &BreakerPolicy, probes: u8) -> Cell {
        let stamp = now_ms.saturating_add(policy.open_for_ms);
        Cell { circuit: Circuit::HalfOpen, probes, stamp, ..self }
    }

    fn closed(self, now_ms: u64) -> Cell {
        Cell { circuit: Circuit::Closed, count: 0, probes: 0, stamp: now_ms, ..self }
    }

    /// Returns the right of a request that this cell has let through.
    fn permit(self, turned: Option<Turn>) -> Permit {
        Permit { circuit: self.circuit, era: self.era, stamp: self.stamp, turned }
    }

    /// Returns the cell after one more request, if it is let through.
    fn admit(self, now_ms: u64, policy: &BreakerPolicy) -> Option<Cell> {
        match self.circuit {
            Circuit::Closed => Some(self),
            Circuit::HalfOpen
                if u16::from(self.probes) < policy.probes.clamp(1, MOST_PROBES.into()) =>
            {
                Some(Cell { probes: self.probes + 1, ..self })
            }
            // Open for long enough, or half open and the requests take longer.
            Circuit::Open | Circuit::HalfOpen => {
                (now_ms >= self.stamp).then(|| self.half_opened(now_ms, policy, 1))
            }
        }
    }

    /// Returns the cell after the result of a request; nothing if that changes nothing.
    fn report(
        self,
        permit: Permit,
        verdict: Verdict,
        now_ms: u64,
        policy: &BreakerPolicy,
    ) -> Option<Cell> {
        let has_place = permit.stamp == self.stamp;
        let says_something = match self.circuit {
            Circuit::Closed => has_place,
            Circuit::HalfOpen => permit.era == self.era,
            Circuit::Open => false,
        };
        if permit.circuit != self.circuit || !says_something {
            return None;
        }
        let probes = self.probes.saturating_sub(u8::from(has_place));
        let after = Cell { probes, ..self }.judge(verdict, now_ms, policy);
        (after != self).then_some(after)
    }

    /// Returns the cell after a result that counts.
    fn judge(self, verdict: Verdict, now_ms: u64, policy: &BreakerPolicy) -> Cell {
        match (self.circuit, verdict) {
            (Circuit::Closed, Verdict::Good) => Cell { count: 0, ..self },
            (Circuit::Closed, Verdict::Bad) => self.failed(now_ms, policy),
            (Circuit::HalfOpen, Verdict::Good) => self.succeeded(now_ms, policy),
            (Circuit::HalfOpen, Verdict::Bad | Verdict::Throttled) => self.opened(now_ms, policy),
            (Circuit::Closed, Verdict::Throttled)
            | (Circuit::Closed | Circuit::HalfOpen, Verdict::Neutral)
            | (Circuit::Open, _) => self,
        }
    }

    fn failed(self, now_ms: u64, policy: &BreakerPolicy) -> Cell {
        if policy.failures == 0 {
            return self;
        }
        let count = self.count.saturating_add(1);
        if count >= policy.failures.min(MOST) {
            return self.opened(now_ms, policy);
        }
        Cell { count, ..self }
    }

    fn succeeded(self, now_ms: u64, policy: &BreakerPolicy) -> Cell {
        let count = self.count.saturating_add(1);
        if count >= policy.successes.clamp(1, MOST) {
            return self.closed(now_ms);
        }
        Cell { count, ..self }
    }
}

impl Breaker {
    /// Returns what the breaker does now; an open one stays so until a request or
    /// [`Breaker::wake`] half opens it.
    pub fn circuit(&self) -> Circuit {
        self.cell().circuit
    }

    /// Returns when an open breaker half opens.
    pub fn open_until_ms(&self) -> Option<u64> {
        let cell = self.cell();
        (cell.circuit == Circuit::Open).then_some(cell.stamp)
    }

    /// Lets a request through, or not. Closed: one load.
    pub fn acquire(&self, now_ms: u64, policy: &BreakerPolicy) -> Option<Permit> {
        let cell = self.cell();
        if cell.circuit == Circuit::Closed {
            return Some(cell.permit(None));
        }
        let (before, after) = self.change(|cell| cell.admit(now_ms, policy))?;
        Some(after.permit(turn(before, after)))
    }

    /// Reports whether it would let a request through now.
    pub fn would_admit(&self, now_ms: u64, policy: &BreakerPolicy) -> bool {
        self.cell().admit(now_ms, policy).is_some()
    }

    /// Reports whether a permit is one of the closed breaker as it is now: whether the result is one
    /// that shares are made of.
    pub fn is_current(&self, permit: Permit) -> bool {
        let cell = self.cell();
        let now = (cell.circuit, cell.stamp);
        now == (Circuit::Closed, permit.stamp) && permit.circuit == Circuit::Closed
    }

    /// Takes in the result of a request. A success while nothing failed before writes nothing.
    pub fn report(
        &self,
        permit: Permit,
        verdict: Verdict,
        now_ms: u64,
        policy: &BreakerPolicy,
    ) -> Option<Turn> {
        let (before, after) = self.change(|cell| cell.report(permit, verdict, now_ms, policy))?;
        turn(before, after)
    }

    /// Half opens a breaker that was open for long enough, so that an endpoint that no request
    /// reaches is picked again. The watching thread calls this.
    pub fn wake(&self, now_ms: u64, policy: &BreakerPolicy) -> Option<Turn> {
        let (before, after) = self.change(|cell| {
            let due = cell.circuit == Circuit::Open && now_ms >= cell.stamp;
            due.then(|| cell.half_opened(now_ms, policy, 0))
        })?;
        turn(before, after)
    }

    /// Opens the breaker, for a reason that a window gave ([`Trip`](crate::Trip)).
    pub fn trip(&self, now_ms: u64, policy: &BreakerPolicy) -> Option<Turn> {
        let (before, after) = self
            .change(|cell| (cell.circuit != Circuit::Open).then(|| cell.opened(now_ms, policy)))?;
        turn(before, after)
    }

    /// Closes the breaker, because an operator or a config says so.
    pub fn close(&self, now_ms: u64) -> Option<Turn> {
        let (before, after) =
            self.change(|cell| (cell.circuit != Circuit::Closed).then(|| cell.closed(now_ms)))?;
        turn(before, after)
    }

    fn cell(&self) -> Cell {
        Cell::from_word(self.word.load(Ordering::Acquire))
    }

    fn change(&self, change: impl Fn(Cell) -> Option<Cell>) -> Option<(Cell, Cell)> {
        let step = |word| Some(change(Cell::from_word(word))?.to_word());
        let before = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, step).ok()?;
        let after = step(before)?;
        Some((Cell::from_word(before), Cell::from_word(after)))
    }
}

fn turn(before: Cell, after: Cell) -> Option<Turn> {
    match (before.circuit, after.circuit) {
        (Circuit::HalfOpen, Circuit::Open) => Some(Turn::Reopened),
        (Circuit::Closed, Circuit::Open) => Some(Turn::Opened),
        (Circuit::Open, Circuit::HalfOpen) => Some(Turn::HalfOpened),
        (Circuit::Open | Circuit::HalfOpen, Circuit::Closed) => Some(Turn::Closed),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
