//! The PROXY protocol of TCP routes: whose connection a session is, what its endpoint is told, and
//! what becomes of connections without a usable header.

use crate::common::{
    DEADLINE, Node, Upstream, eventually, put, read_all, read_n, unused_address, upstream_json,
};
use hg_plan::{Change, Kind};
use hg_relay::proxy_protocol::{Addresses, Extras, Parse, Transport, kind, parse, write_v2};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

// Long, so that nothing is late on a busy machine.
const REQUIRED: &str =
    r#","client_ip":{"proxy_protocol":{"trusted":["127.0.0.0/8"],"timeout_ms":60000}}"#;
const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\r\n";
/// A ClientHello that asks for `a.example`.
const HELLO: &[u8] =
    b"\x16\x03\x01\x00\x41\x01\x00\x00\x3d\x03\x03aaaaaaaabbbbbbbbccccccccdddddddd\
\x00\x00\x02\x13\x01\x01\x00\x00\x12\x00\x00\x00\x0e\x00\x0c\x00\x00\x09a.example";

/// The headers with which an endpoint's connections began.
type Told = Arc<Mutex<Vec<Vec<u8>>>>;

/// An endpoint that sends its letter first, takes a header if it `is_told`, then sends back what
/// comes, and its end.
fn echo(letter: u8, is_told: bool) -> (Upstream, Told) {
    let told = Told::default();
    let kept = told.clone();
    let up = Upstream::play(move |mut s| {
        let mut header = Vec::new();
        if s.write_all(&[letter]).is_err() {
            return;
        }
        while is_told && !matches!(parse(&header), Ok(Parse::Complete(_))) {
            let mut byte = [0];
            if s.read_exact(&mut byte).is_err() {
                return;
            }
            header.push(byte[0]);
        }
        kept.lock().unwrap().push(header);
        let mut copy = s.try_clone().unwrap();
        let _ = std::io::copy(&mut s, &mut copy);
        let _ = copy.shutdown(Shutdown::Write);
    });
    (up, told)
}

struct Stage {
    node: Node,
    /// Endpoints: of clients of 192.0.2.0/24, and of all others.
    near: Upstream,
    far: Upstream,
}

