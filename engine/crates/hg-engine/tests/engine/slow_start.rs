//! Slow start, end to end: endpoints that come back or are new take their share step by step.

use crate::common::{Node, Upstream, eventually, put, read_head, upstream_json};
use hg_engine::EndpointOrder;
use hg_plan::Kind;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

struct Endpoint {
    requests: Arc<AtomicUsize>,
    upstream: Upstream,
}

impl Endpoint {
    fn new() -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let its = requests.clone();
        let upstream = Upstream::play(move |mut s| {
            while read_head(&mut s).is_some() {
                its.fetch_add(1, SeqCst);
                if s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
                    return;
                }
            }
        });
        Self { requests, upstream }
    }

    fn requests(&self) -> usize {
        self.requests.load(SeqCst)
    }
}

fn json(endpoints: &[Endpoint], rest: &str) -> String {
    let addresses: Vec<SocketAddr> = endpoints.iter().map(|e| e.upstream.address).collect();
    upstream_json(&addresses, rest)
}

fn why(node: &Node) -> Vec<String> {
    let status = node.engine.status();
    status.upstreams[0].endpoints.iter().map(|e| e.health.why.clone()).collect()
}

const LONG: &str = r#","health":{"slow_start_ms":600000}"#;

/// Adds the last endpoint to a config that runs with the others.
fn added(endpoints: &[Endpoint], rest: &str) -> Node {
    let mut node = Node::start(&json(&endpoints[..endpoints.len() - 1], rest), "", 1);
    assert!(why(&node).iter().all(|w| w.starts_with("takes traffic: nothing")), "{:?}", why(&node));
    node.apply(&[put(Kind::Upstream, "u", json(endpoints, rest))]);
    node
}

#[test]
fn an_endpoint_that_is_added_gets_little_with_every_balancer() {
    for balance in [
        r#""round_robin""#,
        r#""least_conn""#,
        r#""random""#,
        r#""p2c""#,
        r#"{"ring_hash":{"key":"path","load_bound":0}}"#,
        r#"{"maglev":{"key":"path"}}"#,
    ] {
        let endpoints = [Endpoint::new(), Endpoint::new()];
        let node = added(&endpoints, &format!(r#"{LONG},"balance":{balance}"#));
        let told = why(&node);
        assert!(told[1].starts_with("takes 10 % of its share of traffic: it starts"), "{told:?}");
        for i in 0..400 {
            assert!(node.get(&format!("/{i}")).starts_with("HTTP/1.1 200 "));
        }
        // About 20 of its 200. `p2c` goes by the times that it measures: where the machine made the
        // first answer slow, that one is all.
        let requests = endpoints[1].requests();
        assert!((1..=70).contains(&requests), "{balance}: {requests}");
        assert_eq!(endpoints[0].requests() + requests, 400);
    }
}

#[test]
fn its_share_rises_to_the_whole() {
    let endpoints = [Endpoint::new(), Endpoint::new()];
    let mut node = added(&endpoints, r#","health":{"slow_start_ms":600000,"slow_start_floor":1}"#);
    assert!(why(&node)[1].starts_with("takes 1 % of its share"), "{:?}", why(&node));
    // Only now, as a machine may stand still for as long.
    let short = r#","health":{"slow_start_ms":1500,"slow_start_floor":1}"#;
    node.apply(&[put(Kind::Upstream, "u", json(&endpoints, short))]);
    eventually("it takes its share", || why(&node)[1].starts_with("takes traffic: nothing"));
}

#[test]
fn an_endpoint_whose_order_ends_starts_slowly_and_a_lone_one_does_not() {
    for (count, expected) in [(2, "takes 10 % of its share"), (1, "takes traffic: nothing")] {
        let endpoints: Vec<_> = (0..count).map(|_| Endpoint::new()).collect();
        let node = Node::start(&json(&endpoints, LONG), "", 1);
        let address = endpoints[0].upstream.address.to_string();
        node.engine.order("u", &address, EndpointOrder::Maintenance);
        node.engine.order("u", &address, EndpointOrder::Ready);
        assert!(why(&node)[0].starts_with(expected), "{:?}", why(&node));
        assert!(node.get("/").starts_with("HTTP/1.1 200 "));
    }
}

#[test]
fn without_the_key_or_once_it_is_gone_endpoints_have_their_whole_share() {
    let endpoints = [Endpoint::new(), Endpoint::new()];
    let node = added(&endpoints, "");
    assert!(why(&node)[1].starts_with("takes traffic: nothing"), "{:?}", why(&node));
    let mut node = added(&endpoints, LONG);
    assert!(why(&node)[1].starts_with("takes 10 %"), "{:?}", why(&node));
    node.apply(&[put(Kind::Upstream, "u", json(&endpoints, ""))]);
    eventually("it takes its share", || why(&node)[1].starts_with("takes traffic: nothing"));
}
