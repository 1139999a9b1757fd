//! Health checks, end to end: real endpoints that answer, fail, hang, leave and come back.

use crate::common::tls::Authority;
use crate::common::{Node, Upstream, eventually, put, read_head, unused_address};
use hg_engine::{EndpointOrder, HealthReport};
use hg_plan::Kind;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst};

const WELL: u8 = 0;
const ERRORS: u8 = 1;
const HANGS: u8 = 2;
const CLOSES: u8 = 3;
const BABBLES: u8 = 4;

/// An endpoint that answers requests with its name, and checks as told.
struct Endpoint {
    mode: Arc<AtomicU8>,
    checks: Arc<AtomicUsize>,
    upstream: Upstream,
}

impl Endpoint {
    fn new(name: usize) -> Self {
        let (mode, checks) = (Arc::new(AtomicU8::new(WELL)), Arc::new(AtomicUsize::new(0)));
        let (its_mode, its_checks) = (mode.clone(), checks.clone());
        let upstream = Upstream::play(move |mut stream| {
            while let Some(head) = read_head(&mut stream) {
                let is_check = head.starts_with("GET /up ");
                let answer = match its_mode.load(SeqCst) {
                    _ if !is_check => {
                        format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{name}")
                    }
                    WELL => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine".into(),
                    ERRORS => "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".into(),
                    HANGS => {
                        its_checks.fetch_add(1, SeqCst);
                        // The check gives up, and the end of its connection ends this.
                        let _ = stream.read(&mut [0]);
                        return;
                    }
                    BABBLES => "NONSENSE\r\n\r\n".into(),
                    _ => return,
                };
                its_checks.fetch_add(usize::from(is_check), SeqCst);
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        });
        Self { mode, checks, upstream }
    }
}

const CHECK: &str = r#","health":{"check":{"http":{"path":"/up"},"interval_ms":30,"timeout_ms":300,"fast_interval_ms":20,"max_interval_ms":60}}"#;

fn json(addresses: &[SocketAddr], rest: &str) -> String {
    crate::common::upstream_json(addresses, rest)
}

fn health(node: &Node) -> Vec<HealthReport> {
    let status = node.engine.status();
    status.upstreams[0].endpoints.iter().map(|e| e.health.clone()).collect()
}

fn states(node: &Node) -> Vec<&'static str> {
    health(node).iter().map(|h| h.state).collect()
}

/// Returns which endpoints answer among so many requests.
fn answering(node: &Node, requests: usize) -> BTreeSet<usize> {
    let name = |answer: String| answer.chars().last().unwrap().to_digit(10).unwrap() as usize;
    (0..requests).map(|_| name(node.get("/"))).collect()
}

fn start(endpoints: &[Endpoint], rest: &str) -> Node {
    let addresses: Vec<_> = endpoints.iter().map(|e| e.upstream.address).collect();
    let node = Node::start(&json(&addresses, rest), "", 1);
    eventually("all are checked", || {
        health(&node).iter().all(|h| h.checks_passed + h.checks_failed > 0)
    });
    node
}

#[test]
fn an_endpoint_whose_checks_fail_gets_no_requests_until_they_pass() {
    let endpoints = [Endpoint::new(0), Endpoint::new(1)];
    let node = start(&endpoints, CHECK);
    eventually("both are up", || states(&node) == ["up", "up"]);
    assert_eq!(answering(&node, 8), BTreeSet::from([0, 1]));
    for (mode, reason) in [
        (ERRORS, "check-status"),
        (HANGS, "check-timeout"),
        (CLOSES, "check-lost"),
        (BABBLES, "check-protocol"),
    ] {
        endpoints[1].mode.store(mode, SeqCst);
        eventually("it is down", || states(&node) == ["up", "down"]);
        let report = health(&node).remove(1);
        assert_eq!((report.takes, report.reason), (false, reason));
        assert!(report.why.starts_with("takes no traffic: its checks fail"), "{}", report.why);
        assert_eq!(answering(&node, 8), BTreeSet::from([0]), "{reason}");
        endpoints[1].mode.store(WELL, SeqCst);
        eventually("it is back", || states(&node) == ["up", "up"]);
        assert_eq!(answering(&node, 8), BTreeSet::from([0, 1]), "after {reason}");
    }
    let events = node.engine.take_events();
    let of = |verb: &str| events.iter().filter(|e| e.message.contains(verb)).count();
    assert_eq!(of(" is down: "), 4);
    assert!(of(" is up: ") >= 5);
}

