//! Clients that speak HTTP/2, upstreams that speak HTTP/1.1, through a real engine.

use crate::common::http2::Client;
use crate::common::tls::Authority;
use crate::common::*;
use hg_h2::Code;
use hg_plan::Kind;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Mixed-Case: Yes\r\n\r\nok";

/// Starts a node whose listener takes HTTP/2 without TLS.
fn serving(upstream: &Upstream, route: &str) -> Node {
    let mut node = Node::start(&upstream_json(&[upstream.address], ""), route, 1);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    node
}

fn length(head: &str) -> Option<usize> {
    let lower = head.to_ascii_lowercase();
    lower.lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok())
}

/// Reads a body in chunks.
fn read_chunks(s: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(read_n(s, 1));
        }
        let text = std::str::from_utf8(&line).unwrap().trim();
        let n = usize::from_str_radix(text, 16).unwrap();
        all.extend(read_n(s, n));
        assert_eq!(read_n(s, 2), b"\r\n");
        if n == 0 {
            return all;
        }
    }
}

/// Answers with the body of the request; the first line of its head is in `x-line`.
fn echo(mut s: TcpStream) {
    while let Some(head) = read_head(&mut s) {
        let body = match length(&head) {
            Some(n) => read_n(&mut s, n),
            None if head.contains("transfer-encoding: chunked") => read_chunks(&mut s),
            None => Vec::new(),
        };
        let line = head.lines().next().unwrap();
        let done = write!(
            s,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-Line: {line}\r\n\r\n",
            body.len()
        );
        if done.is_err() || s.write_all(&body).is_err() {
            return;
        }
    }
}

fn body(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i % 251) as u8 ^ (i / 4096 % 256) as u8).collect()
}

#[test]
fn requests_with_prior_knowledge_are_served_one_after_the_other() {
    let node = serving(&Upstream::answering(OK), "");
    let mut client = Client::connect(&node);
    for _ in 0..3 {
        let answer = client.get("/a?b=c");
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"ok"[..]));
        assert_eq!(answer.field("x-mixed-case"), Some("Yes"));
        assert_eq!(answer.field("connection"), None);
        assert!(answer.field("date").is_some());
    }
    let metrics = node.engine.metrics();
    assert_eq!((metrics.http2.connections.active, metrics.http2.connections.total), (1, 1));
    assert!(node.get("/").starts_with("HTTP/1.1 200"), "HTTP/1.1 is served on the same listener");
    drop(client);
    eventually("the connection is gone", || node.engine.metrics().http2.connections.active == 0);
}

