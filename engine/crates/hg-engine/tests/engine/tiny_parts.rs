//! Bodies in tiny parts on a connection that many clients share: an endpoint may end one that
//! carries too many small frames.

use crate::common::http2::Client;
use crate::common::http2_peer::{Peer, on};
use crate::common::*;
use hg_h2::{Budgets, Limits};
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};
use std::time::Instant;

/// Starts an endpoint that answers with the number of frames in which a body came.
fn counting() -> Upstream {
    let budgets = Budgets { small_data: 1 << 20, ..Budgets::server() };
    Upstream::play(move |s| {
        let peer = Peer::with(s, Limits { budgets, ..Limits::server() });
        peer.serve(|request| format!("{} of {}", request.frames, request.body.len()).into_bytes());
    })
}

/// Returns how many parts of bodies had to wait.
fn waited(node: &Node) -> u64 {
    let limited = node.engine.metrics().http2.limited;
    limited.iter().find(|r| r.reason == "parts").map_or(0, |r| r.count)
}

/// Begins a request over HTTP/1 whose body is to come.
fn begin(node: &Node) -> TcpStream {
    let mut s = node.connect();
    s.set_nodelay(true).unwrap();
    s.write_all(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    s
}

/// Sends so many bytes; the node takes each before the next one comes.
fn dribble(node: &Node, s: &mut TcpStream, bytes: usize) {
    for _ in 0..bytes {
        s.write_all(b"1\r\nx\r\n").unwrap();
        node.barrier();
    }
}

#[test]
fn parts_of_a_body_wait_for_each_other_once_there_were_many_small_ones() {
    let node = on(&counting());
    let began = Instant::now();
    let mut s = begin(&node);
    dribble(&node, &mut s, 400);
    let allowed = 128 + 16 * (1 + began.elapsed().as_millis() / 125) + 4;
    s.write_all(b"0\r\n\r\n").unwrap();
    let body = String::from_utf8(read_answer(&mut s).1).unwrap();
    let (frames, bytes) = body.split_once(" of ").unwrap();
    assert_eq!(bytes, "400");
    let frames: u128 = frames.parse().unwrap();
    assert!((100..=allowed).contains(&frames), "{frames} frames, but {allowed} are allowed");
    // A body that comes whole does not wait, although others have used up what is allowed.
    let before = waited(&node);
    for _ in 0..50 {
        s.write_all(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").unwrap();
        assert_eq!(read_answer(&mut s).1, b"1 of 1");
    }
    assert_eq!(waited(&node), before);
}

/// Sends the first byte of 240 bodies at once, over three connections, to an endpoint that takes them on
/// one; returns the milliseconds until all have come, and how many had to wait.
fn first_parts(fields: &[(&str, &str)]) -> (u128, u64) {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let up = Upstream::play(move |s| {
        let mut peer = Peer::with(s, Limits { streams: 250, ..Limits::server() });
        let id = peer.next().unwrap();
        peer.answer(id, b"ok");
        let came = |peer: &Peer| peer.requests.values().map(|r| r.body.len()).sum::<usize>();
        while came(&peer) < 240 && peer.read() {}
        tell.lock().unwrap().send(came(&peer)).unwrap();
    });
    let node = on(&up);
    let mut clients = [(); 3].map(|()| Client::connect(&node));
    assert_eq!(clients[0].get("/").body, b"ok");
    let began = Instant::now();
    for client in &mut clients {
        for _ in 0..80 {
            let id = client.open("POST", "/", fields, false);
            client.send(id, b"x", false);
        }
    }
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), 240);
    let took = began.elapsed().as_millis();
    assert_eq!(up.connections(), 1);
    (took, waited(&node))
}

#[test]
fn a_part_that_waits_has_its_turn_although_nothing_follows() {
    let (took, waited) = first_parts(&[]);
    assert!(took > 700 && waited > 0, "{waited} had to wait, and all came in {took} ms");
}

#[test]
fn messages_do_not_wait_for_each_other() {
    assert_eq!(first_parts(&[("content-type", "application/grpc")]).1, 0);
}
