//! The ways to an endpoint, and the time that they have.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::common::{DEADLINE, Node, eventually, put, read_n, unused_address};
use crate::worker::tests::on_worker;
use crate::worker::tests::sessions::{closed, echo, node, pass_sessions, sessions};
use crate::worker::tests::times::deaf;
use hg_plan::Kind;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::Ordering::Relaxed;

#[test]
fn no_other_address_is_tried_beside_a_connection() {
    let mut dial = Dial { address_until: 5, endpoint_until: 9, ..Dial::default() };
    assert_eq!(dial.due(), 5);
    dial.wait_for_endpoint();
    assert_eq!(dial.due(), 9);
    assert_eq!(dial.why, Close::ConnectRefused);
    dial.failed(Close::ConnectTls);
    assert_eq!(dial.why, Close::ConnectTls);
}

/// Runs a function on the session that is connecting; its time for the endpoint is over.
fn expire(node: &Node, run: impl FnOnce(&mut Worker, SessionId) + Send + 'static) {
    on_worker(node, move |w| {
        let now = w.now;
        let connects = |s: &Session| matches!(s.phase, Phase::Dialing(_));
        let (index, s) = w.tcp.sessions.iter_mut().find(|(_, s)| connects(s)).unwrap();
        let id = SessionId { index, generation: s.generation };
        dialing(s).unwrap().endpoint_until = now;
        run(w, id);
    });
}

#[test]
fn no_other_endpoint_is_tried_once_the_time_to_connect_is_over() {
    let (listener, _waiting) = deaf();
    let up = echo();
    let balance = r#","connect_timeout_ms":600000,"balance":"round_robin""#;
    let node = node(&[listener.local_addr().unwrap(), up.address], balance, "");
    // The endpoints have turns: one of two sessions begins at the first.
    let _clients = [node.connect(), node.connect()];
    eventually("one has an endpoint", || up.connections() == 1 && sessions(&node) == 2);
    expire(&node, |w, id| {
        let now = w.now;
        w.tcp.get_mut(id).and_then(dialing).unwrap().connect_until = now;
        w.expire_dial(id);
    });
    assert_eq!((sessions(&node), closed(&node, "connect-timeout")), (1, 1));
    let metrics = node.engine.metrics();
    assert_eq!(metrics.upstreams[0].served.retries, 0);
    assert!(metrics.handshakes.is_empty(), "none had begun");
    let first = &node.engine.status().upstreams[0].endpoints[0];
    assert_eq!(first.last_error, "no connection in time");
}

#[test]
fn a_session_that_has_tried_an_endpoint_waits_for_no_place() {
    let both = [deaf(), deaf()];
    let addresses = both.each_ref().map(|(listener, _)| listener.local_addr().unwrap());
    let limits = r#","connect_timeout_ms":600000,"max_connections":1,"queue":5"#;
    let node = node(&addresses, limits, "");
    let _s = node.connect();
    eventually("it is connecting", || sessions(&node) == 1);
    expire(&node, |w, id| {
        // Another worker takes the place.
        let entry = w.upstreams.get_mut(0).unwrap().entry.clone();
        entry.in_use.fetch_add(1, Relaxed);
        w.expire_dial(id);
        entry.in_use.fetch_sub(1, Relaxed);
    });
    assert_eq!((sessions(&node), closed(&node, "connect-timeout")), (0, 1));
    assert_eq!(node.engine.metrics().upstreams[0].waiting, 0);
}

#[test]
fn an_endpoint_sees_the_reset_of_a_connection_that_was_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let node = node(&[listener.local_addr().unwrap()], "", "");
    let address = node.address;
    let _s = on_worker(&node, move |w| {
        let s = std::net::TcpStream::connect(address).unwrap();
        let mut events = Vec::new();
        while w.tcp.sessions.is_empty() {
            w.poller.wait(Some(100), &mut events).unwrap();
            for event in events.drain(..) {
                w.on_event(event);
            }
        }
        let (index, session) = w.tcp.sessions.iter().next().unwrap();
        assert!(matches!(session.phase, Phase::Dialing(_)));
        let id = SessionId { index, generation: session.generation };
        w.close_session(id, Close::DrainDeadline);
        s
    });
    let (mut s, _) = listener.accept().unwrap();
    s.set_read_timeout(Some(DEADLINE)).unwrap();
    let end = s.read(&mut [0]).map_err(|e| e.kind());
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
}

/// Listens on an address of IPv6, and sends back what comes.
fn echo_v6() -> SocketAddr {
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut s in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut copy = s.try_clone().unwrap();
                std::io::copy(&mut s, &mut copy)
            });
        }
    });
    address
}

/// Starts a node whose endpoint has two addresses, of which the second one sends back what comes.
fn with_first(first: SocketAddr) -> Node {
    let mut node = node(&[unused_address()], "", "");
    let name = "pool.test:80";
    let json = format!(r#"{{"endpoints":[{{"address":"{name}"}}],"connect_timeout_ms":600000}}"#);
    node.apply(&[put(Kind::Upstream, "u", json)]);
    node.engine.set_addresses(name, Ok(vec![first, echo_v6()]));
    node.apply(&[]);
    node
}

fn passes(node: &Node) -> std::net::TcpStream {
    let mut s = node.connect();
    s.write_all(b"x").unwrap();
    assert_eq!(read_n(&mut s, 1), b"x");
    s
}

/// Returns how often the endpoint was connected to, and the address that is tried first.
fn connects(node: &Node) -> (u64, usize) {
    on_worker(node, |w| {
        let endpoint = &w.upstreams.get_mut(0).unwrap().endpoints[0];
        (endpoint.counters.connects.get(), endpoint.preferred.get())
    })
}

#[test]
fn an_address_that_answered_takes_the_place_of_one_that_refused() {
    let node = with_first(unused_address());
    let _first = passes(&node);
    assert_eq!(connects(&node), (2, 1));
    let _second = passes(&node);
    assert_eq!(connects(&node), (3, 1));
    // The other one is tried after it.
    on_worker(&node, |w| w.upstreams.get_mut(0).unwrap().endpoints[0].preferred.set(0));
    let _third = passes(&node);
    assert_eq!(connects(&node), (5, 1));
}

#[test]
fn a_second_address_is_tried_beside_a_slow_one_and_no_third() {
    let (listener, _waiting) = deaf();
    let node = with_first(listener.local_addr().unwrap());
    let mut s = node.connect();
    s.write_all(b"x").unwrap();
    eventually("it is connecting", || connects(&node).0 > 0);
    pass_sessions(&node, 1_000);
    assert_eq!(read_n(&mut s, 1), b"x");
    assert_eq!(connects(&node), (2, 1));
}

#[test]
fn a_name_without_an_address_is_told_apart_from_endpoints_that_are_out() {
    let up = echo();
    let mut node = node(&[up.address], "", "");
    node.engine.order("u", &up.address.to_string(), hg_resilience::Admin::Maintenance);
    let _ = node.connect().read(&mut [0]);
    eventually("no endpoint takes it", || closed(&node, "no-endpoint") == 1);
    let json = r#"{"endpoints":[{"address":"pool.test:80"}]}"#;
    node.apply(&[put(Kind::Upstream, "u", json)]);
    let _ = node.connect().read(&mut [0]);
    eventually("it has no address", || closed(&node, "unresolved") == 1);
    assert_eq!(closed(&node, "no-endpoint"), 1);
}
