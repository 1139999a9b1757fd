//! UDP routes over real sockets: datagrams, flows and their ends, endpoints that are not there.

use crate::common::udp::{ClosedPort, Echo, UdpNode, counted, is_clean, listener, route};
use crate::common::{eventually, put, upstream_json};
use hg_plan::Kind;
use std::net::UdpSocket;

#[test]
fn datagrams_of_every_size_pass_in_both_directions() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], "");
    let client = node.client();
    for size in [0usize, 1, 512, 1500, 9000, 65_507] {
        let sent: Vec<u8> = (0..size).map(|i| (i ^ (i >> 7)) as u8).collect();
        assert!(client.ask(&sent) == sent, "{size}");
    }
    // The counts follow the datagrams.
    eventually("all is counted", || node.metrics().udp.sent.0 == 6);
    let m = node.metrics();
    let bytes = 1 + 512 + 1500 + 9000 + 65_507;
    assert_eq!((m.udp.received, m.udp.sent), ((6, bytes), (6, bytes)));
    assert_eq!((m.bytes_received, m.bytes_sent), (bytes, bytes));
    assert_eq!((m.udp.flows.active, m.udp.flows.total), (1, 1));
    assert_eq!(m.upstreams[0].endpoints[0].requests, 1);
    assert_eq!(m.listeners.iter().map(|l| (l.connections, l.accepted)).max(), Some((1, 1)));
}

#[test]
fn each_client_has_a_flow_and_answers_of_its_own() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], "");
    let clients: Vec<_> = (0..100).map(|_| node.client()).collect();
    for (i, client) in clients.iter().enumerate() {
        client.send(format!("{i}").as_bytes());
    }
    for (i, client) in clients.iter().enumerate() {
        assert_eq!(client.receive(), format!("{i}").as_bytes());
    }
    assert_eq!(node.metrics().udp.flows.active, 100);
}

#[test]
fn only_the_endpoint_may_answer() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], "");
    let client = node.client();
    assert_eq!(client.ask(b"a"), b"a");
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.send_to(b"forged", echo.last_peer()).unwrap();
    assert_eq!(client.ask(b"b"), b"b");
    eventually("two answers went out", || node.metrics().udp.sent.0 == 2);
}

#[test]
fn a_flow_ends_with_its_answers_or_when_it_is_idle() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], r#","answers":1"#);
    assert_eq!(node.client().ask(b"a"), b"a");
    eventually("answered", || counted(&node.metrics().udp.ended, "answered") == 1);
    is_clean(&node);
    let node = UdpNode::to(&[echo.address], r#","idle_ms":50"#);
    let client = node.client();
    for n in 1..3 {
        client.send(b"a");
        eventually("idle", || counted(&node.metrics().udp.ended, "idle-timeout") == n);
        assert_eq!(node.metrics().udp.flows.total, n);
    }
    is_clean(&node);
}

#[test]
fn a_client_without_a_route_is_dropped() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], r#","client":["192.0.2.0/24"]"#);
    node.client().send(b"a");
    eventually("no route", || counted(&node.metrics().udp.dropped, "no-route") == 1);
    assert_eq!(node.metrics().udp.flows.total, 0);
}

#[test]
fn a_closed_port_is_a_failure_and_the_next_datagram_goes_elsewhere() {
    let echo = Echo::start();
    let closed = ClosedPort::new();
    let node = UdpNode::to(&[closed.address, echo.address], "");
    // One of the two gets the closed port.
    let clients = [node.client(), node.client()];
    for client in &clients {
        client.send(b"1");
    }
    eventually("the failure is counted", || node.failures() == 1);
    for client in &clients {
        eventually("both are served", || {
            client.send(b"2");
            client.has_answer()
        });
    }
    assert_eq!((node.failures(), node.metrics().udp.flows.total), (1, 2));
}

#[test]
fn without_another_endpoint_datagrams_are_dropped_until_it_is_there() {
    let closed = ClosedPort::on("127.0.0.53");
    let node = UdpNode::to(&[closed.address], "");
    let client = node.client();
    let unreachable = || counted(&node.metrics().udp.dropped, "endpoint-unreachable");
    client.send(b"1");
    eventually("the failure is counted", || node.failures() == 1);
    client.send(b"2");
    eventually("it is dropped", || unreachable() == 1);
    let address = closed.address;
    drop(closed);
    let _echo = Echo::at(address);
    assert_eq!(client.ask(b"3"), b"3");
}

#[test]
fn ejected_and_backup_endpoints_count() {
    let echo = Echo::start();
    let closed = ClosedPort::new();
    let endpoints = format!(
        r#"{{"endpoints":[{{"address":"{}"}},{{"address":"{}","backup":true}}]{}}}"#,
        closed.address, echo.address, r#","health":{"breaker":{"per":"endpoint","failures":1}}"#
    );
    let node = UdpNode::start(&endpoints, "", 1);
    node.client().send(b"lost");
    eventually("the failure is counted", || node.failures() == 1);
    assert_eq!(node.client().ask(b"kept"), b"kept");
    assert_eq!(node.failures(), 1);
}

