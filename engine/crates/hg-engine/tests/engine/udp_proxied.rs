//! The PROXY protocol in front of datagrams: whose they are, what endpoints are told, and what becomes
//! of those without a usable header.

use crate::common::udp::{Echo, UdpNode, counted, is_clean, listener, route};
use crate::common::{DEADLINE, eventually, put, upstream_json};
use hg_plan::Kind;
use hg_relay::proxy_protocol::{Addresses, Extras, Transport, kind, parse_datagram};
use hg_relay::proxy_protocol::{write_local, write_v2};
use std::net::SocketAddr;
use std::sync::mpsc;

const TOLD: &str = r#","pool":{"proxy_protocol":"v2"}"#;
const REQUIRED: &str = r#","client_ip":{"proxy_protocol":{"trusted":["127.0.0.0/8"]}}"#;
const OPTIONAL: &str =
    r#","client_ip":{"proxy_protocol":{"mode":"optional","trusted":["127.0.0.0/8"]}}"#;
/// Nobody of these tests.
const OTHERS: &str = r#","client_ip":{"proxy_protocol":{"trusted":["192.0.2.0/24"]}}"#;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A datagram of a client that a load balancer passes on.
fn passed(source: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (source, destination) = (at(source), at("198.51.100.2:53"));
    write_v2(Transport::Datagram, source, destination, &Extras::default(), &mut out);
    [&*out, payload].concat()
}

/// What an endpoint got: of whom, to whom, under which id, and the rest.
fn told(datagram: &[u8]) -> (SocketAddr, SocketAddr, Vec<u8>, Vec<u8>) {
    let header = parse_datagram(datagram).unwrap();
    let Addresses::Passed { source, destination, .. } = header.addresses else { panic!() };
    let id = header.tlvs.get(kind::UNIQUE_ID).unwrap().to_vec();
    (source, destination, id, datagram[header.len..].to_vec())
}

fn node_of(echo: &Echo, upstream: &str, keys: &str) -> UdpNode {
    let mut node = UdpNode::start(&upstream_json(&[echo.address], upstream), "", 1);
    let change = listener(node.address, keys);
    node.apply(&[change]);
    node
}

fn dropped(node: &UdpNode, reason: &str) -> u64 {
    counted(&node.metrics().udp.dropped, reason)
}

#[test]
fn each_datagram_tells_the_endpoint_of_its_client() {
    let echo = Echo::start();
    let node = node_of(&echo, TOLD, "");
    let clients = [node.client(), node.client()];
    let mut ids = Vec::new();
    for client in &clients {
        let mut seen = Vec::new();
        for payload in [&b"question"[..], b"", &[7; 9_000]] {
            // The answer comes as it is: the echo's header is not ours to take off.
            let (source, destination, id, rest) = told(&client.ask(payload));
            assert_eq!((source, destination), (client.address(), node.address));
            assert_eq!(rest, payload);
            seen.push(id);
        }
        assert!(seen.iter().all(|id| id == &seen[0] && id.len() == 32));
        ids.push(seen[0].clone());
    }
    assert_ne!(ids[0], ids[1]);
    // Bytes are those of clients.
    let m = node.metrics();
    assert_eq!(m.udp.received, (6, 2 * 9_008));
}

#[test]
fn what_does_not_fit_with_its_header_is_dropped_and_counted() {
    let echo = Echo::start();
    let node = node_of(&echo, TOLD, "");
    let client = node.client();
    client.send(&[7; 65_507]);
    eventually("it is dropped", || dropped(&node, "too-large") == 1);
    assert_eq!(told(&client.ask(b"next")).3, b"next");
    assert_eq!(echo.count(), 1);
}

#[test]
fn the_client_is_the_one_of_the_header() {
    let (near, far) = (Echo::start(), Echo::start());
    let mut node = node_of(&far, TOLD, REQUIRED);
    node.apply(&[
        put(Kind::Upstream, "n", upstream_json(&[near.address], TOLD)),
        put(
            Kind::UdpRoute,
            "n",
            r#"{"listeners":["dns"],"upstream":"n","client":["192.0.2.0/24"]}"#.to_owned(),
        ),
        route(""),
    ]);
    let balancer = node.client();
    for _ in 0..2 {
        let (source, destination, _, rest) = told(&balancer.ask(&passed("192.0.2.7:9", b"a")));
        assert_eq!((source, destination), (at("192.0.2.7:9"), at("198.51.100.2:53")));
        assert_eq!(rest, b"a");
        let (source, ..) = told(&balancer.ask(&passed("203.0.113.7:9", b"b")));
        assert_eq!(source, at("203.0.113.7:9"));
        let (source, ..) = told(&balancer.ask(&passed("192.0.2.7:10", b"c")));
        assert_eq!(source, at("192.0.2.7:10"));
    }
    // Clients behind one socket of a load balancer have flows of their own.
    assert_eq!((near.count(), far.count()), (4, 2));
    assert_eq!((near.peers().len(), far.peers().len()), (2, 1));
    assert_eq!(node.metrics().udp.flows.active, 3);
    let mut local = Vec::new();
    write_local(&mut local);
    let (source, destination, _, rest) = told(&balancer.ask(&[&*local, b"check"].concat()));
    assert_eq!((source, destination), (balancer.address(), node.address));
    assert_eq!(rest, b"check");
    // All of the same client in one batch.
    for n in 0..50u8 {
        balancer.send(&passed("192.0.2.7:9", &[n]));
    }
    for n in 0..50u8 {
        assert_eq!(told(&balancer.receive()).3, [n]);
    }
    assert_eq!(node.metrics().udp.flows.total, 4);
}

