use super::*;
use crate::rate::PER_REQUEST;
use crate::{KeyHash, Seed};
use proptest::prelude::*;
use std::collections::HashMap;

const SECOND: u64 = 1_000_000;

fn key(number: u32) -> Key {
    let mut hash = KeyHash::new(Seed([1, 2]));
    hash.text(&number.to_le_bytes());
    hash.finish()
}

/// A key of the first bucket with this tag.
fn crowded(tag: u64) -> Key {
    Key(tag << TIME_BITS)
}

/// Microseconds of one era at this rate, and one more.
fn era_us(rate: &Rate) -> u64 {
    rate.earns_us(1) * ((1 << ERA_BITS) / PER_REQUEST) + 1
}

/// A token bucket for each key, as one would write it down.
#[derive(Default)]
struct Model(HashMap<u32, (u64, u64)>);

impl Model {
    /// Returns whether a request passes, and the whole tokens left; tokens are 256ths of requests.
    fn check(&mut self, key: u32, now: u64, cost: u32, burst: u32) -> (bool, u32) {
        let most = u64::from(burst) * PER_REQUEST;
        let (tokens, seen) = self.0.entry(key).or_insert((most, now));
        *tokens = most.min(tokens.saturating_add(now - *seen));
        *seen = now;
        let cost = u64::from(cost) * PER_REQUEST;
        let passes = *tokens >= cost;
        *tokens -= if passes { cost } else { 0 };
        (passes, u32::try_from(*tokens / PER_REQUEST).unwrap())
    }
}

fn steps() -> impl Strategy<Value = Vec<(u32, u64, u32)>> {
    let pause = prop_oneof![
        6 => 0..50_000_u64,
        3 => 0..3 * SECOND,
        1 => 0..86_400 * SECOND,
        1 => 0..400 * 86_400 * SECOND,
    ];
    prop::collection::vec((0..40_u32, pause, 0..4_u32), 1..300)
}

proptest! {
    #[test]
    fn it_decides_as_a_token_bucket_for_each_key_does(
        steps in steps(), requests in 1..2_000_000_u32, seconds in 1..100_u64,
        burst in 1..20_u32, began in 0..1_u64 << 50,
    ) {
        let rate = Rate::new(requests, seconds * SECOND);
        let table = Table::new(rate, 4096, began);
        let (mut model, mut now) = (Model::default(), began);
        for (number, pause, cost) in steps {
            now += pause;
            let verdict = table.check(key(number), now, cost, burst);
            let expected = model.check(number, rate.units(now), cost, burst);
            prop_assert_eq!((verdict.allowed, verdict.remaining()), expected);
        }
        prop_assert_eq!(table.evictions(), 0);
    }

    #[test]
    fn a_small_table_differs_only_where_it_says_so(
        steps in steps(), burst in 1..6_u32,
    ) {
        let rate = Rate::new(10, SECOND);
        let table = Table::new(rate, 8, 0);
        let (mut model, mut now) = (Model::default(), 0);
        for (number, pause, cost) in steps {
            now += pause;
            let verdict = table.check(key(number), now, cost, burst);
            let expected = model.check(number, rate.units(now), cost, burst);
            if table.evictions() > 0 {
                break;
            }
            prop_assert_eq!((verdict.allowed, verdict.remaining()), expected);
        }
    }
}

#[test]
fn a_peek_counts_nothing() {
    let table = Table::new(Rate::new(1, SECOND), 8, 0);
    assert_eq!(table.peek(key(1), 5, 1, 2).remaining(), 1);
    assert!(table.check(key(1), 5, 2, 2).allowed);
    assert!(!table.peek(key(1), 5, 1, 2).allowed);
    assert!(!table.check(key(1), 5, 1, 2).allowed);
}

#[test]
fn a_key_that_owes_nothing_is_given_up_without_a_loss() {
    let table = Table::new(Rate::new(10, SECOND), 8, 0);
    for tag in 1..100 {
        // Every second all that was owed is earned.
        assert!(table.check(crowded(tag), tag * SECOND, 8, 10).allowed);
    }
    assert_eq!((table.evictions(), table.owing(99 * SECOND)), (0, 1));
}

#[test]
fn of_eight_keys_in_debt_the_one_that_owes_least_gives_way_and_is_counted() {
    let table = Table::new(Rate::new(1, SECOND), 8, 0);
    for tag in 1..=8 {
        let cost = if tag == 5 { 1 } else { 3 };
        assert!(table.check(crowded(tag), 0, cost, 3).allowed);
    }
    assert_eq!(table.evictions(), 0);
    let verdict = table.check(crowded(9), 0, 3, 3);
    assert_eq!((verdict.allowed, verdict.evicted, table.evictions()), (true, true, 1));
    for tag in [1, 2, 3, 4, 6, 7, 8, 9] {
        assert!(!table.check(crowded(tag), 0, 1, 3).allowed, "{tag}");
    }
    assert_eq!(table.peek(crowded(5), 0, 3, 3).remaining(), 0);
    assert!(table.peek(crowded(5), 0, 3, 3).allowed);
}

