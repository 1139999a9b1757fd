//! The failures that are worth another try, and the bodies that are kept for it.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::{Node, Upstream, read_all, upstream_json};
use crate::worker::claim::Left;
use crate::worker::exchange::TryTimes;
use crate::worker::tests::{
    GET, ask_briefly, end_seen, idle, on_request, on_worker, wait_for_answer, waiting,
};
use hg_proto::{HeaderSlots, Limits, Method, Parse};
use hg_resilience::BudgetPolicy;
use std::io::{ErrorKind, Write};

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

/// A budget of one retry for each request.
const RETRY: &str = r#","retry":{"on":["503","reset"],"budget":{"percent":100,"per_second":0}},"timeouts":{"request_ms":60000}"#;
const EACH: BudgetPolicy = BudgetPolicy { ratio_permille: 1_000, floor_permille: 0 };

#[test]
fn the_first_sending_of_a_request_adds_to_the_budget_of_its_upstream() {
    for (route, sent, expected) in [(RETRY, 0, 1), (RETRY, 1, 0), ("", 0, 0)] {
        let (node, _s) = waiting("", route, GET);
        let left = on_request(&node, move |w, x, _| {
            let now_us = w.now_us + 100_000_000;
            let e = w.exchanges.get_mut(x).unwrap();
            *w.upstreams.budget(e.upstream, e.upstream_id).unwrap() = Budget::default();
            e.tries.sent = sent;
            e.count_sending(&mut w.upstreams, now_us);
            let budget = w.upstreams.budget(e.upstream, e.upstream_id).unwrap();
            [0, 20_000].map(|later_ms| budget.balance(&EACH, now_us / 1_000 + later_ms))
        });
        assert_eq!(left, [expected, 0], "{sent} {route}");
    }
}

#[test]
fn a_retry_is_taken_out_of_the_budget_of_its_time() {
    for (age_ms, expected) in [(0, [false, true, false]), (20_000, [false; 3])] {
        let (node, _s) = waiting("", RETRY, GET);
        let retries = on_request(&node, move |w, x, _| {
            let real_us = w.now_us;
            w.now_us += 100_000_000;
            let e = w.exchanges.get(x).unwrap();
            let budget = w.upstreams.budget(e.upstream, e.upstream_id).unwrap();
            *budget = Budget::default();
            budget.deposit(w.now_us / 1_000 - age_ms);
            let ended = Ended { outcome: Outcome::Reset, status: None, retry_after_ms: None };
            let never = Ended { retry_after_ms: Some(NEVER_MS), ..ended };
            let found = [never, ended, ended].map(|ended| w.retries(x, &ended).is_some());
            w.now_us = real_us;
            found
        });
        assert_eq!(retries, expected, "{age_ms}");
    }
}

#[test]
fn a_try_that_failed_may_come_back_to_its_endpoint() {
    let (node, _s) = waiting("", RETRY, GET);
    on_request(&node, |w, x, _| {
        let e = w.exchanges.get_mut(x).unwrap();
        let u = w.upstreams.same(e.upstream, e.upstream_id).unwrap();
        assert!(e.mark_tried() && e.tried.contains(0));
        let mut pick = |e: &mut Exchange| e.pick(u, (w.now_us, &mut w.rng), &w.shared);
        assert_eq!(pick(e).err(), Some(NoPick::None));
        assert!(e.tried.contains(0));
        e.tries.may_return = true;
        let (endpoint, claim) = pick(e).unwrap();
        assert!(!e.tries.may_return);
        let (admission, times) = (claim.admission, TryTimes::default());
        endpoint.counters.active.sub(1);
        u.gone(&endpoint, &Left { outcome: Outcome::Cancelled, admission, times, now_us: 1 });
    });
}

