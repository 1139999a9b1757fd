//! Requests with bodies of every framing, however they are cut: what of a message the endpoint gets,
//! and that the next request on the connection is the next one (RFC 9112 §6 and §9.3).

use crate::common::*;
use hg_plan::Kind;
use hg_policy::{Random as _, WyRand};
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

/// A request as it came: its head, its body, and its trailers.
#[derive(Clone, Debug, Default, PartialEq)]
struct Came {
    head: String,
    body: Vec<u8>,
    trailers: String,
}

fn read_line(s: &mut TcpStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.extend(read_n(s, 1));
    }
    line.truncate(line.len() - 2);
    String::from_utf8(line).unwrap()
}

/// Reads a request as its head frames it.
fn read_request(s: &mut TcpStream) -> Option<Came> {
    let head = read_head(s)?;
    let mut came = Came { head: head.clone(), ..Came::default() };
    if let Some(length) = value(&head, "content-length") {
        assert_eq!(value(&head, "transfer-encoding"), None, "{head}");
        came.body = read_n(s, length.parse().unwrap());
    } else if value(&head, "transfer-encoding") == Some("chunked") {
        loop {
            let size = usize::from_str_radix(&read_line(s), 16).unwrap();
            if size == 0 {
                break;
            }
            came.body.extend(read_n(s, size));
            assert_eq!(read_n(s, 2), b"\r\n");
        }
        loop {
            match read_line(s) {
                end if end.is_empty() => break,
                more => came.trailers += &more,
            }
        }
    }
    Some(came)
}

/// Keeps what comes; answers each request with the size of its body.
fn keeping() -> (Upstream, Arc<Mutex<Vec<Came>>>) {
    let all = Arc::new(Mutex::new(Vec::new()));
    let kept = all.clone();
    let up = Upstream::play(move |mut s| {
        while let Some(came) = read_request(&mut s) {
            let body = came.body.len().to_string();
            kept.lock().unwrap().push(came);
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if s.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    (up, all)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Framing {
    None,
    Length,
    Chunked,
    Trailers,
}

/// Returns the bytes of a request whose body has so many bytes.
fn request(framing: Framing, body: &[u8], more: &str) -> Vec<u8> {
    let mut text = Vec::new();
    let head = |text: &mut Vec<u8>, line: &str| {
        text.extend(format!("PUT /at HTTP/1.1\r\nHost: a\r\n{more}{line}\r\n").as_bytes());
    };
    match framing {
        Framing::None => head(&mut text, ""),
        Framing::Length => {
            head(&mut text, &format!("Content-Length: {}\r\n", body.len()));
            text.extend(body);
        }
        Framing::Chunked | Framing::Trailers => {
            head(&mut text, "Transfer-Encoding: chunked\r\n");
            for chunk in body.chunks(1 + body.len() / 3) {
                text.extend(format!("{:X}\r\n", chunk.len()).as_bytes());
                text.extend(chunk);
                text.extend(b"\r\n");
            }
            let trailers = if framing == Framing::Trailers { "X-End: 1\r\n" } else { "" };
            text.extend(format!("0\r\n{trailers}\r\n").as_bytes());
        }
    }
    text
}

/// Sends bytes in pieces of random sizes, or in one.
fn send(s: &mut TcpStream, bytes: &[u8], rng: &mut WyRand, pieces: bool) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let most =
            if pieces { 1 + rng.next_u64() as usize % (1 + bytes.len() / 3) } else { rest.len() };
        let (now, later) = rest.split_at(most.min(rest.len()));
        s.write_all(now).unwrap();
        rest = later;
    }
}

#[test]
fn each_body_reaches_the_endpoint_whole_and_the_next_request_is_the_next_one() {
    let mut rng = WyRand::new(11);
    for collected in ["", r#","body_buffer_bytes":65536"#] {
        let (up, all) = keeping();
        let node = Node::start(&upstream_json(&[up.address], ""), collected, 1);
        let mut s = node.connect();
        s.set_nodelay(true).unwrap();
        for framing in [Framing::None, Framing::Length, Framing::Chunked, Framing::Trailers] {
            for size in [0, 1, 7, 2_000, 40_000, 65_536, 65_537, 300_000] {
                for pieces in [false, true] {
                    let what = format!("{framing:?} {size} {pieces} {collected}");
                    let body: Vec<u8> = (0..size).map(|_| rng.next_u64() as u8).collect();
                    let body = if framing == Framing::None { Vec::new() } else { body };
                    let text = request(framing, &body, "X-Own: y\r\n");
                    let next = request(Framing::None, b"", "X-Own: next\r\n");
                    send(&mut s, &[text, next].concat(), &mut rng, pieces);
                    assert_eq!(read_answer(&mut s).1, body.len().to_string().as_bytes(), "{what}");
                    assert_eq!(read_answer(&mut s).1, b"0", "{what}");
                    let came = std::mem::take(&mut *all.lock().unwrap());
                    assert_eq!(came.len(), 2, "{what}");
                    assert!(came[0].body == body, "{what}: {}", came[0].head);
                    assert_eq!(value(&came[0].head, "x-own"), Some("y"), "{what}");
                    assert_eq!(value(&came[1].head, "x-own"), Some("next"), "{what}");
                    let trailers = if framing == Framing::Trailers { "X-End: 1" } else { "" };
                    assert!(
                        came[0].trailers.eq_ignore_ascii_case(trailers),
                        "{what}: {:?}",
                        came[0].trailers
                    );
                    if framing == Framing::Length {
                        let length = value(&came[0].head, "content-length");
                        assert_eq!(length, Some(&*size.to_string()), "{what}");
                    }
                }
            }
        }
        assert_eq!(up.connections(), 1, "{collected}");
        let metrics = node.engine.metrics();
        assert_eq!(metrics.upstreams[0].endpoints[0].requests, 4 * 8 * 2 * 2, "{collected}");
    }
}

#[test]
fn an_old_client_ends_its_connection_with_its_request_unless_it_asks_to_keep_it() {
    let (up, _) = keeping();
    let node = Node::simple(&up);
    for (more, answers) in [("", 1), ("Connection: keep-alive\r\n", 2)] {
        let text = request(Framing::Length, b"abc", more);
        let text = String::from_utf8(text).unwrap().replace("HTTP/1.1", "HTTP/1.0");
        let last = text.replace("Connection: keep-alive\r\n", "");
        let mut s = node.connect();
        s.write_all(format!("{text}{last}").as_bytes()).unwrap();
        let all = String::from_utf8(read_all(&mut s)).unwrap();
        assert_eq!(all.matches("HTTP/1.1 200 OK\r\n").count(), answers, "{more}: {all}");
    }
}

#[test]
fn a_client_that_waits_is_told_to_go_on_once() {
    let (up, all) = keeping();
    let mut node = Node::simple(&up);
    for collected in ["", r#","body_buffer_bytes":65536"#] {
        node.apply(&[put(Kind::Route, "r", route_json(collected))]);
        for framing in [Framing::Length, Framing::Chunked] {
            let text = request(framing, &[b'x'; 5_000], "Expect: 100-continue\r\n");
            let end = text.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
            let mut s = node.connect();
            s.write_all(&text[..end]).unwrap();
            let head = read_head(&mut s).unwrap();
            assert_eq!(head, "HTTP/1.1 100 Continue\r\n\r\n", "{framing:?} {collected}");
            s.write_all(&text[end..]).unwrap();
            let (head, body) = read_answer(&mut s);
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
            assert_eq!(body, b"5000");
            let came = std::mem::take(&mut *all.lock().unwrap());
            assert_eq!(value(&came[0].head, "expect"), None);
        }
    }
}
