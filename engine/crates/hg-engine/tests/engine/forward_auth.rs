//! Requests that another service lets pass, or not, through a real engine.

use crate::common::authorised::*;
use crate::common::http2::Client;
use crate::common::http2_peer::{self, H2C};
use crate::common::*;
use hg_plan::{Change, Kind};
use std::io::{Read, Write};
use std::sync::{Mutex, mpsc};

pub(crate) const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";

pub(crate) fn start(up: &Upstream, auth: &str, more: &str, route: &str) -> Node {
    let rest = format!(r#","middlewares":[{}]{route}"#, auth_json(more));
    let mut node = Node::start(&upstream_json(&[up.address], ""), &rest, 1);
    let listener = node.listener_json(r#","h2c":true"#);
    node.apply(&[put(Kind::Upstream, "auth", auth), put(Kind::Listener, "web", listener)]);
    node
}

pub(crate) fn guarded(up: &Upstream, auth: &Upstream, more: &str) -> Node {
    start(up, &upstream_json(&[auth.address], ""), more, "")
}

pub(crate) fn count(node: &Node, result: &str) -> u64 {
    let all = node.engine.metrics().middlewares;
    all.iter().find(|one| one.result == result).map_or(0, |one| one.count)
}

fn rejects(node: &Node, reason: &str) -> u64 {
    let all = node.engine.metrics().rejects;
    all.iter().find(|one| one.reason == reason).map_or(0, |one| one.count)
}

/// Asks on a connection of its own, and wants this reason for a 503.
pub(crate) fn closed(node: &Node, reason: &str) {
    let before = rejects(node, reason);
    let (head, body) = ask(&mut node.connect(), GET);
    assert!(head.starts_with("HTTP/1.1 503 "), "{reason}: {head}{body}");
    eventually(reason, || rejects(node, reason) == before + 1);
}

#[test]
fn requests_pass_by_the_word_of_the_service_over_one_kept_connection() {
    let (auth, heads) = service(|_| YES.into());
    let up = echo();
    let node = guarded(&up, &auth, "");
    let mut s = node.connect();
    for _ in 0..5 {
        assert!(ask(&mut s, GET).0.starts_with("HTTP/1.1 200 "));
    }
    let heads = heads.take();
    assert_eq!((heads.len(), auth.connections(), up.connections()), (5, 1, 1));
    assert!(heads[0].starts_with("GET /verify HTTP/1.1\r\nhost: a.example\r\n"), "{}", heads[0]);
    assert_eq!(count(&node, "pass"), 5);
    let metrics = node.engine.metrics();
    let of_auth = metrics.upstreams.iter().find(|u| &*u.name == "auth").unwrap();
    assert_eq!(of_auth.endpoints[0].active, 0);
    // One request of a client each, whatever it took. The last one is counted after its answer.
    eventually("five requests", || node.engine.metrics().workers[0].requests == 5);
}

#[test]
fn a_websocket_passes_and_the_service_is_asked_by_a_fresh_head() {
    let (auth, heads) = service(|_| YES.into());
    let up = Upstream::play(|mut s| {
        let head = read_head(&mut s).unwrap();
        let key = value(&head, "sec-websocket-key").unwrap();
        let accept = hg_proto::websocket::accept(key.as_bytes());
        write!(
            s,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\nhello ",
            std::str::from_utf8(&accept).unwrap()
        )
        .unwrap();
        let mut some = [0; 4096];
        while let Ok(n @ 1..) = s.read(&mut some) {
            s.write_all(&some[..n].to_ascii_uppercase()).unwrap();
        }
    });
    let node = start(&up, &upstream_json(&[auth.address], ""), "", r#","websocket":true"#);
    let mut s = node.connect();
    s.write_all(
        b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )
    .unwrap();
    assert!(read_head(&mut s).unwrap().starts_with("HTTP/1.1 101 "));
    assert_eq!(read_n(&mut s, 6), b"hello ");
    s.write_all(b"abc").unwrap();
    assert_eq!(read_n(&mut s, 3), b"ABC");
    let mut client = Client::connect(&node);
    let id = client.open_websocket("/chat", &[("sec-websocket-version", "13")]);
    client.send(id, b"def", false);
    assert_eq!(client.body(id, 9), b"hello DEF");
    for head in heads.take() {
        for name in ["connection", "upgrade", "sec-websocket-key"] {
            assert_eq!(value(&head, name), None, "{head}");
        }
    }
}

#[test]
fn nobody_can_pretend_not_by_a_spelling_and_not_by_a_nomination() {
    let says = "HTTP/1.1 200 OK\r\nRemote-User: alice\r\nX-Auth-Role: staff\r\nX-Other: no\r\n\
                Connection: x-auth-role\r\nContent-Length: 0\r\n\r\n";
    let (auth, _) = service(move |_| says.into());
    let up = echo();
    let node = guarded(&up, &auth, r#","copy":["remote-user","x-absent"],"copy_prefix":"x-auth-""#);
    let (_, got) = ask(
        &mut node.connect(),
        b"GET / HTTP/1.1\r\nHost: a\r\nRemote-User: root\r\nREMOTE_USER: root\r\n\
          X-Auth-Level: 9\r\nX_Auth_Role: root\r\nX-Absent: root\r\nX-Headgate-Auth: bypassed\r\n\
          Connection: remote-user, x-auth-role\r\n\r\n",
    );
    assert!(got.contains("remote-user: alice\r\n"), "{got}");
    for absent in ["root", "x-auth-level", "bypassed", "x-other"] {
        assert!(!got.contains(absent), "{absent}: {got}");
    }
}

#[test]
fn a_body_stays_with_the_client_and_the_service_gets_none_of_it() {
    let (go, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let (auth, heads) = service(move |_| {
        wait.lock().unwrap().recv_timeout(DEADLINE).unwrap();
        YES.into()
    });
    let up = echo();
    let node = guarded(&up, &auth, "");
    let mut s = node.connect();
    s.write_all(
        b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nExpect: 100-continue\r\n\
          Content-Length: 5\r\n\r\n",
    )
    .unwrap();
    go.send(()).unwrap();
    assert!(read_head(&mut s).unwrap().starts_with("HTTP/1.1 100 "));
    let (_, got) = ask(&mut s, b"hello");
    assert!(got.starts_with("POST /a ") && got.ends_with("\r\n\r\n5"), "{got}");
    let mut client = Client::connect(&node);
    let body = vec![b'x'; 60_000];
    let id = client.open("POST", "/b", &[("content-length", "60000")], false);
    client.send(id, &body, true);
    go.send(()).unwrap();
    let answer = client.answer(id);
    assert!(answer.body.ends_with(b"\r\n\r\n60000"), "{:?}", answer.status);
    for head in heads.take() {
        assert!(head.starts_with("GET /verify "), "{head}");
        for name in ["content-length", "content-type", "expect", "transfer-encoding"] {
            assert_eq!(value(&head, name), None, "{head}");
        }
    }
}

#[test]
fn a_redirect_is_passed_on_and_never_followed_and_interim_answers_are_skipped() {
    let (auth, heads) = service(|_| {
        "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
         HTTP/1.1 302 Found\r\nLocation: /verify\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
         Transfer-Encoding: chunked\r\nKeep-Alive: timeout=9\r\n\r\n4\r\ngo!\n\r\n0\r\n\r\n"
            .into()
    });
    let up = echo();
    let node = guarded(&up, &auth, "");
    let mut s = node.connect();
    for _ in 0..2 {
        let (head, body) = ask(&mut s, GET);
        assert!(head.starts_with("HTTP/1.1 302 Found\r\n"), "{head}");
        assert_eq!(value(&head, "location"), Some("/verify"));
        assert!(head.contains("set-cookie: a=1\r\nset-cookie: b=2\r\n"), "{head}");
        assert!(!head.contains("chunked") && !head.contains("keep-alive"), "{head}");
        assert_eq!(body, "go!\n");
    }
    let answer = Client::connect(&node).get("/");
    assert_eq!((answer.status, answer.field("location")), (302, Some("/verify")));
    assert_eq!((heads.take().len(), auth.connections(), up.connections()), (3, 1, 0));
    assert_eq!(count(&node, "denied"), 3);
}

#[test]
fn an_answer_that_is_too_large_or_none_closes_the_route() {
    let long = "y".repeat(1001);
    for (answer, reason, result) in [
        (format!("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n{long}"), "auth-too-large", 2),
        (
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n{long}\r\n0\r\n\r\n"
            ),
            "auth-too-large",
            2,
        ),
        (format!("HTTP/1.1 200 OK\r\nX: {long}\r\nContent-Length: 0\r\n\r\n"), "auth-too-large", 2),
        ("HTTP/1.1 2x0 OK\r\n\r\n".into(), "auth-invalid", 2),
        ("220 mail.example ESMTP\r\n".into(), "auth-invalid", 2),
        (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
                .into(),
            "auth-invalid",
            2,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".into(),
            "auth-invalid",
            2,
        ),
    ] {
        let (auth, _) = service(move |_| answer.clone());
        let up = echo();
        let node = guarded(&up, &auth, r#","fail_open":true"#);
        (0..result).for_each(|_| closed(&node, reason));
        assert_eq!((count(&node, "invalid"), up.connections()), (2, 0));
    }
}

#[test]
fn an_answer_may_be_as_large_as_its_limit() {
    // Its lines, those of the framing aside, have a limit of their own.
    let (fits, none) = ("y".repeat(1000), "Content-Length: 0\r\n\r\n");
    let x = "y".repeat(1000 - "X: \r\n".len());
    for answer in [
        format!("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{fits}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n{fits}\r\n0\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nX: {x}\r\n{none}"),
    ] {
        let (auth, _) = service(move |_| answer.clone());
        assert!(guarded(&echo(), &auth, "").get("/").starts_with("HTTP/1.1 200 "));
    }
    let (auth, _) = service(move |_| format!("HTTP/1.1 200 OK\r\nX: {x}y\r\n{none}"));
    closed(&guarded(&echo(), &auth, ""), "auth-too-large");
}

#[test]
fn a_refusal_of_a_call_has_the_form_of_grpc_and_may_say_more() {
    const DENIED: &str =
        "HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 2\r\n";
    for (more, message) in
        [("", "Forbidden"), ("grpc-status: 7\r\ngrpc-message: not you\r\n", "not you")]
    {
        let (auth, _) = service(move |_| format!("{DENIED}{more}\r\nno"));
        let node = guarded(&echo(), &auth, "");
        let mut client = Client::connect(&node);
        let answer = client.post("/", &[("content-type", "application/grpc")], b"x");
        assert_eq!((answer.status, answer.field("grpc-status")), (200, Some("7")));
        assert_eq!(answer.field("grpc-message"), Some(message));
        assert_eq!(answer.field("content-type"), Some("application/grpc"));
        assert!(answer.body.is_empty());
        assert_eq!(client.post("/", &[], b"x").status, 403);
    }
}

#[test]
fn only_an_endpoint_that_takes_no_connection_is_followed_by_another() {
    let away = unused_address();
    let (auth, heads) = service(|_| YES.into());
    let up = echo();
    let node = start(&up, &upstream_json(&[away, auth.address], ""), "", "");
    for _ in 0..4 {
        assert!(ask(&mut node.connect(), GET).0.starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(heads.take().len(), 4);
}

#[test]
fn a_service_that_hangs_is_given_up_in_time_and_so_is_its_connection() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let auth = Upstream::play(move |mut s| {
        drop(read_head(&mut s));
        let tell = tell.lock().unwrap().clone();
        tell.send(s.read_to_end(&mut Vec::new()).is_ok()).unwrap();
    });
    let up = echo();
    let node = start(&up, &upstream_json(&[auth.address], ""), "", "").within("60000", "50");
    closed(&node, "auth-timeout");
    told.recv_timeout(DEADLINE).unwrap();
    // That is a failure of its endpoint.
    let metrics = node.engine.metrics();
    let of_auth = metrics.upstreams.iter().find(|u| &*u.name == "auth").unwrap();
    assert_eq!((of_auth.endpoints[0].failures, of_auth.endpoints[0].active), (1, 0));
    // The time of the route's requests counts, too.
    let auth_json = upstream_json(&[auth.address], "");
    let node = start(&up, &auth_json, "", r#","timeouts":{"request_ms":500}"#);
    closed(&node, "auth-timeout");
    told.recv_timeout(DEADLINE).unwrap();
    assert_eq!((count(&node, "timeout"), up.connections()), (1, 0));
}

trait Within {
    fn within(self, from: &str, to: &str) -> Self;
}

impl Within for Node {
    /// Gives the route another time.
    fn within(mut self, from: &str, to: &str) -> Self {
        let rest = format!(r#","middlewares":[{}]"#, auth_json("").replace(from, to));
        self.apply(&[put(Kind::Route, "r", route_json(&rest))]);
        self
    }
}

#[test]
fn a_client_that_leaves_takes_its_subrequest_along() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let auth = Upstream::play(move |mut s| {
        let tell = tell.lock().unwrap().clone();
        drop(read_head(&mut s));
        tell.send("asked").unwrap();
        let _ = s.read_to_end(&mut Vec::new());
        tell.send("left").unwrap();
    });
    let up = echo();
    let node = guarded(&up, &auth, "").within("1024", "1");
    for over_http2 in [false, true] {
        if over_http2 {
            let mut client = Client::connect(&node);
            client.open("GET", "/", &[], true);
            client.flush();
            assert_eq!(told.recv_timeout(DEADLINE), Ok("asked"));
            drop(client);
        } else {
            let mut s = node.connect();
            s.write_all(GET).unwrap();
            assert_eq!(told.recv_timeout(DEADLINE), Ok("asked"));
            // Nobody else may wait.
            closed(&node, "auth-busy");
            hg_net::close_with_reset(s.into());
        }
        assert_eq!(told.recv_timeout(DEADLINE), Ok("left"));
    }
    eventually("no request is under way", || {
        let all = node.engine.metrics().upstreams;
        all.iter().flat_map(|u| &u.endpoints).all(|e| e.active == 0)
    });
}

#[test]
fn a_service_behind_its_own_permission_ends_in_a_refusal() {
    let up = echo();
    let node = Node::start(&upstream_json(&[up.address], ""), "", 1);
    let own = upstream_json(&[node.address], "");
    let mut node = node;
    node.apply(&[put(Kind::Upstream, "auth", own)]);
    let rest = format!(r#","middlewares":[{}]"#, auth_json(""));
    node.apply(&[put(Kind::Route, "r", route_json(&rest))]);
    let (head, _) = ask(&mut node.connect(), GET);
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert_eq!((count(&node, "loop"), count(&node, "denied")), (1, 3));
    assert_eq!((rejects(&node, "auth-loop"), up.connections()), (1, 0));
}

#[test]
fn the_service_judges_the_path_that_is_routed() {
    let (auth, heads) = service(|_| YES.into());
    let up = echo();
    let node = guarded(&up, &auth, "");
    let request = b"GET /public/..//admin/%2e/%41?x=/../y HTTP/1.1\r\nHost: a\r\n\
                    X-Forwarded-Uri: /public\r\nX-Original-URL: /public\r\n\r\n";
    let (_, got) = ask(&mut node.connect(), request);
    let head = heads.take().remove(0);
    let uri = value(&head, "x-forwarded-uri").unwrap();
    assert_eq!(uri, "/admin/A?x=/../y");
    assert!(got.starts_with(&format!("GET {uri} HTTP/1.1\r\n")), "{got}");
    assert_eq!(value(&head, "x-original-url"), Some(&*format!("http://a{uri}")));
    assert_eq!(head.matches("/public").count(), 0, "{head}");
}

#[test]
fn a_preflight_is_answered_before_anybody_is_asked() {
    let (auth, heads) = service(|_| "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n".into());
    let up = echo();
    let cors = r#"{"cors":{"origins":["https://a.example"],"methods":["PUT"],"credentials":true}}"#;
    let node = guarded(&up, &auth, "");
    let mut node = node;
    let rest = format!(r#","middlewares":[{cors},{}]"#, auth_json(""));
    node.apply(&[put(Kind::Route, "r", route_json(&rest))]);
    let preflight = b"OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\n\
                      Access-Control-Request-Method: PUT\r\n\r\n";
    let mut s = node.connect();
    assert!(ask(&mut s, preflight).0.starts_with("HTTP/1.1 204 "));
    let put =
        b"PUT / HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\nContent-Length: 0\r\n\r\n";
    let (head, _) = ask(&mut s, put);
    assert!(head.starts_with("HTTP/1.1 401 ") && head.contains("access-control-allow-origin"));
    assert_eq!(heads.take().len(), 1);
}

#[test]
fn a_service_over_http2_is_asked_on_one_connection() {
    let auth = http2_peer::serving(|request| {
        assert_eq!((&*request.method, &*request.path), ("GET", "/verify"));
        assert_eq!(request.field("cookie"), Some("a=1"));
        b"welcome".to_vec()
    });
    let up = echo();
    let node = start(&up, &upstream_json(&[auth.address], H2C), "", "");
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1\r\n\r\n";
    let mut s = node.connect();
    for _ in 0..3 {
        let (head, body) = ask(&mut s, request);
        assert!(head.starts_with("HTTP/1.1 200 ") && !body.contains("welcome"), "{head}{body}");
    }
    assert_eq!(auth.connections(), 1);
}

#[test]
fn a_request_never_goes_to_an_upstream_that_took_the_slot_of_its_own_meanwhile() {
    let (go, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let (asked, was_asked) = mpsc::channel();
    let asked = Mutex::new(asked);
    let (auth, _) = service(move |_| {
        asked.lock().unwrap().send(()).unwrap();
        wait.lock().unwrap().recv_timeout(DEADLINE).unwrap();
        YES.into()
    });
    let (up, other) = (echo(), echo());
    let mut node = guarded(&up, &auth, "");
    let mut s = node.connect();
    s.write_all(GET).unwrap();
    was_asked.recv_timeout(DEADLINE).unwrap();
    let route = route_json("").replace(r#"{"upstream":"u"}"#, r#"{"upstream":"auth"}"#);
    node.apply(&[
        put(Kind::Route, "r", route),
        Change { kind: Kind::Upstream, name: "u".into(), bytes: None },
    ]);
    node.apply(&[put(Kind::Upstream, "other", upstream_json(&[other.address], ""))]);
    go.send(()).unwrap();
    let (head, _) = read_answer(&mut s);
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert_eq!((up.connections(), other.connections()), (0, 0));
}

#[test]
fn an_upstream_that_is_gone_lets_nobody_pass() {
    let (auth, _) = service(|_| YES.into());
    let up = echo();
    let mut node = guarded(&up, &auth, "");
    assert!(ask(&mut node.connect(), GET).0.starts_with("HTTP/1.1 200 "));
    node.apply(&[Change { kind: Kind::Upstream, name: "auth".into(), bytes: None }]);
    node.apply(&[put(Kind::Upstream, "other", upstream_json(&[auth.address], ""))]);
    closed(&node, "auth-unavailable");
}
