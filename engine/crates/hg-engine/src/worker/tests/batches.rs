//! Batches of datagrams of which some cannot pass: those around them do, and each is counted once.

use super::*;
use crate::common::udp::{Client, Echo, UdpNode, counted, listener, route};
use hg_relay::proxy_protocol::{Extras, Transport, write_v2};
use hg_resilience::Admin;
use std::net::UdpSocket;

/// Fits into a datagram over IPv6, and not into one over IPv4.
const LARGE: usize = 65_520;

fn socket(ip: &str) -> UdpSocket {
    let socket = UdpSocket::bind((ip, 0)).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// Returns the size of the next datagram, and who sent it.
fn receive(socket: &UdpSocket) -> (usize, SocketAddr) {
    socket.recv_from(&mut vec![0; 65_536]).unwrap()
}

fn dropped(node: &UdpNode, reason: &str) -> u64 {
    counted(&node.metrics().udp.dropped, reason)
}

#[test]
fn a_datagram_that_is_too_large_for_its_endpoint_does_not_keep_others_back() {
    let endpoint = socket("127.0.0.1");
    let upstream = upstream_json(&[endpoint.local_addr().unwrap()], "");
    let node = UdpNode::at("[::1]:0", &upstream, "", 1);
    let client = socket("::1");
    client.connect(node.address).unwrap();
    let held = Held::new(node.node());
    for size in [1, 2, LARGE, 3, 4] {
        client.send(&vec![7; size]).unwrap();
    }
    drop(held);
    for expected in [1, 2, 3, 4] {
        assert_eq!(receive(&endpoint).0, expected);
    }
    eventually("all is counted", || node.metrics().udp.received == (4, 10));
    assert_eq!(dropped(&node, "too-large"), 1);
}

#[test]
fn an_answer_that_is_too_large_for_its_client_does_not_keep_others_back() {
    let endpoint = socket("::1");
    let node = UdpNode::to(&[endpoint.local_addr().unwrap()], "");
    let client = node.client();
    client.send(b"question");
    let (_, peer) = receive(&endpoint);
    let held = Held::new(node.node());
    for size in [1, 2, LARGE, 3, 4] {
        endpoint.send_to(&vec![7; size], peer).unwrap();
    }
    drop(held);
    for expected in [1, 2, 3, 4] {
        assert_eq!(client.receive().len(), expected);
    }
    eventually("all is counted", || node.metrics().udp.sent == (4, 10));
    assert_eq!(dropped(&node, "too-large"), 1);
}

#[test]
fn clients_of_two_addresses_are_answered_by_the_one_that_they_asked() {
    let endpoint = socket("127.0.0.1");
    let mut node = UdpNode::to(&[endpoint.local_addr().unwrap()], "");
    let second = socket("127.0.0.1");
    let addresses = [node.address, second.local_addr().unwrap()];
    second.set_nonblocking(true).unwrap();
    node.engine().add_sockets(&format!("{}/udp", addresses[1]), vec![second.into()]);
    let [one, two] = addresses;
    let json = format!(r#"{{"addresses":["{one}","{two}"],"protocol":"udp"}}"#);
    node.apply(&[put(Kind::Listener, "dns", json)]);
    let clients = addresses.map(Client::to);
    let peers = clients.each_ref().map(|client| {
        client.send(b"question");
        receive(&endpoint).1
    });
    for turn in 1..=3 {
        let held = Held::new(node.node());
        for (at, peer) in peers.iter().enumerate() {
            endpoint.send_to(&vec![7; 10 * turn + at], peer).unwrap();
        }
        drop(held);
        for (at, client) in clients.iter().enumerate() {
            assert_eq!(client.receive().len(), 10 * turn + at);
        }
    }
}

#[test]
fn more_answers_than_a_batch_holds_arrive_in_order() {
    let endpoint = socket("127.0.0.1");
    let node = UdpNode::to(&[endpoint.local_addr().unwrap()], "");
    let clients = [(); 4].map(|()| node.client());
    let peers = clients.each_ref().map(|client| {
        client.send(b"question");
        receive(&endpoint).1
    });
    let held = Held::new(node.node());
    for n in 1..=20 {
        for peer in peers {
            endpoint.send_to(&vec![7; n], peer).unwrap();
        }
    }
    drop(held);
    for client in &clients {
        for n in 1..=20 {
            assert_eq!(client.receive().len(), n);
        }
    }
    eventually("all is counted", || node.metrics().udp.sent == (80, 4 * 210));
}

#[test]
fn a_refused_header_does_not_keep_those_back_that_come_around_it() {
    let echo = Echo::start();
    let mut node = UdpNode::to(&[echo.address], "");
    let keys = r#","client_ip":{"proxy_protocol":{"trusted":["127.0.0.0/8"]}}"#;
    node.apply(&[listener(node.address, keys)]);
    let passed = |source: &str, payload: &[u8]| {
        let mut out = Vec::new();
        let (source, destination) = (source.parse().unwrap(), "198.51.100.2:53".parse().unwrap());
        write_v2(Transport::Datagram, source, destination, &Extras::default(), &mut out);
        [&*out, payload].concat()
    };
    let balancer = node.client();
    let held = Held::new(node.node());
    for payload in [&b""[..], b"1", b"22", b"none", b"none", b"333", b"none"] {
        match payload {
            b"" | b"none" => balancer.send(b"none"),
            payload => balancer.send(&passed("192.0.2.7:9", payload)),
        }
    }
    drop(held);
    for expected in [&b"1"[..], b"22", b"333"] {
        assert_eq!(balancer.receive(), expected);
    }
    eventually("the others are dropped", || dropped(&node, "proxy-missing") == 4);
    assert_eq!(node.metrics().udp.received, (3, 6));
}

#[test]
fn each_datagram_without_an_endpoint_is_counted_once() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], "");
    let clients = [node.client(), node.client()];
    for client in &clients {
        assert_eq!(client.ask(b"a"), b"a");
    }
    node.engine().order("u", &echo.address.to_string(), Admin::Maintenance);
    let held = Held::new(node.node());
    for at in [0, 1, 1, 1, 0, 0] {
        clients[at].send(b"b");
    }
    drop(held);
    eventually("all are dropped", || dropped(&node, "no-endpoint") == 6);
    node.engine().order("u", &echo.address.to_string(), Admin::Ready);
    for client in &clients {
        assert_eq!(client.ask(b"c"), b"c");
    }
    assert_eq!((dropped(&node, "no-endpoint"), node.metrics().udp.flows.total), (6, 2));
}

