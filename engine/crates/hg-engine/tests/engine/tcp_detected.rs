//! Listeners of HTTP some of whose TLS connections belong to TCP routes, over real sockets.

use crate::common::tls::Authority;
use crate::common::{Node, Upstream, put, read_answer, read_n, upstream_json};
use hg_plan::Kind;
use std::io::{Read, Write};

/// A record of a ClientHello of TLS 1.2 with one cipher and this name (RFC 5246 §7.4.1.2, RFC 6066 §3).
fn hello(name: &str) -> Vec<u8> {
    let long = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    let names = long(&[&[0][..], &long(name.as_bytes())].concat());
    let extensions = long(&[&[0, 0][..], &long(&names)].concat());
    let body = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0xc0, 0x2f], &[1, 0], &extensions].concat();
    let message = [&[1, 0][..], &long(&body)].concat();
    [&[22, 3, 1][..], &long(&message)].concat()
}

#[test]
fn a_hello_is_served_by_http_unless_a_tcp_route_has_its_name() {
    let web = Upstream::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nweb");
    let raw = Upstream::play(|mut s| {
        let mut some = [0; 4096];
        while let Ok(n @ 1..) = s.read(&mut some) {
            s.write_all(&some[..n]).unwrap();
        }
    });
    let mut node = Node::simple(&web);
    let authority = Authority::serve(&mut node);
    let tls = r#","tls":{"default_certificate":"c","policy":"p"},"detect_timeout_ms":60000"#;
    let route = r#"{"listeners":["web"],"upstream":"raw","sni":["b.example"],"tls":"passthrough"}"#;
    node.apply(&[
        put(Kind::Listener, "web", node.listener_json(tls)),
        put(Kind::Upstream, "raw", upstream_json(&[raw.address], "")),
        put(Kind::TcpRoute, "t", route),
    ]);
    let mut s = authority.connect(&node);
    s.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut s).1, b"web");
    // A hello comes whole, or byte by byte.
    let hello = hello("b.example");
    for piece in [hello.len(), 1] {
        let mut s = node.connect();
        s.set_nodelay(true).unwrap();
        hello.chunks(piece).for_each(|part| s.write_all(part).unwrap());
        assert_eq!(read_n(&mut s, hello.len()), hello);
    }
    let detected = node.engine.metrics().tcp.detected;
    let count = |what: &str| detected.iter().find(|c| c.reason == what).map_or(0, |c| c.count);
    assert_eq!((count("tls"), count("http1")), (3, 0), "{detected:?}");
}
