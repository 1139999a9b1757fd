//! Slow and small request bodies through a real engine, before a backend with few workers.

use crate::common::*;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A common kind of server: so many workers, each busy with one request from its first byte to the
/// last.
struct Backend {
    address: SocketAddr,
    busy: Arc<AtomicUsize>,
}

impl Backend {
    fn new(workers: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let busy = Arc::new(AtomicUsize::new(0));
        for _ in 0..workers {
            let (listener, busy) = (listener.try_clone().unwrap(), busy.clone());
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    busy.fetch_add(1, Ordering::SeqCst);
                    serve(stream);
                    busy.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
        Self { address, busy }
    }

    fn busy(&self) -> usize {
        self.busy.load(Ordering::SeqCst)
    }
}

fn serve(mut s: TcpStream) {
    let Some(head) = read_head(&mut s) else { return };
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|l| l.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |n| n.parse().unwrap())];
    if s.read_exact(&mut body).is_err() {
        return;
    }
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    let _ = write!(s, "{head}Content-Length: {}\r\n\r\n", body.len());
    let _ = s.write_all(&body);
}

const WORKERS: usize = 4;
const BODY: usize = 40;

/// Opens clients that have each sent a request but for its last byte.
fn slow_posts(node: &Node) -> Vec<TcpStream> {
    let slow = |_| {
        let mut s = node.connect();
        write!(s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY}\r\n\r\n").unwrap();
        for _ in 1..BODY {
            s.write_all(b"x").unwrap();
        }
        s
    };
    let all = (0..WORKERS).map(slow).collect();
    node.barrier();
    all
}

fn finish(clients: Vec<TcpStream>) {
    for mut s in clients {
        s.write_all(b"x").unwrap();
        assert_eq!(read_answer(&mut s).1, [b'x'; BODY]);
    }
}

#[test]
fn four_slow_posts_do_not_take_a_backend_of_four_workers_where_bodies_are_collected() {
    let backend = Backend::new(WORKERS);
    let route = r#","body_buffer_bytes":65536"#;
    let node = Node::start(&upstream_json(&[backend.address], ""), route, 1);
    let slow = slow_posts(&node);
    assert!(node.get("/").starts_with("HTTP/1.1 200 "));
    eventually("no slow body has a worker", || backend.busy() == 0);
    finish(slow);
}

#[test]
fn four_slow_posts_take_such_a_backend_where_bodies_are_passed_on() {
    let backend = Backend::new(WORKERS);
    let node = Node::start(&upstream_json(&[backend.address], ""), "", 1);
    let slow = slow_posts(&node);
    eventually("every worker has a slow body", || backend.busy() == WORKERS);
    let mut s = node.connect();
    s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    node.barrier();
    s.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let nothing = s.read(&mut [0]).map_err(|e| e.kind());
    assert!(matches!(nothing, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{nothing:?}");
    finish(slow);
    s.set_read_timeout(Some(DEADLINE)).unwrap();
    assert!(read_head(&mut s).unwrap().starts_with("HTTP/1.1 200 "));
}

/// Sends back what it receives, by length or in chunks as it came.
fn echo(mut s: TcpStream) {
    while let Some(head) = read_head(&mut s) {
        let lower = head.to_ascii_lowercase();
        let mut got = Vec::new();
        if lower.contains("transfer-encoding: chunked") {
            while !got.ends_with(b"0\r\n\r\n") {
                got.extend(read_n(&mut s, 1));
            }
        } else if let Some(n) = lower.lines().find_map(|l| l.strip_prefix("content-length: ")) {
            got = read_n(&mut s, n.parse().unwrap());
        }
        write!(s, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", got.len()).unwrap();
        s.write_all(&got).unwrap();
    }
}

#[test]
fn bodies_arrive_whole_whatever_their_size_beside_the_buffer() {
    let up = Upstream::play(echo);
    let route = r#","body_buffer_bytes":1000"#;
    let node = Node::start(&upstream_json(&[up.address], ""), route, 1);
    let mut s = node.connect();
    s.set_nodelay(true).unwrap();
    for n in [1, 999, 1000, 1001, 5000] {
        let body: Vec<u8> = (0..n).map(|i| (i % 251) as u8).collect();
        let plain = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n");
        let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        for piece in [1, 100, n] {
            for part in [plain.as_bytes(), &body].concat().chunks(piece) {
                s.write_all(part).unwrap();
            }
            assert_eq!(read_answer(&mut s).1, body, "{n} by {piece}");
            let mut wire = chunked.as_bytes().to_vec();
            for part in body.chunks(piece) {
                wire.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                wire.extend_from_slice(part);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            for part in wire.chunks(piece + 7) {
                s.write_all(part).unwrap();
            }
            let got = read_answer(&mut s).1;
            assert_eq!(unchunked(&got), body, "{n} in chunks of {piece}");
        }
    }
}

fn unchunked(wire: &[u8]) -> Vec<u8> {
    let (mut rest, mut body) = (wire, Vec::new());
    loop {
        let at = rest.windows(2).position(|w| w == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..at]).unwrap(), 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&rest[at + 2..at + 2 + size]);
        rest = &rest[at + 2 + size + 2..];
    }
}

#[test]
fn a_client_that_waits_for_continue_is_told_before_its_body_is_collected() {
    let up = Upstream::play(echo);
    let route = r#","body_buffer_bytes":1000"#;
    let node = Node::start(&upstream_json(&[up.address], ""), route, 1);
    let mut s = node.connect();
    s.write_all(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        .unwrap();
    assert_eq!(read_head(&mut s).unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(up.connections(), 0);
    s.write_all(b"body").unwrap();
    assert_eq!(read_answer(&mut s).1, b"body");
}

#[test]
fn a_collected_body_has_the_limits_of_any_other_and_requests_may_follow_it() {
    let up = Upstream::play(echo);
    let route = r#","body_buffer_bytes":1000,"body_bytes":10"#;
    let node = Node::start(&upstream_json(&[up.address], ""), route, 1);
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, status) in [("a\r\n0123456789\r\n", "200"), ("b\r\n0123456789a\r\n", "413")] {
        let mut s = node.connect();
        s.set_nodelay(true).unwrap();
        s.write_all(chunked.as_bytes()).unwrap();
        node.barrier();
        let rest = format!("{body}0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        s.write_all(rest.as_bytes()).unwrap();
        let (head, _) = read_answer(&mut s);
        assert_eq!(head.split(' ').nth(1), Some(status));
        let next = read_head(&mut s);
        assert_eq!(next.is_some(), status == "200");
    }
}
