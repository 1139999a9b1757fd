//! The lessons of balancers, breakers and outlier detection from a request that left its endpoint.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use hg_resilience::{Breaker, BreakerPolicy};

/// Chosen at 2 ms; `first_byte_us` = 0 without an answer; it left at 9.5 ms.
fn left(outcome: Outcome, first_byte_us: u64, admission: Admission) -> Left {
    let times = TryTimes { began_us: 2_000, first_byte_us, ..TryTimes::default() };
    Left { outcome, admission, times, now_us: 9_500 }
}

#[test]
fn a_balancer_learns_how_long_the_head_took_or_how_long_nobody_had_one() {
    for (outcome, first_byte_us, expected) in [
        (Outcome::Ok, 5_000, Sample::Took(3_000)),
        (Outcome::Gateway, 5_000, Sample::Failed(3_000)),
        (Outcome::Limited, 5_000, Sample::Failed(3_000)),
        (Outcome::Timeout, 0, Sample::Failed(7_500)),
        (Outcome::Cancelled, 5_000, Sample::Took(3_000)),
        (Outcome::Cancelled, 0, Sample::AtLeast(7_500)),
    ] {
        let left = left(outcome, first_byte_us, Admission::default());
        assert_eq!(left.sample(), expected, "{outcome:?}");
    }
}

#[test]
fn outlier_detection_learns_when_a_request_was_at_its_endpoint() {
    for is_probe in [false, true] {
        let admission = Admission { is_probe, permit: None };
        let ended = left(Outcome::Reset, 0, admission).ended();
        assert_eq!((ended.outcome, ended.is_probe), (Outcome::Reset, is_probe));
        assert_eq!((ended.began_ms, ended.now_ms), (2, 9));
    }
}

/// Returns the permit of a closed breaker, and that of the same one half open.
fn permits() -> [Permit; 2] {
    let policy = BreakerPolicy { failures: 1, open_for_ms: 10, ..BreakerPolicy::default() };
    let breaker = Breaker::default();
    let closed = breaker.acquire(0, &policy).unwrap();
    breaker.report(closed, Verdict::Bad, 1, &policy);
    [closed, breaker.acquire(1_000, &policy).unwrap()]
}

#[test]
fn a_breaker_learns_of_requests_that_it_let_through() {
    assert!(left(Outcome::Ok, 5_000, Admission::default()).judged().is_none());
    let [permit, _] = permits();
    let admission = Admission { permit: Some(permit), is_probe: false };
    let judged = left(Outcome::Gateway, 5_000, admission).judged().unwrap();
    assert_eq!((judged.permit, judged.verdict), (permit, Verdict::Bad));
    assert_eq!((judged.head_ms, judged.now_ms), (3, 9));
}

#[test]
fn a_trial_is_over_at_the_head_of_its_answer_and_other_claims_stay() {
    let [closed, trial] = permits();
    for (permit, is_probe, taken, kept) in [
        (None, false, None, None),
        (Some(closed), false, None, Some(closed)),
        (Some(closed), true, Some((None, true)), Some(closed)),
        (Some(trial), false, Some((Some(trial), false)), None),
        (Some(trial), true, Some((Some(trial), true)), None),
        (None, true, Some((None, true)), None),
    ] {
        let mut admission = Admission { permit, is_probe };
        let found = admission.take_trial().map(|a| (a.permit, a.is_probe));
        assert_eq!((found, admission.permit), (taken, kept));
        assert!(!admission.is_probe);
    }
}
