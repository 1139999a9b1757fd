//! The rate at which a body must come, and the bodies that are collected.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::common::{
    DEADLINE, Node, Upstream, read_all, read_answer, read_head, read_n, upstream_json,
};
use crate::worker::retry::REPLAY_BYTES;
use crate::worker::tests::{OK, ask, on_request, on_worker, waiting};
use std::io::Write;
use std::sync::{Mutex, mpsc};

const SECOND: u64 = 1_000_000;

fn pace(grace_ms: u64, rate: u64) -> Pace {
    let mut pace = Pace::default();
    pace.begin(SECOND, grace_ms, rate);
    pace
}

#[test]
fn a_body_may_be_silent_for_its_grace_and_no_longer() {
    let mut pace = pace(30_000, 0);
    assert_eq!(pace.due_us, 31 * SECOND);
    pace.came(1, 20 * SECOND);
    assert_eq!(pace.due_us, 50 * SECOND);
    assert!(pace.deadline() > Clock::ticks(50 * SECOND) && pace.deadline() < Ticks::MAX);
}

#[test]
fn bytes_below_the_rate_lose_ground_and_bytes_above_it_win_no_credit() {
    let mut slow = pace(10_000, 500);
    // At a hundred bytes per second, every second costs four fifths of one.
    for second in 2..=10 {
        slow.came(100, second * SECOND);
    }
    assert_eq!(slow.due_us, 11 * SECOND + 9 * SECOND / 5);
    let mut even = pace(10_000, 500);
    for second in 2..=1000 {
        even.came(500, second * SECOND);
        assert_eq!(even.due_us, (second + 10) * SECOND);
    }
    let mut quick = pace(10_000, 500);
    quick.came(1_000_000_000, 2 * SECOND);
    assert_eq!(quick.due_us, 12 * SECOND, "a quick beginning does not pay for a pause");
}

#[test]
fn time_in_which_the_upstream_takes_nothing_does_not_count() {
    let mut pace = pace(10_000, 500);
    assert!(pace.hold(true, 5 * SECOND) && !pace.hold(true, 6 * SECOND));
    assert_eq!(pace.deadline(), Ticks::MAX);
    assert!(pace.hold(false, 105 * SECOND) && !pace.hold(false, 106 * SECOND));
    assert_eq!(pace.due_us, 111 * SECOND);
}

#[test]
fn without_a_grace_nothing_is_watched() {
    let mut pace = pace(0, 500);
    pace.came(1, 5 * SECOND);
    assert!(!pace.hold(true, 6 * SECOND));
    assert_eq!(pace.deadline(), Ticks::MAX);
}

