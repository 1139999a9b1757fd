//! What is counted, and what own and forwarded answers contain besides the lines of others.

use crate::common::*;
use hg_plan::Kind;
use std::io::Write;

const PLAIN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn sent_in_all(node: &Node) -> u64 {
    node.engine.metrics().bytes_sent
}

#[test]
fn every_byte_that_a_client_gets_is_counted_own_answers_and_heads_too() {
    let up = Upstream::answering(PLAIN);
    let node = Node::simple(&up);
    let mut got = node.get("/").len();
    eventually("the answer is counted", || sent_in_all(&node) == got as u64);
    let mut s = node.connect();
    s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nBad Header\r\n\r\n").unwrap();
    got += read_all(&mut s).len();
    eventually("the refusal is counted", || sent_in_all(&node) == got as u64);
    let chunked = Upstream::answering(
        b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
          3\r\nabc\r\n0\r\n\r\n",
    );
    let node = Node::simple(&chunked);
    let got = node.get("/").len();
    eventually("chunks and hints are counted", || sent_in_all(&node) == got as u64);
}

#[test]
fn an_answer_without_a_date_gets_one_and_no_second() {
    let up = Upstream::answering(PLAIN);
    let answer = Node::simple(&up).get("/").to_ascii_lowercase();
    assert_eq!(answer.matches("\r\ndate: ").count(), 1, "{answer}");
    let dated =
        b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n";
    let up = Upstream::answering(dated);
    let answer = Node::simple(&up).get("/").to_ascii_lowercase();
    assert_eq!(answer.matches("\r\ndate: ").count(), 1, "{answer}");
    assert!(answer.contains("\r\ndate: sun, 06 nov 1994 08:49:37 gmt\r\n"), "{answer}");
    let removed = r#","middlewares":[{"response_headers":{"remove":["date"]}}]"#;
    let node = Node::start(&upstream_json(&[up.address], ""), removed, 1);
    assert!(!node.get("/").to_ascii_lowercase().contains("\r\ndate: "));
}

#[test]
fn own_errors_have_the_response_headers_of_their_route() {
    let edits = r#""set":{"strict-transport-security":"max-age=1","x-of":"${header:x-a}"},
        "remove":["proxy-status"]"#;
    let gone = unused_address();
    let route = format!(r#","body_bytes":3,"middlewares":[{{"response_headers":{{{edits}}}}}]"#);
    let node = Node::start(&upstream_json(&[gone], ""), &route, 1);
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: a\r\nX-A: 7\r\nConnection: close\r\n\r\n", "502"),
        ("POST / HTTP/1.1\r\nHost: a\r\nX-A: 7\r\nContent-Length: 9\r\n\r\n", "413"),
    ] {
        let mut s = node.connect();
        s.write_all(request.as_bytes()).unwrap();
        let answer = String::from_utf8(read_all(&mut s)).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("\r\nstrict-transport-security: max-age=1\r\n"), "{answer}");
        assert!(answer.contains("\r\nx-of: 7\r\n"), "{answer}");
        assert!(!answer.contains("proxy-status"), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("\r\ncontent-length: {}", body.len())), "{answer}");
    }
}

#[test]
fn two_upstreams_with_one_endpoint_count_what_each_did() {
    let up = Upstream::answering(PLAIN);
    let mut node = Node::simple(&up);
    let other = r#"{"action":{"upstream":"v"},"hosts":["*"],"listeners":["web"],
        "match":[{"path":{"prefix":"/v"}}]}"#;
    node.apply(&[
        put(Kind::Upstream, "v", upstream_json(&[up.address], "")),
        put(Kind::Route, "v", other),
    ]);
    let mut s = node.connect();
    for path in ["/", "/v", "/v", "/", "/v"] {
        write!(s, "GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        read_answer(&mut s);
    }
    let requests = |name: &str| {
        let metrics = node.engine.metrics();
        let found = metrics.upstreams.iter().find(|u| &*u.name == name).unwrap();
        (found.endpoints[0].requests, found.endpoints[0].idle)
    };
    assert_eq!((requests("u").0, requests("v").0), (2, 3));
    // The client has the answer before its worker has pooled the connection.
    eventually("one connection waits", || requests("u").1 + requests("v").1 == 1);
    assert_eq!(up.connections(), 1);
}

/// Returns the lines of an access log that a node wrote.
fn logged(node: &mut Node, ask: &[&[u8]]) -> Vec<String> {
    let file = std::env::temp_dir().join(format!("hg-told-{}-{}", std::process::id(), ask.len()));
    let sink = format!(r#"{{"file":{{"path":{:?}}}}}"#, file.to_str().unwrap());
    let settings = format!(r#"{{"access_log":{{"format":"json","sink":{sink}}}}}"#);
    node.apply(&[put(Kind::Settings, "node", settings)]);
    for request in ask {
        let mut s = node.connect();
        s.write_all(request).unwrap();
        read_all(&mut s);
    }
    let lines = || std::fs::read_to_string(&file).unwrap_or_default();
    eventually("the lines are written", || lines().matches('\n').count() == ask.len());
    let found = lines().lines().map(str::to_owned).collect();
    std::fs::remove_file(&file).unwrap();
    found
}

#[test]
fn the_log_says_what_was_sent_and_what_of_a_refused_request_could_be_read() {
    let up = Upstream::answering(PLAIN);
    let mut node = Node::simple(&up);
    let lines = logged(
        &mut node,
        &[
            b"PURGE /a?b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            b"GET /c?d HTTP/1.1\r\nHost: a\r\nBad Header\r\n\r\n",
            b"TRACE /e HTTP/1.1\r\nHost: a\r\n\r\n",
            b"\x16\x03\x01 /f\r\n\r\n",
        ],
    );
    let [forwarded, refused, traced, unread] = &lines[..] else { panic!("{lines:?}") };
    assert!(forwarded.contains(r#""method":"PURGE""#), "{forwarded}");
    assert!(forwarded.contains(r#""first_byte_us":"#), "{forwarded}");
    assert!(forwarded.contains(r#""connect_us":"#), "{forwarded}");
    assert!(refused.contains(r#""method":"GET""#), "{refused}");
    assert!(refused.contains(r#""target":"/c?d""#), "{refused}");
    assert!(!refused.contains(r#""bytes_out":0,"#), "{refused}");
    assert!(!refused.contains("first_byte_us"), "{refused}");
    assert!(traced.contains(r#""method":"TRACE""#) && traced.contains(r#""target":"/e""#));
    assert!(unread.contains(r#""method":"""#) && unread.contains(r#""target":"""#), "{unread}");
}

#[test]
fn a_connection_from_the_pool_has_no_time_of_connecting() {
    let up = Upstream::answering(PLAIN);
    let mut node = Node::simple(&up);
    let close: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let lines = logged(&mut node, &[close, close]);
    assert!(lines[0].contains(r#""reused":false"#) && lines[0].contains("connect_us"), "{lines:?}");
    assert!(lines[1].contains(r#""reused":true"#) && !lines[1].contains("connect_us"), "{lines:?}");
}
