//! UDP routes by the name in a QUIC client's first datagrams: what is kept, for how many, and what
//! becomes of it.

use crate::common::eventually;
use crate::common::udp::{Client, Echo, UdpNode, counted, is_clean, route};
use hg_plan::{Change, Kind};

/// What aioquic sends for `a.example`, each datagram after its length (u16).
const SEVERAL: &[u8] = include_bytes!("../../../../../fuzz/corpus/quic_initials/several");
/// Most flows that wait.
const MOST: usize = 512;

fn datagrams() -> Vec<&'static [u8]> {
    let (mut all, mut rest) = (Vec::new(), SEVERAL);
    while let Some((&[hi, lo], after)) = rest.split_first_chunk::<2>() {
        let (one, next) = after.split_at(usize::from(u16::from_be_bytes([hi, lo])));
        all.push(one);
        rest = next;
    }
    assert_eq!(all.len(), 3);
    all
}

fn hellos(node: &UdpNode, outcome: &str) -> u64 {
    counted(&node.metrics().udp.hellos, outcome)
}

fn lost(node: &UdpNode) -> u64 {
    counted(&node.metrics().udp.dropped, "no-route")
}

fn is_whole(client: &Client) {
    let [first, second, third] = datagrams()[..] else { panic!("three") };
    client.send(second);
    client.send(third);
    assert_eq!([client.receive(), client.receive(), client.receive()], [first, second, third]);
}

#[test]
fn the_oldest_of_too_many_goes_on_without_a_name() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], r#","sni":["*.example"]"#);
    let mut clients = Vec::new();
    // On a slow machine time runs out for some, and more have to come.
    while hellos(&node, "evicted") == 0 {
        assert!(clients.len() < 8 * MOST, "nobody gives up a place");
        for _ in 0..32 {
            let client = node.client();
            client.send(datagrams()[0]);
            clients.push(client);
        }
        // The kernel keeps only so many.
        let before = hellos(&node, "not-quic");
        node.client().send(b"marker");
        eventually("all were read", || hellos(&node, "not-quic") > before);
    }
    assert!(clients.len() > MOST, "{} clients", clients.len());
    let gone = hellos(&node, "evicted") + hellos(&node, "timeout") + hellos(&node, "not-quic");
    eventually("what had no name is dropped", || lost(&node) >= gone);
    is_whole(clients.last().expect("one"));
    assert_eq!((hellos(&node, "named"), echo.count()), (1, 3));
    assert_eq!(node.metrics().udp.flows.total, 1);
}

#[test]
fn a_client_has_so_many_datagrams_kept() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], r#","sni":["a.example"]"#);
    let client = node.client();
    for _ in 0..9 {
        client.send(datagrams()[0]);
    }
    eventually("too many came", || hellos(&node, "too-long") == 1);
    eventually("they are dropped", || lost(&node) == 9);
    assert_eq!(echo.count(), 0);
    is_clean(&node);
}

#[test]
fn what_is_kept_goes_with_its_listener_and_by_the_plan_of_the_time() {
    let echo = Echo::start();
    let mut node = UdpNode::to(&[echo.address], r#","sni":["a.example"]"#);
    let client = node.client();
    client.send(datagrams()[0]);
    let marker = node.client();
    marker.send(b"marker");
    eventually("it is read", || hellos(&node, "not-quic") == 1);
    node.apply(&[route(r#","sni":["b.example"]"#)]);
    for datagram in &datagrams()[1..] {
        client.send(datagram);
    }
    eventually("the name has no route any more", || lost(&node) == 4);
    client.send(datagrams()[0]);
    marker.send(b"marker");
    eventually("it is read", || hellos(&node, "not-quic") == 2);
    let gone = |kind, name: &str| Change { kind, name: name.into(), bytes: None };
    node.apply(&[gone(Kind::UdpRoute, "d"), gone(Kind::Listener, "dns")]);
    eventually("the last one is dropped", || lost(&node) == 6);
}

#[test]
fn what_would_break_a_connection_is_refused_beside_names() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], "");
    for rest in [r#","sni":["a.example"],"answers":1"#, r#","sni":["a:1"]"#] {
        assert_eq!(node.refused(&[route(rest)]).len(), 1, "{rest}");
    }
}

#[test]
fn without_a_route_by_name_nothing_waits_for_a_name() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], "");
    let first = datagrams()[0];
    assert_eq!(node.client().ask(first), first);
    assert!(node.metrics().udp.hellos.iter().all(|outcome| outcome.count == 0));
}