fn listener(node: &Node, keys: &str) -> Change {
    let json = format!(r#"{{"addresses":["{}"],"protocol":"tcp"{keys}}}"#, node.address);
    put(Kind::Listener, "web", json)
}

/// Starts a node with a listener of these keys; `n` takes clients of 192.0.2.0/24, `f` all others.
fn start(keys: &str) -> Stage {
    let ((near, _), (far, _)) = (echo(b'n', false), echo(b'f', false));
    let mut node = Node::start(&upstream_json(&[far.address], ""), "", 1);
    let route = |upstream: &str, rest: &str| {
        let json = format!(r#"{{"listeners":["web"],"upstream":"{upstream}"{rest}}}"#);
        put(Kind::TcpRoute, upstream, json)
    };
    let changes = [
        listener(&node, keys),
        Change { kind: Kind::Route, name: "r".into(), bytes: None },
        put(Kind::Upstream, "n", upstream_json(&[near.address], "")),
        put(Kind::Upstream, "f", upstream_json(&[far.address], "")),
        route("n", r#","client":["192.0.2.0/24"]"#),
        route("f", ""),
    ];
    node.apply(&changes);
    Stage { node, near, far }
}

fn optional(required: &str) -> String {
    required.replace(r#"{"trusted"#, r#"{"mode":"optional","trusted"#)
}

fn v2(source: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let destination = "198.51.100.2:443".parse().unwrap();
    write_v2(Transport::Stream, source.parse().unwrap(), destination, &Extras::default(), &mut out);
    out
}

/// Sends bytes in pieces, ends, and returns what came back.
fn through(node: &Node, pieces: &[&[u8]]) -> String {
    let mut s = node.connect();
    s.set_nodelay(true).unwrap();
    for piece in pieces {
        s.write_all(piece).unwrap();
        // The node may read it before the next one comes.
        node.engine.metrics();
    }
    s.shutdown(Shutdown::Write).unwrap();
    String::from_utf8_lossy(&read_all(&mut s)).into_owned()
}

fn counts(node: &Node, reason: &str) -> (u64, u64) {
    let metrics = node.engine.metrics();
    let closed = metrics.tcp.closed.iter().find(|c| c.reason == reason.replace('_', "-"));
    let refused = metrics.refused_connections.iter().find(|c| c.reason == reason);
    (closed.map_or(0, |c| c.count), refused.map_or(0, |c| c.count))
}

fn is_reset(s: &mut TcpStream) -> bool {
    let end = s.read_to_end(&mut Vec::new());
    matches!(end, Err(e) if e.kind() == ErrorKind::ConnectionReset)
}

/// Sends bytes, and perhaps its end; the connection is reset, and counted by its reason in both
/// places.
fn is_refused(stage: &Stage, bytes: &[u8], ends: bool, reason: &str) {
    let node = &stage.node;
    let (closed, refused) = counts(node, reason);
    let mut s = node.connect();
    s.set_read_timeout(Some(DEADLINE)).unwrap();
    let sent = s.write_all(bytes);
    if ends {
        let _ = s.shutdown(Shutdown::Write);
    }
    assert!(sent.is_err() || is_reset(&mut s), "{reason}");
    eventually(reason, || counts(node, reason) == (closed + 1, refused + 1));
    nothing_is_open(node);
    assert_eq!(stage.near.connections() + stage.far.connections(), 0);
}

fn nothing_is_open(node: &Node) {
    // An end is counted before all is given back.
    eventually("nothing is open", || {
        let metrics = node.engine.metrics();
        metrics.tcp.connections.active == 0 && metrics.listeners.iter().all(|l| l.connections == 0)
    });
}

#[test]
fn the_route_is_that_of_the_client_of_the_header() {
    let Stage { node, .. } = start(REQUIRED);
    assert_eq!(through(&node, &[V1, b"hello"]), "nhello");
    assert_eq!(through(&node, &[&[V1, b"hello"].concat()]), "nhello");
    assert_eq!(through(&node, &[&v2("192.0.2.8:5"), b"hello"]), "nhello");
    assert_eq!(through(&node, &[&v2("[2001:db8::9]:5"), b"hello"]), "fhello");
    assert_eq!(through(&node, &[b"PROXY UNKNOWN\r\n", b"hello"]), "fhello");
    assert_eq!(through(&node, &[b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", b"hello"]), "fhello");
    // The header is the load balancer's, what follows is the client's.
    eventually("counted", || node.engine.metrics().bytes_received == 6 * 5);
}

#[test]
fn header_and_bytes_come_in_any_pieces() {
    let Stage { node, .. } = start(REQUIRED);
    for header in [V1.to_vec(), v2("192.0.2.7:1")] {
        let all = [&header[..], b"hello"].concat();
        let bytes: Vec<&[u8]> = all.chunks(1).collect();
        assert_eq!(through(&node, &bytes), "nhello");
        for cut in 1..all.len() {
            assert_eq!(through(&node, &[&all[..cut], &all[cut..]]), "nhello");
        }
    }
}

#[test]
fn the_server_may_speak_first_once_the_header_has_come() {
    let Stage { node, .. } = start(REQUIRED);
    let mut s = node.connect();
    s.write_all(V1).unwrap();
    assert_eq!(read_n(&mut s, 1), b"n");
}

#[test]
fn what_is_no_header_is_reset_and_counted_by_reason() {
    let stage = start(REQUIRED);
    is_refused(&stage, b"GET / HTTP/1.1\r\n\r\n", false, "proxy_missing");
    is_refused(&stage, b"PROXY TCP4 1.1.1.1 1.1.1.1 01 2\r\nx", false, "proxy_malformed");
    is_refused(&stage, &[b"PROXY UNKNOWN ", &[b'x'; 100][..]].concat(), false, "proxy_too_long");
    let mut wrong = v2("192.0.2.7:1");
    wrong[16] ^= 1;
    is_refused(&stage, &wrong, false, "proxy_checksum");
    // Datagrams over a stream.
    is_refused(&stage, b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c123456789012", false, "proxy_malformed");
    for end in 1..V1.len() {
        is_refused(&stage, &V1[..end], true, "proxy_incomplete");
    }
}

#[test]
fn a_header_that_does_not_come_in_time_is_reset() {
    let stage = start(&REQUIRED.replace("60000", "50"));
    is_refused(&stage, b"", false, "proxy_timeout");
    is_refused(&stage, b"PROXY TCP4 1.1.1.1", false, "proxy_timeout");
}

#[test]
fn a_check_of_a_load_balancer_is_not_counted_as_refused() {
    let Stage { node, .. } = start(REQUIRED);
    drop(node.connect());
    eventually("closed", || counts(&node, "proxy_missing") == (1, 0));
    nothing_is_open(&node);
}

#[test]
fn strangers_are_refused_where_a_header_is_required() {
    let Stage { node, near, far } = start(&REQUIRED.replace("127.0.0.0/8", "10.0.0.0/8"));
    for n in 1..=2 {
        let mut s = node.connect();
        let sent = s.write_all(V1);
        assert!(sent.is_err() || is_reset(&mut s));
        eventually("counted", || counts(&node, "proxy_untrusted") == (0, n));
    }
    assert_eq!(near.connections() + far.connections(), 0);
}

#[test]
fn where_a_header_is_optional_strangers_have_none() {
    let stage = start(&optional(&REQUIRED.replace("127.0.0.0/8", "10.0.0.0/8")));
    is_refused(&stage, V1, false, "proxy_untrusted");
    is_refused(&stage, &v2("192.0.2.7:1"), false, "proxy_untrusted");
    assert_eq!(through(&stage.node, &[b"hello"]), "fhello");
}

#[test]
fn trusted_peers_may_leave_the_header_out_where_it_is_optional() {
    let Stage { node, .. } = start(&optional(REQUIRED));
    assert_eq!(through(&node, &[V1, b"hello"]), "nhello");
    assert_eq!(through(&node, &[b"PR", b"hello"]), "fPRhello");
    assert_eq!(through(&node, &[]), "f");
}

#[test]
fn a_silent_client_without_a_header_hears_the_server_after_the_time_for_one() {
    let Stage { node, .. } = start(&optional(&REQUIRED.replace("60000", "50")));
    let mut s = node.connect();
    assert_eq!(read_n(&mut s, 1), b"f");
    s.write_all(b"hello").unwrap();
    assert_eq!(read_n(&mut s, 5), b"hello");
}

#[test]
fn the_limit_of_connections_counts_the_client_of_the_header() {
    let Stage { mut node, near, far } = start(REQUIRED);
    node.apply(&[put(Kind::Settings, "node", r#"{"max_connections_per_client":1}"#)]);
    let mut first = node.connect();
    first.write_all(V1).unwrap();
    assert_eq!(read_n(&mut first, 1), b"n");
    let mut second = node.connect();
    let sent = second.write_all(V1);
    assert!(sent.is_err() || is_reset(&mut second));
    eventually("refused", || counts(&node, "client").1 == 1);
    assert_eq!(counts(&node, "connection_limit").0, 1);
    assert_eq!(through(&node, &[&v2("192.0.2.8:5"), b"hello"]), "nhello");
    drop(first);
    eventually("its place is free", || {
        let mut s = node.connect();
        s.write_all(V1).is_ok() && s.read(&mut [0]).is_ok_and(|n| n == 1)
    });
    drop((near, far));
}

#[test]
fn a_reload_that_takes_the_headers_away_refuses_a_header_that_has_begun() {
    let Stage { mut node, near, far } = start(REQUIRED);
    let mut s = node.connect();
    s.write_all(&V1[..10]).unwrap();
    eventually("accepted", || node.engine.metrics().tcp.connections.active == 1);
    let plain = listener(&node, "");
    node.apply(&[plain]);
    let sent = s.write_all(&V1[10..]);
    assert!(sent.is_err() || is_reset(&mut s));
    eventually("counted", || counts(&node, "proxy_untrusted") == (1, 1));
    assert_eq!(near.connections() + far.connections(), 0);
}

#[test]
fn the_hello_comes_after_the_header_and_its_name_is_told_on() {
    let (up, told) = echo(b'a', true);
    let Stage { mut node, .. } = start(REQUIRED);
    let keys = r#","pool":{"proxy_protocol":"v2"}"#;
    let named = r#"{"listeners":["web"],"upstream":"a","sni":["a.example"]}"#;
    node.apply(&[
        put(Kind::Upstream, "a", upstream_json(&[up.address], keys)),
        put(Kind::TcpRoute, "a", named),
    ]);
    let all = [V1, HELLO].concat();
    for cut in [1, 20, V1.len(), V1.len() + 9, all.len() - 1] {
        let got = through(&node, &[&all[..cut], &all[cut..]]);
        assert_eq!(got.as_bytes()[0], b'a');
    }
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 5);
    let mut ids: Vec<Vec<u8>> = Vec::new();
    for header in told.iter() {
        let Ok(Parse::Complete(header)) = parse(header) else { unreachable!() };
        assert_eq!(header.tlvs.get(kind::AUTHORITY), Some(&b"a.example"[..]));
        assert_eq!(header.tlvs.get(kind::ALPN), None);
        assert!(header.tlvs.get(kind::CRC32C).is_some());
        ids.push(header.tlvs.get(kind::UNIQUE_ID).unwrap().to_vec());
    }
    assert!(ids.iter().all(|id| id.len() == 32 && ids.iter().filter(|o| *o == id).count() == 1));
}

fn passed(header: &[u8]) -> (SocketAddr, SocketAddr) {
    let Ok(Parse::Complete(header)) = parse(header) else { unreachable!() };
    let Addresses::Passed { source, destination, .. } = header.addresses else { unreachable!() };
    (source, destination)
}

#[test]
fn endpoints_are_told_of_each_connection_before_its_first_byte() {
    for version in ["v1", "v2"] {
        let (up, told) = echo(b't', true);
        let Stage { mut node, .. } = start("");
        let keys = format!(r#","pool":{{"proxy_protocol":"{version}"}}"#);
        node.apply(&[put(Kind::Upstream, "f", upstream_json(&[up.address], &keys))]);
        let mut s = node.connect();
        // The client has sent nothing yet.
        assert_eq!(read_n(&mut s, 1), b"t");
        eventually("told", || told.lock().unwrap().len() == 1);
        let header = told.lock().unwrap()[0].clone();
        assert_eq!(header.starts_with(b"PROXY "), version == "v1");
        assert_eq!(passed(&header), (s.local_addr().unwrap(), node.address));
        s.write_all(b"hello").unwrap();
        assert_eq!(read_n(&mut s, 5), b"hello");
        drop(s);
        eventually("ended", || node.engine.metrics().tcp.connections.active == 0);
        let metrics = node.engine.metrics();
        assert_eq!((metrics.bytes_received, metrics.bytes_sent), (5, 6));
    }
}

#[test]
fn what_a_header_told_is_told_on() {
    let (up, told) = echo(b't', true);
    let Stage { mut node, .. } = start(REQUIRED);
    let keys = r#","pool":{"proxy_protocol":"v2"}"#;
    node.apply(&[put(Kind::Upstream, "n", upstream_json(&[up.address], keys))]);
    assert_eq!(through(&node, &[V1, b"hello"]), "thello");
    let ends = ("192.0.2.7:56324".parse().unwrap(), "198.51.100.2:443".parse().unwrap());
    assert_eq!(passed(&told.lock().unwrap()[0]), ends);
}

#[test]
fn the_endpoint_that_is_tried_next_is_told_as_well() {
    let (up, told) = echo(b't', true);
    let dead = unused_address();
    let Stage { mut node, .. } = start("");
    let keys = r#","pool":{"proxy_protocol":"v1"}"#;
    node.apply(&[put(Kind::Upstream, "f", upstream_json(&[dead, up.address], keys))]);
    for _ in 0..4 {
        assert_eq!(through(&node, &[b"hello"]), "thello");
    }
    assert_eq!(told.lock().unwrap().len(), 4);
}
