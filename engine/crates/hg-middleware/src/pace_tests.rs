use super::*;
use hg_limit::Seed;
use std::sync::OnceLock;

const SECOND: u64 = 1_000_000;

fn shared(speed: Speed) -> Arc<Kept> {
    Arc::new(OnceLock::from(State::All(Cell::new(speed.rate))))
}

fn limit(speed: Speed, kept: &Arc<Kept>) -> Limit {
    let account = Account::Shared(kept.clone(), Key(0));
    Limit { speed, account, counts: None, has_held: false }
}

fn own(per_s: u64, burst: u64) -> Pace {
    let speed = Speed::new(per_s, burst);
    let account = Account::Own(Cell::new(speed.rate));
    let mut pace = Pace::default();
    let limit = Limit { speed, account, counts: None, has_held: false };
    assert_eq!(pace.join(limit, 0, true), 0);
    pace
}

/// Passes as much as may pass until a time; returns how many bytes that is.
fn run(pace: &mut Pace, passed: &mut u64, mut now: u64, until: u64) {
    while now <= until {
        match pace.allow(*passed, now) {
            0 => now = pace.until_us().max(now + 1),
            bytes => *passed += bytes,
        }
    }
}

#[test]
fn a_burst_passes_at_once_and_then_so_many_bytes_a_second() {
    let (mut pace, mut passed) = (own(100_000, 300_000), 0);
    run(&mut pace, &mut passed, 0, 0);
    assert!((295_000..=300_000).contains(&passed), "{passed}");
    run(&mut pace, &mut passed, 1, 10 * SECOND);
    assert!((1_295_000..=1_300_000).contains(&passed), "{passed}");
}

#[test]
fn a_late_timer_costs_nothing_of_the_rate() {
    // A wheel that turns every 4 ms, 100 MB/s: 400 kB each time.
    let (mut pace, mut passed) = (own(100_000_000, 1), 0);
    for tick in 0..250 {
        let now = tick * 4_000;
        while pace.allow(passed, now) > 0 {
            passed += pace.allow(passed, now);
        }
    }
    assert!((98_000_000..=102_500_000).contains(&passed), "{passed}");
}

#[test]
fn bytes_beyond_what_was_allowed_are_waited_for_afterwards() {
    let mut pace = own(10_000, 1_000);
    // What came with a head was not asked for.
    assert_eq!(pace.allow(51_024, 0), 0);
    assert!((5 * SECOND..6 * SECOND).contains(&pace.until_us()), "{}", pace.until_us());
}

#[test]
fn bodies_that_share_an_account_have_turns_of_their_own() {
    let speed = Speed::new(100_000, 0);
    let kept = shared(speed);
    let mut paces: Vec<Pace> = (0..10).map(|_| Pace::default()).collect();
    let mut times: Vec<u64> =
        paces.iter_mut().map(|pace| pace.join(limit(speed, &kept), 0, true)).collect();
    assert_eq!(times[0], 0);
    times.dedup();
    let held = times.iter().filter(|us| **us > 0).count();
    assert_eq!(times.len(), held + 1, "each waits for its own time: {times:?}");
    let mut passed = vec![0; 10];
    for ms in 0..=20_000 {
        for (pace, passed) in paces.iter_mut().zip(&mut passed) {
            *passed += pace.allow(*passed, ms * 1_000);
        }
    }
    let sum: u64 = passed.iter().sum();
    assert!((1_950_000..=2_060_000).contains(&sum), "{sum}");
    assert!(passed.iter().all(|one| (150_000..=250_000).contains(one)), "{passed:?}");
}

#[test]
fn what_was_not_used_goes_back_to_the_account() {
    let speed = Speed::new(100_000, 10_000);
    let kept = shared(speed);
    for _ in 0..1_000 {
        let mut pace = Pace::default();
        assert_eq!(pace.join(limit(speed, &kept), 0, true), 0);
        assert!(pace.allow(1, 0) > 0);
        drop(pace);
    }
    let mut pace = Pace::default();
    pace.join(limit(speed, &kept), 0, true);
    let mut passed = 0;
    run(&mut pace, &mut passed, 0, 0);
    assert!((3_000..=9_000).contains(&passed), "1,000 bytes had passed: {passed}");
}

#[test]
fn keys_owe_apart_and_the_slowest_of_several_limits_counts() {
    let speed = Speed::new(100_000, 0);
    let table = hg_limit::Table::new(speed.rate, 64, 0);
    let kept: Arc<Kept> = Arc::new(OnceLock::from(State::Keys(table, Seed([1, 2]))));
    let of = |key: u64| Limit {
        speed,
        account: Account::Shared(kept.clone(), Key(key << 41)),
        counts: None,
        has_held: false,
    };
    let mut passed = [0; 2];
    for (key, passed) in (1..).zip(&mut passed) {
        let mut pace = Pace::default();
        pace.join(of(key), 0, true);
        let slow = Speed::new(10_000, 0);
        if key == 2 {
            let account = Account::Own(Cell::new(slow.rate));
            pace.join(Limit { speed: slow, account, counts: None, has_held: false }, 0, true);
        }
        run(&mut pace, passed, 0, 10 * SECOND);
    }
    assert!((990_000..=1_010_000).contains(&passed[0]), "{passed:?}");
    assert!((99_000..=102_000).contains(&passed[1]), "{passed:?}");
}

#[test]
fn a_body_whose_count_begins_anew_owes_no_byte_twice() {
    let (mut pace, mut passed) = (own(100_000, 50_000), 0);
    run(&mut pace, &mut passed, 0, 0);
    pace.restart(passed);
    let mut more = 0;
    run(&mut pace, &mut more, 0, SECOND);
    assert!((95_000..=105_000).contains(&more), "{more}");
}
