//! Every limit of HTTP/2 that a listener sets: a client that stays below the default is served by it,
//! and held back or cut off by a smaller one.

use crate::common::http2::Client;
use crate::common::*;
use hg_h2::{Code, PREFACE};
use hg_plan::Kind;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
/// `GET http://a.example/` and `POST` of the same, in HPACK.
const GET: &[u8] = b"\x82\x86\x84\x41\x09a.example";
const POST: &[u8] = b"\x83\x86\x84\x41\x09a.example";

/// Starts a node whose listener has these limits.
fn limited(upstream: &Upstream, http2: &str) -> Node {
    let mut node = Node::simple(upstream);
    let rest = format!(r#","h2c":true,"http2":{http2}"#);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(&rest))]);
    node
}

/// Returns an upstream that answers once it is told so, and how to tell.
fn held() -> (Upstream, mpsc::Sender<()>) {
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let play = move |mut s: TcpStream| {
        while read_head(&mut s).is_some() {
            if wait.lock().unwrap().recv_timeout(DEADLINE).is_err() || s.write_all(OK).is_err() {
                return;
            }
        }
    };
    (Upstream::play(play), go)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut all = vec![len[1], len[2], len[3], kind, flags];
    all.extend(stream.to_be_bytes());
    all.extend(payload);
    all
}

/// Reads a frame: its type, stream and payload; `None` at the end.
fn read_frame(s: &mut TcpStream) -> Option<(u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    s.read_exact(&mut head).ok()?;
    let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    let mut payload = vec![0; len];
    s.read_exact(&mut payload).ok()?;
    Some((head[3], stream, payload))
}

/// Opens a connection that has said its greeting.
fn greeted(node: &Node) -> TcpStream {
    let mut s = node.connect();
    let ack = frame(4, 1, 0, &[]);
    s.write_all(&[&PREFACE[..], &frame(4, 0, 0, &[]), &ack].concat()).unwrap();
    s
}

/// Sends these frames and a PING; returns the code with which the connection ended, if it did before
/// the answer to the PING.
fn outcome(node: &Node, frames: &[u8]) -> Option<u32> {
    let mut s = greeted(node);
    let marker = [9; 8];
    s.write_all(&[frames, &frame(PING, 0, 0, &marker)].concat()).unwrap();
    loop {
        match read_frame(&mut s) {
            Some((PING, _, payload)) if payload == marker => return None,
            Some((GOAWAY, _, payload)) => {
                let code = u32::from_be_bytes(payload[4..8].try_into().unwrap());
                if code != Code::NO_ERROR.0 {
                    return Some(code);
                }
            }
            Some(_) => {}
            None => panic!("the connection ended without a word"),
        }
    }
}

fn closed(node: &Node, reason: &str) -> u64 {
    let all = node.engine.metrics().http2.closed;
    all.iter().find(|r| r.reason == reason).map_or(0, |r| r.count)
}

fn held_back(node: &Node, limit: &str) -> u64 {
    let all = node.engine.metrics().http2.limited;
    all.iter().find(|r| r.reason == limit).map_or(0, |r| r.count)
}

fn active(node: &Node) -> u64 {
    let upstreams = node.engine.metrics().upstreams;
    upstreams.iter().flat_map(|u| &u.endpoints).map(|e| e.active).sum()
}

/// Returns the reason, the limit that brings it about, and frames that the default allows.
fn floods() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let post = frame(1, 4, 1, POST);
    let streams = |n: u32| {
        let one = |n: u32| [frame(1, 5, 2 * n + 1, GET), frame(3, 0, 2 * n + 1, &[0, 0, 0, 8])];
        (0..n).flat_map(one).collect::<Vec<_>>().concat()
    };
    let block = |n: usize| {
        let parts = (0..n).map(|at| frame(9, if at + 1 == n { 4 } else { 0 }, 1, &[]));
        [frame(1, 1, 1, GET), parts.collect::<Vec<_>>().concat()].concat()
    };
    let budget = |name: &'static str, frames: Vec<u8>| (name, frames);
    let all = [
        ("settings-flood", budget(r#""settings":10"#, frame(4, 0, 0, &[]).repeat(15))),
        ("ping-flood", budget(r#""pings":10"#, frame(PING, 0, 0, &[0; 8]).repeat(15))),
        ("priority-flood", {
            budget(r#""priorities":10"#, frame(2, 0, 1, &[0, 0, 0, 0, 7]).repeat(15))
        }),
        ("frame-flood", budget(r#""others":10"#, frame(0x42, 0, 0, &[]).repeat(15))),
        ("small-data-flood", {
            budget(r#""small_data":10"#, [&post[..], &frame(0, 0, 1, b"x").repeat(15)].concat())
        }),
        ("empty-data-flood", {
            budget(r#""empty_data":2"#, [&post[..], &frame(0, 0, 1, &[]).repeat(5)].concat())
        }),
        ("window-update-flood", {
            budget(r#""window_updates":1"#, frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).repeat(3))
        }),
        ("work", budget(r#""work":100"#, frame(PING, 0, 0, &[0; 8]).repeat(60))),
        ("reset-flood", budget(r#""resets":10"#, streams(25))),
    ];
    let budgets = all.into_iter().map(|(reason, (limit, frames))| {
        (reason, &*Box::leak(format!(r#"{{"budgets":{{{limit}}}}}"#).into_boxed_str()), frames)
    });
    let others = [("continuation-flood", r#"{"continuations":2}"#, block(4))];
    budgets.chain(others).collect()
}

#[test]
fn what_costs_its_sender_little_ends_by_the_budgets_of_the_listener() {
    for (reason, limit, frames) in floods() {
        let up = Upstream::play(|mut s| drop(read_all(&mut s)));
        let node = limited(&up, "{}");
        assert_eq!(outcome(&node, &frames), None, "{reason}: the default allows it");
        let node = limited(&up, limit);
        assert_eq!(outcome(&node, &frames), Some(Code::ENHANCE_YOUR_CALM.0), "{reason}");
        assert_eq!(closed(&node, reason), 1, "{:?}", node.engine.metrics().http2.closed);
    }
}

#[test]
fn messages_are_small_within_their_own_budget() {
    // The content type of gRPC, as a literal.
    let grpc = [POST, &b"\x0f\x10\x10application/grpc"[..]].concat();
    let frames = [frame(1, 4, 1, &grpc), frame(0, 0, 1, b"x").repeat(400)].concat();
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let slow = |limit: &str| limited(&up, limit);
    let node = slow(r#"{"budgets":{"small_messages":300}}"#);
    assert_eq!(outcome(&node, &frames), Some(Code::ENHANCE_YOUR_CALM.0));
    assert_eq!(closed(&node, "small-data-flood"), 1);
}

#[test]
fn streams_above_the_limit_are_refused_and_counted() {
    let (up, go) = held();
    let node = limited(&up, r#"{"streams":3}"#);
    let mut client = Client::connect(&node);
    let ids: Vec<u32> = (0..5).map(|_| client.open("GET", "/", &[], true)).collect();
    for id in &ids[3..] {
        assert_eq!(client.answer(*id).reset, Some(Code::REFUSED_STREAM));
    }
    assert_eq!(client.session.peer().max_concurrent_streams, 3);
    assert_eq!(held_back(&node, "streams"), 2);
    ids.iter().for_each(|_| go.send(()).unwrap());
    for id in &ids[..3] {
        assert_eq!(client.answer(*id).status, 200);
    }
}

#[test]
fn streams_wait_for_a_place_at_the_upstreams() {
    let (up, go) = held();
    let node = limited(&up, r#"{"dispatched":2}"#);
    let mut client = Client::connect(&node);
    let ids: Vec<u32> = (0..5).map(|_| client.open("GET", "/", &[], true)).collect();
    client.flush();
    eventually("all have come", || held_back(&node, "dispatched") == 3);
    // What has a place may wait for its turn.
    eventually("two have an endpoint", || active(&node) == 2);
    ids.iter().for_each(|_| go.send(()).unwrap());
    for id in ids {
        assert_eq!(client.answer(id).status, 200);
        assert!(active(&node) <= 2);
    }
}

#[test]
fn bodies_wait_for_one_that_is_still_coming() {
    let up = Upstream::play(|mut s| {
        while let Some(head) = read_head(&mut s) {
            let body = if head.starts_with("POST") { 3 } else { 0 };
            read_n(&mut s, body);
            s.write_all(OK).unwrap();
        }
    });
    let node = limited(&up, r#"{"bodies":1}"#);
    let mut client = Client::connect(&node);
    let fields = [("content-length", "3")];
    let first = client.open("POST", "/", &fields, false);
    let second = client.open("POST", "/", &fields, false);
    client.flush();
    eventually("the second waits", || held_back(&node, "bodies") == 1);
    assert_eq!(client.get("/").status, 200, "what has no body does not wait");
    client.send(second, b"abc", true);
    node.barrier();
    assert!(!client.answers[&second].ended);
    client.send(first, b"abc", true);
    assert_eq!((client.answer(first).status, client.answer(second).status), (200, 200));
}

#[test]
fn a_stream_waits_as_long_as_its_listener_says_once_the_resets_are_used_up() {
    let (up, _go) = held();
    let node = limited(&up, r#"{"budgets":{"resets":10,"reset_wait_ms":60000}}"#);
    let frames: Vec<u8> = (0..12_u32)
        .flat_map(|n| [frame(1, 5, 2 * n + 1, GET), frame(3, 0, 2 * n + 1, &[0, 0, 0, 8])])
        .flatten()
        .collect();
    let mut s = greeted(&node);
    s.write_all(&[frames, frame(1, 5, 101, GET)].concat()).unwrap();
    eventually("the last one waits", || held_back(&node, "resets") == 3);
    node.barrier();
    assert_eq!(active(&node), 0);
}

#[test]
fn a_head_may_be_as_large_as_its_list() {
    let long = "x".repeat(1100);
    let fields = [("x-long", &*long)];
    let ask = |http2: &str| {
        let node = limited(&Upstream::answering(OK), http2);
        let mut client = Client::connect(&node);
        let id = client.open("GET", "/", &fields, true);
        let status = client.answer(id).status;
        (status, client.session.peer().max_header_list_size)
    };
    assert_eq!(ask("{}"), (200, 32 * 1024));
    assert_eq!(ask(r#"{"header_list_bytes":1024}"#), (431, 1024));
    let node = limited(&Upstream::answering(OK), r#"{"header_list_bytes":500}"#);
    let field = [&[0, 6][..], b"x-long", &[0x7f, 0xcd, 0x07], long.as_bytes()].concat();
    let block = [GET, &field].concat();
    assert_eq!(outcome(&node, &frame(1, 5, 1, &block)), Some(Code::ENHANCE_YOUR_CALM.0));
    assert_eq!(closed(&node, "head-size"), 1);
}

/// Sends a body as the windows of its stream and of the connection allow; returns the window of the
/// stream in the end, and what the connection got before any byte was sent.
fn upload(node: &Node, first: i64, bytes: i64) -> (i64, i64) {
    let mut s = greeted(node);
    let (mut stream, mut connection, mut left) = (first, 65_535_i64, bytes);
    s.write_all(&frame(1, 4, 1, POST)).unwrap();
    let mut granted = None;
    while left > 0 {
        let n = left.min(stream).min(connection).min(16_384);
        if n > 0 && granted.is_some() {
            s.write_all(&frame(0, 0, 1, &vec![b'x'; usize::try_from(n).unwrap()])).unwrap();
            (stream, connection, left) = (stream - n, connection - n, left - n);
            continue;
        }
        let (kind, id, payload) = read_frame(&mut s).expect("the connection goes on");
        if kind == WINDOW_UPDATE {
            let more = i64::from(u32::from_be_bytes(payload[..4].try_into().unwrap()));
            granted.get_or_insert(more);
            *(if id == 0 { &mut connection } else { &mut stream }) += more;
        }
    }
    // Everything is taken in the end.
    s.write_all(&frame(PING, 0, 0, &[9; 8])).unwrap();
    while let Some((kind, id, payload)) = read_frame(&mut s) {
        match kind {
            WINDOW_UPDATE if id == 1 => {
                stream += i64::from(u32::from_be_bytes(payload[..4].try_into().unwrap()));
            }
            PING if payload == [9; 8] => break,
            _ => {}
        }
    }
    (stream, granted.unwrap_or_default())
}

#[test]
fn windows_are_those_of_the_listener() {
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let node = limited(
        &up,
        r#"{"windows":{"stream_bytes":16384,"most_stream_bytes":32768,"connection_bytes":200000}}"#,
    );
    let mut client = Client::connect(&node);
    client.open("GET", "/", &[], true);
    assert!(client.read_flushed());
    assert_eq!(client.session.peer().initial_window_size, 16_384);
    let (stream, connection) = upload(&node, 16_384, 2_000_000);
    assert!(stream <= 32_768, "the window of the stream has grown to {stream}");
    assert_eq!(connection, 200_000 - 65_535);
}

#[test]
fn streams_hold_less_once_their_connection_holds_as_much_as_it_may() {
    const BODY: usize = 256 * 1024;
    let stalled = |http2: &str| {
        let up = Upstream::play(|mut s| {
            while read_head(&mut s).is_some() {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n");
                if s.write_all(head.as_bytes()).and_then(|()| s.write_all(&[b'x'; BODY])).is_err() {
                    return;
                }
            }
        });
        let node = limited(&up, http2);
        let mut client = Client::connect(&node);
        client.keeps_credit = true;
        // A stream that is shut holds 8 KiB.
        let ids: Vec<u32> = (0..12).map(|_| client.open("GET", "/", &[], true)).collect();
        client.flush();
        while ids.iter().any(|id| client.answers[id].body.len() < 60_000) {
            assert!(client.read());
        }
        node.barrier();
        held_back(&node, "answers")
    };
    assert_eq!(stalled("{}"), 0);
    assert!(stalled(r#"{"output":{"answers_bytes":65536}}"#) > 0);
}

#[test]
fn a_connection_keeps_the_limits_that_it_began_with() {
    let (up, go) = held();
    let mut node = limited(&up, r#"{"dispatched":2}"#);
    let mut client = Client::connect(&node);
    let first = client.open("GET", "/", &[], true);
    client.flush();
    eventually("it is at the upstream", || active(&node) == 1);
    let rest = r#","h2c":true,"http2":{"dispatched":1}"#;
    node.apply(&[put(Kind::Listener, "web", node.listener_json(rest))]);
    let second = client.open("GET", "/", &[], true);
    client.flush();
    eventually("both are", || active(&node) == 2);
    go.send(()).unwrap();
    go.send(()).unwrap();
    for id in [first, second] {
        assert_eq!(client.answer(id).status, 200);
    }
}
