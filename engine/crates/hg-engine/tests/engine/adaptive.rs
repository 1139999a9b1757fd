//! Adaptive concurrency, end to end: the limit follows how long answers take.

use crate::common::{
    DEADLINE, Node, Upstream, eventually, put, read_answer, read_head, upstream_json,
};
use hg_plan::Kind;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// An endpoint that answers once it is told, and how many requests it had at a time at most.
struct Endpoint {
    upstream: Upstream,
    most: Arc<AtomicUsize>,
    go: mpsc::Sender<()>,
}

impl Endpoint {
    fn new() -> Self {
        let (go, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let its_most = most.clone();
        let upstream = Upstream::play(move |mut s| {
            while read_head(&mut s).is_some() {
                its_most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                // The test may be over.
                let told = wait.lock().unwrap().recv();
                now.fetch_sub(1, SeqCst);
                if told.is_err() || s.write_all(OK).is_err() {
                    return;
                }
            }
        });
        Self { upstream, most, go }
    }
}

fn limit(node: &Node) -> u64 {
    node.engine.metrics().upstreams[0].concurrency_limit
}

fn waiting(node: &Node) -> u64 {
    node.engine.metrics().upstreams[0].waiting
}

fn ask(node: &Node) -> TcpStream {
    let mut s = node.connect();
    s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    s
}

const FEW: &str =
    r#","queue_timeout_ms":60000,"health":{"concurrency":{"initial":4,"min":2,"max":8}}"#;

#[test]
fn requests_above_the_limit_wait_and_are_served_in_their_turn() {
    let endpoint = Endpoint::new();
    let node = Node::start(&upstream_json(&[endpoint.upstream.address], FEW), "", 1);
    assert_eq!(limit(&node), 4);
    let mut clients: Vec<TcpStream> = (0..6).map(|_| ask(&node)).collect();
    eventually("two wait", || waiting(&node) == 2);
    eventually("four are there", || endpoint.most.load(SeqCst) == 4);
    for _ in &clients {
        endpoint.go.send(()).unwrap();
    }
    for s in &mut clients {
        assert_eq!(read_answer(s).1, b"ok");
    }
    assert!((2..=8).contains(&limit(&node)), "{}", limit(&node));
}

/// Adds a listening socket that the second worker alone has.
fn of_second_worker(node: &mut Node) -> SocketAddr {
    let [unused, second] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let address = second.local_addr().unwrap();
    for socket in [&unused, &second] {
        socket.set_nonblocking(true).unwrap();
    }
    // The workers get one each, in their order.
    node.engine.add_sockets(&address.to_string(), vec![unused.into(), second.into()]);
    let json = format!(r#"{{"addresses":["{address}","{}"],"protocol":"http"}}"#, node.address);
    node.apply(&[put(Kind::Listener, "web", json)]);
    address
}

#[test]
fn all_workers_have_one_limit_together() {
    let endpoint = Endpoint::new();
    let mut node = Node::start(&upstream_json(&[endpoint.upstream.address], FEW), "", 2);
    let second = of_second_worker(&mut node);
    let mut clients: Vec<TcpStream> = (0..3).map(|_| ask(&node)).collect();
    eventually("three are there", || endpoint.most.load(SeqCst) == 3);
    for _ in 0..3 {
        let mut s = TcpStream::connect(second).unwrap();
        s.set_read_timeout(Some(DEADLINE)).unwrap();
        s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        clients.push(s);
    }
    eventually("two wait", || waiting(&node) == 2);
    eventually("four are there", || endpoint.most.load(SeqCst) == 4);
    assert_eq!(limit(&node), 4);
    for _ in &clients {
        endpoint.go.send(()).unwrap();
    }
    for s in &mut clients {
        assert_eq!(read_answer(s).1, b"ok");
    }
}

#[test]
fn the_limit_is_gone_with_its_key_and_a_change_keeps_what_was_learned() {
    let endpoint = Endpoint::new();
    let address = endpoint.upstream.address;
    let mut node = Node::start(&upstream_json(&[address], FEW), "", 1);
    let mut clients: Vec<TcpStream> = (0..5).map(|_| ask(&node)).collect();
    eventually("one waits", || waiting(&node) == 1);
    let same = format!(r#"{FEW},"queue":7"#);
    node.apply(&[put(Kind::Upstream, "u", upstream_json(&[address], &same))]);
    assert_eq!((limit(&node), waiting(&node)), (4, 1));
    node.apply(&[put(Kind::Upstream, "u", upstream_json(&[address], ""))]);
    eventually("none waits", || waiting(&node) == 0);
    assert_eq!(limit(&node), 0);
    for _ in &clients {
        endpoint.go.send(()).unwrap();
    }
    for s in &mut clients {
        assert_eq!(read_answer(s).1, b"ok");
    }
}

#[test]
fn while_answers_take_no_longer_than_before_the_limit_grows() {
    let upstream = Upstream::answering(OK);
    let json = upstream_json(
        &[upstream.address],
        r#","health":{"concurrency":{"initial":1,"min":1,"max":8}}"#,
    );
    let node = Node::start(&json, "", 1);
    let mut s = node.connect();
    // A request is half of the limit until the limit is two.
    for _ in 0..1_000 {
        s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(read_answer(&mut s).1, b"ok");
        if limit(&node) > 1 {
            break;
        }
    }
    assert!(limit(&node) > 1, "{}", limit(&node));
}
