use super::*;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000;

#[test]
fn a_request_adds_its_cost_until_the_burst_is_owed() {
    let first = decide(0, 1, 3);
    assert_eq!((first.allowed, first.remaining()), (true, 2));
    let all = decide(first.debt, 2, 3);
    assert_eq!((all.allowed, all.remaining()), (true, 0));
    let more = decide(all.debt, 1, 3);
    assert_eq!((more.allowed, more.debt, more.lacks), (false, all.debt, PER_REQUEST));
}

#[test]
fn a_cost_of_nothing_passes_and_one_above_the_burst_never_does() {
    assert!(decide(0, 0, 1).allowed);
    assert!(decide(PER_REQUEST, 0, 1).allowed);
    assert!(!decide(0, 4, 3).allowed);
}

#[test]
fn the_times_of_a_verdict_are_what_the_client_has_to_wait() {
    let rate = Rate::new(10, SECOND);
    let refused = decide(decide(0, 2, 2).debt, 1, 2);
    assert_eq!((rate.wait_us(&refused), rate.full_us(&refused)), (100_000, 200_000));
    assert_eq!(rate.wait_us(&decide(0, 2, 2)), 0);
    assert_eq!(rate.earns_us(30), 3 * SECOND);
    // A third of a second is rounded up, so that who waits that long passes.
    assert_eq!(Rate::new(3, SECOND).earns_us(1), 333_334);
}

#[test]
fn what_is_owed_above_a_number_of_requests_is_a_time() {
    let (rate, owed) = (Rate::new(10, SECOND), decide(0, 3, 5));
    assert_eq!([1, 2, 3, 4].map(|n| rate.above_us(&owed, n)), [200_000, 100_000, 0, 0]);
}

#[test]
fn a_rate_outside_its_bounds_becomes_the_nearest() {
    assert_eq!(Rate::new(0, 1), Rate::new(1, MIN_PERIOD_US));
    assert_eq!(Rate::new(u32::MAX, u64::MAX), Rate::new(MAX_REQUESTS, MAX_PERIOD_US));
}

#[test]
fn time_is_counted_right_after_a_thousand_years_too() {
    let year = 365 * MAX_PERIOD_US;
    let fast = Rate::new(MAX_REQUESTS, MIN_PERIOD_US);
    assert_eq!(fast.units(1000 * year), 1000 * year * 256);
    let slow = Rate::new(1, MAX_PERIOD_US);
    assert_eq!(slow.units(1000 * year - 10 * SECOND), 365_000 * PER_REQUEST - 1);
    assert_eq!(slow.units(1000 * year), 365_000 * PER_REQUEST);
}

proptest! {
    #[test]
    fn who_waits_as_long_as_told_passes(
        requests in 1..=MAX_REQUESTS, seconds in 1..=86_400_u64, now in 0..1_u64 << 50,
        burst in 1..1000_u32, owed in 0..1000_u64, cost in 1..1000_u32,
    ) {
        let (rate, cost) = (Rate::new(requests, seconds * SECOND), cost.min(burst));
        let debt = owed.min(burst.into()) * PER_REQUEST;
        let verdict = decide(debt, cost, burst);
        let free = rate.units(now) + debt;
        let later = rate.units(now + rate.wait_us(&verdict) + 1);
        prop_assert!(decide(free.saturating_sub(later), cost, burst).allowed);
        prop_assert_eq!(rate.wait_us(&verdict) == 0, verdict.allowed);
    }
}
