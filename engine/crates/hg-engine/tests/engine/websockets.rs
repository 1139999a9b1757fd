//! WebSockets over HTTP/2 (RFC 8441) on either side, through a real engine.

use crate::common::http2::Client;
use crate::common::http2_peer::{H2C, Peer, on};
use crate::common::*;
use hg_h2::{Code, Limits};
use hg_plan::Kind;
use hg_proto::websocket;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, mpsc};

const VERSION: (&str, &str) = ("sec-websocket-version", "13");
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn serving(up: &Upstream, upstream: &str, route: &str) -> Node {
    let mut node = Node::start(&upstream_json(&[up.address], upstream), route, 1);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    node
}

/// Takes a handshake over HTTP/1 and returns every byte in capitals; at the end says `bye`.
fn shouting(mut s: TcpStream) {
    let head = read_head(&mut s).unwrap();
    assert!(head.starts_with("GET /chat HTTP/1.1\r\n"), "{head}");
    assert_eq!(value(&head, "upgrade"), Some("websocket"));
    assert_eq!(value(&head, "sec-websocket-protocol"), Some("chat"));
    let accept = websocket::accept(value(&head, "sec-websocket-key").unwrap().as_bytes());
    write!(
        s,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: chat\r\n\r\nhello ",
        std::str::from_utf8(&accept).unwrap()
    )
    .unwrap();
    let mut some = [0; 4096];
    while let Ok(n @ 1..) = s.read(&mut some) {
        s.write_all(&some[..n].to_ascii_uppercase()).unwrap();
    }
    let _ = s.write_all(b" bye");
}

/// The same over HTTP/2.
fn shouting_peer(s: TcpStream) {
    // Like many, it says nothing before the preface.
    s.peek(&mut [0]).unwrap();
    let mut peer = Peer::over(s);
    while let Some(id) = peer.next() {
        let request = peer.requests[&id].clone();
        assert_eq!((&*request.method, &*request.path), ("CONNECT", "/chat"));
        assert_eq!(request.field("sec-websocket-protocol"), Some("chat"));
        assert_eq!(request.field("sec-websocket-key"), None);
        peer.head(id, 200, &[("sec-websocket-protocol", "chat")], false);
        peer.data(id, b"hello ", false);
        loop {
            let came = std::mem::take(&mut peer.requests.get_mut(&id).unwrap().body);
            peer.data(id, &came.to_ascii_uppercase(), false);
            let request = &peer.requests[&id];
            if request.ended || request.reset.is_some() || !peer.read() {
                break;
            }
        }
        peer.data(id, b" bye", true);
    }
}

fn tunnels(node: &Node) -> (u64, u64) {
    let tunnels = node.engine.metrics().tunnels;
    (tunnels.active, tunnels.total)
}

