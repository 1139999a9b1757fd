//! What an idle connection over HTTP/2 costs. The test is alone in its process, because it counts
//! every byte of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use common::http2::Client;
use common::*;
use hg_plan::Kind;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CONNECTIONS: usize = 200;
/// Streams that each connection has had at once before it is idle.
const STREAMS: usize = 60;
/// The time after which the worker has given up memory that it keeps for the next streams.
const KEPT: Duration = Duration::from_secs(3);
/// Bytes that an idle connection may hold.
const MOST: usize = 4096;

/// Returns the bytes that are allocated now.
fn held() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.wrapping_sub(stats.bytes_deallocated)
}

/// Returns the least bytes that are allocated at any moment from now on, until nothing is kept.
fn least_held() -> usize {
    let until = Instant::now() + KEPT;
    let mut least = held();
    while Instant::now() < until {
        least = least.min(held());
        thread::yield_now();
    }
    least
}

/// Returns the connections to the endpoint that nobody uses.
fn idle(node: &Node) -> u64 {
    node.engine.metrics().upstreams[0].endpoints[0].idle
}

/// Opens a connection and has many streams on it; returns the socket alone.
fn busy_then_idle(node: &Node) -> TcpStream {
    let mut client = Client::connect(node);
    // The table of fields that the client fills stays, as the client may refer to it: here it is as
    // large as that of a usual client.
    let agent = format!("Mozilla/5.0 {}", "x".repeat(80));
    let fields = [("user-agent", &*agent), ("accept", "*/*"), ("accept-language", "en")];
    let ids: Vec<u32> =
        (0..STREAMS).map(|n| client.open("GET", &format!("/{n}"), &fields, true)).collect();
    for id in ids {
        assert_eq!(client.answer(id).status, 200);
    }
    client.stream
}

#[test]
fn an_idle_connection_holds_little() {
    let up = Upstream::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    // Connections to the endpoint, of which there are now more and now fewer, do not count.
    let pool = r#","pool":{"idle_timeout_ms":1000}"#;
    let mut node = Node::start(&upstream_json(&[up.address], pool), "", 1);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    // With the first of them comes what the worker keeps for all connections together: buffers and
    // tables, of which there are more or fewer in each run.
    let mut clients = Vec::with_capacity(2 * CONNECTIONS);
    clients.extend((0..CONNECTIONS).map(|_| busy_then_idle(&node)));
    eventually("the endpoint's are closed", || idle(&node) == 0);
    let before = least_held();
    clients.extend((0..CONNECTIONS).map(|_| busy_then_idle(&node)));
    let each = || held().saturating_sub(before) / CONNECTIONS;
    let until = Instant::now() + DEADLINE;
    while idle(&node) > 0 || each() > MOST {
        assert!(Instant::now() < until, "an idle connection holds {} bytes", each());
        thread::yield_now();
    }
    assert_eq!(node.engine.metrics().http2.connections.active, clients.len() as u64);
}
