//! The end of what a deadline ends, by the stage of its exchange.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::http2::Client as Http2Client;
use crate::common::{Node, Upstream, eventually, put, read_all, read_answer, upstream_json};
use crate::worker::exchange::Deadlines;
use crate::worker::tests::on_worker;
use hg_plan::Kind;
use std::io::Write;

const NO_TIMES: &str = r#","timeouts":{"first_byte_ms":0,"stream_idle_ms":0}"#;

fn waiting(w: &Worker) -> Vec<ExId> {
    w.exchanges.ids(|e| e.stage == Stage::Waiting)
}

/// Has a timer fire for a request that waits for its answer, after a change to it that may use the
/// present tick. Returns the timeouts that count, and the reasons for which requests were refused.
fn fired(change: impl FnOnce(&mut Exchange, Ticks) + Send + 'static) -> (String, String) {
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let node = Node::start(&upstream_json(&[up.address], ""), NO_TIMES, 1);
    let mut s = node.connect();
    s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    eventually("it waits for its answer", || on_worker(&node, |w| waiting(w).len()) == 1);
    on_worker(&node, move |w| {
        let (x, now) = (waiting(w)[0], w.now);
        change(w.exchanges.get_mut(x).unwrap(), now);
        w.expire_exchange(x);
        // No other timer fires for it before the counts are read.
        if let Some(e) = w.exchanges.get_mut(x) {
            e.due = Deadlines::default();
            w.rearm(x);
        }
    });
    let metrics = node.engine.metrics();
    let counted = |all: &[crate::report::ReasonCount]| {
        let some = all.iter().filter(|one| one.count > 0);
        some.map(|one| format!("{} {}", one.reason, one.count)).collect::<Vec<_>>().join(", ")
    };
    (counted(&metrics.timeouts), counted(&metrics.rejects))
}

#[test]
fn a_timer_that_fires_before_any_deadline_ends_nothing() {
    for stage in [Stage::Waiting, Stage::Connecting, Stage::Backoff] {
        let (timeouts, rejects) = fired(move |e, now| {
            e.stage = stage;
            e.due.request = now + 1;
            e.due.one_try = now + 1;
            e.due.connect = now + 1;
            e.due.endpoint = now + 1;
            e.due.first_byte = now + 1;
            e.due.idle = now + 1;
            e.due.again = now + 1;
        });
        assert_eq!((timeouts.as_str(), rejects.as_str()), ("", ""), "{stage:?}");
    }
}

#[test]
fn deadlines_of_another_stage_end_nothing() {
    for stage in [Stage::Waiting, Stage::Answering] {
        let (timeouts, rejects) = fired(move |e, now| {
            e.stage = stage;
            e.due.connect = now;
            e.due.endpoint = now;
            e.due.next_address = now;
            e.due.again = now;
        });
        assert_eq!((timeouts.as_str(), rejects.as_str()), ("", ""), "{stage:?}");
    }
    let (timeouts, rejects) = fired(|e, now| {
        e.stage = Stage::Connecting;
        e.due.first_byte = now;
    });
    assert_eq!((timeouts.as_str(), rejects.as_str()), ("", ""));
}

#[test]
fn a_deadline_ends_its_exchange_in_the_tick_in_which_it_comes() {
    type Change = fn(&mut Exchange, Ticks);
    let cases: [(Change, &str, &str); 8] = [
        (|e, now| e.due.request = now, "request 1", "request-timeout 1"),
        (|e, now| e.due.one_try = now, "per_try 1", "try-timeout 1"),
        (|e, now| e.due.first_byte = now, "first_byte 1", "first-byte-timeout 1"),
        (|e, now| e.due.idle = now, "stream_idle 1", "stream-idle 1"),
        (|e, _| e.stage = Stage::Queued, "queue 1", "queue-timeout 1"),
        (
            |e, now| (e.stage, e.due.connect) = (Stage::Connecting, now),
            "connect 1",
            "connect-timeout 1",
        ),
        (
            |e, now| (e.stage, e.due.endpoint) = (Stage::Connecting, now),
            "connect 1",
            "connect-timeout 1",
        ),
        (
            |e, now| (e.stage, e.due.next_address) = (Stage::Connecting, now),
            "",
            "connect-refused 1",
        ),
    ];
    for (change, timeouts, rejects) in cases {
        let (counted, refused) = fired(change);
        assert_eq!((counted.as_str(), refused.as_str()), (timeouts, rejects));
    }
}

