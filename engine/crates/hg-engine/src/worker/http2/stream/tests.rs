//! The part of a request's body that a stream keeps, and the places that streams wait for.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::http2::Client;
use crate::common::{DEADLINE, Node, Upstream, put, read_all, read_head, upstream_json};
use crate::worker::answer::own;
use crate::worker::http2::Http2;
use crate::worker::tests::on_worker;
use hg_h2::Places;
use hg_plan::Kind;
use std::sync::mpsc;

#[test]
fn of_a_body_as_much_goes_on_as_may() {
    let mut s = Stream { id: 1, ..Stream::default() };
    s.came(b"");
    assert_eq!((s.incoming.len(), s.waiting(), s.has_input()), (0, 0, false));
    s.came(b"abc");
    s.came(b"defg");
    assert_eq!((s.waiting(), s.has_input()), (7, true));
    for (most, expected, left) in [(2, "ab", 5), (4, "cdef", 1), (1, "g", 0)] {
        let input = s.take_input(most);
        assert_eq!(
            (&input[..RESERVE], &input[RESERVE..]),
            (&[0; RESERVE][..], expected.as_bytes())
        );
        assert_eq!((s.waiting(), s.has_input()), (left, left > 0));
    }
    assert_eq!(s.take_input(usize::MAX), [0; RESERVE], "there is always room before a body");
    s.has_ended = true;
    assert!(s.has_input(), "an end goes on, too");
}

#[test]
fn a_recycled_stream_is_one_of_http1_and_keeps_small_allocations_alone() {
    let mut s = Stream {
        id: 5,
        has_ended: true,
        is_grpc: true,
        queued: Queued { answer: true, input: true },
        ..Stream::default()
    };
    assert!(s.is_http2());
    s.incoming = Vec::with_capacity(100_000);
    s.came(b"x");
    s.held.hold(&[b'y'; 1_000]);
    let mut s = s.recycle();
    assert!(
        !s.is_http2()
            && !s.has_input()
            && !s.is_grpc
            && s.queued == Queued::default()
            && s.held.is_empty()
    );
    assert!((1..=4096).contains(&s.incoming.capacity()));
    assert_eq!((s.deadline, s.timer), (Ticks::MAX, Entry::NONE));
    s.held.hold(b"z");
    assert!((1_000..=4096).contains(&s.held.memory()));
}

/// Has a request with a body that goes on wait for its answer, an hour later; `run` gets its exchange
/// and its connection.
fn with_stream(run: impl FnOnce(&mut Worker, ExId, usize) + Send + 'static) {
    let mut node = Node::simple(&Upstream::play(|mut s| drop(read_all(&mut s))));
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    let mut client = Client::connect(&node);
    client.open("POST", "/", &[], false);
    client.flush();
    node.barrier();
    on_worker(&node, |w| {
        let x = w.exchanges.ids(|e| e.stream.is_http2())[0];
        let ci = w.exchanges.get(x).unwrap().client;
        w.now_us += 3_600_000_000;
        w.now = Clock::ticks(w.now_us);
        run(w, x, ci);
        w.tick();
    });
}

fn session(w: &mut Worker, ci: usize) -> &mut Http2 {
    w.clients.get_mut(ci).unwrap().http2.as_deref_mut().unwrap()
}

#[test]
fn a_stream_that_has_to_wait_goes_on_when_its_time_is_over() {
    with_stream(|w, x, ci| {
        let h = session(w, ci);
        h.places = h.bounds.places();
        w.start_stream(x, 5_000);
        assert_eq!(w.exchanges.get(x).unwrap().stage, Stage::Queued);
        let now_us = w.now_us;
        assert_eq!(session(w, ci).places.deadline_ms(), Some(now_us / 1000 + 5_000));
        for (ms, stage) in [(0, Stage::Queued), (4_999, Stage::Queued), (5_000, Stage::Connecting)]
        {
            w.now_us = now_us + ms * 1000;
            w.use_places(ci);
            assert_eq!(w.exchanges.get(x).unwrap().stage, stage, "{ms}");
        }
        // It asks its endpoint already.
        w.exchanges.get_mut(x).unwrap().stage = Stage::Waiting;
        w.rearm(x);
    });
}

#[test]
fn a_body_that_is_whole_leaves_its_place_to_another_where_there_are_few() {
    with_stream(|w, x, ci| {
        for (bodies, done, next) in [(1, true, Some(3)), (1, false, None), (2, true, None)] {
            let h = session(w, ci);
            (h.bounds.dispatched, h.bounds.bodies) = (2, bodies);
            h.places = Places::new(2, bodies);
            assert_eq!(h.places.ask(1, true, 0, 0), Place::Now);
            let is_first = h.places.ask(3, true, 0, 0) == Place::Now;
            assert_eq!(is_first, bodies == 2);
            w.exchanges.get_mut(x).unwrap().request.done = done;
            w.leave_body(x, ci, 1);
            assert_eq!(session(w, ci).places.next(0), next, "{bodies} {done}");
        }
        w.exchanges.get_mut(x).unwrap().request.done = false;
    });
}

#[test]
fn a_body_that_was_collected_leaves_its_place_to_another() {
    let (tell, told) = mpsc::channel();
    let up = Upstream::play(move |mut s| {
        if read_head(&mut s).is_some() {
            tell.send(()).unwrap();
        }
        drop(read_all(&mut s));
    });
    let collects = r#","body_buffer_bytes":65536"#;
    let mut node = Node::start(&upstream_json(&[up.address], ""), collects, 1);
    let few = r#","h2c":true,"http2":{"bodies":1}"#;
    node.apply(&[put(Kind::Listener, "web", node.listener_json(few))]);
    let mut client = Client::connect(&node);
    let both = [(); 2].map(|()| client.open("POST", "/", &[], false));
    for id in both {
        client.send(id, b"abc", true);
    }
    for _ in both {
        told.recv_timeout(DEADLINE).expect("nobody answers either of them");
    }
}

#[test]
fn what_comes_is_kept_while_somebody_waits_for_it() {
    with_stream(|w, x, ci| {
        for (done, answered, is_tunnel, is_whole, is_kept) in [
            (false, false, false, true, true),
            (true, false, false, true, false),
            (true, true, false, true, false),
            (true, false, true, true, true),
            (true, true, true, true, false),
            (false, true, false, true, false),
            (false, true, false, false, true),
            (true, true, false, false, false),
        ] {
            let e = w.exchanges.get_mut(x).unwrap();
            (e.request.done, e.answered, e.stream.is_tunnel) = (done, answered, is_tunnel);
            e.response.done = is_whole;
            w.on_stream_data(ci, 1, b"x", false);
            let e = w.exchanges.get_mut(x).unwrap();
            assert_eq!(e.stream.has_input(), is_kept, "{done} {answered} {is_tunnel} {is_whole}");
            e.stream.take_input(usize::MAX);
        }
        let e = w.exchanges.get_mut(x).unwrap();
        (e.request.done, e.answered) = (false, false);
    });
}

#[test]
fn a_request_that_http2_does_not_allow_counts_as_one_of_its_connection() {
    with_stream(|w, _, ci| {
        let before = w.clients.get(ci).unwrap().requests;
        w.on_malformed(ci, 3, &own::PATH);
        assert_eq!(w.clients.get(ci).unwrap().requests, before + 1);
    });
}
