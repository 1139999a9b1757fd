//! A balancer with everything it needs, for tests.

use crate::{Balancer, Load, Random, Tried, WyRand, hash_key};
use hg_plan::{Balance, Endpoint};

/// Reads a policy from the JSON of a plan.
pub(crate) fn policy(json: &str) -> Balance {
    serde_json::from_str(json).unwrap()
}

/// Makes endpoints with these weights and fixed addresses.
pub(crate) fn endpoints(weights: &[u32]) -> Vec<Endpoint> {
    let one = |(i, weight): (usize, &u32)| Endpoint {
        address: format!("192.0.2.{}:{}", i % 250, 8000 + i),
        weight: *weight,
        backup: false,
        max_connections: 0,
        zone: None,
        labels: Default::default(),
    };
    weights.iter().enumerate().map(one).collect()
}

/// A random source that always returns the same number.
pub(crate) struct Fixed(pub(crate) u64);

impl Random for Fixed {
    fn next_u64(&mut self) -> u64 {
        self.0
    }
}

pub(crate) struct Bench {
    pub(crate) balancer: Balancer,
    pub(crate) active: Vec<u32>,
    pub(crate) usable: Vec<bool>,
    pub(crate) tried: Tried,
    pub(crate) now_us: u64,
    rng: WyRand,
}

impl Bench {
    pub(crate) fn new(policy: &Balance, endpoints: &[Endpoint]) -> Self {
        Self::seeded(policy, endpoints, 42)
    }

    pub(crate) fn seeded(policy: &Balance, endpoints: &[Endpoint], seed: u64) -> Self {
        Self {
            balancer: Balancer::new(policy, endpoints).unwrap(),
            active: vec![0; endpoints.len()],
            usable: vec![true; endpoints.len()],
            tried: Tried::new(),
            now_us: 1_000_000,
            rng: WyRand::new(seed),
        }
    }

    pub(crate) fn pick_with(&mut self, rng: &mut dyn Random) -> Option<usize> {
        let load = Load { active: &self.active, usable: &self.usable };
        self.balancer.pick(&load, &self.tried, None, self.now_us, rng)
    }

    pub(crate) fn pick_optional(&mut self, key: Option<u64>) -> Option<usize> {
        let load = Load { active: &self.active, usable: &self.usable };
        self.balancer.pick(&load, &self.tried, key, self.now_us, &mut self.rng)
    }

    pub(crate) fn pick(&mut self) -> Option<usize> {
        self.pick_optional(None)
    }

    pub(crate) fn pick_key(&mut self, key: u64) -> Option<usize> {
        self.pick_optional(Some(key))
    }

    fn tally(&mut self, picks: impl Iterator<Item = Option<u64>>) -> Vec<u32> {
        let mut counts = vec![0; self.usable.len()];
        for key in picks {
            if let Some(picked) = self.pick_optional(key) {
                counts[picked] += 1;
            }
        }
        counts
    }

    /// Counts how often each endpoint is picked.
    pub(crate) fn count(&mut self, picks: usize) -> Vec<u32> {
        self.tally((0..picks).map(|_| None))
    }

    /// Counts how many of as many keys each endpoint gets.
    pub(crate) fn count_keys(&mut self, keys: u64) -> Vec<u32> {
        self.tally((0..keys).map(|k| Some(hash_key(&k.to_le_bytes()))))
    }
}
