//! The part of an answer that is read at once for a stream.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::http2::Client;
use crate::common::{Node, Upstream, put, read_all, upstream_json};
use crate::worker::tests::on_worker;
use hg_plan::Kind;

/// Has a stream wait for its answer; `run` gets its exchange and its connection's index.
fn with_stream(route: &str, run: impl FnOnce(&mut Worker, ExId, usize) + Send + 'static) {
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let mut node = Node::start(&upstream_json(&[up.address], ""), route, 1);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    let mut client = Client::connect(&node);
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
