//! `bandwidth` through a real engine: bodies pass whole, in every combination of protocols, and not
//! before their time.

use crate::common::http2::Client;
use crate::common::http2_peer::{H2C, serving};
use crate::common::*;
use hg_plan::Kind;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const SIZE: usize = 300_000;
/// A burst of 100,000 bytes and 1,000,000 a second.
const LEAST: Duration = Duration::from_millis(190);

fn body(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i % 251) as u8 ^ (i / 4096 % 256) as u8).collect()
}

/// Sends back what it receives.
fn echo(mut s: TcpStream) {
    while let Some(head) = read_head(&mut s) {
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
        let got = read_n(&mut s, length.unwrap_or(0));
        write!(s, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", got.len()).unwrap();
        if s.write_all(&got).is_err() {
            return;
        }
    }
}

fn limited(keys: &str) -> String {
    format!(r#","middlewares":[{{"bandwidth":{{{keys}}}}}]"#)
}

fn node(up: &Upstream, upstream: &str, keys: &str) -> Node {
    let upstream = upstream_json(&[up.address], upstream);
    let mut node = Node::start(&upstream, &limited(keys), 2);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    node
}

fn count(node: &Node, kind: &str, result: &str) -> u64 {
    let all = node.engine.metrics().middlewares;
    all.iter().filter(|one| one.kind == kind && one.result == result).map(|one| one.count).sum()
}

/// Sends a body over HTTP/1.1 and reads it back.
fn post(node: &Node, sent: &[u8]) {
    let mut s = node.connect();
    let mut sender = s.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let n = sent.len();
            write!(sender, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n").unwrap();
            sender.write_all(sent).unwrap();
        });
        assert!(read_answer(&mut s).1 == sent);
    });
}

#[test]
fn bodies_pass_whole_and_not_before_their_time_in_every_combination_of_protocols() {
    let sent = body(SIZE);
    let length = SIZE.to_string();
    for direction in ["download", "upload"] {
        let keys = format!(r#""{direction}":1000000,"{direction}_burst":100000,"key":["request"]"#);
        for (up, upstream) in
            [(Upstream::play(echo), ""), (serving(|request| request.body.clone()), H2C)]
        {
            let node = node(&up, upstream, &keys);
            let began = Instant::now();
            post(&node, &sent);
            assert!(began.elapsed() >= LEAST, "{direction} {upstream} {:?}", began.elapsed());
            let began = Instant::now();
            let mut client = Client::connect(&node);
            let fields = [("content-length", &*length)];
            assert!(client.post("/", &fields, &sent).body == sent);
            assert!(began.elapsed() >= LEAST, "{direction} {upstream} {:?}", began.elapsed());
            eventually("both are counted", || count(&node, "bandwidth", "held") == 2);
            let bytes = 2 * SIZE as u64;
            assert_eq!(count(&node, "bandwidth.bytes", direction), bytes);
            let held_us = count(&node, "bandwidth.held_us", direction);
            assert!(held_us > 0);
        }
    }
}

#[test]
fn what_fits_into_the_burst_is_never_held_back() {
    let up = Upstream::play(echo);
    let node = node(&up, "", r#""download":1000,"download_burst":1000000,"key":["request"]"#);
    for _ in 0..20 {
        post(&node, &body(20_000));
    }
    eventually("all are counted", || count(&node, "bandwidth", "passed") == 20);
    assert_eq!(count(&node, "bandwidth", "held"), 0);
}

#[test]
fn bodies_of_a_client_share_its_bytes_across_workers() {
    let up = Upstream::play(echo);
    let keys = r#""download":2000000,"download_burst":100000,"key":["client_ip"]"#;
    let node = node(&up, "", keys);
    let (began, sent) = (Instant::now(), body(SIZE));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| post(&node, &sent));
        }
    });
    // 1,200,000 bytes, of which 100,000 pass at once.
    assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());
    eventually("all are counted", || {
        count(&node, "bandwidth", "held") + count(&node, "bandwidth", "passed") == 4
    });
}