#[test]
fn a_request_that_can_never_pass_takes_no_slot() {
    let table = Table::new(Rate::new(1, SECOND), 8, 0);
    assert!(!table.check(key(1), 0, 4, 3).allowed);
    assert_eq!(table.owing(0), 0);
}

#[test]
fn times_that_turned_over_are_no_debts() {
    let rate = Rate::new(1000, SECOND);
    let era = era_us(&rate);
    // Each pause leaves the slot where an unswept one would look like a time ahead.
    for pause in [era, 2 * era, 3 * era, 4 * era - 1000, 4 * era, 8 * era, 40 * era] {
        let table = Table::new(rate, 4096, 77);
        for number in 0..500 {
            assert!(table.check(key(number), 77, 20, 20).allowed);
        }
        for number in 0..500 {
            let verdict = table.check(key(number), 77 + pause, 1, 20);
            assert_eq!((verdict.allowed, verdict.remaining()), (true, 19), "{pause} {number}");
        }
    }
}

#[test]
fn what_is_past_is_cleared_even_if_there_are_few_checks() {
    let rate = Rate::new(1_000_000, SECOND);
    let era = era_us(&rate);
    let table = Table::new(rate, 65_536, 0);
    for number in 0..10_000 {
        table.check(key(number), 0, 10, 10);
    }
    for step in 1..10 {
        table.check(key(20_000), step * era / 2, 1, 10);
    }
    let used = table.buckets.range(0, table.buckets.len());
    assert_eq!(used.filter(|slot| slot.load(Ordering::Relaxed) != 0).count(), 1);
}

#[test]
fn a_clock_that_is_behind_the_others_clears_nothing() {
    let rate = Rate::new(1_000_000, SECOND);
    let era = era_us(&rate);
    let table = Table::new(rate, 64, 3 * era);
    assert!(table.check(key(1), 3 * era, 5, 5).allowed);
    // It sees a debt that is greater by the difference of the clocks.
    assert!(!table.check(key(1), 3 * era - 1000, 1, 5).allowed);
    assert!(table.check(key(2), 3 * era - 1000, 5, 5).allowed);
    assert!(!table.check(key(1), 3 * era, 1, 5).allowed);
}

#[test]
fn the_size_is_rounded_up_and_bounded() {
    let keys = |keys| Table::new(Rate::new(1, SECOND), keys, 0).keys();
    assert_eq!((keys(0), keys(8), keys(9), keys(1000)), (8, 8, 16, 1024));
}

#[test]
fn workers_admit_together_what_one_would() {
    let table = Table::new(Rate::new(1, SECOND), 1024, 0);
    let admitted = || {
        let passes = |number: u32| table.check(key(number % 7), 5, 1, 300).allowed;
        (0..7_000).filter(|number| passes(*number)).count()
    };
    let sum: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(admitted)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    // The bound of the moment in which a key is new: one for each further worker.
    assert!((7 * 300..=7 * 303).contains(&sum), "{sum}");
}

#[test]
fn of_two_slots_for_one_key_the_second_is_given_up() {
    let table = Table::new(Rate::new(1, SECOND), 8, 0);
    let word = |tag: u64, time: u64| tag << TIME_BITS | time;
    let slot = |number| table.buckets.slot(0, number).unwrap();
    slot(2).store(word(7, 1000), Ordering::Relaxed);
    slot(5).store(word(7, 256), Ordering::Relaxed);
    assert!(!table.is_second(0, 2, word(7, 1000)));
    assert!(table.is_second(0, 5, word(7, 256)));
    assert_eq!(slot(5).load(Ordering::Relaxed), 0);
}

#[test]
fn bytes_are_owed_by_their_key_alone_and_may_be_paid_back() {
    let rate = Rate::bytes(1_000_000);
    let table = Table::new(rate, 64, 0);
    let waits = |number, bytes| rate.wait_us(&table.owe(key(number), 0, bytes, 1_000));
    assert_eq!([waits(1, 1_000), waits(1, 500), waits(2, 1_000)], [0, 500, 0]);
    table.pay(key(1), 0, 500);
    table.pay(key(3), 0, 500);
    assert_eq!([waits(1, 100), waits(2, 100)], [100, 100]);
    // A second later nothing is owed, and paying makes no credit.
    table.pay(key(1), SECOND, 5_000);
    assert_eq!(rate.wait_us(&table.owe(key(1), SECOND, 1_001, 1_000)), 1);
}

#[test]
fn a_key_owes_no_more_than_a_time_can_say() {
    let rate = Rate::bytes(crate::MAX_BYTES);
    let table = Table::new(rate, 8, 0);
    for _ in 0..4 {
        table.owe(key(1), 0, u64::MAX, 1);
    }
    let wait_us = rate.wait_us(&table.owe(key(1), 0, 1, 0));
    assert_eq!(wait_us, (1_u64 << 38).div_ceil(10_000));
}
