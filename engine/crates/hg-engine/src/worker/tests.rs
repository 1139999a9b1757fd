//! Cases in which several things must fall into one turn of a worker; each test holds the worker
//! until they have happened.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use super::conn::Conn;
use super::exchange::{ExId, Stage};
use super::up::UpPhase;
use super::{Message, Phase, Worker};
use crate::common::tls::Authority;
use crate::common::*;
use hg_h2::Times;
use hg_plan::{Change, Kind};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, mpsc};

mod batches;
mod collecting;
mod connecting;
mod datagrams;
mod decoding;
mod http2;
mod inputs;
mod keeping;
mod leaks;
mod paced;
mod pausing;
mod places;
mod probes;
mod proxied;
mod retiring;
mod session_ends;
pub(super) mod sessions;
mod shedding;
mod sizes;
mod stalled;
pub(super) mod times;
mod traces;
mod tunnels;
mod turn_ends;
mod uploads;
mod waking;

pub(super) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
pub(super) const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Runs a function on the node's only worker and returns its result.
pub(super) fn on_worker<T: Send + 'static>(
    node: &Node,
    run: impl FnOnce(&mut Worker) -> T + Send + 'static,
) -> T {
    let (tell, told) = mpsc::channel();
    let call = move |worker: &mut Worker| tell.send(run(worker)).unwrap();
    node.engine.inner.workers[0].mailbox.send(Message::Call(Box::new(call)));
    told.recv_timeout(DEADLINE).unwrap()
}

/// A worker that does nothing until this is dropped.
struct Held(Option<mpsc::Sender<()>>);

impl Held {
    fn new(node: &Node) -> Self {
        let (go, wait) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let call = move |_: &mut Worker| {
            tell.send(()).unwrap();
            let _ = wait.recv_timeout(DEADLINE);
        };
        node.engine.inner.workers[0].mailbox.send(Message::Call(Box::new(call)));
        told.recv_timeout(DEADLINE).unwrap();
        Self(Some(go))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.0.take());
    }
}

/// Sends one request on a connection of its own.
pub(super) fn ask(node: &Node, request: &[u8]) -> TcpStream {
    let mut s = node.connect();
    s.write_all(request).unwrap();
    s
}

/// Sends one request on a connection that is reset at its end: the worker notices at once.
pub(super) fn ask_briefly(node: &Node, request: &[u8]) -> TcpStream {
    let s = ask(node, request);
    rustix::net::sockopt::set_socket_linger(&s, Some(std::time::Duration::ZERO)).unwrap();
    s
}

/// Starts a node whose endpoint never answers, with these further keys of its upstream and its route;
/// returns it and a client whose request waits for its answer.
pub(super) fn waiting(upstream: &str, route: &str, request: &[u8]) -> (Node, TcpStream) {
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let node = Node::start(&upstream_json(&[up.address], upstream), route, 1);
    let s = ask_briefly(&node, request);
    wait_for_answer(&node);
    (node, s)
}

/// Returns once a request waits for its answer.
pub(super) fn wait_for_answer(node: &Node) {
    let waits = |w: &mut Worker| !w.exchanges.ids(|e| e.stage == Stage::Waiting).is_empty();
    eventually("it waits for its answer", || on_worker(node, waits));
}

/// Runs a function on the only request that waits for its answer, and on its connection.
pub(super) fn on_request<T: Send + 'static>(
    node: &Node,
    run: impl FnOnce(&mut Worker, ExId, usize) -> T + Send + 'static,
) -> T {
    on_worker(node, |w| {
        let x = w.exchanges.ids(|e| e.stage == Stage::Waiting)[0];
        let ui = w.exchanges.get(x).and_then(|e| e.up).unwrap();
        run(w, x, ui)
    })
}

/// Returns once a connection has something to read, or its end.
pub(super) fn await_bytes(conn: &Conn) {
    eventually("something has come", || hg_net::is_readable_or_closed(&conn.fd));
}

/// Returns how many connections to endpoints are idle.
pub(super) fn idle(w: &Worker) -> usize {
    w.ups.iter().filter(|(_, up)| up.phase == UpPhase::Idle).count()
}

