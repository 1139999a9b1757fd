//! Ring hash with bounded load.
//!
//! Each endpoint has points on a ring of 64-bit hashes, by weight; a key goes to the first point at
//! or after its own hash (Karger et al., "Consistent Hashing and Random Trees", 1997). With a bound
//! `c`, an endpoint that holds its share of `ceil(c × (requests in flight + 1))` is skipped for the
//! next one on the ring (Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads",
//! 2018). Parts are by weight, among the endpoints that may be picked. In-flight requests are the
//! calling worker's.

use crate::hash::hash_seeded;
use crate::load::Choice;
use crate::members::{Member, Members};
use crate::places::{identities, scan};
use crate::policy::{Asked, Policy, Problems, Tier};
use hg_plan::Endpoint;
use serde::Deserialize;
use std::sync::Arc;

/// Most points on one ring (16 bytes each); beyond it every endpoint's number shrinks in
/// proportion.
const MAX_POINTS: u64 = 1 << 20;
/// Points that a pick checks one by one before it scans the members.
const WALK: usize = 256;

/// Most points of one endpoint on a ring per unit of weight.
const MAX_VIRTUAL_NODES: u32 = 10_000;
/// Highest load bound, in percent.
const MAX_LOAD_BOUND: u32 = 10_000;

/// The options, as they are in the plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// `client_ip`, `header:NAME`, `cookie:NAME` or `path`.
    key: String,
    /// Points on the ring per unit of weight.
    #[serde(default = "virtual_nodes")]
    virtual_nodes: u32,
    /// Load in percent of the mean above which the next endpoint on the ring is taken; 0 = off.
    #[serde(default = "load_bound")]
    load_bound: u32,
}

fn virtual_nodes() -> u32 {
    100
}

fn load_bound() -> u32 {
    125
}

/// The position of one member's point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    hash: u64,
    slot: u32,
}

/// The number of points that a weight gets.
#[derive(Clone, Copy, Debug)]
struct Nodes {
    /// Points of a weight of 1.
    virtual_nodes: u32,
    /// The number that a weight of 1 is written as.
    unit: u32,
}

impl Nodes {
    /// Returns the points of a weight.
    fn of(self, weight: u64) -> u64 {
        weight.saturating_mul(self.virtual_nodes.into()).div_ceil(self.unit.max(1).into())
    }
}

#[derive(Clone, Debug)]
pub(crate) struct RingHash {
    members: Members,
    ring: Arc<[Point]>,
    /// Load bound in percent of the mean; 0 = off.
    load_bound: u32,
}

/// The load that an endpoint may hold: `active + 1 <= ceil(bound × (total + 1) × weight /
/// weights)`.
struct Bound {
    percent: u128,
    total: u128,
    weights: u128,
}

impl Policy for RingHash {
    type Options = Options;

    fn check(options: &Options, problems: &mut Problems) {
        let (nodes, bound) = (options.virtual_nodes, options.load_bound);
        if !(1..=MAX_VIRTUAL_NODES).contains(&nodes) {
            let message = format!("{nodes} is out of range; write 1 to {MAX_VIRTUAL_NODES}");
            problems.push(("virtual_nodes", message));
        }
        if bound != 0 && !(100..=MAX_LOAD_BOUND).contains(&bound) {
            let message = format!(
                "{bound} is not a bound; write 0 (off), or 100 to {MAX_LOAD_BOUND} percent of the \
                 mean load"
            );
            problems.push(("load_bound", message));
        }
    }

    fn key(options: &Options) -> Option<&str> {
        Some(&options.key)
    }

    fn new(Tier { members, endpoints, unit }: Tier<'_>, options: &Options) -> Self {
        let nodes = Nodes { virtual_nodes: options.virtual_nodes, unit };
        let ring = build(&members, endpoints, nodes);
        Self { members, ring, load_bound: options.load_bound }
    }

