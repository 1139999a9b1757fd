//! Names with several addresses: requests go to all of them by the name's weight, and follow the
//! name when it resolves to something else.

use crate::common::*;
use hg_plan::Kind;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

const NAME: &str = "pool.test:80";

/// How many requests each of a set of upstreams took.
#[derive(Clone, Default)]
struct Taken(Arc<Mutex<BTreeMap<SocketAddr, usize>>>);

impl Taken {
    /// An upstream that answers everything, and counts.
    fn upstream(&self) -> Upstream {
        let taken = self.0.clone();
        Upstream::play(move |mut s| {
            let own = s.local_addr().unwrap();
            while read_head(&mut s).is_some() {
                *taken.lock().unwrap().entry(own).or_default() += 1;
                if s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
                    return;
                }
            }
        })
    }

    fn upstreams(&self, n: usize) -> Vec<Upstream> {
        (0..n).map(|_| self.upstream()).collect()
    }

    fn reset(&self) {
        self.0.lock().unwrap().clear();
    }

    /// Counts by upstream, in the order given.
    fn of(&self, upstreams: &[Upstream]) -> Vec<usize> {
        let taken = self.0.lock().unwrap();
        upstreams.iter().map(|u| taken.get(&u.address).copied().unwrap_or(0)).collect()
    }
}

fn addresses(upstreams: &[Upstream]) -> Vec<SocketAddr> {
    let mut all: Vec<SocketAddr> = upstreams.iter().map(|u| u.address).collect();
    all.sort();
    all
}

/// Sends so many requests, each on a connection of its own; all are answered.
fn ask(node: &Node, times: usize) {
    for _ in 0..times {
        assert!(node.get("/").starts_with("HTTP/1.1 200 "));
    }
}

/// Sends so many requests on one connection, so that the upstream's connection is back in its pool
/// each time.
fn ask_on(client: &mut TcpStream, times: usize) {
    for _ in 0..times {
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert!(read_answer(client).0.starts_with("HTTP/1.1 200 "));
    }
}

