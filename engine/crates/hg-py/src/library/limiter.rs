//! A rate for each of many keys, by the table that workers share.

use hg_limit::{KeyHash, Rate, Seed, Table, Verdict};
use pyo3::prelude::*;
use std::net::IpAddr;
use std::time::Instant;

/// Counts requests by key; its methods may be called from any thread.
#[pyclass(frozen, module = "headgate._core._core")]
pub struct RateTable {
    table: Table,
    seed: Seed,
    burst: u32,
    began: Instant,
}

#[pymethods]
impl RateTable {
    /// A rate of `requests` in `period_us` microseconds, with a burst, and room for `keys` keys.
    /// `seed` is 128 bits of chance, by which nobody outside can choose keys that collide.
    #[new]
    fn new(requests: u32, period_us: u64, burst: u32, keys: usize, seed: [u64; 2]) -> Self {
        let table = Table::new(Rate::new(requests, period_us), keys, 0);
        Self { table, seed: Seed(seed), burst, began: Instant::now() }
    }

    /// Counts a request of a key if it is within the limit, and reports whether it was. Without
    /// `now_us`, microseconds since the table was made, it reads a clock; not both in turn.
    #[pyo3(signature = (key, cost=1, now_us=None))]
    fn check(&self, key: &str, cost: u32, now_us: Option<u64>) -> bool {
        self.verdict(key, cost, now_us).allowed
    }

    /// Does the same, and returns: whether it was within the limit, how many more would be right
    /// now, after how many microseconds this one would have been, and after how many the key has
    /// its whole burst again.
    #[pyo3(signature = (key, cost=1, now_us=None))]
    fn decide(&self, key: &str, cost: u32, now_us: Option<u64>) -> (bool, u32, u64, u64) {
        let verdict = self.verdict(key, cost, now_us);
        let rate = self.table.rate();
        (verdict.allowed, verdict.remaining(), rate.wait_us(&verdict), rate.full_us(&verdict))
    }

    /// Returns how many keys lost their debt because the table was full of keys in debt.
    #[getter]
    fn evictions(&self) -> u64 {
        self.table.evictions()
    }
}

impl RateTable {
    fn verdict(&self, key: &str, cost: u32, now_us: Option<u64>) -> Verdict {
        let now_us = now_us
            .unwrap_or_else(|| u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX));
        let mut hash = KeyHash::new(self.seed);
        match key.parse::<IpAddr>() {
            Ok(client) => hash.client(client, IPV6_PREFIX),
            Err(_) => hash.text(key.as_bytes()),
        }
        self.table.check(hash.finish(), now_us, cost, self.burst)
    }
}

/// Bits of an IPv6 address that belong to one client.
const IPV6_PREFIX: u8 = 64;
