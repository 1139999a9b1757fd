//! The cost of a panic: the connections of that worker and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use crate::common::*;
use crate::worker::Message;
use hg_plan::Kind;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const HELD: &[u8] = b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n";

/// Two workers; the node's own address belongs to the first one, `second` to the other.
struct Pair {
    node: Node,
    second: SocketAddr,
}

impl Pair {
    fn start(upstream: &str) -> Self {
        let mut node = Node::start(upstream, "", 2);
        let [spare, own] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let second = own.local_addr().unwrap();
        let sockets = [spare, own].map(|socket| {
            socket.set_nonblocking(true).unwrap();
            socket.into()
        });
        // Sockets go to workers by index, so the first one is the first worker's.
        node.engine.add_sockets(&second.to_string(), sockets.into());
        let both = format!(r#"{{"addresses":["{}","{second}"],"protocol":"http"}}"#, node.address);
        node.apply(&[put(Kind::Listener, "web", both)]);
        Self { node, second }
    }

    fn panic_first(&self) {
        let engine = &self.node.engine;
        let before = engine.worker_restarts()[0];
        engine.inner.workers[0].mailbox.send(Message::Panic);
        eventually("the worker is replaced", || engine.worker_restarts()[0] > before);
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

fn ask(stream: &mut TcpStream) -> Vec<u8> {
    stream.write_all(GET).unwrap();
    read_answer(stream).1
}

/// Answers at once, but `/held` only after a signal.
fn holding() -> (Upstream, mpsc::Sender<()>) {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::play(move |mut s| {
        while let Some(head) = read_head(&mut s) {
            if head.starts_with("GET /held") {
                // The sender is dropped with the test.
                let _ = wait.lock().unwrap().recv();
            }
            if s.write_all(OK).is_err() {
                return;
            }
        }
    });
    (upstream, go)
}

#[test]
fn a_panic_loses_the_connections_of_its_worker_and_no_other() {
    let (upstream, go) = holding();
    let pair = Pair::start(&upstream_json(&[upstream.address], ""));
    let mut lost: Vec<TcpStream> = (0..5).map(|_| connect(pair.node.address)).collect();
    let mut kept: Vec<TcpStream> = (0..5).map(|_| connect(pair.second)).collect();
    for stream in lost.iter_mut().chain(&mut kept) {
        assert_eq!(ask(stream), b"ok");
    }
    let in_flight = || pair.node.engine.metrics().upstreams[0].endpoints[0].active;
    kept[0].write_all(HELD).unwrap();
    eventually("a request is in flight on the other worker", || in_flight() == 1);

    pair.panic_first();

    for stream in &mut lost {
        assert!(read_all(stream).is_empty());
    }
    go.send(()).unwrap();
    assert_eq!(read_answer(&mut kept[0]).1, b"ok");
    for stream in &mut kept {
        assert_eq!(ask(stream), b"ok");
    }
    assert_eq!(ask(&mut connect(pair.node.address)), b"ok");
}

#[test]
fn a_panic_is_counted_and_told_and_the_next_worker_takes_plans() {
    let upstream = Upstream::answering(OK);
    let mut pair = Pair::start(&upstream_json(&[upstream.address], ""));
    let mut stream = connect(pair.node.address);
    assert_eq!(ask(&mut stream), b"ok");
    pair.panic_first();
    pair.panic_first();
    let metrics = pair.node.engine.metrics();
    assert_eq!(metrics.workers.iter().map(|w| w.restarts).collect::<Vec<_>>(), [2, 0]);
    assert_eq!(metrics.workers.iter().map(|w| w.connections).sum::<u64>(), 0);
    let events = pair.node.engine.take_events();
    let told = |e: &&hg_engine::EngineEvent| e.kind == "worker.lost" && e.message.contains("panic");
    assert_eq!(events.iter().filter(told).count(), 2, "{events:?}");
    let other = Upstream::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew");
    pair.node.apply(&[put(Kind::Upstream, "u", upstream_json(&[other.address], ""))]);
    for address in [pair.node.address, pair.second] {
        assert_eq!(ask(&mut connect(address)), b"new");
    }
}

#[test]
fn after_a_panic_every_limit_is_free_again() {
    let (upstream, _go) = holding();
    let mut pair = Pair::start(&upstream_json(&[upstream.address], r#","max_connections":1"#));
    let limits = r#"{"max_connections":1,"max_connections_per_client":1}"#;
    pair.node.apply(&[put(Kind::Settings, "node", limits)]);
    for _ in 0..3 {
        let mut stream = connect(pair.node.address);
        let seen = upstream.connections();
        stream.write_all(HELD).unwrap();
        eventually("the request is upstream", || upstream.connections() > seen);
        pair.panic_first();
        assert!(read_all(&mut stream).is_empty());
    }
    assert_eq!(ask(&mut connect(pair.second)), b"ok");
}

#[test]
fn a_probe_comes_back_only_once_every_worker_has_gone_round() {
    let (upstream, _go) = holding();
    let pair = Pair::start(&upstream_json(&[upstream.address], ""));
    let engine = &pair.node.engine;
    let (said, alive) = mpsc::channel();
    let probe = || {
        let said = said.clone();
        engine.probe(Box::new(move || said.send(()).unwrap()));
    };
    probe();
    alive.recv_timeout(DEADLINE).unwrap();
    let (release, held) = mpsc::channel::<()>();
    engine.inner.workers[1].mailbox.send(Message::Call(Box::new(move |_| {
        let _ = held.recv();
    })));
    probe();
    // Meanwhile the first worker answers for itself, which must not be enough.
    let (sent, swapped) = mpsc::channel();
    engine.inner.workers[0].mailbox.send(Message::Probe(Arc::new(crate::worker::Done::new(
        Box::new(move || sent.send(()).unwrap()),
    ))));
    swapped.recv_timeout(DEADLINE).unwrap();
    assert!(alive.try_recv().is_err());
    drop(release);
    alive.recv_timeout(DEADLINE).unwrap();
}
