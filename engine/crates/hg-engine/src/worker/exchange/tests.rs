//! The deadlines, the state and the texts of an exchange.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::{Upstream, eventually, http2_peer};
use crate::worker::tests::{GET, ask_briefly, on_request, on_worker, waiting};

#[test]
fn the_time_of_a_slow_upload_is_its_clients() {
    let of = |first_byte_us, upload_us| {
        TryTimes { began_us: 100, first_byte_us, upload_us }.head_us(1_000)
    };
    for (first_byte_us, upload_us, took_us, what) in [
        (150, (0, 0), 50, "no body after the head"),
        (0, (0, 0), 900, "no answer"),
        (900, (110, 900), 10, "answered as the body ended"),
        (950, (110, 900), 60, "ten to connect, fifty after the body"),
        (150, (110, 900), 50, "answered before the end of the body"),
        (150, (110, 0), 50, "answered, and the body goes on"),
        (0, (110, 0), 10, "given up while the body came"),
        (0, (110, 900), 110, "no answer to a whole request"),
    ] {
        assert_eq!(of(first_byte_us, upload_us), took_us, "{what}");
    }
}

const STAGES: [Stage; 8] = [
    Stage::Collecting,
    Stage::Queued,
    Stage::Connecting,
    Stage::Waiting,
    Stage::Paused,
    Stage::Backoff,
    Stage::Answering,
    Stage::Tunnel,
];

/// The times that end or wake an exchange, in the order of [`STAGES`].
#[test]
fn each_stage_has_its_times() {
    type Set = fn(&mut Deadlines);
    let times: [(&str, Set, [u8; 8]); 10] = [
        ("request", |due| due.request = 5, [1, 1, 1, 1, 1, 1, 1, 0]),
        ("one_try", |due| due.one_try = 5, [1, 1, 1, 1, 1, 1, 1, 0]),
        ("connect", |due| due.connect = 5, [0, 1, 1, 0, 0, 0, 0, 0]),
        ("endpoint", |due| due.endpoint = 5, [0, 0, 1, 0, 0, 0, 0, 0]),
        ("next_address", |due| due.next_address = 5, [0, 0, 1, 0, 0, 0, 0, 0]),
        ("first_byte", |due| due.first_byte = 5, [0, 0, 0, 1, 0, 0, 0, 0]),
        ("idle", |due| due.idle = 5, [1, 0, 0, 1, 0, 0, 1, 1]),
        ("again", |due| due.again = 5, [0, 0, 0, 0, 1, 1, 0, 0]),
        ("hedge", |due| due.hedge = 5, [1, 1, 1, 1, 1, 1, 1, 0]),
        ("resume", |due| due.resume = 5, [1, 1, 1, 1, 1, 1, 1, 1]),
    ];
    for (name, set, expected) in times {
        for (stage, counts) in STAGES.into_iter().zip(expected) {
            let mut e = Exchange { stage, ..Exchange::default() };
            assert_eq!(e.deadline(), Ticks::MAX, "{stage:?}");
            set(&mut e.due);
            let due = if counts == 1 { 5 } else { Ticks::MAX };
            assert_eq!(e.deadline(), due, "{name} in {stage:?}");
        }
    }
    let mut e = Exchange { stage: Stage::Answering, answered: true, ..Exchange::default() };
    e.due.one_try = 5;
    assert_eq!(e.deadline(), Ticks::MAX, "a try ends where its answer begins");
}

#[test]
fn an_answer_is_complete_once_it_has_begun_and_nothing_of_it_is_left() {
    for (answered, done) in [(false, false), (false, true), (true, false), (true, true)] {
        let response = Relay { done, ..Relay::default() };
        let e = Exchange { answered, response, ..Exchange::default() };
        assert_eq!(e.is_answer_complete(), answered && done);
    }
}

/// An endpoint has ended its half of a WebSocket, and its client goes on.
fn half_open() -> Exchange {
    Exchange {
        status: 101,
        stage: Stage::Answering,
        response: Relay { done: true, ..Relay::default() },
        up: Some(3),
        ..Exchange::default()
    }
}

#[test]
fn a_websocket_is_half_open_while_its_client_has_something_to_pass_on() {
    assert!(half_open().is_half_open());
    type Change = fn(&mut Exchange);
    let changes: [(&str, Change); 5] = [
        ("no WebSocket", |e| e.status = 200),
        ("a tunnel of HTTP/1", |e| e.stage = Stage::Tunnel),
        ("the endpoint goes on", |e| e.response.done = false),
        ("the client has ended", |e| e.request.told = true),
        ("no connection", |e| e.up = None),
    ];
    for (what, change) in changes {
        let mut e = half_open();
        change(&mut e);
        assert!(!e.is_half_open(), "{what}");
    }
}

