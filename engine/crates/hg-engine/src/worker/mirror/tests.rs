//! The parts of a copy of a request, and what came of it.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::{Node, Upstream, put, read_all, route_json, upstream_json};
use crate::worker::tests::{GET, ask_briefly, on_request, wait_for_answer, waiting};
use hg_plan::Kind;
use hg_proto::{HeaderSlots, Limits, Method, Parse};

/// Runs a function on the copy of a request, as far as that has come: three bytes of a body.
fn with_pending(run: impl FnOnce(&mut Pending) + Send + 'static) {
    let [up, shadow] = [(); 2].map(|()| Upstream::play(|mut s| drop(read_all(&mut s))));
    let mut node = Node::start(&upstream_json(&[up.address], ""), "", 1);
    node.apply(&[
        put(Kind::Upstream, "shadow", upstream_json(&[shadow.address], "")),
        put(Kind::Route, "r", route_json(r#","mirrors":[{"upstream":"shadow"}]"#)),
    ]);
    let _s = ask_briefly(&node, b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    wait_for_answer(&node);
    on_request(&node, |w, x, _| {
        let e = w.exchanges.get_mut(x).unwrap();
        run(e.request.mirrors.first_mut().unwrap());
    });
}

#[test]
fn a_copy_has_a_body_of_at_most_its_bound() {
    with_pending(|pending| {
        assert_eq!(pending.body, b"abc");
        pending.most = 6;
        assert!(pending.add(b"def"));
        assert_eq!(pending.body, b"abcdef");
        assert!(!pending.add(b"g"));
        assert!(pending.flight.came == Mirrored::TooLarge);
    });
}

#[test]
fn the_body_of_a_copy_is_one_chunk_where_that_of_the_request_is_chunked() {
    with_pending(|pending| {
        for (chunked, body, expected) in [
            (false, "abc", "head|abc"),
            (true, "abc", "head|3\r\nabc\r\n0\r\n\r\n"),
            (true, "", "head|0\r\n\r\n"),
        ] {
            (pending.head, pending.body) = (b"head|".to_vec(), body.into());
            pending.seal(chunked);
            assert_eq!(std::str::from_utf8(&pending.head).unwrap(), expected);
        }
    });
}

#[test]
fn the_connection_of_a_copy_is_kept_a_second_less_than_its_endpoint_says() {
    let (node, _s) = waiting("", "", GET);
    on_request(&node, |w, x, _| {
        for (lines, expected) in [
            ("", Some(u64::MAX)),
            ("Connection: close\r\n", None),
            ("Keep-Alive: timeout=5\r\n", Some(4_000)),
        ] {
            let text = format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n{lines}\r\n");
            let mut slots = HeaderSlots::new();
            let limits = Limits { head_bytes: usize::MAX, header_count: hg_proto::MAX_HEADERS };
            let parsed =
                hg_proto::parse_response(text.as_bytes(), &mut slots, &limits, Method::Get);
            let Ok(Parse::Complete(head)) = parsed else { unreachable!("{text}") };
            assert!(matches!(w.take_mirrored_head(x, &head), Next::Body(n) if n == text.len()));
            let e = w.exchanges.get_mut(x).unwrap();
            assert_eq!((e.link.keep_ms, e.status), (expected, 200), "{lines}");
            (e.stage, e.status) = (Stage::Waiting, 0);
        }
    });
}

#[test]
fn a_copy_counts_by_its_answer_or_by_why_it_has_none() {
    for (status, failure, expected) in [
        (200, None, Mirrored::Answered),
        (499, None, Mirrored::Answered),
        (500, None, Mirrored::Error),
        (501, None, Mirrored::Error),
        (200, Some(Failure::Timeout), Mirrored::Timeout),
        (0, Some(Failure::Unavailable), Mirrored::Failed),
        (500, Some(Failure::Invalid), Mirrored::Failed),
        (200, Some(Failure::TooLarge), Mirrored::Failed),
    ] {
        assert!(came(status, failure) == expected, "{status}");
    }
}

#[test]
fn the_head_of_a_request_tells_whether_its_body_may_be_copied() {
    let route = route_json(r#","mirrors":[{"upstream":"u","body_bytes":7}]"#);
    let (mut node, _s) = waiting("", "", GET);
    node.apply(&[put(Kind::Route, "r", route)]);
    on_request(&node, |w, _, _| {
        let held = w.held.clone();
        let terms = held.routes.iter().find_map(|route| route.terms.mirrors.first()).unwrap();
        for (framing, upgrade, expected) in [
            (Framing::Length(7), false, None),
            (Framing::Length(8), false, Some(Mirrored::TooLarge)),
            (Framing::Chunked, false, None),
            (Framing::None, false, None),
            (Framing::None, true, Some(Mirrored::Unsupported)),
        ] {
            assert!(refusal(terms, framing, upgrade) == expected, "{framing:?} {upgrade}");
        }
    });
}