/// Returns how a connection to an endpoint ends, by a route with these further keys, once a function
/// has run on the request there.
pub(super) fn end_seen(
    route: &str,
    run: impl FnOnce(&mut Worker, ExId) + Send + 'static,
) -> Option<std::io::ErrorKind> {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let up = Upstream::play(move |mut s| {
        read_head(&mut s);
        let end = s.read(&mut [0]).map_err(|e| e.kind());
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
        tell.lock().unwrap().send(end.err()).unwrap();
    });
    let node = Node::start(&upstream_json(&[up.address], ""), route, 1);
    let _s = ask_briefly(&node, GET);
    wait_for_answer(&node);
    on_request(&node, |w, x, _| run(w, x));
    told.recv_timeout(DEADLINE).unwrap()
}

/// No limits in time of HTTP/2 but those that a test sets.
pub(super) const NEVER: Times = Times {
    greeting_ms: 0,
    head_ms: 0,
    settings_ms: 0,
    write_ms: 0,
    drain_ms: 0,
    idle_ms: 0,
    keepalive_ms: 0,
    pong_ms: 0,
};

/// Moves the clock of a worker on, until it looks at it again.
pub(super) fn move_on(w: &mut Worker, us: u64) {
    w.now_us += us;
    w.now = hg_net::Clock::ticks(w.now_us);
}

/// Moves the clock on for what waits at this moment: whatever is due ends.
fn pass(node: &Node, ms: u64) {
    on_worker(node, move |w| {
        let real = (w.now_us, w.now);
        w.now_us += ms * 1000;
        w.now = hg_net::Clock::ticks(w.now_us);
        let clients: Vec<usize> = w.clients.iter().map(|(ci, _)| ci).collect();
        for ci in clients {
            if w.clients.get(ci).is_some_and(|c| c.deadline <= w.now) {
                w.expire_client(ci);
            }
        }
        let ups: Vec<usize> = w.ups.iter().map(|(ui, _)| ui).collect();
        for ui in ups {
            if w.ups.get(ui).is_some_and(|up| up.deadline <= w.now) {
                w.expire_up(ui);
            }
        }
        (w.now_us, w.now) = real;
    });
}

/// Returns the requests in progress, as status shows them.
fn active(node: &Node) -> u64 {
    let upstreams = node.engine.metrics().upstreams;
    upstreams.iter().flat_map(|u| &u.endpoints).map(|e| e.active).sum()
}

/// Returns how often a timeout has run out.
fn timeouts(node: &Node, reason: &str) -> u64 {
    let all = node.engine.metrics().timeouts;
    all.iter().find(|t| t.reason == reason).map_or(0, |t| t.count)
}

fn connections(node: &Node) -> u64 {
    node.engine.metrics().workers[0].connections
}

fn no_timeouts(node: &Node) {
    let timeouts = node.engine.metrics().timeouts;
    assert!(timeouts.iter().all(|t| t.count == 0), "{timeouts:?}");
}

#[test]
fn a_client_that_ends_inside_its_hello_is_let_go_at_once() {
    let up = Upstream::answering(OK);
    let mut node = Node::simple(&up);
    Authority::serve(&mut node);
    let mut s = node.connect();
    eventually("it is accepted", || connections(&node) == 1);
    let held = Held::new(&node);
    // A record header of a hello whose rest never comes.
    s.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252]).unwrap();
    s.shutdown(Shutdown::Write).unwrap();
    drop(held);
    eventually("the connection is gone", || connections(&node) == 0);
    no_timeouts(&node);
}

