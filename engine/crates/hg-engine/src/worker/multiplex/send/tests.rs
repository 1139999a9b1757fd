//! Requests that are kept as text of HTTP/1, and become frames.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::http2_peer;
use crate::common::{Node, eventually, read_answer};
use crate::worker::buffers::RESERVE;
use crate::worker::multiplex::pace::Pace;
use crate::worker::tests::{move_on, on_worker};
use hg_h2::{Limits, Role, Session};
use std::io::Write;
use std::net::TcpStream;

const HEAD: &[u8] = b"POST /a?b=c?d HTTP/1.1\r\nhost: a.example:80\r\nx: y\r\n\r\n";

#[test]
fn a_head_is_taken_apart() {
    let head = |text: &'static [u8]| Text::of(text, Scheme::Https, (true, NeverIndexed::NONE));
    let text = head(HEAD).unwrap();
    let line = &text.line;
    assert_eq!((line.method, line.path, line.query), ("POST", "/a", Some("b=c?d")));
    assert_eq!((line.authority, line.websocket), ("a.example:80", true));
    assert!(matches!(line.scheme, Scheme::Https));
    assert_eq!(text.lines, b"host: a.example:80\r\nx: y\r\n\r\n");
    assert_eq!(head(b"GET * HTTP/1.1\r\nhost: a\r\n\r\n").unwrap().line.query, None);
    for wrong in [
        &b"GET / HTTP/1.0\r\nhost: a\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nx: y\r\n\r\n",
        b"GET / HTTP/1.1",
        b"GET /\xff HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        assert!(head(wrong).is_none(), "{wrong:?}");
    }
}

/// An exchange whose head and so much of its body were kept.
fn kept(body: &[u8], chunked: bool) -> Exchange {
    let mut e = Exchange { head: [HEAD, body].concat(), ..Exchange::default() };
    (e.request.bytes, e.request.chunked) = (3, chunked);
    e
}

