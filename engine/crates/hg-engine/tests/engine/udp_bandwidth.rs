//! What the bandwidth of a UDP route lets pass. A datagram that begins within the limit passes whole,
//! and one of 60,000 bytes takes what 1,000 bytes a second earn in a minute.

use crate::common::eventually;
use crate::common::udp::{Echo, UdpNode, counted, is_clean};

static LARGE: [u8; 60_000] = [7; 60_000];

fn node(echo: &Echo, limit: &str) -> UdpNode {
    UdpNode::to(&[echo.address], &format!(r#","bandwidth":{{{limit}}}"#))
}

fn is_dropped(node: &UdpNode, datagrams: u64) {
    eventually("it is dropped", || counted(&node.metrics().udp.dropped, "bandwidth") == datagrams);
}

#[test]
fn datagrams_of_a_flow_above_its_limit_are_dropped_and_other_flows_have_their_own() {
    let echo = Echo::start();
    let node = node(&echo, r#""upload":1000"#);
    let (heavy, light) = (node.client(), node.client());
    assert!(heavy.ask(&LARGE) == LARGE);
    heavy.send(b"x");
    is_dropped(&node, 1);
    assert_eq!(light.ask(b"y"), b"y");
    assert_eq!((echo.count(), node.metrics().udp.received.0), (2, 2));
}

#[test]
fn the_flows_of_a_client_and_of_a_route_may_share_a_limit() {
    for key in ["client_ip", "all"] {
        let echo = Echo::start();
        let node = node(&echo, &format!(r#""upload":1000,"key":"{key}""#));
        let (heavy, light) = (node.client(), node.client());
        assert!(heavy.ask(&LARGE) == LARGE);
        light.send(b"y");
        is_dropped(&node, 1);
        assert_eq!((echo.count(), node.metrics().udp.flows.active), (1, 2), "{key}");
    }
}

#[test]
fn answers_above_the_limit_are_dropped() {
    let echo = Echo::start();
    let node = node(&echo, r#""download":1000"#);
    let client = node.client();
    assert!(client.ask(&LARGE) == LARGE);
    client.send(b"x");
    is_dropped(&node, 1);
    let m = node.metrics();
    assert_eq!((echo.count(), m.udp.received.0, m.udp.sent.0), (2, 2, 1));
}

#[test]
fn of_datagrams_that_come_together_the_first_ones_pass() {
    let echo = Echo::start();
    let node = UdpNode::to(
        &[echo.address],
        r#","idle_ms":300,"bandwidth":{"upload":1000,"upload_burst":1000,"key":"all"}"#,
    );
    let client = node.client();
    for n in 0..40u8 {
        client.send(&[n; 1000]);
    }
    let all = || {
        let m = node.metrics();
        m.udp.received.0 + counted(&m.udp.dropped, "bandwidth")
    };
    eventually("each is passed on or dropped", || all() == 40);
    let passed = node.metrics().udp.received.0;
    assert!((2..40).contains(&passed), "{passed}");
    is_clean(&node);
}
