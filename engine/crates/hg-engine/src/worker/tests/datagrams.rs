//! Datagrams that fall into one batch, and the times of flows at their edges.

use super::*;
use crate::common::udp::{Client, Echo, UdpNode, counted, listener, route};
use crate::worker::leave::Leaving;
use hg_net::Clock;

#[test]
fn of_a_batch_of_many_clients_each_gets_its_own_answers_in_order() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], "");
    let clients: Vec<Client> = (0..4).map(|_| node.client()).collect();
    let order = [0, 0, 1, 0, 2, 2, 2, 1, 3, 3, 0, 1, 1, 2, 3];
    let held = Held::new(node.node());
    let mut sent = [0u8; 4];
    for at in order {
        // No two have the same size.
        let number = sent[at];
        sent[at] += 1;
        clients[at].send(&vec![number; 10 + 20 * usize::from(number) + at]);
    }
    drop(held);
    for (at, client) in clients.iter().enumerate() {
        for number in 0..sent[at] {
            let expected = vec![number; 10 + 20 * usize::from(number) + at];
            assert_eq!(client.receive(), expected, "client {at}");
        }
    }
    eventually("all is counted", || node.metrics().udp.sent.0 == order.len() as u64);
    let udp = node.metrics().udp;
    assert_eq!((udp.received, udp.flows.active, udp.flows.total), (udp.sent, 4, 4));
    assert!(udp.dropped.iter().all(|d| d.count == 0), "{:?}", udp.dropped);
}

#[test]
fn of_a_batch_a_client_without_a_route_is_passed_over() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], r#","client":["127.0.0.2/32"]"#);
    let at = |ip: &str| {
        let socket = std::net::UdpSocket::bind((ip, 0)).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.connect(node.address).unwrap();
        socket
    };
    let (one, two) = (at("127.0.0.2"), at("127.0.0.3"));
    let held = Held::new(node.node());
    for (socket, bytes) in [(&two, 1), (&one, 2), (&two, 3), (&two, 4), (&one, 5), (&one, 6)] {
        socket.send(&vec![7; bytes]).unwrap();
    }
    drop(held);
    for expected in [2, 5, 6] {
        assert_eq!(one.recv(&mut [0; 64]).unwrap(), expected);
    }
    eventually("the others are dropped", || counted(&node.metrics().udp.dropped, "no-route") == 3);
    assert_eq!(node.metrics().udp.received, (3, 13));
}

/// Has the house be kept so many milliseconds from now.
fn sweep(node: &UdpNode, ms: u64) {
    on_worker(node.node(), move |w| {
        let real = (w.now_us, w.now);
        w.now_us += ms * 1000;
        w.now = Clock::ticks(w.now_us);
        w.sweep_flows();
        (w.now_us, w.now) = real;
    });
}

fn flows(node: &UdpNode) -> u64 {
    node.metrics().udp.flows.active
}

#[test]
fn a_flow_is_quiet_for_as_long_as_its_own_route_says() {
    let echo = Echo::start();
    let mut node = UdpNode::to(&[echo.address], r#","client":["127.0.0.2/32"],"idle_ms":60000"#);
    let patient = r#"{"listeners":["dns"],"upstream":"u","idle_ms":600000}"#;
    node.apply(&[put(Kind::UdpRoute, "patient", patient)]);
    let sockets = ["127.0.0.2", "127.0.0.3"].map(|ip| {
        let socket = std::net::UdpSocket::bind((ip, 0)).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.connect(node.address).unwrap();
        socket.send(b"a").unwrap();
        assert_eq!(socket.recv(&mut [0; 8]).unwrap(), 1);
        socket
    });
    let idle = || counted(&node.metrics().udp.ended, "idle-timeout");
    for (ms, left) in [(40_000, 2), (60_050, 1), (580_000, 1), (600_050, 0)] {
        sweep(&node, ms);
        assert_eq!((flows(&node), idle()), (left, 2 - left), "after {ms} ms");
    }
    drop(sockets);
}

#[test]
fn a_flow_whose_route_has_gone_has_the_time_of_a_drain() {
    let echo = Echo::start();
    let mut node = UdpNode::to(&[echo.address], r#","idle_ms":600000"#);
    node.apply(&[put(Kind::Settings, "node", r#"{"drain":{"deadline_ms":60000}}"#)]);
    let client = node.client();
    assert_eq!(client.ask(b"a"), b"a");
    node.apply(&[Change { kind: Kind::UdpRoute, name: "d".into(), bytes: None }]);
    sweep(&node, 40_000);
    assert_eq!(flows(&node), 1);
    // One that comes back in time keeps it.
    node.apply(&[route(r#","idle_ms":600000"#)]);
    sweep(&node, 60_050);
    assert_eq!(flows(&node), 1);
    node.apply(&[Change { kind: Kind::UdpRoute, name: "d".into(), bytes: None }]);
    sweep(&node, 60_050);
    assert_eq!((flows(&node), counted(&node.metrics().udp.ended, "route-removed")), (0, 1));
}

#[test]
fn a_change_of_what_a_flow_is_for_drains_it_and_others_do_not() {
    let drain = put(Kind::Settings, "node", r#"{"drain":{"deadline_ms":60000}}"#);
    for (change, stays) in [
        (r#","idle_ms":590000"#, true),
        (r#","idle_ms":600000,"answers":9"#, true),
        (r#","idle_ms":600000,"balance_by":"datagram""#, false),
    ] {
        let echo = Echo::start();
        let mut node = UdpNode::to(&[echo.address], r#","idle_ms":600000"#);
        let client = node.client();
        assert_eq!(client.ask(b"a"), b"a");
        node.apply(&[drain.clone(), listener(node.address, r#","flows":100"#), route(change)]);
        sweep(&node, 60_050);
        assert_eq!(flows(&node), u64::from(stays), "{change}");
    }
    let echo = Echo::start();
    let mut node = UdpNode::to(&[echo.address], r#","idle_ms":600000"#);
    let client = node.client();
    assert_eq!(client.ask(b"a"), b"a");
    node.apply(&[
        drain,
        put(Kind::Upstream, "v", upstream_json(&[echo.address], "")),
        put(Kind::UdpRoute, "d", r#"{"listeners":["dns"],"upstream":"v","idle_ms":600000}"#),
    ]);
    sweep(&node, 60_050);
    assert_eq!(flows(&node), 0, "another upstream");
}

#[test]
fn a_worker_that_leaves_waits_for_quiet_flows_no_longer_than_its_grace() {
    let echo = Echo::start();
    let mut node = UdpNode::to(&[echo.address], r#","idle_ms":600000"#);
    node.apply(&[put(Kind::Settings, "node", r#"{"drain":{"idle_grace_ms":60000}}"#)]);
    let client = node.client();
    assert_eq!(client.ask(b"a"), b"a");
    let leave = |node: &UdpNode, is_leaving: bool| {
        on_worker(node.node(), move |w| {
            let (idle_until, deadline) = (hg_net::Ticks::MAX, hg_net::Ticks::MAX);
            w.leaving = match is_leaving {
                true => Leaving::Closing { idle_until, deadline },
                false => Leaving::No,
            };
        });
    };
    sweep(&node, 61_000);
    assert_eq!(flows(&node), 1, "it does not leave");
    leave(&node, true);
    sweep(&node, 40_000);
    assert_eq!(flows(&node), 1);
    sweep(&node, 60_050);
    assert_eq!((flows(&node), counted(&node.metrics().udp.ended, "drained")), (0, 1));
    leave(&node, false);
}