    /// Costs O(log points), and with a bound O(n) to sum the load.
    fn pick(&mut self, choice: &Choice<'_>, asked: &mut Asked<'_>) -> Option<u32> {
        let key = asked.hash();
        let bound = self.bound(choice);
        let fits = |m: &&Member| {
            choice.allows(m.endpoint) && bound.as_ref().is_none_or(|b| b.admits(m, choice))
        };
        let start = self.ring.partition_point(|p| p.hash < key);
        let (before, from) = self.ring.split_at_checked(start)?;
        from.iter()
            .chain(before)
            .take(WALK)
            .filter_map(|p| self.members.as_slice().get(p.slot as usize))
            .find(fits)
            .or_else(|| scan(self.members.as_slice(), key, fits))
            .map(|m| m.endpoint)
    }
}

impl RingHash {
    fn bound(&self, choice: &Choice<'_>) -> Option<Bound> {
        if self.load_bound == 0 {
            return None;
        }
        let (mut total, mut weights) = (0u128, 0u128);
        for m in self.members.as_slice().iter().filter(|m| choice.allows(m.endpoint)) {
            total += u128::from(choice.active(m.endpoint));
            weights += u128::from(m.weight);
        }
        Some(Bound { percent: self.load_bound.into(), total, weights })
    }
}

impl Bound {
    fn admits(&self, member: &Member, choice: &Choice<'_>) -> bool {
        let share = self.percent * (self.total + 1) * u128::from(member.weight);
        let capacity = share.div_ceil(100 * self.weights.max(1));
        u128::from(choice.active(member.endpoint)) < capacity
    }
}

