//! Connections over HTTP/2 whose client does nothing any more.

use super::*;
use crate::common::http2::Client as Http2Client;

fn serving(up: &Upstream) -> Node {
    let mut node = Node::simple(up);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    node
}

fn clients(node: &Node) -> usize {
    on_worker(node, |w| w.clients.len())
}

#[test]
fn a_connection_that_broke_the_protocol_is_closed_although_its_client_stays() {
    let node = serving(&Upstream::answering(OK));
    let mut client = Http2Client::connect(&node);
    assert_eq!(client.get("/").status, 200);
    // DATA on stream 0, and so much behind it that a part stays in the socket; no end.
    let held = Held::new(&node);
    client.stream.write_all(&[0; 128 * 1024 + 20_000]).unwrap();
    drop(held);
    eventually("the connection is ending", || {
        on_worker(&node, |w| w.clients.iter().all(|(_, c)| c.phase != super::Phase::Http2))
    });
    pass(&node, 3_000);
    eventually("the connection is gone", || clients(&node) == 0);
}

#[test]
fn a_client_that_took_what_waited_for_it_is_not_stalled() {
    let node = serving(&Upstream::play(|mut s| {
        while read_head(&mut s).is_some() {
            write!(s, "HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n").unwrap();
            s.write_all(&vec![b'x'; 30_000_000]).unwrap();
        }
    }));
    let mut client = Http2Client::connect(&node);
    client.widen(64 * 1024 * 1024);
    let id = client.open("GET", "/", &[], true);
    client.flush();
    eventually("the socket takes no more", || {
        on_worker(&node, |w| w.clients.iter().any(|(_, c)| !c.conn.out.is_empty()))
    });
    assert_eq!(client.answer(id).body.len(), 30_000_000);
    pass(&node, 31_000);
    assert_eq!(clients(&node), 1, "it idles for less than its timeout");
    pass(&node, 61_000);
    eventually("its time without a stream is over", || clients(&node) == 0);
}

#[test]
fn a_client_that_takes_nothing_is_given_up() {
    let node = serving(&Upstream::play(|mut s| {
        read_head(&mut s);
        write!(s, "HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n").unwrap();
        // The node may hang up.
        let _ = s.write_all(&vec![b'x'; 30_000_000]);
    }));
    let mut client = Http2Client::connect(&node);
    client.widen(64 * 1024 * 1024);
    client.open("GET", "/", &[], true);
    client.flush();
    eventually("the socket takes no more", || {
        on_worker(&node, |w| w.clients.iter().any(|(_, c)| !c.conn.out.is_empty()))
    });
    pass(&node, 31_000);
    assert_eq!(clients(&node), 0);
    let closed = node.engine.metrics().http2.closed;
    assert!(closed.iter().any(|r| r.reason == "write-timeout" && r.count == 1), "{closed:?}");
}

#[test]
fn requests_that_come_with_the_preface_are_all_served() {
    let node = serving(&Upstream::answering(OK));
    let mut client = Http2Client::connect(&node);
    let long = "l".repeat(1500);
    let ids: Vec<u32> = (0..100)
        .map(|i| client.open("GET", "/", &[("x-long", &format!("{i}-{long}"))], true))
        .collect();
    assert!(client.session.output().len() > 100_000, "more than one read takes");
    let held = Held::new(&node);
    client.flush();
    drop(held);
    for id in ids {
        assert_eq!(client.answer(id).body, b"ok");
    }
}
