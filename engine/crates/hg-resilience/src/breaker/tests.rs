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
    let lost = [breaker.acquire(1_000, &POLICY), breaker.acquire(1_000, &POLICY)];
    assert!(!admits(&breaker, 1_999) && admits(&breaker, 2_000));
    for permit in lost.into_iter().flatten() {
        assert_eq!(breaker.report(permit, Verdict::Bad, 2_001, &POLICY), None, "too late");
    }
    assert_eq!(breaker.circuit(), Circuit::HalfOpen);
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
    assert_eq!(breaker.trip(5, &POLICY), Some(Turn::Opened));
    assert_eq!(breaker.report(old, Verdict::Good, 6, &POLICY), None);
    assert_eq!(breaker.wake(1_005, &POLICY), Some(Turn::HalfOpened));
    assert_eq!(breaker.report(old, Verdict::Bad, 1_006, &POLICY), None);
    assert_eq!(breaker.close(1_007), Some(Turn::Closed));
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
        let cell = breaker.cell();
        assert_eq!(cell.judge(Verdict::Good, now_ms, &POLICY), None, "no exchange is tried");
        assert_eq!(breaker.report(permit, Verdict::Good, now_ms, &POLICY), None);
    }
    assert_eq!(breaker.word.load(Ordering::Relaxed), before);
}

#[test]
fn a_cell_survives_its_word() {
    for circuit in [Circuit::Closed, Circuit::Open, Circuit::HalfOpen] {
        for (count, probes, stamp) in [(0, 0, 0), (MOST, 0, LAST_MS), (0, MOST, 0), (3, 5, 77)] {
            let cell = Cell { circuit, count, probes, stamp };
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
