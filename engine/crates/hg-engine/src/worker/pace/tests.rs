//! The times of a body that is held back.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::{Node, Upstream, eventually, read_all, upstream_json};
use crate::worker::tests::on_worker;
use std::io::Write;

const ROUTE: &str = r#","middlewares":[{"bandwidth":{"download":1000,"upload":1000,"key":["request"]}}],
    "timeouts":{"first_byte_ms":0,"stream_idle_ms":60000,"body_ms":60000}"#;

/// Runs a function on a worker with a request that waits for its answer.
fn with_a_request(run: impl FnOnce(&mut Worker, ExId) + Send + 'static) {
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let node = Node::start(&upstream_json(&[up.address], ""), ROUTE, 1);
    let mut s = node.connect();
    s.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na").unwrap();
    let waiting = |w: &Worker| w.exchanges.ids(|e| e.stage == Stage::Waiting);
    eventually("it waits for its answer", || on_worker(&node, move |w| waiting(w).len()) == 1);
    node.barrier();
    on_worker(&node, move |w| {
        // There is a tick before this one.
        w.now_us += 1_000_000;
        w.now = Clock::ticks(w.now_us);
        run(w, waiting(w)[0]);
        w.tick();
    });
}

#[test]
fn a_body_without_a_pace_passes_as_it_comes_and_others_some_at_a_time() {
    let mut relay = Relay::default();
    assert_eq!((relay.allowed(0), relay.first_read()), (usize::MAX, usize::MAX));
    relay.pace = Some(Box::default());
    assert_eq!(relay.first_read(), 4 * 1024);
    assert_eq!(relay.allowed(0), 64 * 1024);
    relay.bytes = 1024;
    assert_eq!(relay.allowed(0), 63 * 1024);
    assert_eq!(relay.first_read(), 63 * 1024);
}

#[test]
fn the_paces_of_an_exchange_end_with_it() {
    let mut e = Exchange::default();
    e.request.pace = Some(Box::default());
    e.response.pace = Some(Box::default());
    e.end_paces(0);
    assert!(e.request.pace.is_none() && e.response.pace.is_none());
}

#[test]
fn a_body_goes_on_in_the_tick_of_its_time_and_not_before() {
    with_a_request(|w, x| {
        let now = w.now;
        w.exchanges.get_mut(x).unwrap().due.idle = now;
        assert!(!w.face_resume(x), "nothing is held back");
        assert_eq!(w.exchanges.get(x).unwrap().due.idle, now);
        for (resume, stage, is_faced, left) in [
            (now + 1, Stage::Waiting, false, now + 1),
            (now + 1, Stage::Collecting, false, now + 1),
            (now + 1, Stage::Tunnel, true, now + 1),
            (now, Stage::Waiting, true, Ticks::MAX),
            (now - 1, Stage::Waiting, true, Ticks::MAX),
        ] {
            let e = w.exchanges.get_mut(x).unwrap();
            (e.due.resume, e.stage) = (resume, stage);
            assert_eq!(w.face_resume(x), is_faced, "{resume} {now} {stage:?}");
            assert_eq!(w.exchanges.get(x).unwrap().due.resume, left, "{resume} {now} {stage:?}");
            w.exchanges.get_mut(x).unwrap().stage = Stage::Waiting;
        }
    });
}

#[test]
fn while_a_body_is_held_back_nobody_is_silent() {
    with_a_request(|w, x| {
        let now = w.now;
        let whole = deadline_after(w.now_us, 60_000) - now;
        for (idle, expected) in
            [(now + 1, now + 1), (now, now + 100 + whole), (now - 1, now + 100 + whole)]
        {
            let e = w.exchanges.get_mut(x).unwrap();
            (e.due.resume, e.due.idle) = (now + 100, idle);
            assert!(!w.face_resume(x));
            assert_eq!(w.exchanges.get(x).unwrap().due.idle, expected, "{idle} {now}");
        }
        w.rearm(x);
    });
}

#[test]
fn what_is_held_back_takes_nothing_of_the_time_of_others_however_often_it_is_asked_for() {
    with_a_request(|w, x| {
        let (now, now_us) = (w.now, w.now_us);
        let e = w.exchanges.get_mut(x).unwrap();
        let pace = e.response.pace.as_deref_mut().unwrap();
        assert_eq!(pace.allow(100_000, now_us), 0);
        (e.due.request, e.due.one_try, e.due.resume) = (now + 10, now + 20, Ticks::MAX);
        let at = e.resumes_at();
        assert!(at > now + 1_000);
        for _ in 0..2 {
            w.hold_back(x);
            let due = &w.exchanges.get(x).unwrap().due;
            assert_eq!(due.resume, at);
            assert_eq!((due.request, due.one_try), (at + 10, at + 20));
        }
    });
}

#[test]
fn the_time_of_a_body_that_is_collected_goes_on_with_it() {
    with_a_request(|w, x| {
        for (stage, is_held) in [(Stage::Waiting, true), (Stage::Collecting, false)] {
            // A request that has no connection yet, and of which nothing more has come.
            w.clients.iter_mut().for_each(|(_, c)| c.conn.readable = false);
            let e = w.exchanges.get_mut(x).unwrap();
            let up = e.up.take();
            e.stage = stage;
            w.hold_back_upload(x);
            assert_eq!(w.exchanges.get(x).unwrap().body_deadline(), Ticks::MAX);
            w.exchanges.get_mut(x).unwrap().due.resume = w.now;
            assert!(w.face_resume(x));
            let e = w.exchanges.get_mut(x).unwrap();
            assert_eq!(e.body_deadline() == Ticks::MAX, is_held, "{stage:?}");
            (e.up, e.stage) = (up, Stage::Waiting);
        }
    });
}