#[test]
fn an_unknown_method_is_the_text_behind_the_others() {
    let mut e = Exchange { method: Method::Post, ..Exchange::default() };
    assert_eq!(e.method_as_sent(), "POST");
    e.log.text = b"/pathhost".to_vec();
    e.log.ends = [5, 9, 9, 9];
    assert_eq!(e.method_as_sent(), "POST");
    assert_eq!([0, 1, 2, 3, 4].map(|at| e.log.part(at)), [&b"/path"[..], b"host", b"", b"", b""]);
    e.log.text.extend_from_slice(b"PROPFIND");
    assert_eq!(e.method_as_sent(), "PROPFIND");
    e.log.text.push(0xff);
    assert_eq!(e.method_as_sent(), "POST", "no text");
}

#[test]
fn the_id_of_a_request_is_as_long_as_it_is() {
    let mut e = Exchange::default();
    assert_eq!(e.id(), "");
    e.request_id[..4].copy_from_slice(b"1a2b");
    e.id_len = 4;
    assert_eq!(e.id(), "1a2b");
}

#[test]
fn trailers_of_either_protocol_end_a_message() {
    let mut relay = Relay::default();
    assert_eq!(relay.trailers(), b"");
    relay.trailers = Some(b"a: b\r\n".to_vec());
    assert_eq!(relay.trailers(), b"a: b\r\n");
}

/// The next request must see nothing of the one before but its allocations, and no large one.
#[test]
fn a_recycled_exchange_keeps_small_allocations_alone() {
    let mut e = half_open();
    e.head = Vec::with_capacity(100_000);
    e.head.extend_from_slice(b"GET /");
    e.log.text = Vec::with_capacity(100_000);
    e.log.text.extend_from_slice(b"/");
    e.log.headers = b"x".to_vec();
    e.attempts = vec![1, 2];
    e.stream.held.hold(&[b'y'; 1_000]);
    e.recycle();
    assert_eq!((e.status, e.up, e.stage), (0, None, Stage::Connecting));
    assert!(e.head.is_empty() && (1..=4096).contains(&e.head.capacity()));
    assert!(e.log.text.is_empty() && (1..=4096).contains(&e.log.text.capacity()));
    assert!(e.log.headers.is_empty());
    assert!(e.attempts.is_empty() && e.attempts.capacity() >= 2);
    assert!(e.stream.held.is_empty());
    e.stream.held.hold(b"z");
    assert!((1_000..=4096).contains(&e.stream.held.memory()));
}

#[test]
fn a_websocket_that_shares_a_connection_is_half_open_until_its_endpoint_has_all() {
    let up = Upstream::play(|s| {
        let mut peer = http2_peer::Peer::over(s);
        while peer.read() {}
    });
    let node = http2_peer::with(&up, "", "");
    let _s = ask_briefly(&node, b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    let waits = |e: &Exchange| e.is_multiplexed() && e.stage == Stage::Waiting;
    eventually("it waits for its answer", || {
        on_worker(&node, move |w| !w.exchanges.ids(waits).is_empty())
    });
    let found = on_worker(&node, move |w| {
        let e = w.exchanges.iter_mut().find(|e| waits(e)).unwrap();
        (e.status, e.stage) = (101, Stage::Answering);
        let found = [false, true].map(|done| {
            (e.request.done, e.response.done) = (done, true);
            e.is_half_open()
        });
        (e.status, e.stage, e.request.done) = (0, Stage::Waiting, false);
        found
    });
    assert_eq!(found, [true, false]);
}

#[test]
fn the_head_of_a_request_is_kept_where_its_answer_is_made_from_it() {
    for (middleware, is_kept) in [
        ("", false),
        (r#"{"response_headers":{"set":{"x":"y"}}}"#, false),
        (r#"{"response_headers":{"set":{"x":"${path}"}}}"#, true),
        (r#"{"compress":{"codings":["gzip"]}}"#, true),
    ] {
        let (node, _s) = waiting("", &format!(r#","middlewares":[{middleware}]"#), GET);
        let kept = on_request(&node, |w, x, _| {
            let e = w.exchanges.get(x).unwrap();
            (e.answer_needs_request(), e.kept_head.bytes == GET)
        });
        assert_eq!(kept, (is_kept, is_kept), "{middleware}");
    }
}
