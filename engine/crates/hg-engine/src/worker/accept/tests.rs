//! The sockets that a worker watches, and their options.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::common::{Node, Upstream, put};
use crate::worker::Worker;
use crate::worker::tests::on_worker;
use hg_plan::Kind;
use std::net::{TcpListener, TcpStream};

/// Returns for each socket, in the order of the addresses, whether the worker watches it, and whether its
/// connections are kept alive.
fn sockets(node: &Node) -> Vec<(bool, bool)> {
    let first = node.address;
    on_worker(node, move |w| {
        let mut all: Vec<_> = w.listeners.iter().map(|(_, a)| a).collect();
        all.sort_by_key(|a| a.address != first);
        let keeps = |a: &super::Acceptor| rustix::net::sockopt::socket_keepalive(&*a.fd).unwrap();
        all.into_iter().map(|a| (a.registered, keeps(a))).collect()
    })
}

#[test]
fn a_socket_without_a_listener_is_not_watched_and_others_are_tuned() {
    let mut node = Node::simple(&Upstream::play(drop));
    let second = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = second.local_addr().unwrap();
    second.set_nonblocking(true).unwrap();
    node.engine.add_sockets(&address.to_string(), vec![second.into()]);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","tcp_keepalive_ms":60000"#))]);
    assert_eq!(sockets(&node), [(true, true), (false, false)]);
    let json = format!(r#"{{"addresses":["{address}"],"protocol":"http","tcp_keepalive_ms":0}}"#);
    node.apply(&[put(Kind::Listener, "second", json)]);
    assert_eq!(sockets(&node), [(true, true), (true, false)]);
}

#[test]
fn all_that_wait_are_accepted_in_one_turn_and_nobody_during_a_pause() {
    let node = Node::simple(&Upstream::play(drop));
    let address = node.address;
    let is_watched = |w: &Worker| w.listeners.iter().all(|(_, a)| a.registered);
    let found = on_worker(&node, move |w| {
        let (index, a) = w.listeners.iter().next().unwrap();
        let generation = a.generation;
        let clients: Vec<_> = (0..5).map(|_| TcpStream::connect(address).unwrap()).collect();
        w.on_acceptable(index, generation);
        drop(clients);
        w.pause_accepting();
        let during = is_watched(w);
        w.resume_accepting();
        (w.clients.len(), during, is_watched(w))
    });
    assert_eq!(found, (5, false, true));
}