#[test]
fn a_websocket_over_http2_reaches_endpoints_of_both_kinds() {
    for (up, json) in [(Upstream::play(shouting), ""), (Upstream::play(shouting_peer), H2C)] {
        let node = serving(&up, json, r#","timeouts":{"request_ms":600000}"#);
        let mut client = Client::connect(&node);
        let fields = [VERSION, ("sec-websocket-protocol", "chat")];
        for turn in 1..3 {
            let id = client.open_websocket("/chat", &fields);
            let answer = client.answers[&id].clone();
            assert_eq!((answer.status, answer.field("sec-websocket-accept")), (200, None));
            assert_eq!(answer.field("sec-websocket-protocol"), Some("chat"));
            assert_eq!(answer.field("upgrade"), None);
            client.send(id, b"abc", false);
            assert_eq!(client.body(id, 9), b"hello ABC");
            assert_eq!(tunnels(&node), (1, turn));
            client.send(id, b"def", true);
            assert_eq!(client.answer(id).body, b"hello ABCDEF bye");
            eventually("the tunnel is over", || tunnels(&node) == (0, turn));
        }
    }
}

#[test]
fn what_a_client_sends_before_its_websocket_is_open_is_passed_on() {
    for (script, json) in [(shouting as fn(TcpStream), ""), (shouting_peer, H2C)] {
        let (go, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let up = Upstream::play(move |s| {
            let _ = wait.lock().unwrap().recv_timeout(DEADLINE);
            script(s);
        });
        let node = serving(&up, json, "");
        let mut client = Client::connect(&node);
        let id =
            client.begin_tunnel("/chat", &[VERSION, ("sec-websocket-protocol", "chat")], false);
        client.send(id, b"abc", false);
        node.barrier();
        go.send(()).unwrap();
        assert_eq!(client.body(id, 9), b"hello ABC");
    }
}

/// A connection with the handshake of a client over HTTP/1.
fn asking_http1(node: &Node) -> TcpStream {
    let mut s = node.connect();
    write!(
        s,
        "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\
         Sec-WebSocket-Protocol: chat\r\n\r\n"
    )
    .unwrap();
    s
}

#[test]
fn a_websocket_over_http1_reaches_an_endpoint_over_http2() {
    let up = Upstream::play(shouting_peer);
    let node = on(&up);
    let mut s = asking_http1(&node);
    let head = read_head(&mut s).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    let accept = websocket::accept(KEY.as_bytes());
    let accept = std::str::from_utf8(&accept).unwrap();
    assert_eq!(value(&head, "sec-websocket-accept"), Some(accept));
    assert_eq!(value(&head, "upgrade"), Some("websocket"));
    assert_eq!(read_n(&mut s, 6), b"hello ");
    s.write_all(b"abc").unwrap();
    assert_eq!(read_n(&mut s, 3), b"ABC");
    assert_eq!(tunnels(&node), (1, 1));
    s.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut s), b" bye");
    eventually("the tunnel is over", || tunnels(&node) == (0, 1));
}

#[test]
fn a_websocket_that_waits_for_a_greeting_outlives_a_reload_that_changes_the_protocol() {
    let (tell, told) = mpsc::channel();
    let (allow, allowed) = mpsc::channel();
    let meet = Mutex::new((tell, allowed));
    let up = Upstream::play(move |s| {
        s.peek(&mut [0]).unwrap();
        let meet = meet.lock().unwrap();
        meet.0.send(()).unwrap();
        // An end of the channel allows it, too.
        let _ = meet.1.recv();
        drop(meet);
        shouting_peer(s);
    });
    let mut node = on(&up);
    let mut s = asking_http1(&node);
    told.recv_timeout(DEADLINE).unwrap();
    node.apply(&[put(Kind::Upstream, "u", upstream_json(&[up.address], ""))]);
    drop::<mpsc::Sender<()>>(allow);
    let head = read_head(&mut s).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    assert_eq!(read_n(&mut s, 6), b"hello ");
    // The reload ended the first one, which no stream used yet.
    assert_eq!(up.connections(), 2);
}

#[test]
fn a_client_that_resets_its_websocket_ends_it_at_the_endpoint() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let up = Upstream::play(move |s| {
        let mut peer = Peer::over(s);
        let id = peer.next().unwrap();
        peer.head(id, 200, &[], false);
        while peer.requests[&id].reset.is_none() && peer.read() {}
        tell.lock().unwrap().send(peer.requests[&id].reset).unwrap();
        while peer.read() {}
    });
    let node = on(&up);
    let mut client = Client::connect(&node);
    let id = client.open_websocket("/chat", &[VERSION]);
    client.session.reset(id, Code::CANCEL);
    client.flush();
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), Some(Code::CANCEL));
    eventually("the tunnel is over", || tunnels(&node) == (0, 1));
}

