//! A rate for each of many keys, by the table that workers share.

use hg_limit::{KeyHash, Rate, Seed, Table, Verdict};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Instant;

/// The limits of a limiter, which are attributes of the object itself. `_seed` is 128 bits of chance,
/// by which nobody outside can choose keys that collide.
#[derive(FromPyObject)]
struct Limits<'py> {
    requests: u32,
    per_s: f64,
    burst: u32,
    keys: usize,
    #[pyo3(attribute("_seed"))]
    seed: [u64; 2],
    clock: Bound<'py, PyAny>,
}

/// Counts requests by key: the base of `headgate.RateLimiter`, so that a call of it runs no Python.
/// Reads the limits from its attributes at the first call; its methods may be called from any thread.
#[pyclass(frozen, subclass, module = "headgate._core._core")]
pub struct RateTable {
    counted: OnceLock<Counted>,
}

struct Counted {
    table: Table,
    seed: Seed,
    burst: u32,
    /// True if the time is that of the attribute `clock`.
    has_clock: bool,
    began: Instant,
}

#[pymethods]
impl RateTable {
    /// Takes what the class that has the limits is made of, and leaves it to that class.
    #[new]
    #[pyo3(signature = (*_args, **_given))]
    fn new(_args: &Bound<'_, PyTuple>, _given: Option<&Bound<'_, PyDict>>) -> Self {
        Self { counted: OnceLock::new() }
    }

    /// Counts a request of a key if it is within the limit, and reports whether it was.
    #[pyo3(signature = (key, cost=1))]
    fn check(slf: &Bound<'_, Self>, key: &str, cost: u32) -> PyResult<bool> {
        Ok(Counted::of(slf)?.verdict(slf, key, cost)?.allowed)
    }

    /// Does the same, and returns: whether it was within the limit, how many more would be right
    /// now, after how many microseconds this one would have been, and after how many the key has
    /// its whole burst again.
    fn _decide(slf: &Bound<'_, Self>, key: &str, cost: u32) -> PyResult<(bool, u32, u64, u64)> {
        let counted = Counted::of(slf)?;
        let verdict = counted.verdict(slf, key, cost)?;
        let rate = counted.table.rate();
        Ok((verdict.allowed, verdict.remaining(), rate.wait_us(&verdict), rate.full_us(&verdict)))
    }

    /// The number of keys that lost their debt because the table was full: more than a few say that
    /// `keys` is too small.
    #[getter]
    fn evictions(&self) -> u64 {
        self.counted.get().map_or(0, |counted| counted.table.evictions())
    }
}

impl Counted {
    /// Returns the table of a limiter; makes it at the first call.
    fn of<'a>(limiter: &'a Bound<'_, RateTable>) -> PyResult<&'a Self> {
        let counted = &limiter.get().counted;
        if let Some(made) = counted.get() {
            return Ok(made);
        }
        let made = Self::new(&limiter.as_any().extract()?);
        Ok(counted.get_or_init(|| made))
    }

    fn new(limits: &Limits<'_>) -> Self {
        let period_us = (limits.per_s * 1e6).round_ties_even() as u64;
        Self {
            table: Table::new(Rate::new(limits.requests, period_us), limits.keys, 0),
            seed: Seed(limits.seed),
            burst: limits.burst,
            has_clock: !limits.clock.is_none(),
            began: Instant::now(),
        }
    }

    fn verdict(&self, limiter: &Bound<'_, RateTable>, key: &str, cost: u32) -> PyResult<Verdict> {
        let now_us = match self.has_clock {
            true => told_us(limiter)?,
            false => u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX),
        };
        let mut hash = KeyHash::new(self.seed);
        match key.parse::<IpAddr>() {
            Ok(client) => hash.client(client, IPV6_PREFIX),
            Err(_) => hash.text(key.as_bytes()),
        }
        Ok(self.table.check(hash.finish(), now_us, cost, self.burst))
    }
}

/// Asks the clock that the program gave; returns microseconds.
fn told_us(limiter: &Bound<'_, RateTable>) -> PyResult<u64> {
    let clock = limiter.getattr(intern!(limiter.py(), "clock"))?;
    let now_s: f64 = clock.call0()?.extract()?;
    let now_us = (now_s * 1e6).round_ties_even();
    if !(0.0..u64::MAX as f64).contains(&now_us) {
        let wrong = format!("the clock is at {now_s} s; it must count from 0 up");
        return Err(PyValueError::new_err(wrong));
    }
    Ok(now_us as u64)
}

/// Bits of an IPv6 address that belong to one client.
const IPV6_PREFIX: u8 = 64;
