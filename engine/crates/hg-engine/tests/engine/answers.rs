//! Answers of every framing to clients of every kind: what of a message each client gets, and which
//! connections go on (RFC 9112 §6 and §9.3).

use crate::common::*;
use std::io::{Read, Write};
use std::net::TcpStream;

/// The ways in which a client asks: its version, its method, and its `Connection` line.
const CLIENTS: [(&str, &str, &str); 6] = [
    ("HTTP/1.1", "GET", ""),
    ("HTTP/1.1", "GET", "Connection: close\r\n"),
    ("HTTP/1.1", "HEAD", ""),
    ("HTTP/1.0", "GET", ""),
    ("HTTP/1.0", "GET", "Connection: keep-alive\r\n"),
    ("HTTP/1.0", "HEAD", "Connection: keep-alive\r\n"),
];

/// The ways in which an endpoint says where its body ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Framing {
    Length,
    Chunked,
    Close,
    /// A status that has no body.
    None(u16),
}

const FRAMINGS: [Framing; 5] =
    [Framing::Length, Framing::Chunked, Framing::Close, Framing::None(204), Framing::None(304)];

const DATE: &str = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

/// Answers as the path says, `/LENGTH/DATED/KEPT`, as an endpoint of HTTP/1.1.
fn answering(framing: Framing) -> Upstream {
    Upstream::play(move |mut s| {
        while let Some(head) = read_head(&mut s) {
            let path = head.split(' ').nth(1).unwrap();
            let asked: Vec<usize> =
                path.split('/').skip(1).map(|number| number.parse().unwrap()).collect();
            let date = if asked[1] == 1 { DATE } else { "" };
            let close = if asked[2] == 1 { "" } else { "Connection: close\r\n" };
            let body = "b".repeat(asked[0]);
            let (status, lines, body) = match framing {
                Framing::Length => (200, format!("Content-Length: {}\r\n", asked[0]), body),
                Framing::Chunked => {
                    let chunk = format!("{:x}\r\n{body}\r\n", asked[0]);
                    let chunk = if asked[0] == 0 { String::new() } else { chunk };
                    (200, "Transfer-Encoding: chunked\r\n".into(), chunk + "0\r\n\r\n")
                }
                Framing::Close => (200, String::new(), body),
                Framing::None(status) => (status, String::new(), String::new()),
            };
            let body = if head.starts_with("HEAD ") { String::new() } else { body };
            let answer =
                format!("HTTP/1.1 {status} Fine\r\nX-Own: y\r\n{date}{lines}{close}\r\n{body}");
            if s.write_all(answer.as_bytes()).is_err() || framing == Framing::Close || asked[2] == 0
            {
                return;
            }
        }
    })
}

/// Reads a body as its head frames it.
fn body(s: &mut TcpStream, head: &str, method: &str) -> String {
    let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
    let bytes = if method == "HEAD" || status == 204 || status == 304 {
        Vec::new()
    } else if let Some(length) = value(head, "content-length") {
        read_n(s, length.parse().unwrap())
    } else if value(head, "transfer-encoding") == Some("chunked") {
        let mut all = Vec::new();
        loop {
            let mut size = String::new();
            while !size.ends_with("\r\n") {
                size.push(char::from(read_n(s, 1)[0]));
            }
            let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
            all.extend(read_n(s, size));
            assert_eq!(read_n(s, 2), b"\r\n");
            if size == 0 {
                break all;
            }
        }
    } else {
        read_all(s)
    };
    String::from_utf8(bytes).unwrap()
}

/// Asserts that the head of an answer has the lines that its client needs; returns whether the connection
/// goes on after it.
fn goes_on(
    head: &str,
    framing: Framing,
    (version, method, connection): (&str, &str, &str),
    asked: &str,
) -> bool {
    let what = format!("{framing:?} {version} {method} {connection:?} {asked}: {head}");
    let status = if let Framing::None(status) = framing { status } else { 200 };
    assert!(head.starts_with(&format!("HTTP/1.1 {status} Fine\r\nX-Own: y\r\n")), "{what}");
    let date = value(head, "date").expect("a date");
    assert_eq!(date == &DATE[6..DATE.len() - 2], asked.contains("/1/"), "{what}");

    // Of a body without a length only HTTP/1.1 can tell the end while the connection lasts. The answer
    // to a HEAD has none.
    let has_no_length = matches!(framing, Framing::Chunked | Framing::Close);
    let streams = has_no_length && method == "GET";
    let is_new = version == "HTTP/1.1";
    let length = (framing == Framing::Length).then(|| asked.split('/').nth(1).unwrap());
    assert_eq!(value(head, "content-length"), length, "{what}");
    let chunked = (streams && is_new).then_some("chunked");
    assert_eq!(value(head, "transfer-encoding"), chunked, "{what}");
    let wants = is_new == connection.is_empty();
    let stays = wants && (is_new || !streams);
    let said = match (stays, is_new) {
        (true, true) => None,
        (true, false) => Some("keep-alive"),
        (false, _) => Some("close"),
    };
    assert_eq!(value(head, "connection"), said, "{what}");
    stays
}

#[test]
fn each_client_gets_each_answer_in_a_framing_that_it_knows() {
    for framing in FRAMINGS {
        let up = answering(framing);
        let node = Node::simple(&up);
        for client in CLIENTS {
            let (version, method, connection) = client;
            for asked in ["/0/0/1", "/7/1/1", "/7/0/0", "/40000/1/1"] {
                let what = format!("{framing:?} {client:?} {asked}");
                let mut s = node.connect();
                let request = format!("{method} {asked} {version}\r\nHost: a\r\n{connection}\r\n");
                s.write_all(request.as_bytes()).unwrap();
                let head = read_head(&mut s).unwrap();
                let stays = goes_on(&head, framing, client, asked);
                let length: usize = asked.split('/').nth(1).unwrap().parse().unwrap();
                let has_body = method == "GET" && !matches!(framing, Framing::None(_));
                let expected = if has_body { "b".repeat(length) } else { String::new() };
                assert!(body(&mut s, &head, method) == expected, "{what}: {head}");
                if stays {
                    s.write_all(request.as_bytes()).unwrap();
                    let again = read_head(&mut s).unwrap();
                    assert!(again.contains(" Fine\r\n"), "{what}: {again}");
                } else {
                    assert_eq!(s.read(&mut [0]).unwrap(), 0, "{what}: the connection ends");
                }
            }
        }
    }
}

#[test]
fn the_connection_of_an_endpoint_is_used_again_unless_it_ends_with_the_answer() {
    for (framing, asked, expected) in [
        (Framing::Length, "/7/0/1", 1),
        (Framing::Length, "/7/0/0", 3),
        (Framing::Chunked, "/7/0/1", 1),
        (Framing::Chunked, "/7/0/0", 3),
        (Framing::Close, "/7/0/1", 3),
        (Framing::None(204), "/0/0/1", 1),
        (Framing::None(304), "/0/0/0", 3),
    ] {
        let up = answering(framing);
        let node = Node::simple(&up);
        for _ in 0..3 {
            // The end of the answer is its last byte.
            assert!(node.get(asked).contains(" Fine\r\n"));
        }
        assert_eq!(up.connections(), expected, "{framing:?} {asked}");
        let reuses = node.engine.metrics().upstreams[0].endpoints[0].reuses;
        assert_eq!(reuses, 3 - expected as u64, "{framing:?} {asked}");
    }
}
