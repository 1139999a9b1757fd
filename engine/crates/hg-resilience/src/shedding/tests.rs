use super::*;

const MARKS: Marks = Marks { strained: 75, critical: 150 };
const POLICY: SheddingPolicy = SheddingPolicy { queued: 100, lag_us: 100, marks: MARKS };
const ONLY: SheddingPolicy =
    SheddingPolicy { queued: 100, lag_us: 100, marks: Marks { strained: 0, critical: 0 } };
use Level::{Calm, Critical, Overloaded, Strained};

#[test]
fn each_level_begins_at_its_part_of_the_limit_and_ends_at_four_fifths_of_that() {
    for (was, load, is) in [
        (Calm, 74, Calm),
        (Calm, 75, Strained),
        (Calm, 100, Overloaded),
        (Calm, 150, Critical),
        (Critical, 120, Critical),
        (Critical, 119, Overloaded),
        (Overloaded, 80, Overloaded),
        (Overloaded, 79, Strained),
        (Critical, 60, Strained),
        (Strained, 59, Calm),
    ] {
        assert_eq!(MARKS.level(was, load, 100), is, "{was:?} {load}");
    }
    assert_eq!(MARKS.level(Calm, u64::MAX, 0), Calm, "no limit");
    assert_eq!(Marks::default().level(Calm, 99, 100), Calm, "off");
    assert_eq!(Marks::default().level(Calm, 1_000, 100), Overloaded, "off");
    assert_eq!(MARKS.level(Calm, 1, 2), Calm, "three quarters of two are two");
    assert_eq!(MARKS.level(Calm, u64::MAX, u64::MAX), Critical, "above all is all there is");
}

#[test]
fn what_matters_less_is_refused_first() {
    let shed = |importance: Importance| Level::ALL.map(|level| importance.is_shed_at(level));
    assert_eq!(shed(Importance::Low), [false, true, true, true]);
    assert_eq!(shed(Importance::Normal), [false, false, true, true]);
    assert_eq!(shed(Importance::High), [false, false, false, true]);
}

#[test]
fn levels_have_numbers() {
    for level in Level::ALL {
        assert_eq!(Level::of_number(level.number()), level);
    }
    assert_eq!(Level::of_number(9), Critical);
    assert_eq!(Level::ALL.map(Level::name), ["calm", "strained", "overloaded", "critical"]);
}

#[test]
fn the_highest_level_counts_and_names_its_cause() {
    let mut shedder = Shedder::default();
    shedder.turn(0, 0, 80, &POLICY);
    assert_eq!(shedder.overload(0, Calm), Some((Strained, Overload::Queue)));
    assert_eq!(shedder.overload(0, Strained), Some((Strained, Overload::Memory)));
    assert_eq!(shedder.overload(0, Critical), Some((Critical, Overload::Memory)));
    shedder.turn(0, 800, 80, &POLICY);
    assert_eq!(shedder.overload(0, Strained), Some((Critical, Overload::Lag)));
    assert_eq!(shedder.levels(), (Strained, Critical));
}

#[test]
fn a_load_is_over_from_its_limit_on_until_it_is_well_below() {
    for (was, load, limit, is) in [
        (false, 99, 100, false),
        (false, 100, 100, true),
        (true, 80, 100, true),
        (true, 79, 100, false),
        (true, u64::MAX, 0, false),
        (false, u64::MAX, u64::MAX, true),
    ] {
        assert_eq!(is_over(was, load, limit), is, "{was} {load} {limit}");
    }
}

#[test]
fn one_long_turn_is_no_overload_and_several_are() {
    let mut shedder = Shedder::default();
    for (n, overload) in [None, None, Some(Overload::Lag)].into_iter().enumerate() {
        shedder.turn(n as u64, 200, 0, &ONLY);
        let cause = shedder.overload(n as u64, Calm).map(|(_, cause)| cause);
        assert_eq!(cause, overload, "{n}");
    }
    for n in 0..20 {
        shedder.turn(n, 0, 0, &POLICY);
    }
    assert_eq!(shedder.overload(20, Calm), None);
}

#[test]
fn long_turns_are_forgotten_when_the_worker_was_idle() {
    let mut shedder = Shedder::default();
    (0..9).for_each(|n| shedder.turn(n, 10_000, 0, &POLICY));
    assert_eq!(shedder.overload(STALE_US, Calm), Some((Critical, Overload::Lag)));
    assert_eq!(shedder.overload(STALE_US + 9, Calm), None);
    shedder.turn(STALE_US + 10, 10, 0, &POLICY);
    assert_eq!(shedder.overload(STALE_US + 10, Calm), None);
}

#[test]
fn what_waits_and_memory_count_at_once_and_off_is_off() {
    let mut shedder = Shedder::default();
    shedder.turn(0, 0, 100, &POLICY);
    let waiting = Some((Overloaded, Overload::Queue));
    assert_eq!(shedder.overload(u64::MAX, Calm), waiting, "they still wait");
    assert_eq!(shedder.overload(0, Overloaded), Some((Overloaded, Overload::Memory)));
    shedder.turn(1, u64::MAX, u64::MAX, &SheddingPolicy::default());
    assert_eq!(shedder.overload(1, Calm), None);
}

#[test]
fn a_level_is_told_when_it_rises_now_and_then_and_when_it_is_over() {
    let mut shedder = Shedder::default();
    let mut tells = |now_us, level| shedder.tells(now_us, level);
    assert!(!tells(0, Calm), "nothing was told");
    assert!(tells(0, Strained));
    assert!(!tells(TELL_US - 1, Strained));
    assert!(tells(TELL_US - 1, Overloaded), "it rose");
    assert!(!tells(TELL_US, Strained));
    assert!(tells(2 * TELL_US, Strained));
    assert!(tells(2 * TELL_US, Calm), "it is over");
    assert!(!tells(9 * TELL_US, Calm));
}
