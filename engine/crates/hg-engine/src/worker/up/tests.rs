//! Pools and who uses them.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn key(address: &str) -> PoolKey {
    PoolKey { address: address.into(), setup: "plain".into() }
}

#[test]
fn a_pool_lasts_as_long_as_it_has_users() {
    let mut pools = Pools::default();
    let a = pools.acquire(&key("a"));
    assert_eq!(pools.acquire(&key("a")), a);
    let b = pools.acquire(&key("b"));
    assert_ne!(a, b);
    pools.get(a).unwrap().idle.extend([3, 5]);
    pools.get(a).unwrap().shared.push(7);
    assert!(pools.release(&key("a")).is_empty());
    assert_eq!(pools.get(a).unwrap().idle, [3, 5], "it has one user left");
    assert_eq!(pools.release(&key("a")), [3, 5, 7]);
    assert!(pools.get(a).is_none() && pools.get(b).is_some());
    assert!(pools.release(&key("a")).is_empty());
    // Another pool takes its place, and the old reference does not lead there.
    let c = pools.acquire(&key("c"));
    assert!(pools.get(c).is_some() && pools.get(a).is_none());
    assert_ne!(pools.acquire(&key("a")), a);
}