fn named(rest: &str) -> String {
    format!(r#"{{"endpoints":[{{"address":"{NAME}"}}]{rest}}}"#)
}

/// Sets what the name resolves to; returns once every worker knows, because a plan that changes
/// nothing is taken after what was sent before it.
fn tell(node: &mut Node, addresses: Vec<SocketAddr>) {
    node.engine.set_addresses(NAME, Ok(addresses));
    node.apply(&[]);
}

fn resolve(node: &mut Node, upstreams: &[Upstream]) {
    tell(node, addresses(upstreams));
}

#[test]
fn every_address_takes_its_part_under_every_balancer_that_spreads() {
    for balance in ["round_robin", "least_conn", "random", "p2c"] {
        let taken = Taken::default();
        let ups = taken.upstreams(4);
        let mut node = Node::start(&named(&format!(r#","balance":"{balance}""#)), "", 1);
        resolve(&mut node, &ups);
        ask(&node, 80);
        let counts = taken.of(&ups);
        // After one slow answer `p2c` avoids an endpoint for a while.
        let least = if balance == "p2c" { 2 } else { ups.len() };
        let used = counts.iter().filter(|n| **n > 0).count();
        assert!(used >= least, "{balance}: {counts:?}");
        if balance == "round_robin" {
            assert_eq!(counts, [20; 4]);
        }
    }
}

#[test]
fn a_hash_keeps_a_key_at_one_address_and_spreads_keys() {
    for balance in
        [r#"{"ring_hash":{"key":"path"}}"#, r#"{"maglev":{"key":"path","table_size":251}}"#]
    {
        let taken = Taken::default();
        let ups = taken.upstreams(4);
        let mut node = Node::start(&named(&format!(r#","balance":{balance}"#)), "", 1);
        resolve(&mut node, &ups);
        ask(&node, 10);
        let mut counts = taken.of(&ups);
        counts.sort_unstable();
        assert_eq!(counts, [0, 0, 0, 10], "{balance}");
        for i in 0..60 {
            assert!(node.get(&format!("/{i}")).starts_with("HTTP/1.1 200 "));
        }
        let counts = taken.of(&ups);
        assert!(counts.iter().all(|n| *n > 0), "{balance}: {counts:?}");
    }
}

#[test]
fn more_addresses_than_a_maglev_table_has_places_do_no_harm() {
    let taken = Taken::default();
    let ups = taken.upstreams(4);
    let balance = r#","balance":{"maglev":{"key":"path","table_size":3}}"#;
    let mut node = Node::start(&named(balance), "", 1);
    resolve(&mut node, &ups);
    for i in 0..60 {
        assert!(node.get(&format!("/{i}")).starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(taken.of(&ups).iter().filter(|n| **n > 0).count(), 3);
}

#[test]
fn each_address_has_the_weight_of_its_name() {
    let taken = Taken::default();
    let ups = taken.upstreams(3);
    let (named, single) = ups.split_at(2);
    let json = format!(
        r#"{{"endpoints":[{{"address":"{NAME}","weight":2}},{{"address":"{}"}}]}}"#,
        single[0].address
    );
    let mut node = Node::start(&json, "", 1);
    resolve(&mut node, named);
    ask(&node, 50);
    assert_eq!(taken.of(&ups), [20, 20, 10]);
}

#[test]
fn requests_follow_the_name_and_connections_to_kept_addresses_stay() {
    let taken = Taken::default();
    let ups = taken.upstreams(3);
    let mut node = Node::start(&named(""), "", 1);
    resolve(&mut node, &ups[..2]);
    ask_on(&mut node.connect(), 20);
    assert_eq!(taken.of(&ups), [10, 10, 0]);
    taken.reset();
    resolve(&mut node, &ups[1..]);
    ask_on(&mut node.connect(), 20);
    assert_eq!(taken.of(&ups), [0, 10, 10]);
    let connections: Vec<usize> = ups.iter().map(Upstream::connections).collect();
    assert_eq!(connections[1], 1, "its connection was kept: {connections:?}");
}

#[test]
fn one_address_that_refuses_costs_no_request() {
    let taken = Taken::default();
    let ups = taken.upstreams(2);
    let closed = unused_address();
    let mut node = Node::start(&named(""), "", 1);
    let mut all = addresses(&ups);
    all.push(closed);
    tell(&mut node, all);
    ask(&node, 30);
    let status = node.engine.status();
    assert!(status.upstreams[0].endpoints[0].connect_failures > 0);
    assert_eq!(taken.of(&ups).iter().sum::<usize>(), 30);
}

#[test]
fn status_shows_the_name_once_with_every_address() {
    let taken = Taken::default();
    let ups = taken.upstreams(3);
    let json = format!(
        r#"{{"endpoints":[{{"address":"{NAME}"}},{{"address":"other.test:80"}},{{"address":"{}"}}]}}"#,
        ups[0].address
    );
    let mut node = Node::start(&json, "", 2);
    resolve(&mut node, &ups);
    ask(&node, 12);
    let endpoints = &node.engine.status().upstreams[0].endpoints;
    let shown: Vec<&str> = endpoints.iter().map(|e| e.address.as_str()).collect();
    assert_eq!(shown, [NAME, "other.test:80", &ups[0].address.to_string()]);
    let told: Vec<String> = addresses(&ups).iter().map(ToString::to_string).collect();
    assert_eq!(endpoints[0].resolved, told);
    assert_eq!(endpoints.iter().map(|e| e.is_resolved()).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(endpoints.iter().map(|e| e.requests).sum::<u64>(), 12);
    assert_eq!(endpoints[0].requests, 9);
    node.engine.set_addresses(NAME, Err("no answer".into()));
    assert_eq!(node.engine.status().upstreams[0].endpoints[0].last_error, "no answer");
    ask(&node, 4);
}

#[test]
fn a_host_with_one_address_of_each_family_is_one_endpoint() {
    let taken = Taken::default();
    let up = taken.upstream();
    let v6 = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], up.address.port()));
    let mut node = Node::start(&named(r#","max_connections":1"#), "", 1);
    tell(&mut node, vec![v6, up.address]);
    ask(&node, 5);
    let status = node.engine.status();
    let endpoint = &status.upstreams[0].endpoints[0];
    assert_eq!((endpoint.requests, endpoint.failures), (5, 0), "the other family was tried first");
    assert_eq!(endpoint.resolved.len(), 2);
}

#[test]
fn a_limit_of_a_name_holds_for_its_addresses_together() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let slow = || {
        let wait = wait.clone();
        Upstream::play(move |mut s| {
            while read_head(&mut s).is_some() {
                wait.lock().unwrap().recv().unwrap();
                s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            }
        })
    };
    let ups = [slow(), slow()];
    let json = format!(
        r#"{{"endpoints":[{{"address":"{NAME}","max_connections":1}}],"queue":1,"queue_timeout_ms":60000}}"#
    );
    let mut node = Node::start(&json, "", 1);
    node.apply(&[put(Kind::Route, "r", route_json(""))]);
    resolve(&mut node, &ups);
    let mut clients: Vec<_> = (0..2).map(|_| node.connect()).collect();
    clients[0].write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let connected = || ups.iter().map(Upstream::connections).sum::<usize>();
    eventually("the first is upstream", || connected() == 1);
    clients[1].write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    eventually("the second waits", || node.engine.metrics().upstreams[0].queued == 1);
    assert_eq!(connected(), 1);
    for client in &mut clients {
        go.send(()).unwrap();
        assert!(read_answer(client).0.starts_with("HTTP/1.1 200 "));
    }
}
