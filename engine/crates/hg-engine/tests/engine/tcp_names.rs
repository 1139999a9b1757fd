//! TCP routes by the name in a ClientHello, over real sockets: which endpoint gets a connection, that
//! it gets every byte as it was sent, and what becomes of connections without a usable hello.

use crate::common::{DEADLINE, Node, Upstream, eventually, put, read_all, read_n, upstream_json};
use hg_plan::{Change, Kind};
use hg_policy::{Random as _, WyRand};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, LazyLock};

static CLIENT: LazyLock<ClientConfig> = LazyLock::new(|| {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
});

/// What a client sends first that asks for a name (an address sends none) and offers protocols.
fn hello(name: &str, alpn: &[&str]) -> Vec<u8> {
    let mut config = CLIENT.clone();
    config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// Sends its letter, then back what comes, and its end.
fn echo(letter: u8) -> Upstream {
    Upstream::play(move |mut s| {
        let mut copy = s.try_clone().unwrap();
        copy.write_all(&[letter]).unwrap();
        let _ = std::io::copy(&mut s, &mut copy);
        let _ = copy.shutdown(Shutdown::Write);
    })
}

struct Named {
    node: Node,
    echoes: Vec<Upstream>,
}

/// Starts a node with a route for each of these letters, and these further keys of the routes and
/// of the listener.
fn start(routes: &[(&str, &str)], listener: &str) -> Named {
    let echoes: Vec<Upstream> = routes.iter().map(|(l, _)| echo(l.as_bytes()[0])).collect();
    let mut node = Node::start(&upstream_json(&[echoes[0].address], ""), "", 1);
    let json = format!(r#"{{"addresses":["{}"],"protocol":"tcp"{listener}}}"#, node.address);
    let mut changes = vec![
        put(Kind::Listener, "web", json),
        Change { kind: Kind::Route, name: "r".into(), bytes: None },
    ];
    for ((letter, keys), echo) in routes.iter().zip(&echoes) {
        let json = format!(r#"{{"listeners":["web"],"upstream":"{letter}"{keys}}}"#);
        changes.push(put(Kind::TcpRoute, letter, json));
        changes.push(put(Kind::Upstream, letter, upstream_json(&[echo.address], "")));
    }
    node.apply(&changes);
    Named { node, echoes }
}

fn closed(node: &Node, reason: &str) -> u64 {
    let all = node.engine.metrics().tcp.closed;
    all.iter().find(|c| c.reason == reason).map_or(0, |c| c.count)
}

fn ends_as(node: &Node, reason: &str, times: u64) {
    eventually(reason, || closed(node, reason) == times);
    // An end is counted before all is given back.
    eventually("nothing is open", || {
        let metrics = node.engine.metrics();
        metrics.tcp.connections.active == 0 && metrics.listeners.iter().all(|l| l.connections == 0)
    });
}

/// Sends bytes in pieces, ends, and returns what came back: a letter and the same bytes.
fn through(node: &Node, pieces: &[&[u8]]) -> Vec<u8> {
    let mut s = node.connect();
    s.set_nodelay(true).unwrap();
    for piece in pieces {
        s.write_all(piece).unwrap();
        // The node may read it before the next one comes.
        node.engine.metrics();
    }
    s.shutdown(Shutdown::Write).unwrap();
    read_all(&mut s)
}

fn letter(node: &Node, bytes: &[u8]) -> char {
    let got = through(node, &[bytes]);
    assert_eq!(&got[1..], bytes, "unchanged");
    got[0].into()
}

fn is_reset(stream: &mut TcpStream) -> bool {
    let end = stream.read_to_end(&mut Vec::new());
    matches!(end, Err(e) if e.kind() == ErrorKind::ConnectionReset)
}

/// Reports whether a connection that sends these bytes, and then perhaps its end, is reset.
fn resets(node: &Node, bytes: &[u8], ends: bool) -> bool {
    let mut s = node.connect();
    s.set_read_timeout(Some(DEADLINE)).unwrap();
    let sent = s.write_all(bytes);
    if ends {
        let _ = s.shutdown(Shutdown::Write);
    }
    sent.is_err() || is_reset(&mut s)
}

#[test]
fn the_name_and_the_protocols_choose_the_route() {
    let routes = [
        ("a", r#","sni":["a.example"]"#),
        ("h", r#","sni":["a.example"],"alpn":["h2"]"#),
        ("w", r#","sni":["*.example"]"#),
        ("n", ""),
    ];
    let Named { node, .. } = start(&routes, "");
    assert_eq!(letter(&node, &hello("a.example", &[])), 'a');
    assert_eq!(letter(&node, &hello("A.Example", &["http/1.1", "h2"])), 'h');
    assert_eq!(letter(&node, &hello("x.y.example", &["h2"])), 'w');
    assert_eq!(letter(&node, &hello("a.test", &[])), 'n');
    assert_eq!(letter(&node, &hello("192.0.2.1", &[])), 'n');
    ends_as(&node, "client-end", 5);
}

#[test]
fn every_byte_arrives_however_the_hello_is_cut() {
    let Named { node, .. } = start(&[("a", r#","sni":["a.example"]"#)], "");
    let mut random = WyRand::new(7);
    let bytes = [hello("a.example", &["h2"]), vec![7; 50_000]].concat();
    for _ in 0..30 {
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let most = [1, 20, 900, 60_000][random.below(4) as usize];
            // Not the whole of it byte by byte.
            let most = if pieces.len() > 60 { rest.len() as u64 } else { most };
            let (now, later) = rest.split_at((random.below(most) as usize + 1).min(rest.len()));
            pieces.push(now);
            rest = later;
        }
        let got = through(&node, &pieces);
        assert!(got[0] == b'a' && got[1..] == bytes);
    }
    ends_as(&node, "client-end", 30);
    let sent = bytes.len() as u64 * 30;
    assert_eq!(node.engine.metrics().bytes_received, sent);
}

#[test]
fn a_listener_without_names_waits_for_no_byte() {
    let Named { node, .. } = start(&[("a", r#","client":["127.0.0.0/8"]"#)], "");
    assert_eq!(read_n(&mut node.connect(), 1), b"a");
}

#[test]
fn a_hello_that_ends_anywhere_is_reset_and_never_reaches_an_endpoint() {
    let Named { node, echoes } = start(&[("a", r#","sni":["*"]"#)], "");
    let bytes = hello("a.example", &[]);
    for end in 0..bytes.len() {
        assert!(resets(&node, &bytes[..end], true), "{end}");
    }
    ends_as(&node, "hello-cut", bytes.len() as u64);
    assert_eq!(echoes[0].connections(), 0);
}

#[test]
fn what_is_no_hello_is_reset_and_counted_by_reason() {
    let Named { node, echoes } = start(&[("a", r#","sni":["a.example"]"#)], "");
    let refused: [(&str, &[u8]); 5] = [
        ("not-tls", b"GET / HTTP/1.1\r\n\r\n"),
        ("not-tls", b"\x00\x00\x00\x08\x04\xd2\x16\x2f"),
        ("bad-hello", b"\x16\x03\x01\x00\x04\x02\x00\x00\x00"),
        ("hello-too-long", b"\x16\x03\x01\x00\x04\x01\x01\x00\x00"),
        ("no-route", &hello("b.example", &[])),
    ];
    let mut seen: Vec<&str> = Vec::new();
    for (reason, bytes) in refused {
        assert!(resets(&node, bytes, false), "{reason}");
        seen.push(reason);
        ends_as(&node, reason, seen.iter().filter(|one| **one == reason).count() as u64);
    }
    assert_eq!(echoes[0].connections(), 0);
    assert_eq!(letter(&node, &hello("a.example", &[])), 'a');
}

#[test]
fn a_hello_that_does_not_come_in_time_is_reset() {
    let listener = r#","handshake_timeout_ms":60"#;
    let Named { node, .. } = start(&[("a", r#","sni":["a.example"]"#)], listener);
    assert!(resets(&node, b"", false));
    assert!(resets(&node, &hello("a.example", &[])[..100], false));
    ends_as(&node, "hello-timeout", 2);
}

#[test]
fn the_time_for_a_hello_ends_with_it() {
    let listener = r#","handshake_timeout_ms":60"#;
    let Named { node, .. } = start(&[("a", r#","sni":["a.example"]"#)], listener);
    let bytes = hello("a.example", &[]);
    // On a slow machine the first ones may come too late.
    let begun = || {
        let mut s = node.connect();
        s.write_all(&bytes).ok()?;
        s.read_exact(&mut vec![0; 1 + bytes.len()]).ok()?;
        Some(s)
    };
    let mut s = (0..100).find_map(|_| begun()).unwrap();
    assert!(resets(&node, b"", false), "a later one");
    s.write_all(b"still here").unwrap();
    assert_eq!(read_n(&mut s, 10), b"still here");
}

#[test]
fn a_hello_that_a_reload_interrupts_has_the_route_of_the_newer_plan() {
    let Named { mut node, .. } = start(&[("a", r#","sni":["a.example"]"#)], "");
    let bytes = hello("b.example", &[]);
    let mut s = node.connect();
    s.write_all(&bytes[..50]).unwrap();
    eventually("read", || node.engine.metrics().bytes_received == 50);
    let json = r#"{"listeners":["web"],"upstream":"a","sni":["b.example"]}"#;
    node.apply(&[put(Kind::TcpRoute, "a", json)]);
    s.write_all(&bytes[50..]).unwrap();
    assert_eq!(read_n(&mut s, 1 + bytes.len())[1..], bytes);
}

#[test]
fn a_broken_condition_is_refused_with_its_place() {
    let Named { node, .. } = start(&[("a", "")], "");
    let json = r#"{"listeners":["web"],"upstream":"a","sni":["a.example","A"],"alpn":["h2",""]}"#;
    let refused = node.refused(&[put(Kind::TcpRoute, "a", json)]);
    assert_eq!(refused.len(), 1);
    assert!(refused[0].contains("sni[1]"), "{refused:?}");
}
