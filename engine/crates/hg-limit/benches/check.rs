//! How long one check takes, on one core: `cargo bench -p hg-limit`. Prints medians of rounds.

#![allow(clippy::print_stdout, reason = "a program that prints what it measured")]

use hg_limit::{Cell, Flights, Key, KeyHash, Rate, Seed, Table};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

const CLIENTS: u32 = 100_000;
const CHECKS: u32 = 2_000_000;
const ROUNDS: usize = 7;

fn main() {
    let seed = Seed([3, 5]);
    // Scattered, as clients are.
    let clients: Vec<_> =
        (0..CLIENTS).map(|n| n.wrapping_mul(2_654_435_761) ^ 0x5bd1_e995).collect();
    let key = |bits: u32| {
        let mut hash = KeyHash::new(seed);
        hash.client(IpAddr::V4(Ipv4Addr::from_bits(bits)), 64);
        hash.finish()
    };
    let order: Vec<_> = (0..CHECKS).map(|n| pick(&clients, n)).collect();
    row("key alone", &order, |bits, _| u64::from(key(bits).0 == 0));
    let rate = Rate::new(100, 1_000_000);
    let table = Table::new(rate, 131_072, 0);
    row("table, 100,000 clients, 1 MiB", &order, |bits, now| {
        u64::from(table.check(key(bits), now, 1, 100).allowed)
    });
    let table = Table::new(rate, 262_144, 0);
    row("table, 100,000 clients, 2 MiB", &order, |bits, now| {
        u64::from(table.check(key(bits), now, 1, 100).allowed)
    });
    let cell = Cell::new(Rate::new(1_000_000, 1_000_000));
    row("one for all", &order, |_, now| u64::from(cell.check(now, 1, 1000).allowed));
    let flights = Flights::new(131_072);
    row("in flight, begin and end", &order, |bits, _| {
        flights.begin(Key(key(bits).0), 10).map(|permit| flights.end(permit)).is_ok().into()
    });
}

fn pick(clients: &[u32], n: u32) -> u32 {
    let at = n.wrapping_mul(747_796_405).rotate_left(9) as usize % clients.len();
    clients.get(at).copied().unwrap_or_default()
}

fn row(what: &str, order: &[u32], mut check: impl FnMut(u32, u64) -> u64) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|round| {
            let begun = Instant::now();
            let mut passed = 0;
            for (n, bits) in order.iter().enumerate() {
                // Ten checks in a microsecond.
                passed += check(*bits, (round * order.len() + n) as u64 / 10);
            }
            black_box(passed);
            begun.elapsed().as_nanos() as f64 / order.len() as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let median = rounds.get(ROUNDS / 2).copied().unwrap_or_default();
    println!("{what:34} {median:6.1} ns {:8.1} M/s", 1e3 / median);
}
