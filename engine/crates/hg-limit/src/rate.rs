//! The generic cell rate algorithm: a token bucket whose whole state is one point in time.
//!
//! The state of a key is the time at which its bucket is full again, its *theoretical arrival time*.
//! How far that lies ahead is the key's *debt*. A request adds its cost to the debt, and is refused
//! if the debt were then greater than the burst (ATM Forum TM 4.1 §4.4.2; the same admission as a
//! token bucket). Time is counted in units of which a request of cost 1 takes [`PER_REQUEST`], so
//! that sums of debts are exact and no rate drifts.

use crate::Verdict;

/// Units of time that a request of cost 1 stands for.
pub(crate) const PER_REQUEST: u64 = 256;
/// The most requests of a rate.
pub const MAX_REQUESTS: u32 = 1_000_000;
/// The shortest time of a rate in microseconds: one second.
pub const MIN_PERIOD_US: u64 = 1_000_000;
/// The longest time of a rate in microseconds: one day.
pub const MAX_PERIOD_US: u64 = 86_400_000_000;
/// The greatest burst, and the greatest cost.
pub const MAX_BURST: u32 = 1_000_000;
/// The most that a key can owe, in units.
pub(crate) const MOST_OWED: u64 = 1 << 38;
/// The fewest bytes a second of a rate of bytes.
pub const MIN_BYTES: u64 = 1_000;
/// The most bytes a second of a rate of bytes.
pub const MAX_BYTES: u64 = 10_000_000_000;

/// A rate: so many requests in such a time, or bytes in a second, evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Units in a period.
    units: u64,
    period_us: u64,
    /// Units in a microsecond, times 2^64.
    factor: u128,
}

impl Rate {
    /// Makes a rate of `requests` (1 to [`MAX_REQUESTS`]) in `period_us` microseconds
    /// ([`MIN_PERIOD_US`] to [`MAX_PERIOD_US`]). Values outside become the nearest of them.
    pub fn new(requests: u32, period_us: u64) -> Self {
        let requests = requests.clamp(1, MAX_REQUESTS);
        let period_us = period_us.clamp(MIN_PERIOD_US, MAX_PERIOD_US);
        Self::of(u64::from(requests) * PER_REQUEST, period_us)
    }

    /// Makes a rate of bytes a second ([`MIN_BYTES`] to [`MAX_BYTES`], values outside become the
    /// nearest), of which each is one unit. Its debts are changed by [`Cell::owe`](crate::Cell::owe) and
    /// [`Table::owe`](crate::Table::owe).
    pub fn bytes(per_s: u64) -> Self {
        Self::of(per_s.clamp(MIN_BYTES, MAX_BYTES), 1_000_000)
    }

    fn of(units: u64, period_us: u64) -> Self {
        // Rounded up: what that adds is less than a 256th of a unit in 2,283 years, and so the time at
        // which a request is earned counts as that.
        let factor = (u128::from(units) << 64).div_ceil(u128::from(period_us));
        Self { units, period_us, factor }
    }

    /// Returns a time in units; late by less than one.
    #[inline]
    pub(crate) fn units(&self, now_us: u64) -> u64 {
        // A microsecond has at most 256 units, so that this is exact for 2^56 of them: 2,283 years. Of
        // bytes it has at most 10,000: 58 years.
        (self.factor.wrapping_mul(u128::from(now_us)) >> 64) as u64
    }

    /// Returns the microseconds that units stand for, rounded up.
    pub(crate) fn micros(&self, units: u64) -> u64 {
        let scaled = u128::from(units) * u128::from(self.period_us);
        u64::try_from(scaled.div_ceil(u128::from(self.units))).unwrap_or(u64::MAX)
    }

    /// Returns how long a refused request would have to wait, in microseconds; 0 if it passed.
    pub fn wait_us(&self, verdict: &Verdict) -> u64 {
        self.micros(verdict.lacks)
    }

    /// Returns how long it takes until the key owes no more than this many requests, in microseconds.
    pub fn above_us(&self, verdict: &Verdict, requests: u32) -> u64 {
        self.micros(verdict.debt.saturating_sub(u64::from(requests) * PER_REQUEST))
    }

    /// Returns how long it takes until the key has its whole burst again, in microseconds.
    pub fn full_us(&self, verdict: &Verdict) -> u64 {
        self.micros(verdict.debt)
    }

    /// Returns how long it takes until the key may make one request more than now, in microseconds; 0
    /// if it has its whole burst.
    pub fn next_us(&self, verdict: &Verdict) -> u64 {
        let whole = verdict.debt.saturating_sub(1) / PER_REQUEST * PER_REQUEST;
        self.micros(verdict.debt - whole.min(verdict.debt))
    }

    /// Returns how long it takes to earn this many requests, in microseconds.
    pub fn earns_us(&self, requests: u32) -> u64 {
        self.micros(u64::from(requests) * PER_REQUEST)
    }
}

/// Decides on a request of a key with this debt.
#[inline]
pub(crate) fn decide(debt: u64, cost: u32, burst: u32) -> Verdict {
    let most = u64::from(burst.clamp(1, MAX_BURST)) * PER_REQUEST;
    let after = debt + u64::from(cost.min(MAX_BURST)) * PER_REQUEST;
    if after > most {
        return Verdict { allowed: false, evicted: false, debt, most, lacks: after - most };
    }
    Verdict { allowed: true, evicted: false, debt: after, most, lacks: 0 }
}

/// Adds bytes to a debt, which may become greater than the burst: who owes waits then. What the verdict
/// lacks is how much of it must be paid before the bytes may pass.
#[inline]
pub(crate) fn put(debt: u64, bytes: u64, burst: u64) -> Verdict {
    let after = debt.saturating_add(bytes).min(MOST_OWED);
    let lacks = after.saturating_sub(burst);
    Verdict { allowed: true, evicted: false, debt: after, most: burst, lacks }
}

#[cfg(test)]
#[path = "rate_tests.rs"]
mod tests;