#[test]
fn each_datagram_may_have_an_endpoint_of_its_own() {
    let echoes = [Echo::start(), Echo::start(), Echo::start()];
    let addresses = echoes.each_ref().map(|e| e.address);
    let node = UdpNode::to(&addresses, r#","balance_by":"datagram""#);
    let client = node.client();
    for i in 0..30u8 {
        assert_eq!(client.ask(&[i]), [i]);
    }
    assert_eq!(echoes.each_ref().map(Echo::count), [10, 10, 10]);
    assert_eq!(node.metrics().udp.flows.active, 3);
}

#[test]
fn datagrams_of_flows_that_are_open_need_no_place_of_their_own() {
    let echoes = [Echo::start(), Echo::start(), Echo::start()];
    let addresses = echoes.each_ref().map(|e| e.address);
    let upstream = upstream_json(&addresses, r#","max_connections":3"#);
    let node = UdpNode::start(&upstream, r#","balance_by":"datagram""#, 1);
    let client = node.client();
    for i in 0..30u8 {
        assert_eq!(client.ask(&[i]), [i]);
    }
    let counts = echoes.each_ref().map(Echo::count);
    assert!(counts.iter().all(|n| *n > 1), "{counts:?}");
    assert_eq!(counted(&node.metrics().udp.dropped, "upstream-full"), 0);
    // A newcomer has no flow, and gets no place.
    node.client().send(b"a");
    eventually("it is dropped", || counted(&node.metrics().udp.dropped, "upstream-full") == 1);
}

#[test]
fn a_client_stays_at_its_endpoint_by_flow_and_by_hash() {
    let echoes = [Echo::start(), Echo::start(), Echo::start()];
    let addresses = echoes.each_ref().map(|e| e.address);
    let node = UdpNode::to(&addresses, "");
    let client = node.client();
    for i in 0..12u8 {
        assert_eq!(client.ask(&[i]), [i]);
    }
    assert_eq!(echoes.iter().map(Echo::count).max(), Some(12));
    let hashed = upstream_json(&addresses, r#","balance":{"maglev":{"key":"client_ip"}}"#);
    let node = UdpNode::start(&hashed, "", 1);
    let before = echoes.each_ref().map(Echo::count);
    for i in 0..12u8 {
        assert_eq!(node.client().ask(&[i]), [i]);
    }
    let more = echoes.iter().zip(before).map(|(e, n)| e.count() - n).max();
    assert_eq!(more, Some(12));
}

#[test]
fn flows_are_bounded_and_busy_ones_keep_their_place() {
    let echo = Echo::start();
    let mut node = UdpNode::to(&[echo.address], "");
    node.apply(&[listener(node.address, r#","flows":2"#)]);
    let clients = [node.client(), node.client(), node.client()];
    eventually("one of three is refused", || {
        clients.iter().for_each(|client| client.send(b"a"));
        counted(&node.metrics().udp.dropped, "flows-full") > 0
    });
    let before = counted(&node.metrics().udp.ended, "evicted");
    // Once the others have been quiet for a second, one gives its place.
    let late = node.client();
    eventually("a place is free", || {
        late.send(b"a");
        counted(&node.metrics().udp.ended, "evicted") > before
    });
    // The newcomer is counted after the one that left.
    eventually("two are open", || node.metrics().udp.flows.active == 2);
}

#[test]
fn a_wildcard_answers_from_the_address_that_was_asked() {
    let echo = Echo::start();
    let node = UdpNode::at("0.0.0.0:0", &upstream_json(&[echo.address], ""), "", 1);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(crate::common::DEADLINE)).unwrap();
    for there in ["127.0.0.1", "127.0.0.7"] {
        let to = format!("{there}:{}", node.address.port());
        client.send_to(b"a", &to).unwrap();
        let (_, from) = client.recv_from(&mut [0; 8]).unwrap();
        assert_eq!(from.to_string(), to);
    }
    assert_eq!(node.metrics().udp.flows.total, 2);
}

#[test]
fn what_cannot_work_is_refused() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], "");
    let unix = r#"{"endpoints":[{"address":"unix:/run/x"}]}"#;
    let told = node.refused(&[put(Kind::Upstream, "u", unix)]);
    assert_eq!(
        told,
        ["UdpRoute d: upstream: `unix:/run/x` takes no datagrams; name an address and port"]
    );
    let told = node.refused(&[route(r#","answers":0"#)]);
    assert!(told[0].starts_with("UdpRoute d: answers: "), "{told:?}");
    let elsewhere = r#"{"listeners":["web"],"upstream":"u"}"#;
    let told = node.refused(&[put(Kind::UdpRoute, "d", elsewhere)]);
    assert!(told[0].contains("does not speak UDP"), "{told:?}");
}
