//! Shows that a request in steady state allocates nothing. The test is alone in its process,
//! because it counts every thread; client and upstream allocate nothing meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use common::*;
use hg_plan::Kind;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const REQUEST: &[u8] = b"GET /a?b=c HTTP/1.1\r\nHost: a.example\r\nUser-Agent: test\r\n\
    Accept-Language: en\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const ANSWER_END: &[u8] = b"\r\n\r\nok";
const CONNECTIONS: usize = 4;
const WARM_UP: usize = 2_000;
const REQUESTS: usize = 1_000;
/// Number of windows that are counted: see [`HOUSE`].
const WINDOWS: usize = 5;
/// Allocations that the clock may add to a window, however many requests are in it: a timer that
/// the worker sets five times a second reaches a slot of the wheel that was never used, or a
/// connection's deadline does when the last one fires. That is one allocation each, and never one
/// per request. Where a window takes longer than a second, there may be five more for each.
const HOUSE: usize = 16;
/// Allocations of the exporter's thread for one export, which has some hundreds of records.
const EXPORT: usize = 24;

/// Exports that the collector has answered.
static EXPORTS: AtomicUsize = AtomicUsize::new(0);

/// Reads into a fixed buffer until the bytes end with `end`; false at the end of the stream.
fn read_until(stream: &mut TcpStream, end: &[u8]) -> bool {
    let mut buffer = [0; 4096];
    let mut filled = 0;
    loop {
        match stream.read(&mut buffer[filled..]) {
            Ok(n) if n > 0 => filled += n,
            _ => return false,
        }
        if buffer[..filled].ends_with(end) {
            return true;
        }
    }
}

/// Sends so many requests, in turn on each connection.
fn ask(connections: &mut [TcpStream], times: usize) {
    for turn in 0..times {
        let stream = &mut connections[turn % connections.len()];
        stream.write_all(REQUEST).unwrap();
        assert!(read_until(stream, ANSWER_END), "no answer");
    }
}

/// What is seen in a window of [`REQUESTS`] requests.
#[derive(Debug)]
struct Window {
    /// Allocations and growths of all threads.
    count: usize,
    /// Exports that ended.
    exports: usize,
    /// Allocations that the clock may have added.
    house: usize,
}

fn windows(node: &Node) -> Vec<Window> {
    let mut connections: Vec<TcpStream> = (0..CONNECTIONS).map(|_| node.connect()).collect();
    ask(&mut connections, WARM_UP);
    let mut windows = Vec::with_capacity(WINDOWS);
    for _ in 0..WINDOWS {
        let (began, region, before) =
            (Instant::now(), Region::new(ALLOCATOR), EXPORTS.load(Relaxed));
        ask(&mut connections, REQUESTS);
        let (change, after) = (region.change(), EXPORTS.load(Relaxed));
        let count = change.allocations + change.reallocations;
        // Where there are exports, one may be under way at the beginning.
        let exports = if before == 0 { 0 } else { after - before + 1 };
        let house = HOUSE + 5 * began.elapsed().as_secs() as usize;
        windows.push(Window { count, exports, house });
    }
    windows
}

/// Asserts that a window allocates no more than the clock may add, and an export each so often.
fn assert_none(windows: &[Window]) {
    let is_none = |one: &Window| one.count <= one.house + one.exports * EXPORT;
    assert!(windows.iter().all(is_none), "{windows:?} in {REQUESTS} requests each");
}

fn upstream() -> Upstream {
    Upstream::play(|mut s| {
        while read_until(&mut s, b"\r\n\r\n") {
            s.write_all(ANSWER).unwrap();
        }
    })
}

/// Takes exports and answers each, without an allocation.
fn collector() -> Upstream {
    Upstream::play(|mut s| {
        let mut buffer = [0; 64 * 1024];
        while let Some(length) = export_length(&mut s) {
            let mut left = length;
            while left > 0 {
                let most = left.min(buffer.len());
                match s.read(&mut buffer[..most]) {
                    Ok(n) if n > 0 => left -= n,
                    _ => return,
                }
            }
            EXPORTS.fetch_add(1, Relaxed);
            s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
    })
}

/// Reads the head of an export and returns how long its body is; nothing at the end of the stream.
fn export_length(stream: &mut TcpStream) -> Option<usize> {
    let (mut head, mut filled) = ([0; 1024], 0);
    while !head[..filled].ends_with(b"\r\n\r\n") {
        match stream.read(&mut head[filled..filled + 1]) {
            Ok(1) => filled += 1,
            _ => return None,
        }
    }
    const NAME: &str = "Content-Length: ";
    let head = std::str::from_utf8(&head[..filled]).unwrap();
    head.lines().find_map(|line| line.strip_prefix(NAME)?.parse().ok())
}

#[test]
fn a_small_request_in_steady_state_allocates_nothing() {
    let up = upstream();
    let mut node = Node::simple(&up);
    assert_none(&windows(&node));

    let collector = collector();
    let settings = format!(
        r#"{{"access_log":{{"format":"json","otlp":{{"endpoint":"http://{}/v1/logs","service_name":"edge","timeout_ms":10000}}}}}}"#,
        collector.address
    );
    node.apply(&[put(Kind::Settings, "node", settings)]);
    ask(&mut [node.connect()], WARM_UP);
    eventually("records are exported", || node.engine.metrics().log.export.exported > 0);
    assert_none(&windows(&node));

    let settings = r#"{"access_log":{"format":"json","sink":{"file":{"path":"/dev/null"}},
        "fields":["status","header:accept-language","header:x-none"]}}"#;
    node.apply(&[put(Kind::Settings, "node", settings)]);
    assert_none(&windows(&node));
}
