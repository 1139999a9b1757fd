//! Resets that come while the other side takes nothing.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::{DEADLINE, Node, Upstream, eventually, put, read_all, upstream_json};
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

/// A session holds one read of each direction at most.
#[test]
fn nothing_is_read_of_a_client_as_long_as_its_endpoint_is_behind() {
    let node = node(&Upstream::play(|s| {
        std::thread::park_timeout(DEADLINE);
        drop(s);
    }));
    let s = node.connect();
    s.set_nonblocking(true).unwrap();
    eventually("the endpoint is behind", || {
        while (&s).write(&[7; 65_536]).is_ok() {}
        let read = on_worker(&node, |w| {
            let (index, session) = w.tcp.sessions.iter().next()?;
            let id = SessionId { index, generation: session.generation };
            let Phase::Relaying(up) = &session.phase else { return None };
            if up.out.is_empty() {
                return None;
            }
            let before = session.halves.bytes();
            let token = Token::new(KIND_SESSION, id.generation, index);
            let (writable, read_closed, closed) = (false, false, false);
            w.on_session_event(Event { token, readable: true, writable, read_closed, closed });
            Some(w.tcp.get(id)?.halves.bytes().0 - before.0)
        });
        assert!(read.is_none_or(|bytes| bytes == 0), "{read:?}");
        read.is_some()
    });
}

#[test]
fn a_half_that_ends_while_the_endpoint_is_behind_is_no_reset() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (tell, told) = std::sync::mpsc::channel();
    let all = std::sync::Mutex::new((wait, tell));
    let node = node(&Upstream::play(move |mut s| {
        let all = all.lock().unwrap();
        let _ = all.0.recv_timeout(DEADLINE);
        all.1.send(read_all(&mut s).len()).unwrap();
    }));
    let s = node.connect();
    s.set_nonblocking(true).unwrap();
    let sent = std::cell::Cell::new(0);
    eventually("the endpoint is behind", || {
        while let Ok(n) = (&s).write(&[7; 65_536]) {
            sent.set(sent.get() + n);
        }
        on_worker(&node, |w| {
            let behind =
                |s: &Session| matches!(&s.phase, Phase::Relaying(up) if !up.out.is_empty());
            w.tcp.sessions.iter().any(|(_, s)| behind(s))
        })
    });
    s.shutdown(std::net::Shutdown::Write).unwrap();
    // The worker takes the event before the second of these.
    on_worker(&node, |_| ());
    assert_eq!(on_worker(&node, |w| w.tcp.sessions.len()), 1);
    go.send(()).unwrap();
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), sent.get());
    eventually("both halves have ended", || {
        let all = node.engine.metrics().tcp.closed;
        all.iter().any(|c| c.reason == "client-end" && c.count == 1)
    });
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
