//! The meaning of a refusal for the endpoint, and of an answer for the connection after it.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::value;
use crate::worker::tests::{GET, on_request, waiting};

#[test]
fn a_refusal_says_of_the_endpoint_what_the_endpoint_did() {
    for (reject, expected) in [
        (own::REFUSED, Outcome::Refused),
        (own::PROTOCOL, Outcome::Protocol),
        (own::FIRST_BYTE_TIMEOUT, Outcome::Timeout),
        (own::LOST, Outcome::Reset),
        (own::RESPONSE_TRUNCATED, Outcome::Reset),
    ] {
        let of = |e: Option<&Exchange>| outcome_of(&reject, e);
        let mut e = Exchange::default();
        assert_eq!((of(None), of(Some(&e))), (expected, expected), "{}", reject.code);
        // The client still has to send, or to take what was answered.
        let slow = if expected == Outcome::Timeout { Outcome::Cancelled } else { expected };
        e.request.done = false;
        assert_eq!(of(Some(&e)), slow, "{}", reject.code);
        (e.request.done, e.answered) = (true, true);
        assert_eq!(of(Some(&e)), slow, "{}", reject.code);
    }
}

#[test]
fn an_answer_says_what_becomes_of_the_connection_where_its_version_does_not() {
    for (keep, version, expected) in [
        (false, Version::H10, Persistence::Close),
        (false, Version::H11, Persistence::Close),
        (true, Version::H10, Persistence::KeepAlive),
        (true, Version::H11, Persistence::Implied),
        (true, Version::H2, Persistence::Implied),
    ] {
        assert_eq!(persistence(keep, version), expected, "{keep} {version:?}");
    }
}

#[test]
fn a_refusal_that_is_the_endpoints_doing_counts_as_its_failure() {
    for (reject, failures) in [
        (own::LOST, 1),
        (own::FIRST_BYTE_TIMEOUT, 1),
        (own::BODY_TOO_LARGE, 0),
        (own::NO_GRPC, 0),
        (own::DRAIN_DEADLINE, 0),
        (own::DECODERS_BUSY, 0),
    ] {
        let (node, _s) = waiting("", "", GET);
        let counted = on_request(&node, move |w, x, ui| {
            let counters = w.ups[ui].endpoint.counters.clone();
            w.refuse(x, &reject);
            counters.failures.get()
        });
        assert_eq!(counted, failures, "{}", reject.code);
    }
}

const REMOVES: &str = r#","middlewares":[{"response_headers":{"remove":["date","proxy-status"]}}]"#;

#[test]
fn a_refused_call_has_its_status_in_a_head_without_a_body() {
    for (route, has_lines) in [("", true), (REMOVES, false)] {
        let (node, _s) = waiting("", route, GET);
        on_request(&node, move |w, x, _| {
            let (e, c) = pair(&mut w.exchanges, &mut w.clients, x).unwrap();
            let mut out = Vec::new();
            assert_eq!(grpc_of_route(&mut out, &refused(), e, c.connection()), 0);
            let head = String::from_utf8(out).unwrap();
            assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
            assert!(value(&head, "grpc-status").is_some(), "{head}");
            assert_eq!(value(&head, "date").is_some(), has_lines, "{head}");
            assert_eq!(value(&head, "proxy-status").is_some(), has_lines, "{head}");
        });
    }
}

fn refused() -> ErrorAnswer<'static> {
    ErrorAnswer {
        status: 502,
        error: "an_error",
        detail: "a detail",
        persistence: Persistence::Implied,
        head_only: false,
        date: &[b'd'; 29],
        retry_after_s: None,
        page: None,
    }
}

#[test]
fn an_error_has_the_lines_that_its_route_leaves_and_a_body_that_is_counted() {
    for route in ["", REMOVES] {
        let (node, _s) = waiting("", route, GET);
        on_request(&node, |w, x, _| {
            let (e, c) = pair(&mut w.exchanges, &mut w.clients, x).unwrap();
            let mut out = Vec::new();
            let bytes = error_of_route(&mut out, &refused(), e, c.connection());
            let text = String::from_utf8(out).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert_eq!((body.len(), bytes > 0), (bytes, true), "{text}");
            assert_eq!(value(head, "content-length"), Some(&*bytes.to_string()), "{text}");
            let has_lines = ["date", "proxy-status"].map(|name| value(head, name).is_some());
            assert_eq!(has_lines, [route.is_empty(); 2], "{text}");
        });
    }
}