#[test]
fn what_is_no_websocket_never_looks_like_one() {
    // An endpoint that answers as if the handshake were an ordinary request.
    let plain = Upstream::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    // One whose HTTP/2 has no extended CONNECT.
    let without = Upstream::play(|s| {
        let limits = Limits { extended_connect: false, ..Limits::server() };
        let mut peer = Peer::with(s, limits);
        while peer.read() {}
    });
    let refusing = Upstream::answering(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
    for (up, json, route, status) in [
        (&plain, "", "", 502),
        (&without, H2C, "", 502),
        (&refusing, "", "", 403),
        (&plain, "", r#","websocket":false"#, 501),
    ] {
        let node = serving(up, json, route);
        let mut client = Client::connect(&node);
        let id = client.open_websocket("/chat", &[VERSION]);
        assert_eq!(client.answers[&id].status, status, "{json} {route}");
        assert_eq!(tunnels(&node), (0, 0));
        let id = client.open_websocket("/chat", &[]);
        let expected = if route.is_empty() { 400 } else { status };
        assert_eq!(client.answers[&id].status, expected, "without a version");
    }
    let mut node = serving(&plain, "", "");
    let own = route_json("").replace(r#""upstream":"u""#, r#""respond":{"status":204}"#);
    node.apply(&[put(Kind::Route, "r", own)]);
    let mut client = Client::connect(&node);
    let id = client.open_websocket("/chat", &[VERSION]);
    assert_eq!(client.answers[&id].status, 501);
}

#[test]
fn the_end_of_a_half_may_come_with_the_opening() {
    for (up, json) in [(Upstream::play(shouting), ""), (Upstream::play(shouting_peer), H2C)] {
        let node = serving(&up, json, "");
        let mut client = Client::connect(&node);
        let fields = [VERSION, ("sec-websocket-protocol", "chat")];
        let id = client.open_tunnel("/chat", &fields, true);
        assert_eq!(client.answer(id).body, b"hello  bye", "{json}");
        eventually("the tunnel is over", || tunnels(&node) == (0, 1));
    }
}

#[test]
fn an_endpoint_that_ends_each_connection_at_once_is_not_dialled_for_ever() {
    let up = Upstream::play(|s| {
        let mut peer = Peer::over(s);
        peer.session.shutdown();
        peer.session.finish();
        peer.flush();
        while peer.read() {}
    });
    let node = on(&up);
    let mut client = Client::connect(&node);
    let id = client.open_websocket("/chat", &[VERSION]);
    let answer = client.answer(id);
    assert!((502..=503).contains(&answer.status), "{answer:?}");
    assert!(up.connections() <= 40, "{} connections", up.connections());
}

/// Opens a WebSocket, ends its half at once, and tells what comes then.
fn ending(mut s: TcpStream, tell: &Mutex<mpsc::Sender<Vec<u8>>>) {
    let head = read_head(&mut s).unwrap();
    let accept = websocket::accept(value(&head, "sec-websocket-key").unwrap().as_bytes());
    write!(
        s,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\nhello",
        std::str::from_utf8(&accept).unwrap()
    )
    .unwrap();
    s.shutdown(Shutdown::Write).unwrap();
    let mut got = Vec::new();
    s.read_to_end(&mut got).unwrap();
    tell.lock().unwrap().send(got).unwrap();
}

/// The same over HTTP/2.
fn ending_peer(s: TcpStream, tell: &Mutex<mpsc::Sender<Vec<u8>>>) {
    let mut peer = Peer::over(s);
    let id = peer.next().unwrap();
    peer.head(id, 200, &[], false);
    peer.data(id, b"hello", true);
    while !peer.requests[&id].ended && peer.requests[&id].reset.is_none() && peer.read() {}
    tell.lock().unwrap().send(peer.requests[&id].body.clone()).unwrap();
    // The worker needs no reset of a stream that both sides have ended.
    while peer.read() {
        assert!(peer.requests[&id].reset.is_none());
    }
}

#[test]
fn what_a_client_sends_after_the_endpoint_has_ended_its_half_arrives() {
    let (tell, told) = mpsc::channel();
    let (tell_too, told_too) = mpsc::channel();
    let (tell, tell_too) = (Mutex::new(tell), Mutex::new(tell_too));
    let ups = [
        (Upstream::play(move |s| ending(s, &tell)), "", told),
        (Upstream::play(move |s| ending_peer(s, &tell_too)), H2C, told_too),
    ];
    for (up, json, told) in ups {
        let node = serving(&up, json, "");
        let mut client = Client::connect(&node);
        let id = client.open_websocket("/chat", &[VERSION]);
        assert_eq!(client.answer(id).body, b"hello", "{json}");
        client.send(id, b"abc", false);
        client.send(id, b"def", true);
        assert_eq!(told.recv_timeout(DEADLINE).unwrap(), b"abcdef", "{json}");
        eventually("the tunnel is over", || tunnels(&node) == (0, 1));
    }
}

#[test]
fn what_a_client_over_http1_sends_after_that_arrives_too() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let up = Upstream::play(move |s| ending_peer(s, &tell));
    let node = on(&up);
    let mut s = asking_http1(&node);
    let head = read_head(&mut s).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    assert_eq!(read_all(&mut s), b"hello", "the end of the half comes through");
    assert_eq!(tunnels(&node), (1, 1));
    s.write_all(b"abc").unwrap();
    s.write_all(b"def").unwrap();
    s.shutdown(Shutdown::Write).unwrap();
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), b"abcdef");
    eventually("the tunnel is over", || tunnels(&node) == (0, 1));
}

