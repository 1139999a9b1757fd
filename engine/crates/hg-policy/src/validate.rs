//! Checks the values of a policy.

use crate::KeySource;
use hg_plan::{Balance, Endpoint};

/// What is wrong with an upstream's policy: (path of keys in the upstream, what is wrong and what
/// is allowed).
pub type Problem = (String, String);

/// The largest Maglev table: 20 MB per upstream. Envoy's `maglev_lb_config` has the same bound.
pub const MAX_TABLE_SIZE: u32 = 5_000_011;

/// Most points of one endpoint on a ring per unit of weight.
const MAX_VIRTUAL_NODES: u32 = 10_000;

/// Highest load bound, in percent.
const MAX_LOAD_BOUND: u32 = 10_000;

/// Returns everything that is wrong with a policy's values; empty if they are valid.
pub fn validate(policy: &Balance) -> Vec<Problem> {
    let mut problems = Vec::new();
    match policy {
        Balance::RoundRobin | Balance::LeastConn | Balance::Random | Balance::P2c => {}
        Balance::RingHash { key, virtual_nodes, load_bound } => {
            check_key("balance.ring_hash.key", key, &mut problems);
            if !(1..=MAX_VIRTUAL_NODES).contains(virtual_nodes) {
                problems.push((
                    "balance.ring_hash.virtual_nodes".into(),
                    format!("{virtual_nodes} is out of range; write 1 to {MAX_VIRTUAL_NODES}"),
                ));
            }
            if *load_bound != 0 && !(100..=MAX_LOAD_BOUND).contains(load_bound) {
                problems.push((
                    "balance.ring_hash.load_bound".into(),
                    format!(
                        "{load_bound} is not a bound; write 0 (off), or 100 to {MAX_LOAD_BOUND} \
                         percent of the mean load"
                    ),
                ));
            }
        }
        Balance::Maglev { key, table_size } => {
            check_key("balance.maglev.key", key, &mut problems);
            if *table_size > MAX_TABLE_SIZE || !is_prime(*table_size) {
                problems.push((
                    "balance.maglev.table_size".into(),
                    format!(
                        "{table_size} is not a prime up to {MAX_TABLE_SIZE}; write 65537, or \
                         655373 for more than 600 endpoints"
                    ),
                ));
            }
        }
    }
    problems
}

/// Validates as [`validate`] does, and also what depends on the endpoints: a Maglev table smaller
/// than their number.
pub(crate) fn validate_with(policy: &Balance, endpoints: &[Endpoint]) -> Vec<Problem> {
    let mut problems = validate(policy);
    if let Balance::Maglev { table_size, .. } = policy
        && (*table_size as usize) < endpoints.len()
        && problems.is_empty()
    {
        problems.push((
            "balance.maglev.table_size".into(),
            format!(
                "{table_size} is less than the number of endpoints; write more than {}",
                endpoints.len()
            ),
        ));
    }
    problems
}

fn check_key(path: &str, key: &str, problems: &mut Vec<Problem>) {
    if let Err(message) = KeySource::parse(key) {
        problems.push((path.into(), message));
    }
}

fn is_prime(n: u32) -> bool {
    n >= 2 && (2..).take_while(|d: &u32| d.saturating_mul(*d) <= n).all(|d| !n.is_multiple_of(d))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maglev(table_size: u32) -> Balance {
        Balance::Maglev { key: "path".into(), table_size }
    }

    fn ring(virtual_nodes: u32, load_bound: u32) -> Balance {
        Balance::RingHash { key: "client_ip".into(), virtual_nodes, load_bound }
    }

    #[test]
    fn the_suggested_and_the_extreme_values_pass() {
        for size in [2, 3, 251, 65_537, 655_373, MAX_TABLE_SIZE] {
            assert_eq!(validate(&maglev(size)), [], "{size}");
        }
        for (nodes, bound) in [(1, 0), (100, 125), (10_000, 100)] {
            assert_eq!(validate(&ring(nodes, bound)), []);
        }
    }

    #[test]
    fn each_wrong_value_is_named_by_its_path() {
        for size in [0, 1, 4, 65_536, 5_000_077] {
            assert_eq!(validate(&maglev(size))[0].0, "balance.maglev.table_size", "{size}");
        }
        assert_eq!(validate(&ring(0, 125))[0].0, "balance.ring_hash.virtual_nodes");
        assert_eq!(validate(&ring(1, 99))[0].0, "balance.ring_hash.load_bound");
        let all = Balance::RingHash { key: "x".into(), virtual_nodes: 0, load_bound: 1 };
        assert_eq!(validate(&all).len(), 3, "all problems at once");
    }
}
