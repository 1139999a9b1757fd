//! The framing of a part of a body, its limits, and what counts as progress.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::common::{Upstream, eventually, http2_peer};
use crate::worker::tests::{GET, ask_briefly, on_request, on_worker, waiting};
use hg_proto::BodyReader;

const START: usize = 40;

/// Frames a part of these bytes that stands behind 40 others, and before as much as a decoder may have
/// left behind it. Returns what goes out.
fn framed(relay: &mut Relay, body: &[u8], done: bool) -> Vec<u8> {
    let mut buffer = [&[b'#'; START][..], body, &[b'#'; 3]].concat();
    let fed = Fed { consumed: body.len(), data_len: body.len(), done };
    let range = frame(relay, &mut buffer, START, &fed);
    assert_eq!(&buffer[..START - RESERVE], [b'#'; START - RESERVE], "only the reserve is used");
    buffer[range].to_vec()
}

fn relay(chunked: bool, trailers: &str) -> Relay {
    let trailers = trailers.as_bytes().to_vec();
    Relay { chunked, trailers: Some(trailers), done: false, ..Relay::default() }
}

#[test]
fn a_part_is_a_chunk_where_the_message_is_chunked() {
    let mut plain = relay(false, "");
    assert_eq!(framed(&mut plain, b"abc", false), b"abc");
    assert_eq!((plain.bytes, plain.done), (3, false));
    assert_eq!(framed(&mut plain, b"de", true), b"de");
    assert_eq!((plain.bytes, plain.done), (5, true));
    let mut chunked = relay(true, "");
    assert_eq!(framed(&mut chunked, b"", false), b"");
    assert_eq!(
        framed(&mut chunked, &[b'x'; 26], false),
        [b"1a\r\n", &[b'x'; 26][..], b"\r\n"].concat()
    );
    assert_eq!((chunked.bytes, chunked.done), (26, false));
    assert_eq!(framed(&mut chunked, b"abc", true), b"3\r\nabc\r\n0\r\n\r\n");
    assert_eq!((chunked.bytes, chunked.done), (29, true));
    assert_eq!(framed(&mut relay(true, ""), b"", true), b"0\r\n\r\n");
}

#[test]
fn trailers_follow_the_last_chunk() {
    let long = format!("a: {}\r\nb: c\r\n", "x".repeat(200));
    let end = format!("2\r\nab\r\n0\r\n{long}\r\n");
    assert_eq!(framed(&mut relay(true, &long), b"ab", true), end.as_bytes());
    assert_eq!(framed(&mut relay(false, &long), b"ab", true), b"ab");
}

#[test]
fn the_part_at_hand_is_the_last_where_its_sender_says_so() {
    let mut one = relay(true, "");
    one.ends = true;
    assert_eq!(framed(&mut one, b"a", false), b"1\r\na\r\n0\r\n\r\n");
    assert!(one.done);
}

#[test]
fn an_answer_that_its_client_does_not_take_is_no_progress() {
    for (answered, waits, moves) in
        [(true, true, false), (true, false, true), (false, true, true), (false, false, true)]
    {
        let (node, _s) = waiting("", "", GET);
        let due = on_request(&node, move |w, x, _| {
            let (e, c) = pair(&mut w.exchanges, &mut w.clients, x).unwrap();
            (e.stage, e.answered, e.due.idle) = (Stage::Answering, answered, 1);
            e.response.reader = BodyReader::Length { left: 100 };
            e.response.done = false;
            if waits {
                c.conn.out.push(b"x", &mut w.io.pool);
            }
            w.relay_answer(x, &[], &mut vec![b'x'; 100], RESERVE..RESERVE + 10);
            let due = w.exchanges.get(x).unwrap().due.idle;
            w.rearm(x);
            due
        });
        assert_eq!(due != 1, moves, "{answered} {waits}");
    }
}

#[test]
fn a_body_has_as_many_bytes_as_its_limit_and_what_follows_it_is_kept() {
    for (limit, passes) in [(9, true), (8, false)] {
        let put = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc";
        let (node, _s) = waiting("", "", put);
        let found = on_request(&node, move |w, x, ui| {
            let e = w.exchanges.get_mut(x).unwrap();
            assert_eq!(e.request.bytes, 3);
            e.body.limit = limit;
            let before = w.counters.bytes_received.get();
            let mut buffer = [&[0; RESERVE][..], b"defghiGET /"].concat();
            let end = buffer.len();
            w.relay_request(x, ui, &mut buffer, RESERVE..end);
            let (e, c) = pair(&mut w.exchanges, &mut w.clients, x)?;
            let bytes = w.counters.bytes_received.get() - before;
            Some((e.request.bytes, e.request.done, c.input.clone(), bytes))
        });
        let whole = (9, true, b"GET /".to_vec(), 6);
        assert_eq!(found, passes.then_some(whole), "{limit}");
    }
}

#[test]
fn a_worker_that_holds_too_much_of_bodies_reads_less_at_a_time() {
    let up = Upstream::play(|s| {
        let mut peer = http2_peer::Peer::over(s);
        while peer.read() {}
    });
    let node = http2_peer::with(&up, "", "");
    let _s = ask_briefly(&node, b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    eventually("it waits for its answer", || {
        on_worker(&node, |w| !w.exchanges.ids(|e| e.is_multiplexed()).is_empty())
    });
    for (held, expected) in [(BODIES_MOST - 1, 0), (BODIES_MOST, 1)] {
        on_worker(&node, move |w| {
            let x = w.exchanges.ids(|e| e.is_multiplexed())[0];
            let real = w.io.pool.collected;
            w.io.pool.collected = held - (w.io.pool.bodies() - real);
            assert!(!w.read_request(x, usize::MAX, usize::MAX), "nothing more has come");
            w.io.pool.collected = real;
        });
        let limited = node.engine.metrics().http2.limited;
        let count = limited.iter().find(|one| one.reason == "uploads").map_or(0, |one| one.count);
        assert_eq!(count, expected, "{held}");
    }
}
