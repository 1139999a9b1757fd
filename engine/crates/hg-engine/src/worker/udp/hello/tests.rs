//! The time for which a flow waits for its name.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::common::eventually;
use crate::common::udp::{Echo, UdpNode, counted};
use crate::worker::tests::on_worker;

/// The datagrams that aioquic sends for `a.example`, each after its length (u16).
const SEVERAL: &[u8] = include_bytes!("../../../../../../../fuzz/corpus/quic_initials/several");

/// The first datagram of three.
fn first() -> &'static [u8] {
    &SEVERAL[2..2 + usize::from(u16::from_be_bytes([SEVERAL[0], SEVERAL[1]]))]
}

#[test]
fn a_flow_waits_for_its_name_as_long_as_a_client_takes_to_send_again() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], r#","sni":["a.example"]"#);
    let client = node.client();
    // On a slow machine the time of one may be over before it is looked at.
    eventually("one waits until its time is over", || {
        client.send(first());
        let left = on_worker(node.node(), |w| {
            let id = w.udp.hellos.flows.oldest(0)?;
            let (real, began) = (w.now, w.udp.hellos.flows.seen_at(id)?);
            let left = [PATIENCE_MS - Clock::TICK_MS, PATIENCE_MS].map(|ms| {
                w.now = began + ms / Clock::TICK_MS;
                w.sweep_hellos();
                w.udp.hellos.flows.len()
            });
            w.now = real;
            Some(left)
        });
        assert!(left.is_none_or(|left| left == [1, 0]), "{left:?}");
        left.is_some()
    });
    let udp = node.metrics().udp;
    assert!(counted(&udp.hellos, "timeout") > 0);
    assert!(counted(&udp.dropped, "no-route") > 0 && udp.flows.total == 0);
}

#[test]
fn what_is_kept_of_a_socket_goes_with_it_and_is_counted() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], r#","sni":["a.example"]"#);
    let client = node.client();
    eventually("one waits, and is forgotten", || {
        client.send(first());
        on_worker(node.node(), |w| {
            let Some(id) = w.udp.hellos.flows.oldest(0) else { return false };
            let socket = w.udp.hellos.flows.key(id).unwrap().socket;
            w.forget_hellos(Dropped::Draining, |key| key.socket != socket);
            assert_eq!(w.udp.hellos.flows.len(), 1);
            w.forget_hellos(Dropped::Draining, |key| key.socket == socket);
            w.udp.hellos.flows.is_empty()
        })
    });
    assert!(counted(&node.metrics().udp.dropped, "draining") > 0);
}

#[test]
fn a_flow_keeps_the_name_that_its_client_asked_for() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], r#","sni":["a.example"]"#);
    let client = node.client();
    let mut rest = SEVERAL;
    while let Some((&[hi, lo], after)) = rest.split_first_chunk::<2>() {
        let (datagram, next) = after.split_at(usize::from(u16::from_be_bytes([hi, lo])));
        client.send(datagram);
        rest = next;
    }
    client.receive();
    let sni = on_worker(node.node(), |w| {
        let id = w.udp.flows.ids().next().unwrap();
        w.udp.flows.get(id).unwrap().sni.clone()
    });
    assert_eq!(sni.as_deref(), Some("a.example"));
    assert_eq!(counted(&node.metrics().udp.hellos, "named"), 1);
    let bytes = SEVERAL.len() as u64 - 3 * 2;
    eventually("all is counted", || node.metrics().udp.received == (3, bytes));
}

#[test]
fn what_waits_at_a_socket_is_dropped_as_it_closes() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], r#","sni":["a.example"]"#);
    let (client, address) = (node.client(), node.address);
    let mut left = None;
    while left.is_none() {
        client.send(first());
        left = on_worker(node.node(), move |w| {
            w.udp.hellos.flows.oldest(0)?;
            w.close_datagram_socket(address);
            Some((w.udp.hellos.flows.len(), w.udp.sockets.len()))
        });
    }
    assert_eq!(left, Some((0, 0)));
}
