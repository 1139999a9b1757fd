//! The failures that are worth another try, and the bodies that are kept for it.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::{Node, Upstream, read_all, upstream_json};
use crate::worker::tests::on_worker;
use hg_resilience::BudgetPolicy;
use std::io::Write;

#[test]
fn a_refusal_counts_as_the_end_of_a_try_at_its_stage() {
    let cases = [
        (Stage::Connecting, own::CONNECT_REFUSED, Some(Outcome::Connect)),
        (Stage::Connecting, own::CONNECT_TIMEOUT, Some(Outcome::Connect)),
        (Stage::Connecting, own::TLS_FAILED, Some(Outcome::Connect)),
        (Stage::Connecting, own::NO_HTTP2, Some(Outcome::Connect)),
        (Stage::Connecting, own::TRY_TIMEOUT, Some(Outcome::Connect)),
        (Stage::Connecting, own::REQUEST_TIMEOUT, None),
        (Stage::Connecting, own::LOST, None),
        (Stage::Waiting, own::TRY_TIMEOUT, Some(Outcome::Timeout)),
        (Stage::Waiting, own::FIRST_BYTE_TIMEOUT, Some(Outcome::Timeout)),
        (Stage::Waiting, own::STREAM_IDLE, Some(Outcome::Timeout)),
        (Stage::Waiting, own::REQUEST_TIMEOUT, None),
        (Stage::Waiting, own::LOST, Some(Outcome::Reset)),
        (Stage::Waiting, own::REFUSED, Some(Outcome::Refused)),
        (Stage::Waiting, own::PROTOCOL, Some(Outcome::Protocol)),
        (Stage::Answering, own::PROTOCOL, Some(Outcome::Protocol)),
        (Stage::Answering, own::STREAM_IDLE, None),
        (Stage::Queued, own::PROTOCOL, None),
        (Stage::Tunnel, own::LOST, None),
    ];
    for (stage, reject, expected) in cases {
        let mut e = Exchange { stage, ..Exchange::default() };
        assert_eq!(ended(&e, &reject), expected, "{stage:?} {}", reject.code);
        // A client that has not sent everything may be what took so long.
        e.request.done = false;
        let timed_out = expected == Some(Outcome::Timeout);
        let expected = if timed_out { None } else { expected };
        assert_eq!(ended(&e, &reject), expected, "{stage:?} {}", reject.code);
    }
}

#[test]
fn a_body_is_whole_if_nothing_of_it_is_left_and_nothing_follows() {
    let chunked = b"3\r\nabc\r\n0\r\n\r\n";
    for (framing, body, expected) in [
        (RespFraming::NoBody, &b""[..], true),
        (RespFraming::NoBody, b"x", false),
        (RespFraming::Length(0), b"", true),
        (RespFraming::Length(3), b"abc", true),
        (RespFraming::Length(3), b"ab", false),
        (RespFraming::Length(3), b"abcd", false),
        (RespFraming::Chunked, chunked, true),
        (RespFraming::Chunked, &chunked[..chunked.len() - 1], false),
        (RespFraming::Chunked, b"3\r\nabc\r\n0\r\n\r\nx", false),
        (RespFraming::Chunked, b"x\r\n", false),
        (RespFraming::UntilClose, b"abc", false),
    ] {
        assert_eq!(is_whole(framing, body), expected, "{framing:?} {body:?}");
    }
}

#[test]
fn an_upstream_has_its_own_budget_and_a_new_one_in_its_slot_another() {
    let policy = BudgetPolicy { ratio_permille: 1_000, floor_permille: 0 };
    let mut budgets = Budgets::default();
    let left = |budgets: &mut Budgets, slot, id| budgets.of(slot, id).unwrap().withdraw(&policy, 0);
    budgets.of(2, 7).unwrap().deposit(0);
    assert!(!left(&mut budgets, 0, 1) && !left(&mut budgets, 1, 1));
    assert!(left(&mut budgets, 2, 7));
    assert!(!left(&mut budgets, 2, 7), "it is used");
    budgets.of(2, 7).unwrap().deposit(0);
    assert!(!left(&mut budgets, 2, 8), "another upstream");
}

/// Runs a function on an exchange that waits for its answer, by a route that retries.
fn with_exchange<T: Send + 'static>(run: impl Fn(&mut Exchange, Ticks) -> T + Send + 'static) -> T {
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let route = r#","retry":{"on":["503"]},"timeouts":{"stream_idle_ms":10000,"request_ms":60000}"#;
    let node = Node::start(&upstream_json(&[up.address], ""), route, 1);
    let mut s = node.connect();
    s.write_all(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").unwrap();
    node.barrier();
    on_worker(&node, move |w| {
        let now = w.now;
        run(w.exchanges.iter_mut().next().unwrap(), now)
    })
}

#[test]
fn a_body_is_kept_to_be_sent_again_if_it_is_not_too_large() {
    with_exchange(|e, _| {
        let decides = |e: &mut Exchange, reader, bytes| {
            (e.request.reader, e.request.bytes) = (reader, bytes);
            e.keeps_body()
        };
        let length = |left| BodyReader::Length { left };
        for (reader, bytes, expected) in [
            (length(REPLAY_BYTES), 0, true),
            (length(REPLAY_BYTES + 1), 0, false),
            (length(REPLAY_BYTES - 5), 5, true),
            (length(REPLAY_BYTES - 5), 6, false),
            (BodyReader::UntilClose, REPLAY_BYTES, true),
            (BodyReader::UntilClose, REPLAY_BYTES + 1, false),
        ] {
            assert_eq!(decides(e, reader, bytes), expected, "{bytes}");
        }
        e.head = b"head".to_vec();
        assert!(decides(e, length(3), 0));
        e.keep_for_retry(b"abc");
        assert_eq!((e.replayable, &e.head[..]), (true, &b"headabc"[..]));
        assert!(!decides(e, length(REPLAY_BYTES), 1));
        e.keep_for_retry(b"def");
        assert_eq!((e.replayable, &e.head[..]), (false, &b"headabc"[..]));
        assert!(!decides(e, length(3), 0), "a part of it is gone");
    });
}

#[test]
fn a_request_has_time_left_until_its_own_end_or_that_of_silence() {
    with_exchange(|e, now| {
        let own = e.due.request;
        for (ticks, expected_ms) in [(5, 20), (2_499, 9_996), (2_500, 10_000), (2_501, 10_000)] {
            e.due.request = now + ticks;
            assert_eq!(e.left_ms(now), expected_ms, "{ticks}");
        }
        e.due.request = now.saturating_sub(1);
        assert_eq!(e.left_ms(now), 0);
        e.due.request = own;
    });
}
