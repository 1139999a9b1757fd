//! How long one choice takes, on one core: `cargo bench -p hg-policy`. Prints medians of rounds.

#![allow(clippy::print_stdout, reason = "a program that prints what it measured")]

use hg_plan::{Balance, Endpoint};
use hg_policy::{Balancer, Load, Sample, Tried, WyRand, hash_key};
use std::hint::black_box;
use std::time::Instant;

const PICKS: u64 = 2_000_000;
const ROUNDS: usize = 9;
const POLICIES: &[&str] = &[
    r#""round_robin""#,
    r#""least_conn""#,
    r#""random""#,
    r#""p2c""#,
    r#"{"ring_hash":{"key":"path"}}"#,
    r#"{"maglev":{"key":"path"}}"#,
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoints: Vec<Endpoint> = (0..10)
        .map(|n| serde_json::from_str(&format!(r#"{{"address":"192.0.2.1:{n}"}}"#)))
        .collect::<Result<_, _>>()?;
    println!("{:32} {:>10} {:>10}", "ten endpoints, ns", "median", "least");
    for policy in POLICIES {
        let balance: Balance = serde_json::from_str(policy)?;
        let balancer = Balancer::new(&balance, &endpoints).map_err(|e| format!("{e:?}"))?;
        row(policy, balancer, endpoints.len());
    }
    Ok(())
}

fn row(what: &str, mut balancer: Balancer, endpoints: usize) {
    let (active, usable) = (vec![1; endpoints], vec![true; endpoints]);
    let load = Load { active: &active, usable: &usable };
    let (tried, mut rng) = (Tried::new(), WyRand::new(7));
    let mut rounds: Vec<f64> = (0..ROUNDS as u64)
        .map(|round| {
            let begun = Instant::now();
            let mut sum = 0;
            for n in 0..PICKS {
                let now_us = round * PICKS + n;
                let key = Some(hash_key(&n.to_le_bytes()));
                let picked = balancer.pick(&load, &tried, key, now_us, &mut rng);
                let picked = black_box(picked).unwrap_or_default();
                balancer.finished(picked, now_us, Sample::Took(1000));
                sum += picked;
            }
            black_box(sum);
            begun.elapsed().as_nanos() as f64 / PICKS as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let of = |at: usize| rounds.get(at).copied().unwrap_or_default();
    println!("{what:32} {:>10.2} {:>10.2}", of(ROUNDS / 2), of(0));
}
