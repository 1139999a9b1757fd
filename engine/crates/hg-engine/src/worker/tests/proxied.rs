//! Connections of HTTP that begin with a PROXY header, or should: the time for it, and whose the
//! connection is counted as.

use super::*;

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\r\n";

/// Has the node's listener take headers, each within a minute; other heads have two.
fn takes_headers(node: &mut Node, mode: &str) {
    takes_headers_and(node, mode, "");
}

/// Does so for a listener with these further keys.
fn takes_headers_and(node: &mut Node, mode: &str, more: &str) {
    let keys = format!(
        r#"{more},"head_timeout_ms":120000,"client_ip":{{"proxy_protocol":{{"mode":"{mode}",
        "trusted":["127.0.0.0/8"],"timeout_ms":60000}}}}"#
    );
    let json = node.listener_json(&keys);
    node.apply(&[put(Kind::Listener, "web", json)]);
}

fn refused(node: &Node, reason: &str) -> u64 {
    let all = node.engine.metrics().refused_connections;
    all.iter().find(|c| c.reason == reason).unwrap().count
}

/// Connects, sends something, and returns once the worker has taken it.
fn begun(node: &Node, first: &'static [u8]) -> TcpStream {
    let s = ask(node, first);
    eventually("it has come", || {
        on_worker(node, move |w| w.clients.iter().any(|(_, c)| c.input == first))
    });
    s
}

#[test]
fn a_header_has_its_time_and_clients_that_may_have_none_have_that_of_a_head() {
    for (mode, first, ms, is_refused) in [
        ("required", &b""[..], 60_000, true),
        ("required", b"PROXY ", 60_000, true),
        ("optional", b"", 120_000, false),
        ("optional", b"PROXY ", 60_000, true),
    ] {
        let mut node = Node::simple(&Upstream::answering(OK));
        takes_headers(&mut node, mode);
        let _s = begun(&node, first);
        pass(&node, ms - 20_000);
        assert_eq!(connections(&node), 1, "{mode} {first:?}");
        pass(&node, ms + 50);
        assert_eq!(connections(&node), 0, "{mode} {first:?}");
        assert_eq!(refused(&node, "proxy_timeout"), u64::from(is_refused), "{mode} {first:?}");
        assert_eq!(timeouts(&node, "head"), u64::from(!is_refused), "{mode} {first:?}");
    }
}

#[test]
fn a_client_that_ends_inside_its_header_is_refused_and_one_that_says_nothing_is_not() {
    let mut node = Node::simple(&Upstream::answering(OK));
    takes_headers(&mut node, "required");
    for (first, times) in [(&b""[..], 0), (b"PROXY ", 1), (b"", 1)] {
        drop(begun(&node, first));
        eventually("it is gone", || connections(&node) == 0);
        assert_eq!(refused(&node, "proxy_incomplete"), times);
    }
    // A hello is no header.
    Authority::serve(&mut node);
    drop(begun(&node, &[22, 3, 1]));
    eventually("it is gone", || connections(&node) == 0);
    assert_eq!(refused(&node, "proxy_incomplete"), 1);
}

/// Returns whether the node's only client counts towards the limit of its address.
fn is_counted(node: &Node) -> bool {
    on_worker(node, |w| w.clients.iter().next().unwrap().1.seat.counted)
}

#[test]
fn clients_are_counted_where_there_is_a_limit_once_they_are_known() {
    for limit in [0, 5] {
        let mut node = Node::simple(&Upstream::answering(OK));
        let settings = format!(r#"{{"max_connections_per_client":{limit}}}"#);
        node.apply(&[put(Kind::Settings, "node", settings)]);
        let mut s = ask(&node, GET);
        assert_eq!(read_answer(&mut s).1, b"ok");
        assert_eq!(is_counted(&node), limit > 0);
        drop(s);
        eventually("it is gone", || connections(&node) == 0);
        takes_headers(&mut node, "required");
        let mut s = begun(&node, &V1[..9]);
        assert!(!is_counted(&node));
        s.write_all(&V1[9..]).unwrap();
        s.write_all(GET).unwrap();
        assert_eq!(read_answer(&mut s).1, b"ok");
        assert_eq!(is_counted(&node), limit > 0);
    }
}

#[test]
fn clients_stay_counted_over_a_change_of_something_else() {
    let mut node = Node::simple(&Upstream::answering(OK));
    node.apply(&[put(Kind::Settings, "node", r#"{"max_connections_per_client":1}"#)]);
    let mut first = ask(&node, GET);
    assert_eq!(read_answer(&mut first).1, b"ok");
    node.apply(&[put(Kind::Route, "r", route_json(r#","timeouts":{"first_byte_ms":60000}"#))]);
    let mut second = node.connect();
    let _ = second.write_all(GET);
    assert!(read_all(&mut second).is_empty());
    assert_eq!(refused(&node, "client"), 1);
    // Without the limit nobody is refused any more.
    node.apply(&[put(Kind::Settings, "node", "{}")]);
    let mut second = ask(&node, GET);
    assert_eq!(read_answer(&mut second).1, b"ok");
    first.write_all(GET).unwrap();
    assert_eq!(read_answer(&mut first).1, b"ok");
}

#[test]
fn what_follows_a_header_in_one_piece_tells_what_a_client_speaks() {
    let http = Upstream::answering(OK);
    let other = Upstream::play(|mut s| {
        let mut copy = s.try_clone().unwrap();
        let _ = std::io::copy(&mut s, &mut copy);
    });
    let mut node = Node::simple(&http);
    takes_headers_and(&mut node, "required", r#","detect_timeout_ms":60000"#);
    node.apply(&[
        put(Kind::Upstream, "t", upstream_json(&[other.address], "")),
        put(Kind::TcpRoute, "t", r#"{"listeners":["web"],"upstream":"t"}"#),
    ]);
    let mut s = node.connect();
    s.write_all(&[V1, b"\0\0other"].concat()).unwrap();
    assert_eq!(read_n(&mut s, 7), b"\0\0other");
    let mut s = node.connect();
    s.write_all(&[V1, GET].concat()).unwrap();
    assert_eq!(read_answer(&mut s).1, b"ok");
    assert_eq!((http.connections(), other.connections()), (1, 1));
}