#[test]
fn each_datagram_without_a_name_is_counted_once() {
    let echo = Echo::start();
    let mut node = UdpNode::to(&[echo.address], r#","sni":["a.example"]"#);
    let clients = [node.client(), node.client()];
    let held = Held::new(node.node());
    for at in [0, 0, 1, 0, 1, 1, 1] {
        clients[at].send(b"no QUIC");
    }
    drop(held);
    eventually("all are dropped", || dropped(&node, "no-route") == 7);
    assert_eq!(counted(&node.metrics().udp.hellos, "not-quic"), 7);
    node.apply(&[route("")]);
    assert_eq!(clients[0].ask(b"a"), b"a");
    assert_eq!((dropped(&node, "no-route"), echo.count()), (7, 1));
}

#[test]
fn a_flow_whose_endpoint_has_left_the_plan_stays_there_while_it_drains() {
    let echoes = [Echo::start(), Echo::start()];
    let [before, after] = echoes.each_ref().map(|e| upstream_json(&[e.address], ""));
    let mut node = UdpNode::start(&before, "", 1);
    node.apply(&[put(Kind::Settings, "node", r#"{"drain":{"deadline_ms":3600000}}"#)]);
    let client = node.client();
    assert_eq!(client.ask(b"a"), b"a");
    node.apply(&[put(Kind::Upstream, "u", after)]);
    // The upstream's health is another one now.
    for order in [Admin::Maintenance, Admin::Ready] {
        node.engine().order("u", &echoes[1].address.to_string(), order);
        assert_eq!(client.ask(b"b"), b"b");
    }
    assert_eq!(echoes.each_ref().map(Echo::count), [3, 0]);
}

#[test]
fn a_flow_ends_with_its_listener_whatever_takes_its_place() {
    let gone = |kind, name: &str| Change { kind, name: name.into(), bytes: None };
    let ended = |node: &UdpNode| counted(&node.metrics().udp.ended, "route-removed");
    for becomes_udp in [true, false] {
        let echo = Echo::start();
        let mut node = UdpNode::to(&[echo.address], "");
        node.apply(&[put(Kind::Settings, "node", r#"{"drain":{"deadline_ms":3600000}}"#)]);
        assert_eq!(node.client().ask(b"a"), b"a");
        let at = node.address;
        node.apply(&match becomes_udp {
            true => {
                let json = format!(r#"{{"addresses":["{at}"],"protocol":"udp"}}"#);
                let route = r#"{"listeners":["other"],"upstream":"u"}"#;
                vec![
                    gone(Kind::Listener, "dns"),
                    put(Kind::Listener, "other", json),
                    put(Kind::UdpRoute, "d", route),
                ]
            }
            false => {
                let json = format!(r#"{{"addresses":["{at}"],"protocol":"http"}}"#);
                vec![gone(Kind::UdpRoute, "d"), put(Kind::Listener, "dns", json)]
            }
        });
        assert_eq!((ended(&node), flows(&node)), (1, 0), "{becomes_udp}");
    }
}

fn flows(node: &UdpNode) -> u64 {
    node.metrics().udp.flows.active
}