#[test]
fn a_datagram_without_a_usable_header_is_dropped_by_its_reason() {
    let echo = Echo::start();
    let node = node_of(&echo, "", REQUIRED);
    let client = node.client();
    let whole = passed("192.0.2.7:9", b"");
    let mut wrong_sum = passed("192.0.2.7:9", b"x");
    wrong_sum[16] ^= 1;
    let mut stream = Vec::new();
    let ends = (at("192.0.2.7:9"), at("192.0.2.7:10"));
    write_v2(Transport::Stream, ends.0, ends.1, &Extras::default(), &mut stream);
    let mut long = whole.clone();
    long[14] = 0xff;
    for (datagram, reason, count) in [
        (&b"question"[..], "proxy-missing", 1),
        (b"", "proxy-missing", 2),
        (b"\r\n\r\n", "proxy-missing", 3),
        (b"PROXY UNKNOWN\r\n", "proxy-malformed", 1),
        (&whole[..20], "proxy-malformed", 2),
        (&stream, "proxy-malformed", 3),
        (&long, "proxy-too-long", 1),
        (&wrong_sum, "proxy-checksum", 1),
    ] {
        client.send(datagram);
        eventually(reason, || dropped(&node, reason) == count);
    }
    assert_eq!((node.metrics().udp.flows.total, echo.count()), (0, 0));
    assert_eq!(client.ask(&whole), b"");
    is_open(&node, 1);
}

fn is_open(node: &UdpNode, flows: u64) {
    assert_eq!(node.metrics().udp.flows.total, flows);
}

#[test]
fn nobody_else_is_believed_and_an_optional_header_may_be_left_out() {
    let echo = Echo::start();
    let mut node = node_of(&echo, "", OTHERS);
    let client = node.client();
    for (n, datagram) in (1..).zip([passed("192.0.2.7:9", b"a"), b"a".to_vec()]) {
        client.send(&datagram);
        eventually("it is refused", || dropped(&node, "proxy-untrusted") == n);
    }
    let others = OTHERS.replace(r#"{"trusted"#, r#"{"mode":"optional","trusted"#);
    let change = listener(node.address, &others);
    node.apply(&[change]);
    client.send(&passed("192.0.2.7:9", b"a"));
    eventually("it is refused", || dropped(&node, "proxy-untrusted") == 3);
    assert_eq!(client.ask(b"own"), b"own");
    assert_eq!(client.ask(b"\r\n\r\n"), b"\r\n\r\n");
    let change = listener(node.address, OPTIONAL);
    node.apply(&[change]);
    assert_eq!(client.ask(&passed("192.0.2.7:9", b"told")), b"told");
    assert_eq!(client.ask(b"own"), b"own");
    is_open(&node, 2);
}

#[test]
fn what_an_upgrade_carries_over_is_told_alike() {
    let echo = Echo::start();
    let upstream = upstream_json(&[echo.address], TOLD);
    let node = node_of(&echo, TOLD, REQUIRED);
    let client = node.client();
    let before = told(&client.ask(&passed("192.0.2.7:9", b"a")));
    let mut next = node.successor(&upstream, 1);
    let change = listener(node.address, REQUIRED);
    next.apply(&[change]);
    let (to, given) = mpsc::channel();
    node.engine().handoff(Some(to));
    let all = given.recv_timeout(DEADLINE).unwrap();
    assert!(next.engine().take_flows(all.flows, DEADLINE).is_empty());
    next.engine().flows_are_here(0);
    let after = told(&client.ask(&passed("192.0.2.7:9", b"a")));
    assert_eq!(before, after);
    assert_eq!(next.metrics().udp.flows.total, 1);
    assert_eq!(echo.peers().len(), 1);
}

#[test]
fn an_upstream_of_version_1_takes_no_datagrams() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], "");
    let v1 = TOLD.replace("v2", "v1");
    let refused = node.refused(&[put(Kind::Upstream, "u", upstream_json(&[echo.address], &v1))]);
    assert!(refused.iter().any(|one| one.contains("cannot tell of datagrams")), "{refused:?}");
    is_clean(&node);
}
