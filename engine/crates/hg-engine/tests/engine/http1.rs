//! HTTP/1.1 through a real engine, byte for byte.

use crate::common::*;
use std::io::{Read, Write};
use std::net::Shutdown;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_connection_serves_many_requests_over_one_upstream_connection() {
    let up = Upstream::answering(OK);
    let node = Node::simple(&up);
    let mut s = node.connect();
    for _ in 0..50 {
        s.write_all(b"GET /a?b=c HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
        let (head, body) = read_answer(&mut s);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert_eq!(body, b"ok");
    }
    assert_eq!(up.connections(), 1);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let up = Upstream::play(|mut s| {
        while let Some(head) = read_head(&mut s) {
            let path = head.split(' ').nth(1).unwrap().to_owned();
            write!(s, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()).unwrap();
        }
    });
    let node = Node::simple(&up);
    let mut s = node.connect();
    let all: String =
        (0..40).map(|i| format!("GET /{i:02} HTTP/1.1\r\nHost: a.example\r\n\r\n")).collect();
    s.write_all(all.as_bytes()).unwrap();
    for i in 0..40 {
        assert_eq!(read_answer(&mut s).1, format!("/{i:02}").as_bytes());
    }
}

#[test]
fn what_goes_upstream_is_rebuilt_and_says_who_asks() {
    let up = Upstream::play(|mut s| {
        let head = read_head(&mut s).unwrap();
        write!(s, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len()).unwrap();
    });
    let node = Node::simple(&up);
    let mut s = node.connect();
    s.write_all(
        b"GET /a/./b//c HTTP/1.1\r\nHost: A.example:81\r\nConnection: x-drop\r\nX-Drop: 1\r\n\
          X-Forwarded-For: 6.6.6.6\r\nX-Keep: 2\r\nUpgrade: h2c\r\n\r\n",
    )
    .unwrap();
    let seen = String::from_utf8(read_answer(&mut s).1).unwrap();
    let lower = seen.to_ascii_lowercase();
    assert!(seen.starts_with("GET /a/b/c HTTP/1.1\r\nhost: A.example:81\r\n"), "{seen}");
    assert!(lower.contains("\r\nx-forwarded-for: 127.0.0.1\r\n"), "{seen}");
    assert!(lower.contains("\r\nx-keep: 2\r\n"), "{seen}");
    for gone in ["6.6.6.6", "x-drop", "upgrade", "connection"] {
        assert!(!lower.contains(gone), "{gone} in {seen}");
    }
}

#[test]
fn bodies_pass_both_ways_whatever_their_framing() {
    let up = Upstream::play(|mut s| {
        while let Some(head) = read_head(&mut s) {
            let mut got = Vec::new();
            if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
                while !got.ends_with(b"0\r\n\r\n") {
                    got.extend(read_n(&mut s, 1));
                }
            } else {
                got = read_n(&mut s, 300_000);
            }
            let n = got.len();
            write!(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{n:x}\r\n").unwrap();
            s.write_all(&got).unwrap();
            s.write_all(b"\r\n0\r\nX-Sum: 7\r\n\r\n").unwrap();
        }
    });
    let node = Node::simple(&up);
    let mut s = node.connect();
    s.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n").unwrap();
    s.write_all(&vec![b'z'; 300_000]).unwrap();
    let head = read_head(&mut s).unwrap();
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    let mut body = Vec::new();
    while !body.ends_with(b"\r\n0\r\nX-Sum: 7\r\n\r\n") {
        body.extend(read_n(&mut s, 1));
    }
    assert_eq!(body.iter().filter(|b| **b == b'z').count(), 300_000);
    s.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        .unwrap();
    s.write_all(b"2;x=y\r\nde\r\n0\r\n\r\n").unwrap();
    let mut got = String::new();
    while !got.ends_with("\r\n0\r\nX-Sum: 7\r\n\r\n") {
        got.push(char::from(read_n(&mut s, 1)[0]));
    }
    assert!(got.contains("3\r\nabc\r\n") || got.contains("5\r\nabcde\r\n"), "{got}");
    assert!(!got.contains(";x=y"), "{got}");
}

#[test]
fn a_request_without_a_body_whose_method_usually_has_one_says_so() {
    let (tell, told) = std::sync::mpsc::channel();
    let up = Upstream::play(move |mut s| {
        while let Some(head) = read_head(&mut s) {
            tell.send(head).unwrap();
            s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        }
    });
    let node = Node::simple(&up);
    let mut s = node.connect();
    for (method, is_said) in
        [("POST", true), ("PUT", true), ("PATCH", true), ("GET", false), ("DELETE", false)]
    {
        write!(s, "{method} / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        read_answer(&mut s);
        let head = told.recv_timeout(DEADLINE).unwrap();
        assert_eq!(head.contains("\r\ncontent-length: 0\r\n"), is_said, "{head}");
    }
}

#[test]
fn an_answer_without_length_becomes_chunked_or_ends_the_connection() {
    let up = Upstream::play(|mut s| {
        read_head(&mut s);
        s.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello").unwrap();
    });
    let node = Node::simple(&up);
    let mut s = node.connect();
    s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.0\r\nHost: a\r\n\r\n").unwrap();
    let all = String::from_utf8(read_all(&mut s)).unwrap();
    let (first, second) = all.split_once("0\r\n\r\n").unwrap();
    assert!(first.ends_with("\r\n\r\n5\r\nhello\r\n"), "{first}");
    assert!(
        second.contains("connection: close\r\n") && second.ends_with("\r\n\r\nhello"),
        "{second}"
    );
}

#[test]
fn heads_without_bodies_end_where_they_must() {
    let up = Upstream::play(|mut s| {
        while let Some(head) = read_head(&mut s) {
            let answer: &[u8] = if head.starts_with("HEAD") {
                b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"
            } else if head.starts_with("GET /204") {
                b"HTTP/1.1 204 No Content\r\n\r\n"
            } else {
                b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"
            };
            s.write_all(answer).unwrap();
        }
    });
    let node = Node::simple(&up);
    let mut s = node.connect();
    s.write_all(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert!(read_head(&mut s).unwrap().contains("content-length: 999"));
    s.write_all(b"GET /204 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert!(read_head(&mut s).unwrap().starts_with("HTTP/1.1 204"));
    s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert!(read_head(&mut s).unwrap().starts_with("HTTP/1.1 103 Early Hints\r\n"));
    assert!(read_head(&mut s).unwrap().starts_with("HTTP/1.1 304"));
    assert_eq!(up.connections(), 1);
}

#[test]
fn expect_continue_is_answered_before_the_body_comes() {
    let up = Upstream::play(|mut s| {
        let head = read_head(&mut s).unwrap();
        assert!(!head.to_ascii_lowercase().contains("expect"), "{head}");
        read_n(&mut s, 4);
        s.write_all(OK).unwrap();
    });
    let node = Node::simple(&up);
    let mut s = node.connect();
    s.write_all(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        .unwrap();
    assert_eq!(read_head(&mut s).unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
    s.write_all(b"data").unwrap();
    assert_eq!(read_answer(&mut s).1, b"ok");
}

#[test]
fn a_malformed_request_gets_its_reason_and_reaches_no_upstream() {
    let up = Upstream::answering(OK);
    let node = Node::simple(&up);
    let mut s = node.connect();
    s.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        .unwrap();
    let answer = String::from_utf8(read_all(&mut s)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("proxy-status: headgate; error=http_request_error"), "{answer}");
    assert_eq!(up.connections(), 0);
    let metrics = node.engine.metrics();
    assert!(metrics.rejects.iter().any(|r| r.reason == "length-and-coding" && r.count == 1));
}

#[test]
fn a_malformed_answer_is_a_502_and_its_connection_is_not_used_again() {
    let up =
        Upstream::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab");
    let node = Node::simple(&up);
    for n in 1..4 {
        let answer = node.get("/");
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
        assert_eq!(up.connections(), n);
    }
}

#[test]
fn an_answer_cut_short_is_never_a_clean_end() {
    let up = Upstream::play(|mut s| {
        read_head(&mut s);
        s.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel").unwrap();
    });
    let node = Node::simple(&up);
    let mut s = node.connect();
    s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut all = Vec::new();
    let end = s.read_to_end(&mut all);
    assert!(end.is_err() || !all.ends_with(b"0\r\n\r\n"), "{:?}", String::from_utf8_lossy(&all));
}

#[test]
fn an_endpoint_that_refuses_is_passed_over() {
    let dead = unused_address();
    let up = Upstream::answering(OK);
    let node = Node::start(&upstream_json(&[dead, up.address], ""), "", 1);
    for _ in 0..10 {
        assert!(node.get("/").starts_with("HTTP/1.1 200"));
    }
    let all_dead = Node::start(&upstream_json(&[dead], ""), "", 1);
    let answer = all_dead.get("/");
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(answer.contains("error=connection_refused"), "{answer}");
}

#[test]
fn a_pooled_connection_closed_meanwhile_costs_nobody_a_request() {
    // Answers once, then closes when the next request comes.
    let up = Upstream::play(|mut s| {
        read_head(&mut s);
        s.write_all(OK).unwrap();
        read_head(&mut s);
    });
    let node = Node::simple(&up);
    let mut s = node.connect();
    for _ in 0..10 {
        s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(read_answer(&mut s).1, b"ok");
    }
}

#[test]
fn where_a_connection_was_closed_under_a_request_posts_go_on_fresh_ones() {
    // Every connection answers once, then closes when the next request comes.
    let up = Upstream::play(|mut s| {
        read_head(&mut s);
        s.write_all(OK).unwrap();
        read_head(&mut s);
    });
    let node = Node::simple(&up);
    let mut s = node.connect();
    let mut ask = |method: &str| {
        write!(s, "{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").unwrap();
        read_answer(&mut s).0
    };
    assert!(ask("POST").starts_with("HTTP/1.1 200 "));
    // Nothing shows the loss yet, and what the upstream may have taken is not sent twice (RFC 9110
    // §9.2.2).
    assert!(ask("POST").starts_with("HTTP/1.1 502 "));
    for _ in 0..10 {
        assert!(ask("POST").starts_with("HTTP/1.1 200 "));
    }
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let up = Upstream::play(|mut s| {
        read_head(&mut s);
        s.write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let node = Node::simple(&up);
    let mut s = node.connect();
    s.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n0123456789").unwrap();
    let head = read_head(&mut s).unwrap();
    assert!(head.starts_with("HTTP/1.1 413"), "{head}");
    assert!(head.contains("connection: close"), "{head}");
}

#[test]
fn a_websocket_tunnel_carries_bytes_both_ways_after_a_valid_101_only() {
    let up = Upstream::play(|mut s| {
        let head = read_head(&mut s).unwrap();
        assert!(head.to_ascii_lowercase().contains("upgrade: websocket"), "{head}");
        s.write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        )
        .unwrap();
        let mut buffer = [0; 64];
        while let Ok(n) = s.read(&mut buffer)
            && n > 0
        {
            s.write_all(&buffer[..n]).unwrap();
        }
    });
    let node = Node::simple(&up);
    let mut s = node.connect();
    let ask = |key: &str| {
        format!(
            "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
    };
    s.write_all(ask("dGhlIHNhbXBsZSBub25jZQ==").as_bytes()).unwrap();
    let head = read_head(&mut s).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    for word in ["one", "two", "three"] {
        s.write_all(word.as_bytes()).unwrap();
        assert_eq!(read_n(&mut s, word.len()), word.as_bytes());
    }
    s.shutdown(Shutdown::Write).unwrap();
    assert!(read_all(&mut s).is_empty());
    let mut wrong = node.connect();
    wrong.write_all(ask("AAAAAAAAAAAAAAAAAAAAAA==").as_bytes()).unwrap();
    assert!(read_head(&mut wrong).unwrap().starts_with("HTTP/1.1 502 "));
}

#[test]
fn a_slow_reader_holds_the_upstream_back_and_gets_every_byte() {
    const SIZE: usize = 30_000_000;
    let up = Upstream::play(|mut s| {
        read_head(&mut s);
        write!(s, "HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").unwrap();
        let block: Vec<u8> = (0..=255).cycle().take(65_536).collect();
        let mut left = SIZE;
        while left > 0 {
            let n = left.min(block.len());
            if s.write_all(&block[..n]).is_err() {
                return;
            }
            left -= n;
        }
    });
    let node = Node::simple(&up);
    let mut s = node.connect();
    s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let (_, body) = read_answer(&mut s);
    assert!(body.iter().enumerate().all(|(i, b)| *b == ((i % 65_536) % 256) as u8));
}
