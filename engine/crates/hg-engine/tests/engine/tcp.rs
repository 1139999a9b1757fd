//! TCP routes over real sockets: bytes, ends, resets, timeouts, limits, other endpoints.

use crate::common::tls::Authority;
use crate::common::{
    DEADLINE, Node, Upstream, eventually, put, read_all, read_n, unused_address, upstream_json,
};
use hg_engine::EngineMetrics;
use hg_plan::{Change, Digest, Kind};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;

/// Sends back what comes, and its end.
fn echo() -> Upstream {
    Upstream::play(|mut s| {
        let mut copy = s.try_clone().unwrap();
        let _ = std::io::copy(&mut s, &mut copy);
        let _ = copy.shutdown(Shutdown::Write);
    })
}

fn route(rest: &str) -> Change {
    put(Kind::TcpRoute, "t", format!(r#"{{"listeners":["web"],"upstream":"u"{rest}}}"#))
}

fn listener(address: SocketAddr, rest: &str) -> Change {
    let json = format!(r#"{{"addresses":["{address}"],"protocol":"tcp"{rest}}}"#);
    put(Kind::Listener, "web", json)
}

/// Starts a node whose only listener has a TCP route.
fn node(upstream: &str, rest: &str, workers: usize) -> Node {
    let mut node = Node::start(upstream, "", workers);
    let gone = Change { kind: Kind::Route, name: "r".into(), bytes: None };
    node.apply(&[listener(node.address, ""), gone, route(rest)]);
    node
}

fn to(upstream: &Upstream) -> Node {
    node(&upstream_json(&[upstream.address], ""), "", 1)
}

fn closed(metrics: &EngineMetrics, reason: &str) -> u64 {
    metrics.tcp.closed.iter().find(|c| c.reason == reason).map_or(0, |c| c.count)
}

fn ends_as(node: &Node, reason: &str) {
    eventually(reason, || closed(&node.engine.metrics(), reason) == 1);
    // An end is counted before all is given back.
    eventually("nothing is held", || {
        let metrics = node.engine.metrics();
        let mut endpoints = metrics.upstreams.iter().flat_map(|u| &u.endpoints);
        metrics.tcp.connections.active == 0
            && metrics.listeners.iter().all(|l| l.connections == 0)
            && endpoints.all(|e| e.active == 0)
    });
}

fn is_reset(stream: &mut TcpStream) -> bool {
    let end = stream.read_to_end(&mut Vec::new());
    matches!(end, Err(e) if e.kind() == ErrorKind::ConnectionReset)
}

/// Reports whether a new connection is reset, be it before `connect` returns.
fn is_refused(node: &Node) -> bool {
    match TcpStream::connect(node.address) {
        Ok(mut stream) => {
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            is_reset(&mut stream)
        }
        Err(e) => e.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn bytes_and_ends_pass_in_both_directions() {
    let echo = echo();
    let node = to(&echo);
    let mut s = node.connect();
    s.write_all(b"hello").unwrap();
    assert_eq!(read_n(&mut s, 5), b"hello");
    s.write_all(b" world").unwrap();
    s.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut s), b" world");
    ends_as(&node, "client-end");
    let metrics = node.engine.metrics();
    assert_eq!((metrics.bytes_received, metrics.bytes_sent), (11, 11));
    assert_eq!(metrics.upstreams[0].endpoints[0].connects, 1);
    assert_eq!(metrics.tcp.connections.total, 1);
}

#[test]
fn the_server_may_speak_first_and_end_first() {
    let upstream = Upstream::play(|mut s| {
        s.write_all(b"220 ready\r\n").unwrap();
        s.shutdown(Shutdown::Write).unwrap();
        // Its half has ended; the client's has not.
        assert_eq!(read_all(&mut s), b"late");
    });
    let node = to(&upstream);
    let mut s = node.connect();
    assert_eq!(read_all(&mut s), b"220 ready\r\n");
    s.write_all(b"late").unwrap();
    drop(s);
    ends_as(&node, "endpoint-end");
}

#[test]
fn much_passes_unchanged_in_both_directions_at_once() {
    let echo = echo();
    let node = to(&echo);
    let sent: Vec<u8> = (0..24u32 << 20).map(|i| (i ^ (i >> 11)) as u8).collect();
    let mut s = node.connect();
    let mut writer = s.try_clone().unwrap();
    let copy = sent.clone();
    let sender = std::thread::spawn(move || {
        writer.write_all(&copy).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut got = Vec::new();
    s.read_to_end(&mut got).unwrap();
    sender.join().unwrap();
    assert!(got == sent);
    ends_as(&node, "client-end");
}

#[test]
fn a_reset_of_either_side_reaches_the_other_as_a_reset() {
    let (tell, told) = mpsc::channel();
    let upstream = Upstream::play(move |mut s| {
        s.set_read_timeout(Some(DEADLINE)).unwrap();
        s.write_all(b"x").unwrap();
        tell.send(is_reset(&mut s)).unwrap();
    });
    let node = to(&upstream);
    let mut s = node.connect();
    assert_eq!(read_n(&mut s, 1), b"x");
    rustix::net::sockopt::set_socket_linger(&s, Some(std::time::Duration::ZERO)).unwrap();
    drop(s);
    assert!(told.recv_timeout(DEADLINE).unwrap());
    ends_as(&node, "client-reset");

    let upstream = Upstream::play(|mut s| {
        assert_eq!(read_n(&mut s, 1), b"x");
        rustix::net::sockopt::set_socket_linger(&s, Some(std::time::Duration::ZERO)).unwrap();
    });
    let node = to(&upstream);
    let mut s = node.connect();
    s.write_all(b"x").unwrap();
    assert!(is_reset(&mut s));
    ends_as(&node, "endpoint-reset");
}

#[test]
fn a_reset_is_seen_while_the_other_side_takes_nothing() {
    let (release, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let upstream = Upstream::play(move |s| {
        let _ = wait.lock().unwrap().recv();
        drop(s);
    });
    let node = to(&upstream);
    let mut s = node.connect();
    s.set_nonblocking(true).unwrap();
    let block = vec![7; 1 << 20];
    // Fills every buffer on the way.
    let mut quiet = 0;
    while quiet < 50 {
        match s.write(&block) {
            Ok(1..) => quiet = 0,
            _ => {
                quiet += 1;
                std::thread::yield_now();
                node.engine.metrics();
            }
        }
    }
    rustix::net::sockopt::set_socket_linger(&s, Some(std::time::Duration::ZERO)).unwrap();
    drop(s);
    ends_as(&node, "client-reset");
    release.send(()).unwrap();
}

#[test]
fn another_endpoint_takes_what_one_refuses() {
    let echo = echo();
    let gone = unused_address();
    let node = node(&upstream_json(&[gone, echo.address], ""), "", 1);
    for _ in 0..4 {
        let mut s = node.connect();
        s.write_all(b"hi").unwrap();
        s.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(&mut s), b"hi");
    }
    let metrics = node.engine.metrics();
    let failed = &metrics.upstreams[0].endpoints[0];
    assert!(failed.connect_failures > 0 && failed.failures == failed.connect_failures);
    assert_eq!(metrics.upstreams[0].served.retries, failed.failures);
    assert_eq!(echo.connections(), 4);
}

#[test]
fn no_endpoint_at_all_is_a_reset_with_its_reason() {
    let gone = unused_address();
    let node = node(&upstream_json(&[gone], ""), "", 1);
    assert!(is_refused(&node));
    ends_as(&node, "connect-refused");
    let metrics = node.engine.metrics();
    let upstream = &metrics.upstreams[0];
    assert_eq!(
        (upstream.served.retries, upstream.endpoints[0].failures),
        (0, 1),
        "there is no other"
    );
}

#[test]
fn an_endpoint_that_refuses_is_ejected() {
    let echo = echo();
    let gone = unused_address();
    let outliers = r#","health":{"outliers":{"consecutive_local":3}}"#;
    let node = node(&upstream_json(&[gone, echo.address], outliers), "", 1);
    eventually("ejected", || {
        drop(node.connect());
        let status = node.engine.status();
        let endpoints = status.upstreams.iter().flat_map(|u| &u.endpoints);
        endpoints.map(|e| e.health.state).eq(["ejected", "up"])
    });
}

#[test]
fn a_breaker_opens_and_says_so() {
    let gone = unused_address();
    let breaker = r#","health":{"breaker":{"failures":2}}"#;
    let node = node(&upstream_json(&[gone], breaker), "", 1);
    eventually("open", || {
        is_refused(&node);
        closed(&node.engine.metrics(), "breaker-open") > 0
    });
}

#[test]
fn silence_ends_a_session_and_so_does_its_lifetime() {
    for (timeouts, reason) in
        [(r#"{"idle_ms":60}"#, "idle-timeout"), (r#"{"lifetime_ms":60}"#, "lifetime")]
    {
        let echo = echo();
        let rest = format!(r#","timeouts":{timeouts}"#);
        let node = node(&upstream_json(&[echo.address], ""), &rest, 1);
        let mut s = node.connect();
        // The reset may come before anything is written, which then tells of it.
        assert!(s.write_all(b"x").is_err() || is_reset(&mut s), "{reason}");
        ends_as(&node, reason);
    }
}

#[test]
fn a_half_open_session_ends_after_a_time_of_its_own() {
    let upstream = Upstream::play(|mut s| drop(read_all(&mut s)));
    let hangs = Upstream::play(|mut s| {
        read_all(&mut s);
        std::thread::park_timeout(DEADLINE);
    });
    let rest = r#","timeouts":{"half_open_ms":60}"#;
    let node = node(&upstream_json(&[hangs.address], ""), rest, 1);
    let mut s = node.connect();
    s.shutdown(Shutdown::Write).unwrap();
    assert!(is_reset(&mut s));
    ends_as(&node, "half-open-timeout");
    drop(upstream);
}

#[test]
fn the_limit_of_an_upstream_makes_connections_wait() {
    let echo = echo();
    let limits = r#","max_connections":1,"queue":1,"queue_timeout_ms":60000"#;
    let node = node(&upstream_json(&[echo.address], limits), "", 1);
    let mut first = node.connect();
    first.write_all(b"1").unwrap();
    assert_eq!(read_n(&mut first, 1), b"1");
    let mut second = node.connect();
    second.write_all(b"2").unwrap();
    eventually("waits", || node.engine.metrics().upstreams[0].waiting == 1);
    assert!(is_refused(&node));
    assert_eq!(closed(&node.engine.metrics(), "queue-full"), 1);
    drop(first);
    assert_eq!(read_n(&mut second, 1), b"2");
    assert_eq!(node.engine.metrics().upstreams[0].waiting, 0);
}

#[test]
fn a_place_in_the_queue_is_given_back_though_the_upstream_is_gone() {
    let echo = echo();
    let json = upstream_json(
        &[echo.address],
        r#","max_connections":1,"queue":1,"queue_timeout_ms":60000"#,
    );
    let mut node = node(&json, "", 1);
    let mut first = node.connect();
    first.write_all(b"1").unwrap();
    assert_eq!(read_n(&mut first, 1), b"1");
    let mut second = node.connect();
    second.write_all(b"2").unwrap();
    eventually("waits", || node.engine.metrics().upstreams[0].waiting == 1);
    let gone = Change { kind: Kind::Upstream, name: "u".into(), bytes: None };
    let other = r#"{"listeners":["web"],"upstream":"v"}"#;
    node.apply(&[
        put(Kind::Upstream, "v", upstream_json(&[echo.address], "")),
        put(Kind::TcpRoute, "t", other),
        gone,
    ]);
    assert!(is_reset(&mut second));
    node.apply(&[put(Kind::Upstream, "u", json), route("")]);
    let mut third = node.connect();
    third.write_all(b"3").unwrap();
    let waiting =
        |node: &Node| node.engine.metrics().upstreams.iter().map(|u| u.waiting).sum::<u64>();
    eventually("another one waits", || waiting(&node) == 1);
    drop(first);
    assert_eq!(read_n(&mut third, 1), b"3");
    assert_eq!(waiting(&node), 0);
}

#[test]
fn a_handshake_answers_to_the_policy_that_is_served_now() {
    let echo = echo();
    let mut node = Node::simple(&echo);
    let authority = Authority::serve(&mut node);
    let tls = r#","tls":{"default_certificate":"c","policy":"p"}"#;
    let gone = Change { kind: Kind::Route, name: "r".into(), bytes: None };
    node.apply(&[listener(node.address, tls), gone, route("")]);
    let (before, early) = (authority.connect(&node), node.connect());
    drop(before);
    let ca = rcgen::generate_simple_self_signed(["ca".to_owned()]).unwrap().cert.pem();
    let hex = Digest::of(ca.as_bytes()).hex();
    let policy = format!(r#"{{"client_auth":{{"ca":"{hex}","required":true}}}}"#);
    node.apply_with(&[put(Kind::TlsPolicy, "p", policy)], &|sha| {
        (sha == hex).then(|| ca.as_bytes().into())
    });
    let mut late = authority.over(early, &[]);
    let ended = late.write_all(b"x").and_then(|()| late.read(&mut [0]));
    assert!(!matches!(ended, Ok(1..)), "{ended:?}");
    eventually("it is refused", || closed(&node.engine.metrics(), "tls-handshake") == 1);
}

#[test]
fn the_limit_of_a_listener_holds() {
    let echo = echo();
    let mut node = to(&echo);
    node.apply(&[listener(node.address, r#","max_connections":1"#)]);
    let mut first = node.connect();
    first.write_all(b"1").unwrap();
    assert_eq!(read_n(&mut first, 1), b"1");
    assert!(is_refused(&node));
    drop(first);
    ends_as(&node, "client-end");
}

#[test]
fn clients_choose_routes_and_endpoints_by_their_address() {
    let (echo, other) = (echo(), Upstream::play(|mut s| s.write_all(b"other").unwrap()));
    let mut node = to(&echo);
    let v = put(Kind::Upstream, "v", upstream_json(&[other.address], ""));
    let json = r#"{"listeners":["web"],"upstream":"v","client":["127.0.0.0/8"]}"#;
    node.apply(&[v, put(Kind::TcpRoute, "local", json)]);
    assert_eq!(read_all(&mut node.connect()), b"other");
    let gone = Change { kind: Kind::TcpRoute, name: "t".into(), bytes: None };
    let json = r#"{"listeners":["web"],"upstream":"v","client":["10.0.0.0/8"]}"#;
    node.apply(&[gone, put(Kind::TcpRoute, "local", json)]);
    assert!(is_refused(&node));
    eventually("no route", || closed(&node.engine.metrics(), "no-route") == 1);
}

#[test]
fn a_hash_of_the_client_keeps_its_endpoint() {
    let play = |name: &'static [u8]| Upstream::play(move |mut s| s.write_all(name).unwrap());
    let all = [play(b"a"), play(b"b"), play(b"c")];
    let addresses = all.each_ref().map(|u| u.address);
    let balance = r#","balance":{"maglev":{"key":"client_ip"}}"#;
    let node = node(&upstream_json(&addresses, balance), "", 1);
    let first = read_all(&mut node.connect());
    for _ in 0..8 {
        assert_eq!(read_all(&mut node.connect()), first);
    }
}

#[test]
fn a_change_of_other_objects_leaves_a_session_alone_and_a_removed_route_drains() {
    let echo = echo();
    let mut node = to(&echo);
    let mut s = node.connect();
    for n in 0..20 {
        let other = put(Kind::Upstream, "v", upstream_json(&[echo.address], &weight(n)));
        node.apply(&[other, listener(node.address, &format!(r#","backlog":{}"#, 100 + n))]);
        s.write_all(b"x").unwrap();
        assert_eq!(read_n(&mut s, 1), b"x");
    }
    let drain = r#"{"drain":{"deadline_ms":200}}"#;
    let gone = Change { kind: Kind::TcpRoute, name: "t".into(), bytes: None };
    node.apply(&[put(Kind::Settings, "node", drain), gone]);
    assert!(is_refused(&node));
    assert!(is_reset(&mut s));
    ends_as(&node, "route-removed");
}

fn weight(n: u32) -> String {
    format!(r#","max_connections":{n}"#)
}

#[test]
fn a_drain_waits_and_cuts_what_is_left_at_its_deadline() {
    let echo = echo();
    let mut node = to(&echo);
    let drain = r#"{"drain":{"delay_ms":1,"idle_grace_ms":1,"deadline_ms":4000}}"#;
    node.apply(&[put(Kind::Settings, "node", drain)]);
    let mut s = node.connect();
    s.write_all(b"x").unwrap();
    assert_eq!(read_n(&mut s, 1), b"x");
    node.engine.drain(Box::new(|| ()));
    s.write_all(b"y").unwrap();
    assert_eq!(read_n(&mut s, 1), b"y");
    assert!(is_reset(&mut s));
    eventually("finished", || node.engine.is_drained());
    assert_eq!(closed(&node.engine.metrics(), "drain-deadline"), 1);
    let events = node.engine.take_events();
    let cut = events.iter().find(|e| e.kind == "drain.cut").unwrap();
    assert_eq!(cut.message, "1 TCP connections were cut at the deadline of the drain");
}

#[test]
fn routes_of_one_kind_do_not_attach_to_listeners_of_the_other() {
    let echo = echo();
    let http = Node::simple(&echo);
    let told = http.refused(&[route("")]);
    let what =
        "TcpRoute t: listeners[0]: listener `web` speaks HTTP; name one whose protocol is `tcp`";
    assert_eq!(told, [what]);
    let tcp = to(&echo);
    let told = tcp.refused(&[put(Kind::Route, "r", crate::common::route_json(""))]);
    let what = "Route r: listeners[0]: listener `web` does not speak HTTP; name one whose protocol is `http`";
    assert_eq!(told, [what]);
}
