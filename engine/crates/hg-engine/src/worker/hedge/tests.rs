//! The start of a second try, and the connections of each of the two.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::{Node, Upstream, read_all, upstream_json};
use crate::worker::tests::{GET, ask_briefly, on_request, wait_for_answer, waiting};
use hg_proto::Method;
use hg_resilience::{Budget, BudgetPolicy};

/// A budget of one retry for each request.
const HEDGED: &str =
    r#","retry":{"hedge":{"after_ms":60000},"budget":{"percent":100,"per_second":0}}"#;

#[test]
fn a_try_has_its_connection_and_those_that_it_opens() {
    let side = Side { up: Some(3), attempts: vec![5, 6], ..Side::later() };
    assert_eq!([2, 3, 4, 5, 6].map(|ui| side.has(ui)), [false, true, false, true, true]);
    assert!(!Side::later().has(0));
}

#[test]
fn the_latencies_of_a_route_are_known_after_a_while_and_forgotten_with_it() {
    let mut all = Latencies::default();
    let names: [Arc<str>; 3] = ["one", "two", "three"].map(Arc::from);
    let [one, two, three] = &names;
    all.add(one, 5);
    all.add(two, 5);
    assert_eq!((all.0.len(), all.get_us(one)), (2, None));
    (0..10_000).for_each(|_| all.add(one, 50_000));
    let p95_us = all.get_us(one).unwrap();
    assert!((40_000..=60_000).contains(&p95_us), "{p95_us}");
    let gone: Arc<str> = "gone".into();
    all.add(&gone, 5);
    drop(gone);
    all.add(three, 5);
    let mut left: Vec<&str> = all.0.keys().map(|name| &**name).collect();
    left.sort_unstable();
    assert_eq!(left, ["one", "three", "two"]);
}

#[test]
fn a_second_try_is_expected_of_a_whole_request_that_was_tried_once() {
    let (node, _s) = waiting("", HEDGED, GET);
    on_request(&node, |w, x, _| {
        for (repeats, done, is_expected) in
            [(0, true, true), (1, true, false), (0, false, false), (1, false, false)]
        {
            let e = w.exchanges.get_mut(x).unwrap();
            (e.due.hedge, e.tries.repeats, e.request.done) = (Ticks::MAX, repeats, done);
            w.expect_hedge(x);
            let due = w.exchanges.get(x).unwrap().due.hedge;
            assert_eq!(due < Ticks::MAX, is_expected, "{repeats} {done}");
        }
    });
}

#[test]
fn a_second_try_is_due_in_its_tick_unless_the_request_is_over_then() {
    let (node, _s) = waiting("", HEDGED, GET);
    on_request(&node, |w, x, _| {
        for (hedge, request, is_due) in [(1, 9, false), (0, 9, true), (0, 0, false), (0, 1, true)] {
            let e = w.exchanges.get_mut(x).unwrap();
            (e.due.hedge, e.due.request) = (w.now + hedge, w.now + request);
            assert!(!w.face_due(x), "there is no other endpoint");
            let due = w.exchanges.get(x).unwrap().due.hedge;
            assert_eq!(due == Ticks::MAX, is_due, "{hedge} {request}");
        }
        w.exchanges.get_mut(x).unwrap().due.request = Ticks::MAX;
    });
}

const OLD: &str = "what its budget had is too old";