#[test]
fn a_listener_without_h2c_refuses_the_preface() {
    let node = Node::simple(&Upstream::answering(OK));
    let mut s = node.connect();
    s.write_all(hg_h2::PREFACE).unwrap();
    let answer = String::from_utf8(read_all(&mut s)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5"), "{answer}");
}

#[test]
fn what_is_neither_of_both_protocols_is_a_false_preface_however_it_comes() {
    let node = serving(&Upstream::answering(OK), "");
    let answer = |words: &str, size: usize| {
        let mut s = node.connect();
        for piece in words.as_bytes().chunks(size) {
            s.write_all(piece).unwrap();
            node.barrier();
        }
        read_all(&mut s)
    };
    let neither = ["INVALID CONNECTION PREFACE\r\n", "GET /\r\n"];
    for (count, (words, size)) in (1..).zip(neither.map(|w| [(w, 100), (w, 1)]).concat()) {
        let answer = answer(words, size);
        // GOAWAY comes last: PROTOCOL_ERROR, and no stream was served.
        let away = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert!(answer.ends_with(&away), "{words:?}: {answer:?}");
        let closed = node.engine.metrics().http2.closed;
        assert!(closed.iter().any(|r| r.reason == "preface" && r.count == count), "{closed:?}");
    }
    for (words, size) in [
        ("GET  / HTTP/1.1\r\n", 100),
        ("GET  / HTTP/", 1),
        ("GET / HTTP/1.1x\r\n", 100),
        ("\x16\x03\x01\r\n", 100),
    ] {
        let answer = String::from_utf8(answer(words, size)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{words:?}: {answer}");
    }
}

#[test]
fn a_preface_that_comes_byte_by_byte_is_one() {
    let node = serving(&Upstream::answering(OK), "");
    let mut client = Client::connect(&node);
    let first = client.session.output().to_vec();
    client.session.sent(first.len());
    for byte in first {
        client.stream.write_all(&[byte]).unwrap();
        node.barrier();
    }
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn http2_is_agreed_on_by_alpn() {
    let mut node = Node::simple(&Upstream::answering(OK));
    let authority = Authority::serve(&mut node);
    let mut client = Client::over(authority.connect_with(&node, &[b"h2", b"http/1.1"]));
    for _ in 0..3 {
        assert_eq!(client.get("/").body, b"ok");
    }
    assert_eq!(client.stream.conn.alpn_protocol(), Some(&b"h2"[..]));
    let mut old = authority.connect_with(&node, &[b"http/1.1"]);
    old.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut old).1, b"ok");
    assert_eq!(old.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[test]
fn streams_at_once_get_their_own_answers() {
    let node = serving(&Upstream::play(echo), "");
    let mut client = Client::connect(&node);
    let bodies: Vec<Vec<u8>> = (0..60).map(|i| body(i * 997)).collect();
    let ids: Vec<u32> =
        (0..60).map(|i| client.open("POST", &format!("/{i}"), &[], false)).collect();
    for (id, body) in ids.iter().zip(&bodies) {
        client.send(*id, body, true);
    }
    for (i, id) in ids.iter().enumerate() {
        let answer = client.answer(*id);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.field("x-line"), Some(&*format!("POST /{i} HTTP/1.1")));
        assert_eq!(answer.body, bodies[i], "the body of /{i}");
    }
}

#[test]
fn large_bodies_pass_in_both_directions() {
    let node = serving(&Upstream::play(echo), "");
    let mut client = Client::connect(&node);
    let whole = body(3_000_000);
    let id = client.open("POST", "/", &[("content-length", "3000000")], false);
    client.send(id, &whole, true);
    let answer = client.answer(id);
    assert_eq!(answer.body.len(), whole.len());
    assert!(answer.body == whole, "the body came back changed");
    assert_eq!(answer.field("content-length"), Some("3000000"));
}

#[test]
fn a_client_that_takes_nothing_holds_back_its_upstream_and_nobody_else() {
    let (tell, told) = mpsc::channel();
    let node = serving(
        &Upstream::play(move |mut s| {
            while let Some(head) = read_head(&mut s) {
                if !head.starts_with("GET /large ") {
                    s.write_all(OK).unwrap();
                    continue;
                }
                let whole = body(20_000_000);
                write!(s, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", whole.len()).unwrap();
                s.write_all(&whole).unwrap();
                tell.send(()).unwrap();
            }
        }),
        "",
    );
    let mut client = Client::connect(&node);
    client.keeps_credit = true;
    let large = client.open("GET", "/large", &[], true);
    while client.answers[&large].body.len() < 65_535 {
        assert!(client.read_flushed());
    }
    assert_eq!(client.get("/small").body, b"ok");
    assert!(told.try_recv().is_err(), "the whole answer was read although nobody takes it");
    client.keeps_credit = false;
    client.session.credit(large, 65_535);
    let answer = client.answer(large);
    assert!(answer.body == body(20_000_000), "{} bytes", answer.body.len());
}

#[test]
fn own_answers_and_answers_without_a_body_end_their_streams() {
    let node = serving(
        &Upstream::play(|mut s| {
            while let Some(head) = read_head(&mut s) {
                let answer: &[u8] = match head.split(' ').nth(1).unwrap() {
                    "/none" => b"HTTP/1.1 204 No Content\r\n\r\n",
                    "/head" => b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n",
                    _ => b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
                };
                s.write_all(answer).unwrap();
            }
        }),
        r#","match":[{"methods":["GET","HEAD"]}]"#,
    );
    let mut client = Client::connect(&node);
    let id = client.open("HEAD", "/head", &[], true);
    let answer = client.answer(id);
    assert_eq!(
        (answer.status, answer.field("content-length"), answer.body.len()),
        (200, Some("7"), 0)
    );
    assert_eq!(client.get("/none").status, 204);
    assert_eq!(client.get("/same").status, 304);
    let refused = client.post("/", &[], b"body");
    assert_eq!(refused.status, 404);
    assert!(refused.field("proxy-status").unwrap().contains("destination_not_found"));
    assert!(refused.ended && !refused.body.is_empty());
    assert_eq!(client.get("/none").status, 204);
}

#[test]
fn a_malformed_request_is_answered_on_its_stream_alone() {
    let node = serving(&Upstream::answering(OK), "");
    let mut client = Client::connect(&node);
    for fields in [&[("a b", "c")][..], &[("content-length", "x")], &[("content_length", "1")]] {
        let id = client.open("GET", "/", fields, true);
        assert_eq!(client.answer(id).status, 400, "{fields:?}");
    }
    let id = client.open("TRACE", "/", &[], true);
    assert_eq!(client.answer(id).status, 405);
    assert_eq!(client.get("/").status, 200);
    assert_eq!(node.engine.metrics().rejects.iter().map(|r| r.count).sum::<u64>(), 4);
}

#[test]
fn an_answer_that_comes_before_the_body_ends_is_whole_and_the_rest_is_not_wanted() {
    let node = serving(&Upstream::play(echo), r#","body_bytes":1000"#);
    let mut client = Client::connect(&node);
    let id = client.open("POST", "/", &[], false);
    client.send(id, &body(1001), false);
    let answer = client.answer(id);
    assert_eq!((answer.status, answer.ended), (413, true));
    assert_eq!(client.post("/", &[], &body(1000)).body, body(1000));
}

#[test]
fn an_answer_that_breaks_off_resets_its_stream() {
    let node = serving(
        &Upstream::play(|mut s| {
            while read_head(&mut s).is_some() {
                s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart").unwrap();
                s.shutdown(Shutdown::Both).unwrap();
            }
        }),
        "",
    );
    let mut client = Client::connect(&node);
    let answer = client.get("/");
    assert_eq!((answer.status, answer.reset), (200, Some(Code::INTERNAL_ERROR)));
    assert!(!answer.ended);
}

#[test]
fn chunks_trailers_and_answers_until_the_end_become_frames() {
    let node = serving(
        &Upstream::play(|mut s| {
            while let Some(head) = read_head(&mut s) {
                if head.starts_with("GET /close ") {
                    s.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end").unwrap();
                    return;
                }
                s.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n").unwrap();
                s.write_all(
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
                  5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 7\r\n\r\n",
                )
                .unwrap();
            }
        }),
        "",
    );
    let mut client = Client::connect(&node);
    let answer = client.get("/chunks");
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"hello world"[..]));
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "7".to_owned())]);
    assert_eq!(answer.interim, [103]);
    assert_eq!(answer.field("transfer-encoding"), None);
    let answer = client.get("/close");
    assert_eq!((answer.body.as_slice(), answer.ended), (&b"to the end"[..], true));
}

