//! The rate at which a body must come, and the bodies that are collected.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::{Node, Upstream, read_all, upstream_json};
use crate::worker::tests::on_worker;
use std::io::Write;

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
