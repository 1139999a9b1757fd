//! Connections over HTTP/2 whose client does nothing any more.

use super::*;
use crate::common::http2::Client as Http2Client;
use crate::common::http2_peer::{self, Peer};
use std::time::Duration;

pub(super) fn serving(up: &Upstream) -> Node {
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

#[test]
fn requests_that_came_together_leave_turns_to_other_connections() {
    let node = serving(&Upstream::answering(OK));
    let mut client = Http2Client::connect(&node);
    assert_eq!(client.get("/").status, 200);
    let ids: Vec<u32> = (0..90).map(|_| client.open("GET", "/", &[], true)).collect();
    let (mut client, opened) = on_worker(&node, move |w| {
        client.flush();
        let ci = w.clients.iter().map(|(ci, _)| ci).next().unwrap();
        w.clients.get_mut(ci).unwrap().conn.readable = true;
        w.read_http2(ci);
        (client, w.clients.get(ci).and_then(|c| c.http2.as_deref()).unwrap().streams.len())
    });
    assert!((1..=32).contains(&opened), "{opened} of 90 in one turn");
    for id in ids {
        assert_eq!(client.answer(id).body, b"ok");
    }
}

/// Starts a node with these limits of HTTP/2, and a client whose connection is open.
fn limited(http2: &str) -> (Node, Http2Client<TcpStream>) {
    let mut node = serving(&Upstream::answering(OK));
    let rest = format!(r#","h2c":true,"idle_timeout_ms":600000,"http2":{http2}"#);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(&rest))]);
    let mut client = Http2Client::connect(&node);
    assert_eq!(client.get("/").status, 200);
    (node, client)
}

pub(super) fn ended(node: &Node, reason: &str) -> u64 {
    let all = node.engine.metrics().http2.closed;
    all.iter().find(|r| r.reason == reason).map_or(0, |r| r.count)
}

#[test]
fn a_connection_without_a_stream_has_its_own_idle_time() {
    let (node, _client) = limited(r#"{"timeouts":{"idle_ms":100000}}"#);
    pass(&node, 80_000);
    assert_eq!((clients(&node), timeouts(&node, "idle")), (1, 0));
    pass(&node, 100_050);
    eventually("it is over", || clients(&node) == 0);
    assert_eq!(timeouts(&node, "idle"), 1);
}

#[test]
fn what_waits_for_a_client_has_its_time() {
    let mut node = serving(&Upstream::play(|mut s| {
        read_head(&mut s);
        write!(s, "HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n").unwrap();
        let _ = s.write_all(&vec![b'x'; 30_000_000]);
    }));
    let rest = r#","h2c":true,"http2":{"timeouts":{"write_ms":100000}}"#;
    node.apply(&[put(Kind::Listener, "web", node.listener_json(rest))]);
    let mut client = Http2Client::connect(&node);
    client.widen(64 * 1024 * 1024);
    client.open("GET", "/", &[], true);
    client.flush();
    eventually("the socket takes no more", || {
        on_worker(&node, |w| w.clients.iter().any(|(_, c)| !c.conn.out.is_empty()))
    });
    pass(&node, 80_000);
    assert_eq!((clients(&node), ended(&node, "write-timeout")), (1, 0));
    pass(&node, 100_050);
    assert_eq!((clients(&node), ended(&node, "write-timeout")), (0, 1));
}

#[test]
fn a_greeting_has_its_time() {
    for (sent, reason) in [
        (&hg_h2::PREFACE[..], "greeting-timeout"),
        (&[&hg_h2::PREFACE[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat()[..], "settings-timeout"),
    ] {
        let (node, client) = limited(r#"{"timeouts":{"settings_ms":100000}}"#);
        drop(client);
        eventually("the first is gone", || clients(&node) == 0);
        let mut s = node.connect();
        s.write_all(sent).unwrap();
        eventually("it speaks HTTP/2", || {
            on_worker(&node, |w| w.clients.iter().any(|(_, c)| c.phase == super::Phase::Http2))
        });
        pass(&node, 80_000);
        assert_eq!(ended(&node, reason), 0);
        pass(&node, 100_050);
        assert_eq!(ended(&node, reason), 1, "{reason}");
    }
}

#[test]
fn a_silent_client_gets_a_ping_and_is_given_up() {
    let (node, mut client) = limited(r#"{"timeouts":{"ping_after_ms":100000,"ping_ms":50000}}"#);
    pass(&node, 80_000);
    assert_eq!(clients(&node), 1);
    pass(&node, 100_050);
    let silent = |node: &Node| {
        on_worker(node, |w| {
            let due = |c: &crate::worker::client::Client| c.deadline;
            w.clients.iter().map(|(_, c)| due(c)).min()
        })
    };
    let asked = silent(&node);
    // What it answers sets the time back.
    assert!(client.read_flushed());
    eventually("the answer has come", || silent(&node) != asked);
    assert_eq!((clients(&node), ended(&node, "ping-timeout")), (1, 0));
    pass(&node, 100_050);
    // `pass` puts the clock back: the PING went out in the future, and so does its deadline.
    pass(&node, 151_000);
    assert_eq!((clients(&node), ended(&node, "ping-timeout")), (0, 1));
    assert_eq!(timeouts(&node, "head"), 0);
}

#[test]
fn a_client_has_its_time_to_read_that_the_connection_ends() {
    let (node, mut client) = limited(r#"{"timeouts":{"drain_ms":100000}}"#);
    on_worker(&node, |w| {
        let all: Vec<usize> = w.clients.iter().map(|(ci, _)| ci).collect();
        all.into_iter().for_each(|ci| w.announce_http2(ci));
        w.flush_dirty();
    });
    pass(&node, 80_000);
    assert_eq!(clients(&node), 1);
    pass(&node, 100_050);
    client.until_closed();
    eventually("it is over", || clients(&node) == 0);
}

/// Starts a node and a client whose request was answered: its body is whole by its declared length,
/// and its stream has no end.
fn answered_before_the_end() -> (Node, Http2Client<TcpStream>) {
    let node = serving(&Upstream::answering(OK));
    let mut client = Http2Client::connect(&node);
    let id = client.open("POST", "/", &[("content-length", "3")], false);
    client.send(id, b"abc", false);
    assert_eq!(client.answer(id).status, 200);
    eventually("the request is over", || {
        on_worker(&node, |w| w.exchanges.ids(|_| true).is_empty())
    });
    (node, client)
}

#[test]
fn a_connection_is_idle_though_a_request_of_which_nothing_is_left_had_no_end() {
    let (node, client) = answered_before_the_end();
    pass(&node, 61_000);
    eventually("its time without a stream is over", || clients(&node) == 0);
    assert_eq!(client.answers[&1].reset, None);
}

#[test]
fn a_connection_ends_though_a_request_of_which_nothing_is_left_had_no_end() {
    let (node, mut client) = answered_before_the_end();
    on_worker(&node, |w| {
        w.announce_all_http2();
        w.flush_dirty();
    });
    client.until_closed();
    assert_eq!(client.answers[&1].reset, None);
}

#[test]
fn a_client_may_send_its_body_though_a_frame_of_another_stream_is_not_whole() {
    let node = serving(&Upstream::play(|mut s| drop(read_all(&mut s))));
    let mut client = Http2Client::connect(&node);
    let other = client.open("POST", "/", &[], false);
    while !client.session.peer().enable_connect_protocol {
        assert!(client.read_flushed());
    }
    let id = client.open("POST", "/", &[("expect", "100-continue")], false);
    let head = client.session.output().len();
    client.session.data(other, &[b'x'; 100], hg_h2::After::Later).unwrap();
    client.stream.write_all(&client.session.output()[..head + 20]).unwrap();
    client.session.sent(head + 109);
    while client.answers[&id].interim.is_empty() {
        assert!(client.read());
    }
    assert_eq!(client.answers[&id].interim, [100]);
}

#[test]
fn a_connection_that_failed_is_counted_once_and_not_read_any_more() {
    let node = serving(&Upstream::play(|mut s| {
        read_head(&mut s);
        write!(s, "HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n").unwrap();
        let _ = s.write_all(&vec![b'x'; 30_000_000]);
    }));
    let mut client = Http2Client::connect(&node);
    client.widen(64 * 1024 * 1024);
    client.open("GET", "/", &[], true);
    client.flush();
    eventually("the socket takes no more", || {
        on_worker(&node, |w| w.clients.iter().any(|(_, c)| !c.conn.out.is_empty()))
    });
    // DATA on stream 0; nobody takes the GOAWAY.
    client.stream.write_all(&[0; 9]).unwrap();
    eventually("it has failed", || ended(&node, "frame-stream") > 0);
    client.stream.write_all(&[0; 9]).unwrap();
    let is_unread = on_worker(&node, |w| {
        let ci = w.clients.iter().map(|(ci, _)| ci).next().unwrap();
        w.clients.get_mut(ci).unwrap().conn.readable = true;
        w.read_http2(ci);
        w.clients.get(ci).unwrap().conn.readable
    });
    assert!(is_unread);
    pass(&node, 31_000);
    assert_eq!((clients(&node), ended(&node, "frame-stream")), (0, 1));
}

/// Twice the size to which one stream's window may grow.
const MOST_KEPT: usize = 2 * 1024 * 1024;

/// The window of a stream opens again as the client takes the answer, so that little waits here for
/// a client that takes nothing.
#[test]
fn of_an_answer_over_http2_little_waits_for_a_client_that_takes_nothing() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let up = Upstream::play(move |s| {
        let mut peer = Peer::over(s);
        let id = peer.next().unwrap();
        peer.head(id, 200, &[], false);
        let mut rounds = 0..2_000;
        while rounds.next().is_some() && peer.data(id, &[b'x'; 16_384], false) {
            tell.lock().unwrap().send(()).unwrap();
        }
    });
    let node = http2_peer::on(&up);
    let _s = ask(&node, GET);
    let kept =
        || on_worker(&node, |w| w.clients.iter().map(|(_, c)| c.conn.out.bytes().len()).max());
    eventually("the socket takes no more", || kept() > Some(0));
    // The endpoint sends until its window is used up.
    while told.recv_timeout(Duration::from_millis(50)).is_ok() {
        let kept = kept().unwrap();
        assert!(kept <= MOST_KEPT, "{kept} bytes wait");
    }
}

#[test]
fn a_connection_to_an_endpoint_is_closed_when_its_time_without_a_stream_is_over() {
    let up = http2_peer::serving(|_| b"ok".to_vec());
    let node = http2_peer::with(&up, r#","pool":{"idle_timeout_ms":100000}"#, "");
    assert_eq!(read_answer(&mut ask(&node, GET)).1, b"ok");
    let idle = || node.engine.metrics().upstreams[0].endpoints[0].idle;
    eventually("the connection is idle", || idle() == 1);
    pass(&node, 80_000);
    assert_eq!(idle(), 1);
    pass(&node, 100_050);
    eventually("it is closed", || on_worker(&node, |w| w.ups.is_empty()));
    assert_eq!(idle(), 0);
}

#[test]
fn an_endpoint_that_never_says_what_it_offers_has_its_time() {
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let node = http2_peer::with(&up, r#","connect_timeout_ms":40000"#, "");
    let mut s = ask(&node, GET);
    eventually("it is connected", || {
        on_worker(&node, |w| w.ups.iter().any(|(_, up)| up.http2.is_some()))
    });
    pass(&node, 20_000);
    assert_eq!(on_worker(&node, |w| w.ups.len()), 1);
    pass(&node, 40_050);
    assert!(read_head(&mut s).unwrap().starts_with("HTTP/1.1 502 "));
    let closed = node.engine.metrics().http2.upstream_closed;
    assert!(closed.iter().any(|r| r.reason == "greeting-timeout" && r.count == 1), "{closed:?}");
}
