//! Requests that are sent once more, to upstreams whose answers nobody gets, through a real engine.

mod several;

use crate::common::http2::Client;
use crate::common::http2_peer::{self, H2C};
use crate::common::*;
use hg_plan::{Change, Kind};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &[u8] = b"GET /a?b=1 HTTP/1.1\r\nHost: a.example\r\n\r\n";
const RESULTS: [&str; 8] =
    ["answered", "error", "failed", "timeout", "dropped", "too_large", "incomplete", "unsupported"];

/// A head, or what matters of it, and a body.
type Request = (String, Vec<u8>);

/// What an endpoint got.
#[derive(Clone, Default)]
struct Got(Arc<Mutex<Vec<Request>>>);

impl Got {
    fn all(&self) -> Vec<Request> {
        self.0.lock().unwrap().clone()
    }

    /// The lengths of the bodies; two copies may overtake each other.
    fn bodies(&self) -> Vec<usize> {
        let mut bodies: Vec<_> = self.all().iter().map(|(_, body)| body.len()).collect();
        bodies.sort_unstable();
        bodies
    }
}

/// A door that stays shut until it is opened.
#[derive(Clone, Default)]
struct Door(Arc<(Mutex<bool>, Condvar)>);

impl Door {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let (open, changed) = &*self.0;
        drop(changed.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
    }
}

fn read_body(head: &str, s: &mut TcpStream) -> Vec<u8> {
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
    if lower.contains("transfer-encoding: chunked") {
        return read_chunks(s);
    }
    read_n(s, length.unwrap_or(0))
}

fn read_chunks(s: &mut TcpStream) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(read_n(s, 1));
        }
        let text = String::from_utf8(line).unwrap();
        let n = usize::from_str_radix(text.trim(), 16).unwrap();
        body.extend(read_n(s, n));
        read_n(s, 2);
        if n == 0 {
            return body;
        }
    }
}

