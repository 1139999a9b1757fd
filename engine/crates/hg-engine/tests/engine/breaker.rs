//! Circuit breakers, end to end: what fails gets no requests for a while, then a few, then all.

use crate::common::endpoint::{CLOSES, ERRORS, Endpoint, HANGS, OK, SLOW, health, json, states};
use crate::common::{Node, eventually, put, read_head};
use hg_plan::Kind;
use std::io::Write;
use std::sync::atomic::Ordering::SeqCst;

const SHORT: &str = r#","health":{"breaker":{"failures":3,"open_ms":100}}"#;
/// Requests that try the endpoint keep their places for as long, too.
const MIDDLE: &str = r#","health":{"breaker":{"failures":3,"open_ms":4000}}"#;
const LONG: &str = r#","health":{"breaker":{"failures":3,"open_ms":650000}}"#;
const OF_ALL: &str = r#","health":{"breaker":{"per":"upstream","failures":3,"open_ms":650000}}"#;

fn node(endpoints: &[Endpoint], rest: &str) -> Node {
    Node::start(&json(endpoints, rest), "", 2)
}

fn opened(node: &Node) -> u64 {
    node.engine.metrics().upstreams[0].breaker.opened
}

fn circuits(node: &Node) -> Vec<(&'static str, u64)> {
    let report = node.engine.metrics().upstreams.remove(0).breaker;
    report.states.into_iter().map(|one| (one.reason, one.count)).collect()
}

#[test]
fn without_breakers_there_is_no_state_of_one() {
    assert_eq!(circuits(&node(&[Endpoint::new()], "")), []);
}

#[test]
fn failures_in_a_row_open_the_breaker_of_an_endpoint_and_the_others_take_all() {
    for mode in [ERRORS, CLOSES] {
        let endpoints = [Endpoint::new(), Endpoint::new()];
        let node = node(&endpoints, LONG);
        endpoints[1].mode.store(mode, SeqCst);
        while states(&node) == ["up", "up"] {
            node.get("/");
        }
        let report = health(&node).remove(1);
        assert_eq!((report.state, report.takes), ("breaker-open", false));
        let why = "takes no traffic: its breaker is open; it is tried again in 10 min";
        assert!(report.why.starts_with(why), "{}", report.why);
        assert_eq!(report.reason, "breaker-failures");
        for _ in 0..10 {
            assert!(node.get("/").starts_with("HTTP/1.1 200 "));
        }
        assert_eq!((endpoints[1].requests(), opened(&node)), (3, 1));
        assert_eq!(circuits(&node), [("closed", 1), ("half-open", 0), ("open", 1)]);
    }
}

#[test]
fn the_breaker_of_the_last_endpoint_answers_503_and_lets_a_few_through_after_its_time() {
    let endpoints = [Endpoint::new()];
    let node = node(&endpoints, SHORT);
    endpoints[0].mode.store(ERRORS, SeqCst);
    let mut last = String::new();
    while !last.starts_with("HTTP/1.1 503 ") {
        last = node.get("/");
    }
    // On a slow machine one of them may try it already, and open it again.
    let before = opened(&node);
    assert_eq!(endpoints[0].requests() as u64, 2 + before);
    assert!(last.contains("\r\nretry-after: 1\r\n"), "{last}");
    assert!(last.contains("a circuit breaker keeps requests from the upstream"), "{last}");
    eventually("it is half open", || states(&node) == ["breaker-half-open"]);
    assert!(node.get("/").starts_with("HTTP/1.1 500 "), "one request tries it");
    assert_eq!(opened(&node), before + 1, "and opens it again");
    endpoints[0].mode.store(OK, SeqCst);
    eventually("it is half open again", || states(&node) == ["breaker-half-open"]);
    while states(&node) != ["up"] {
        node.get("/");
    }
    assert_eq!(health(&node)[0].reason, "breaker-closed");
    assert!(node.get("/").starts_with("HTTP/1.1 200 "));
    let told: Vec<String> = node.engine.take_events().into_iter().map(|e| e.message).collect();
    let of = |what: &str| told.iter().filter(|t| t.contains(what)).count();
    assert_eq!(of(" gets no requests: ") as u64, before + 1, "{told:?}");
    assert_eq!(
        of(": its breaker opened again because a request failed") as u64,
        before,
        "{told:?}"
    );
    assert_eq!(of(" gets requests again: "), 1, "{told:?}");
}

