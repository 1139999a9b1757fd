//! Pages of a route's own in place of an endpoint's errors, through a real engine.

use crate::common::{Node, Upstream, upstream_json};

const ERROR: &[u8] =
    b"HTTP/1.1 502 No\r\nContent-Type: text/plain\r\nETag: \"a\"\r\nX-Own: a\r\nContent-Length: 3\r\n\r\nbad";

fn answer(edits: &str) -> String {
    let up = Upstream::answering(ERROR);
    let page = r#"{"statuses":[[500,599]],"body":"a page","content_type":"text/x-page"}"#;
    let pages = format!(r#"{{"error_pages":{{"pages":[{page}]}}}}"#);
    let route = format!(r#","middlewares":[{edits}{pages}]"#);
    Node::start(&upstream_json(&[up.address], ""), &route, 1).get("/")
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
