//! Bytes in both directions of a tunnel, and how its halves end.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::http2::Client as Http2Client;
use crate::common::http2_peer::{self, Peer};
use crate::common::{DEADLINE, Node, Upstream, eventually, read_all, read_head, read_n};
use crate::worker::tests::{await_bytes, on_worker};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};

const OPENING: &str = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// Accepts the key of that (RFC 6455 §1.3).
const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Opens a tunnel to an endpoint that sends these bytes behind its head, and then reads.
fn open(words: &'static [u8], told: Option<mpsc::Sender<Vec<u8>>>) -> (Node, TcpStream) {
    let told = Mutex::new(told);
    let up = Upstream::play(move |mut s| {
        read_head(&mut s);
        s.write_all(&[SWITCHING.as_bytes(), words].concat()).unwrap();
        let came = read_all(&mut s);
        if let Some(told) = told.lock().unwrap().as_ref() {
            told.send(came).unwrap();
        }
    });
    let node = Node::simple(&up);
    let s = node.connect();
    (node, s)
}

fn tunnel(w: &Worker) -> Option<ExId> {
    w.exchanges.ids(|e| e.stage == Stage::Tunnel).pop()
}

/// Runs a function on a worker with a tunnel through which nothing passes by itself meanwhile.
fn with_a_tunnel(
    words: &'static [u8],
    run: impl FnOnce(&mut Worker, ExId, TcpStream) + Send + 'static,
) {
    let (node, mut s) = open(words, None);
    s.write_all(OPENING.as_bytes()).unwrap();
    assert!(read_head(&mut s).unwrap().starts_with("HTTP/1.1 101 "));
    read_n(&mut s, words.len());
    node.barrier();
    on_worker(&node, |w| {
        let x = tunnel(w).unwrap();
        run(w, x, s);
    });
}

#[test]
fn bytes_pass_where_there_are_any_and_the_other_side_takes_them() {
    with_a_tunnel(b"", |w, x, mut s| {
        let e = w.exchanges.get(x).unwrap();
        let (ci, ui) = (e.client, e.up.unwrap());
        // The begin of a frame, which is the client's.
        s.write_all(&[0x81, 5, b'a']).unwrap();
        await_bytes(&w.clients[ci].conn);
        let passed = |w: &Worker| w.exchanges.get(x).unwrap().request.bytes;
        w.clients[ci].conn.readable = false;
        assert_eq!((w.pass(x, true), passed(w)), (Some(false), 0));
        w.clients[ci].conn.readable = true;
        w.exchanges.get_mut(x).unwrap().request.done = true;
        assert_eq!((w.pass(x, true), passed(w)), (Some(false), 0));
        w.exchanges.get_mut(x).unwrap().request.done = false;
        w.ups[ui].conn.out.push(b"x", &mut w.io.pool);
        assert_eq!((w.pass(x, true), passed(w)), (Some(false), 0));
        w.ups[ui].conn.out.release(&mut w.io.pool);
        assert_eq!((w.pass(x, true), passed(w)), (Some(true), 3));
        assert!(w.exchanges.get(x).unwrap().frames.is_between());
    });
}

#[test]
fn frames_are_those_of_the_endpoint() {
    with_a_tunnel(&[0x81, 5, b'a'], |w, x, _s| {
        assert!(!w.exchanges.get(x).unwrap().frames.is_between());
    });
    with_a_tunnel(&[0x81, 1, b'a'], |w, x, _s| {
        assert!(w.exchanges.get(x).unwrap().frames.is_between());
    });
}

#[test]
fn a_tunnel_is_over_once_both_sides_have_all_that_came_before_the_ends() {
    with_a_tunnel(b"", |w, x, _s| {
        let e = w.exchanges.get_mut(x).unwrap();
        let (ci, ui) = (e.client, e.up);
        assert!(!w.pass_ends(x));
        w.exchanges.get_mut(x).unwrap().request.done = true;
        assert!(!w.pass_ends(x), "one half is open");
        assert!(w.exchanges.get(x).unwrap().request.told);
        w.exchanges.get_mut(x).unwrap().response.done = true;
        w.clients[ci].conn.out.push(b"x", &mut w.io.pool);
        assert!(!w.pass_ends(x), "the client has not taken all");
        assert!(!w.exchanges.get(x).unwrap().response.told);
        w.clients[ci].conn.out.release(&mut w.io.pool);
        assert!(w.pass_ends(x));
        // Nobody has to be told whose connection is gone.
        let e = w.exchanges.get_mut(x).unwrap();
        (e.up, e.request.told) = (None, false);
        assert!(w.pass_ends(x));
        w.exchanges.get_mut(x).unwrap().request.done = false;
        assert!(!w.pass_ends(x));
        w.exchanges.get_mut(x).unwrap().up = ui;
    });
}

#[test]
fn a_half_towards_a_client_ends_once_it_has_all_and_a_stream_by_its_session() {
    with_a_tunnel(b"", |w, x, mut s| {
        s.set_nonblocking(true).unwrap();
        let ci = w.exchanges.get(x).unwrap().client;
        w.clients[ci].conn.out.push(b"x", &mut w.io.pool);
        for (id, waits, is_told) in
            [(0, true, false), (1, true, false), (1, false, false), (0, false, true)]
        {
            if !waits {
                w.clients[ci].conn.out.release(&mut w.io.pool);
            }
            w.exchanges.get_mut(x).unwrap().stream.id = id;
            w.end_answer_half(x);
            assert_eq!(w.exchanges.get(x).unwrap().response.told, is_told, "{id} {waits}");
            let end = s.read(&mut [0]).map_err(|e| e.kind());
            assert_eq!(end, if is_told { Ok(0) } else { Err(ErrorKind::WouldBlock) });
        }
    });
}

#[test]
fn what_a_client_sends_ahead_of_the_tunnel_passes_and_what_it_gets_is_counted() {
    let (tell, told) = mpsc::channel();
    let (node, mut s) = open(b"early", Some(tell));
    s.write_all(format!("{OPENING}ahead").as_bytes()).unwrap();
    let head = read_head(&mut s).unwrap();
    assert_eq!(read_n(&mut s, 5), b"early");
    eventually("the tunnel is open", || on_worker(&node, |w| tunnel(w).is_some()));
    let sent = on_worker(&node, |w| w.counters.bytes_sent.get());
    assert_eq!(sent, head.len() as u64 + 5);
    drop(s);
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), b"ahead");
}

#[test]
fn fields_of_an_opening_that_no_table_may_hold_stay_so() {
    let up = Upstream::play(|s| {
        let mut peer = Peer::over(s);
        let id = peer.next().unwrap();
        peer.head(id, 200, &[("secret-x", "y")], false);
        while peer.read() {}
    });
    let node = http2_peer::on(&up);
    let mut client = Http2Client::connect(&node);
    let id = client.open_websocket("/", &[("sec-websocket-version", "13")]);
    assert_eq!(client.answers[&id].never, ["secret-x"]);
}
