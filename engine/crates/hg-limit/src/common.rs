//! A node's part of a limit that several nodes share through a store.
//!
//! The store has the debt of each key. A node knows what it was last told, and adds what it admits
//! itself; both are in its own [`Table`]. No request waits: a node admits on credit, and reports what
//! it admitted. What it has not reported yet is at most a *credit* of each key: its share of the burst,
//! or one request if that costs more. So N nodes admit together at most `rate × time + burst + N ×
//! credit` in any time in which the store counts, whatever is late, lost or said twice; the property
//! test below draws that. What a store can do wrong ends there: it can only raise what a key owes, so
//! that a node never admits more than its own table allows.
//!
//! While the store is away, [`WhenAway`] decides. By `share` every request counts as one on each of the
//! nodes, so that they admit together at most `rate × time + burst` (or one request of each node, if
//! a share of the burst is less).

use crate::flights::Permit;
use crate::{Desk, Flights, Key, KeyHash, MAX_BURST, Rate, Report, Seed, Table, Verdict};
use std::sync::Arc;

/// The seed of keys in the store: nodes must agree in it. Tables have one that nobody knows.
const COMMON: Seed = Seed([0x6865_6164_6761_7465, 0x6c69_6d69_7473_2031]);
/// Most keys with something unsaid; there are never more reports than this.
const UNSAID: usize = 131_072;

/// The policy of a limit while the store is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenAway {
    /// Each node admits its share.
    #[default]
    Share,
    /// All requests pass.
    Open,
    /// None does.
    Closed,
}

/// The terms on which a request counts.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// At most the burst.
    pub cost: u32,
    /// At most [`MAX_BURST`].
    pub burst: u32,
    /// Without the store.
    pub when_away: WhenAway,
}

/// The decision about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// True if it passes.
    pub allowed: bool,
    /// The debt of its key; `None` if the request was not counted.
    pub verdict: Option<Verdict>,
    /// True if it was decided without the store.
    pub is_away: bool,
}

impl Decision {
    /// Takes a verdict that needed no other node.
    pub fn counted(verdict: Verdict) -> Self {
        Self { allowed: verdict.allowed, verdict: Some(verdict), is_away: false }
    }

    fn away(verdict: Verdict) -> Self {
        Self { is_away: true, ..Self::counted(verdict) }
    }

    fn uncounted(allowed: bool) -> Self {
        Self { allowed, verdict: None, is_away: true }
    }
}

/// A limit that several nodes share, on one of them; all its workers use it.
#[derive(Debug)]
pub struct Common {
    table: Table,
    unsaid: Flights,
    seed: Seed,
    name: u64,
}

impl Common {
    /// Makes a limit that has counted nothing. `name` is the same on all nodes that share it, and tells
    /// it from others; `seed` is this process's own.
    pub fn new(rate: Rate, keys: usize, name: &str, seed: Seed, now_us: u64) -> Self {
        let mut hash = KeyHash::new(COMMON);
        hash.text(name.as_bytes());
        Self {
            table: Table::new(rate, keys, now_us),
            unsaid: Flights::new(keys.min(UNSAID)),
            seed,
            name: hash.finish().0,
        }
    }

    /// Returns the hash of its name.
    pub fn name(&self) -> u64 {
        self.name
    }

    /// Returns the rate.
    pub fn rate(&self) -> &Rate {
        self.table.rate()
    }

    /// Decides on a request; `key` hashes what is counted by. Never waits.
    pub fn check(
        self: &Arc<Self>,
        desk: &Desk,
        key: impl Fn(Seed) -> Key,
        terms: &Terms,
        now_us: u64,
    ) -> Decision {
        if desk.is_ready() {
            return Decision::counted(self.on_credit(desk, key, terms, now_us));
        }
        match terms.when_away {
            WhenAway::Open => Decision::uncounted(true),
            WhenAway::Closed => Decision::uncounted(false),
            WhenAway::Share => Decision::away(self.by_share(desk, key(self.seed), terms, now_us)),
        }
    }

    fn on_credit(
        self: &Arc<Self>,
        desk: &Desk,
        key: impl Fn(Seed) -> Key,
        &Terms { cost, burst, .. }: &Terms,
        now_us: u64,
    ) -> Verdict {
        let own = key(self.seed);
        let refused = || self.table.peek(own, now_us, cost, burst).refused(cost);
        let Ok(permit) = self.unsaid.begin(own, credit(cost, burst, desk.nodes())) else {
            return refused();
        };
        let verdict = self.table.check(own, now_us, cost, burst);
        if !verdict.allowed {
            self.unsaid.end(permit);
            return verdict;
        }
        let (limit, permit) = (self.clone(), Some(permit));
        let report = Report { limit, key: own, common: key(COMMON), cost, burst, permit };
        if desk.leave(report).is_err() { refused() } else { verdict }
    }

    /// Counts a request as one on each of the nodes.
    fn by_share(&self, desk: &Desk, key: Key, terms: &Terms, now_us: u64) -> Verdict {
        let cost = terms.cost.saturating_mul(desk.nodes());
        if cost > MAX_BURST {
            return self.table.peek(key, now_us, terms.cost, terms.burst).refused(terms.cost);
        }
        self.table.check(key, now_us, cost, terms.burst.max(cost))
    }

    /// Takes over what the store said: after the request of these reports, all of one key, the key owes
    /// what takes `ahead_us` to earn. The reports are said.
    pub fn told(&self, reports: Vec<Report>, now_us: u64, ahead_us: u64) {
        let Some((key, cost)) = reports.first().map(|first| (first.key, first.cost)) else {
            return;
        };
        drop(reports);
        let unsaid = self.unsaid.in_flight(key).saturating_mul(cost);
        let since = self.rate().earns_us(unsaid);
        self.table.raise(key, now_us, ahead_us.saturating_add(since));
    }

    /// Returns how long a key may take to owe nothing before it is charged once more, in microseconds:
    /// what the bound above allows to `nodes` nodes. A store that says more does not tell the truth.
    pub fn most_ahead_us(&self, (cost, burst): (u32, u32), nodes: u32) -> u64 {
        self.rate().earns_us(burst.saturating_add(burst.max(cost.saturating_mul(nodes))))
    }

    pub(crate) fn said(&self, permit: Permit) {
        self.unsaid.end(permit);
    }
}

/// Returns how many requests of a key may be unsaid.
fn credit(cost: u32, burst: u32, nodes: u32) -> u32 {
    (burst / cost.saturating_mul(nodes).max(1)).max(1)
}

#[cfg(test)]
#[path = "common_tests.rs"]
mod tests;
