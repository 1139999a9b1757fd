//! Compares `docs/reference/balancing.md` with the code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions only

use hg_plan::{Balance, Endpoint};
use hg_policy::{Balancer, KeySource, MAX_TABLE_SIZE};
use std::path::Path;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/reference/balancing.md");
    std::fs::read_to_string(path).unwrap()
}

/// Returns the policies in the page's first table: name, and the plan's form of it with defaults.
fn listed() -> Vec<(String, Balance)> {
    let page = page();
    let rows = page.lines().skip_while(|l| !l.starts_with("| policy |")).skip(2);
    rows.take_while(|l| l.starts_with('|'))
        .map(|row| {
            let name = row.split('`').nth(1).unwrap().to_owned();
            let json = match &*name {
                "ring_hash" | "maglev" => format!(r#"{{"{name}":{{"key":"client_ip"}}}}"#),
                _ => format!(r#""{name}""#),
            };
            let policy = serde_json::from_str(&json).unwrap();
            (name, policy)
        })
        .collect()
}

#[test]
fn every_policy_is_listed_and_works() {
    let endpoints: Vec<Endpoint> =
        serde_json::from_str(r#"[{"address":"192.0.2.1:80"},{"address":"192.0.2.2:80"}]"#).unwrap();
    let listed = listed();
    for (name, policy) in &listed {
        assert!(Balancer::new(policy, &endpoints).is_ok(), "{name}");
    }
    let variants: std::collections::BTreeSet<_> = listed
        .iter()
        .map(|(_, policy)| match policy {
            Balance::RoundRobin => 0,
            Balance::LeastConn => 1,
            Balance::Random => 2,
            Balance::P2c => 3,
            Balance::RingHash { .. } => 4,
            Balance::Maglev { .. } => 5,
        })
        .collect();
    assert_eq!(variants.len(), 6);
}

#[test]
fn defaults_and_limits_are_the_code_s() {
    let page = page();
    for (_, policy) in listed() {
        match policy {
            Balance::RingHash { virtual_nodes, load_bound, .. } => {
                assert!(page.contains(&format!("| `virtual_nodes` | {virtual_nodes} |")));
                assert!(page.contains(&format!("| `load_bound` | {load_bound} |")));
            }
            Balance::Maglev { table_size, .. } => {
                assert!(page.contains(&format!("| `table_size` | {table_size} |")));
                assert!(page.contains(&format!("a prime up to {MAX_TABLE_SIZE}")));
            }
            _ => {}
        }
    }
}

#[test]
fn every_key_that_is_listed_is_taken() {
    let page = page();
    let rows = page.lines().skip_while(|l| !l.starts_with("| key |")).skip(2);
    let keys: Vec<_> = rows
        .take_while(|l| l.starts_with('|'))
        .map(|row| KeySource::parse(&row.split('`').nth(1).unwrap().replace("NAME", "x")))
        .collect();
    assert_eq!(
        keys,
        [
            Ok(KeySource::ClientIp),
            Ok(KeySource::Header("x".into())),
            Ok(KeySource::Cookie("x".into())),
            Ok(KeySource::Path),
        ]
    );
}