#[test]
fn the_end_of_a_whole_request_comes_before_a_further_try() {
    let (timeouts, _) = fired(|e, now| {
        e.stage = Stage::Backoff;
        (e.due.request, e.due.again) = (now, now);
    });
    assert_eq!(timeouts, "request 1");
}

#[test]
fn an_answer_that_has_begun_has_no_time_for_a_try() {
    let (timeouts, rejects) = fired(|e, now| {
        (e.answered, e.stage) = (true, Stage::Answering);
        (e.due.one_try, e.due.first_byte) = (now, now);
    });
    assert_eq!((timeouts.as_str(), rejects.as_str()), ("", ""));
}

#[test]
fn a_client_is_silent_only_before_its_body_has_come_and_its_answer_begun() {
    for (done, answered, reason) in [
        (false, false, "body-timeout 1"),
        (true, false, "stream-idle 1"),
        (false, true, "stream-idle 1"),
        (true, true, "stream-idle 1"),
    ] {
        let (timeouts, rejects) = fired(move |e, now| {
            (e.request.done, e.answered, e.due.idle) = (done, answered, now);
            e.response.done = false;
        });
        assert_eq!((timeouts.as_str(), rejects.as_str()), ("stream_idle 1", reason));
    }
}

/// Has the wheel fire at a tick, for what has that deadline.
fn fire(w: &mut Worker, token: Token, at: Ticks) {
    let real = w.now;
    w.enter(token, at);
    (w.now, w.wheel_next) = (at, at);
    w.run_timers();
    w.now = real;
}

#[test]
fn a_client_is_asked_for_in_the_tick_of_its_deadline() {
    let node = Node::simple(&Upstream::answering(b""));
    let _client = node.connect();
    eventually("it is accepted", || on_worker(&node, |w| w.clients.len()) == 1);
    on_worker(&node, |w| {
        let at = w.now + 1;
        let (ci, c) = w.clients.iter_mut().next().unwrap();
        (c.deadline, c.timer) = (at, Entry(at));
        let token = Token::new(KIND_CLIENT, c.generation, ci);
        fire(w, token, at);
        assert!(w.clients.is_empty());
    });
}

#[test]
fn an_idle_connection_to_an_endpoint_ends_in_the_tick_of_its_deadline() {
    let node = Node::simple(&Upstream::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    let mut client = node.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_answer(&mut client);
    let is_idle = |w: &mut Worker| w.ups.iter().any(|(_, up)| up.exchange.is_none());
    eventually("it is idle", || on_worker(&node, is_idle));
    on_worker(&node, |w| {
        let at = w.now + 2;
        let (ui, up) = w.ups.iter_mut().next().unwrap();
        let generation = up.generation;
        (up.deadline, up.timer) = (at - 1, Entry(at - 1));
        fire(w, Token::new(KIND_UP, generation + 1, ui), at - 1);
        assert_eq!(w.ups.len(), 1, "another one had its index");
        let up = w.ups.get_mut(ui).unwrap();
        (up.deadline, up.timer) = (at, Entry(at));
        fire(w, Token::new(KIND_UP, generation, ui), at);
        assert!(w.ups.is_empty());
    });
}

#[test]
fn a_stream_ends_in_the_tick_of_its_deadline() {
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let mut node = Node::start(&upstream_json(&[up.address], ""), NO_TIMES, 1);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    let mut client = Http2Client::connect(&node);
    let id = client.open("GET", "/", &[], true);
    client.flush();
    eventually("it waits for its answer", || on_worker(&node, |w| waiting(w).len()) == 1);
    on_worker(&node, |w| {
        let (x, at) = (waiting(w)[0], w.now + 1);
        let e = w.exchanges.get_mut(x).unwrap();
        (e.due.request, e.stream.deadline, e.stream.timer) = (at, at, Entry(at));
        fire(w, x.token(KIND_EXCHANGE), at);
    });
    assert_eq!(client.answer(id).status, 504);
}
