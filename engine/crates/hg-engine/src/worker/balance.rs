//! The balance of a worker that has left: whatever it took has been given back. Builds with debug
//! assertions check it, so that each test of the engine does.

use super::Worker;
use super::buffers::BufferPool;
use super::up::{Pools, Up};
use super::upstreams::{UpstreamState, Upstreams};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A name for what is held, and how much of it.
type Debt = (&'static str, usize);

impl Worker {
    /// Returns what is still held when nobody is served any more; nothing, unless a count is wrong.
    pub(super) fn debts(&self) -> Vec<Debt> {
        let is_pooled = |up: &Up| up.exchange.is_none() && up.http2.is_none();
        let own = [
            ("exchanges", self.exchanges.ids(|_| true).len()),
            ("connections of exchanges", self.ups.iter().filter(|(_, up)| !is_pooled(up)).count()),
            ("connections of no pool", self.ups.len().abs_diff(self.pools.pooled())),
            ("TCP sessions that wait", usize::from(self.tcp.waits())),
        ];
        let all = own.into_iter().chain(self.io.pool.debts()).chain(self.pools.debts());
        let all = all.chain(self.upstreams.debts()).chain(self.debts_to_all());
        all.filter(|(_, count)| *count > 0).collect()
    }

    /// Returns what is counted in limits that all workers share; nothing while there are others.
    fn debts_to_all(&self) -> Vec<Debt> {
        if self.shared.workers > 1 {
            return Vec::new();
        }
        let upstreams = || self.held.upstreams.iter().flatten();
        let endpoints = upstreams().flat_map(|u| &u.endpoints);
        let sum = |counts: &mut dyn Iterator<Item = &AtomicU32>| -> usize {
            counts.map(|count| count.load(Relaxed) as usize).sum()
        };
        vec![
            ("places at upstreams", sum(&mut upstreams().map(|u| &*u.in_use))),
            ("places at endpoints", sum(&mut endpoints.map(|e| &*e.in_use))),
            ("connections of the process", self.shared.open()),
            ("clients with connections", self.shared.clients()),
        ]
    }
}

impl BufferPool {
    fn debts(&self) -> [Debt; 5] {
        [
            ("big buffers and pipes", self.held()),
            ("bytes that peers have not taken", self.kept),
            ("bytes of collected bodies", self.collected),
            ("bytes of answers over HTTP/2", self.pending),
            ("bytes of bodies towards HTTP/2", self.uploads),
        ]
    }
}

impl Pools {
    /// Returns the number of idle connections in pools.
    fn pooled(&self) -> usize {
        self.iter().map(|pool| pool.idle.len()).sum()
    }

    fn debts(&self) -> [Debt; 2] {
        [
            ("shared connections", self.iter().map(|pool| pool.shared.len()).sum()),
            ("leaders", self.iter().filter(|pool| pool.leader.is_some()).count()),
        ]
    }
}

impl Upstreams {
    fn debts(&self) -> [Debt; 4] {
        let of_all = |count: fn(&UpstreamState) -> usize| self.iter().map(count).sum();
        [
            ("requests at endpoints", of_all(|u| u.under_way()[0])),
            ("requests in adaptive limits", of_all(|u| u.under_way()[1])),
            ("requests that wait", of_all(|u| u.waiting.len())),
            ("second tries", self.hedged),
        ]
    }
}
