use super::*;

const SECOND: u64 = 1_000_000;

fn pace(grace_ms: u64, rate: u64) -> Pace {
    let mut pace = Pace::default();
    pace.begin(SECOND, grace_ms, rate);
    pace
}

#[test]
fn a_body_may_be_silent_for_its_grace_and_no_longer() {
    let mut pace = pace(30_000, 0);
    assert_eq!(pace.due_us, 31 * SECOND);
    pace.came(1, 20 * SECOND);
    assert_eq!(pace.due_us, 50 * SECOND);
    assert!(pace.deadline() > Clock::ticks(50 * SECOND) && pace.deadline() < Ticks::MAX);
}

#[test]
fn bytes_below_the_rate_lose_ground_and_bytes_above_it_win_no_credit() {
    let mut slow = pace(10_000, 500);
    // At a hundred bytes per second, every second costs four fifths of one.
    for second in 2..=10 {
        slow.came(100, second * SECOND);
    }
    assert_eq!(slow.due_us, 11 * SECOND + 9 * SECOND / 5);
    let mut even = pace(10_000, 500);
    for second in 2..=1000 {
        even.came(500, second * SECOND);
        assert_eq!(even.due_us, (second + 10) * SECOND);
    }
    let mut quick = pace(10_000, 500);
    quick.came(1_000_000_000, 2 * SECOND);
    assert_eq!(quick.due_us, 12 * SECOND, "a quick beginning does not pay for a pause");
}

#[test]
fn time_in_which_the_upstream_takes_nothing_does_not_count() {
    let mut pace = pace(10_000, 500);
    assert!(pace.hold(true, 5 * SECOND) && !pace.hold(true, 6 * SECOND));
    assert_eq!(pace.deadline(), Ticks::MAX);
    assert!(pace.hold(false, 105 * SECOND) && !pace.hold(false, 106 * SECOND));
    assert_eq!(pace.due_us, 111 * SECOND);
}

#[test]
fn without_a_grace_nothing_is_watched() {
    let mut pace = pace(0, 500);
    pace.came(1, 5 * SECOND);
    assert!(!pace.hold(true, 6 * SECOND));
    assert_eq!(pace.deadline(), Ticks::MAX);
}
