//! The heads of answers, and what becomes of a connection after an answer or without one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::common::{
    DEADLINE, Node, Upstream, eventually, read_all, read_answer, read_head, upstream_json, value,
};
use crate::worker::tests::{
    GET, OK, ask, end_seen, idle, on_request, on_worker, wait_for_answer, waiting,
};
use hg_proto::{BodyReader, Limits, Method};
use std::io::{ErrorKind, Write};
use std::sync::{Mutex, mpsc};

const RETRY: &str = r#","retry":{"on":["503"]}"#;

/// Calls a function with the head of an answer.
fn with_head<T>(
    text: &str,
    method: Method<'static>,
    run: impl FnOnce(&ResponseHead<'_, '_>) -> T,
) -> T {
    let mut slots = HeaderSlots::new();
    let limits = Limits { head_bytes: usize::MAX, header_count: hg_proto::MAX_HEADERS };
    match hg_proto::parse_response(text.as_bytes(), &mut slots, &limits, method) {
        Ok(Parse::Complete(head)) => run(&head),
        _ => unreachable!("{text}"),
    }
}

/// Returns the head that the client gets for an answer.
fn written(w: &mut Worker, x: ExId, answer: &str) -> String {
    let method = w.exchanges.get(x).unwrap().method;
    let mut out = Vec::new();
    with_head(answer, method, |head| w.write_answer_head(x, head, &mut out));
    String::from_utf8(out).unwrap()
}

#[test]
fn a_client_gets_a_framing_that_it_knows_and_learns_whether_its_connection_ends() {
    let (node, _s) = waiting("", "", GET);
    on_request(&node, |w, x, _| {
        let whole = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        let trailers = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTrailer: x\r\n\r\n";
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let unknown = "HTTP/1.1 200 OK\r\n\r\n";
        let (h10, h11, all) = (Version::H10, Version::H11, (true, true));
        for (version, (keeps, done), answer, length, connection) in [
            (h11, all, whole, Some("5"), None),
            (h11, all, trailers, Some("5"), None),
            (h11, (false, true), whole, Some("5"), Some("close")),
            (h11, (true, false), whole, Some("5"), Some("close")),
            (h10, all, whole, Some("5"), Some("keep-alive")),
            (h10, (false, true), whole, Some("5"), Some("close")),
            (h11, all, chunked, None, None),
            (h10, all, chunked, None, Some("close")),
            (h11, all, unknown, None, None),
            (h10, all, unknown, None, Some("close")),
        ] {
            let e = w.exchanges.get_mut(x).unwrap();
            (e.version, e.keep_alive, e.request.done) = (version, keeps, done);
            let head = written(w, x, answer);
            assert_eq!(value(&head, "content-length"), length, "{version:?}: {head}");
            assert_eq!(value(&head, "connection"), connection, "{version:?}: {head}");
            let is_chunked = version == h11 && length.is_none();
            let coding = is_chunked.then_some("chunked");
            assert_eq!(value(&head, "transfer-encoding"), coding, "{version:?}: {head}");
            let e = w.exchanges.get_mut(x).unwrap();
            assert_eq!(e.response.chunked, is_chunked, "{version:?}: {head}");
            assert_eq!(e.close_after, connection == Some("close"), "{version:?}: {head}");
        }
    });
}

#[test]
fn an_answer_without_a_body_tells_the_length_that_it_would_have() {
    let (node, _s) = waiting("", "", GET);
    on_request(&node, |w, x, _| {
        // One that can have none tells none (RFC 9110 §8.6).
        let no_content = "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(value(&written(w, x, no_content), "content-length"), None);
        let not_modified = "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(value(&written(w, x, not_modified), "content-length"), Some("5"));
        w.exchanges.get_mut(x).unwrap().method = Method::Head;
        let whole = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(value(&written(w, x, whole), "content-length"), Some("5"));
    });
}

#[test]
fn an_answer_over_http2_that_names_trailers_is_in_chunks_for_clients_that_know_them() {
    let (node, _s) = waiting("", "", GET);
    on_request(&node, |w, x, _| {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTrailer: x\r\n\r\n";
        for (version, coding, length) in
            [(Version::H11, Some("chunked"), None), (Version::H10, None, Some("5"))]
        {
            w.exchanges.get_mut(x).unwrap().version = version;
            let mut out = Vec::new();
            with_head(text, Method::Get, |head| {
                let head = ResponseHead { version: Version::H2, ..*head };
                w.write_answer_head(x, &head, &mut out);
            });
            let head = String::from_utf8(out).unwrap();
            assert_eq!(value(&head, "transfer-encoding"), coding, "{head}");
            assert_eq!(value(&head, "content-length"), length, "{head}");
        }
    });
}

