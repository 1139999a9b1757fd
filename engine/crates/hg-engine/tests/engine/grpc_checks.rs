//! Checks over HTTP/2 and of gRPC's health service, end to end.

use crate::common::endpoint::{health, states};
use crate::common::http2_peer::Peer;
use crate::common::tls::Authority;
use crate::common::{Node, Upstream, eventually, put, upstream_json};
use hg_plan::Kind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

const SERVING: u8 = 1;
const NOT_SERVING: u8 = 2;
const UNIMPLEMENTED: u8 = 12;
const RESETS: u8 = 50;
const LEAVES: u8 = 51;
const BABBLES: u8 = 52;

const TIMES: &str =
    r#""interval_ms":30,"timeout_ms":2000,"fast_interval_ms":20,"max_interval_ms":60"#;

/// An endpoint that speaks HTTP/2 without TLS: its health service answers as told, and everything
/// else as a web server does.
fn endpoint(mode: Arc<AtomicU8>) -> Upstream {
    Upstream::play(move |s| {
        let mut peer = Peer::over(s);
        while let Some(id) = peer.next() {
            let request = peer.whole(id);
            let mode = mode.load(SeqCst);
            if request.path.starts_with("/up") {
                let is_head = request.method == "HEAD";
                peer.head(id, if mode == SERVING { 200 } else { 503 }, &[("x", "y")], is_head);
                if !is_head {
                    peer.data(id, b"all is well", true);
                }
                continue;
            }
            assert_eq!(request.path, "/grpc.health.v1.Health/Check");
            assert_eq!((request.field("te"), &*request.method), (Some("trailers"), "POST"));
            assert_eq!(request.body, b"\0\0\0\0\x05\x0a\x03a.B");
            const GRPC: (&str, &str) = ("content-type", "application/grpc");
            match mode {
                UNIMPLEMENTED => peer.head(id, 200, &[GRPC, ("grpc-status", "12")], true),
                RESETS => peer.reset(id, hg_h2::Code::INTERNAL_ERROR),
                LEAVES => return,
                BABBLES => {
                    use std::io::Write as _;
                    // The check may be gone.
                    let _ = peer.stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
                }
                state => {
                    peer.head(id, 200, &[GRPC], false);
                    peer.data(id, &[0, 0, 0, 0, 2, 8, state], false);
                    peer.trailers(id, &[("grpc-status", "0")]);
                }
            }
        }
    })
}

fn json(address: SocketAddr, check: &str, rest: &str) -> String {
    let check = format!(r#","health":{{"check":{{{check},{TIMES}}}}}{rest}"#);
    upstream_json(&[address], &check)
}

#[test]
fn the_health_service_of_grpc_says_whether_an_endpoint_takes_requests() {
    let mode = Arc::new(AtomicU8::new(SERVING));
    let up = endpoint(mode.clone());
    let check = r#""grpc":{"service":"a.B"}"#;
    let node = Node::start(&json(up.address, check, r#","protocol":"h2c""#), "", 1);
    eventually("it is up", || states(&node) == ["up"]);
    for (wrong, reason, found) in [
        (NOT_SERVING, "check-status", "the service is NOT_SERVING"),
        (UNIMPLEMENTED, "check-status", "the endpoint has no service grpc.health.v1.Health"),
        (RESETS, "check-lost", "the endpoint reset the stream with code 2"),
        // It closes, or resets the connection if something of ours lies unread.
        (LEAVES, "check-lost", "connection"),
        (BABBLES, "check-protocol", ""),
    ] {
        mode.store(wrong, SeqCst);
        eventually("it is down", || states(&node) == ["down"]);
        let report = health(&node).remove(0);
        assert_eq!(report.reason, reason, "{}", report.why);
        assert!(report.why.contains(found), "{}", report.why);
        mode.store(SERVING, SeqCst);
        eventually("it is back", || states(&node) == ["up"]);
    }
}

#[test]
fn a_check_by_http_speaks_what_the_upstream_speaks() {
    let mode = Arc::new(AtomicU8::new(SERVING));
    let up = endpoint(mode.clone());
    for (check, passes) in [
        (r#""http":{"path":"/up?now"}"#, true),
        (r#""http":{"path":"/up","body":"is well"}"#, true),
        (r#""http":{"path":"/up","statuses":[[204,204]]}"#, false),
        (r#""http":{"path":"/up","body":"is ill"}"#, false),
        (r#""http":{"path":"/up","method":"HEAD"}"#, true),
    ] {
        let node = Node::start(&json(up.address, check, r#","protocol":"h2c""#), "", 1);
        let state = if passes { "up" } else { "down" };
        eventually("it is known", || states(&node) == [state]);
    }
    mode.store(NOT_SERVING, SeqCst);
    let check = json(up.address, r#""http":{"path":"/up"}"#, r#","protocol":"h2c""#);
    let node = Node::start(&check, "", 1);
    eventually("it is down", || states(&node) == ["down"]);
    assert_eq!(health(&node)[0].reason, "check-status");
}

#[test]
fn over_tls_a_check_agrees_on_the_version_that_the_upstream_speaks() {
    let inner = Upstream::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let mut secure = Node::simple(&inner);
    let _authority = Authority::serve(&mut secure);
    let tls = r#","tls":{"verify":false,"verify_name":"a.example"}"#;
    let check = r#""http":{"host":"a.example","body":"ok"}"#;
    for protocol in ["http1", "h2", "auto"] {
        let before = http2(&secure);
        let rest = format!(r#"{tls},"protocol":"{protocol}""#);
        let node = Node::start(&json(secure.address, check, &rest), "", 1);
        eventually("it is up", || states(&node) == ["up"]);
        assert_eq!(http2(&secure) > before, protocol != "http1", "{protocol}");
    }
}

/// Returns how many connections over HTTP/2 a node has had.
fn http2(node: &Node) -> u64 {
    node.engine.metrics().http2.connections.total
}

#[test]
fn a_check_that_makes_no_sense_is_refused_at_its_place() {
    let up = endpoint(Arc::new(AtomicU8::new(SERVING)));
    let node = Node::start(&upstream_json(&[up.address], ""), "", 1);
    for (check, protocol, path) in [
        (r#""grpc":{}"#, "http1", "health.check.grpc"),
        (r#""grpc":{},"http":{}"#, "h2c", "health.check.grpc"),
        (r#""grpc":{"host":"a b"}"#, "h2c", "health.check.grpc.host"),
    ] {
        let rest = format!(r#","protocol":"{protocol}""#);
        let change = put(Kind::Upstream, "u", json(up.address, check, &rest));
        let errors = node.refused(&[change]);
        assert!(errors.len() == 1 && errors[0].contains(&format!(" u: {path}: ")), "{errors:?}");
    }
}