/// An endpoint that answers each request with the text, after the door has opened.
fn endpoint(answer: &'static str, door: Option<Door>) -> (Upstream, Got) {
    let got = Got::default();
    let told = got.clone();
    let up = Upstream::play(move |mut s| {
        while let Some(head) = read_head(&mut s) {
            let body = read_body(&head, &mut s);
            told.0.lock().unwrap().push((head, body));
            door.iter().for_each(Door::pass);
            if s.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    (up, got)
}

fn mirror_json(more: &str) -> String {
    format!(r#","mirrors":[{{"upstream":"shadow"{more}}}]"#)
}

/// A node whose route goes to `up`, and is mirrored to `shadow`.
fn mirrored(up: &Upstream, shadow: &str, more: &str) -> Node {
    let mut node = Node::start(&upstream_json(&[up.address], ""), "", 1);
    let changes = [
        put(Kind::Upstream, "shadow", shadow),
        put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#)),
        put(Kind::Route, "r", route_json(&mirror_json(more))),
    ];
    node.apply(&changes);
    node
}

fn of(shadow: &Upstream) -> String {
    upstream_json(&[shadow.address], "")
}

fn ask(s: &mut TcpStream, request: &[u8]) {
    s.write_all(request).unwrap();
    let (head, body) = read_answer(s);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, b"ok");
}

fn count(node: &Node, upstream: &str, result: &str) -> u64 {
    let all = node.engine.metrics().middlewares;
    let name = format!("r {upstream}");
    let is_it = |one: &&hg_engine::ResultCount| {
        one.kind == hg_engine::MIRROR && one.middleware == name && one.result == result
    };
    all.iter().find(is_it).map_or(0, |one| one.count)
}

/// Waits until so many requests count with these results, and none with another.
fn counted(node: &Node, wanted: &[(&str, u64)]) {
    counted_to(node, "shadow", wanted);
}

/// Waits for the same of the copies for one upstream.
fn counted_to(node: &Node, upstream: &str, wanted: &[(&str, u64)]) {
    eventually(&format!("{upstream}: {wanted:?}"), || {
        RESULTS.iter().all(|result| {
            let of = wanted.iter().find(|(name, _)| name == result);
            count(node, upstream, result) == of.map_or(0, |(_, n)| *n)
        })
    });
}

fn post(length: usize) -> Vec<u8> {
    let mut all =
        format!("POST /p HTTP/1.1\r\nHost: a.example\r\nContent-Length: {length}\r\n\r\n")
            .into_bytes();
    all.extend(vec![b'x'; length]);
    all
}

#[test]
fn a_copy_goes_out_with_the_head_of_the_request_and_its_mark() {
    let (up, got) = endpoint(OK, None);
    let (shadow, copies) = endpoint("HTTP/1.1 500 Oops\r\nContent-Length: 3\r\n\r\nbad", None);
    let node = mirrored(&up, &of(&shadow), "");
    let mut s = node.connect();
    for _ in 0..3 {
        ask(&mut s, b"GET /a?b=1 HTTP/1.1\r\nHost: a.example\r\nX-Headgate-Mirror: no\r\n\r\n");
    }
    counted(&node, &[("error", 3)]);
    let copy = copies.all()[0].0.clone();
    assert!(copy.starts_with("GET /a?b=1 HTTP/1.1\r\nhost: a.example\r\n"), "{copy}");
    assert_eq!(copy.matches("irror: ").count(), 1, "{copy}");
    assert!(copy.contains("x-headgate-mirror: r\r\n"), "{copy}");
    let ids = |got: &Got| {
        let is_id = |line: &&str| line.starts_with("x-request-id: ");
        let id = |head: &str| head.lines().find(is_id).unwrap().to_owned();
        let mut ids: Vec<_> = got.all().iter().map(|(head, _)| id(head)).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!((ids(&got), ids(&got).len()), (ids(&copies), 3));
    eventually("three requests", || node.engine.metrics().workers[0].requests == 3);
    let metrics = node.engine.metrics();
    let of_shadow = metrics.upstreams.iter().find(|u| &*u.name == "shadow").unwrap();
    let endpoint = &of_shadow.endpoints[0];
    assert_eq!((endpoint.active, endpoint.requests), (0, 3));
    assert!(metrics.requests.iter().all(|one| &*one.upstream == "u"), "they are no requests");
}

#[test]
fn a_large_answer_of_a_mirror_is_read_to_its_end() {
    let (up, _) = endpoint(OK, None);
    let shadow = Upstream::play(|mut s| {
        while read_head(&mut s).is_some() {
            let _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6000000\r\n\r\n");
            let _ = s.write_all(&[b'x'; 6_000_000]);
        }
    });
    let node = mirrored(&up, &of(&shadow), "");
    ask(&mut node.connect(), GET);
    counted(&node, &[("answered", 1)]);
}

#[test]
fn a_share_is_exact() {
    let (up, got) = endpoint(OK, None);
    let (shadow, copies) = endpoint(OK, None);
    let node = mirrored(&up, &of(&shadow), r#","share":2500,"in_flight":1000"#);
    let mut s = node.connect();
    for _ in 0..200 {
        ask(&mut s, GET);
    }
    counted(&node, &[("answered", 50)]);
    assert_eq!((got.all().len(), copies.all().len()), (200, 50));
}

#[test]
fn a_mirror_that_does_not_answer_holds_up_nobody_and_takes_few_places() {
    let (up, _) = endpoint(OK, None);
    let door = Door::default();
    let (shadow, copies) = endpoint(OK, Some(door.clone()));
    let node = mirrored(&up, &of(&shadow), r#","in_flight":2,"timeout_ms":60000"#);
    let mut s = node.connect();
    for _ in 0..5 {
        ask(&mut s, GET);
    }
    counted(&node, &[("dropped", 3)]);
    eventually("two copies", || copies.all().len() == 2);
    // Its client has gone, and the copies go on.
    drop(s);
    eventually("no client", || node.engine.metrics().workers[0].connections == 0);
    door.open();
    counted(&node, &[("dropped", 3), ("answered", 2)]);
}

#[test]
fn a_mirror_that_is_away_or_breaks_or_is_slow_is_counted_alone() {
    let (up, _) = endpoint(OK, None);
    let away = "127.0.0.1:1".parse().unwrap();
    let node = mirrored(&up, &upstream_json(&[away], ""), "");
    let mut s = node.connect();
    ask(&mut s, GET);
    counted(&node, &[("failed", 1)]);
    assert!(node.engine.metrics().rejects.iter().all(|one| one.count == 0));

    let resets = Upstream::play(|mut s| {
        read_head(&mut s);
        let _ = s.shutdown(Shutdown::Both);
    });
    let node = mirrored(&up, &of(&resets), "");
    ask(&mut node.connect(), GET);
    counted(&node, &[("failed", 1)]);

    let (silent, _) = endpoint(OK, Some(Door::default()));
    let node = mirrored(&up, &of(&silent), r#","timeout_ms":50"#);
    ask(&mut node.connect(), GET);
    counted(&node, &[("timeout", 1)]);
    assert!(node.engine.metrics().timeouts.iter().all(|one| one.count == 0));

    let endless = Upstream::play(|mut s| {
        read_head(&mut s);
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while s.write_all(b"5\r\nhello\r\n").is_ok() {}
    });
    let node = mirrored(&up, &of(&endless), r#","timeout_ms":100"#);
    ask(&mut node.connect(), GET);
    counted(&node, &[("timeout", 1)]);
}

#[test]
fn tries_of_a_copy_are_no_retries_of_requests() {
    let (up, _) = endpoint(OK, None);
    let retried = |node: &Node| -> u64 {
        node.engine.metrics().retries.sent.iter().map(|one| one.count).sum()
    };
    let away = ["127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap()];
    let node = mirrored(&up, &upstream_json(&away, ""), "");
    ask(&mut node.connect(), GET);
    counted(&node, &[("failed", 1)]);
    assert_eq!(retried(&node), 0);

    // A pooled connection that ends during the second copy.
    let copies = Got::default();
    let told = copies.clone();
    let closes = Upstream::play(move |mut s| {
        if let Some(head) = read_head(&mut s) {
            told.0.lock().unwrap().push((head, Vec::new()));
            let _ = s.write_all(OK.as_bytes());
            let _ = read_head(&mut s);
        }
    });
    let node = mirrored(&up, &of(&closes), "");
    for answered in 1..=2 {
        ask(&mut node.connect(), GET);
        counted(&node, &[("answered", answered)]);
    }
    assert_eq!(copies.all().len(), 2, "the second one was sent twice");
    assert_eq!(retried(&node), 0);
}

#[test]
fn bodies_go_along_whole_or_not_at_all() {
    let (up, got) = endpoint(OK, None);
    let (shadow, copies) = endpoint(OK, None);
    let node = mirrored(&up, &of(&shadow), r#","body_bytes":100000"#);
    let mut s = node.connect();
    for length in [1, 20_000, 99_999, 100_000] {
        ask(&mut s, &post(length));
    }
    ask(&mut s, &post(100_001));
    counted(&node, &[("answered", 4), ("too_large", 1)]);
    assert_eq!(copies.bodies(), [1, 20_000, 99_999, 100_000]);
    assert_eq!(got.bodies(), [1, 20_000, 99_999, 100_000, 100_001]);
}

#[test]
fn a_body_of_unknown_length_goes_along_if_it_is_short() {
    let (up, _) = endpoint(OK, None);
    let (shadow, copies) = endpoint(OK, None);
    let node = mirrored(&up, &of(&shadow), r#","body_bytes":8"#);
    let mut s = node.connect();
    let head = "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in ["4\r\nabcd\r\n4\r\nefgh\r\n0\r\n\r\n", "9\r\n123456789\r\n0\r\n\r\n", "0\r\n\r\n"]
    {
        ask(&mut s, format!("{head}{body}").as_bytes());
    }
    counted(&node, &[("answered", 2), ("too_large", 1)]);
    assert!(copies.all().iter().any(|(_, body)| body == b"abcdefgh"));
    assert_eq!(copies.bodies(), [0, 8]);
}

#[test]
fn a_request_that_does_not_come_whole_is_not_mirrored() {
    let (up, _) = endpoint(OK, None);
    let (shadow, copies) = endpoint(OK, None);
    let node = mirrored(&up, &of(&shadow), r#","in_flight":1"#);
    let mut s = node.connect();
    s.write_all(&post(1_000)[..500]).unwrap();
    drop(s);
    counted(&node, &[("incomplete", 1)]);
    // Its place is free again.
    ask(&mut node.connect(), GET);
    counted(&node, &[("incomplete", 1), ("answered", 1)]);
    assert_eq!(copies.bodies(), [0]);
}

#[test]
fn a_websocket_is_not_mirrored() {
    let (up, _) = endpoint(OK, None);
    let (shadow, _) = endpoint(OK, None);
    let node = mirrored(&up, &of(&shadow), "");
    let mut s = node.connect();
    s.write_all(
        b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )
    .unwrap();
    read_answer(&mut s);
    counted(&node, &[("unsupported", 1)]);
}

#[test]
fn a_request_without_an_endpoint_is_not_mirrored() {
    let (shadow, copies) = endpoint(OK, None);
    let away = "127.0.0.1:1".parse().unwrap();
    let mut node = Node::start(&upstream_json(&[away], ""), "", 1);
    let changes = [
        put(Kind::Upstream, "shadow", of(&shadow)),
        put(Kind::Route, "r", route_json(&mirror_json(""))),
    ];
    node.apply(&changes);
    assert!(node.get("/").starts_with("HTTP/1.1 50"));
    counted(&node, &[("incomplete", 1)]);
    assert!(copies.all().is_empty());
}

#[test]
fn calls_over_http2_are_mirrored_with_their_bodies() {
    let up = http2_peer::serving(|_| b"ok".to_vec());
    let copies = Got::default();
    let told = copies.clone();
    let shadow = http2_peer::serving(move |request| {
        let mark = request.field("x-headgate-mirror").unwrap_or_default().to_owned();
        told.0.lock().unwrap().push((mark, request.body.clone()));
        b"no".to_vec()
    });
    let shadow = upstream_json(&[shadow.address], H2C);
    let mut node = mirrored(&up, &shadow, r#","body_bytes":50000"#);
    node.apply(&[put(Kind::Upstream, "u", upstream_json(&[up.address], H2C))]);
    let mut client = Client::connect(&node);
    let call = [("content-type", "application/grpc"), ("te", "trailers")];
    let answers = [
        client.post("/s/m", &call, b"hello"),
        client.post("/s/m", &[], &[b'x'; 50_000]),
        client.post("/s/m", &[], &[b'x'; 50_001]),
        client.get("/"),
    ];
    assert!(answers.iter().all(|a| a.status == 200 && a.body == b"ok"), "{answers:?}");
    counted(&node, &[("answered", 3), ("too_large", 1)]);
    let mut copies = copies.all();
    copies.sort_by_key(|(_, body)| body.len());
    assert!(copies.iter().all(|(mark, _)| mark == "r"));
    let bodies: Vec<_> = copies.iter().map(|(_, body)| body.len()).collect();
    assert_eq!(bodies, [0, 5, 50_000]);
    assert_eq!(copies[1].1, b"hello");
}

#[test]
fn a_call_is_not_mirrored_to_what_cannot_take_it() {
    let up = http2_peer::serving(|_| b"ok".to_vec());
    let (shadow, copies) = endpoint(OK, None);
    let mut node = mirrored(&up, &of(&shadow), "");
    node.apply(&[put(Kind::Upstream, "u", upstream_json(&[up.address], H2C))]);
    let mut client = Client::connect(&node);
    client.post("/s/m", &[("content-type", "application/grpc"), ("te", "trailers")], b"hello");
    counted(&node, &[("failed", 1)]);
    assert!(copies.all().is_empty());
}

#[test]
fn mirrors_come_and_go_while_copies_are_under_way() {
    let (up, _) = endpoint(OK, None);
    let door = Door::default();
    let (shadow, copies) = endpoint(OK, Some(door.clone()));
    let mut node = mirrored(&up, &of(&shadow), r#","timeout_ms":60000"#);
    let mut s = node.connect();
    ask(&mut s, GET);
    eventually("a copy", || copies.all().len() == 1);
    let gone = |kind, name: &str| Change { kind, name: name.into(), bytes: None };
    node.apply(&[put(Kind::Route, "r", route_json("")), gone(Kind::Upstream, "shadow")]);
    ask(&mut s, GET);
    door.open();
    assert_eq!(copies.all().len(), 1);
    node.apply(&[
        put(Kind::Upstream, "shadow", of(&shadow)),
        put(Kind::Route, "r", route_json(&mirror_json(""))),
    ]);
    ask(&mut s, GET);
    eventually("another copy", || copies.all().len() == 2);
    let wrong = node.refused(&[gone(Kind::Upstream, "shadow")]);
    assert_eq!(wrong, ["Route r: mirrors[0].upstream: there is no upstream `shadow`"]);
}

#[test]
fn a_drain_does_not_wait_for_copies() {
    let (up, _) = endpoint(OK, None);
    let (shadow, copies) = endpoint(OK, Some(Door::default()));
    let mut node = mirrored(&up, &of(&shadow), r#","timeout_ms":60000"#);
    node.apply(&[put(
        Kind::Settings,
        "node",
        r#"{"drain":{"delay_ms":1,"idle_grace_ms":50,"deadline_ms":600000}}"#,
    )]);
    let mut s = node.connect();
    ask(&mut s, GET);
    eventually("a copy", || copies.all().len() == 1);
    node.engine.drain(Box::new(|| ()));
    let mut rest = Vec::new();
    s.read_to_end(&mut rest).unwrap();
    eventually("the end of the worker", || node.engine.is_drained());
}