#[test]
fn a_tcp_check_sees_an_endpoint_that_is_gone_and_one_that_comes_back() {
    let endpoints = [Endpoint::new(0)];
    let gone = unused_address();
    let tcp = r#","health":{"check":{"interval_ms":30,"timeout_ms":300,"fast_interval_ms":20,"max_interval_ms":60}}"#;
    let node = Node::start(&json(&[endpoints[0].upstream.address, gone], tcp), "", 2);
    eventually("one is down", || states(&node) == ["up", "down"]);
    assert_eq!(health(&node)[1].reason, "check-connect");
    assert_eq!(answering(&node, 8), BTreeSet::from([0]));
    assert_eq!(endpoints[0].checks.load(SeqCst), 0, "no request is sent");
    let _back = TcpListener::bind(gone).unwrap();
    eventually("it is back", || states(&node) == ["up", "up"]);
}

#[test]
fn checks_use_the_tls_of_the_upstream() {
    let inner = Upstream::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let mut secure = Node::simple(&inner);
    let _authority = Authority::serve(&mut secure);
    let host = r#""http":{"path":"/","host":"a.example","body":"ok"}"#;
    let check = format!(
        r#","health":{{"check":{{{host},"interval_ms":30,"timeout_ms":60000,"fast_interval_ms":20}}}}"#
    );
    let any = format!(r#"{check},"tls":{{"verify":false,"verify_name":"a.example"}}"#);
    let mut node = Node::start(&json(&[secure.address], &any), "", 1);
    eventually("it is up", || states(&node) == ["up"]);
    assert!(health(&node)[0].checks_failed == 0);
    // Without TLS the same endpoint refuses the check.
    node.apply(&[put(Kind::Upstream, "u", json(&[secure.address], &check))]);
    eventually("it is down", || states(&node) == ["down"]);
}

#[test]
fn what_the_report_says_is_what_is_served() {
    let endpoints: Vec<_> = (0..6).map(Endpoint::new).collect();
    let node = start(&endpoints, CHECK);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..8 {
        let mut wanted = Vec::new();
        for (i, e) in endpoints.iter().enumerate() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // The first one always works and is never taken out.
            let (mode, order) = match i {
                0 => (WELL, EndpointOrder::Ready),
                _ => (
                    [WELL, ERRORS, CLOSES, WELL][(seed >> 60) as usize & 3],
                    [EndpointOrder::Ready, EndpointOrder::Drain, EndpointOrder::Maintenance]
                        [((seed >> 40) % 5).saturating_sub(2) as usize],
                ),
            };
            e.mode.store(mode, SeqCst);
            node.engine.order("u", &e.upstream.address.to_string(), order);
            wanted.push(match order {
                EndpointOrder::Drain => "drain",
                EndpointOrder::Maintenance => "maintenance",
                EndpointOrder::Ready if mode == WELL => "up",
                EndpointOrder::Ready => "down",
            });
        }
        eventually("the checks have seen it", || states(&node) == wanted);
        let said: BTreeSet<usize> =
            health(&node).iter().enumerate().filter(|(_, h)| h.takes).map(|(i, _)| i).collect();
        assert_eq!(answering(&node, 18), said, "round {round}: {wanted:?}");
    }
}