#[test]
fn a_stream_that_its_client_resets_lets_go_of_its_endpoint() {
    let (say_came, came) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let node = serving(
        &Upstream::play(move |mut s| {
            read_head(&mut s).unwrap();
            say_came.send(()).unwrap();
            tell.send(s.read(&mut [0; 1]).map_err(|e| e.kind())).unwrap();
        }),
        "",
    );
    let mut client = Client::connect(&node);
    let id = client.open("GET", "/", &[], true);
    client.flush();
    came.recv_timeout(DEADLINE).unwrap();
    assert_eq!(active(&node), 1);
    client.session.reset(id, Code::CANCEL);
    client.flush();
    // An end of stream would leave a local port in TIME-WAIT for each.
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), Err(ErrorKind::ConnectionReset));
    eventually("nothing is in flight", || active(&node) == 0);
    let all = || node.engine.metrics().rejects;
    eventually("counted", || all().iter().any(|r| r.reason == "client-gone" && r.count == 1));
}

#[test]
fn an_endpoint_is_not_asked_for_what_is_reset_together_with_its_request() {
    let up = Upstream::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let node = serving(&up, "");
    let mut client = Client::connect(&node);
    client.flush();
    for _ in 0..10 {
        let id = client.open("GET", "/given-up", &[], true);
        client.session.reset(id, Code::CANCEL);
    }
    client.flush();
    let id = client.open("GET", "/wanted", &[], true);
    client.flush();
    assert_eq!(client.answer(id).status, 200);
    assert_eq!(up.connections(), 1);
    let rejects = node.engine.metrics().rejects;
    assert!(rejects.iter().any(|r| r.reason == "client-gone" && r.count == 10));
}

#[test]
fn a_connection_that_is_lost_lets_go_of_every_endpoint() {
    let node = serving(
        &Upstream::play(|mut s| {
            read_head(&mut s);
            let _ = s.read(&mut [0; 1]);
        }),
        "",
    );
    let mut client = Client::connect(&node);
    for _ in 0..20 {
        client.open("GET", "/", &[], true);
    }
    client.flush();
    eventually("the requests have an endpoint", || active(&node) == 20);
    drop(client);
    eventually("nothing is in flight", || active(&node) == 0);
    eventually("it is closed", || node.engine.metrics().http2.connections.active == 0);
}

fn active(node: &Node) -> u64 {
    let upstreams = node.engine.metrics().upstreams;
    upstreams.iter().flat_map(|u| &u.endpoints).map(|e| e.active).sum()
}

