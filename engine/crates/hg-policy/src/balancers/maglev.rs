//! Maglev hashing (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer",
//! NSDI 2016, §3.4): endpoints fill a lookup table in turns, each claiming the next free entry of
//! its own permutation. Weights decide how many turns an endpoint gets (as in Envoy's
//! `maglev_lb.cc`). Removing one endpoint moves its keys and few others.

use crate::hash::hash_seeded;
use crate::load::Choice;
use crate::members::Members;
use crate::places::{identities, scan};
use crate::policy::{Asked, Policy, Problems, Tier};
use hg_plan::Endpoint;
use serde::Deserialize;
use std::sync::Arc;

/// Entries that a pick checks before it scans the members.
const ATTEMPTS: u64 = 64;
/// An entry that no endpoint has claimed yet.
const FREE: u32 = u32::MAX;

/// The largest table: 20 MB per upstream. Envoy's `maglev_lb_config` has the same bound.
const MAX_TABLE_SIZE: u32 = 5_000_011;

/// The options, as they are in the plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// `client_ip`, `header:NAME`, `cookie:NAME` or `path`.
    key: String,
    /// A prime not less than the number of endpoints.
    #[serde(default = "table_size")]
    table_size: u32,
}

fn table_size() -> u32 {
    65_537
}

#[derive(Clone, Debug)]
pub(crate) struct Maglev {
    members: Members,
    /// Slots of members; as many as the table's size.
    table: Arc<[u32]>,
}

impl Policy for Maglev {
    type Options = Options;

    fn check(options: &Options, problems: &mut Problems) {
        let size = options.table_size;
        if size > MAX_TABLE_SIZE || !is_prime(size) {
            let message = format!(
                "{size} is not a prime up to {MAX_TABLE_SIZE}; write 65537, or 655373 for more \
                 than 600 endpoints"
            );
            problems.push(("table_size", message));
        }
    }

    fn key(options: &Options) -> Option<&str> {
        Some(&options.key)
    }

    fn places(options: &Options) -> Option<(&'static str, u32)> {
        Some(("table_size", options.table_size))
    }

    fn new(Tier { members, endpoints, .. }: Tier<'_>, options: &Options) -> Self {
        let table = build(&members, endpoints, options.table_size);
        Self { members, table }
    }

    /// Picks in O(1). While the entry's endpoint may not be picked, hashes the key again, so that
    /// the keys of an endpoint that is down spread over all others by weight.
    fn pick(&mut self, choice: &Choice<'_>, asked: &mut Asked<'_>) -> Option<u32> {
        let key = asked.hash();
        let size = self.table.len() as u64;
        let entry = |attempt: u64| {
            let hash = if attempt == 0 { key } else { hash_seeded(&key.to_le_bytes(), attempt) };
            let slot = *self.table.get(hash.checked_rem(size)? as usize)?;
            self.members.as_slice().get(slot as usize)
        };
        (0..ATTEMPTS)
            .map_while(entry)
            .find(|m| choice.allows(m.endpoint))
            .or_else(|| scan(self.members.as_slice(), key, |m| choice.allows(m.endpoint)))
            .map(|m| m.endpoint)
    }
}

fn is_prime(n: u32) -> bool {
    n >= 2 && (2..).take_while(|d: &u32| d.saturating_mul(*d) <= n).all(|d| !n.is_multiple_of(d))
}

/// The turns of one member while the table is filled.
struct Claim {
    slot: u32,
    weight: u64,
    /// The member has a turn when this reaches the highest weight.
    credit: u64,
    /// The entry that it claims next, and its step after that.
    next: u64,
    skip: u64,
}

fn build(members: &Members, endpoints: &[Endpoint], table_size: u32) -> Arc<[u32]> {
    let size = u64::from(table_size);
    if members.is_empty() || size < 2 {
        return Arc::default();
    }
    let mut claims: Vec<Claim> = (0u32..)
        .zip(members.as_slice())
        .zip(identities(members, endpoints))
        .map(|((slot, member), identity)| Claim {
            slot,
            weight: member.weight.into(),
            credit: 0,
            next: identity % size,
            skip: hash_seeded(b"skip", identity) % (size - 1) + 1,
        })
        .collect();
    let highest = claims.iter().map(|c| c.weight).max().unwrap_or(1);
    let mut table = vec![FREE; table_size as usize];
    let mut left = table.len();
    while left > 0 {
        for claim in &mut claims {
            claim.credit += claim.weight;
            if claim.credit < highest {
                continue;
            }
            claim.credit -= highest;
            claim.take(&mut table, size);
            left -= 1;
            if left == 0 {
                break;
            }
        }
    }
    table.into()
}

