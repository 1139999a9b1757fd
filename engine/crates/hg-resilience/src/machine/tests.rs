use super::*;
use crate::state::tests::every_state;

const NOW: u64 = 5_000;
const START: u16 = 100;

fn every_event() -> Vec<Event> {
    let admins = [Admin::Ready, Admin::Drain, Admin::Maintenance];
    let agents = [Agent::Ready, Agent::Drain, Agent::Down, Agent::Maintenance];
    let mut all: Vec<_> = admins.into_iter().map(Event::Operator).collect();
    all.extend(agents.map(Event::Agent));
    all.extend([
        Event::ChecksOn,
        Event::ChecksOff,
        Event::CheckPassed,
        Event::CheckFailed(Reason::CheckStatus),
        Event::Eject(Reason::Consecutive5xx),
        Event::Spare(Reason::SparedLimit),
        Event::EjectionOver,
        Event::ProbeTaken,
        Event::ProbePassed,
        Event::ProbeFailed,
        Event::ProbeLost,
        Event::OutliersOff,
        Event::BreakerOpened(Reason::BreakerFailures),
        Event::BreakerHalfOpened,
        Event::BreakerClosed,
        Event::Warmed(500),
    ]);
    all
}

/// Returns all (state, event, state after it).
fn every_step() -> Vec<(State, Event, Option<State>)> {
    let events = every_event();
    let pairs = every_state().into_iter().flat_map(|s| events.iter().map(move |e| (s, *e)));
    pairs.map(|(s, e)| (s, e, s.step(e, NOW, START))).collect()
}

fn parts(s: State) -> (Admin, Agent, Active, Outlier, Circuit) {
    (s.operator, s.agent, s.active, s.outlier, s.circuit)
}

#[test]
fn a_step_changes_something_or_is_none() {
    for (before, event, after) in every_step() {
        let Some(after) = after else { continue };
        match event {
            Event::Warmed(_) => panic!("nothing warms at full weight: {before:?}"),
            Event::Spare(_) => assert_eq!(parts(before), parts(after)),
            _ => assert_ne!(parts(before), parts(after), "{before:?} {event:?}"),
        }
        assert_eq!((Some(after.reason), after.changed_ms), (event.reason(), NOW));
    }
}

#[test]
fn every_event_touches_only_its_own_part() {
    for (before, event, after) in every_step() {
        let Some(after) = after else { continue };
        let kind = event.kind();
        let operator = kind == Kind::Operator;
        let agent = kind == Kind::Agent;
        let of = |kinds: &[Kind]| kinds.contains(&kind);
        let checks = of(&[Kind::ChecksOn, Kind::ChecksOff, Kind::CheckPassed, Kind::CheckFailed]);
        let breaker = of(&[Kind::BreakerOpened, Kind::BreakerHalfOpened, Kind::BreakerClosed]);
        let outliers = kind == Kind::CheckPassed || !(operator || agent || checks || breaker);
        assert!(operator || before.operator == after.operator, "{before:?} {event:?}");
        assert!(agent || before.agent == after.agent, "{before:?} {event:?}");
        assert!(checks || before.active == after.active, "{before:?} {event:?}");
        assert!(breaker || before.circuit == after.circuit, "{before:?} {event:?}");
        assert!(outliers || before.outlier == after.outlier, "{before:?} {event:?}");
    }
}

#[test]
fn what_has_no_row_changes_nothing() {
    let refused = |active, outlier, circuit, event: Event| {
        let state = State { active, outlier, circuit, ..every_state()[0] };
        assert_eq!(state.step(event, NOW, START), None, "{state:?} {event:?}");
    };
    let (up, down, closed) = (Active::Up, Active::Down, Circuit::Closed);
    refused(up, Outlier::In, closed, Event::CheckPassed);
    refused(up, Outlier::Ejected, closed, Event::CheckPassed);
    refused(down, Outlier::In, closed, Event::CheckFailed(Reason::CheckStatus));
    refused(Active::Unchecked, Outlier::In, closed, Event::CheckPassed);
    refused(Active::Unchecked, Outlier::In, closed, Event::CheckFailed(Reason::CheckTls));
    refused(up, Outlier::Ejected, closed, Event::Eject(Reason::SuccessRate));
    refused(up, Outlier::Ejected, closed, Event::Spare(Reason::SparedLimit));
    refused(up, Outlier::Ejected, closed, Event::ProbeTaken);
    refused(up, Outlier::Probing, closed, Event::ProbeTaken);
    refused(up, Outlier::ProbeDue, closed, Event::ProbePassed);
    refused(up, Outlier::In, closed, Event::ProbeFailed);
    refused(up, Outlier::In, Circuit::Open, Event::BreakerOpened(Reason::BreakerRatio));
    refused(up, Outlier::In, closed, Event::BreakerHalfOpened);
}

