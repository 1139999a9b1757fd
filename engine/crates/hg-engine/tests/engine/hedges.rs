//! Hedging, end to end: a second try beside a slow first one, and what becomes of both.

use crate::common::http2_peer::{H2C, ask, get, serving};
use crate::common::{Node, Upstream, eventually, put, read_answer, read_head, upstream_json};
use hg_engine::{EndpointReport, ReasonCount};
use hg_plan::Kind;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const BUSY: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
const CLOSE: &str = "";
const FOREVER: u64 = u64::MAX;

/// An endpoint that answers so many milliseconds after a request, or never.
struct Endpoint {
    delay_ms: Arc<AtomicU64>,
    requests: Arc<AtomicUsize>,
    /// Connections that the node ended before they were answered.
    given_up: Arc<AtomicUsize>,
    upstream: Upstream,
}

impl Endpoint {
    fn new(delay_ms: u64, answer: &'static str) -> Self {
        let delay_ms = Arc::new(AtomicU64::new(delay_ms));
        let (requests, given_up) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let its = (delay_ms.clone(), requests.clone(), given_up.clone());
        let upstream = Upstream::play(move |mut s| {
            let (delay_ms, requests, given_up) = &its;
            while read_head(&mut s).is_some() {
                requests.fetch_add(1, SeqCst);
                let wait = delay_ms.load(SeqCst);
                let limit = (wait != FOREVER).then(|| Duration::from_millis(wait.max(1)));
                s.set_read_timeout(limit).unwrap();
                // Nothing comes but a reset, if the node gives up.
                if s.read(&mut [0]).is_err_and(|e| e.kind() == ErrorKind::ConnectionReset) {
                    given_up.fetch_add(1, SeqCst);
                    return;
                }
                s.set_read_timeout(None).unwrap();
                if answer.is_empty() || s.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        });
        Self { delay_ms, requests, given_up, upstream }
    }

    fn requests(&self) -> usize {
        self.requests.load(SeqCst)
    }
}

fn node(endpoints: &[&Endpoint], retry: &str) -> Node {
    let addresses: Vec<SocketAddr> = endpoints.iter().map(|e| e.upstream.address).collect();
    let route = format!(r#","retry":{{{retry}}}"#);
    Node::start(&upstream_json(&addresses, ""), &route, 1)
}

const SOON: &str = r#""hedge":{"after_ms":30}"#;
/// Where an endpoint that answers at once must not be hedged: on a busy machine 30 ms pass before it has answered.
const LATER: &str = r#""hedge":{"after_ms":500}"#;

fn count(all: &[ReasonCount], reason: &str) -> u64 {
    all.iter().find(|r| r.reason == reason).map_or(0, |r| r.count)
}

/// Returns how many second tries were sent, and how many of them answered.
fn hedges(node: &Node) -> (u64, u64) {
    let all = node.engine.metrics().retries.hedges;
    (count(&all, "sent"), count(&all, "won"))
}

fn reports(node: &Node) -> Vec<EndpointReport> {
    node.engine.metrics().upstreams.remove(0).endpoints
}

/// Waits until nothing is under way; returns the failures of each endpoint.
fn failures(node: &Node) -> Vec<u64> {
    eventually("nothing is under way", || reports(node).iter().all(|r| r.active == 0));
    reports(node).iter().map(|r| r.failures).collect()
}

fn is_ok(node: &Node) -> bool {
    node.get("/").starts_with("HTTP/1.1 200 ")
}

/// Asks until the first endpoint was asked first; each answer must be a good one.
fn until_asked(node: &Node, endpoint: &Endpoint) {
    let before = endpoint.requests();
    while endpoint.requests() == before {
        assert!(is_ok(node));
    }
}

#[test]
fn a_second_try_answers_for_a_first_one_that_hangs_and_blames_nobody() {
    let (slow, quick) = (Endpoint::new(FOREVER, OK), Endpoint::new(0, OK));
    let node = node(&[&slow, &quick], LATER);
    until_asked(&node, &slow);
    assert_eq!(hedges(&node), (1, 1));
    eventually("the first try is given up", || slow.given_up.load(SeqCst) == 1);
    assert_eq!(failures(&node), [0, 0]);
}

#[test]
fn a_first_try_that_answers_ends_the_second() {
    let (first, second) = (Endpoint::new(250, OK), Endpoint::new(FOREVER, OK));
    let node = node(&[&first, &second], SOON);
    while hedges(&node).0 == 0 || second.given_up.load(SeqCst) == 0 {
        assert!(is_ok(&node));
        if second.requests() > 0 {
            break;
        }
    }
    eventually("the other try is given up", || second.given_up.load(SeqCst) == second.requests());
    assert!(hedges(&node).0 >= 1);
    assert_eq!(failures(&node), [0, 0]);
}

#[test]
fn a_second_try_that_cannot_connect_ends_alone_whatever_the_breaker_says_then() {
    let good = Endpoint::new(3_000, OK);
    let (address, away) = (good.upstream.address, "127.0.0.1:1");
    // The heavy one is asked first.
    let upstream = format!(
        r#"{{"endpoints":[{{"address":"{address}","weight":1000}},{{"address":"{away}"}},{{"address":"127.0.0.1:2"}}],"health":{{"breaker":{{"per":"upstream","failures":1,"open_ms":650000}}}}}}"#
    );
    let node = Node::start(&upstream, &format!(r#","retry":{{{SOON}}}"#), 1);
    assert!(is_ok(&node));
    assert_eq!((good.requests(), good.given_up.load(SeqCst), hedges(&node).0), (1, 0, 1));
}

#[test]
fn what_fails_beside_another_try_is_no_answer() {
    for failing in [BUSY, CLOSE] {
        let (good, bad) = (Endpoint::new(2_000, OK), Endpoint::new(1_000, failing));
        let retry = format!(r#""on":["503","reset"],"retries":1,{SOON}"#);
        let node = node(&[&good, &bad], &retry);
        for _ in 0..2 {
            assert!(is_ok(&node), "{failing}");
        }
        // Whichever was first, the other one was the second try; no third one was needed.
        assert_eq!((good.requests(), bad.requests()), (2, 2), "{failing}");
        assert_eq!(hedges(&node).0, 2);
        let sent = node.engine.metrics().retries.sent;
        assert!(sent.iter().all(|r| r.count == 0), "{sent:?}");
        failures(&node);
    }
}

#[test]
fn an_answer_that_the_policy_does_not_cover_is_the_first_acceptable_one() {
    let (slow, quick) = (Endpoint::new(FOREVER, OK), Endpoint::new(0, BUSY));
    let node = node(&[&slow, &quick], LATER);
    for _ in 0..2 {
        assert!(node.get("/").starts_with("HTTP/1.1 503 Busy"));
    }
    let (sent, won) = hedges(&node);
    assert!(sent >= 1 && sent == won, "{sent} {won}");
}

#[test]
fn only_what_may_be_repeated_at_another_endpoint_within_the_budget_is_hedged() {
    let none = r#","budget":{"percent":1,"per_second":0}"#;
    for (endpoints, method, budget) in [(2, "POST", ""), (1, "GET", ""), (2, "GET", none)] {
        let all: Vec<_> = (0..endpoints).map(|_| Endpoint::new(1_000, OK)).collect();
        let node = node(&all.iter().collect::<Vec<_>>(), &format!("{SOON}{budget}"));
        let mut s = node.connect();
        write!(s, "{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").unwrap();
        assert!(read_answer(&mut s).0.starts_with("HTTP/1.1 200 "));
        assert_eq!(hedges(&node), (0, 0), "{endpoints} {method} {budget}");
        let denied = count(&node.engine.metrics().retries.denied, "budget");
        assert_eq!(denied, u64::from(!budget.is_empty()));
    }
}

#[test]
fn a_client_that_goes_away_ends_both_tries() {
    let endpoints = [Endpoint::new(FOREVER, OK), Endpoint::new(FOREVER, OK)];
    let node = node(&[&endpoints[0], &endpoints[1]], SOON);
    let mut s = node.connect();
    s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    eventually("both are asked", || endpoints.iter().all(|e| e.requests() == 1));
    // A reset is seen at once.
    rustix::net::sockopt::set_socket_linger(&s, Some(Duration::ZERO)).unwrap();
    drop(s);
    eventually("both are given up", || endpoints.iter().all(|e| e.given_up.load(SeqCst) == 1));
    assert_eq!(failures(&node), [0, 0]);
}

#[test]
fn both_tries_have_their_own_time_and_the_last_one_decides() {
    let endpoints = [Endpoint::new(FOREVER, OK), Endpoint::new(FOREVER, OK)];
    let addresses = endpoints.each_ref().map(|e| e.upstream.address);
    let route = format!(r#","retry":{{"retries":1,{SOON}}},"timeouts":{{"per_try_ms":600}}"#);
    let node = Node::start(&upstream_json(&addresses, ""), &route, 1);
    assert!(node.get("/").starts_with("HTTP/1.1 504 "));
    assert!(endpoints.iter().all(|e| e.requests() == 1));
    assert_eq!(hedges(&node), (1, 0));
    assert_eq!(failures(&node), [1, 1]);
}

#[test]
fn a_route_hedges_after_its_own_p95() {
    let endpoints = [Endpoint::new(0, OK), Endpoint::new(0, OK)];
    let node = node(&[&endpoints[0], &endpoints[1]], r#""hedge":{}"#);
    endpoints[0].delay_ms.store(60, SeqCst);
    assert!(is_ok(&node) && is_ok(&node));
    assert_eq!(hedges(&node), (0, 0), "nothing is known of the route yet");
    endpoints[0].delay_ms.store(0, SeqCst);
    for _ in 0..200 {
        assert!(is_ok(&node));
    }
    endpoints[0].delay_ms.store(FOREVER, SeqCst);
    // One that was slow on its own may have sent a second try there, and answered first.
    let before = hedges(&node).1;
    while hedges(&node).1 == before {
        until_asked(&node, &endpoints[0]);
    }
}

/// Whether a request may have two tries follows from the plan under which it came.
#[test]
fn a_request_over_http2_stays_alone_though_its_upstream_changes_to_http1() {
    let (asked, arrived) = mpsc::channel();
    let (answer, waits) = mpsc::channel::<()>();
    let (asked, waits) = (Mutex::new(asked), Arc::new(Mutex::new(waits)));
    let asked = Arc::new(asked);
    let endpoints: Vec<Upstream> = (0..2)
        .map(|_| {
            let (asked, waits) = (asked.clone(), waits.clone());
            serving(move |_| {
                asked.lock().unwrap().send(()).unwrap();
                // Longer than the delay after which a second try would begin.
                let _ = waits.lock().unwrap().recv_timeout(Duration::from_millis(600));
                b"ok".to_vec()
            })
        })
        .collect();
    let addresses: Vec<SocketAddr> = endpoints.iter().map(|e| e.address).collect();
    let hedged = r#","retry":{"hedge":{"after_ms":200}}"#;
    let mut node = Node::start(&upstream_json(&addresses, H2C), hedged, 1);
    let mut client = ask(&node, &get("/"));
    arrived.recv().unwrap();
    node.apply(&[put(Kind::Upstream, "u", upstream_json(&addresses, ""))]);
    assert_eq!(read_answer(&mut client).1, b"ok");
    assert_eq!(hedges(&node), (0, 0));
    eventually("no stream is left", || node.engine.metrics().http2.upstream_streams.active == 0);
    drop(answer);
}

#[test]
fn a_first_try_that_is_sent_again_beside_its_hedge_names_its_own_endpoint() {
    let (tell, told) = mpsc::channel();
    let shared = Arc::new((AtomicUsize::new(0), Mutex::new(tell)));
    let endpoint = || {
        let shared = shared.clone();
        Upstream::play(move |mut s| {
            let own = s.local_addr().unwrap();
            while let Some(head) = read_head(&mut s) {
                match shared.0.fetch_add(1, SeqCst) {
                    // A pooled connection to each endpoint.
                    0 | 1 => s.write_all(OK.as_bytes()).unwrap(),
                    // The first try: once the hedge is sent, the connection turns out to be stale.
                    2 => return eventually("the hedge", || shared.0.load(SeqCst) == 4),
                    3 => drop(s.read(&mut [0])),
                    _ => {
                        shared.1.lock().unwrap().send((own, head)).unwrap();
                        s.write_all(OK.as_bytes()).unwrap();
                    }
                }
            }
        })
    };
    let (a, b) = (endpoint(), endpoint());
    let upstream = upstream_json(&[a.address, b.address], r#","host_header":"endpoint""#);
    let node = Node::start(&upstream, &format!(r#","retry":{{{LATER}}}"#), 1);
    for _ in 0..3 {
        assert!(node.get("/").starts_with("HTTP/1.1 200 "));
    }
    let (own, head) = told.recv().unwrap();
    assert!(head.contains(&format!("host: {own}\r\n")), "{own} got {head}");
}
