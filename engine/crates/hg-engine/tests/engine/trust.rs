//! What strangers claim about themselves is dropped: before matching, templates, balancers and
//! upstreams.

use crate::common::*;
use hg_plan::Kind;
use std::io::Write;

/// Answers with the head that it received.
fn echo() -> Upstream {
    Upstream::play(|mut s| {
        while let Some(head) = read_head(&mut s) {
            let length = head.len();
            write!(s, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{head}").unwrap();
        }
    })
}

/// Starts a node whose route `inside` matches clients that claim to be 10.0.0.1; `rest` belongs to
/// its listener.
fn node(up: &Upstream, rest: &str) -> Node {
    let said = r#""said":"${header:x-real-ip}/${header:x_user}/${client_ip}""#;
    let mut node = Node::start(
        &upstream_json(&[up.address], ""),
        &format!(
            r#","middlewares":[{{"response_headers":{{"set":{{{said}}}}}}},{{"request_headers":{{"set":{{"x-user":"nobody"}}}}}}]"#
        ),
        1,
    );
    let inside = r#"{"action":{"respond":{"status":418}},"hosts":["*"],"listeners":["web"],
        "match":[{"headers":{"x-real-ip":{"exact":"10.0.0.1"}}},
                 {"headers":{"x_real_ip":{"present":true}}}]}"#;
    let listener = node.listener_json(rest);
    node.apply(&[put(Kind::Listener, "web", listener), put(Kind::Route, "inside", inside)]);
    node
}

fn ask(node: &Node, lines: &str) -> (String, String) {
    let mut s = node.connect();
    write!(s, "GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").unwrap();
    let (head, body) = read_answer(&mut s);
    (head, String::from_utf8(body).unwrap().to_lowercase())
}

fn dropped(node: &Node, reason: &str) -> u64 {
    let metrics = node.engine.metrics();
    metrics.withheld_headers.iter().find(|c| c.reason == reason).unwrap().count
}

const CLAIMS: &str = "X-Real-IP: 10.0.0.1\r\nX_Real_IP: 10.0.0.1\r\nX.Forwarded.For: 6.6.6.6\r\n\
                      X-SSL-Client-Verify: SUCCESS\r\nX_User: root\r\nX.User: root\r\nX-Own: 1\r\n";

#[test]
fn what_a_stranger_claims_chooses_no_route_and_is_said_nowhere() {
    let up = echo();
    let node = node(&up, "");
    let (head, seen) = ask(&node, CLAIMS);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("\r\nsaid: //127.0.0.1\r\n"), "{head}");
    for gone in ["10.0.0.1", "6.6.6.6", "success", "root"] {
        assert!(!seen.contains(gone), "{gone}: {seen}");
    }
    for there in ["x-own: 1", "x-user: nobody", "x-real-ip: 127.0.0.1"] {
        assert!(seen.contains(there), "{there}: {seen}");
    }
    eventually("the lines are counted", || dropped(&node, "client_claim") == 2);
    assert_eq!((dropped(&node, "lookalike"), dropped(&node, "underscore")), (2, 1));
}

#[test]
fn names_with_an_underscore_are_kept_on_request_but_no_lookalikes() {
    let up = echo();
    let node = node(&up, r#","underscores_in_headers":true"#);
    let (head, seen) = ask(&node, &format!("{CLAIMS}Some_Thing: 7\r\n"));
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("\r\nsaid: /root/127.0.0.1\r\n"), "{head}");
    assert!(seen.contains("some_thing: 7"), "{seen}");
    for gone in ["10.0.0.1", "6.6.6.6", "success", "root"] {
        assert!(!seen.contains(gone), "{gone}: {seen}");
    }
}

#[test]
fn a_trusted_peer_is_believed_but_not_in_other_spellings() {
    let up = echo();
    let node = node(&up, r#","client_ip":{"trusted":["127.0.0.0/8"],"header":"x-real-ip"}"#);
    let (head, _) = ask(&node, "X-Real-IP: 10.0.0.1\r\n");
    assert!(head.starts_with("HTTP/1.1 418 "), "{head}");
    let (head, seen) = ask(&node, "X-Real-IP: 192.0.2.1\r\nX_Real_IP: 10.0.0.1\r\n");
    assert!(head.contains("\r\nsaid: 192.0.2.1//192.0.2.1\r\n"), "{head}");
    assert!(!seen.contains("10.0.0.1"), "{seen}");
}

#[test]
fn a_name_with_an_underscore_cannot_be_forged_with_hyphens() {
    let up = echo();
    let edits = r#"{"remove":["x_role"],"set":{"remote_user":"nobody"}}"#;
    let chain = format!(r#","middlewares":[{{"request_headers":{edits}}}]"#);
    let node = Node::start(&upstream_json(&[up.address], ""), &chain, 1);
    let lines = "Remote-User: root\r\nRemote_User: root\r\nREMOTE.USER: root\r\nX-Role: root\r\n";
    let (head, seen) = ask(&node, &format!("{lines}X-Own: 1\r\n"));
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(!seen.contains("root"), "{seen}");
    assert!(seen.contains("remote_user: nobody") && seen.contains("x-own: 1"), "{seen}");
}
