//! Bodies that are decoded on a worker whose room for decoders is taken.

use super::*;
use crate::worker::decode::MOST;
use hg_codec::{Coding, Encoder, Levels};

/// `hi`.
const GZIP: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xcb\xc8\x04\x00\xac\x2a\x93\xd8\x02\x00\x00\x00";

/// Starts a node that decodes bodies, and an upstream that answers with what it was sent.
fn decoding() -> (Node, Upstream) {
    let up = Upstream::play(|mut s| {
        while read_head(&mut s).is_some() {
            let mut body = Vec::new();
            while !body.ends_with(b"0\r\n\r\n") {
                body.extend(read_n(&mut s, 1));
            }
            s.write_all(
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(),
            )
            .and_then(|()| s.write_all(&body))
            .unwrap();
        }
    });
    let rest = r#","middlewares":[{"decompress":{}}]"#;
    (Node::start(&upstream_json(&[up.address], ""), rest, 1), up)
}

/// The start of a request whose body is coded.
const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\n";

/// Returns the status of the answer to a coded body, and the answer's body.
fn coded(node: &Node, body: &[u8]) -> (String, Vec<u8>) {
    coded_as(node, "gzip", body)
}

/// Does the same in another coding.
fn coded_as(node: &Node, coding: &str, body: &[u8]) -> (String, Vec<u8>) {
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: {coding}\r\n");
    let chunk = [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat();
    let chunk = if body.is_empty() { Vec::new() } else { chunk };
    let all =
        [head.as_bytes(), b"Transfer-Encoding: chunked\r\n\r\n", &chunk, b"0\r\n\r\n"].concat();
    let (head, body) = read_answer(&mut ask(node, &all));
    (head.split(' ').nth(1).unwrap().to_owned(), body)
}

#[test]
fn a_coded_body_is_whole_or_refused_and_nothing_at_all_is_an_empty_body() {
    let (node, up) = decoding();
    let whole = ("200".to_owned(), b"2\r\nhi\r\n0\r\n\r\n".to_vec());
    assert_eq!(coded(&node, GZIP), whole);
    assert_eq!(coded(&node, b""), ("200".to_owned(), b"0\r\n\r\n".to_vec()));
    for length in 1..GZIP.len() {
        assert_eq!(coded(&node, &GZIP[..length]).0, "400", "{length} bytes of it");
    }
    assert_eq!(coded(&node, &[GZIP, b"x"].concat()).0, "400", "more than it");
    drop(up);
}

#[test]
fn a_coded_body_that_comes_in_pieces_is_whole_with_its_last() {
    let (node, up) = decoding();
    let length = format!("Content-Length: {}\r\n\r\n", GZIP.len());
    for piece in [1, 7, GZIP.len() - 1] {
        let mut s = ask(&node, &[HEAD, length.as_bytes()].concat());
        for part in GZIP.chunks(piece) {
            node.barrier();
            s.write_all(part).unwrap();
        }
        let mut body = read_answer(&mut s).1;
        body.retain(u8::is_ascii_alphabetic);
        assert_eq!(body, b"hi", "{piece} bytes each");
    }
    drop(up);
}

#[test]
fn a_body_that_grows_beyond_one_turn_is_decoded_to_its_end() {
    let (mut node, up) = decoding();
    let terms = r#"{"decompress":{"codings":["gzip","br","zstd"],"ratio":100000}}"#;
    let route = route_json(&format!(r#","middlewares":[{terms}]"#));
    node.apply(&[put(Kind::Route, "r", route)]);
    let mut seed = 1_u32;
    // Letters that no size of a chunk has, in no order.
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b'g' + (seed >> 24) as u8 % 16
    };
    let mixed: Vec<u8> = std::iter::repeat_with(&mut next).take(300_000).collect();
    for plain in [mixed, vec![b'x'; 300_000]] {
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
            let mut bytes = Vec::new();
            let mut encoder = Encoder::new(coding, Levels::default()).unwrap();
            encoder.write(&plain, &mut bytes);
            encoder.finish(&mut bytes);
            let (status, mut body) = coded_as(&node, coding.token(), &bytes);
            assert!(body.ends_with(b"\r\n0\r\n\r\n"), "{coding:?}: {status}");
            body.retain(|byte| (b'g'..=b'x').contains(byte));
            assert!(body == plain, "{coding:?}: {status}, {} bytes", body.len());
        }
    }
    drop(up);
}

/// Leaves the decoders of the worker so many bytes; returns how many were taken.
fn leave(node: &Node, bytes: usize) -> usize {
    on_worker(node, move |w| w.scratch.codecs.held.replace(MOST - bytes))
}

fn busy(node: &Node) -> u64 {
    let all = node.engine.metrics().rejects;
    all.iter().find(|one| one.reason == "decompress-busy").map_or(0, |one| one.count)
}

#[test]
fn a_body_without_room_for_its_decoder_is_refused_until_there_is_some() {
    let (node, up) = decoding();
    let length = format!("Content-Length: {}\r\n\r\n", GZIP.len());
    let coded = [HEAD, length.as_bytes(), GZIP].concat();
    assert_eq!(leave(&node, 1), 0);
    for refused in 1..=2 {
        let (head, body) = read_answer(&mut ask(&node, &coded));
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
        assert!(String::from_utf8(body).unwrap().contains("too many bodies"), "{head}");
        eventually("it is counted", || busy(&node) == refused);
    }
    // What needs no decoder passes meanwhile.
    let mut s = ask(&node, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    s.write_all(b"2\r\nhi\r\n0\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut s).1, b"2\r\nhi\r\n0\r\n\r\n");
    assert_eq!(leave(&node, MOST), MOST - 1, "nothing was taken by those that were refused");
    assert_eq!(read_answer(&mut ask(&node, &coded)).1, b"2\r\nhi\r\n0\r\n\r\n");
    eventually("the room is given back", || on_worker(&node, |w| w.scratch.codecs.held.get() == 0));
    assert_eq!((busy(&node), up.connections()), (2, 1));
}