#[test]
fn a_request_that_lies_in_the_socket_of_an_idle_connection_is_answered() {
    let up = Upstream::answering(OK);
    let node = Node::simple(&up);
    let mut s = node.connect();
    s.write_all(GET).unwrap();
    assert_eq!(read_answer(&mut s).1, b"ok");
    eventually("it is idle", || {
        on_worker(&node, |w| w.clients.iter().all(|(_, c)| c.exchange.is_none()))
    });
    let (tell, told) = mpsc::channel();
    let call = move |worker: &mut Worker| {
        let _ = told.recv_timeout(DEADLINE);
        // The connection's time runs out before the worker asks for events again.
        let all: Vec<usize> = worker.clients.iter().map(|(ci, _)| ci).collect();
        for ci in all {
            worker.clients.get_mut(ci).unwrap().deadline = worker.now;
            worker.expire_client(ci);
        }
    };
    node.engine.inner.workers[0].mailbox.send(Message::Call(Box::new(call)));
    s.write_all(GET).unwrap();
    tell.send(()).unwrap();
    assert_eq!(read_answer(&mut s).1, b"ok");
    no_timeouts(&node);
}

/// More connections wait than are accepted in one turn.
const MANY: usize = 300;

/// Listens on one more address and gives the socket to the engine, as listener `second`.
fn second_listener(node: &mut Node) -> SocketAddr {
    let second = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = second.local_addr().unwrap();
    second.set_nonblocking(true).unwrap();
    node.engine.add_sockets(&address.to_string(), vec![second.into()]);
    let json = format!(r#"{{"addresses":["{address}"],"protocol":"http"}}"#);
    let on_both = route_json("").replace(r#"["web"]"#, r#"["second","web"]"#);
    node.apply(&[put(Kind::Listener, "second", json), put(Kind::Route, "r", on_both)]);
    address
}

fn remove_second(node: &mut Node) {
    node.apply(&[
        Change { kind: Kind::Listener, name: "second".into(), bytes: None },
        put(Kind::Route, "r", route_json("")),
    ]);
}

#[test]
fn whoever_waits_at_a_listener_that_goes_is_served() {
    let up = Upstream::answering(OK);
    let mut node = Node::simple(&up);
    let address = second_listener(&mut node);
    let held = Held::new(&node);
    let mut clients: Vec<TcpStream> =
        (0..MANY).map(|_| TcpStream::connect(address).unwrap()).collect();
    let (tell, told) = mpsc::channel();
    // The change waits for the worker.
    std::thread::scope(|scope| {
        scope.spawn(|| remove_second(&mut node));
        drop(held);
    });
    node.engine.close_listener(&address.to_string(), Box::new(move || tell.send(()).unwrap()));
    told.recv_timeout(DEADLINE).unwrap();
    assert!(TcpStream::connect(address).is_err());
    // All ask at once: each has the time for a head only, however slow the answers of the others are.
    for s in &mut clients {
        s.set_read_timeout(Some(DEADLINE)).unwrap();
        s.write_all(GET).unwrap();
    }
    for (i, s) in clients.iter_mut().enumerate() {
        let answer = String::from_utf8(read_all(s)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "client {i}: {answer:?}");
    }
}

#[test]
fn an_address_that_comes_back_before_it_was_closed_is_served_again() {
    let up = Upstream::answering(OK);
    let mut node = Node::simple(&up);
    let address = second_listener(&mut node);
    remove_second(&mut node);
    let json = format!(r#"{{"addresses":["{address}"],"protocol":"http"}}"#);
    let on_both = route_json("").replace(r#"["web"]"#, r#"["second","web"]"#);
    node.apply(&[put(Kind::Listener, "second", json), put(Kind::Route, "r", on_both)]);
    let mut s = TcpStream::connect(address).unwrap();
    s.set_read_timeout(Some(DEADLINE)).unwrap();
    for _ in 0..2 {
        s.write_all(GET).unwrap();
        assert_eq!(read_answer(&mut s).1, b"ok");
    }
}

#[test]
fn an_answer_and_an_end_that_come_with_the_connection_are_read() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let up = Upstream::play(move |mut s| {
        s.write_all(OK).unwrap();
        s.shutdown(Shutdown::Write).unwrap();
        tell.lock().unwrap().send(()).unwrap();
        read_head(&mut s);
        let _ = s.read(&mut [0]);
    });
    let node = Node::simple(&up);
    let mut s = node.connect();
    eventually("it is accepted", || connections(&node) == 1);
    let held = Held::new(&node);
    s.write_all(GET).unwrap();
    let call = move |worker: &mut Worker| {
        // This turn begins to connect; the next one handles the result.
        let mut events = Vec::new();
        while worker.ups.is_empty() {
            worker.poller.wait(Some(100), &mut events).unwrap();
            for event in events.drain(..) {
                worker.on_event(event);
            }
        }
        told.recv_timeout(DEADLINE).unwrap();
    };
    node.engine.inner.workers[0].mailbox.send(Message::Call(Box::new(call)));
    drop(held);
    assert_eq!(read_answer(&mut s).1, b"ok");
}

#[test]
fn the_last_words_in_a_tunnel_whose_other_half_has_ended_arrive() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let up = Upstream::play(move |mut s| {
        read_head(&mut s);
        s.write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        )
        .unwrap();
        s.shutdown(Shutdown::Write).unwrap();
        tell.lock().unwrap().send(read_all(&mut s)).unwrap();
    });
    let node = Node::simple(&up);
    let mut s = node.connect();
    s.write_all(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )
    .unwrap();
    assert!(read_head(&mut s).unwrap().starts_with("HTTP/1.1 101 "));
    assert!(read_all(&mut s).is_empty(), "the upstream's half has ended");
    let held = Held::new(&node);
    s.write_all(b"last words").unwrap();
    s.shutdown(Shutdown::Write).unwrap();
    drop(held);
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), b"last words");
}