#[test]
fn a_body_that_was_kept_has_no_framing() {
    assert_eq!(kept_body(&kept(b"abc", false)), b"abc");
    assert_eq!(kept_body(&kept(b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", true)), b"abc");
    assert_eq!(kept_body(&kept(b"2\r\nab\r\n1\r\nc\r\n", true)), b"abc", "its end is to come");
    let mut none = kept(b"", false);
    none.request.bytes = 0;
    assert_eq!(kept_body(&none), b"");
}

/// A connection, and an exchange with a stream of it whose body goes on.
fn open_one() -> (Shared, Exchange) {
    let mut h = Shared::new((Limits::client(), hg_h2::Times::default()), 1, 0);
    let peer = Session::new(Role::Server, Limits::server());
    let (input, mut at) = (peer.output().to_vec(), 0);
    let mut incoming = hg_h2::Incoming::new();
    while h.session.next(&input, &mut at, 0, &mut incoming).unwrap().is_some() {}
    let mut e = Exchange { head: HEAD.to_vec(), ..Exchange::default() };
    e.request.done = false;
    open(&mut e, &mut h, Scheme::Http, (0, &Http2Counters::default())).unwrap();
    (h, e)
}

/// Gives a part of the body; returns how many bytes more there are to send, and how many wait.
fn given(h: &mut Shared, e: &mut Exchange, body: &[u8]) -> (usize, usize) {
    let before = h.session.output().len();
    put(e, h, body, (0, &Http2Counters::default())).unwrap();
    (h.session.output().len() - before, e.link.stream.as_ref().unwrap().held.len())
}

/// The header of a frame (RFC 9113 §4.1).
const FRAME: usize = 9;

#[test]
fn small_parts_go_at_once_until_there_are_too_many() {
    let (mut h, mut e) = open_one();
    assert!(e.is_multiplexed());
    for _ in 0..128 {
        assert_eq!(given(&mut h, &mut e, b"x"), (FRAME + 1, 0));
    }
    assert_eq!(given(&mut h, &mut e, b"x"), (0, 1), "it waits for its turn");
    assert_eq!(given(&mut h, &mut e, &[b'x'; SMALL - 2]), (0, SMALL - 1));
    let id = e.link.stream.as_ref().unwrap().id;
    assert!(h.pace.is_waiting(id));
    assert_eq!(given(&mut h, &mut e, b"x"), (0, SMALL), "together they are no small part");
    assert!(!h.pace.is_waiting(id));
    assert_eq!(h.session.grant().map(|grant| grant.stream), Some(id));
}

#[test]
fn a_part_that_is_not_small_and_the_end_wait_for_nothing() {
    let (mut h, mut e) = open_one();
    for _ in 0..128 {
        given(&mut h, &mut e, b"x");
    }
    assert_eq!(given(&mut h, &mut e, &[b'x'; SMALL]), (FRAME + SMALL, 0));
    assert_eq!(given(&mut h, &mut e, b""), (0, 0));
    e.request.done = true;
    assert_eq!(given(&mut h, &mut e, b"x"), (FRAME + 1, 0));
}

#[test]
fn an_end_with_trailers_is_a_part_like_others() {
    let (mut h, mut e) = open_one();
    for _ in 0..128 {
        given(&mut h, &mut e, b"x");
    }
    e.request.done = true;
    e.request.trailers = Some(b"a: b\r\n".to_vec());
    assert_eq!(given(&mut h, &mut e, b"x"), (0, 1), "a frame of its own would be one of many");
}

#[test]
fn a_request_without_a_body_ends_with_its_head() {
    for (done, trailers, is_ended) in
        [(true, "", true), (false, "", false), (true, "a: b\r\n", false)]
    {
        let mut h = Shared::new((Limits::client(), hg_h2::Times::default()), 1, 0);
        let mut e = Exchange { head: HEAD.to_vec(), ..Exchange::default() };
        e.request.done = done;
        e.request.trailers = Some(trailers.as_bytes().to_vec());
        let before = h.session.output().len();
        open(&mut e, &mut h, Scheme::Http, (0, &Http2Counters::default())).unwrap();
        // The flag END_STREAM of a HEADERS frame (RFC 9113 §6.2).
        let flags = h.session.output().get(before + 4).unwrap();
        assert_eq!(flags & 1 == 1, is_ended, "{done} {trailers}");
    }
}

/// A node whose endpoint sends each body back; a body may have ten bytes.
fn echoing() -> Node {
    http2_peer::with(&http2_peer::serving(|r| r.body.clone()), "", r#","body_bytes":10"#)
}

/// Sends the head of a request with this line, and waits until it is on a stream.
fn begin(node: &Node, line: &str) -> TcpStream {
    let s = http2_peer::ask(node, &format!("POST / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n"));
    let is_open = |w: &mut Worker| w.exchanges.iter_mut().any(|e| e.is_multiplexed());
    eventually("it has a stream", || on_worker(node, is_open));
    s
}

#[test]
fn a_body_on_a_stream_has_the_limit_of_its_route() {
    for (parts, status) in [
        (&["a\r\n0123456789\r\n0\r\n\r\n"][..], "200"),
        (&["b\r\n0123456789a\r\n0\r\n\r\n"][..], "413"),
        (&["5\r\n01234\r\n", "5\r\n56789\r\n0\r\n\r\n"][..], "200"),
        (&["5\r\n01234\r\n", "6\r\n56789a\r\n0\r\n\r\n"][..], "413"),
    ] {
        let node = echoing();
        let mut s = begin(&node, "Transfer-Encoding: chunked");
        for part in parts {
            s.write_all(part.as_bytes()).unwrap();
            node.barrier();
        }
        let (head, body) = read_answer(&mut s);
        assert_eq!(head.split(' ').nth(1), Some(status), "{parts:?}");
        assert!(status == "413" || body == b"0123456789", "{parts:?}");
    }
}

#[test]
fn a_request_behind_a_body_that_goes_to_a_stream_is_the_next_one() {
    let node = echoing();
    let mut s = begin(&node, "Content-Length: 5");
    s.write_all(b"helloPUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nend").unwrap();
    assert_eq!(read_answer(&mut s).1, b"hello");
    assert_eq!(read_answer(&mut s).1, b"end");
}

/// Has a small part of a body come so long after the connection had its small frames of a second; returns
/// how many bytes wait then.
fn waits_after(ms: u64, is_first: bool) -> usize {
    let node = echoing();
    let _s = begin(&node, "Content-Length: 9");
    on_worker(&node, move |w| {
        let x = w.exchanges.ids(|e| e.is_multiplexed())[0];
        let ui = w.exchanges.get(x).unwrap().up.unwrap();
        move_on(w, 3_600_000_000);
        let now_ms = w.now_us / 1000;
        let h = w.shared_at(ui).unwrap();
        h.pace = Pace::new(now_ms);
        while h.pace.due_ms().is_none() {
            h.pace.may_send(1, now_ms);
        }
        h.pace.end_wait(1);
        w.now_us = (now_ms + ms) * 1000;
        if is_first {
            w.leave_stream(x, false);
            let e = w.exchanges.get_mut(x).unwrap();
            (e.head, e.request.bytes) = ([HEAD, b"x"].concat(), 1);
            w.attach_stream(x, ui, true);
        } else {
            let mut buffer = [&[0; RESERVE][..], b"x"].concat();
            w.relay_to_stream(x, &mut buffer, RESERVE..RESERVE + 1);
        }
        w.tick();
        w.exchanges.get_mut(x).unwrap().up_stream().held.len()
    })
}

#[test]
fn a_small_part_waits_for_the_next_turns_of_its_connection() {
    for is_first in [false, true] {
        assert_eq!([124, 125].map(|ms| waits_after(ms, is_first)), [1, 0], "{is_first}");
    }
}
