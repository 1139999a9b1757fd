#[path = "new_balancer/mod.rs"]
mod new_balancer;

use super::*;
use crate::testing::{Bench, endpoints, policy};
use crate::{NAMES, validate};
use proptest::prelude::*;

/// Every balancer that there is, those with a key last.
fn policies() -> Vec<Balance> {
    let with_keys = [
        r#"{"ring_hash":{"key":"path","virtual_nodes":20}}"#,
        r#"{"ring_hash":{"key":"cookie:a","virtual_nodes":20,"load_bound":0}}"#,
        r#"{"maglev":{"key":"header:x","table_size":251}}"#,
    ];
    let words = NAMES.iter().map(|name| policy(&format!(r#""{name}""#)));
    let mut all: Vec<_> = words.filter(|word| validate(word).is_empty()).collect();
    all.extend(with_keys.map(policy));
    all
}

fn needs_key(policy: &Balance) -> bool {
    Balancer::new(policy, &[]).unwrap().needs_key().is_some()
}

#[test]
fn no_balancer_is_left_out_of_these_tests() {
    let tried: Vec<_> = policies().iter().map(|one| one.kind().to_owned()).collect();
    assert!(NAMES.iter().all(|name| tried.iter().any(|one| one == name)), "{tried:?}");
}

/// (weight, backup, usable, tried, active)
type State = (u32, bool, bool, bool, u32);

fn state() -> impl Strategy<Value = Vec<State>> {
    let one = (0u32..4, any::<bool>(), any::<bool>(), any::<bool>(), 0u32..9);
    prop::collection::vec(one, 1..15)
}

fn bench_of(policy: &Balance, state: &[State], seed: u64) -> Bench {
    let mut list = endpoints(&state.iter().map(|s| s.0).collect::<Vec<_>>());
    for (endpoint, s) in list.iter_mut().zip(state) {
        endpoint.backup = s.1;
    }
    let mut bench = Bench::seeded(policy, &list, seed);
    bench.usable = state.iter().map(|s| s.2).collect();
    bench.active = state.iter().map(|s| s.4).collect();
    for (i, s) in state.iter().enumerate() {
        assert!(!s.3 || bench.tried.insert(i));
    }
    bench
}

proptest! {
    #[test]
    fn only_what_may_be_picked_is_and_something_is_if_anything_may(
        state in state(), key: Option<u64>, seed: u64,
    ) {
        let may = |s: &State| s.0 > 0 && s.2 && !s.3;
        let primary = state.iter().any(|s| may(s) && !s.1);
        for policy in policies() {
            let mut bench = bench_of(&policy, &state, seed);
            for _ in 0..10 {
                match bench.pick_optional(key) {
                    Some(i) => prop_assert!(may(&state[i]) && state[i].1 != primary),
                    None => prop_assert!(!state.iter().any(may)),
                }
            }
        }
    }

    #[test]
    fn equal_inputs_give_equal_picks(state in state(), seed: u64) {
        for policy in policies() {
            let mut a = bench_of(&policy, &state, seed);
            let mut b = bench_of(&policy, &state, seed);
            for key in 0..20 {
                prop_assert_eq!(a.pick_key(key), b.pick_key(key));
            }
        }
    }

    #[test]
    fn trying_one_after_the_other_reaches_all(state in state(), seed: u64) {
        for policy in policies() {
            let mut bench = bench_of(&policy, &state, seed);
            let mut left = state.iter().filter(|s| s.0 > 0 && s.2 && !s.3).count();
            while let Some(i) = bench.pick_key(seed) {
                prop_assert!(bench.tried.insert(i));
                left -= 1;
            }
            prop_assert_eq!(left, 0);
        }
    }
}

#[test]
fn a_missing_key_is_spread_by_weight() {
    for policy in policies().into_iter().filter(needs_key) {
        let mut bench = Bench::new(&policy, &endpoints(&[1, 0, 1]));
        let counts = bench.count(10_000);
        assert!(counts[1] == 0 && (2_000..8_000).contains(&counts[0]), "{counts:?}");
    }
}

#[test]
fn hashing_policies_name_their_key() {
    let keys: Vec<_> = policies()
        .iter()
        .filter(|p| ["ring_hash", "maglev"].contains(&p.kind()))
        .filter_map(|p| Bench::new(p, &endpoints(&[1])).balancer.needs_key().cloned())
        .collect();
    let [path, cookie, header] =
        [KeySource::Path, KeySource::Cookie("a".into()), KeySource::Header("x".into())];
    assert_eq!(keys, [path, cookie, header]);
}

#[test]
fn wrong_values_and_a_table_too_small_are_refused() {
    let small = policy(r#"{"maglev":{"key":"path","table_size":3}}"#);
    let problems = Balancer::new(&small, &endpoints(&[1; 4])).unwrap_err();
    assert_eq!(problems[0].0, "balance.maglev.table_size");
    assert!(Balancer::new(&small, &endpoints(&[1; 3])).is_ok());
    let key = policy(r#"{"maglev":{"key":"nothing","table_size":3}}"#);
    assert_eq!(Balancer::new(&key, &endpoints(&[1])).unwrap_err()[0].0, "balance.maglev.key");
}

#[test]
fn what_was_learned_survives_a_new_list() {
    let p2c = policy(r#""p2c""#);
    let mut old = Balancer::new(&p2c, &endpoints(&[1, 1, 1])).unwrap();
    old.finished(2, 1, Sample::Failed(1_000));
    let mut bench = Bench::new(&p2c, &endpoints(&[1, 1]));
    bench.balancer.inherit(&old, |i| [Some(2), None].get(i).copied().flatten());
    assert_eq!(bench.count(100), [0, 100]);
    bench.balancer.inherit(&Bench::new(&Balance::default(), &endpoints(&[1])).balancer, Some);
    assert_eq!(bench.count(100), [0, 100], "another kind has nothing to tell");
}