/// Sends bodies over one connection of HTTP/1.1, one request after the other without waiting, and
/// reads them back.
fn post_pipelined(node: &Node, sent: &[u8], times: usize) {
    let mut s = node.connect();
    let mut sender = s.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..times {
                let n = sent.len();
                write!(sender, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n")
                    .unwrap();
                sender.write_all(sent).unwrap();
            }
        });
        for _ in 0..times {
            assert!(read_answer(&mut s).1 == sent);
        }
    });
}

/// Sends bodies on as many streams of one connection of HTTP/2 at once, and reads them back.
fn post_on_streams(node: &Node, sent: &[u8], times: usize) {
    let mut client = Client::connect(node);
    let length = sent.len().to_string();
    let fields = [("content-length", &*length)];
    let streams: Vec<u32> = (0..times).map(|_| client.open("POST", "/", &fields, false)).collect();
    streams.iter().for_each(|id| client.send(*id, sent, true));
    assert!(streams.iter().all(|id| client.answer(*id).body == sent));
}

#[test]
fn requests_of_a_connection_share_its_bytes_in_both_directions() {
    let sent = body(40_000);
    for direction in ["download", "upload"] {
        let keys =
            format!(r#""{direction}":1000000,"{direction}_burst":100000,"key":["connection"]"#);
        for post_many in [post_pipelined, post_on_streams] {
            let up = Upstream::play(echo);
            let node = node(&up, "", &keys);
            let began = Instant::now();
            post_many(&node, &sent, 8);
            // 320,000 bytes, of which 100,000 pass at once, and the last body with its head.
            let took = began.elapsed();
            assert!(took >= Duration::from_millis(150), "{direction} {took:?}");
            eventually("all are counted", || {
                count(&node, "bandwidth", "held") + count(&node, "bandwidth", "passed") == 8
            });
            assert_eq!(count(&node, "bandwidth.bytes", direction), 320_000);
        }
    }
}

#[test]
fn each_connection_has_its_own_bytes() {
    let sent = body(40_000);
    for direction in ["download", "upload"] {
        // A second body would wait for minutes.
        let keys = format!(r#""{direction}":1000,"{direction}_burst":50000,"key":["connection"]"#);
        for post_many in [post_pipelined, post_on_streams] {
            let up = Upstream::play(echo);
            let node = node(&up, "", &keys);
            (0..4).for_each(|_| post_many(&node, &sent, 1));
            eventually("all are counted", || count(&node, "bandwidth", "passed") == 4);
            assert_eq!(count(&node, "bandwidth", "held"), 0, "{direction}");
        }
    }
}

#[test]
fn small_answers_over_the_rate_wait_for_their_turn() {
    let up = Upstream::play(echo);
    let keys = r#""download":100000,"download_burst":20000,"key":[]"#;
    let node = node(&up, "", keys);
    let began = Instant::now();
    for _ in 0..10 {
        post(&node, &body(4_000));
    }
    // 40,000 bytes, of which 20,000 pass at once and the last body is waited for by nobody.
    assert!(began.elapsed() >= Duration::from_millis(150), "{:?}", began.elapsed());
}

#[test]
fn answers_of_unknown_length_and_chunks_pass_whole() {
    let sent = body(SIZE);
    let whole = sent.clone();
    let up = Upstream::play(move |mut s| {
        read_head(&mut s);
        s.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        for part in whole.chunks(7_001) {
            write!(s, "{:x}\r\n", part.len()).unwrap();
            s.write_all(part).unwrap();
            s.write_all(b"\r\n").unwrap();
        }
        s.write_all(b"0\r\nx-end: yes\r\n\r\n").unwrap();
    });
    let keys = r#""download":1000000,"download_burst":100000,"key":["request"]"#;
    let node = node(&up, "", keys);
    let began = Instant::now();
    let answer = Client::connect(&node).get("/");
    assert!(answer.body == sent && answer.trailers == [("x-end".into(), "yes".into())]);
    assert!(began.elapsed() >= LEAST, "{:?}", began.elapsed());
    let mut s = node.connect();
    s.write_all(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n").unwrap();
    read_head(&mut s).unwrap();
    let mut got = Vec::new();
    s.read_to_end(&mut got).unwrap();
    assert!(got == sent);
}
