use super::*;
use proptest::prelude::*;

const POLICY: BreakerPolicy =
    BreakerPolicy { failures: 3, open_for_ms: 1_000, successes: 2, probes: 2 };

/// Sends one request with this result.
fn send(breaker: &Breaker, verdict: Verdict, now_ms: u64) -> Option<Turn> {
    let permit = breaker.acquire(now_ms, &POLICY).expect("the breaker lets it through");
    breaker.report(permit, verdict, now_ms, &POLICY)
}

/// Returns a breaker that opened at this time.
fn opened(now_ms: u64) -> Breaker {
    let breaker = Breaker::default();
    assert_eq!(breaker.trip(now_ms, &POLICY), Some(Turn::Opened));
    breaker
}

fn admits(breaker: &Breaker, now_ms: u64) -> bool {
    breaker.acquire(now_ms, &POLICY).is_some()
}

#[test]
fn failures_in_a_row_open_it_and_a_success_between_starts_anew() {
    let breaker = Breaker::default();
    let verdicts = [
        (Verdict::Bad, None),
        (Verdict::Bad, None),
        (Verdict::Good, None),
        (Verdict::Bad, None),
        (Verdict::Neutral, None),
        (Verdict::Throttled, None),
        (Verdict::Bad, None),
        (Verdict::Bad, Some(Turn::Opened)),
    ];
    for (i, (verdict, turned)) in verdicts.into_iter().enumerate() {
        assert_eq!(send(&breaker, verdict, 10), turned, "{i}");
    }
    assert_eq!((breaker.circuit(), breaker.open_until_ms()), (Circuit::Open, Some(1_010)));
    assert!(!admits(&breaker, 1_009));
}

#[test]
fn it_half_opens_at_its_time_for_so_many_requests() {
    let breaker = opened(0);
    let first = breaker.acquire(1_000, &POLICY).unwrap();
    assert_eq!(first.turned, Some(Turn::HalfOpened));
    let second = breaker.acquire(1_000, &POLICY).unwrap();
    assert_eq!(second.turned, None);
    assert!(!admits(&breaker, 1_000), "two are under way");
    assert_eq!(breaker.report(first, Verdict::Neutral, 1_001, &POLICY), None);
    assert!(admits(&breaker, 1_001), "one came back without a verdict");
}

#[test]
fn successes_close_it_and_one_failure_opens_it_again() {
    let breaker = opened(0);
    assert_eq!(send(&breaker, Verdict::Good, 1_000), None);
    assert_eq!(send(&breaker, Verdict::Good, 1_001), Some(Turn::Closed));
    for verdict in [Verdict::Bad, Verdict::Throttled] {
        let breaker = opened(0);
        assert_eq!(send(&breaker, Verdict::Good, 1_000), None);
        assert_eq!(send(&breaker, verdict, 1_001), Some(Turn::Reopened));
        assert_eq!(breaker.open_until_ms(), Some(2_001));
    }
}

#[test]
fn requests_that_never_come_back_do_not_keep_it_half_open_for_ever() {
    let breaker = opened(0);
    for period in 1..9 {
        let now_ms = period * 1_000;
        assert!(admits(&breaker, now_ms) && admits(&breaker, now_ms + 999));
        assert!(!admits(&breaker, now_ms + 999), "two are under way");
    }
    assert_eq!(breaker.circuit(), Circuit::HalfOpen);
}

/// Returns a half-open breaker, two requests that try it, and one more that got a place after they
/// were given up, at 2,000 ms.
fn given_up() -> (Breaker, [Permit; 3]) {
    let breaker = opened(0);
    let permits = [1_000, 1_000, 2_000].map(|now_ms| breaker.acquire(now_ms, &POLICY).unwrap());
    assert!(permits.iter().all(Permit::is_trial));
    (breaker, permits)
}

#[test]
fn answers_slower_than_the_time_that_it_stays_open_close_it() {
    let (breaker, [first, second, third]) = given_up();
    assert_eq!(breaker.report(first, Verdict::Good, 2_001, &POLICY), None);
    assert_eq!(breaker.report(second, Verdict::Good, 2_002, &POLICY), Some(Turn::Closed));
    assert_eq!(breaker.report(third, Verdict::Bad, 2_003, &POLICY), None, "it tried the breaker");
}

