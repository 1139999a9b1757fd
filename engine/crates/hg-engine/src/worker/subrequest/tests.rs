//! The size of an answer to a middleware, and the head of its question.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::authorised::auth_json;
use crate::common::{Node, Upstream, put, read_all, upstream_json};
use crate::worker::tests::{GET, OK, ask_briefly, on_request, wait_for_answer, waiting};
use hg_plan::Kind;
use hg_proto::{HeaderSlots, Limits, Parse};
use std::net::TcpStream;

/// Starts a node that waits for the word of a service.
fn asking() -> (Node, TcpStream) {
    let (up, auth) = (Upstream::answering(OK), Upstream::play(|mut s| drop(read_all(&mut s))));
    let route = format!(r#","middlewares":[{}]"#, auth_json(""));
    let mut node = Node::start(&upstream_json(&[up.address], ""), &route, 1);
    node.apply(&[put(Kind::Upstream, "auth", upstream_json(&[auth.address], ""))]);
    let s = ask_briefly(&node, GET);
    wait_for_answer(&node);
    (node, s)
}

/// Takes this head for a subrequest whose answer may have so many bytes. Returns whether it goes on,
/// and for how long its connection may be kept.
fn taken(text: String, most: usize) -> (bool, Option<Option<u64>>) {
    let (node, _s) = asking();
    on_request(&node, move |w, x, _| {
        let e = w.exchanges.get_mut(x).unwrap();
        e.chained.sub.as_mut().unwrap().most = most;
        let mut slots = HeaderSlots::new();
        let limits = Limits { head_bytes: usize::MAX, header_count: hg_proto::MAX_HEADERS };
        let parsed = hg_proto::parse_response(text.as_bytes(), &mut slots, &limits, Method::Get);
        let Ok(Parse::Complete(head)) = parsed else { unreachable!("{text}") };
        let next = w.take_sub_head(x, &head);
        let goes_on = matches!(next, Next::Body(n) if n == text.len());
        (goes_on, w.exchanges.get(x).map(|e| e.link.keep_ms))
    })
}

#[test]
fn the_head_of_an_answer_to_a_middleware_may_be_as_large_as_its_limit() {
    let whole = "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 10\r\n\r\n";
    let bare = "HTTP/1.1 304 Not Modified\r\nX: y\r\nContent-Length: 10\r\n\r\n";
    for (text, most, goes_on) in [
        (whole, 10, true),
        (whole, 9, false),
        (bare, 6, true),
        (bare, 5, false),
        ("HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n", 6, true),
        ("HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n", 5, false),
    ] {
        assert_eq!(taken(text.to_owned(), most).0, goes_on, "{most}: {text}");
    }
}

#[test]
fn the_connection_of_a_service_is_kept_a_second_less_than_it_says() {
    for (lines, expected) in [
        ("", Some(u64::MAX)),
        ("Connection: close\r\n", None),
        ("Keep-Alive: timeout=5\r\n", Some(4_000)),
    ] {
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n{lines}\r\n");
        assert_eq!(taken(text, 100), (true, Some(expected)), "{lines}");
    }
}

#[test]
fn the_body_of_an_answer_to_a_middleware_may_be_as_large_as_its_limit() {
    for (most, fits) in [(6, true), (5, false)] {
        let (node, _s) = asking();
        let took = on_request(&node, move |w, x, _| {
            w.exchanges.get_mut(x).unwrap().chained.sub.as_mut().unwrap().most = most;
            [w.take_sub_body(x, b"abc"), w.take_sub_body(x, b"def")]
        });
        assert_eq!(took, [true, fits], "{most}");
    }
}

#[test]
fn a_question_tells_the_place_in_the_trace_in_place_of_the_clients() {
    let context = hg_trace::Context { trace_id: 1, span_id: 2, flags: 0 };
    let told = String::from_utf8(context.text().to_vec()).unwrap();
    let mut lines = b"a: b\r\nTraceParent: theirs\r\ntraceparents: c\r\n".to_vec();
    tell_trace(&mut lines, context);
    let expected = format!("a: b\r\ntraceparents: c\r\ntraceparent: {told}\r\n");
    assert_eq!(std::str::from_utf8(&lines).unwrap(), expected);
}

#[test]
fn a_refusal_tells_a_middleware_why_it_has_no_answer() {
    for (reject, expected) in [
        (own::FIRST_BYTE_TIMEOUT, Failure::Timeout),
        (own::BODY_TIMEOUT, Failure::Timeout),
        (own::PROTOCOL, Failure::Invalid),
        (own::RESPONSE_TRUNCATED, Failure::Invalid),
        (own::CONNECT_REFUSED, Failure::Unavailable),
        (own::TLS_FAILED, Failure::Unavailable),
        (own::TLS_CERTIFICATE, Failure::Unavailable),
        (own::NO_HTTP2, Failure::Unavailable),
        (own::LOST, Failure::HungUp),
        (own::NO_ENDPOINT, Failure::Unavailable),
        (own::UNRESOLVED, Failure::Unavailable),
        (own::BREAKER_OPEN, Failure::NotAsked),
        (own::QUEUE_FULL, Failure::NotAsked),
        (own::QUEUE_TIMEOUT, Failure::NotAsked),
        (own::NO_STREAMS, Failure::NotAsked),
        (own::REFUSED, Failure::NotAsked),
        (own::DRAIN_DEADLINE, Failure::NotAsked),
    ] {
        assert!(failure_of(&reject) == expected, "{}", reject.code);
    }
}

#[test]
fn a_question_counts_at_its_upstream_once_it_was_answered() {
    for (status, failure) in [(0, Some(Failure::Timeout)), (200, None), (503, None)] {
        let (node, _s) = asking();
        let counted = on_request(&node, move |w, x, _| {
            let e = w.exchanges.get_mut(x).unwrap();
            e.status = status;
            let (slot, id) = (e.upstream, e.upstream_id);
            w.detach(x, None, "");
            assert!(w.end_sub(x, failure));
            w.upstreams.same(slot, id).unwrap().counters.requests.entries()
        });
        let get = u8::try_from(Method::Get.index()).unwrap();
        let expected = if status == 0 { vec![] } else { vec![(get, status, 1)] };
        assert_eq!(counted, expected);
    }
}

#[test]
fn a_question_has_a_timer_of_its_own_and_a_request_over_http1_that_of_its_client() {
    let (node, _s) = asking();
    let of_question = on_request(&node, |w, x, _| {
        let e = w.exchanges.get(x).unwrap();
        (e.is_sub(), e.has_own_timer())
    });
    let (node, _s) = waiting("", "", GET);
    let of_request = on_request(&node, |w, x, _| {
        let e = w.exchanges.get(x).unwrap();
        (e.is_sub(), e.has_own_timer())
    });
    assert_eq!([of_question, of_request], [(true, true), (false, false)]);
}

#[test]
fn a_request_takes_as_long_as_its_route_lets_it() {
    for (ms, expected_us) in [(0, u64::MAX), (60_000, 60_000_000)] {
        let route = format!(r#","timeouts":{{"request_ms":{ms}}}"#);
        let (node, _s) = waiting("", &route, GET);
        let us = on_request(&node, |w, x, _| w.exchanges.get(x).unwrap().request_us());
        assert_eq!(us, expected_us);
    }
}