#[test]
fn what_a_client_sends_ahead_is_bounded() {
    let up = Upstream::answering(OK);
    let mut node = Node::simple(&up);
    let own = route_json("").replace(r#""upstream":"u""#, r#""respond":{"status":204}"#);
    node.apply(&[put(Kind::Route, "r", own)]);
    let s = node.connect();
    let mut writer = s.try_clone().unwrap();
    let count = 100_000;
    let sender = std::thread::spawn(move || writer.write_all(&GET.repeat(count)).unwrap());
    let mut reader = std::io::BufReader::new(s);
    let reading = std::thread::spawn(move || {
        for _ in 0..count {
            assert!(read_head(&mut reader).unwrap().starts_with("HTTP/1.1 204 "));
        }
    });
    let most = || on_worker(&node, |w| w.clients.iter().map(|(_, c)| c.input.len()).max());
    while !reading.is_finished() {
        let kept = most().unwrap_or(0);
        assert!(kept <= 128 * 1024, "{kept} bytes are kept");
    }
    sender.join().unwrap();
    reading.join().unwrap();
}

#[test]
fn what_was_read_to_its_end_is_read_again_only_after_an_event() {
    let up = Upstream::play(|mut s| {
        read_head(&mut s);
        s.write_all(OK).unwrap();
    });
    let mut node = Node::simple(&up);
    let mut s = Authority::serve(&mut node).connect(&node);
    s.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut s).1, b"ok");
    assert!(on_worker(&node, |w| w.clients.iter().all(|(_, c)| !c.conn.readable)));
}

#[test]
fn a_session_ends_with_the_word_of_its_client_as_well_as_with_its_connection() {
    let up = Upstream::answering(OK);
    let mut node = Node::simple(&up);
    let authority = Authority::serve(&mut node);
    for says_so in [true, false] {
        let mut s = authority.connect(&node);
        s.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
        assert_eq!(read_answer(&mut s).1, b"ok");
        if says_so {
            s.conn.send_close_notify();
            s.flush().unwrap();
        } else {
            s.sock.shutdown(Shutdown::Write).unwrap();
        }
        eventually("the connection is gone", || connections(&node) == 0);
    }
    no_timeouts(&node);
}

#[test]
fn events_of_what_had_an_index_before_are_told_apart() {
    let node = Node::simple(&Upstream::answering(OK));
    let generations = on_worker(&node, |w| {
        w.generation = 0xff_fffd;
        [(); 4].map(|()| w.next_generation())
    });
    // A token has room for 24 bits.
    assert_eq!(generations, [0xff_fffe, 0xff_ffff, 0, 1]);
}
