//! Every limit of a listener, a route and an upstream at its edge: what just fits is served and one
//! more is refused, whether it comes in one piece or byte by byte.

use crate::common::http2::Client;
use crate::common::*;
use hg_plan::Kind;
use std::io::Write;
use std::net::TcpStream;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Takes whatever comes and answers once a body has ended.
fn swallow(mut s: TcpStream) {
    while let Some(head) = read_head(&mut s) {
        let lower = head.to_ascii_lowercase();
        if lower.contains("transfer-encoding: chunked") {
            let mut end = [0; 5];
            while end != *b"0\r\n\r\n" {
                let Some(byte) = read_some(&mut s) else { return };
                end.rotate_left(1);
                end[4] = byte;
            }
        } else if let Some(n) = lower.lines().find_map(|l| l.strip_prefix("content-length: ")) {
            for _ in 0..n.parse().unwrap() {
                if read_some(&mut s).is_none() {
                    return;
                }
            }
        }
        if s.write_all(OK).is_err() {
            return;
        }
    }
}

fn read_some(s: &mut TcpStream) -> Option<u8> {
    let mut byte = [0];
    std::io::Read::read_exact(s, &mut byte).ok().map(|()| byte[0])
}

/// Starts a node with one worker and more fields for its listener and its route.
fn node(listener: &str, route: &str) -> Node {
    let up = Upstream::play(swallow);
    let mut node = Node::start(&upstream_json(&[up.address], ""), route, 1);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(listener))]);
    node
}

/// Sends bytes in pieces of so many; returns the status of the answer.
fn status_of(node: &Node, bytes: &[u8], piece: usize) -> String {
    let mut s = node.connect();
    s.set_nodelay(true).unwrap();
    for part in bytes.chunks(piece.max(1)) {
        // The answer may come before everything was sent.
        if s.write_all(part).is_err() {
            break;
        }
    }
    let head = read_head(&mut s).expect("an answer");
    head.split(' ').nth(1).unwrap().to_owned()
}

/// Expects the same status for the bytes in one piece and cut up.
fn expect(node: &Node, what: &str, bytes: &[u8], status: &str) {
    for piece in [bytes.len(), 1, 3, 1000] {
        assert_eq!(status_of(node, bytes, piece), status, "{what}, {piece} bytes at a time");
    }
}

fn with_length(n: usize) -> Vec<u8> {
    let mut all = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n").into_bytes();
    all.resize(all.len() + n, b'x');
    all
}

fn chunked(n: usize, chunk: usize) -> Vec<u8> {
    let mut all = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for at in (0..n).step_by(chunk) {
        let len = chunk.min(n - at);
        all.extend_from_slice(format!("{len:x}\r\n").as_bytes());
        all.resize(all.len() + len, b'x');
        all.extend_from_slice(b"\r\n");
    }
    all.extend_from_slice(b"0\r\n\r\n");
    all
}

fn a_body_limit_of_1024(node: &Node) {
    expect(node, "a length that fits", &with_length(1024), "200");
    expect(node, "a length over", &with_length(1025), "413");
    for chunk in [1, 100, 1024, 100_000] {
        expect(node, "chunks that fit", &chunked(1024, chunk), "200");
        expect(node, "chunks over", &chunked(1025, chunk), "413");
    }
    for n in [2_000, 60_000, 200_000] {
        assert_eq!(status_of(node, &chunked(n, 8_192), usize::MAX), "413", "{n} bytes in chunks");
    }
}

