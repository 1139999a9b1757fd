//! Listeners that go, and the clients that they leave behind.

use super::*;
use crate::snapshot::Snapshot;
use crate::worker::Done;
use hg_net::Ticks;
use std::sync::Arc;

/// Returns whether the only listening socket still takes what waits; nothing if it is closed.
fn accepts(w: &Worker) -> Option<bool> {
    let (_, a) = w.listeners.iter().next()?;
    Some(a.retired.as_ref().is_none_or(|retired| retired.accepts()))
}

/// Looks for sockets to close, long before their time and long after it.
fn end_retired(w: &mut Worker) -> [Option<bool>; 2] {
    let real = w.now;
    let found = [0, Ticks::MAX].map(|now| {
        w.now = now;
        w.end_retired();
        accepts(w)
    });
    w.now = real;
    found
}

#[test]
fn a_socket_takes_what_is_under_way_for_a_while_and_closes_once_that_is_asked() {
    let node = Node::simple(&Upstream::answering(OK));
    let (tell, told) = mpsc::channel();
    let address = node.address;
    on_worker(&node, move |w| {
        let same = w.held.clone();
        w.retire_listeners(&same);
        assert!(w.listeners.iter().all(|(_, a)| a.retired.is_none()), "it stays");
        let clients = [(); 3].map(|()| TcpStream::connect(address).unwrap());
        w.retire_listeners(&Snapshot::default());
        assert_eq!(w.clients.len(), 3, "all that waited");
        drop(clients);
        assert_eq!(end_retired(w), [Some(true), Some(false)]);
        assert_eq!(w.listeners.len(), 1, "it may come back");
        w.take_back_retired();
        assert_eq!(accepts(w), Some(true));
        let done = Arc::new(Done::new(Box::new(move || tell.send(()).unwrap())));
        w.close_listeners(&done);
        drop(done);
        w.take_back_retired();
        assert!(w.listeners.iter().all(|(_, a)| a.retired.is_some()), "it is to close");
        assert_eq!(end_retired(w), [Some(true), None]);
    });
    told.recv_timeout(DEADLINE).unwrap();
}

/// Returns whether the only client keeps a plan that has its listener, and when its time is over.
fn client(node: &Node) -> (bool, Ticks) {
    on_worker(node, |w| {
        let (_, c) = w.clients.iter().next().unwrap();
        (c.pinned.is_some(), c.deadline)
    })
}

#[test]
fn a_client_keeps_the_plan_that_had_its_listener() {
    let up = Upstream::answering(OK);
    for is_replaced in [false, true] {
        let mut node = Node::simple(&up);
        let json = node.listener_json(r#","idle_timeout_ms":600000"#);
        let drain = r#"{"drain":{"idle_grace_ms":60000}}"#;
        node.apply(&[put(Kind::Listener, "web", json), put(Kind::Settings, "node", drain)]);
        let mut s = ask(&node, GET);
        assert_eq!(read_answer(&mut s).1, b"ok");
        eventually("it is idle", || {
            on_worker(&node, |w| w.clients.iter().all(|(_, c)| c.phase == Phase::Idle))
        });
        node.apply(&[put(Kind::Upstream, "v", upstream_json(&[up.address], ""))]);
        let (is_pinned, before) = client(&node);
        assert!(!is_pinned, "its listener is there");
        let gone = Change { kind: Kind::Listener, name: "web".into(), bytes: None };
        let other = route_json("").replace(r#"["web"]"#, r#"["other"]"#);
        node.apply(&match is_replaced {
            true => vec![
                gone,
                put(Kind::Listener, "other", node.listener_json("")),
                put(Kind::Route, "r", other),
            ],
            false => vec![gone, Change { kind: Kind::Route, name: "r".into(), bytes: None }],
        });
        let (is_pinned, after) = client(&node);
        assert!(is_pinned && after < before, "{is_replaced} {before} {after}");
        // It has one more request.
        s.write_all(GET).unwrap();
        assert_eq!(read_answer(&mut s).1, b"ok");
        assert!(read_all(&mut s).is_empty());
    }
}
