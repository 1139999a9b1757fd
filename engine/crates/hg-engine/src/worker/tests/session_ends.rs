//! Sessions that end before they are at an endpoint, and those whose listener goes meanwhile.

use super::sessions::{closed, echo, ending_tls, node, open, pass_sessions, sessions};
use super::*;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::io::ErrorKind;
use std::sync::Arc;

/// Returns how many requests and TCP connections wait for a place.
fn waiting(node: &Node) -> u64 {
    node.engine.metrics().upstreams[0].waiting
}

/// Has a connection end with a reset.
fn reset(s: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&s, Some(std::time::Duration::ZERO)).unwrap();
    drop(s);
}

fn is_reset(s: &mut TcpStream) -> bool {
    s.read(&mut [0]).is_err_and(|e| e.kind() == ErrorKind::ConnectionReset)
}

#[test]
fn a_client_in_the_queue_may_end_its_half_and_gives_up_with_a_reset() {
    let up = echo();
    let limits = r#","max_connections":1,"queue":2,"queue_timeout_ms":600000"#;
    let node = node(&[up.address], limits, "");
    let first = open(&node);
    let second = node.connect();
    eventually("it waits", || waiting(&node) == 1);
    second.shutdown(Shutdown::Write).unwrap();
    // The worker takes the event before the second of these.
    on_worker(&node, |_| ());
    on_worker(&node, |_| ());
    assert_eq!((waiting(&node), sessions(&node)), (1, 2));
    reset(second);
    eventually("it waits no more", || waiting(&node) == 0);
    assert_eq!((closed(&node, "client-reset"), sessions(&node)), (1, 1));
    drop(first);
}