/// Runs a function on an exchange that collects its body, of at most 1,000 bytes.
fn with_collecting<T: Send + 'static>(run: impl FnOnce(&mut Exchange) -> T + Send + 'static) -> T {
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let node = Node::start(&upstream_json(&[up.address], ""), r#","body_buffer_bytes":1000"#, 1);
    let mut s = node.connect();
    s.write_all(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").unwrap();
    node.barrier();
    on_worker(&node, move |w| run(w.exchanges.iter_mut().next().unwrap()))
}

#[test]
fn a_body_is_collected_if_it_is_small_and_the_worker_has_room() {
    with_collecting(|e| {
        assert!(e.stage == Stage::Collecting && e.may_collect(0));
        let length = |left| BodyReader::Length { left };
        for (reader, bytes, held, expected) in [
            (length(1000), 0, 0, true),
            (length(1001), 0, 0, false),
            (length(400), 600, 0, true),
            (length(401), 600, 0, false),
            // Of a body without a length one byte more may come.
            (BodyReader::UntilClose, 999, 0, true),
            (BodyReader::UntilClose, 1000, 0, false),
            (length(9), 0, BODIES_MOST - 1, true),
            (length(9), 0, BODIES_MOST, false),
        ] {
            let what = format!("{reader:?} {bytes} {held}");
            (e.request.reader, e.request.bytes) = (reader, bytes);
            assert_eq!(e.may_collect(held), expected, "{what}");
        }
        e.request.bytes = 0;
        e.request.done = true;
        assert!(!e.may_collect(0), "it is whole");
    });
}

#[test]
fn a_body_is_watched_while_it_is_read_and_no_answer_has_begun() {
    with_collecting(|e| {
        e.body.pace.begin(SECOND, 10_000, 0);
        let due = e.body.pace.deadline();
        for stage in [Stage::Collecting, Stage::Waiting] {
            e.stage = stage;
            assert_eq!(e.body_deadline(), due, "{stage:?}");
        }
        for stage in [Stage::Queued, Stage::Connecting, Stage::Answering, Stage::Tunnel] {
            e.stage = stage;
            assert_eq!(e.body_deadline(), Ticks::MAX, "{stage:?}");
        }
        e.stage = Stage::Waiting;
        e.answered = true;
        assert_eq!(e.body_deadline(), Ticks::MAX, "the answer has begun");
        e.answered = false;
        e.request.done = true;
        assert_eq!(e.body_deadline(), Ticks::MAX, "it is whole");
    });
}

#[test]
fn the_end_of_a_body_ends_its_time_where_that_has_begun() {
    with_collecting(|e| {
        e.times.upload_us = (0, 0);
        e.start_waiting(7);
        assert_eq!(e.times.upload_us, (0, 0));
        e.times.upload_us = (3, 0);
        e.start_waiting(7);
        assert_eq!(e.times.upload_us, (3, 7));
    });
}

/// A request of which three of nine bytes have come.
const PART: &[u8] = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc";

#[test]
fn a_body_that_is_kept_has_as_many_bytes_as_its_limit() {
    for (limit, passes) in [(9, true), (8, false)] {
        let (node, _s) = waiting("", "", PART);
        let found = on_request(&node, move |w, x, _| {
            let e = w.exchanges.get_mut(x).unwrap();
            assert_eq!(e.request.bytes, 3);
            e.body.limit = limit;
            let mut buffer = [&[0; RESERVE][..], b"defghiGET /"].concat();
            let end = buffer.len();
            let next = w.keep_body(x, &mut buffer, RESERVE..end);
            let e = w.exchanges.get(x)?;
            assert!(e.head.ends_with(b"abcdefghi"));
            Some((next, e.request.bytes, e.request.done))
        });
        assert_eq!(found, passes.then_some((Some(RESERVE + 6), 9, true)), "{limit}");
    }
}

#[test]
fn a_request_can_be_sent_again_with_its_small_body() {
    const RETRY: &str = r#","retry":{"on":["503"]}"#;
    let small = REPLAY_BODY as u64;
    for (route, bytes, done, expected) in [
        ("", small, true, true),
        ("", small + 1, true, false),
        ("", small, false, false),
        ("", small + 1, false, false),
        (RETRY, REPLAY_BYTES, true, true),
        (RETRY, REPLAY_BYTES, false, true),
        (RETRY, REPLAY_BYTES + 1, true, false),
    ] {
        let (node, _s) = waiting("", route, PART);
        let replayable = on_request(&node, move |w, x, _| {
            let e = w.exchanges.get_mut(x).unwrap();
            e.request.bytes = bytes - 2;
            e.request.reader = BodyReader::Length { left: if done { 2 } else { 3 } };
            let mut buffer = [&[0; RESERVE][..], b"de"].concat();
            w.keep_body(x, &mut buffer, RESERVE..RESERVE + 2).unwrap();
            w.exchanges.get(x).unwrap().replayable
        });
        assert_eq!(replayable, expected, "{route} {bytes} {done}");
    }
}

#[test]
fn a_request_whose_body_has_not_begun_cannot_be_sent_again() {
    let head = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n";
    let (node, _s) = waiting("", "", head);
    assert!(!on_request(&node, |w, x, _| w.exchanges.get(x).unwrap().replayable));
}

/// Sends a request whose body comes in two parts; returns the heads that come back, and the body.
fn heads_for(route: &str, lines: &str, first: &str) -> (Vec<String>, Vec<u8>) {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let up = Upstream::play(move |mut s| {
        read_head(&mut s);
        tell.lock().unwrap().send(read_n(&mut s, 9)).unwrap();
        s.write_all(OK).unwrap();
    });
    let node = Node::start(&upstream_json(&[up.address], ""), route, 1);
    let head = format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n{lines}\r\n{first}");
    let mut s = ask(&node, head.as_bytes());
    node.barrier();
    s.write_all(&b"abcdefghi"[first.len()..]).unwrap();
    let mut heads = vec![read_head(&mut s).unwrap()];
    if heads[0].starts_with("HTTP/1.1 100 ") {
        heads.push(read_answer(&mut s).0);
    }
    let body = told.recv_timeout(DEADLINE).unwrap();
    (heads, body)
}

#[test]
fn a_client_is_told_to_go_on_if_it_waits_for_that() {
    const EXPECTS: &str = "Expect: 100-continue\r\n";
    let buffer = r#","body_buffer_bytes":65536"#;
    for (route, lines, first, told) in [
        ("", "", "", false),
        ("", "", "abc", false),
        ("", EXPECTS, "", true),
        (buffer, "", "", false),
        (buffer, "", "abc", false),
        (buffer, EXPECTS, "", true),
        (buffer, EXPECTS, "abc", false),
    ] {
        let (heads, body) = heads_for(route, lines, first);
        assert_eq!((heads.len() == 2, &body[..]), (told, &b"abcdefghi"[..]), "{heads:?}");
    }
    let (_, body) = heads_for("", EXPECTS, "abc");
    assert_eq!(body, b"abcdefghi");
}
