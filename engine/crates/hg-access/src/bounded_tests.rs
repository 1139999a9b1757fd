use super::Verified;
use crate::sealed::{Fingerprint, Sealer};
use proptest::prelude::*;

fn print(n: u64) -> Fingerprint {
    Sealer::new(&[1; 32]).seal(&[0; 32], &n.to_be_bytes())
}

#[test]
fn a_result_counts_until_its_moment() {
    let cache = Verified::new(100);
    cache.put(print(1), "alice", 10);
    assert_eq!(cache.get(&print(1), 9), Some("alice"));
    assert_eq!(cache.get(&print(1), 10), None);
    assert_eq!(cache.get(&print(2), 0), None);
}

#[test]
fn a_newer_result_replaces_an_older_one() {
    let cache = Verified::new(1);
    cache.put(print(1), 1, 10);
    cache.put(print(1), 2, 20);
    assert_eq!(cache.get(&print(1), 15), Some(2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn it_holds_no_more_than_its_capacity_and_the_last_ones_always(
        capacity in 1usize..400, added in 0u64..1500,
    ) {
        let cache = Verified::new(capacity);
        for n in 0..added {
            cache.put(print(n), n, u64::MAX);
            prop_assert_eq!(cache.get(&print(n), 0), Some(n));
        }
        prop_assert!(cache.len() <= capacity.div_ceil(32) * 32);
    }
}
