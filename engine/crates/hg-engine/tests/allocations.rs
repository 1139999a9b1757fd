//! Shows that a request in steady state allocates nothing. The test is alone in its process,
//! because it counts every thread; client and upstream allocate nothing meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use common::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::io::{Read, Write};
use std::net::TcpStream;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const REQUEST: &[u8] = b"GET /a?b=c HTTP/1.1\r\nHost: a.example\r\nUser-Agent: test\r\n\r\n";
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
/// per request.
const HOUSE: usize = 16;

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
        let stream = &mut connections[turn % CONNECTIONS];
        stream.write_all(REQUEST).unwrap();
        assert!(read_until(stream, ANSWER_END), "no answer");
    }
}

/// Allocations and growths of all threads in each window of [`REQUESTS`] requests.
fn windows(node: &Node) -> [usize; WINDOWS] {
    let mut connections: Vec<TcpStream> = (0..CONNECTIONS).map(|_| node.connect()).collect();
    ask(&mut connections, WARM_UP);
    let mut counts = [0; WINDOWS];
    for count in &mut counts {
        let region = Region::new(ALLOCATOR);
        ask(&mut connections, REQUESTS);
        let change = region.change();
        *count = change.allocations + change.reallocations;
    }
    counts
}

#[test]
fn a_small_request_in_steady_state_allocates_nothing() {
    let up = Upstream::play(|mut s| {
        while read_until(&mut s, b"\r\n\r\n") {
            s.write_all(ANSWER).unwrap();
        }
    });
    let counts = windows(&Node::simple(&up));
    assert!(counts.iter().all(|count| *count <= HOUSE), "{counts:?} in {REQUESTS} requests each");
}
