//! Compares `docs/reference/balancing.md` with the code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions only

use hg_plan::{Balance, Endpoint};
use hg_policy::{Balancer, KeySource, NAMES, validate};
use std::collections::BTreeSet;
use std::path::Path;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/reference/balancing.md");
    std::fs::read_to_string(path).unwrap()
}

/// Returns the plan's form of a policy, with a key if it needs one.
fn policy(name: &str) -> Balance {
    let word: Balance = serde_json::from_str(&format!(r#""{name}""#)).unwrap();
    if validate(&word).is_empty() {
        return word;
    }
    serde_json::from_str(&format!(r#"{{"{name}":{{"key":"client_ip"}}}}"#)).unwrap()
}

#[test]
fn every_policy_is_listed_and_works() {
    let page = page();
    let rows = page.lines().skip_while(|l| !l.starts_with("| policy |")).skip(2);
    let listed: Vec<_> = rows
        .take_while(|l| l.starts_with('|'))
        .map(|row| row.split('`').nth(1).unwrap().to_owned())
        .collect();
    let sorted = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), sorted(NAMES));
    let endpoints: Vec<Endpoint> =
        serde_json::from_str(r#"[{"address":"192.0.2.1:80"},{"address":"192.0.2.2:80"}]"#).unwrap();
    for name in listed {
        assert!(Balancer::new(&policy(&name), &endpoints).is_ok(), "{name}");
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