/// Opens a WebSocket over HTTP/2, ends its half at once, and takes no more than a first window.
fn deaf_peer(s: TcpStream) {
    let mut peer = Peer::over(s);
    let id = peer.next().unwrap();
    peer.head(id, 200, &[], false);
    peer.data(id, b"hello", true);
    std::thread::park_timeout(3 * DEADLINE);
}

#[test]
fn a_reset_ends_a_websocket_whose_endpoint_has_ended_its_half_and_takes_nothing() {
    let up = Upstream::play(deaf_peer);
    let node = on(&up);
    let mut s = asking_http1(&node);
    read_head(&mut s).unwrap();
    assert_eq!(read_all(&mut s), b"hello");
    // Until every buffer is full.
    s.set_write_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
    while s.write(&[7; 65_536]).is_ok() {}
    rustix::net::sockopt::set_socket_linger(&s, Some(std::time::Duration::ZERO)).unwrap();
    drop(s);
    eventually("the tunnel is over", || tunnels(&node) == (0, 1));
}

/// Opens a WebSocket, says something and never ends, however its other half does.
fn staying(mut s: TcpStream, words: &[u8]) {
    let head = read_head(&mut s).unwrap();
    let accept = websocket::accept(value(&head, "sec-websocket-key").unwrap().as_bytes());
    write!(
        s,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        std::str::from_utf8(&accept).unwrap()
    )
    .unwrap();
    s.write_all(words).unwrap();
    while let Ok(1..) = s.read(&mut [0; 64]) {}
}

/// The same over HTTP/2.
fn staying_peer(s: TcpStream) {
    let mut peer = Peer::over(s);
    while let Some(id) = peer.next() {
        peer.head(id, 200, &[], false);
        peer.data(id, b"\x81\x02hi", false);
    }
}

