//! The PROXY protocol of listeners and upstreams.

use crate::common::tls::{Authority, TlsStream};
use crate::common::*;
use hg_plan::Kind;
use hg_relay::proxy_protocol::{Addresses, Extras, Parse, Transport, kind, parse, write_v2};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

// Long, so that nothing is late on a busy machine.
const REQUIRED: &str =
    r#","client_ip":{"proxy_protocol":{"trusted":["127.0.0.0/8"],"timeout_ms":60000}}"#;
const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\r\n";

/// Starts a node that answers with the client's address.
fn plain() -> Node {
    let up = Upstream::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let says = r#","middlewares":[{"response_headers":{"set":{"x-client":"${client_ip}"}}}]"#;
    Node::start(&upstream_json(&[up.address], ""), says, 1)
}

fn node(listener: &str) -> Node {
    let mut node = plain();
    let listener = node.listener_json(listener);
    node.apply(&[put(Kind::Listener, "web", listener)]);
    node
}

fn optional(required: &str) -> String {
    required.replace(r#"{"trusted"#, r#"{"mode":"optional","trusted"#)
}

fn ask(node: &Node, first: &[u8], lines: &str) -> String {
    let mut s = node.connect();
    s.write_all(first).unwrap();
    get(&mut s, lines)
}

fn get(s: &mut (impl Read + Write), lines: &str) -> String {
    write!(s, "GET / HTTP/1.1\r\nHost: a.example\r\n{lines}\r\n").unwrap();
    told(&read_answer(s))
}

/// Returns the client that an answer tells, or its body.
fn told((head, body): &(String, Vec<u8>)) -> String {
    let line = head.lines().find_map(|line| line.strip_prefix("x-client: "));
    line.map_or_else(|| String::from_utf8(body.clone()).unwrap(), str::to_owned)
}

fn v2(source: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let destination = "198.51.100.2:443".parse().unwrap();
    write_v2(Transport::Stream, source.parse().unwrap(), destination, &Extras::default(), &mut out);
    out
}

fn refused(node: &Node, reason: &str) -> u64 {
    let all = node.engine.metrics().refused_connections;
    all.iter().find(|c| c.reason == reason).unwrap().count
}

/// Sends bytes and returns once the connection was reset, without an answer, for the reason.
fn is_refused(node: &Node, bytes: &[u8], reason: &str) {
    let before = refused(node, reason);
    let mut s = node.connect();
    // The reset may come before everything is written, which then tells of it.
    if s.write_all(bytes).is_ok() {
        let end = s.read(&mut [0; 64]).map_err(|e| e.kind());
        assert!(matches!(end, Err(ErrorKind::ConnectionReset)), "{end:?}");
    }
    eventually("it is counted", || refused(node, reason) == before + 1);
}

#[test]
fn the_client_is_the_one_of_the_header() {
    let node = node(REQUIRED);
    assert_eq!(ask(&node, V1, ""), "192.0.2.7");
    assert_eq!(ask(&node, &v2("192.0.2.8:5"), ""), "192.0.2.8");
    assert_eq!(ask(&node, &v2("[2001:db8::9]:5"), ""), "2001:db8::9");
    assert_eq!(ask(&node, &v2("[::ffff:192.0.2.8]:5"), ""), "192.0.2.8");
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    assert_eq!(ask(&node, local, ""), "127.0.0.1");
    assert_eq!(ask(&node, b"PROXY UNKNOWN\r\n", ""), "127.0.0.1");
}

#[test]
fn a_connection_keeps_its_client() {
    let node = node(REQUIRED);
    let mut s = node.connect();
    s.write_all(V1).unwrap();
    assert_eq!(get(&mut s, ""), "192.0.2.7");
    assert_eq!(get(&mut s, "X-Forwarded-For: 6.6.6.6\r\n"), "192.0.2.7");
}

#[test]
fn header_and_request_come_in_any_pieces() {
    let node = node(REQUIRED);
    for header in [V1.to_vec(), v2("192.0.2.7:1")] {
        let mut s = node.connect();
        let all = [&header[..], b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        for (i, byte) in all.iter().enumerate() {
            s.write_all(&[*byte]).unwrap();
            if i % 7 == 0 {
                node.barrier();
            }
        }
        assert_eq!(told(&read_answer(&mut s)), "192.0.2.7");
    }
}

#[test]
fn headers_about_the_client_count_where_the_one_of_the_header_is_trusted() {
    let node = node(&REQUIRED.replace("}}", r#"},"trusted":["192.0.2.7/32"]}"#));
    assert_eq!(ask(&node, V1, "X-Forwarded-For: 203.0.113.1\r\n"), "203.0.113.1");
    assert_eq!(ask(&node, &v2("192.0.2.8:5"), "X-Forwarded-For: 203.0.113.1\r\n"), "192.0.2.8");
}

#[test]
fn what_is_no_header_closes_the_connection_with_a_reason() {
    let node = node(REQUIRED);
    is_refused(&node, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "proxy_missing");
    is_refused(&node, b"PROXY TCP4 1.1.1.1 1.1.1.1 01 2\r\nGET", "proxy_malformed");
    is_refused(&node, &[b"PROXY UNKNOWN ", &[b'x'; 100][..]].concat(), "proxy_too_long");
    let mut wrong = v2("192.0.2.7:1");
    wrong[16] ^= 1;
    is_refused(&node, &wrong, "proxy_checksum");
    // Datagrams over a stream.
    is_refused(&node, b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c123456789012", "proxy_malformed");
}

#[test]
fn a_header_that_does_not_end_closes_the_connection() {
    let node = node(&REQUIRED.replace("60000", "50"));
    is_refused(&node, b"PROXY TCP4 1.1.1.1", "proxy_timeout");
    is_refused(&node, b"", "proxy_timeout");
    let s = node.connect();
    (&s).write_all(b"PROXY").unwrap();
    node.barrier();
    drop(s);
    eventually("it is counted", || {
        refused(&node, "proxy_incomplete") + refused(&node, "proxy_timeout") == 3
    });
}

#[test]
fn strangers_are_refused_where_a_header_is_required_and_else_without_one_served() {
    let strangers = REQUIRED.replace("127.0.0.0/8", "10.0.0.0/8");
    let required = node(&strangers);
    is_refused(&required, V1, "proxy_untrusted");
    is_refused(&required, b"", "proxy_untrusted");
    let optional = node(&optional(&strangers));
    is_refused(&optional, V1, "proxy_untrusted");
    is_refused(&optional, &v2("192.0.2.7:1"), "proxy_untrusted");
    assert_eq!(ask(&optional, b"", ""), "127.0.0.1");
}

#[test]
fn trusted_peers_may_leave_the_header_out_where_it_is_optional() {
    let node = node(&optional(REQUIRED));
    assert_eq!(ask(&node, V1, ""), "192.0.2.7");
    assert_eq!(ask(&node, b"", ""), "127.0.0.1");
}

#[test]
fn the_header_comes_before_the_hello() {
    let mut node = plain();
    let authority = Authority::serve(&mut node);
    let tls = r#","tls":{"default_certificate":"c","policy":"p"}"#;
    let listener = node.listener_json(&format!("{tls}{REQUIRED}"));
    node.apply(&[put(Kind::Listener, "web", listener)]);
    for header in [V1.to_vec(), v2("192.0.2.7:1")] {
        let mut s = node.connect();
        s.write_all(&header).unwrap();
        assert_eq!(get(&mut authority.over(s, &[]), ""), "192.0.2.7");
    }
    is_refused(&node, &[22, 3, 1, 0, 5], "proxy_missing");
}

#[test]
fn the_limit_of_connections_counts_the_client_of_the_header() {
    let mut node = node(REQUIRED);
    node.apply(&[put(Kind::Settings, "node", r#"{"max_connections_per_client":1}"#)]);
    let mut first = node.connect();
    first.write_all(V1).unwrap();
    assert_eq!(get(&mut first, ""), "192.0.2.7");
    is_refused(&node, V1, "client");
    assert_eq!(ask(&node, &v2("192.0.2.8:5"), ""), "192.0.2.8");
    drop(first);
    eventually("its place is free", || {
        let mut s = node.connect();
        s.write_all(V1).unwrap();
        s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").is_ok() && s.read(&mut [0]).is_ok()
    });
}

/// What an endpoint saw of a connection: the header, then the heads.
type Seen = Arc<Mutex<Vec<(Vec<u8>, usize)>>>;

/// An endpoint that takes headers of either version.
fn endpoint() -> (Upstream, Seen) {
    let seen = Seen::default();
    let kept = seen.clone();
    let up = Upstream::play(move |mut s| {
        let Some(header) = take_header(&mut s) else { return };
        let at = {
            let mut kept = kept.lock().unwrap();
            kept.push((header, 0));
            kept.len() - 1
        };
        while read_head(&mut s).is_some() {
            if let Some(seen) = kept.lock().unwrap().get_mut(at) {
                seen.1 += 1;
            }
            s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        }
    });
    (up, seen)
}

fn take_header(s: &mut TcpStream) -> Option<Vec<u8>> {
    let mut header = Vec::new();
    loop {
        let mut byte = [0];
        s.read_exact(&mut byte).ok()?;
        header.push(byte[0]);
        if matches!(parse(&header), Ok(Parse::Complete(_))) {
            return Some(header);
        }
    }
}

fn passed(header: &[u8]) -> (SocketAddr, SocketAddr) {
    let Ok(Parse::Complete(header)) = parse(header) else { unreachable!() };
    let Addresses::Passed { source, destination, .. } = header.addresses else { unreachable!() };
    (source, destination)
}

fn telling(up: &Upstream, version: &str) -> Node {
    let rest = format!(r#","pool":{{"proxy_protocol":"{version}"}}"#);
    Node::start(&upstream_json(&[up.address], &rest), "", 1)
}

#[test]
fn endpoints_are_told_of_the_client_of_each_connection() {
    for version in ["v1", "v2"] {
        let (up, seen) = endpoint();
        let node = telling(&up, version);
        let (one, two) = (node.connect(), node.connect());
        for mut s in [&one, &two, &one, &two] {
            assert_eq!(get(&mut s, ""), "ok");
        }
        let seen = seen.lock().unwrap();
        // Each client has a connection of its own, which its second request uses again.
        assert_eq!(seen.iter().map(|s| s.1).collect::<Vec<_>>(), [2, 2]);
        for ((header, _), s) in seen.iter().zip([&one, &two]) {
            assert_eq!(header.starts_with(b"PROXY "), version == "v1");
            assert_eq!(passed(header), (s.local_addr().unwrap(), node.address));
            let Ok(Parse::Complete(header)) = parse(header) else { unreachable!() };
            let id = header.tlvs.get(kind::UNIQUE_ID).map_or(0, <[u8]>::len);
            assert_eq!(id, if version == "v1" { 0 } else { 32 });
        }
    }
}

#[test]
fn what_a_header_told_is_told_on() {
    let (up, seen) = endpoint();
    let mut node = telling(&up, "v2");
    let listener = node.listener_json(REQUIRED);
    node.apply(&[put(Kind::Listener, "web", listener)]);
    assert_eq!(ask(&node, V1, ""), "ok");
    let found = passed(&seen.lock().unwrap()[0].0);
    let expected = ("192.0.2.7:56324".parse().unwrap(), "198.51.100.2:443".parse().unwrap());
    assert_eq!(found, expected);
}

#[test]
fn the_client_that_a_trusted_peer_names_has_no_port() {
    let (up, seen) = endpoint();
    let mut node = telling(&up, "v1");
    let listener = node.listener_json(r#","client_ip":{"trusted":["127.0.0.0/8"]}"#);
    node.apply(&[put(Kind::Listener, "web", listener)]);
    let mut s = node.connect();
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.1"] {
        assert_eq!(get(&mut s, &format!("X-Forwarded-For: {client}\r\n")), "ok");
    }
    let seen = seen.lock().unwrap();
    let sources: Vec<_> = seen.iter().map(|(h, n)| (passed(h).0.to_string(), *n)).collect();
    assert_eq!(sources, [("192.0.2.1:0".into(), 2), ("192.0.2.2:0".into(), 1)]);
}

#[test]
fn a_full_pool_makes_room_for_the_newest_client() {
    let (up, seen) = endpoint();
    let rest = r#","pool":{"max_idle":1,"proxy_protocol":"v2"}"#;
    let node = Node::start(&upstream_json(&[up.address], rest), "", 1);
    let (one, two) = (node.connect(), node.connect());
    for mut s in [&one, &two, &two, &one] {
        assert_eq!(get(&mut s, ""), "ok");
    }
    assert_eq!(seen.lock().unwrap().iter().map(|s| s.1).collect::<Vec<_>>(), [1, 2, 1]);
}

#[test]
fn version_2_tells_of_the_client_s_tls() {
    let (up, seen) = endpoint();
    let mut node = telling(&up, "v2");
    let authority = Authority::serve(&mut node);
    let mut s: TlsStream = authority.connect_with(&node, &[b"http/1.1"]);
    assert_eq!(get(&mut s, ""), "ok");
    let seen = seen.lock().unwrap();
    let Ok(Parse::Complete(header)) = parse(&seen[0].0) else { unreachable!() };
    assert_eq!(header.tlvs.get(kind::AUTHORITY), Some(&b"a.example"[..]));
    assert_eq!(header.tlvs.get(kind::ALPN), Some(&b"http/1.1"[..]));
    assert_eq!(header.tlvs.get(kind::SSL).unwrap()[..5], [1, 0, 0, 0, 1]);
    assert_eq!(header.tlvs.get(kind::UNIQUE_ID).unwrap().len(), 32);
    assert!(header.tlvs.get(kind::CRC32C).is_some());
}

#[test]
fn checks_say_that_no_client_is_behind_them() {
    for (version, told) in
        [("v1", &b"PROXY UNKNOWN\r\n"[..]), ("v2", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")]
    {
        for check in [r#"{"http":{}}"#, "{}"] {
            let (up, seen) = endpoint();
            let rest =
                format!(r#","pool":{{"proxy_protocol":"{version}"}},"health":{{"check":{check}}}"#);
            let _node = Node::start(&upstream_json(&[up.address], &rest), "", 1);
            eventually("it is checked", || !seen.lock().unwrap().is_empty());
            assert_eq!(seen.lock().unwrap()[0].0, told);
        }
    }
}

#[test]
fn endpoints_whose_connections_clients_share_cannot_be_told() {
    let (up, _) = endpoint();
    let node = telling(&up, "v1");
    let shared =
        upstream_json(&[up.address], r#","protocol":"h2c","pool":{"proxy_protocol":"v2"}"#);
    let found = node.refused(&[put(Kind::Upstream, "u", shared)]);
    assert!(found.iter().any(|e| e.contains("proxy_protocol")), "{found:?}");
}

#[test]
fn a_network_that_is_none_is_refused_with_its_place() {
    let node = node("");
    let listener = node.listener_json(r#","client_ip":{"proxy_protocol":{"trusted":["x"]}}"#);
    let found = node.refused(&[put(Kind::Listener, "web", listener)]);
    assert!(found.iter().any(|e| e.contains("proxy_protocol.trusted[0]")), "{found:?}");
}
