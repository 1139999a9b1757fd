//! The same bytes to a session of ours and to one of the `h2` crate, as servers: the same class of
//! outcome for the connection and for each stream, the same fields, the same bodies.
//!
//! Where the outcomes differ, a rule in `explain.rs` must say why; anything else fails. The number of
//! inputs is `DIFFERENTIAL` (3,000), the first seed `DIFFERENTIAL_SEED` (1). The fuzz target `h2_beside`
//! compares in the same way what libFuzzer chooses.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs
)]

mod explain;
mod make;
mod ours;
mod outcome;
mod theirs;

use outcome::{DROPPED, Outcome, Stream, sorted};
use std::collections::BTreeMap;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn a_session_and_the_h2_crate_agree() {
    let first = number("DIFFERENTIAL_SEED", 1);
    let mut explained: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut alive, mut wrong) = (0, Vec::new());
    for seed in first..first + number("DIFFERENTIAL", 3000) {
        let bytes = make::connection(make::Rng::of_seed(seed));
        let (ours, theirs) = (ours::serve(&bytes), theirs::serve(&bytes));
        alive += u64::from(ours.closed.is_none());
        for (what, why) in explain::differences(&ours, &theirs, &bytes) {
            match why {
                Some(why) => *explained.entry(why).or_default() += 1,
                None => wrong.push(format!(
                    "seed {seed}: {what}\n  {}\n  {ours:?}\n  {theirs:?}",
                    bytes.escape_ascii()
                )),
            }
        }
    }
    println!("{alive} connections stayed open; explained differences: {explained:#?}");
    let first: Vec<_> = wrong.iter().take(5).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} differences: {}", wrong.len(), first.join("\n"));
    assert!(alive > 0);
}