/// Gives a node's drain so much time.
fn limit_drain(node: &mut Node, deadline_ms: u32) {
    let drain = format!(r#""delay_ms":1,"idle_grace_ms":1,"deadline_ms":{deadline_ms}"#);
    node.apply(&[put(Kind::Settings, "node", format!(r#"{{"drain":{{{drain}}}}}"#))]);
}

#[test]
fn a_drain_says_goodbye_in_websockets_that_use_streams() {
    let plain = Upstream::play(|s| staying(s, b"\x81\x02hi"));
    for (up, json) in [(plain, ""), (Upstream::play(staying_peer), H2C)] {
        let mut node = serving(&up, json, "");
        limit_drain(&mut node, 60_000);
        let mut client = Client::connect(&node);
        let id = client.open_websocket("/chat", &[VERSION]);
        assert_eq!(client.body(id, 4), b"\x81\x02hi");
        node.engine.drain(Box::new(|| {}));
        assert_eq!(client.answer(id).body, b"\x81\x02hi\x88\x02\x03\xe9", "{json}");
        client.until_closed();
    }
}

#[test]
fn a_drain_says_nothing_within_a_message() {
    let up = Upstream::play(|s| staying(s, b"\x01\x02hi"));
    let mut node = serving(&up, "", "");
    limit_drain(&mut node, 600);
    let mut client = Client::connect(&node);
    let id = client.open_websocket("/chat", &[VERSION]);
    assert_eq!(client.body(id, 4), b"\x01\x02hi");
    node.engine.drain(Box::new(|| {}));
    client.until_closed();
    assert_eq!(client.answers[&id].body, b"\x01\x02hi");
}

#[test]
fn a_drain_says_goodbye_where_the_endpoint_alone_speaks_http2() {
    let up = Upstream::play(staying_peer);
    let mut node = on(&up);
    limit_drain(&mut node, 60_000);
    let mut s = asking_http1(&node);
    read_head(&mut s).unwrap();
    assert_eq!(read_n(&mut s, 4), b"\x81\x02hi");
    node.engine.drain(Box::new(|| {}));
    assert_eq!(read_all(&mut s), b"\x88\x02\x03\xe9");
}

/// Takes a handshake, waits for the client's first bytes and says something.
fn greeting(mut s: TcpStream, words: &[u8]) {
    read_head(&mut s).unwrap();
    let accept = websocket::accept(KEY.as_bytes());
    let accept = std::str::from_utf8(&accept).unwrap();
    write!(
        s,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .unwrap();
    s.read_exact(&mut [0]).unwrap();
    s.write_all(words).unwrap();
    while let Ok(1..) = s.read(&mut [0; 64]) {}
}

/// Unread bytes turn a close into a reset, which takes along what the client has not got yet.
#[test]
fn a_drain_says_goodbye_to_a_client_whose_bytes_still_wait() {
    let up = Upstream::play(|s| greeting(s, b"\x81\x02hi"));
    let slow =
        r#","middlewares":[{"bandwidth":{"upload":1000,"upload_burst":1000,"key":["request"]}}]"#;
    let mut node = serving(&up, "", slow);
    limit_drain(&mut node, 60_000);
    let mut s = asking_http1(&node);
    read_head(&mut s).unwrap();
    s.write_all(&[0x81; 40_000]).unwrap();
    assert_eq!(read_n(&mut s, 4), b"\x81\x02hi");
    node.engine.drain(Box::new(|| {}));
    let mut rest = Vec::new();
    s.read_to_end(&mut rest).expect("the connection ends in order");
    assert_eq!(rest, b"\x88\x02\x03\xe9");
    drop(s);
    eventually("the WebSocket is over", || tunnels(&node) == (0, 1));
}

#[test]
fn what_the_endpoint_says_decides_whether_a_drain_says_goodbye() {
    for (client, endpoint, deadline_ms, goodbye) in [
        (b"\x01\x82key_", b"\x81\x02hi", 60_000, &b"\x88\x02\x03\xe9"[..]),
        (b"\x81\x80key_", b"\x01\x02hi", 600, b""),
    ] {
        let up = Upstream::play(|s| greeting(s, endpoint));
        let mut node = Node::simple(&up);
        limit_drain(&mut node, deadline_ms);
        let mut s = asking_http1(&node);
        read_head(&mut s).unwrap();
        s.write_all(client).unwrap();
        assert_eq!(read_n(&mut s, 4), endpoint);
        node.barrier();
        node.engine.drain(Box::new(|| {}));
        assert_eq!(read_all(&mut s), goodbye);
    }
}
