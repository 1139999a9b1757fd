//! Tests of exactly what is kept of objects that left the plan, and for how long.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use crate::common::*;
use crate::counters::lock;
use hg_plan::{Change, Kind};
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Everything that is kept by identity: for each worker its upstreams, endpoints and listeners with
/// counters; then the builder's slots, groups and counts; then names.
fn held(node: &Node) -> (Vec<[usize; 3]>, [usize; 7], usize) {
    drop(node.engine.take_events());
    let inner = &node.engine.inner;
    let workers = inner.workers.iter().map(|w| w.counters.held()).collect();
    let names = lock(&inner.names).len();
    (workers, lock(&inner.builder).held(), names)
}

fn gone(kind: Kind, name: &str) -> Change {
    Change { kind, name: name.into(), bytes: None }
}

/// An upstream and a listener of one generation, with everything they refer to.
fn generation(n: usize) -> [Change; 3] {
    let upstream = format!(
        r#"{{"endpoints":[{{"address":"127.0.0.1:{}"}},{{"address":"n{n}.test:80"}}],"max_connections":3}}"#,
        1 + n % 60_000
    );
    let listener = format!(r#"{{"addresses":["127.0.0.1:{}"],"protocol":"http"}}"#, 1 + n % 60_000);
    let route = format!(
        r#"{{"action":{{"upstream":"u{n}"}},"hosts":["h{n}.example"],"listeners":["web","l{n}"]}}"#
    );
    [
        put(Kind::Upstream, &format!("u{n}"), upstream),
        put(Kind::Listener, &format!("l{n}"), listener),
        put(Kind::Route, &format!("r{n}"), route),
    ]
}

fn deleted(changes: &[Change]) -> Vec<Change> {
    changes.iter().map(|c| gone(c.kind, &c.name)).collect()
}

#[test]
fn generations_of_objects_leave_nothing_behind() {
    let up = Upstream::answering(OK);
    let mut node = Node::start(&upstream_json(&[up.address], ""), "", 2);
    let before = held(&node);
    for n in 0..100 {
        let all = generation(n);
        node.apply(&all);
        node.engine.set_addresses(&format!("n{n}.test:80"), Ok(vec![up.address]));
        assert!(node.engine.status().upstreams.len() == 2);
        let now = held(&node);
        // The second worker has no socket and therefore no listener.
        assert_eq!(now.0, [[2, 3, 1], [2, 3, 0]], "and nothing of generations before");
        node.apply(&deleted(&all));
        drop(node.engine.metrics());
    }
    assert_eq!(held(&node), before);
}

#[test]
fn endpoints_of_an_upstream_that_stays_come_and_go() {
    let up = Upstream::answering(OK);
    let mut node = Node::start(&upstream_json(&[up.address], ""), "", 1);
    let before = held(&node);
    for n in 1..100 {
        let json = format!(r#"{{"endpoints":[{{"address":"127.0.0.1:{n}"}}]}}"#);
        node.apply(&[put(Kind::Upstream, "u", json)]);
        assert_eq!(held(&node), before);
    }
}

#[test]
fn endpoints_that_are_checked_come_and_go() {
    let up = Upstream::answering(OK);
    let mut node = Node::start(&upstream_json(&[up.address], ""), "", 1);
    let before = held(&node);
    for n in 1..20 {
        let json = format!(
            r#"{{"endpoints":[{{"address":"127.0.0.1:{n}"}}],"health":{{"check":{{"interval_ms":9}}}}}}"#
        );
        node.apply(&[
            put(Kind::Upstream, "u", json),
            put(
                Kind::Upstream,
                "v",
                r#"{"endpoints":[{"address":"127.0.0.1:9"}],"health":{"check":{}}}"#,
            ),
        ]);
        node.apply(&[gone(Kind::Upstream, "v")]);
    }
    let health = || lock(&node.engine.inner.builder).held_health();
    eventually("only what is served is held", || held(&node) == before && health() == [1, 1]);
}

/// An upstream that waits for a signal before it answers.
fn holding() -> (Upstream, mpsc::Sender<()>) {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::play(move |mut s| {
        while read_head(&mut s).is_some() {
            // The sender is dropped with the test.
            let _ = wait.lock().unwrap().recv();
            if s.write_all(OK).is_err() {
                return;
            }
        }
    });
    (upstream, go)
}

fn requests(node: &Node, upstream: &str) -> u64 {
    let all = node.engine.metrics().requests;
    all.iter().filter(|r| &*r.upstream == upstream).map(|r| r.count).sum()
}

#[test]
fn what_a_request_in_flight_counts_on_stays_until_it_has_ended() {
    let (slow, go) = holding();
    let mut node = Node::start(r#"{"endpoints":[{"address":"127.0.0.1:9"}]}"#, "", 1);
    node.apply(&[put(Kind::Upstream, "v", upstream_json(&[slow.address], ""))]);
    let to_v = r#"{"action":{"upstream":"v"},"hosts":["*"],"listeners":["web"]}"#;
    node.apply(&[put(Kind::Route, "r", to_v)]);
    let mut s: TcpStream = node.connect();
    s.write_all(GET).unwrap();
    eventually("the request is upstream", || slow.connections() == 1);
    let with_v = held(&node);

    node.apply(&[gone(Kind::Upstream, "v"), put(Kind::Route, "r", route_json(""))]);

    let counted = held(&node);
    assert_eq!(counted.0, with_v.0, "the counters are in use");
    assert_eq!(counted.1[5], with_v.1[5], "so are the counts of connections");
    go.send(()).unwrap();
    assert_eq!(read_answer(&mut s).1, b"ok");
    eventually("they are freed", || held(&node).0 == [[1, 1, 1]]);
    assert_eq!(requests(&node, "v"), 0);
}

#[test]
fn an_upstream_that_comes_back_while_it_is_in_use_counts_on() {
    let (slow, go) = holding();
    let mut node = Node::start(&upstream_json(&[slow.address], ""), "", 1);
    let mut s = node.connect();
    s.write_all(GET).unwrap();
    eventually("the request is upstream", || slow.connections() == 1);
    let back = [
        put(Kind::Upstream, "u", upstream_json(&[slow.address], "")),
        put(Kind::Route, "r", route_json("")),
    ];
    node.apply(&deleted(&back));
    drop(held(&node));
    node.apply(&back);
    go.send(()).unwrap();
    assert_eq!(read_answer(&mut s).1, b"ok");
    eventually("the request is counted", || requests(&node, "u") == 1);
}

#[test]
fn a_listener_that_left_is_kept_while_one_of_its_connections_is() {
    let up = Upstream::answering(OK);
    let mut node = Node::simple(&up);
    let mut s = node.connect();
    s.write_all(GET).unwrap();
    assert_eq!(read_answer(&mut s).1, b"ok");
    let before = held(&node);
    node.apply(&deleted(&[put(Kind::Listener, "web", ""), put(Kind::Route, "r", "")]));
    assert_eq!(held(&node).0, before.0);
    drop(s);
    eventually("its counters are freed", || {
        let now = held(&node);
        now.0.iter().all(|worker| worker[2] == 0) && now.1[4] == 0
    });
}