#[test]
fn an_endpoint_that_left_its_upstream_needs_no_mark() {
    let (node, _s) = waiting("", RETRY, GET);
    on_request(&node, |w, x, _| {
        let e = w.exchanges.get_mut(x).unwrap();
        let endpoint = e.endpoint.take();
        assert!(e.mark_tried() && e.tried.is_empty(), "there is none");
        e.endpoint = endpoint;
        let slot = e.endpoint.as_ref().unwrap().slot.replace(GONE);
        assert!(e.mark_tried() && e.tried.is_empty(), "it has left");
        e.endpoint.as_ref().unwrap().slot.set(slot);
        assert!(e.mark_tried() && e.tried.contains(slot));
    });
}

/// Calls a function with the head of an answer.
fn with_head<T>(text: &str, run: impl FnOnce(&ResponseHead<'_, '_>) -> T) -> T {
    let mut slots = HeaderSlots::new();
    let limits = Limits { head_bytes: usize::MAX, header_count: hg_proto::MAX_HEADERS };
    match hg_proto::parse_response(text.as_bytes(), &mut slots, &limits, Method::Get) {
        Ok(Parse::Complete(head)) => run(&head),
        _ => unreachable!("{text}"),
    }
}

const WHOLE: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nok";
const LAST: &str = "HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
const PART: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\no";
const SHORT: &str = "HTTP/1.1 503 Busy\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn the_connection_of_an_answer_that_nobody_wants_is_kept_if_both_sides_are_done() {
    for (answer, done, expected) in
        [(WHOLE, true, 1), (SHORT, true, 1), (WHOLE, false, 0), (PART, true, 0), (LAST, true, 0)]
    {
        let (node, _s) = waiting("", RETRY, GET);
        let kept = on_request(&node, move |w, x, ui| {
            w.exchanges.get_mut(x).unwrap().request.done = done;
            with_head(answer, |head| w.let_go(x, head, answer.as_bytes()));
            let left = w.ups.get(ui).map_or(0, |up| up.deadline - w.now);
            if answer == SHORT {
                assert!((999..=1_001).contains(&left), "four seconds, in ticks: {left}");
            }
            (w.ups.len(), idle(w))
        });
        assert_eq!(kept, (expected, expected), "{answer} {done}");
    }
}

#[test]
fn an_endpoint_whose_answer_came_whole_sees_no_reset() {
    for (answer, expected) in [(LAST, None), (PART, Some(ErrorKind::ConnectionReset))] {
        let seen = end_seen(RETRY, move |w, x| {
            with_head(answer, |head| w.let_go(x, head, answer.as_bytes()));
        });
        assert_eq!(seen, expected, "{answer}");
    }
}

#[test]
fn a_date_after_which_to_try_again_counts_from_now() {
    for (ahead_s, again) in [(-1_000, true), (3_600, false)] {
        let (node, _s) = waiting("", RETRY, GET);
        let discarded = on_request(&node, move |w, x, _| {
            let now_s = (hg_net::unix_micros() / 1_000_000).saturating_add_signed(ahead_s);
            let date = String::from_utf8(hg_proto::write::date(now_s).to_vec()).unwrap();
            let text =
                format!("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: {date}\r\n\r\n");
            with_head(&text, |head| w.discards(x, head, text.as_bytes()))
        });
        assert_eq!(discarded, again, "{ahead_s}");
    }
}

#[test]
fn a_request_that_is_tried_again_counts_that_and_avoids_its_last_endpoint() {
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let node = Node::start(&upstream_json(&[up.address; 2], ""), RETRY, 1);
    let _s = ask_briefly(&node, GET);
    wait_for_answer(&node);
    on_request(&node, |w, x, _| {
        w.detach(x, None, "");
        w.exchanges.get_mut(x).unwrap().tries.repeats = 2;
        w.back_off(x, 60_000);
        let e = w.exchanges.get(x).unwrap();
        assert_eq!((e.tries.repeats, e.stage), (3, Stage::Backoff));
        let last = e.endpoint.as_ref().unwrap().slot.get();
        w.try_again(x);
        let e = w.exchanges.get(x).unwrap();
        assert!(e.tried.contains(last) && e.stage == Stage::Connecting);
        assert_eq!(e.endpoint.as_ref().unwrap().slot.get(), 1 - last);
    });
}