#[test]
fn a_second_try_begins_where_the_first_waits_and_both_may_be_sent() {
    type Change = fn(&mut Exchange);
    let changes: [(&str, Change, bool); 8] = [
        ("it waits", |_| (), true),
        (OLD, |_| (), false),
        ("it connects", |e| e.stage = Stage::Connecting, false),
        ("its body still comes", |e| e.request.done = false, false),
        ("it opens a WebSocket", |e| e.upgrade = Some(hg_proto::websocket::accept(b"")), false),
        ("it may be done twice", |e| e.method = Method::Post, false),
        ("it cannot be sent again", |e| e.replayable = false, false),
        ("no budget", |e| e.upstream_id = u64::MAX, false),
    ];
    for (what, change, begins) in changes {
        let up = Upstream::play(|mut s| drop(read_all(&mut s)));
        let node = Node::start(&upstream_json(&[up.address; 2], ""), HEDGED, 1);
        let _s = ask_briefly(&node, GET);
        wait_for_answer(&node);
        let found = on_request(&node, move |w, x, _| {
            let real_us = w.now_us;
            w.now_us += 100_000_000;
            let e = w.exchanges.get_mut(x).unwrap();
            let (stage, id) = (e.stage, e.upstream_id);
            let budget = w.upstreams.budget(e.upstream, id).unwrap();
            *budget = Budget::default();
            let age_ms = if what == OLD { 20_000 } else { 0 };
            budget.deposit(w.now_us / 1_000 - age_ms);
            change(e);
            let began = w.begin_hedge(x).is_some();
            let policy = BudgetPolicy { ratio_permille: 1_000, floor_permille: 0 };
            let e = w.exchanges.get_mut(x).unwrap();
            let left =
                w.upstreams.budget(e.upstream, id).unwrap().balance(&policy, w.now_us / 1_000);
            let has_two = e.tries.side.is_some();
            if !has_two {
                (e.stage, e.upstream_id) = (stage, id);
            }
            w.now_us = real_us;
            (began, has_two, e.tries.repeats, w.upstreams.hedged, left)
        });
        let left = u64::from(!begins && what != OLD);
        let expected = if begins { (true, true, 1, 1, 0) } else { (false, false, 0, 0, left) };
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn a_route_that_hedges_after_its_p95_learns_how_long_its_answers_take() {
    for (after_ms, learns) in [(0, true), (60_000, false)] {
        let route = format!(r#","retry":{{"hedge":{{"after_ms":{after_ms}}}}}"#);
        let (node, _s) = waiting("", &route, GET);
        let known = on_request(&node, |w, x, _| {
            w.commit(x);
            w.upstreams.latencies.0.len()
        });
        assert_eq!(known, usize::from(learns), "{after_ms}");
    }
}

#[test]
fn a_second_try_has_won_if_it_answers_before_the_first() {
    type Change = fn(&mut Worker, ExId);
    let changes: [(&str, Change, u64); 3] = [
        ("the second answers", |_, _| (), 1),
        ("the first answers", |w, x| w.exchanges.get_mut(x).unwrap().turn(), 0),
        // It is alone by then.
        ("the first is over", |w, x| w.drop_side(x), 0),
    ];
    for (what, change, won) in changes {
        let up = Upstream::play(|mut s| drop(read_all(&mut s)));
        let node = Node::start(&upstream_json(&[up.address; 2], ""), HEDGED, 1);
        let _s = ask_briefly(&node, GET);
        wait_for_answer(&node);
        let hedged = on_request(&node, move |w, x, _| {
            w.begin_hedge(x).unwrap();
            change(w, x);
            w.commit(x);
            assert!(w.exchanges.get(x).unwrap().tries.side.is_none());
            w.upstreams.hedged
        });
        let all = node.engine.metrics().retries.hedges;
        let count = all.iter().find(|one| one.reason == "won").map_or(0, |one| one.count);
        assert_eq!((count, hedged), (won, 0), "{what}");
    }
}

#[test]
fn a_try_that_is_lost_says_something_of_its_endpoint_unless_it_was_given_up() {
    for (outcome, failures) in [(Outcome::Cancelled, 0), (Outcome::Reset, 1)] {
        let up = Upstream::play(|mut s| drop(read_all(&mut s)));
        let node = Node::start(&upstream_json(&[up.address; 2], ""), HEDGED, 1);
        let _s = ask_briefly(&node, GET);
        wait_for_answer(&node);
        let counted = on_request(&node, move |w, x, _| {
            w.begin_hedge(x).unwrap();
            let endpoint = w.exchanges.get(x).unwrap().endpoint.clone().unwrap();
            assert!(w.lose(x, outcome, "why"));
            assert!(!w.lose(x, outcome, "why"), "one is left");
            endpoint.counters.failures.get()
        });
        assert_eq!(counted, failures, "{outcome:?}");
    }
}
