//! The ends of connections to clients, and of what requests held.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::common::{Node, Upstream, eventually, read_answer, read_head, read_n};
use crate::worker::client::Phase;
use crate::worker::tests::on_worker;
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
