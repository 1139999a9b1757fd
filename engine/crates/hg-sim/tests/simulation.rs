//! A share of the seeds, and the faults that others found.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use std::env;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|v| v.parse().unwrap())
}

/// `HEADGATE_SIM_SEED=7` plays one seed and prints what happened; `HEADGATE_SIM_SEEDS=100000` plays
/// so many, `HEADGATE_SIM_FIRST=5000` from another one on.
#[test]
fn what_must_always_hold_holds_for_every_seed() {
    if let Some(seed) = number("HEADGATE_SIM_SEED") {
        let (result, lines) = hg_sim::replay(seed);
        for line in lines {
            eprintln!("{line}");
        }
        eprintln!("{:?}", result.unwrap());
        return;
    }
    let first = number("HEADGATE_SIM_FIRST").unwrap_or(1);
    let count = number("HEADGATE_SIM_SEEDS").unwrap_or(2000);
    let (mut wrong, mut requests, mut served) = (Vec::new(), 0, 0);
    for seed in first..first + count {
        match hg_sim::run(seed) {
            Ok(report) => {
                requests += report.requests;
                served += report.served;
            }
            Err(e) => wrong.push(e),
        }
        if wrong.len() >= 20 {
            break;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    eprintln!("{count} seeds from {first}: {requests} requests, {served} served");
    assert!(served * 4 > requests, "of {requests} requests only {served} were served");
}

#[test]
fn the_same_seed_plays_the_same_run() {
    for seed in 1..200 {
        assert_eq!(hg_sim::run(seed), hg_sim::run(seed), "seed {seed}");
    }
}
