//! Routes that share compiled terms, and routes split into groups of hosts: whatever the order of
//! changes, each answers as its own plan says.

use crate::common::*;
use hg_plan::{Change, Kind};
use std::io::Write;

const ONE: &[u8] = b"HTTP/1.1 201 One\r\nContent-Length: 0\r\n\r\n";
const TWO: &[u8] = b"HTTP/1.1 202 Two\r\nContent-Length: 0\r\n\r\n";

fn gone(kind: Kind, name: &str) -> Change {
    Change { kind, name: name.into(), bytes: None }
}

/// A route on hosts, with an action and further members.
fn route(name: &str, hosts: &[&str], action: &str, rest: &str) -> Change {
    let hosts = hosts.join("\",\"");
    let json = format!(r#"{{"action":{action},"hosts":["{hosts}"],"listeners":["web"]{rest}}}"#);
    put(Kind::Route, name, json)
}

fn to(upstream: &str) -> String {
    format!(r#"{{"upstream":"{upstream}"}}"#)
}

fn marked(value: &str) -> String {
    format!(r#""middlewares":[{{"response_headers":{{"set":{{"x-v":"{value}"}}}}}}]"#)
}

fn host(name: &str, value: &str) -> Change {
    put(Kind::Host, name, format!("{{{}}}", marked(value)))
}

/// Returns status, `x-v` and body of the answer for a host.
fn answer(node: &Node, host: &str) -> (u16, String, String) {
    let mut s = node.connect();
    write!(s, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let text = String::from_utf8(read_all(&mut s)).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let value = head.lines().find_map(|line| line.strip_prefix("x-v: ")).unwrap_or("");
    (head[9..12].parse().unwrap(), value.into(), body.into())
}

fn said(status: u16, value: &str, body: &str) -> (u16, String, String) {
    (status, value.into(), body.into())
}

/// Starts a node with upstreams `one` and `two` besides `u`.
fn node() -> (Node, [Upstream; 2]) {
    let ups = [Upstream::answering(ONE), Upstream::answering(TWO)];
    let mut node = Node::simple(&ups[0]);
    node.apply(&[
        put(Kind::Upstream, "one", upstream_json(&[ups[0].address], "")),
        put(Kind::Upstream, "two", upstream_json(&[ups[1].address], "")),
    ]);
    (node, ups)
}

#[test]
fn routes_alike_but_for_one_thing_differ_in_that_thing() {
    let (mut node, _ups) = node();
    let respond = |body: &str| format!(r#"{{"respond":{{"status":200,"body":"{body}"}}}}"#);
    let split = r#"{"split":[{"upstream":"two","weight":1}]}"#;
    let all = [
        host("own.example", "host"),
        route("a", &["a.example"], &to("one"), ""),
        route("b", &["b.example"], &to("two"), ""),
        route("c", &["own.example"], &to("one"), ""),
        route("d", &["d.example"], &respond("d"), ""),
        route("e", &["e.example"], &respond("e"), ""),
        route("f", &["f.example"], split, ""),
        route("g", &["g.example"], &to("one"), &format!(",{}", marked("g"))),
        route("h", &["h.example"], &to("two"), &format!(",{}", marked("h"))),
    ];
    let check = |node: &Node| {
        assert_eq!(answer(node, "a.example"), said(201, "", ""));
        assert_eq!(answer(node, "b.example"), said(202, "", ""));
        assert_eq!(answer(node, "own.example"), said(201, "host", ""));
        assert_eq!(answer(node, "d.example"), said(200, "", "d"));
        assert_eq!(answer(node, "e.example"), said(200, "", "e"));
        assert_eq!(answer(node, "f.example"), said(202, "", ""));
        assert_eq!(answer(node, "g.example"), said(201, "g", ""));
        assert_eq!(answer(node, "h.example"), said(202, "h", ""));
    };
    node.apply(&all);
    check(&node);
    for one in all {
        node.apply(&[one]);
        check(&node);
    }
}

#[test]
fn more_kinds_of_routes_than_are_kept_in_mind_are_served_each_as_it_is() {
    let (mut node, _ups) = node();
    let name = |i: usize| format!("h{i}.example");
    let of = |i: usize| format!(",{}", marked(&format!("v{}", i % 20)));
    let all: Vec<Change> =
        (0..60).map(|i| route(&format!("x{i}"), &[&name(i)], &to("one"), &of(i))).collect();
    node.apply(&all);
    for i in 0..60 {
        assert_eq!(answer(&node, &name(i)), said(201, &format!("v{}", i % 20), ""));
    }
}

#[test]
fn a_route_follows_its_hosts_from_one_group_to_two_and_back() {
    let (mut node, _ups) = node();
    let hosts = ["a.example", "b.example"];
    let one = |action: &str| route("x", &hosts, action, "");
    let check = |node: &Node, status: u16, a: &str, b: &str| {
        assert_eq!(answer(node, "a.example"), said(status, a, ""));
        assert_eq!(answer(node, "b.example"), said(status, b, ""));
    };
    node.apply(&[gone(Kind::Route, "r"), one(&to("one"))]);
    check(&node, 201, "", "");
    node.apply(&[host("a.example", "a")]);
    check(&node, 201, "a", "");
    node.apply(&[host("b.example", "b"), one(&to("two"))]);
    check(&node, 202, "a", "b");
    let found = node.refused(&[gone(Kind::Host, "a.example"), one(&to("none"))]);
    assert!(found[0].contains("there is no upstream `none`"), "{found:?}");
    check(&node, 202, "a", "b");
    node.apply(&[gone(Kind::Host, "a.example"), gone(Kind::Host, "b.example")]);
    check(&node, 202, "", "");
    node.apply(&[gone(Kind::Route, "x")]);
    assert_eq!(answer(&node, "a.example").0, 404);
    node.apply(&[one(&to("one"))]);
    check(&node, 201, "", "");
}

#[test]
fn an_upstream_or_a_listener_that_a_route_still_names_cannot_go() {
    let (mut node, _ups) = node();
    let split = r#"{"split":[{"upstream":"one","weight":1},{"upstream":"two","weight":1}]}"#;
    node.apply(&[
        route("a", &["a.example"], &to("two"), ""),
        route("b", &["b.example"], split, ""),
    ]);
    let found = node.refused(&[gone(Kind::Upstream, "two")]);
    assert_eq!(
        found,
        [
            "Route a: action.upstream: there is no upstream `two`",
            "Route b: action.split[1].upstream: there is no upstream `two`",
        ]
    );
    let found = node.refused(&[gone(Kind::Listener, "web")]);
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(found[0], "Route a: listeners[0]: there is no listener `web`");
    assert_eq!(answer(&node, "a.example").0, 202);
    let (a, b) = (gone(Kind::Route, "a"), route("b", &["b.example"], &to("one"), ""));
    node.apply(&[gone(Kind::Upstream, "two"), a, b]);
    assert_eq!(answer(&node, "b.example").0, 201);
}