/// Has the node serve one more address, by a listener of TCP.
fn also_tcp(node: &mut Node) -> SocketAddr {
    let second = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = second.local_addr().unwrap();
    second.set_nonblocking(true).unwrap();
    node.engine.add_sockets(&address.to_string(), vec![second.into()]);
    let json = format!(r#"{{"addresses":["{address}"],"protocol":"tcp"}}"#);
    let route = r#"{"listeners":["second"],"upstream":"u"}"#;
    node.apply(&[put(Kind::Listener, "second", json), put(Kind::TcpRoute, "t", route)]);
    address
}

#[test]
fn requests_and_sessions_wait_in_one_queue() {
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let limits = r#","max_connections":1,"queue":3,"queue_timeout_ms":600000"#;
    let off = r#","timeouts":{"first_byte_ms":0,"stream_idle_ms":0}"#;
    let mut node = Node::start(&upstream_json(&[up.address], limits), off, 1);
    let address = also_tcp(&mut node);
    let _first = ask(&node, GET);
    eventually("it has the place", || up.connections() == 1);
    let mut others = Vec::new();
    for (n, is_tcp) in [(1, false), (2, true), (3, false)] {
        others.push(if is_tcp { TcpStream::connect(address).unwrap() } else { ask(&node, GET) });
        eventually("it waits", || waiting(&node) == n);
    }
    let mut session = TcpStream::connect(address).unwrap();
    session.set_read_timeout(Some(DEADLINE)).unwrap();
    assert!(is_reset(&mut session));
    assert_eq!(closed(&node, "queue-full"), 1);
    let mut request = ask(&node, GET);
    assert!(read_head(&mut request).unwrap().starts_with("HTTP/1.1 503 "));
    assert_eq!(waiting(&node), 3);
}

/// Returns the first bytes of a client that asks for `a.example`.
fn hello() -> Vec<u8> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from("a.example").unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// Sends back what comes, and a letter before it.
fn letter(letter: u8) -> Upstream {
    Upstream::play(move |mut s| {
        let mut copy = s.try_clone().unwrap();
        copy.write_all(&[letter]).unwrap();
        let _ = std::io::copy(&mut s, &mut copy);
    })
}

const NAMED: &str = r#","sni":["a.example"]"#;

#[test]
fn a_hello_is_routed_by_the_newest_plan_that_has_its_listener() {
    for comes_back in [false, true] {
        let (a, b) = (letter(b'a'), letter(b'b'));
        let mut node = node(&[a.address], "", NAMED);
        let listener = format!(r#"{{"addresses":["{}"],"protocol":"tcp"}}"#, node.address);
        node.apply(&[put(Kind::Settings, "node", r#"{"drain":{"deadline_ms":3600000}}"#)]);
        let bytes = hello();
        let mut s = node.connect();
        s.write_all(&bytes[..50]).unwrap();
        eventually("it has begun", || node.engine.metrics().bytes_received == 50);
        let gone = |kind, name: &str| Change { kind, name: name.into(), bytes: None };
        node.apply(&[gone(Kind::Listener, "web"), gone(Kind::TcpRoute, "t")]);
        if comes_back {
            let route = format!(r#"{{"listeners":["web"],"upstream":"v"{NAMED}}}"#);
            node.apply(&[
                put(Kind::Upstream, "v", upstream_json(&[b.address], "")),
                put(Kind::Listener, "web", listener),
                put(Kind::TcpRoute, "t", route),
            ]);
        }
        s.write_all(&bytes[50..]).unwrap();
        let got = read_n(&mut s, 1 + bytes.len());
        assert_eq!((got[0], &got[1..]), (if comes_back { b'b' } else { b'a' }, &bytes[..]));
        // Of what passes through, the hello is a part.
        let all = bytes.len() as u64;
        assert_eq!(node.engine.metrics().bytes_received, all);
    }
}

#[test]
fn a_client_that_was_not_known_when_its_listener_went_has_the_routes_of_that_time() {
    let up = letter(b'a');
    let mut node = Node::simple(&Upstream::answering(OK));
    let route = format!(r#"{{"listeners":["web"],"upstream":"t"{NAMED}}}"#);
    node.apply(&[
        put(Kind::Listener, "web", node.listener_json(r#","detect_timeout_ms":60000"#)),
        put(Kind::Upstream, "t", upstream_json(&[up.address], "")),
        put(Kind::TcpRoute, "t", route),
    ]);
    let bytes = hello();
    let mut s = ask(&node, &bytes[..3]);
    eventually("it has begun", || {
        on_worker(&node, |w| w.clients.iter().any(|(_, c)| c.input.len() == 3))
    });
    let gone = |kind, name: &str| Change { kind, name: name.into(), bytes: None };
    node.apply(&[gone(Kind::Listener, "web"), gone(Kind::Route, "r"), gone(Kind::TcpRoute, "t")]);
    s.write_all(&bytes[3..]).unwrap();
    assert_eq!(read_n(&mut s, 1 + bytes.len())[1..], bytes);
}

#[test]
fn a_session_that_waits_for_its_hello_has_the_time_of_a_drain_when_its_listener_goes() {
    let up = echo();
    let mut node = node(&[up.address], "", NAMED);
    node.apply(&[put(Kind::Settings, "node", r#"{"drain":{"deadline_ms":3000}}"#)]);
    let _s = node.connect();
    eventually("it is accepted", || sessions(&node) == 1);
    let gone = |kind, name: &str| Change { kind, name: name.into(), bytes: None };
    node.apply(&[gone(Kind::Listener, "web"), gone(Kind::TcpRoute, "t")]);
    pass_sessions(&node, 3_050);
    assert_eq!((sessions(&node), closed(&node, "route-removed")), (0, 1));
}

#[test]
fn of_a_client_whose_tls_ends_here_what_is_inside_is_counted() {
    let up = echo();
    let (node, authority) = ending_tls(&up);
    let mut s = authority.connect(&node);
    s.write_all(b"inside").unwrap();
    assert_eq!(read_n(&mut s, 6), b"inside");
    eventually("all is counted", || {
        let metrics = node.engine.metrics();
        (metrics.bytes_received, metrics.bytes_sent) == (6, 6)
    });
}

/// An endpoint that takes a hello, then sends a part of a record and its end at once.
struct HangsUp {
    up: Upstream,
    asked: mpsc::Receiver<()>,
    go: mpsc::Sender<()>,
    gone: mpsc::Receiver<()>,
}

impl HangsUp {
    fn new() -> Self {
        let ((ask, asked), (go, wait)) = (mpsc::channel(), mpsc::channel::<()>());
        let (tell, gone) = mpsc::channel();
        let all = Mutex::new((ask, wait, tell));
        let up = Upstream::play(move |mut s| {
            let all = all.lock().unwrap();
            let _ = s.read(&mut [0; 4096]);
            all.0.send(()).unwrap();
            let _ = all.1.recv_timeout(DEADLINE);
            s.write_all(&[22, 3, 3, 0, 100, 2]).unwrap();
            s.shutdown(Shutdown::Write).unwrap();
            all.2.send(()).unwrap();
        });
        Self { up, asked, go, gone }
    }

    /// Lets it hang up while the worker does something else.
    fn play(&self, node: &Node) {
        self.asked.recv_timeout(DEADLINE).unwrap();
        let held = Held::new(node);
        self.go.send(()).unwrap();
        self.gone.recv_timeout(DEADLINE).unwrap();
        drop(held);
    }
}

#[test]
fn an_endpoint_that_hangs_up_in_its_handshake_has_failed_at_once() {
    let tls = r#","tls":{"verify":false},"connect_timeout_ms":600000"#;
    let endpoint = HangsUp::new();
    let sessions = node(&[endpoint.up.address], tls, "");
    let mut s = sessions.connect();
    endpoint.play(&sessions);
    assert!(is_reset(&mut s));
    assert_eq!(closed(&sessions, "connect-tls"), 1);

    let endpoint = HangsUp::new();
    let requests = Node::start(&upstream_json(&[endpoint.up.address], tls), "", 1);
    let mut s = ask(&requests, GET);
    endpoint.play(&requests);
    assert!(read_head(&mut s).unwrap().starts_with("HTTP/1.1 502 "));
}

#[test]
fn a_route_may_have_the_tls_of_a_name_passed_through_where_its_listener_ends_others() {
    let (inside, through) = (echo(), letter(b't'));
    let (mut node, authority) = ending_tls(&inside);
    let route = r#"{"listeners":["web"],"upstream":"t","sni":["a.example"],"tls":"passthrough"}"#;
    node.apply(&[
        put(Kind::Upstream, "t", upstream_json(&[through.address], "")),
        put(Kind::TcpRoute, "p", route),
    ]);
    let bytes = hello();
    let mut s = node.connect();
    s.write_all(&bytes).unwrap();
    assert_eq!(read_n(&mut s, 1 + bytes.len())[1..], bytes);
    eventually("all is counted", || node.engine.metrics().bytes_received == bytes.len() as u64);
    node.apply(&[Change { kind: Kind::TcpRoute, name: "p".into(), bytes: None }]);
    let mut s = authority.connect(&node);
    s.write_all(b"inside").unwrap();
    assert_eq!(read_n(&mut s, 6), b"inside");
}

#[test]
fn a_client_that_ends_its_half_before_it_is_known_hears_the_server() {
    let up = Upstream::play(|mut s| {
        s.write_all(b"hello").unwrap();
        drop(read_all(&mut s));
    });
    let mut node = Node::simple(&Upstream::answering(OK));
    let route = r#"{"listeners":["web"],"upstream":"t"}"#;
    node.apply(&[
        put(Kind::Listener, "web", node.listener_json(r#","detect_timeout_ms":60000"#)),
        put(Kind::Upstream, "t", upstream_json(&[up.address], "")),
        put(Kind::TcpRoute, "t", route),
    ]);
    let mut s = node.connect();
    s.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut s), b"hello");
    eventually("both halves have ended", || closed(&node, "client-end") == 1);
}
