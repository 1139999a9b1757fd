//! Resets that come while the other side takes nothing.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::{DEADLINE, Node, Upstream, eventually, put, upstream_json};
use crate::worker::tcp::KIND_SESSION;
use crate::worker::tests::on_worker;
use hg_net::Token;
use hg_plan::{Change, Kind};
use std::io::Write;
use std::time::Duration;

fn node(up: &Upstream) -> Node {
    let mut node = Node::start(&upstream_json(&[up.address], ""), "", 1);
    let listener = format!(r#"{{"addresses":["{}"],"protocol":"tcp"}}"#, node.address);
    node.apply(&[
        put(Kind::Listener, "web", listener),
        Change { kind: Kind::Route, name: "r".into(), bytes: None },
        put(Kind::TcpRoute, "t", r#"{"listeners":["web"],"upstream":"u"}"#),
    ]);
    node
}

/// The event that tells of a reset comes once, perhaps while the endpoint still takes something.
#[test]
fn a_reset_is_seen_although_the_endpoint_took_something_as_it_came() {
    let node = node(&Upstream::play(|s| {
        std::thread::park_timeout(DEADLINE);
        drop(s);
    }));
    let s = node.connect();
    s.set_nonblocking(true).unwrap();
    let is_full = |w: &mut Worker| {
        w.tcp
            .sessions
            .iter()
            .any(|(_, s)| matches!(&s.phase, Phase::Relaying(up) if !up.out.is_empty()))
    };
    eventually("every buffer is full", || {
        while (&s).write(&[7; 65_536]).is_ok() {}
        on_worker(&node, is_full)
    });
    let is_over = on_worker(&node, move |w| {
        rustix::net::sockopt::set_socket_linger(&s, Some(Duration::ZERO)).unwrap();
        drop(s);
        let (index, session) = w.tcp.sessions.iter_mut().next().unwrap();
        let token = Token::new(KIND_SESSION, session.generation, index);
        if let Phase::Relaying(up) = &mut session.phase {
            up.out.release(&mut w.io.pool);
        }
        let (readable, writable, read_closed, closed) = (true, false, true, true);
        w.on_session_event(Event { token, readable, writable, read_closed, closed });
        w.tcp.sessions.is_empty()
    });
    assert!(is_over);
    let all = node.engine.metrics().tcp.closed;
    assert!(all.iter().any(|c| c.reason == "client-reset" && c.count == 1), "{all:?}");
}