#[test]
fn a_route_takes_lines_of_an_answer_away() {
    let edits = r#","middlewares":[{"response_headers":{"remove":["x-own","date"]}}]"#;
    for (route, stays) in [("", true), (edits, false)] {
        let (node, _s) = waiting("", route, GET);
        on_request(&node, move |w, x, _| {
            let head = written(w, x, "HTTP/1.1 204 No\r\nX-Own: a\r\nX-Other: b\r\n\r\n");
            let stay = ["x-own", "date"].map(|name| value(&head, name).is_some());
            assert_eq!((stay, value(&head, "x-other")), ([stays; 2], Some("b")), "{head}");
        });
    }
}

#[test]
fn a_connection_is_kept_a_second_less_than_its_endpoint_says() {
    let (node, _s) = waiting("", "", GET);
    on_request(&node, |w, x, _| {
        for (lines, expected) in [
            ("", Some(u64::MAX)),
            ("Connection: close\r\n", None),
            ("Keep-Alive: timeout=5\r\n", Some(4_000)),
            ("Keep-Alive: timeout=1\r\n", Some(0)),
        ] {
            written(w, x, &format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n{lines}\r\n"));
            assert_eq!(w.exchanges.get(x).unwrap().link.keep_ms, expected, "{lines}");
        }
    });
}

#[test]
fn interim_answers_are_counted_and_bounded_together() {
    let text = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n";
    // So many more of them, and so many bytes more, are allowed.
    for (heads, bytes, passes) in
        [(1, text.len(), true), (0, text.len(), false), (1, text.len() - 1, false)]
    {
        let (node, _s) = waiting("", "", GET);
        on_request(&node, move |w, x, _| {
            let e = w.exchanges.get_mut(x).unwrap();
            let most = e.entry().unwrap().limits.head_bytes;
            e.interim = (MAX_INTERIM - heads, most - bytes);
            let next =
                with_head(text, Method::Get, |head| w.take_interim(x, head, &mut Vec::new()));
            assert_eq!(matches!(next, Next::Interim(n) if n == text.len()), passes);
            let counted = w.exchanges.get(x).map(|e| e.interim);
            assert_eq!(counted, passes.then_some((MAX_INTERIM, most)));
        });
    }
}

#[test]
fn an_interim_answer_is_passed_to_clients_that_know_it() {
    let (node, _s) = waiting("", "", GET);
    on_request(&node, |w, x, _| {
        for (status, version, is_passed) in [
            (103, Version::H11, true),
            (102, Version::H11, true),
            (103, Version::H10, false),
            (100, Version::H11, false),
            (100, Version::H10, false),
        ] {
            w.exchanges.get_mut(x).unwrap().version = version;
            let before = w.counters.bytes_sent.get();
            let text = format!("HTTP/1.1 {status} X\r\n\r\n");
            let next =
                with_head(&text, Method::Get, |head| w.take_interim(x, head, &mut Vec::new()));
            assert!(matches!(next, Next::Interim(_)));
            let sent = w.counters.bytes_sent.get() - before;
            assert_eq!(sent > 0, is_passed, "{status} {version:?}");
        }
    });
}

#[test]
fn a_head_that_comes_in_pieces_is_taken_once_it_is_whole() {
    let (node, _s) = waiting("", "", GET);
    on_request(&node, |w, x, ui| {
        for (piece, is_over) in
            [("HTTP/1.1 204 No", false), (" Content\r\n", false), ("\r\n", true)]
        {
            let mut buffer = [&[0; RESERVE][..], piece.as_bytes()].concat();
            let end = buffer.len();
            w.on_answer_bytes(x, ui, &mut buffer, RESERVE..end);
            assert_eq!(w.exchanges.get(x).is_none(), is_over, "{piece:?}");
        }
    });
}

#[test]
fn the_first_byte_of_an_answer_counts_and_not_the_end_of_its_head() {
    let (node, _s) = waiting("", "", GET);
    on_request(&node, |w, x, _| {
        let real_us = w.now_us;
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        for (bytes, after_us) in [(&text[..1], 1), (&text[..9], 2), (&text[..], 3)] {
            w.now_us = real_us + after_us;
            w.next_head(x, bytes, &mut Vec::new());
            assert_eq!(w.exchanges.get(x).unwrap().times.first_byte_us, real_us + 1);
        }
        w.now_us = real_us;
    });
}

/// Takes the only idle connection out of its pool.
fn take_out(w: &mut Worker) -> usize {
    let (ui, up) = w.ups.iter_mut().find(|(_, up)| up.phase == UpPhase::Idle).unwrap();
    up.phase = UpPhase::Busy;
    up.endpoint.counters.idle.sub(1);
    w.pools.get(up.pool).unwrap().idle.clear();
    ui
}

#[test]
fn a_connection_is_kept_if_nothing_is_left_on_it_and_its_pool_has_room() {
    type Change = fn(&mut Worker, usize);
    let changes: [(&str, Change, usize, bool); 5] = [
        ("nothing is left", |_, _| (), 1, true),
        ("it may have been read to its end", |w, ui| w.ups[ui].conn.readable = true, 1, true),
        ("it has more to send", |w, ui| w.ups[ui].conn.out.push(b"x", &mut w.io.pool), 1, false),
        ("its end has come", |w, ui| w.ups[ui].conn.read_closed = true, 1, false),
        ("the pool is full", |_, _| (), 0, false),
    ];
    for (what, change, most, is_kept) in changes {
        let node = Node::simple(&Upstream::answering(OK));
        read_answer(&mut ask(&node, GET));
        let kept = on_worker(&node, move |w| {
            let ui = take_out(w);
            change(w, ui);
            w.put_idle(ui, 60_000, most);
            (w.ups.len(), idle(w))
        });
        assert_eq!(kept, if is_kept { (1, 1) } else { (0, 0) }, "{what}");
    }
}

#[test]
fn a_connection_on_which_more_came_is_not_kept() {
    let (tell, told) = mpsc::channel();
    let told = Mutex::new(told);
    let up = Upstream::play(move |mut s| {
        read_head(&mut s);
        s.write_all(OK).unwrap();
        told.lock().unwrap().recv_timeout(DEADLINE).unwrap();
        s.write_all(b"x").unwrap();
        read_all(&mut s);
    });
    let node = Node::simple(&up);
    read_answer(&mut ask(&node, GET));
    let kept = on_worker(&node, move |w| {
        let ui = take_out(w);
        tell.send(()).unwrap();
        eventually("more has come", || hg_net::is_readable_or_closed(&w.ups[ui].conn.fd));
        w.ups[ui].conn.readable = true;
        w.put_idle(ui, 60_000, 1);
        w.ups.len()
    });
    assert_eq!(kept, 0);
}

#[test]
fn a_request_is_sent_once_more_if_its_idle_connection_ended_unused() {
    type Change = fn(&mut Exchange, &mut Vec<u8>);
    let changes: [(&str, Change, bool, bool); 6] = [
        ("it ended unused", |_, _| (), true, true),
        ("it was no idle one", |e, _| e.on_reused = false, false, false),
        ("a part of a head has come", |_, input| input.push(b'H'), false, false),
        ("the request was sent once more", |e, _| e.tries.stale = true, false, true),
        ("it cannot be sent again", |e, _| e.replayable = false, false, true),
        ("it may have been done", |e, _| e.method = Method::Post, false, true),
    ];
    for (what, change, again, is_distrusted) in changes {
        let (node, _s) = waiting("", "", GET);
        let found = on_request(&node, move |w, x, ui| {
            let (e, up) = (w.exchanges.get_mut(x).unwrap(), &mut w.ups[ui]);
            e.on_reused = true;
            change(e, &mut up.input);
            let endpoint = up.endpoint.clone();
            w.upstream_lost(x, ui, "why");
            (w.exchanges.get(x).is_some(), endpoint.distrusted_until.get() > 0)
        });
        assert_eq!(found, (again, is_distrusted), "{what}");
    }
}

#[test]
fn a_request_that_is_sent_once_more_has_its_time_to_connect() {
    for (endpoints, share) in [(1, 1), (2, 2)] {
        let up = Upstream::play(|mut s| drop(read_all(&mut s)));
        let json = upstream_json(&vec![up.address; endpoints], r#","connect_timeout_ms":12000"#);
        let node = Node::start(&json, "", 1);
        let _s = ask(&node, GET);
        wait_for_answer(&node);
        on_request(&node, move |w, x, ui| {
            let now = w.now;
            let e = w.exchanges.get_mut(x).unwrap();
            (e.on_reused, e.due.connect, e.due.endpoint) = (true, now, now);
            w.upstream_lost(x, ui, "why");
            let due = w.exchanges.get(x).map(|e| (e.due.connect, e.due.endpoint));
            let all = deadline_after(w.now_us, 12_000);
            assert_eq!(due, Some((all, now + (all - now) / share)));
        });
    }
}

#[test]
fn after_a_failure_to_send_an_answer_may_still_come() {
    for (route, before, after) in
        [("", true, false), ("", false, false), (RETRY, true, true), (RETRY, false, false)]
    {
        let (node, _s) = waiting("", route, GET);
        let found = on_request(&node, move |w, x, ui| {
            w.exchanges.get_mut(x).unwrap().replayable = before;
            w.answer_or_lose(x, ui);
            w.exchanges.get(x).map(|e| (e.replayable, e.keep_alive, e.stage))
        });
        assert_eq!(found, Some((after, false, Stage::Waiting)), "{route}");
    }
}

#[test]
fn half_a_websocket_ends_where_its_endpoint_takes_no_more() {
    let (node, _s) = waiting("", "", GET);
    let is_over = on_request(&node, |w, x, ui| {
        let e = w.exchanges.get_mut(x).unwrap();
        (e.status, e.stage, e.answered) = (101, Stage::Answering, true);
        e.response.done = true;
        w.counters.tunnels.opened();
        w.answer_or_lose(x, ui);
        w.exchanges.get(x).is_none()
    });
    assert!(is_over);
}

#[test]
fn an_answer_counts_as_collected_where_it_waits_for_its_client() {
    for (most, waits, expected) in [(0, false, 0), (0, true, 0), (1000, false, 0), (1000, true, 1)]
    {
        let (node, _s) = waiting("", &format!(r#","response_buffer_bytes":{most}"#), GET);
        let collected = on_request(&node, move |w, x, _| {
            let (e, c) = pair(&mut w.exchanges, &mut w.clients, x).unwrap();
            (e.answered, e.status) = (true, 200);
            if waits {
                c.conn.out.push(b"HTTP/1.1 200 OK\r\n\r\n", &mut w.io.pool);
            }
            w.answer_done(x, false);
            w.counters.pending.collected.get()
        });
        assert_eq!(collected, expected, "{most} {waits}");
    }
}

#[test]
fn a_connection_goes_back_into_its_pool_after_a_whole_exchange() {
    let ever = Some(u64::MAX);
    for (extra, done, keep_ms, expected) in [
        (false, true, ever, 1),
        (true, true, ever, 0),
        (false, false, ever, 0),
        (true, false, ever, 0),
        (false, true, None, 0),
    ] {
        let (node, _s) = waiting("", "", GET);
        let kept = on_request(&node, move |w, x, _| {
            let e = w.exchanges.get_mut(x).unwrap();
            (e.answered, e.status, e.link.keep_ms, e.request.done) = (true, 200, keep_ms, done);
            w.answer_done(x, extra);
            (w.ups.len(), idle(w))
        });
        assert_eq!(kept, (expected, expected), "{extra} {done} {keep_ms:?}");
    }
}

#[test]
fn an_endpoint_that_has_the_whole_request_sees_no_reset() {
    for (done, expected) in [(true, None), (false, Some(ErrorKind::ConnectionReset))] {
        let seen = end_seen("", move |w, x| {
            let e = w.exchanges.get_mut(x).unwrap();
            (e.answered, e.status, e.link.keep_ms, e.request.done) = (true, 200, None, done);
            w.answer_done(x, false);
        });
        assert_eq!(seen, expected, "{done}");
    }
}

#[test]
fn a_body_that_ends_with_its_connection_is_read_until_then() {
    let (node, _s) = waiting("", "", GET);
    on_request(&node, |w, x, _| {
        written(w, x, "HTTP/1.1 200 OK\r\n\r\n");
        let e = w.exchanges.get(x).unwrap();
        assert!(matches!(e.response.reader, BodyReader::UntilClose) && !e.response.done);
        written(w, x, "HTTP/1.1 304 Not Modified\r\n\r\n");
        assert!(w.exchanges.get(x).unwrap().response.done);
    });
}