fn build(members: &Members, endpoints: &[Endpoint], nodes: Nodes) -> Arc<[Point]> {
    let wanted = nodes.of(members.total()).max(1);
    let mut points = Vec::with_capacity(wanted.min(MAX_POINTS) as usize);
    let slots = (0u32..).zip(members.as_slice()).zip(identities(members, endpoints));
    for ((slot, member), identity) in slots {
        let mut count = nodes.of(member.weight.into());
        if wanted > MAX_POINTS {
            let part = u128::from(count) * u128::from(MAX_POINTS) / u128::from(wanted);
            count = (part as u64).max(1);
        }
        points.extend(
            (0..count).map(|i| Point { hash: hash_seeded(&i.to_le_bytes(), identity), slot }),
        );
    }
    points.sort_unstable();
    points.into()
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, endpoints, policy};
    use crate::validate;
    use crate::{Balancer, Random, WyRand};
    use hg_plan::Balance;
    use proptest::prelude::*;

    fn ring(virtual_nodes: u32, load_bound: u32) -> Balance {
        keyed("path", virtual_nodes, load_bound)
    }

    fn keyed(key: &str, virtual_nodes: u32, load_bound: u32) -> Balance {
        policy(&format!(
            r#"{{"ring_hash":{{"key":"{key}","load_bound":{load_bound},"virtual_nodes":{virtual_nodes}}}}}"#
        ))
    }

    #[test]
    fn extreme_values_pass_and_each_wrong_one_is_named_by_its_path() {
        for (nodes, bound) in [(1, 0), (100, 125), (10_000, 100)] {
            assert_eq!(validate(&ring(nodes, bound)), []);
        }
        assert_eq!(validate(&ring(0, 125))[0].0, "balance.ring_hash.virtual_nodes");
        assert_eq!(validate(&ring(1, 99))[0].0, "balance.ring_hash.load_bound");
        assert_eq!(validate(&keyed("x", 0, 1)).len(), 3, "all problems at once");
    }

    #[test]
    fn keys_share_by_weight() {
        let mut bench = Bench::new(&ring(200, 0), &endpoints(&[1, 2, 0, 5]));
        let counts = bench.count_keys(40_000);
        for (n, share) in counts.iter().zip([0.125, 0.25, 0.0, 0.625]) {
            assert!((f64::from(*n) / 40_000.0 - share).abs() < 0.04, "{counts:?}");
        }
    }

    #[test]
    fn taking_one_away_moves_only_its_keys() {
        let mut with = Bench::new(&ring(100, 0), &endpoints(&[1; 10]));
        let mut without = Bench::new(&ring(100, 0), &endpoints(&[1, 1, 1, 0, 1, 1, 1, 1, 1, 1]));
        let mut rng = WyRand::new(5);
        for _ in 0..10_000 {
            let key = rng.next_u64();
            let before = with.pick_key(key);
            assert!(before == Some(3) || before == without.pick_key(key));
        }
    }

    #[test]
    fn a_weight_too_large_for_the_ring_keeps_its_share() {
        let mut bench = Bench::new(&ring(10_000, 0), &endpoints(&[3_000_000, 1_000_000]));
        let counts = bench.count_keys(10_000);
        assert!((7_000..8_000).contains(&counts[0]), "{counts:?}");
    }

    #[test]
    fn finer_weights_make_the_ring_that_they_stand_for() {
        for nodes in [1, 7, 100, 160] {
            let mut whole = Bench::new(&ring(nodes, 0), &endpoints(&[1, 2, 3]));
            let mut fine = Bench::new(&ring(nodes, 0), &endpoints(&[1, 2, 3]));
            fine.balancer =
                Balancer::in_parts(&ring(nodes, 0), &endpoints(&[100, 200, 300]), 100).unwrap();
            let mut rng = WyRand::new(5);
            for _ in 0..2_000 {
                let key = rng.next_u64();
                assert_eq!(whole.pick_key(key), fine.pick_key(key), "{nodes}");
            }
        }
    }

    #[test]
    fn a_smaller_part_of_a_weight_moves_only_the_keys_that_it_gives_up() {
        let mut before = Bench::new(&ring(160, 0), &endpoints(&[1; 5]));
        let mut after = Bench::new(&ring(160, 0), &endpoints(&[1; 5]));
        let parts = endpoints(&[100, 100, 33, 100, 100]);
        after.balancer = Balancer::in_parts(&ring(160, 0), &parts, 100).unwrap();
        let mut rng = WyRand::new(5);
        let mut moved = 0;
        for _ in 0..10_000 {
            let key = rng.next_u64();
            let (was, is) = (before.pick_key(key), after.pick_key(key));
            assert!(was == is || was == Some(2), "{was:?} {is:?}");
            moved += u32::from(was != is);
        }
        assert!((900..1_800).contains(&moved), "{moved}");
    }

    #[test]
    fn one_usable_among_many_is_found() {
        let mut bench = Bench::new(&ring(100, 125), &endpoints(&[1; 500]));
        bench.usable = (0..500).map(|i| i == 321).collect();
        assert!(bench.count_keys(200)[321] == 200);
    }

    #[test]
    fn the_place_of_a_key_is_fixed_for_ever() {
        let mut bench = Bench::new(&ring(100, 0), &endpoints(&[1, 2, 3, 4]));
        let places: Vec<_> = (0..12u64)
            .map(|k| bench.pick_key(crate::hash_key(&k.to_le_bytes())).unwrap())
            .collect();
        assert_eq!(places, [3, 2, 0, 2, 3, 3, 0, 1, 1, 3, 3, 3]);
    }

    proptest! {
        #[test]
        fn the_bound_is_never_exceeded(
            weights in prop::collection::vec(1u32..6, 2..10),
            bound in 100u32..300,
            keys in prop::collection::vec(0u64..5, 1..200),
        ) {
            let mut bench = Bench::new(&ring(20, bound), &endpoints(&weights));
            let sum: u32 = weights.iter().sum();
            for (held, key) in (0u32..).zip(keys) {
                let picked = bench.pick_key(crate::hash_key(&key.to_le_bytes())).unwrap();
                bench.active[picked] += 1;
                let share = f64::from(bound) / 100.0 * f64::from(held + 1)
                    * f64::from(weights[picked]) / f64::from(sum);
                prop_assert!(f64::from(bench.active[picked]) <= (share - 1e-9).ceil().max(1.0));
            }
        }
    }
}
