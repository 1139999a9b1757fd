//! Heads at the edge of what is accepted: requests without a host, unusual hosts, floods of interim
//! answers, chunk extensions.

use crate::common::*;
use hg_plan::Kind;
use std::io::Write;

/// Answers with the head that it received.
fn mirror() -> Upstream {
    Upstream::play(|mut s| {
        while let Some(head) = read_head(&mut s) {
            write!(s, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len()).unwrap();
        }
    })
}

/// Sends one request on a connection of its own; returns the answer.
fn ask(node: &Node, request: &[u8]) -> String {
    let mut s = node.connect();
    s.write_all(request).unwrap();
    let (head, body) = read_answer(&mut s);
    head + &String::from_utf8(body).unwrap()
}

fn rejected(node: &Node, code: &str) -> u64 {
    let rejects = node.engine.metrics().rejects;
    rejects.iter().find(|r| r.reason == code).map_or(0, |r| r.count)
}

#[test]
fn an_old_client_that_names_no_host_is_served_by_the_default_host() {
    let up = mirror();
    let mut node = Node::simple(&up);
    let named = route_json("").replace(r#""*""#, r#""a.example""#);
    let named = named.replace(r#""upstream":"u""#, r#""respond":{"status":418}"#);
    node.apply(&[put(Kind::Route, "named", named)]);
    let answer = ask(&node, b"GET /health HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    // HTTP/1.1 requires a Host, and many servers refuse an empty one.
    let line = format!("\r\nhost: {}\r\n", up.address);
    assert!(answer.contains(&line), "{answer}");
    assert!(!answer.contains("x-forwarded-host"), "{answer}");
    let named = ask(&node, b"GET http://a.example/ HTTP/1.0\r\n\r\n");
    assert!(named.starts_with("HTTP/1.1 418 "), "{named}");
    let strict = ask(&node, b"GET /health HTTP/1.1\r\n\r\n");
    assert!(strict.starts_with("HTTP/1.1 400 "), "{strict}");
}

#[test]
fn a_redirect_that_needs_a_host_is_refused_without_one() {
    let mut node = Node::simple(&mirror());
    let elsewhere = route_json("")
        .replace(r#""upstream":"u""#, r#""redirect":{"status":301,"scheme":"https"}"#);
    node.apply(&[put(Kind::Route, "r", elsewhere)]);
    let answer = ask(&node, b"GET / HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400 ") && !answer.contains("location:"), "{answer}");
}

#[test]
fn every_legal_host_is_taken_and_passed_on_as_it_came() {
    let node = Node::simple(&mirror());
    for host in ["a_b.example", "a!$&'()*+;=b", "*.example", "%C3%A4.example:80", "a%2Cb"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = ask(&node, request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 200 "), "{host}: {answer}");
        assert!(answer.contains(&format!("\r\nhost: {host}\r\n")), "{host}: {answer}");
        assert!(answer.contains(&format!("\r\nx-forwarded-host: {host}\r\n")), "{host}: {answer}");
    }
    let two = ask(&node, b"GET / HTTP/1.1\r\nHost: evil.test,a.example\r\n\r\n");
    assert!(two.contains("\r\nx-forwarded-host: evil.test%2Ca.example\r\n"), "{two}");
    for host in ["a%2fb", "a%00", "a%", "a\"b", "a..b", "a%2e%2eb", "a<b", "a b"] {
        let answer = ask(&node, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400 "), "{host}: {answer}");
    }
    assert_eq!(rejected(&node, "host-invalid"), 8);
}

#[test]
fn an_encoded_spelling_of_a_host_finds_the_route_of_that_host() {
    let mut node = Node::simple(&mirror());
    let closed = route_json("").replace(r#""*""#, r#""admin.example""#);
    let closed = closed.replace(r#""upstream":"u""#, r#""respond":{"status":403}"#);
    node.apply(&[put(Kind::Route, "closed", closed)]);
    for host in ["admin.example", "%61dmin.example", "ADMIN%2Eexample.", "admin.example%2e"] {
        let answer = ask(&node, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 403 "), "{host}: {answer}");
    }
}

/// Returns the number of interim answers, and the head of the answer after them.
fn after_interim(node: &Node) -> (usize, String) {
    let mut s = node.connect();
    s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut hints = 0;
    loop {
        let head = read_head(&mut s).unwrap();
        if !head.starts_with("HTTP/1.1 103 ") {
            return (hints, head);
        }
        hints += 1;
    }
}

fn hinting(count: usize, line: usize) -> Upstream {
    Upstream::play(move |mut s| {
        while read_head(&mut s).is_some() {
            let hint = format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", "x".repeat(line));
            let all = hint.repeat(count) + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            if s.write_all(all.as_bytes()).is_err() {
                return;
            }
        }
    })
}

#[test]
fn interim_answers_are_limited_in_number() {
    let node = Node::simple(&hinting(100, 10));
    let (hints, head) = after_interim(&node);
    assert!(hints == 100 && head.starts_with("HTTP/1.1 200 "), "{hints}: {head}");
    assert_eq!(rejected(&node, "response-interim"), 0);
    let node = Node::simple(&hinting(101, 10));
    let (hints, head) = after_interim(&node);
    assert!(hints == 100 && head.starts_with("HTTP/1.1 502 "), "{hints}: {head}");
    assert_eq!(rejected(&node, "response-interim"), 1);
}

#[test]
fn interim_answers_together_have_the_bytes_of_one_head() {
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: \r\n\r\n".len() + 100;
    for (limit, status) in [(hint * 10, "200"), (hint * 10 - 1, "502")] {
        let up = hinting(10, 100);
        let json = upstream_json(&[up.address], &format!(r#","head_bytes":{limit}"#));
        let node = Node::start(&json, "", 1);
        let head = after_interim(&node).1;
        assert_eq!(head.split(' ').nth(1), Some(status), "{limit}: {head}");
        assert_eq!(rejected(&node, "response-interim"), u64::from(status == "502"));
    }
}

#[test]
fn a_chunk_extension_that_is_none_is_refused() {
    let node = Node::simple(&mirror());
    for extension in ["a=\"\r\nb\"", "a=\"b", "a b", ""] {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;{extension}\r\nx\r\n0\r\n\r\n"
        );
        let answer = ask(&node, request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400 "), "{extension}: {answer}");
    }
    assert_eq!(rejected(&node, "chunk-extension"), 4);
}