#[test]
fn slow_answers_in_endless_traffic_close_it() {
    let (breaker, mut under_way) = (opened(0), Vec::new());
    let mut turns = Vec::new();
    for now_ms in (1_000..6_000).step_by(100) {
        under_way.extend(breaker.acquire(now_ms, &POLICY).map(|permit| (permit, now_ms + 1_500)));
        while under_way.first().is_some_and(|(_, ends_ms)| *ends_ms <= now_ms) {
            let (permit, _) = under_way.remove(0);
            turns.extend(breaker.report(permit, Verdict::Good, now_ms, &POLICY));
        }
    }
    assert_eq!(turns, [Turn::Closed]);
}

#[test]
fn a_failure_that_comes_late_opens_it_again() {
    for verdict in [Verdict::Bad, Verdict::Throttled] {
        let (breaker, [first, second, third]) = given_up();
        assert_eq!(breaker.report(first, verdict, 2_001, &POLICY), Some(Turn::Reopened));
        assert_eq!(breaker.report(second, Verdict::Good, 2_002, &POLICY), None);
        assert_eq!(breaker.wake(3_001, &POLICY), Some(Turn::HalfOpened));
        for earlier in [second, third] {
            let reported = breaker.report(earlier, Verdict::Bad, 3_002, &POLICY);
            assert_eq!(reported, None, "it began before the breaker opened again");
        }
    }
}

#[test]
fn a_request_that_was_given_up_has_no_place_to_give_back() {
    for verdict in [Verdict::Neutral, Verdict::Good] {
        let (breaker, [first, _, third]) = given_up();
        assert!(admits(&breaker, 2_001) && !admits(&breaker, 2_001));
        assert_eq!(breaker.report(first, verdict, 2_002, &POLICY), None);
        assert!(!admits(&breaker, 2_002), "the two that have places are under way");
        assert_eq!(breaker.report(third, Verdict::Neutral, 2_003, &POLICY), None);
        assert!(admits(&breaker, 2_003));
    }
}

#[test]
fn asking_whether_it_admits_takes_no_place() {
    let breaker = opened(0);
    let would = |now_ms| breaker.would_admit(now_ms, &POLICY);
    assert_eq!([999, 1_000, 1_000, 1_000].map(would), [false, true, true, true]);
    assert!(admits(&breaker, 1_000) && would(1_000) && admits(&breaker, 1_000));
    assert_eq!([1_000, 1_999, 2_000].map(would), [false, false, true]);
    assert_eq!(breaker.close(2_000), Some(Turn::Closed));
    assert!(would(2_000));
}

#[test]
fn results_from_before_it_opened_count_no_more() {
    let breaker = Breaker::default();
    let old = breaker.acquire(0, &POLICY).unwrap();
    assert!(breaker.is_current(old));
    assert_eq!(breaker.trip(5, &POLICY), Some(Turn::Opened));
    assert!(!breaker.is_current(old));
    assert_eq!(breaker.report(old, Verdict::Good, 6, &POLICY), None);
    assert_eq!(breaker.wake(1_005, &POLICY), Some(Turn::HalfOpened));
    assert_eq!(breaker.report(old, Verdict::Bad, 1_006, &POLICY), None);
    assert_eq!(breaker.close(1_007), Some(Turn::Closed));
    assert!(!breaker.is_current(old) && breaker.is_current(breaker.acquire(0, &POLICY).unwrap()));
    for _ in 0..9 {
        assert_eq!(breaker.report(old, Verdict::Bad, 1_008, &POLICY), None);
    }
    assert_eq!(breaker.circuit(), Circuit::Closed);
}

#[test]
fn waking_tripping_and_closing_act_only_where_they_may() {
    let breaker = Breaker::default();
    assert_eq!(breaker.wake(9, &POLICY), None);
    assert_eq!(breaker.close(9), None);
    assert_eq!(breaker.trip(9, &POLICY), Some(Turn::Opened));
    assert_eq!(breaker.trip(10, &POLICY), None);
    assert_eq!(breaker.wake(1_008, &POLICY), None);
    assert_eq!(breaker.wake(1_009, &POLICY), Some(Turn::HalfOpened));
    assert_eq!(breaker.trip(1_010, &POLICY), Some(Turn::Reopened));
    assert_eq!(breaker.close(1_011), Some(Turn::Closed));
}