#[test]
fn a_listeners_body_limit_holds_at_its_edge() {
    a_body_limit_of_1024(&node(r#","body_bytes":1024"#, ""));
}

#[test]
fn a_routes_body_limit_holds_at_its_edge() {
    a_body_limit_of_1024(&node(r#","body_bytes":10"#, r#","body_bytes":1024"#));
}

#[test]
fn a_body_limit_holds_at_its_edge_where_the_endpoint_speaks_http2() {
    let up = http2_peer::serving(|_| b"ok".to_vec());
    let mut node = http2_peer::on(&up);
    let listener = node.listener_json(r#","h2c":true,"body_bytes":1024"#);
    node.apply(&[put(Kind::Listener, "web", listener)]);
    for (length, status) in [(1024, 200), (1025, 413)] {
        for bytes in [with_length(length), chunked(length, 100), chunked(length, 2_000)] {
            // In one piece: an endpoint may take a DATA frame for each byte for a flood.
            assert_eq!(status_of(&node, &bytes, usize::MAX), status.to_string(), "{length} bytes");
        }
        let mut client = Client::connect(&node);
        let id = client.open("POST", "/", &[], false);
        client.send(id, &vec![b'x'; length], true);
        assert_eq!(client.answer(id).status, status, "{length} bytes over HTTP/2");
    }
}

#[test]
fn a_route_may_lift_the_listeners_body_limit() {
    let node = node(r#","body_bytes":10"#, r#","body_bytes":0"#);
    expect(&node, "chunks", &chunked(3000, 100), "200");
    expect(&node, "a length", &with_length(3000), "200");
}

fn head_of(len: usize, lines: usize) -> Vec<u8> {
    let mut head = "GET / HTTP/1.1\r\nHost: a\r\n".to_owned();
    for i in 2..lines {
        head.push_str(&format!("x-{i}: 1\r\n"));
    }
    let rest = len - head.len() - "x: \r\n\r\n".len();
    head.push_str(&format!("x: {}\r\n\r\n", "y".repeat(rest)));
    assert_eq!(head.len(), len);
    head.into_bytes()
}

#[test]
fn the_limit_of_a_head_holds_at_its_edge() {
    let node = node(r#","head_bytes":1024"#, "");
    expect(&node, "a head that fits", &head_of(1024, 5), "200");
    expect(&node, "a head over", &head_of(1025, 5), "431");
    let mut two = head_of(1024, 5);
    two.extend(head_of(1024, 5));
    let mut s = node.connect();
    s.write_all(&two).unwrap();
    for _ in 0..2 {
        assert_eq!(read_answer(&mut s).1, b"ok", "each head has the limit for itself");
    }
}

#[test]
fn the_limit_of_header_lines_holds_at_its_edge() {
    let node = node(r#","header_count":20"#, "");
    expect(&node, "lines that fit", &head_of(900, 20), "200");
    expect(&node, "lines over", &head_of(900, 21), "431");
}

#[test]
fn the_last_request_of_a_connection_says_so() {
    let node = node(r#","keepalive_requests":3"#, "");
    let get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for piece in [1, get.len(), get.len() * 5] {
        let mut s = node.connect();
        s.set_nodelay(true).unwrap();
        let all = get.repeat(5);
        for part in all.chunks(piece) {
            if s.write_all(part).is_err() {
                break;
            }
        }
        for i in 1..=3 {
            let (head, body) = read_answer(&mut s);
            assert_eq!(head.contains("connection: close\r\n"), i == 3, "{i}: {head}");
            assert_eq!(body, b"ok");
        }
        assert!(read_all(&mut s).is_empty(), "only three are answered");
    }
}

#[test]
fn connections_are_limited_at_the_edge() {
    let get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (kind, limit, reason) in [
        (Kind::Settings, r#"{"max_connections_per_client":2}"#, "client"),
        (Kind::Settings, r#"{"max_connections":2}"#, "process"),
        (Kind::Listener, r#","max_connections":2"#, "listener"),
    ] {
        let mut node = node("", "");
        let (name, json) = match kind {
            Kind::Listener => ("web", node.listener_json(limit)),
            _ => ("node", limit.to_owned()),
        };
        node.apply(&[put(kind, name, json)]);
        let mut held: Vec<TcpStream> = (0..2).map(|_| node.connect()).collect();
        for s in &mut held {
            s.write_all(get).unwrap();
            assert_eq!(read_answer(s).1, b"ok");
        }
        let mut over = node.connect();
        // The connection may already be reset.
        let _ = over.write_all(get);
        assert!(read_all(&mut over).is_empty());
        let refused = node.engine.metrics().refused_connections;
        assert!(refused.iter().any(|r| r.reason == reason && r.count == 1), "{refused:?}");
        held.pop();
        eventually("there is room again", || {
            let mut s = node.connect();
            let _ = s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            read_all(&mut s).starts_with(b"HTTP/1.1 200")
        });
    }
}

#[test]
fn an_answers_head_is_limited_at_its_edge() {
    for (len, status) in [(512, "200"), (513, "502")] {
        for piece in [1, usize::MAX] {
            let up = Upstream::play(move |mut s| {
                s.set_nodelay(true).unwrap();
                while read_head(&mut s).is_some() {
                    let mut head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ".to_owned();
                    head.push_str(&"y".repeat(len - head.len() - 4));
                    head.push_str("\r\n\r\n");
                    for part in head.as_bytes().chunks(piece) {
                        if s.write_all(part).is_err() {
                            return;
                        }
                    }
                }
            });
            let json = upstream_json(&[up.address], r#","head_bytes":512"#);
            let node = Node::start(&json, "", 1);
            let answer = node.get("/");
            assert_eq!(answer.split(' ').nth(1), Some(status), "{len}, {piece}: {answer}");
        }
    }
}