impl Claim {
    /// Claims the next free entry; there must be one.
    fn take(&mut self, table: &mut [u32], size: u64) {
        loop {
            let entry = table.get_mut(self.next as usize);
            self.next = (self.next + self.skip) % size;
            if let Some(free) = entry.filter(|e| **e == FREE) {
                *free = self.slot;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, endpoints, policy};
    use crate::{Random, WyRand, validate};
    use hg_plan::Balance;
    use proptest::prelude::*;

    fn sized(table_size: u32) -> Balance {
        policy(&format!(r#"{{"maglev":{{"key":"path","table_size":{table_size}}}}}"#))
    }

    #[test]
    fn primes_pass_and_anything_else_is_named_by_its_path() {
        for size in [2, 3, 251, 65_537, 655_373, MAX_TABLE_SIZE] {
            assert_eq!(validate(&sized(size)), [], "{size}");
        }
        for size in [0, 1, 4, 65_536, 5_000_077] {
            assert_eq!(validate(&sized(size))[0].0, "balance.maglev.table_size", "{size}");
        }
    }

    fn table(weights: &[u32], size: u32) -> Vec<u32> {
        let endpoints = endpoints(weights);
        build(&Members::of(&endpoints, false), &endpoints, size).to_vec()
    }

    #[test]
    fn taking_one_away_disrupts_little() {
        let mut with = Bench::new(&sized(65_537), &endpoints(&[1; 20]));
        let mut weights = [1; 20];
        weights[7] = 0;
        let mut without = Bench::new(&sized(65_537), &endpoints(&weights));
        let mut rng = WyRand::new(5);
        let keys: Vec<_> = (0..20_000).map(|_| rng.next_u64()).collect();
        let moved = keys
            .iter()
            .filter(|k| {
                let before = with.pick_key(**k);
                before != Some(7) && before != without.pick_key(**k)
            })
            .count();
        assert!(moved < 20_000 * 3 / 100, "{moved} keys of others moved");
    }

    #[test]
    fn keys_of_one_that_is_down_spread_over_the_others() {
        let mut bench = Bench::new(&sized(65_537), &endpoints(&[1; 5]));
        bench.usable[2] = false;
        let counts = bench.count_keys(20_000);
        assert_eq!(counts[2], 0);
        assert!([0, 1, 3, 4].iter().all(|i| (4_750..5_250).contains(&counts[*i])), "{counts:?}");
    }

    #[test]
    fn one_usable_among_many_is_found() {
        let mut bench = Bench::new(&sized(65_537), &endpoints(&[1; 2000]));
        bench.usable = (0..2000).map(|i| i == 1234).collect();
        assert!(bench.count_keys(200)[1234] == 200);
    }

    #[test]
    fn the_place_of_a_key_is_fixed_for_ever() {
        let mut bench = Bench::new(&sized(251), &endpoints(&[1, 2, 3, 4]));
        let places: Vec<_> = (0..12u64)
            .map(|k| bench.pick_key(crate::hash_key(&k.to_le_bytes())).unwrap())
            .collect();
        assert_eq!(places, [3, 0, 2, 2, 2, 2, 2, 0, 2, 1, 2, 0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn entries_follow_weights(weights in prop::collection::vec(0u32..10, 1..20)) {
            let total: u32 = weights.iter().sum();
            prop_assume!(total > 0);
            let table = table(&weights, 5_003);
            let alive: Vec<_> = weights.iter().filter(|w| **w > 0).collect();
            for (slot, weight) in (0u32..).zip(alive) {
                let entries = table.iter().filter(|e| **e == slot).count() as f64;
                let share = 5_003.0 * f64::from(*weight) / f64::from(total);
                prop_assert!((entries - share).abs() <= 12.0, "{entries} for {share}");
            }
        }
    }
}
