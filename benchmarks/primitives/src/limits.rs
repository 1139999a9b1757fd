//! Rate limits: for each of 100,000 clients, and one for all.
//!
//! A microsecond passes with each request, and every request is within its limit, so that each is
//! written down: refusals would be cheaper. governor is measured twice: with the clock that it
//! comes with, and with the passing microseconds that ours is told, as a worker tells it.

use crate::{Contender, Found, TURN, compare, scattered};
use governor::clock::Clock;
use governor::nanos::Nanos;
use governor::{Quota, RateLimiter};
use hg_limit::{KeyHash, Rate, Seed, Table};
use std::cell::Cell;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;

const CLIENTS: usize = 100_000;
/// Requests a second of each client, who makes ten.
const EACH: u32 = 100;
const ALL: u32 = 1_000_000;
const SECOND_US: u64 = 1_000_000;
/// As `max_keys` of a limit has it.
const KEYS: usize = 131_072;

/// Nanoseconds that the turn sets.
struct Tick<'a>(&'a Cell<u64>);

impl Clock for Tick<'_> {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.get())
    }
}

pub fn measure(found: &mut Found) -> Result<(), Box<dyn Error>> {
    keyed(found)?;
    global(found)
}

fn keyed(found: &mut Found) -> Result<(), Box<dyn Error>> {
    let client = |n: usize| (n as u32).wrapping_mul(2_654_435_761) ^ 0x5bd1_e995;
    let order: Vec<IpAddr> =
        (0..TURN).map(|n| Ipv4Addr::from_bits(client(scattered(n, CLIENTS))).into()).collect();
    let table = Table::new(Rate::new(EACH, SECOND_US), KEYS, 0);
    let mut now_us = 0;
    let ours = || {
        let mut good = 0;
        for one in &order {
            now_us += 1;
            let mut hash = KeyHash::new(Seed([3, 5]));
            hash.client(*one, 64);
            good += u64::from(table.check(hash.finish(), now_us, 1, EACH).allowed);
        }
        good
    };
    let clock = Cell::new(0);
    let quota = Quota::per_second(NonZeroU32::new(EACH).ok_or("no rate")?);
    let limiter = RateLimiter::dashmap_with_clock(quota, Tick(&clock));
    let theirs = || {
        let mut good = 0;
        for one in &order {
            clock.set(clock.get() + 1_000);
            good += u64::from(limiter.check_key(one).is_ok());
        }
        good
    };
    let limiter = RateLimiter::keyed(wide()?);
    let as_it_comes = || order.iter().map(|one| u64::from(limiter.check_key(one).is_ok())).sum();
    let all = vec![
        Contender::new("ours", ours),
        Contender::new("governor", as_it_comes),
        Contender::new("governor-told", theirs),
    ];
    compare(found, "limit-client", all)
}

fn global(found: &mut Found) -> Result<(), Box<dyn Error>> {
    let cell = hg_limit::Cell::new(Rate::new(ALL, SECOND_US));
    let mut now_us = 0;
    let ours = || {
        let mut good = 0;
        for _ in 0..TURN {
            now_us += 1;
            good += u64::from(cell.check(now_us, 1, ALL).allowed);
        }
        good
    };
    let clock = Cell::new(0);
    let quota = Quota::per_second(NonZeroU32::new(ALL).ok_or("no rate")?);
    let limiter = RateLimiter::direct_with_clock(quota, Tick(&clock));
    let theirs = || {
        let mut good = 0;
        for _ in 0..TURN {
            clock.set(clock.get() + 1_000);
            good += u64::from(limiter.check().is_ok());
        }
        good
    };
    let limiter = RateLimiter::direct(wide()?);
    let as_it_comes = || (0..TURN).map(|_| u64::from(limiter.check().is_ok())).sum();
    let all = vec![
        Contender::new("ours", ours),
        Contender::new("governor", as_it_comes),
        Contender::new("governor-told", theirs),
    ];
    compare(found, "limit-global", all)
}

/// A limit that nobody reaches in whatever time the turns take.
fn wide() -> Result<Quota, Box<dyn Error>> {
    Ok(Quota::per_second(NonZeroU32::new(u32::MAX).ok_or("no rate")?))
}
