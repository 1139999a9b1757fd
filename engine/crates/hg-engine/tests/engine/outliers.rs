//! Outlier detection, end to end: endpoints that fail their requests are ejected, probed, and come
//! back.

use crate::common::endpoint::{CLOSES, ERRORS, Endpoint, HANGS, OK, health, json, states};
use crate::common::{Node, eventually, put, read_head};
use hg_plan::Kind;
use std::io::Write;
use std::sync::atomic::Ordering::SeqCst;

fn node(endpoints: &[Endpoint], rest: &str) -> Node {
    Node::start(&json(endpoints, rest), "", 2)
}

const EJECT: &str = r#","health":{"outliers":{"ejection_ms":2000,"max_ejection_ms":3000}}"#;

#[test]
fn five_failures_in_a_row_eject_an_endpoint_and_one_request_at_a_time_probes_it() {
    for (mode, reason) in [(ERRORS, "consecutive-5xx"), (CLOSES, "consecutive-local")] {
        let endpoints = [Endpoint::new(), Endpoint::new()];
        let node = node(&endpoints, EJECT);
        endpoints[1].mode.store(mode, SeqCst);
        while states(&node) == ["up", "up"] {
            node.get("/");
        }
        assert_eq!(endpoints[1].requests(), 5, "{reason}");
        let report = health(&node).remove(1);
        assert_eq!((report.state, report.takes, report.reason), ("ejected", false, reason));
        assert!(report.why.starts_with("takes no traffic: it is ejected"), "{}", report.why);
        for _ in 0..6 {
            node.get("/");
        }
        assert_eq!(endpoints[1].requests(), 5, "an ejected endpoint rests");
        eventually("a probe is due", || states(&node)[1] == "probing");
        while endpoints[1].requests() == 5 {
            node.get("/");
        }
        eventually("the probe has failed", || states(&node)[1] == "ejected");
        assert_eq!((endpoints[1].requests(), health(&node)[1].reason), (6, "probe-failed"));
        endpoints[1].mode.store(OK, SeqCst);
        eventually("a probe is due again", || states(&node)[1] == "probing");
        while states(&node) != ["up", "up"] {
            node.get("/");
        }
        assert_eq!(health(&node)[1].reason, "probe-passed");
        let told: Vec<String> = node.engine.take_events().into_iter().map(|e| e.message).collect();
        let of = |what: &str| told.iter().filter(|t| t.contains(what)).count();
        assert_eq!((of(" is ejected: "), of(" is back: ")), (2, 1), "{told:?}");
    }
}

#[test]
fn a_success_between_failures_keeps_an_endpoint_in() {
    let endpoints = [Endpoint::new(), Endpoint::new()];
    let node = node(&endpoints, EJECT);
    for _ in 0..4 {
        endpoints[1].mode.store(ERRORS, SeqCst);
        let begun = endpoints[1].requests();
        while endpoints[1].requests() < begun + 4 {
            node.get("/");
        }
        endpoints[1].mode.store(OK, SeqCst);
        while endpoints[1].requests() < begun + 5 {
            node.get("/");
        }
    }
    assert_eq!(states(&node), ["up", "up"]);
}

#[test]
fn the_last_endpoint_is_never_ejected_and_a_dry_run_only_tells() {
    let dry = r#","health":{"outliers":{"enforce_percent":0}}"#;
    for (count, rest, reason) in [(1, EJECT, "spared-limit"), (2, dry, "spared-dry-run")] {
        let endpoints: Vec<_> = (0..count).map(|_| Endpoint::new()).collect();
        let node = node(&endpoints, rest);
        endpoints[0].mode.store(ERRORS, SeqCst);
        while health(&node)[0].reason != reason {
            node.get("/");
        }
        let report = health(&node).remove(0);
        assert_eq!((report.state, report.takes), ("up", true));
        assert!(report.why.starts_with("takes traffic although it looked bad"), "{}", report.why);
        let told: Vec<String> = node.engine.take_events().into_iter().map(|e| e.message).collect();
        let rule = ": it answered with 5xx too many times in a row";
        assert!(told.iter().any(|text| text.ends_with(rule)), "{told:?}");
    }
}

#[test]
fn half_of_the_endpoints_at_most_are_ejected() {
    let endpoints: Vec<_> = (0..4).map(|_| Endpoint::new()).collect();
    let long = r#","health":{"outliers":{"ejection_ms":600000,"max_ejection_ms":600000}}"#;
    let mut node = node(&endpoints, long);
    endpoints.iter().for_each(|e| e.mode.store(ERRORS, SeqCst));
    (0..80).for_each(|_| drop(node.get("/")));
    let ejected = states(&node).iter().filter(|s| **s == "ejected").count();
    assert_eq!(ejected, 2);
    // Without the config nothing is held against them.
    node.apply(&[put(Kind::Upstream, "u", json(&endpoints, ""))]);
    eventually("all are back", || states(&node) == ["up"; 4]);
}

