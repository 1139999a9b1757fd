//! What taps see of requests, with and without an access log.

use crate::common::*;
use hg_engine::{TapFilter, TapReader};
use hg_plan::Kind;
use std::cell::RefCell;
use std::io::Write;

const PLAIN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Waits for as many lines as there were requests.
fn lines(tap: &TapReader, count: usize) -> Vec<String> {
    let found = RefCell::new(Vec::new());
    eventually("the lines come", || {
        tap.take(usize::MAX, &mut found.borrow_mut());
        found.borrow().iter().filter(|b| **b == b'\n').count() == count
    });
    String::from_utf8(found.into_inner()).unwrap().lines().map(str::to_owned).collect()
}

fn ask(node: &Node, request: &str) {
    let mut s = node.connect();
    s.write_all(request.as_bytes()).unwrap();
    read_all(&mut s);
}

#[test]
fn a_tap_sees_requests_without_an_access_log() {
    let up = Upstream::answering(PLAIN);
    let node = Node::simple(&up);
    let tap = node.engine.tap(TapFilter::default()).unwrap();
    ask(&node, "PURGE /a?b HTTP/1.1\r\nHost: A.example\r\nCookie: c\r\nConnection: close\r\n\r\n");
    ask(&node, "GET /c HTTP/1.1\r\nHost: a\r\nBad Header\r\n\r\n");
    let found = lines(&tap, 2);
    for part in [
        r#""method":"PURGE""#,
        r#""host":"A.example""#,
        r#""target":"/a?b""#,
        r#""status":200"#,
        r#""route":"r""#,
        r#""upstream":"u""#,
    ] {
        assert!(found[0].contains(part), "{part}: {found:?}");
    }
    assert!(!found[0].contains("headers"), "{found:?}");
    assert!(found[1].contains(r#""target":"/c""#) && found[1].contains(r#""status":400"#));
}

#[test]
fn a_tap_sees_what_it_asks_for() {
    let up = Upstream::answering(PLAIN);
    let node = Node::simple(&up);
    let refused = TapFilter { status: Some((400, 499)), ..TapFilter::default() };
    let below = TapFilter { path: "/a".into(), headers: true, ..TapFilter::default() };
    let (refused, below) = (node.engine.tap(refused).unwrap(), node.engine.tap(below).unwrap());
    ask(&node, "TRACE /b HTTP/1.1\r\nHost: a\r\n\r\n");
    ask(&node, "GET /a HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nx-one: 2\r\nConnection: close\r\n\r\n");
    let found = lines(&refused, 1);
    assert!(found[0].contains(r#""target":"/b""#), "{found:?}");
    let found = lines(&below, 1);
    let (_, headers) = found[0].split_once(r#","headers":["#).unwrap();
    assert!(headers.contains(r#"["x-one","1"],["x-one","2"]"#), "{headers}");
    drop((refused, below));
    assert_eq!(node.engine.metrics().log.taps.open, 0);
    assert_eq!(node.engine.metrics().log.taps.lines, 2);
}

#[test]
fn a_tap_sees_what_the_log_of_a_route_leaves_out() {
    let up = Upstream::answering(PLAIN);
    let mut node = Node::simple(&up);
    node.apply(&[put(Kind::Route, "r", route_json(r#","observed":{"access_log_percent":0}"#))]);
    let tap = node.engine.tap(TapFilter::default()).unwrap();
    node.get("/");
    assert!(lines(&tap, 1)[0].contains(r#""target":"/""#));
}
