//! Pages of a route's own in place of an endpoint's errors, through a real engine.

use crate::common::{
    DEADLINE, Node, Upstream, read_all, read_answer, read_head, upstream_json, value,
};
use std::io::{Read, Write};

const ERROR: &[u8] =
    b"HTTP/1.1 502 No\r\nContent-Type: text/plain\r\nETag: \"a\"\r\nX-Own: a\r\nContent-Length: 3\r\n\r\nbad";

fn node(edits: &str) -> Node {
    let up = Upstream::answering(ERROR);
    let page = r#"{"statuses":[[500,599]],"body":"a page","content_type":"text/x-page"}"#;
    let pages = format!(r#"{{"error_pages":{{"pages":[{page}]}}}}"#);
    let route = format!(r#","middlewares":[{edits}{pages}]"#);
    Node::start(&upstream_json(&[up.address], ""), &route, 1)
}

fn answer(edits: &str) -> String {
    node(edits).get("/")
}

#[test]
fn a_page_brings_its_type_and_takes_what_described_the_body_before() {
    let answer = answer("");
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.ends_with("\r\n\r\na page"), "{answer}");
    assert!(answer.contains("\r\ncontent-type: text/x-page\r\n"), "{answer}");
    assert!(answer.contains("\r\nX-Own: a\r\n") && !answer.contains("text/plain"), "{answer}");
    assert!(!answer.contains("ETag"), "{answer}");
}

#[test]
fn the_type_of_a_page_is_gone_where_the_route_removes_types() {
    let answer = answer(r#"{"response_headers":{"remove":["content-type"]}},"#);
    assert!(answer.ends_with("\r\n\r\na page"), "{answer}");
    assert!(!answer.to_lowercase().contains("content-type"), "{answer}");
}

#[test]
fn a_connection_ends_with_a_page_as_with_any_answer() {
    let node = node("");
    for (lines, said) in [("", None), ("Connection: close\r\n", Some("close"))] {
        let mut s = node.connect();
        // The length of a page is told to those who ask for the head alone.
        for method in ["HEAD", "GET"] {
            let last = if method == "GET" { lines } else { "" };
            let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n{last}\r\n");
            s.write_all(request.as_bytes()).unwrap();
            let head = read_head(&mut s).unwrap();
            assert_eq!(value(&head, "content-length"), Some("6"), "{method}: {head}");
            if method == "GET" {
                assert_eq!(value(&head, "connection"), said, "{head}");
            }
        }
        let mut body = [0; 6];
        s.read_exact(&mut body).unwrap();
        assert_eq!(&body, b"a page");
        if said.is_some() {
            assert!(read_all(&mut s).is_empty(), "nothing follows");
        } else {
            s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            assert_eq!(read_answer(&mut s).1, b"a page");
        }
    }
}

#[test]
fn a_page_before_the_end_of_a_body_is_the_last_answer_of_its_connection() {
    let node = node("");
    let mut s = node.connect();
    s.set_read_timeout(Some(DEADLINE)).unwrap();
    s.write_all(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").unwrap();
    let (head, body) = read_answer(&mut s);
    assert_eq!((value(&head, "connection"), &body[..]), (Some("close"), &b"a page"[..]), "{head}");
    assert!(read_all(&mut s).is_empty(), "nothing follows");
}
