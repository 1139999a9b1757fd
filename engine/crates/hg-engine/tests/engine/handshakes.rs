//! TLS handshakes of both sides: how they are counted, and those that fail.

use crate::common::tls::{Authority, ending, session};
use crate::common::{Node, Upstream, eventually, read_answer, read_n, upstream_json};
use rustls::version::{TLS12, TLS13};
use std::io::{Read, Write};
use std::sync::Arc;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";

/// Returns how many handshakes of a side ended so.
fn counted(node: &Node, side: &str, version: &str, kind: &str) -> u64 {
    let all = node.engine.metrics().handshakes;
    let mut found = all.iter().filter(|h| (h.side, h.version, h.kind) == (side, version, kind));
    found.next().map_or(0, |h| h.count)
}

#[test]
fn handshakes_with_clients_are_counted_by_how_they_got_their_keys() {
    let mut node = Node::simple(&Upstream::answering(OK));
    let config = Arc::new(Authority::serve(&mut node).config(&[]));
    for (full, resumed) in [(1, 0), (1, 1)] {
        let mut s = session(config.clone(), node.connect());
        s.write_all(GET).unwrap();
        assert_eq!(read_answer(&mut s).1, b"ok");
        let counts = ["full", "resumed"].map(|kind| counted(&node, "client", "1.3", kind));
        assert_eq!(counts, [full, resumed]);
        // An error in an established session is none of its handshake.
        s.sock.write_all(b"\x17\x03\x03\x00\x02no").unwrap();
        let _ = s.sock.read_to_end(&mut Vec::new());
    }
    eventually("both are gone", || node.engine.metrics().workers[0].connections == 0);
    assert_eq!(counted(&node, "client", "", "failed"), 0);
    let metrics = node.engine.metrics();
    assert_eq!(metrics.handshakes.iter().map(|h| h.count).sum::<u64>(), 2);
    assert!(metrics.tcp.detected.iter().all(|d| d.count == 0), "nobody asked what they speak");
}

#[test]
fn a_clients_handshake_that_breaks_off_is_counted_as_failed() {
    let mut node = Node::simple(&Upstream::answering(OK));
    let authority = Authority::serve(&mut node);
    let mut tls = authority.connect(&node);
    tls.conn.write_tls(&mut tls.sock).unwrap();
    // A handshake record, the first of the answer.
    assert_eq!(read_n(&mut tls.sock, 1), [22]);
    tls.sock.write_all(b"\x17\x03\x03\x00\x02no").unwrap();
    eventually("it is counted", || counted(&node, "client", "", "failed") == 1);
    assert_eq!(node.engine.metrics().handshakes.iter().map(|h| h.count).sum::<u64>(), 1);
}

#[test]
fn an_endpoint_that_ends_with_its_handshake_gets_no_request() {
    let up = ending(&TLS12);
    let json = upstream_json(&[up.address], r#","tls":{"verify":false}"#);
    let node = Node::start(&json, "", 1);
    let answer = node.get("/");
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(answer.contains("error=tls_protocol_error"), "{answer}");
    let endpoint = &node.engine.status().upstreams[0].endpoints[0];
    assert!(endpoint.last_error.contains("closed after the handshake"), "{endpoint:?}");
    assert_eq!(counted(&node, "upstream", "1.2", "full"), up.connections() as u64);
}

#[test]
fn an_endpoint_whose_certificate_nobody_vouches_for_gets_no_request() {
    let up = ending(&TLS13);
    let json = upstream_json(&[up.address], r#","tls":{}"#);
    let node = Node::start(&json, "", 1);
    let answer = node.get("/");
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(answer.contains("error=tls_certificate_error"), "{answer}");
    assert_eq!(counted(&node, "upstream", "", "failed"), up.connections() as u64);
}