#[test]
fn a_drain_ends_connections_after_what_is_in_flight() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let node = serving(
        &Upstream::play(move |mut s| {
            while let Some(head) = read_head(&mut s) {
                if head.starts_with("GET /slow ") {
                    wait.lock().unwrap().recv_timeout(DEADLINE).unwrap();
                }
                s.write_all(OK).unwrap();
            }
        }),
        "",
    );
    let mut client = Client::connect(&node);
    let slow = client.open("GET", "/slow", &[], true);
    client.flush();
    eventually("the request has an endpoint", || active(&node) == 1);
    node.engine.drain(Box::new(|| {}));
    while client.away.is_none() {
        assert!(client.read());
    }
    assert_eq!(client.away.unwrap().1, Code::NO_ERROR);
    go.send(()).unwrap();
    assert_eq!(client.answer(slow).body, b"ok");
    client.until_closed();
}

#[test]
fn a_flood_of_pings_is_cut_off_and_counted() {
    let node = serving(&Upstream::answering(OK), "");
    let mut client = Client::connect(&node);
    assert_eq!(client.get("/").status, 200);
    let ping = [&[0, 0, 8, 6, 0, 0, 0, 0, 0][..], &[7; 8]].concat();
    client.stream.write_all(&ping.repeat(200)).unwrap();
    // The last frame of what comes back is GOAWAY with ENHANCE_YOUR_CALM.
    let all = read_all(&mut client.stream);
    assert_eq!(all[all.len() - 17..all.len() - 13], [0, 0, 8, 7]);
    assert_eq!(all[all.len() - 4..], 11u32.to_be_bytes());
    let closed = node.engine.metrics().http2.closed;
    assert!(closed.iter().any(|r| r.reason == "ping-flood" && r.count == 1), "{closed:?}");
}

#[test]
fn a_small_body_is_collected_before_its_upstream_is_asked() {
    let node = serving(&Upstream::play(echo), r#","body_buffer_bytes":10000"#);
    let mut client = Client::connect(&node);
    let id = client.open("POST", "/", &[], false);
    client.send(id, &body(4000), false);
    node.barrier();
    assert_eq!(active(&node), 0);
    client.send(id, &body(2000), true);
    let answer = client.answer(id);
    assert_eq!(answer.body, [body(4000), body(2000)].concat());
}

#[test]
fn response_headers_that_refer_to_the_request_are_made_from_it() {
    let chain = r#","middlewares":[{"response_headers":{"set":{"x-was":"${method} ${path} ${header:x-mine}"}}}]"#;
    let node = serving(&Upstream::answering(OK), chain);
    let mut client = Client::connect(&node);
    let id = client.open("GET", "/p?q", &[("x-mine", "m")], true);
    assert_eq!(client.answer(id).field("x-was"), Some("GET /p m"));
}

#[test]
fn the_end_of_an_answer_is_sent_however_much_waits_before_it() {
    const STREAMS: usize = 100;
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let node = serving(
        &Upstream::play(move |mut s| {
            while read_head(&mut s).is_some() {
                s.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf000\r\n")
                    .unwrap();
                s.write_all(&body(0xf000)).unwrap();
                s.write_all(b"\r\n").unwrap();
                wait.lock().unwrap().recv_timeout(DEADLINE).unwrap();
                s.write_all(b"0\r\n\r\n").unwrap();
            }
        }),
        "",
    );
    let mut client = Client::connect(&node);
    client.widen(64 * 1024 * 1024);
    let ids: Vec<u32> = (0..STREAMS).map(|_| client.open("GET", "/", &[], true)).collect();
    client.flush();
    eventually("every answer has come", || active(&node) == STREAMS as u64);
    for _ in 0..STREAMS {
        go.send(()).unwrap();
    }
    // Not all: what the sockets do not hold keeps its upstream waiting.
    eventually("some answers have ended", || active(&node) < STREAMS as u64);
    for id in ids {
        let answer = client.answer(id);
        assert_eq!((answer.body.len(), answer.ended), (0xf000, true));
    }
}

#[test]
fn a_connection_ends_after_the_requests_that_its_listener_allows() {
    let mut node = serving(&Upstream::answering(OK), "");
    let limited = node.listener_json(r#","h2c":true,"keepalive_requests":2"#);
    node.apply(&[put(Kind::Listener, "web", limited)]);
    let mut client = Client::connect(&node);
    assert_eq!((client.get("/").status, client.away), (200, None));
    assert_eq!(client.get("/").status, 200);
    client.until_closed();
    assert_eq!(client.away.map(|(_, code)| code), Some(Code::NO_ERROR));
}
