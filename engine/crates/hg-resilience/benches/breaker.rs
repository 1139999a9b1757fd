//! How long a closed breaker takes a request: `cargo bench -p hg-resilience`. The median of rounds.

#![allow(clippy::print_stdout, reason = "a program that prints what it measured")]

use hg_resilience::{Breaker, BreakerPolicy, Verdict};
use std::hint::black_box;
use std::time::Instant;

const CHECKS: u64 = 5_000_000;
const ROUNDS: usize = 9;

fn main() {
    let (breaker, policy) = (Breaker::default(), BreakerPolicy::default());
    row("check", |now| black_box(&breaker).acquire(now, &policy).is_some());
    row("check and result", |now| {
        black_box(&breaker)
            .acquire(now, &policy)
            .is_some_and(|permit| breaker.report(permit, Verdict::Good, now, &policy).is_none())
    });
}

fn row(what: &str, mut check: impl FnMut(u64) -> bool) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            let passed = (0..CHECKS).filter(|now| black_box(check(black_box(*now)))).count();
            assert_eq!(passed as u64, CHECKS, "a closed breaker admits everything");
            begun.elapsed().as_nanos() as f64 / CHECKS as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let median = rounds.get(ROUNDS / 2).copied().unwrap_or_default();
    println!("breaker, {what}: {median:.2} ns");
}
