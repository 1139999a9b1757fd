//! The part of an answer that is read at once for a stream.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::http2::Client;
use crate::common::{Node, Upstream, put, read_all, upstream_json};
use crate::worker::accept::deadline_after;
use crate::worker::tests::on_worker;
use hg_h2::{Limits, Role, Session};
use hg_plan::Kind;

/// Has a stream wait for its answer; `run` gets its exchange and its connection's index.
fn with_stream(route: &str, run: impl FnOnce(&mut Worker, ExId, usize) + Send + 'static) {
    with_limits(Limits::client(), route, run);
}

/// Does the same with a client that has other limits.
fn with_limits(
    limits: Limits,
    route: &str,
    run: impl FnOnce(&mut Worker, ExId, usize) + Send + 'static,
) {
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let mut node = Node::start(&upstream_json(&[up.address], ""), route, 1);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    let mut client = Client::connect(&node);
    client.session = Session::new(Role::Client, limits);
    client.open("GET", "/", &[], true);
    client.flush();
    node.barrier();
    on_worker(&node, move |w| {
        let x = w.exchanges.ids(|e| e.stream.is_http2()).into_iter().next().unwrap();
        let ci = w.exchanges.get(x).unwrap().client;
        run(w, x, ci);
    });
}

#[test]
fn little_is_read_for_a_client_that_holds_much_or_while_the_worker_does() {
    with_stream("", |w, x, ci| {
        let most = w.clients.get(ci).unwrap().http2.as_deref().unwrap().bounds.answers;
        for (held, pending, expected) in [
            (0, 0, STREAM_READ),
            (most - 1, 0, STREAM_READ),
            (most, 0, STREAM_READ_LEAST),
            (0, WORKER_HOLDS - 1, STREAM_READ),
            (0, WORKER_HOLDS, STREAM_READ_LEAST),
        ] {
            w.clients.get_mut(ci).unwrap().http2.as_deref_mut().unwrap().held.bytes = held;
            w.io.pool.pending = pending;
            assert_eq!(w.answer_limit(x), expected, "{held} {pending}");
        }
        w.clients.get_mut(ci).unwrap().http2.as_deref_mut().unwrap().held.bytes = 0;
        w.io.pool.pending = 0;
    });
}

#[test]
fn what_is_collected_for_a_client_has_bounds_of_its_own() {
    with_stream(r#","response_buffer_bytes":1000000"#, |w, x, ci| {
        w.clients.get_mut(ci).unwrap().http2.as_deref_mut().unwrap().held.bytes = usize::MAX;
        assert_eq!(w.answer_limit(x), STREAM_READ);
        w.clients.get_mut(ci).unwrap().http2.as_deref_mut().unwrap().held.bytes = 0;
    });
}

/// The frame with which a client takes so many bytes more of its first stream.
fn taking(bytes: u8) -> [u8; 13] {
    [0, 0, 4, 8, 0, 0, 0, 0, 1, 0, 0, 0, bytes]
}

#[test]
fn a_stream_goes_on_once_its_client_has_taken_all_that_waited() {
    let limits = Limits { stream_window: 0, ..Limits::client() };
    with_limits(limits, "", |w, x, ci| {
        let e = w.exchanges.get_mut(x).unwrap();
        (e.answered, e.response.done) = (true, false);
        assert!(w.send_stream(x, b"HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 100]));
        for (bytes, left) in [(0, 100), (40, 60), (60, 0)] {
            if bytes > 0 {
                w.on_frames(ci, &taking(bytes), 0..13);
            }
            w.flush_dirty();
            let s = &w.exchanges.get(x).unwrap().stream;
            assert_eq!((s.held.len(), s.queued.answer), (left, left == 0));
        }
    });
}

#[test]
fn what_is_collected_for_a_stream_goes_on_from_half_of_it() {
    let limits = Limits { stream_window: 0, ..Limits::client() };
    with_limits(limits, r#","response_buffer_bytes":120"#, |w, x, ci| {
        let e = w.exchanges.get_mut(x).unwrap();
        (e.answered, e.response.done) = (true, false);
        assert!(w.send_stream(x, b"HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 100]));
        for (left, goes_on) in [(61, false), (60, true)] {
            let held = w.exchanges.get(x).unwrap().stream.held.len();
            w.on_frames(ci, &taking(u8::try_from(held - left).unwrap()), 0..13);
            w.flush_dirty();
            let s = &w.exchanges.get(x).unwrap().stream;
            assert_eq!((s.held.len(), s.queued.answer), (left, goes_on));
        }
    });
}

#[test]
fn a_connection_is_read_on_after_a_flush_if_it_may_have_more() {
    with_stream("", |w, _, ci| {
        for readable in [false, true] {
            let c = w.clients.get_mut(ci).unwrap();
            (c.conn.readable, c.standing.queued) = (readable, false);
            w.flush_http2(ci);
            assert_eq!(w.clients.get(ci).unwrap().standing.queued, readable);
        }
    });
}

#[test]
fn a_client_that_takes_something_has_its_time_anew() {
    with_stream("", |w, _, ci| {
        let due = deadline_after(w.now_us, 1_000);
        let h = w.clients.get_mut(ci).unwrap().http2.as_deref_mut().unwrap();
        (h.bounds.write_ms, h.stalled_at) = (1_000, Ticks::MAX);
        w.note_http2_progress(ci);
        let c = w.clients.get(ci).unwrap();
        assert_eq!((c.http2.as_deref().unwrap().stalled_at, c.deadline), (due, due));
    });
}
