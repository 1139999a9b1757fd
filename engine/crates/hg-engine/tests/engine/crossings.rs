//! Messages that cross from one version of HTTP to the other, or do not, in both directions: their bodies
//! and trailers arrive whole.

use crate::common::http2::Client;
use crate::common::http2_peer::{H2C, Peer};
use crate::common::*;
use hg_plan::Kind;
use std::io::{Read, Write};
use std::net::TcpStream;

const SIZES: [usize; 5] = [0, 1, 1000, 65_536, 300_000];

fn text(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| b'a' + (at % 23) as u8).collect()
}

fn line(s: &mut impl Read) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.extend(read_n(s, 1));
    }
    line.truncate(line.len() - 2);
    String::from_utf8(line).unwrap()
}

/// Reads a message of HTTP/1: its head, its body, and its trailers.
fn message(s: &mut impl Read) -> Option<(String, Vec<u8>, String)> {
    let head = read_head(s)?;
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
    if let Some(length) = length {
        return Some((head, read_n(s, length), String::new()));
    }
    let (mut body, mut trailers) = (Vec::new(), String::new());
    if lower.contains("transfer-encoding: chunked") {
        loop {
            let size = usize::from_str_radix(&line(s), 16).unwrap();
            if size == 0 {
                break;
            }
            body.extend(read_n(s, size));
            assert_eq!(line(s), "");
        }
        loop {
            let more = line(s);
            if more.is_empty() {
                break;
            }
            trailers += &more.to_ascii_lowercase();
        }
    }
    Some((head, body, trailers))
}

/// Answers with the body and the trailers that came, in chunks if there are trailers.
fn echo1(mut s: TcpStream) {
    while let Some((_, body, trailers)) = message(&mut s) {
        let answer = if trailers.is_empty() {
            [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), &body]
                .concat()
        } else {
            let mut all = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for chunk in body.chunks(70_000) {
                all.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
                all.extend(chunk);
                all.extend(b"\r\n");
            }
            all.extend(format!("0\r\n{trailers}\r\n\r\n").as_bytes());
            all
        };
        if s.write_all(&answer).is_err() {
            return;
        }
    }
}

/// Does the same over HTTP/2.
fn echo2(s: TcpStream) {
    let mut peer = Peer::over(s);
    while let Some(id) = peer.next() {
        let request = peer.whole(id);
        if !request.ended {
            continue;
        }
        if request.trailers.is_empty() {
            peer.answer(id, &request.body);
            continue;
        }
        peer.head(id, 200, &[], false);
        if !request.body.is_empty() {
            peer.data(id, &request.body, false);
        }
        let trailers: Vec<(&str, &str)> =
            request.trailers.iter().map(|(name, value)| (&**name, &**value)).collect();
        peer.trailers(id, &trailers);
    }
}

#[test]
fn bodies_and_trailers_arrive_whole_whatever_the_versions_of_both_sides() {
    for (script, keys) in [(echo1 as fn(TcpStream), ""), (echo2, H2C)] {
        let up = Upstream::play(script);
        let mut node = Node::start(&upstream_json(&[up.address], keys), "", 1);
        node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
        let mut s = node.connect();
        let mut client = Client::connect(&node);
        for size in SIZES {
            for has_trailers in [false, true] {
                let what = format!("{keys} {size} {has_trailers}");
                let body = text(size);
                // Over HTTP/1.
                let mut request = b"PUT / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n".to_vec();
                if has_trailers {
                    request.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                    if size > 0 {
                        request.extend(format!("{size:x}\r\n").as_bytes());
                        request.extend(&body);
                        request.extend(b"\r\n");
                    }
                    request.extend(b"0\r\nx-end: 1\r\n\r\n");
                } else {
                    request.extend(format!("Content-Length: {size}\r\n\r\n").as_bytes());
                    request.extend(&body);
                }
                s.write_all(&request).unwrap();
                let (head, got, trailers) = message(&mut s).unwrap();
                assert!(head.starts_with("HTTP/1.1 200 "), "{what}: {head}");
                assert!(got == body, "{what}: {} bytes", got.len());
                assert_eq!(trailers, if has_trailers { "x-end: 1" } else { "" }, "{what}");
                // Over HTTP/2.
                let id = client.open("PUT", "/", &[("te", "trailers")], false);
                client.send(id, &body, !has_trailers);
                if has_trailers {
                    let line = (&b"x-end"[..], &b"1"[..], hg_h2::Sensitivity::Normal);
                    client.session.send_trailers(id, [line]).unwrap();
                }
                let answer = client.answer(id);
                assert_eq!((answer.status, answer.reset), (200, None), "{what}");
                assert!(answer.body == body, "{what}: {} bytes", answer.body.len());
                let expected =
                    if has_trailers { vec![("x-end".to_owned(), "1".to_owned())] } else { vec![] };
                assert_eq!(answer.trailers, expected, "{what}");
            }
        }
    }
}
