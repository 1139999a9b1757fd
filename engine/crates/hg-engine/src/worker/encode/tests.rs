//! The changes that encoding makes to a head, and the buffers that it uses.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::worker::exchange::Exchange;
use crate::worker::tests::{on_request, waiting};

#[test]
fn a_body_without_a_length_is_in_chunks_once_it_is_encoded() {
    let gzip = Coded::As(Coding::Gzip);
    for (coded, framing, expected) in [
        (gzip, RespFraming::Length(5), RespFraming::Chunked),
        (gzip, RespFraming::UntilClose, RespFraming::Chunked),
        (gzip, RespFraming::Chunked, RespFraming::Chunked),
        (gzip, RespFraming::NoBody, RespFraming::NoBody),
        (Coded::Plain, RespFraming::Length(5), RespFraming::Length(5)),
        (Coded::Varies, RespFraming::UntilClose, RespFraming::UntilClose),
    ] {
        assert_eq!(coded.framing(framing), expected, "{coded:?} {framing:?}");
    }
    for (coded, keeps) in
        [(Coded::Plain, true), (Coded::Varies, true), (gzip, false), (Coded::Page, false)]
    {
        assert_eq!(coded.keeps_length(), keeps, "{coded:?}");
    }
}

#[test]
fn a_buffer_is_kept_for_the_next_bodies_unless_it_is_large() {
    let mut codecs = Codecs::default();
    let plain = Relay::default();
    codecs.keep(Vec::with_capacity(LARGE));
    assert!(codecs.buffer.capacity() >= LARGE);
    assert_eq!(codecs.buffer_for(&plain).capacity(), 0, "it is not encoded");
    assert!(codecs.buffer.capacity() >= LARGE);
    let encoder = codecs.pool.take(Coding::Gzip, hg_codec::Levels::default());
    let encoded = encoder.map(|encoder| Box::new(Encoded { encoder, flushes: false }));
    let coded = Relay { encoded, ..Relay::default() };
    assert!(codecs.buffer_for(&coded).capacity() >= LARGE);
    assert_eq!(codecs.buffer.capacity(), 0);
    codecs.keep(Vec::with_capacity(LARGE + 1));
    codecs.keep(Vec::new());
    assert_eq!(codecs.buffer.capacity(), 0);
}

#[test]
fn an_encoded_answer_keeps_the_lines_that_are_not_about_its_bytes() {
    let text = b"HTTP/1.1 200 OK\r\nETag: \"a\"\r\nDigest: b\r\nX-Own: c\r\n\
                 Content-Type: text/plain\r\nContent-Length: 3\r\n\r\n";
    let mut slots = hg_proto::HeaderSlots::new();
    let limits = hg_proto::Limits { head_bytes: usize::MAX, header_count: hg_proto::MAX_HEADERS };
    let parsed = hg_proto::parse_response(text, &mut slots, &limits, Method::Get);
    let Ok(hg_proto::Parse::Complete(head)) = parsed else { unreachable!("a whole head") };
    let gzip = Coded::As(Coding::Gzip);
    for (coded, names) in [
        (Coded::Plain, vec![]),
        (Coded::Varies, vec![]),
        (gzip, vec!["ETag", "Digest"]),
        (Coded::Page, vec!["ETag", "Digest", "Content-Type"]),
    ] {
        let dropped: Vec<&str> =
            head.fields.iter().filter(|f| coded.drops(f)).map(|f| f.name).collect();
        let dropped: Vec<&str> =
            dropped.into_iter().filter(|name| *name != "Content-Length").collect();
        assert_eq!(dropped, names, "{coded:?}");
    }
    for (coded, is_dropped, expected) in [
        (Coded::Plain, false, ""),
        (Coded::Page, false, ""),
        (Coded::Varies, false, "vary: Accept-Encoding\r\n"),
        (gzip, true, "content-encoding: gzip\r\nvary: Accept-Encoding\r\n"),
        (gzip, false, "content-encoding: gzip\r\netag: W/\"a\"\r\nvary: Accept-Encoding\r\n"),
    ] {
        let mut out = Vec::new();
        coded.append(&head, |_| is_dropped, &mut out);
        assert_eq!(std::str::from_utf8(&out), Ok(expected), "{coded:?}");
    }
}

/// Encodes parts of a body, which may be the last; returns how much each adds.
fn encoded(flushes: bool, parts: &[(&str, bool)]) -> Vec<usize> {
    let mut codecs = Codecs::default();
    let encoder = codecs.pool.take(Coding::Gzip, hg_codec::Levels::default());
    let encoded = encoder.map(|encoder| Box::new(Encoded { encoder, flushes }));
    let mut relay = Relay { encoded, done: false, ..Relay::default() };
    let mut made = |(part, ends): &(&str, bool)| {
        let (mut own, mut buffer) = (Vec::new(), part.as_bytes().to_vec());
        relay.ends = *ends;
        let fed = Fed { consumed: part.len(), data_len: part.len(), done: false };
        let (_, range) = relay.frame_coded(&mut codecs, &mut own, (&mut buffer, 0), &fed);
        assert_eq!((relay.done, relay.encoded.is_none()), (*ends, *ends));
        range.len()
    };
    parts.iter().map(&mut made).collect()
}

#[test]
fn a_part_of_an_encoded_stream_is_sent_as_soon_as_it_came() {
    let parts = [("some text", false), ("", false), ("more text", false), ("", true)];
    let (stream, whole) = (encoded(true, &parts), encoded(false, &parts));
    assert!(stream[0] > 9 && stream[1] == 0 && stream[2] > 0 && stream[3] > 0, "{stream:?}");
    assert!(whole[1] == 0 && whole[2] == 0 && whole[3] > 0, "{whole:?}");
}

#[test]
fn neither_calls_nor_tunnels_nor_what_was_encoded_before_is_encoded() {
    let gzip = Coded::As(Coding::Gzip);
    type Change = fn(&mut Exchange);
    let cases: [(&str, Change, Coded, bool); 6] = [
        ("", |_| (), gzip, true),
        ("", |e| e.method = Method::Head, gzip, false),
        ("", |e| e.stream.is_grpc = true, Coded::Plain, false),
        ("", |e| e.stream.is_tunnel = true, Coded::Plain, false),
        ("Content-Encoding: br\r\n", |_| (), Coded::Plain, false),
        ("Content-Range: bytes 0-4999/6000\r\n", |_| (), Coded::Plain, false),
    ];
    let route = r#","middlewares":[{"compress":{"codings":["gzip"],"min_bytes":100}}]"#;
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n";
    for (lines, change, expected, has_encoder) in cases {
        let (node, _s) = waiting("", route, request);
        let found = on_request(&node, move |w, x, _| {
            change(w.exchanges.get_mut(x).unwrap());
            let text = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5000\r\n{lines}\r\n"
            );
            let mut slots = hg_proto::HeaderSlots::new();
            let limits =
                hg_proto::Limits { head_bytes: usize::MAX, header_count: hg_proto::MAX_HEADERS };
            let parsed =
                hg_proto::parse_response(text.as_bytes(), &mut slots, &limits, Method::Get);
            let Ok(hg_proto::Parse::Complete(head)) = parsed else { unreachable!("{text}") };
            let coded = w.coded(x, &head);
            let e = w.exchanges.get_mut(x).unwrap();
            (e.stream.is_grpc, e.stream.is_tunnel) = (false, false);
            (coded, e.response.encoded.take().is_some())
        });
        assert_eq!(found, (expected, has_encoder), "{lines}");
    }
}
