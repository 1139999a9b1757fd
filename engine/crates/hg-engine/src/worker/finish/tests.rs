//! The ends of connections to clients, and of what requests held.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::common::{Node, Upstream, eventually, read_answer, read_head, read_n};
use crate::worker::Worker;
use crate::worker::client::Phase;
use crate::worker::tests::{GET, on_request, on_worker, waiting};
use std::io::Write;
use std::net::TcpStream;

/// Returns the phases of all clients.
fn phases(node: &Node) -> Vec<Phase> {
    on_worker(node, |w| w.clients.iter().map(|(_, c)| c.phase).collect())
}

fn node() -> Node {
    Node::simple(&Upstream::play(|mut s| {
        while let Some(head) = read_head(&mut s) {
            let length =
                head.to_lowercase().split("content-length: ").nth(1).map_or(0, |rest| {
                    rest.split("\r\n").next().unwrap_or_default().parse().unwrap()
                });
            read_n(&mut s, length);
            s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        }
    }))
}

fn ask(node: &Node, request: &str) -> TcpStream {
    let mut s = node.connect();
    s.write_all(request.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut s).1, b"ok");
    s
}

#[test]
fn a_connection_ends_at_once_where_nothing_of_the_client_can_come_after_the_answer() {
    let node = node();
    let s = ask(&node, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    eventually("it is gone", || phases(&node).is_empty());
    drop(s);
    let s = ask(&node, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(phases(&node), [Phase::Idle]);
    drop(s);
    eventually("it is gone", || phases(&node).is_empty());
}

/// A close with unread bytes is a reset, which may overtake the answer.
#[test]
fn a_connection_whose_client_has_sent_more_is_read_on_for_a_while() {
    let node = node();
    let last = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let s = ask(&node, &format!("{last}GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    eventually("it is read on", || phases(&node) == [Phase::Lingering]);
    drop(s);
    eventually("it is gone", || phases(&node).is_empty());
}

#[test]
fn what_was_collected_of_a_body_is_given_back_with_its_request() {
    let route = r#","body_buffer_bytes":65536"#;
    let up = Upstream::play(|mut s| drop(read_head(&mut s)));
    let node = Node::start(&crate::common::upstream_json(&[up.address], ""), route, 1);
    let collected = || on_worker(&node, |w| w.io.pool.collected);
    let mut clients: Vec<TcpStream> = (0..3).map(|_| node.connect()).collect();
    for s in &mut clients {
        s.write_all(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabcd").unwrap();
    }
    eventually("the worker has them", || collected() == 12);
    drop(clients.pop());
    eventually("one has gone", || collected() == 8);
    drop(clients);
    eventually("all have gone", || collected() == 0);
}

#[test]
fn a_connection_is_read_on_where_something_may_still_come() {
    type Change = fn(&mut Worker, usize);
    let closing = Phase::Closing { unread: false };
    let changes: [(&str, bool, Change, Option<Phase>); 5] = [
        ("nothing is left", false, |_, _| (), None),
        ("a part was not read", true, |_, _| (), Some(Phase::Lingering)),
        (
            "more may be there",
            false,
            |w, ci| w.clients[ci].conn.readable = true,
            Some(Phase::Lingering),
        ),
        ("more is there", false, |w, ci| w.clients[ci].input.push(b'G'), Some(Phase::Lingering)),
        (
            "some of the answer waits",
            false,
            |w, ci| w.clients[ci].conn.out.push(b"x", &mut w.io.pool),
            Some(closing),
        ),
    ];
    for (what, unread, change, expected) in changes {
        let node = node();
        let _s = ask(&node, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let phase = on_worker(&node, move |w| {
            let ci = w.clients.iter().next().unwrap().0;
            change(w, ci);
            w.close_politely(ci, unread);
            w.clients.get(ci).map(|c| c.phase)
        });
        assert_eq!(phase, expected, "{what}");
    }
}

#[test]
fn a_client_that_leaves_before_the_end_of_its_answer_is_counted() {
    for (answered, done, reason, count) in [
        (true, true, "", 0),
        (true, false, "", 1),
        (false, true, "", 1),
        (true, true, "a reason", 1),
    ] {
        let (node, _s) = waiting("", "", GET);
        on_request(&node, move |w, x, _| {
            let e = w.exchanges.get_mut(x).unwrap();
            (e.answered, e.response.done, e.reason, e.status) = (answered, done, reason, 200);
            w.client_gone(x);
        });
        let rejects = node.engine.metrics().rejects;
        let found =
            rejects.iter().find(|one| one.reason == "client-gone").map_or(0, |one| one.count);
        assert_eq!(found, count, "{answered} {done} {reason}");
    }
}

#[test]
fn a_request_that_is_cut_off_counts_if_it_has_a_status() {
    for (status, count) in [(0, 0), (200, 1)] {
        let (node, _s) = waiting("", "", GET);
        let counted = on_request(&node, move |w, x, _| {
            let e = w.exchanges.get_mut(x).unwrap();
            e.status = status;
            let ci = e.client;
            w.close_client(ci);
            w.counters.requests.get()
        });
        assert_eq!(counted, count, "{status}");
    }
}

#[test]
fn a_client_that_owes_a_part_of_its_request_can_read_the_last_answer() {
    for (done, expected) in [(true, None), (false, Some(Phase::Lingering))] {
        let (node, _s) = waiting("", "", GET);
        let phase = on_request(&node, move |w, x, _| {
            let e = w.exchanges.get_mut(x).unwrap();
            (e.close_after, e.request.done, e.status) = (true, done, 200);
            let ci = e.client;
            w.finish(x);
            w.clients.get(ci).map(|c| c.phase)
        });
        assert_eq!(phase, expected, "{done}");
    }
}

#[test]
fn a_client_whose_next_request_may_be_there_has_another_turn() {
    for (readable, input, has_turn) in
        [(false, &b""[..], false), (true, b"", true), (false, b"GET", true)]
    {
        let (node, _s) = waiting("", "", GET);
        let queued = on_request(&node, move |w, x, _| {
            let ci = w.exchanges.get(x).unwrap().client;
            let c = &mut w.clients[ci];
            (c.conn.readable, c.input) = (readable, input.to_vec());
            w.finish(x);
            w.clients[ci].standing.queued
        });
        assert_eq!(queued, has_turn, "{readable} {input:?}");
    }
}

#[test]
fn a_websocket_is_counted_until_its_connection_has_gone() {
    for phase in [Phase::Exchange, Phase::Tunnel] {
        let (node, _s) = waiting("", "", GET);
        on_request(&node, move |w, x, _| {
            let e = w.exchanges.get_mut(x).unwrap();
            e.status = 101;
            w.clients[e.client].phase = phase;
            w.counters.tunnels.opened();
            w.client_gone(x);
        });
        assert_eq!(node.engine.metrics().tunnels.active, 0, "{phase:?}");
    }
}
