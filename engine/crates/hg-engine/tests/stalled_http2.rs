//! What clients over HTTP/2 can make a worker hold that ask for much and take nothing. The test is
//! alone in its process, because it counts every byte of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use common::http2::Client;
use common::*;
use hg_h2::{Limits, Role, Session};
use hg_plan::Kind;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MIB: usize = 1024 * 1024;
const BODY: usize = 256 * 1024;
const STREAMS: usize = 90;
const CONNECTIONS: usize = 50;
const MANY: usize = 75;
/// After this long without a byte a client waits for no more heads.
const QUIET: Duration = Duration::from_secs(2);

/// Returns the bytes that are allocated now.
fn held() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.wrapping_sub(stats.bytes_deallocated)
}

/// Asks for many answers of whose bodies so many bytes have room, and looks at none.
fn asking(node: &Node, stream_window: u32) -> (Client<TcpStream>, Vec<u32>) {
    let mut client = Client::connect(node);
    client.session = Session::new(Role::Client, Limits { stream_window, ..Limits::client() });
    let ids = (0..STREAMS).map(|_| client.open("GET", "/", &[], true)).collect();
    client.flush();
    (client, ids)
}

/// Waits until a client has the heads of all its answers, its connection ended, or no more heads come:
/// a connection that holds all it may of bodies reads no further answers.
fn heads((mut client, ids): (Client<TcpStream>, Vec<u32>)) -> Client<TcpStream> {
    client.stream.set_read_timeout(Some(QUIET)).unwrap();
    while ids.iter().any(|id| client.answers[id].status == 0) && client.away.is_none() {
        if client.stream.peek(&mut [0]).is_err() || !client.read() {
            break;
        }
    }
    client
}

/// Set once something was done, also when it panicked: otherwise who waits for it would wait for ever.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Returns the most that was allocated above `before` while something was done.
fn peak<T>(before: usize, done: impl FnOnce() -> T) -> (usize, T) {
    let ends = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looks = scope.spawn(|| {
            let mut most = 0;
            while !ends.load(Ordering::Relaxed) {
                most = most.max(held().saturating_sub(before));
                std::thread::yield_now();
            }
            most
        });
        let outcome = {
            let _ends = Ends(&ends);
            done()
        };
        (looks.join().unwrap(), outcome)
    })
}

#[test]
fn streams_whose_clients_take_nothing_hold_little() {
    static PAGE: [u8; BODY] = [b'x'; BODY];
    let up = Upstream::play(|mut s| {
        while read_head(&mut s).is_some() {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n");
            if s.write_all(head.as_bytes()).and_then(|()| s.write_all(&PAGE)).is_err() {
                return;
            }
        }
    });
    let mut node = Node::simple(&up);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    assert!(node.get("/").len() > BODY);
    let before = held();
    let mut clients = vec![heads(asking(&node, 0))];
    let one = held() - before;
    assert!(one < 2 * MIB, "one connection holds {one} bytes");
    let mut most = 0;
    for _ in 1..CONNECTIONS {
        clients.push(heads(asking(&node, 0)));
        most = most.max(held() - before);
    }
    let closed = || {
        let all = node.engine.metrics().http2.closed;
        all.iter().any(|one| one.reason == "stalled-streams" && one.count > 0)
    };
    assert!(!closed(), "all of them fit");
    assert!(most < 70 * MIB, "all together held {most} bytes");
    drop(clients);
    eventually("what was held is given back", || held() < before + 16 * MIB);
    // All at once, so that they come between two turns of the house-keeping; each of their streams has
    // room for a byte, so that more is read for it.
    let (most, clients) = peak(before, || {
        let asked: Vec<_> = (0..MANY).map(|_| asking(&node, 1)).collect();
        asked.into_iter().map(heads).collect::<Vec<_>>()
    });
    // A worker endures 128 MiB of answers; the rest is the exchanges', the clients' and the backend's.
    assert!(most < 192 * MIB, "all together held {most} bytes");
    eventually("connections are closed", closed);
    // Another client is served as before.
    assert!(node.get("/").len() > BODY);
    drop(clients);
}
