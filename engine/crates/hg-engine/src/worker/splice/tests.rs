//! The bodies that pass unread, and how they are counted.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::{
    DEADLINE, Node, Upstream, eventually, put, read_all, read_head, read_n, route_json,
    unused_address, upstream_json,
};
use crate::worker::exchange::Stage;
use crate::worker::tests::{await_bytes, on_worker};
use hg_plan::Kind;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, mpsc};

#[test]
fn much_of_a_body_is_known_before_it_is_read() {
    let much = |left| is_much(&BodyReader::Length { left }, REQUEST_MUCH);
    assert!(much(REQUEST_MUCH) && !much(REQUEST_MUCH - 1));
}

#[test]
fn a_body_passes_unread_if_enough_of_a_known_length_is_left_and_nothing_changes_it() {
    let [from, to] = [(); 2].map(|()| Conn::new(UnixStream::pair().unwrap().0.into()));
    let length = |left| BodyReader::Length { left };
    for (reader, expected) in [
        (length(99), None),
        (length(100), Some(100)),
        (length(5_000), Some(5_000)),
        (BodyReader::UntilClose, None),
        (BodyReader::None, None),
    ] {
        let mut relay = Relay { reader, ..Relay::default() };
        assert_eq!(worth(&relay, &from, &to, 100), expected, "{:?}", relay.reader);
        relay.pace = Some(Box::default());
        assert_eq!(worth(&relay, &from, &to, 100), None, "{:?}", relay.reader);
    }
}

#[test]
fn bytes_that_passed_unread_are_counted_up_to_the_end() {
    let reader = BodyReader::Length { left: 10 };
    let mut relay = Relay { reader, bytes: 5, done: false, ..Relay::default() };
    for (n, bytes, done) in [(3, 8, false), (6, 14, false), (1, 15, true)] {
        relay.skip(n);
        assert_eq!((relay.bytes, relay.done), (bytes, done));
    }
}

fn on_its_way(w: &Worker) -> Option<ExId> {
    w.exchanges.ids(|e| e.stage == Stage::Waiting && !e.request.done).pop()
}

/// Sends some more of the body, and waits until it has come; returns the request and its endpoint's
/// connection.
fn send_more(w: &Worker, s: &mut TcpStream) -> (ExId, usize) {
    let x = on_its_way(w).unwrap();
    let e = w.exchanges.get(x).unwrap();
    s.write_all(&[b'x'; 1_000]).unwrap();
    await_bytes(&w.clients.get(e.client).unwrap().conn);
    (x, e.up.unwrap())
}

/// Begins to send a body of so many bytes on a route with these further keys.
fn sending(route: &str, bytes: usize) -> (Node, TcpStream) {
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let json = upstream_json(&[up.address], "");
    let mut node = Node::start(&json, "", 1);
    let shadow = upstream_json(&[unused_address()], "");
    node.apply(&[put(Kind::Upstream, "shadow", shadow), put(Kind::Route, "r", route_json(route))]);
    let mut s = node.connect();
    let head = format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {bytes}\r\n\r\nabc");
    s.write_all(head.as_bytes()).unwrap();
    eventually("it is on its way", || on_worker(&node, |w| on_its_way(w)).is_some());
    node.barrier();
    (node, s)
}

#[test]
fn a_request_that_is_kept_or_copied_is_read() {
    let retry = r#","retry":{"on":["503"]}"#;
    let mirror = r#","mirrors":[{"upstream":"shadow","body_bytes":100000}]"#;
    for (route, bytes, is_read) in
        [("", 60_000, false), (retry, 60_000, true), (retry, 90_000, false), (mirror, 60_000, true)]
    {
        let (node, mut s) = sending(route, bytes);
        on_worker(&node, move |w| {
            let (x, ui) = send_more(w, &mut s);
            assert_eq!(w.splice_request(x, ui).is_none(), is_read, "{route} {bytes}");
            w.pump_request(x);
        });
    }
}

#[test]
fn a_large_answer_that_is_coded_is_read() {
    let up = Upstream::play(|mut s| {
        read_head(&mut s);
        let lines = "Content-Type: text/plain\r\nContent-Length: 6000000\r\n";
        let head = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
        let _ = s.write_all(&[head.into_bytes(), vec![b'x'; 6_000_000]].concat());
    });
    let gzip = r#","middlewares":[{"compress":{"codings":["gzip"],"min_bytes":100}}]"#;
    let node = Node::start(&upstream_json(&[up.address], ""), gzip, 1);
    let mut s = node.connect();
    let lines = "Host: a\r\nAccept-Encoding: gzip\r\nConnection: close\r\n";
    s.write_all(format!("GET / HTTP/1.1\r\n{lines}\r\n").as_bytes()).unwrap();
    assert!(read_head(&mut s).unwrap().contains("content-encoding: gzip\r\n"));
    let coded = read_all(&mut s);
    assert!(coded.len() < 100_000 && coded.ends_with(b"\r\n0\r\n\r\n"), "{}", coded.len());
}

#[test]
fn a_large_request_passes_unread_unless_its_client_speaks_http2() {
    let (node, mut s) = sending("", 100_000);
    on_worker(&node, move |w| {
        let (x, ui) = send_more(w, &mut s);
        w.exchanges.get_mut(x).unwrap().stream.id = 1;
        assert_eq!(w.splice_request(x, ui), None);
        w.exchanges.get_mut(x).unwrap().stream.id = 0;
        assert_eq!(w.splice_request(x, ui), Some(true));
        let e = w.exchanges.get(x).unwrap();
        assert_eq!((e.request.bytes, e.replayable), (1_003, false));
        assert_eq!(w.splice_request(x, ui), Some(false), "there is no more");
    });
}

/// Sends of an answer the head and some bytes, and some more when it is told.
fn answer(mut s: TcpStream, wait: &Mutex<mpsc::Receiver<()>>) {
    read_head(&mut s);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\nabc", 2 * ANSWER_LEAST);
    s.write_all(head.as_bytes()).unwrap();
    wait.lock().unwrap().recv_timeout(DEADLINE).unwrap();
    s.write_all(&[b'x'; 1_000]).unwrap();
    drop(s.read(&mut [0]));
}

#[test]
fn a_large_answer_passes_unread_unless_it_may_be_collected() {
    for (buffer, is_spliced) in [(0, true), (2 * ANSWER_LEAST, false)] {
        let (go, wait) = mpsc::channel();
        let wait = Mutex::new(wait);
        let up = Upstream::play(move |s| answer(s, &wait));
        let route = format!(r#","response_buffer_bytes":{buffer}"#);
        let node = Node::start(&upstream_json(&[up.address], ""), &route, 1);
        let mut s = node.connect();
        s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        read_head(&mut s).unwrap();
        assert_eq!(read_n(&mut s, 3), b"abc");
        let answering = |w: &Worker| w.exchanges.ids(|e| e.answered).pop();
        on_worker(&node, move |w| {
            let x = answering(w).unwrap();
            let ui = w.exchanges.get(x).unwrap().up.unwrap();
            go.send(()).unwrap();
            await_bytes(&w.ups.get(ui).unwrap().conn);
            let expected = is_spliced.then_some(true);
            assert_eq!(w.splice_answer(x, ui), expected, "{buffer}");
            let passed = w.exchanges.get(x).unwrap().response.bytes;
            assert_eq!(passed > 3, is_spliced, "{passed}");
            w.on_up_readable(x, ui);
        });
    }
}
