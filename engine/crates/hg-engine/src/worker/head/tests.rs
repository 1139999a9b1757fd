//! The lines of a head for an upstream, and the date of our own answers.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::{DEADLINE, Node, Upstream, read_answer, read_head, upstream_json, value};
use std::io::Write;
use std::sync::{Mutex, mpsc};

fn now_s() -> u64 {
    hg_net::unix_micros() / 1_000_000
}

#[test]
fn a_date_is_rendered_again_once_its_second_has_passed() {
    let stale = [b'x'; 29];
    let mut date = Date { second: 1, text: Some(stale) };
    let before = now_s();
    let text = date.text();
    assert!((before..=now_s()).any(|second| write::date(second) == text));
    let kept = loop {
        let second = now_s();
        let text = Date { second, text: Some(stale) }.text();
        if now_s() == second {
            break text;
        }
    };
    assert_eq!(kept, stale, "it is rendered once a second");
}

/// Returns the head that an endpoint gets of a request with these lines.
fn head_of(route: &str, lines: &str) -> String {
    head_for(route, &format!("GET / HTTP/1.1\r\nHost: a.example\r\n{lines}\r\n"))
}

fn head_for(route: &str, request: &str) -> String {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let up = Upstream::play(move |mut s| {
        while let Some(head) = read_head(&mut s) {
            tell.lock().unwrap().send(head).unwrap();
            s.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        }
    });
    let node = Node::start(&upstream_json(&[up.address], ""), route, 1);
    let mut s = node.connect();
    s.write_all(request.as_bytes()).unwrap();
    read_answer(&mut s);
    told.recv_timeout(DEADLINE).unwrap()
}

const LINES: [(&str, &str); 6] = [
    ("content-encoding", "gzip"),
    ("digest", "a"),
    ("x-headgate-mirror", "r"),
    ("x-own", "b"),
    ("x-set", "theirs"),
    ("x-gone", "c"),
];

#[test]
fn an_endpoint_gets_the_lines_of_a_client_that_nothing_concerns() {
    let lines: String = LINES.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let lines = format!("{lines}X-Request-Id: a-stranger\r\nX-Forwarded-For: 9.9.9.9\r\n");
    let head = head_of("", &lines);
    for (name, sent) in LINES {
        assert_eq!(value(&head, name), Some(sent), "{name}: {head}");
    }
    assert_eq!(value(&head, "x-forwarded-for"), Some("127.0.0.1"), "{head}");
    assert_eq!(value(&head, "x-request-id").unwrap().len(), 32, "{head}");
    let edits = r#"{"request_headers":{"set":{"x-set":"ours"},"remove":["x-gone"]}}"#;
    let head = head_of(&format!(r#","middlewares":[{edits}]"#), &lines);
    for (name, sent) in &LINES[..4] {
        assert_eq!(value(&head, name), Some(*sent), "{name}: {head}");
    }
    assert_eq!((value(&head, "x-set"), value(&head, "x-gone")), (Some("ours"), None), "{head}");
    assert_eq!(value(&head, "x-forwarded-for"), Some("127.0.0.1"), "{head}");
}

#[test]
fn a_path_goes_on_as_it_is_routed_or_as_it_came() {
    let request = "GET /a/./b/../c?d=/./e HTTP/1.1\r\nHost: a.example\r\n\r\n";
    for (route, target) in
        [("", "/a/c?d=/./e"), (r#","forward_raw_path":true"#, "/a/./b/../c?d=/./e")]
    {
        let head = head_for(route, request);
        assert!(head.starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{head}");
    }
}

#[test]
fn a_route_may_take_what_we_say_of_the_client_away() {
    let edits = r#"{"request_headers":{"set":{"x-real-ip":"none"},"remove":["x-forwarded-for"]}}"#;
    let head = head_of(&format!(r#","middlewares":[{edits}]"#), "");
    assert_eq!(value(&head, "x-forwarded-for"), None, "{head}");
    assert_eq!(value(&head, "x-real-ip"), Some("none"), "{head}");
    assert_eq!(value(&head, "x-forwarded-proto"), Some("http"), "{head}");
    assert_eq!(value(&head, "x-request-id").unwrap().len(), 32, "{head}");
}

#[test]
fn the_host_of_a_head_is_replaced_as_often_as_its_endpoint_changes() {
    let mut head = b"GET / HTTP/1.1\r\nhost: \r\nx: y\r\n\r\n".to_vec();
    let mut at = (22, 0);
    for (address, host) in
        [("one.example:1", "one.example:1"), ("unix:/a", "localhost"), ("[::1]:2", "[::1]:2")]
    {
        set_host(&mut head, &mut at, address);
        let expected = format!("GET / HTTP/1.1\r\nhost: {host}\r\nx: y\r\n\r\n");
        assert_eq!(std::str::from_utf8(&head).unwrap(), expected);
    }
}
