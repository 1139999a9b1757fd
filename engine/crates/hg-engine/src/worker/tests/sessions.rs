//! The times of TCP sessions at their edges: nothing ends before them, and something does after.

use super::times::deaf;
use super::*;
use crate::worker::tcp::KIND_SESSION;
use hg_net::{Clock, Token};

/// Starts a node whose only listener has a TCP route to these endpoints.
pub(in crate::worker) fn node(endpoints: &[SocketAddr], upstream: &str, route: &str) -> Node {
    let mut node = Node::start(&upstream_json(endpoints, upstream), "", 1);
    let listener = format!(r#"{{"addresses":["{}"],"protocol":"tcp"}}"#, node.address);
    let json = format!(r#"{{"listeners":["web"],"upstream":"u"{route}}}"#);
    node.apply(&[
        put(Kind::Listener, "web", listener),
        Change { kind: Kind::Route, name: "r".into(), bytes: None },
        put(Kind::TcpRoute, "t", json),
    ]);
    node
}

/// Starts a node whose TCP listener ends TLS.
pub(in crate::worker) fn ending_tls(up: &Upstream) -> (Node, Authority) {
    let mut node = Node::start(&upstream_json(&[up.address], ""), "", 1);
    let authority = Authority::serve(&mut node);
    let tls = r#""tls":{"default_certificate":"c","policy":"p"}"#;
    let json = format!(r#"{{"addresses":["{}"],"protocol":"tcp",{tls}}}"#, node.address);
    node.apply(&[
        Change { kind: Kind::Route, name: "r".into(), bytes: None },
        put(Kind::Listener, "web", json),
        put(Kind::TcpRoute, "t", r#"{"listeners":["web"],"upstream":"u"}"#),
    ]);
    (node, authority)
}

/// Sends back what comes, and never ends by itself.
pub(in crate::worker) fn echo() -> Upstream {
    Upstream::play(|mut s| {
        let mut some = [0; 4096];
        while let Ok(n @ 1..) = s.read(&mut some) {
            s.write_all(&some[..n]).unwrap();
        }
        let _ = s.set_read_timeout(Some(DEADLINE));
        // Its half stays open when the other one has ended.
        std::thread::park_timeout(DEADLINE);
    })
}

/// Has every timer fire that the wheel would fire by then.
pub(in crate::worker) fn pass_sessions(node: &Node, ms: u64) {
    on_worker(node, move |w| {
        let real = (w.now_us, w.now);
        w.now_us += ms * 1000;
        w.now = Clock::ticks(w.now_us);
        let token = |index, generation| Token::new(KIND_SESSION, generation, index);
        let all: Vec<_> = w
            .tcp
            .sessions
            .iter()
            .map(|(index, s)| (token(index, s.generation), s.times.timer.0))
            .collect();
        for (token, at) in all {
            if at <= w.now {
                w.fire_session(token, at);
            }
        }
        (w.now_us, w.now) = real;
    });
}

pub(in crate::worker) fn sessions(node: &Node) -> usize {
    on_worker(node, |w| w.tcp.sessions.len())
}

pub(in crate::worker) fn closed(node: &Node, reason: &str) -> u64 {
    let all = node.engine.metrics().tcp.closed;
    all.iter().find(|c| c.reason == reason).map_or(0, |c| c.count)
}

/// Asserts that one session ends after a minute and not before, for this reason.
fn ends_after_a_minute(node: &Node, reason: &str) {
    let before = sessions(node);
    pass_sessions(node, 40_000);
    assert_eq!((sessions(node), closed(node, reason)), (before, 0), "{reason}");
    pass_sessions(node, 60_050);
    assert_eq!((sessions(node), closed(node, reason)), (before - 1, 1), "{reason}");
}

/// Opens a session through which a byte has gone both ways.
pub(in crate::worker) fn open(node: &Node) -> TcpStream {
    let mut s = node.connect();
    s.write_all(b"x").unwrap();
    assert_eq!(read_n(&mut s, 1), b"x");
    s
}

#[test]
fn a_session_ends_when_its_route_says() {
    for (times, reason) in [
        (r#""idle_ms":60000,"lifetime_ms":0"#, "idle-timeout"),
        (r#""idle_ms":600000,"lifetime_ms":60000"#, "lifetime"),
        (r#""idle_ms":0,"lifetime_ms":60000"#, "lifetime"),
    ] {
        let up = echo();
        let node = node(&[up.address], "", &format!(r#","timeouts":{{{times}}}"#));
        let _s = open(&node);
        ends_after_a_minute(&node, reason);
        assert_eq!(timeouts(&node, "stream_idle"), u64::from(reason == "idle-timeout"));
    }
}

#[test]
fn a_session_without_times_stays() {
    let up = echo();
    let times = r#","timeouts":{"idle_ms":0,"half_open_ms":0,"lifetime_ms":0}"#;
    let node = node(&[up.address], "", times);
    let mut s = open(&node);
    pass_sessions(&node, 1_000_000_000);
    s.shutdown(Shutdown::Write).unwrap();
    eventually("half of it has ended", || {
        on_worker(&node, |w| w.tcp.sessions.iter().all(|(_, s)| s.halves.is_half_open()))
    });
    pass_sessions(&node, 1_000_000_000);
    assert_eq!(sessions(&node), 1);
    s.set_read_timeout(Some(std::time::Duration::from_millis(1))).unwrap();
    assert!(s.read(&mut [0]).is_err(), "it has not ended");
}

#[test]
fn half_a_session_has_a_time_of_its_own() {
    let up = echo();
    let times = r#","timeouts":{"idle_ms":600000,"half_open_ms":60000}"#;
    let node = node(&[up.address], "", times);
    let s = open(&node);
    pass_sessions(&node, 120_000);
    assert_eq!(sessions(&node), 1, "it is whole");
    s.shutdown(Shutdown::Write).unwrap();
    eventually("half of it has ended", || {
        on_worker(&node, |w| w.tcp.sessions.iter().all(|(_, s)| s.halves.is_half_open()))
    });
    ends_after_a_minute(&node, "half-open-timeout");
}

#[test]
fn a_session_waits_for_a_place_as_long_as_its_upstream_says() {
    let up = echo();
    let queue = r#","max_connections":1,"queue":2,"queue_timeout_ms":60000"#;
    let node = node(&[up.address], queue, "");
    let _first = open(&node);
    let waiting = || node.engine.metrics().upstreams[0].waiting;
    let _second = node.connect();
    eventually("it waits", || waiting() == 1);
    ends_after_a_minute(&node, "queue-timeout");
    assert_eq!((waiting(), timeouts(&node, "queue")), (0, 1));
}

#[test]
fn an_endpoint_that_takes_no_connection_has_its_part_of_the_time_to_connect() {
    let (listener, _waiting) = deaf();
    let address = listener.local_addr().unwrap();
    let alone = node(&[address], r#","connect_timeout_ms":60000"#, "");
    let _s = alone.connect();
    eventually("it is connecting", || sessions(&alone) == 1);
    ends_after_a_minute(&alone, "connect-timeout");
    assert_eq!(timeouts(&alone, "connect"), 1);

    let up = echo();
    let balance = r#","connect_timeout_ms":120000,"balance":"round_robin""#;
    let both = node(&[address, up.address], balance, "");
    // The endpoints have turns: one of two sessions begins at the first.
    let mut clients = [both.connect(), both.connect()];
    eventually("one has an endpoint", || up.connections() == 1 && sessions(&both) == 2);
    pass_sessions(&both, 40_000);
    assert_eq!(timeouts(&both, "connect"), 0);
    pass_sessions(&both, 60_050);
    assert_eq!(timeouts(&both, "connect"), 1);
    for s in &mut clients {
        s.write_all(b"x").unwrap();
        assert_eq!(read_n(s, 1), b"x");
    }
    let metrics = both.engine.metrics();
    let endpoints = &metrics.upstreams[0].endpoints;
    assert_eq!(endpoints.iter().map(|e| e.failures).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(metrics.upstreams[0].served.retries, 1);
}

#[test]
fn a_session_whose_route_has_gone_has_the_time_of_a_drain() {
    let up = echo();
    let mut node = node(&[up.address], "", "");
    node.apply(&[put(Kind::Settings, "node", r#"{"drain":{"deadline_ms":60000}}"#)]);
    let mut s = open(&node);
    let gone = Change { kind: Kind::TcpRoute, name: "t".into(), bytes: None };
    node.apply(&[gone]);
    s.write_all(b"y").unwrap();
    assert_eq!(read_n(&mut s, 1), b"y");
    ends_after_a_minute(&node, "route-removed");
}

#[test]
fn a_route_that_comes_back_keeps_its_sessions() {
    let up = echo();
    let mut node = node(&[up.address], "", "");
    node.apply(&[put(Kind::Settings, "node", r#"{"drain":{"deadline_ms":60000}}"#)]);
    let _s = open(&node);
    let gone = Change { kind: Kind::TcpRoute, name: "t".into(), bytes: None };
    node.apply(&[gone]);
    let again = put(Kind::TcpRoute, "t", r#"{"listeners":["web"],"upstream":"u"}"#);
    node.apply(&[again]);
    pass_sessions(&node, 60_050);
    assert_eq!((sessions(&node), closed(&node, "route-removed")), (1, 0));
}
