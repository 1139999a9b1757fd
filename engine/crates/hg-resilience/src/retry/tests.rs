use super::*;
use proptest::prelude::*;

fn on(names: &[&str]) -> RetryOn {
    let mut on = RetryOn::default();
    assert!(names.iter().all(|name| on.add(name)), "{names:?}");
    on
}

fn policy(names: &[&str]) -> RetryPolicy {
    RetryPolicy { on: on(names), ..RetryPolicy::default() }
}

/// Returns a first try that ended so, with nothing against a retry but the outcome.
fn attempt(outcome: Outcome) -> Attempt {
    Attempt {
        outcome,
        status: None,
        tries: 1,
        repeatable: true,
        replayable: true,
        answered: false,
        awaited: true,
        left_ms: 10_000,
        retry_after_ms: None,
    }
}

fn decide(policy: &RetryPolicy, attempt: Attempt) -> Result<u64, Stop> {
    match policy.decide(&attempt, 0, || true) {
        Decision::Retry { after_ms } => Ok(after_ms),
        Decision::Stop(stop) => Err(stop),
    }
}

#[test]
fn what_was_not_processed_is_always_worth_a_retry_and_nothing_else_by_default() {
    for outcome in Outcome::ALL {
        let decision = decide(&RetryPolicy::default(), attempt(outcome));
        let expected = if outcome.is_unprocessed() { Ok(0) } else { Err(Stop::NotCovered) };
        assert_eq!(decision, expected, "{outcome:?}");
    }
}

#[test]
fn conditions_are_read_as_config_writes_them() {
    for (name, outcome, status) in [
        ("503", Outcome::Gateway, Some(Status::Http(503))),
        ("429", Outcome::Limited, Some(Status::Http(429))),
        ("404", Outcome::Ok, Some(Status::Http(404))),
        ("5xx", Outcome::ServerError, Some(Status::Http(500))),
        ("5xx", Outcome::Gateway, Some(Status::Http(503))),
        ("gateway-error", Outcome::Gateway, Some(Status::Http(502))),
        ("timeout", Outcome::Timeout, None),
        ("reset", Outcome::Reset, None),
        ("reset", Outcome::Protocol, None),
    ] {
        let ended = Attempt { status, ..attempt(outcome) };
        assert_eq!(decide(&policy(&[name]), ended), Ok(0), "{name}");
        assert_eq!(decide(&policy(&[]), ended), Err(Stop::NotCovered), "{name}");
    }
    let other = Attempt { status: Some(Status::Http(502)), ..attempt(Outcome::Gateway) };
    assert_eq!(decide(&policy(&["503"]), other), Err(Stop::NotCovered));
    let success = Attempt { status: Some(Status::Http(200)), ..attempt(Outcome::Ok) };
    assert_eq!(decide(&policy(&["5xx", "503"]), success), Err(Stop::NotCovered));
}

#[test]
fn what_is_no_condition_is_refused() {
    let bad = ["", "5XX", "4xx", "399", "600", "+503", "0503", "503 ", "65536", "ok", "cancelled"];
    for name in bad {
        assert!(!RetryOn::default().add(name), "{name}");
    }
    assert!(!RetryOn::default().covers(Outcome::Ok, Some(Status::Http(u16::MAX))));
}

#[test]
fn each_obstacle_stops_alone() {
    let policy = policy(&["503"]);
    let good = Attempt { status: Some(Status::Http(503)), ..attempt(Outcome::Gateway) };
    assert_eq!(decide(&policy, good), Ok(0));
    for (bad, stop) in [
        (Attempt { status: Some(Status::Http(500)), ..good }, Stop::NotCovered),
        (Attempt { answered: true, ..good }, Stop::Answered),
        (Attempt { awaited: false, ..good }, Stop::NotAwaited),
        (Attempt { replayable: false, ..good }, Stop::NotReplayable),
        (Attempt { repeatable: false, ..good }, Stop::NotRepeatable),
        (Attempt { tries: 3, ..good }, Stop::Spent),
        (Attempt { left_ms: 0, ..good }, Stop::NoTime),
        (Attempt { retry_after_ms: Some(10_000), ..good }, Stop::NoTime),
        (Attempt { outcome: Outcome::Cancelled, ..good }, Stop::NotCovered),
    ] {
        assert_eq!(decide(&policy, bad), Err(stop), "{bad:?}");
    }
    let empty = policy.decide(&good, 0, || false);
    assert_eq!(empty, Decision::Stop(Stop::NoBudget));
}