#[test]
fn a_half_open_breaker_lets_so_many_requests_through_at_a_time() {
    let endpoints = [Endpoint::new()];
    let node = Node::start(&json(&endpoints, MIDDLE), "", 1);
    endpoints[0].mode.store(ERRORS, SeqCst);
    while states(&node) != ["breaker-open"] {
        node.get("/");
    }
    endpoints[0].mode.store(HANGS, SeqCst);
    eventually("it is half open", || states(&node) == ["breaker-half-open"]);
    let before = endpoints[0].requests();
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let mut stream = node.connect();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            stream
        })
        .collect();
    node.barrier();
    eventually("two requests try it", || endpoints[0].requests() >= before + 2);
    let refused = waiting.into_iter().skip(2).map(|mut stream| read_head(&mut stream).unwrap());
    for answer in refused {
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    }
    assert_eq!(endpoints[0].requests(), before + 2);
}

#[test]
fn an_upstream_has_one_breaker_for_all_of_its_endpoints() {
    let endpoints = [Endpoint::new(), Endpoint::new()];
    let mut node = node(&endpoints, OF_ALL);
    endpoints.iter().for_each(|e| e.mode.store(ERRORS, SeqCst));
    for _ in 0..3 {
        assert!(node.get("/").starts_with("HTTP/1.1 500 "));
    }
    let answer = node.get("/");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(states(&node), ["breaker-open", "breaker-open"]);
    assert_eq!(circuits(&node), [("closed", 0), ("half-open", 0), ("open", 1)]);
    assert!(health(&node).iter().all(|h| !h.takes && h.why.contains("of its upstream is open")));
    assert_eq!(endpoints.iter().map(Endpoint::requests).sum::<usize>(), 3);
    // Without the config nothing is held against it, nor when it comes back.
    endpoints.iter().for_each(|e| e.mode.store(OK, SeqCst));
    for rest in ["", OF_ALL] {
        node.apply(&[put(Kind::Upstream, "u", json(&endpoints, rest))]);
        eventually("requests go through", || node.get("/").starts_with("HTTP/1.1 200 "));
        assert_eq!(states(&node), ["up", "up"]);
    }
}

#[test]
fn a_breaker_stays_open_over_a_reload_and_closes_without_its_config() {
    let endpoints = [Endpoint::new(), Endpoint::new()];
    let mut node = node(&endpoints, LONG);
    endpoints[1].mode.store(ERRORS, SeqCst);
    while states(&node) == ["up", "up"] {
        node.get("/");
    }
    let other = LONG.replace("650000", "700000");
    node.apply(&[put(Kind::Upstream, "u", json(&endpoints, &other))]);
    assert_eq!(states(&node), ["up", "breaker-open"]);
    node.apply(&[put(Kind::Upstream, "u", json(&endpoints, ""))]);
    eventually("it is closed", || states(&node) == ["up", "up"]);
}

#[test]
fn a_share_of_failed_requests_opens_a_breaker() {
    let endpoints = [Endpoint::new(), Endpoint::new()];
    let share =
        r#","health":{"breaker":{"failures":0,"error_percent":50,"open_ms":650000,"window_s":60}}"#;
    let node = node(&endpoints, share);
    endpoints[1].mode.store(ERRORS, SeqCst);
    while states(&node) == ["up", "up"] {
        node.get("/");
    }
    assert_eq!((states(&node)[1], health(&node)[1].reason), ("breaker-open", "breaker-ratio"));
    assert!(endpoints[1].requests() >= 20, "{}", endpoints[1].requests());
}

#[test]
fn a_share_of_slow_answers_opens_a_breaker() {
    let endpoints = [Endpoint::new(), Endpoint::new()];
    let slow = r#","health":{"breaker":{"failures":0,"slow_percent":50,"slow_ms":40,"requests":3,"open_ms":650000,"window_s":60}}"#;
    let node = node(&endpoints, slow);
    endpoints[1].mode.store(SLOW, SeqCst);
    while states(&node)[1] == "up" {
        node.get("/");
    }
    assert_eq!(health(&node)[1].reason, "breaker-latency");
}