#[test]
fn an_endpoint_that_hangs_is_ejected_and_one_that_waits_for_slow_clients_is_not() {
    for (head, ejects) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nslow", false),
    ] {
        let endpoints = [Endpoint::new(), Endpoint::new()];
        let long = r#","health":{"outliers":{"ejection_ms":600000,"max_ejection_ms":600000}}"#;
        let node = Node::start(&json(&endpoints, long), r#","timeouts":{"request_ms":60}"#, 1);
        endpoints.iter().for_each(|e| e.mode.store(HANGS, SeqCst));
        for _ in 0..12 {
            let mut stream = node.connect();
            stream.write_all(head.as_bytes()).unwrap();
            let answer = read_head(&mut stream).unwrap();
            assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
        }
        assert_eq!(states(&node).contains(&"ejected"), ejects, "{head}");
    }
}

/// Asks until the state of the last endpoint changes, which fails every second request; the others
/// answer all.
fn fail_every_second(node: &Node, endpoints: &[Endpoint]) {
    let last = endpoints.last().unwrap();
    for turn in 0.. {
        last.mode.store(if turn % 2 == 0 { ERRORS } else { OK }, SeqCst);
        let before = last.requests();
        while last.requests() == before {
            node.get("/");
            if *states(node).last().unwrap() != "up" {
                return;
            }
        }
    }
}

#[test]
fn an_endpoint_that_fails_half_of_its_requests_is_ejected() {
    let endpoints = [Endpoint::new(), Endpoint::new()];
    let percent = r#","health":{"outliers":{"shares":{"failure_percent":40},"ejection_ms":600000,"max_ejection_ms":600000}}"#;
    let node = node(&endpoints, percent);
    fail_every_second(&node, &endpoints);
    assert_eq!(states(&node), ["up", "ejected"]);
    assert_eq!(health(&node)[1].reason, "failure-percentage");
    assert!(endpoints[1].requests() >= 20, "fewer requests say nothing");
}

#[test]
fn an_endpoint_far_below_the_others_is_ejected() {
    let endpoints: Vec<Endpoint> = (0..5).map(|_| Endpoint::new()).collect();
    let rate = r#","health":{"outliers":{"shares":{"failure_percent":0,"success_rate_deviation":1500,"success_rate_requests":10},"ejection_ms":600000,"max_ejection_ms":600000}}"#;
    let node = node(&endpoints, rate);
    fail_every_second(&node, &endpoints);
    assert_eq!(states(&node), ["up", "up", "up", "up", "ejected"]);
    assert_eq!(health(&node)[4].reason, "success-rate");
}

#[test]
fn a_share_of_failures_ejects_nobody_where_it_is_off_and_the_last_endpoint_never() {
    let off = r#","health":{"outliers":{"shares":{"failure_percent":0},"consecutive_5xx":0,"consecutive_gateway":0}}"#;
    let endpoints = [Endpoint::new(), Endpoint::new()];
    let node_off = node(&endpoints, off);
    endpoints[1].mode.store(ERRORS, SeqCst);
    let alone = [Endpoint::new()];
    let streaks = r#","health":{"outliers":{"consecutive_5xx":0,"consecutive_gateway":0}}"#;
    let node_alone = node(&alone, streaks);
    alone[0].mode.store(ERRORS, SeqCst);
    while health(&node_alone)[0].reason != "spared-limit" {
        node_alone.get("/");
        node_off.get("/");
    }
    assert_eq!(states(&node_alone), ["up"]);
    assert!(endpoints[1].requests() >= 10);
    assert_eq!((states(&node_off), health(&node_off)[1].reason), (vec!["up", "up"], "added"));
}

/// Returns how often an endpoint looked like an outlier, by what became of it.
fn verdicts(node: &Node, outcome: &str) -> u64 {
    let upstreams = node.engine.metrics().upstreams;
    let all = upstreams.iter().flat_map(|u| &u.outliers);
    all.filter(|one| one.reason == outcome).map(|one| one.count).sum()
}

#[test]
fn a_share_of_the_verdicts_is_enforced_and_all_are_counted() {
    let share = r#","health":{"outliers":{"enforce_percent":50,"ejection_ms":600000,"max_ejection_ms":600000}}"#;
    let endpoints = [Endpoint::new(), Endpoint::new()];
    let node = node(&endpoints, share);
    endpoints[0].mode.store(ERRORS, SeqCst);
    // The chance that all of so many verdicts are spared is 2^-200.
    for _ in 0..2_000 {
        if states(&node)[0] == "ejected" {
            break;
        }
        node.get("/");
    }
    assert_eq!(states(&node), ["ejected", "up"]);
    assert_eq!(verdicts(&node, "ejected"), 1);
    let spared = verdicts(&node, "dry_run");
    let events: Vec<String> = node.engine.take_events().into_iter().map(|e| e.message).collect();
    let told = events.iter().filter(|text| text.contains("is not ejected")).count();
    assert_eq!(told, usize::from(spared > 0), "it is told once: {events:?}");
}

#[test]
fn a_dry_run_counts_what_it_would_eject() {
    let dry = r#","health":{"outliers":{"enforce_percent":0}}"#;
    let endpoints = [Endpoint::new(), Endpoint::new()];
    let node = node(&endpoints, dry);
    endpoints[0].mode.store(ERRORS, SeqCst);
    while verdicts(&node, "dry_run") < 3 {
        node.get("/");
    }
    assert_eq!((verdicts(&node, "ejected"), verdicts(&node, "limit")), (0, 0));
    assert_eq!(states(&node), ["up", "up"]);
}