#[test]
fn what_may_have_been_processed_is_repeated_only_if_it_may_be() {
    let policy = policy(&["timeout"]);
    let post = |outcome| Attempt { repeatable: false, ..attempt(outcome) };
    assert_eq!(decide(&policy, post(Outcome::Timeout)), Err(Stop::NotRepeatable));
    assert_eq!(decide(&policy, post(Outcome::Connect)), Ok(0));
    assert_eq!(decide(&policy, post(Outcome::Refused)), Ok(0));
}

#[test]
fn retry_after_is_waited_for_if_there_is_time() {
    let policy = policy(&["503"]);
    let asked = Attempt {
        status: Some(Status::Http(503)),
        retry_after_ms: Some(2_000),
        ..attempt(Outcome::Gateway)
    };
    assert_eq!(decide(&policy, asked), Ok(2_000));
    assert_eq!(decide(&policy, Attempt { left_ms: 2_001, ..asked }), Ok(2_000));
    assert_eq!(decide(&policy, Attempt { left_ms: 2_000, ..asked }), Err(Stop::NoTime));
}

proptest! {
    #[test]
    fn a_budget_is_asked_only_when_nothing_else_speaks_against_it(
        outcome in prop::sample::select(Outcome::ALL.to_vec()),
        tries in 0u32..5, flags in any::<[bool; 4]>(), left_ms in 0u64..300, random: u64,
    ) {
        let [repeatable, replayable, answered, rich] = flags;
        let policy = policy(&["5xx", "reset", "timeout"]);
        let ended =
            Attempt { tries, repeatable, replayable, answered, left_ms, ..attempt(outcome) };
        let mut asked = false;
        let decision = policy.decide(&ended, random, || { asked = true; rich });
        match decision {
            Decision::Retry { after_ms } => {
                prop_assert!(asked && rich && after_ms < left_ms && tries <= 2);
                prop_assert!(!answered && replayable);
                prop_assert!(repeatable || outcome.is_unprocessed());
            }
            Decision::Stop(Stop::NoBudget) => prop_assert!(asked && !rich),
            Decision::Stop(_) => prop_assert!(!asked),
        }
    }
}

#[test]
fn codes_of_grpc_are_worth_a_retry_whatever_the_method_and_nothing_else_of_grpc_is() {
    for (code, name) in (1..).zip(CODES) {
        let name = format!("grpc-{name}");
        let status = Some(Status::Grpc(code));
        let ended = Attempt { status, repeatable: false, ..attempt(Outcome::of_grpc(code)) };
        assert_eq!(decide(&policy(&[&name]), ended), Ok(0), "{name}");
        for other in ["5xx", "gateway-error", "503", "timeout", "reset"] {
            assert_eq!(decide(&policy(&[other]), ended), Err(Stop::NotCovered), "{name}: {other}");
        }
    }
    let mut on = RetryOn::default();
    for wrong in ["grpc-", "grpc-ok", "grpc-14", "unavailable", "grpc-UNAVAILABLE"] {
        assert!(!on.add(wrong), "{wrong}");
    }
    assert!(!on.has_codes());
    assert!(on.add("grpc-unavailable") && on.has_codes());
    for code in [0, 13, 15, 17, 31, 32, 14 + 32, u32::MAX] {
        assert!(!on.covers(Outcome::of_grpc(code), Some(Status::Grpc(code))), "{code}");
    }
}