#[test]
fn a_policy_of_zeros_neither_opens_by_streak_nor_jams() {
    let policy = BreakerPolicy { failures: 0, open_for_ms: 0, successes: 0, probes: 0 };
    let breaker = Breaker::default();
    for _ in 0..100 {
        let permit = breaker.acquire(0, &policy).unwrap();
        assert_eq!(breaker.report(permit, Verdict::Bad, 0, &policy), None);
    }
    assert_eq!(breaker.trip(0, &policy), Some(Turn::Opened));
    let permit = breaker.acquire(0, &policy).unwrap();
    assert_eq!(breaker.report(permit, Verdict::Good, 0, &policy), Some(Turn::Closed));
}

#[test]
fn while_nothing_fails_nothing_is_written() {
    let breaker = Breaker::default();
    let before = breaker.word.load(Ordering::Relaxed);
    for now_ms in 0..100 {
        let permit = breaker.acquire(now_ms, &POLICY).unwrap();
        let after = breaker.cell().report(permit, Verdict::Good, now_ms, &POLICY);
        assert_eq!(after, None, "no exchange is tried");
        assert_eq!(breaker.report(permit, Verdict::Good, now_ms, &POLICY), None);
    }
    assert_eq!(breaker.word.load(Ordering::Relaxed), before);
}

#[test]
fn the_eras_begin_anew_after_the_last() {
    let breaker = Breaker::default();
    let eras: Vec<u8> = (0..=u64::from(LAST_ERA) + 1)
        .map(|now_ms| {
            assert_eq!(breaker.trip(now_ms, &POLICY), Some(Turn::Opened));
            assert_eq!(breaker.close(now_ms), Some(Turn::Closed));
            breaker.cell().era
        })
        .collect();
    assert_eq!((eras[0], eras[62], eras[63], eras[64]), (1, 63, 0, 1));
}

#[test]
fn a_cell_survives_its_word() {
    for circuit in [Circuit::Closed, Circuit::Open, Circuit::HalfOpen] {
        for (count, probes, era, stamp) in
            [(0, 0, 0, 0), (MOST, 0, LAST_ERA, 0), (0, MOST_PROBES, 0, LAST_MS), (3, 5, 9, 77)]
        {
            let cell = Cell { circuit, count, probes, era, stamp };
            assert_eq!(Cell::from_word(cell.to_word()), cell);
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Send,
    Answer(usize, Verdict),
    Wait(u64),
    Wake,
    Trip,
}

fn act() -> impl Strategy<Value = Act> {
    let verdict = prop::sample::select(vec![
        Verdict::Good,
        Verdict::Bad,
        Verdict::Throttled,
        Verdict::Neutral,
    ]);
    prop_oneof![
        6 => Just(Act::Send),
        6 => (any::<usize>(), verdict).prop_map(|(i, v)| Act::Answer(i, v)),
        3 => (0u64..900).prop_map(Act::Wait),
        1 => Just(Act::Wake),
        1 => Just(Act::Trip),
    ]
}

proptest! {
    #[test]
    fn half_open_probes_are_bounded_and_an_open_breaker_lets_nothing_through(
        acts in prop::collection::vec(act(), 1..200),
    ) {
        let (breaker, mut now_ms) = (Breaker::default(), 0);
        let mut under_way: Vec<Permit> = Vec::new();
        for act in acts {
            match act {
                Act::Wait(ms) => now_ms += ms,
                Act::Wake => _ = breaker.wake(now_ms, &POLICY),
                Act::Trip => _ = breaker.trip(now_ms, &POLICY),
                Act::Send => {
                    let open = breaker.open_until_ms().is_some_and(|until| now_ms < until);
                    let permit = breaker.acquire(now_ms, &POLICY);
                    prop_assert!(permit.is_none() || !open);
                    under_way.extend(permit);
                }
                Act::Answer(i, verdict) if !under_way.is_empty() => {
                    let permit = under_way.swap_remove(i % under_way.len());
                    breaker.report(permit, verdict, now_ms, &POLICY);
                }
                Act::Answer(..) => {}
            }
            let cell = breaker.cell();
            let probing = under_way
                .iter()
                .filter(|p| (p.circuit, p.stamp) == (Circuit::HalfOpen, cell.stamp))
                .count();
            prop_assert!(probing <= usize::from(POLICY.probes), "{cell:?} {under_way:?}");
        }
        // Whatever happened, it lets a request through before long.
        prop_assert!(breaker.acquire(now_ms + 1_000, &POLICY).is_some());
    }
}
