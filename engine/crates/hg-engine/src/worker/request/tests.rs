//! The ids and the keys that requests get, and connections that speak no HTTP/1.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::common::http2::Client as Http2Client;
use crate::common::{Node, Upstream, eventually, put, read_answer, read_head};
use crate::worker::tests::{GET, OK, on_worker};
use hg_plan::Kind;
use std::io::Write;

/// Calls a function with the head of a request.
fn with_head<T>(text: &str, run: impl FnOnce(&mut RequestHead<'_, '_>) -> T) -> T {
    let mut slots = HeaderSlots::new();
    let limits = hg_proto::Limits { head_bytes: usize::MAX, header_count: hg_proto::MAX_HEADERS };
    let admission = hg_proto::Admission { claims: true, underscores: false };
    match hg_proto::parse_request(text.as_bytes(), &mut slots, &limits, admission) {
        Ok(Parse::Complete(mut head)) => run(&mut head),
        _ => unreachable!("{text}"),
    }
}

fn node() -> Node {
    Node::simple(&Upstream::answering(OK))
}

#[test]
fn a_random_id_is_two_random_numbers_in_hex() {
    let (id, numbers) = on_worker(&node(), |w| {
        let mut rng = w.rng.clone();
        (w.random_id(), [rng.next_u64(), rng.next_u64()])
    });
    // The lowest digit of each comes first.
    let text: String = numbers
        .iter()
        .flat_map(|n| format!("{n:016x}").chars().rev().collect::<Vec<_>>())
        .collect();
    assert_eq!(std::str::from_utf8(&id).unwrap(), text);
}

#[test]
fn the_id_of_a_trusted_peer_is_kept_if_it_is_one() {
    let (long, longer) = ("a".repeat(32), "a".repeat(33));
    for (told, is_trusted, is_kept) in [
        ("7", true, true),
        ("a-b_C9", true, true),
        (&long, true, true),
        (&longer, true, false),
        ("a.b", true, false),
        ("a b", true, false),
        ("", true, false),
        ("a-b_C9", false, false),
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: {told}\r\n\r\n");
        let (id, len) =
            on_worker(&node(), move |w| with_head(&text, |head| w.request_id(head, is_trusted)));
        let id = std::str::from_utf8(&id[..usize::from(len)]).unwrap();
        assert_eq!(id == told, is_kept, "{told}: {id}");
        assert_eq!(id.len(), if is_kept { told.len() } else { 32 }, "{told}: {id}");
    }
}

#[test]
fn the_key_of_a_websocket_without_one_is_two_random_numbers() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\n\r\n";
    on_worker(&node(), move |w| {
        let mut rng = w.rng.clone();
        let numbers = [rng.next_u64(), rng.next_u64()].map(u64::to_be_bytes).concat();
        let key = websocket::key(numbers.try_into().unwrap());
        let held = w.held.clone();
        let made = with_head(text, |head| {
            head.version = Version::H2;
            w.handshake(head, held.routes.get(0).unwrap())
        });
        let (accept, made) = made.unwrap_or_else(|reject| unreachable!("{}", reject.code));
        assert_eq!((made, accept), (Some(key), Some(websocket::accept(&key))));
    });
}

#[test]
fn a_first_line_that_names_no_protocol_is_refused_once_it_is_too_long() {
    let node = node();
    let _s = node.connect();
    let clients = || on_worker(&node, |w| w.clients.len());
    eventually("it is accepted", || clients() == 1);
    let refused = on_worker(&node, |w| {
        let (ci, _) = w.clients.iter().next().unwrap();
        [5, 4, 3].map(|most| {
            let at = w.refuse_opening(ci, b"####abc", 4..7, most);
            assert_eq!(at, None);
            w.counters.requests.get()
        })
    });
    assert_eq!(refused, [0, 0, 1], "it has three bytes");
}

#[test]
fn nothing_of_a_preface_is_kept_for_a_head() {
    let mut node = node();
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    let mut client = Http2Client::connect(&node);
    assert_eq!(client.get("/").status, 200);
    let kept = on_worker(&node, |w| w.clients.iter().map(|(_, c)| c.input.len()).sum::<usize>());
    assert_eq!(kept, 0);
}

#[test]
fn a_preface_opens_a_connection_and_never_follows_a_request() {
    let mut node = node();
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    for second in [&hg_h2::PREFACE[..], b"(no) request line\r\n\r\n"] {
        let mut s = node.connect();
        s.write_all(GET).unwrap();
        assert_eq!(read_answer(&mut s).1, b"ok");
        s.write_all(second).unwrap();
        let head = read_head(&mut s).unwrap();
        assert!(head.starts_with("HTTP/1.1 4") || head.starts_with("HTTP/1.1 5"), "{head}");
    }
}