#[test]
fn an_unchanged_check_keeps_its_time_over_a_reload_and_a_removed_one_stops() {
    let endpoints = [Endpoint::new(0)];
    let slow =
        r#","health":{"check":{"http":{"path":"/up"},"interval_ms":60000,"fast_interval_ms":1}}"#;
    let mut node = start(&endpoints, slow);
    let address = [endpoints[0].upstream.address];
    for queue in 1..5 {
        let rest = format!(r#"{slow},"queue":{queue}"#);
        node.apply(&[put(Kind::Upstream, "u", json(&address, &rest))]);
    }
    assert_eq!(endpoints[0].checks.load(SeqCst), 1, "four reloads, no check more");
    assert_eq!(states(&node), ["up"]);
    node.apply(&[put(Kind::Upstream, "u", json(&address, ""))]);
    assert_eq!(states(&node), ["up"]);
    assert!(health(&node)[0].takes);
}

#[test]
fn a_check_that_breaks_its_request_is_refused_with_its_place() {
    let endpoint = Endpoint::new(0);
    let node = Node::simple(&endpoint.upstream);
    let bad = json(&[endpoint.upstream.address], r#","health":{"check":{"http":{"path":"up"}}}"#);
    let errors = node.refused(&[put(Kind::Upstream, "u", bad)]);
    assert_eq!(errors.len(), 1);
    assert!(errors[0].starts_with("Upstream u: health.check.http.path: "), "{errors:?}");
}

#[test]
fn an_operator_takes_an_endpoint_out_and_back_without_a_reload() {
    let endpoints = [Endpoint::new(0), Endpoint::new(1)];
    let addresses = [endpoints[0].upstream.address, endpoints[1].upstream.address];
    let mut node = Node::start(&json(&addresses, ""), "", 2);
    let second = addresses[1].to_string();
    for (order, word) in
        [(EndpointOrder::Drain, "drain"), (EndpointOrder::Maintenance, "maintenance")]
    {
        node.engine.order("u", &second, order);
        assert_eq!(states(&node), ["up", word]);
        assert_eq!(answering(&node, 8), BTreeSet::from([0]));
        // A reload keeps it, also one that has not had the endpoint for a while.
        node.apply(&[put(Kind::Upstream, "u", json(&addresses[..1], ""))]);
        node.apply(&[put(Kind::Upstream, "u", json(&addresses, r#","queue":3"#))]);
        assert_eq!(states(&node), ["up", word]);
        assert_eq!(answering(&node, 8), BTreeSet::from([0]));
        node.engine.order("u", &second, EndpointOrder::Ready);
        assert_eq!(states(&node), ["up", "up"]);
        assert_eq!(answering(&node, 8), BTreeSet::from([0, 1]));
    }
    node.engine.order("u", &addresses[0].to_string(), EndpointOrder::Drain);
    node.engine.order("u", &second, EndpointOrder::Drain);
    assert!(node.get("/").starts_with("HTTP/1.1 503 "), "an order is stronger than need");
    assert_eq!(
        node.engine.find_endpoint("u", "a:1").unwrap_err(),
        "the upstream `u` has no endpoint `a:1`"
    );
    assert_eq!(node.engine.find_endpoint("v", "a:1").unwrap_err(), "there is no upstream `v`");
    assert_eq!(node.engine.find_endpoint("u", &second), Ok(()));
}

#[test]
fn checks_neither_end_an_order_nor_are_ended_by_one() {
    let endpoints = [Endpoint::new(0), Endpoint::new(1)];
    let node = start(&endpoints, CHECK);
    eventually("both are up", || states(&node) == ["up", "up"]);
    let second = endpoints[1].upstream.address.to_string();
    node.engine.order("u", &second, EndpointOrder::Maintenance);
    let before = endpoints[1].checks.load(SeqCst);
    eventually("it is checked all the same", || endpoints[1].checks.load(SeqCst) > before + 2);
    endpoints[1].mode.store(ERRORS, SeqCst);
    let reason = || health(&node)[1].reason;
    eventually("the check has failed", || reason() == "check-status");
    assert_eq!(states(&node), ["up", "maintenance"]);
    node.engine.order("u", &second, EndpointOrder::Ready);
    assert_eq!(states(&node), ["up", "down"], "not before its checks pass");
    endpoints[1].mode.store(WELL, SeqCst);
    eventually("it is back", || states(&node) == ["up", "up"]);
}