#[test]
fn rows_are_unique_and_reach_every_part() {
    fn check<S: Copy + PartialEq + std::fmt::Debug>(rows: &[(S, Kind, S)], start: S, all: &[S]) {
        let mut seen = vec![start];
        for _ in rows {
            for (from, _, to) in rows {
                if seen.contains(from) && !seen.contains(to) {
                    seen.push(*to);
                }
            }
        }
        assert!(all.iter().all(|s| seen.contains(s)), "{seen:?}");
        for (i, a) in rows.iter().enumerate() {
            assert!(!rows.iter().skip(i + 1).any(|b| (a.0, a.1) == (b.0, b.1)), "{a:?}");
        }
        for s in all {
            assert!(rows.iter().any(|(from, _, to)| from == s && to != s), "{s:?} has no way out");
        }
    }
    let actives = [Active::Unchecked, Active::Unknown, Active::Up, Active::Down];
    check(ACTIVE_ROWS, Active::Unchecked, &actives);
    let outliers = [Outlier::In, Outlier::Ejected, Outlier::ProbeDue, Outlier::Probing];
    check(OUTLIER_ROWS, Outlier::In, &outliers);
    check(CIRCUIT_ROWS, Circuit::Closed, &[Circuit::Closed, Circuit::Open, Circuit::HalfOpen]);
}

#[test]
fn slow_start_begins_where_an_endpoint_becomes_usable_and_nowhere_else() {
    let mut begun = 0;
    for (before, event, after) in every_step() {
        let Some(after) = after else { continue };
        let became = before.standing() != Standing::Usable && after.standing() == Standing::Usable;
        begun += u32::from(became);
        let weight = if became { START } else { FULL_WEIGHT };
        assert_eq!(after.weight, weight, "{before:?} {event:?}");
    }
    assert!(begun > 10);
}

#[test]
fn warming_changes_the_weight_alone_and_never_lowers_it() {
    let state = State { active: Active::Up, weight: 100, ..every_state()[0] };
    let warmer = state.step(Event::Warmed(400), NOW, START).unwrap();
    assert_eq!(warmer, State { weight: 400, ..state });
    assert_eq!(warmer.step(Event::Warmed(400), NOW, START), None);
    assert_eq!(warmer.step(Event::Warmed(300), NOW, START), None);
    let full = warmer.step(Event::Warmed(u16::MAX), NOW, START).unwrap();
    assert_eq!(full.weight, FULL_WEIGHT);
    let down = State { active: Active::Down, ..state };
    assert_eq!(down.step(Event::Warmed(400), NOW, START), None);
}

#[test]
fn an_agent_undoes_only_its_own_order() {
    let drained = State { agent: Agent::Drain, ..every_state()[0] };
    let ready = drained.step(Event::Operator(Admin::Ready), NOW, START);
    assert_eq!(ready, None, "the operator was ready already");
    let both = drained.step(Event::Operator(Admin::Maintenance), NOW, START).unwrap();
    let back = both.step(Event::Operator(Admin::Ready), NOW, START).unwrap();
    assert_eq!(back.admin(), Admin::Drain);
    assert_eq!(back.step(Event::Agent(Agent::Ready), NOW, START).unwrap().admin(), Admin::Ready);
}

#[test]
fn a_clock_that_runs_backwards_stands() {
    let state = every_state()[0];
    let next = state.step(Event::Operator(Admin::Drain), 3, START).unwrap();
    assert_eq!(next.changed_ms, state.changed_ms);
    let last = state.step(Event::Operator(Admin::Drain), u64::MAX, START).unwrap();
    assert_eq!(last.changed_ms, State::LAST_MS);
}
