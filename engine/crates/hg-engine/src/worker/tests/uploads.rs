//! Request bodies that come slowly, and bodies that are collected before the worker asks the
//! upstream.

use super::*;
use crate::common::http2_peer;
use crate::worker::exchange::{Exchange, Stage};
use hg_net::Ticks;

const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";

/// Starts a node whose route has more fields, and a client that has sent the start of a body.
fn begun(up: &Upstream, route: &str, bytes: usize) -> (Node, TcpStream) {
    let node = Node::start(&upstream_json(&[up.address], ""), route, 1);
    let s = node.connect();
    send(&node, &s, POST);
    send(&node, &s, &vec![b'x'; bytes]);
    (node, s)
}

/// Sends, and waits until the worker has taken it.
fn send(node: &Node, mut s: &TcpStream, bytes: &[u8]) {
    s.write_all(bytes).unwrap();
    node.barrier();
}

/// Starts an upstream that reads until the end.
fn swallowing() -> Upstream {
    Upstream::play(|mut s| drop(read_all(&mut s)))
}

fn exchange<T: Send + 'static>(
    node: &Node,
    get: impl Fn(&Exchange) -> T + Send + 'static,
) -> Option<T> {
    on_worker(node, move |w| w.exchanges.iter_mut().next().map(|e| get(e)))
}

fn was_cut(node: &Node, mut s: &TcpStream) -> bool {
    let Some(head) = read_head(&mut s) else { return false };
    head.starts_with("HTTP/1.1 408 ")
        && head.contains("connection: close")
        && timeouts(node, "body") == 1
}

#[test]
fn a_body_of_which_nothing_comes_is_cut_off_at_its_time() {
    let up = swallowing();
    for route in ["", r#","body_buffer_bytes":65536"#] {
        let (node, s) = begun(&up, route, 10);
        pass(&node, 10_000);
        assert_eq!(timeouts(&node, "body"), 0, "it has time left");
        pass(&node, 31_000);
        assert!(was_cut(&node, &s), "{route}");
        let rejects = node.engine.metrics().rejects;
        assert!(rejects.iter().any(|r| r.reason == "body-timeout"), "{rejects:?}");
    }
}

#[test]
fn a_body_that_trickles_below_its_rate_is_cut_off() {
    let up = swallowing();
    let route = r#","timeouts":{"body_ms":10000,"body_rate":100}"#;
    let (node, s) = begun(&up, route, 10);
    let due = exchange(&node, Exchange::body_deadline).unwrap();
    // Ten bytes gain a tenth of a second, and never more than was lost.
    send(&node, &s, b"0123456789");
    let later = exchange(&node, Exchange::body_deadline).unwrap();
    assert!(later >= due && later < due + 250, "{due} {later}");
    pass(&node, 11_000);
    assert!(was_cut(&node, &s));
}

#[test]
fn what_lies_in_the_socket_came_in_time() {
    let up = Upstream::play(|mut s| {
        read_head(&mut s);
        read_n(&mut s, 1000);
        s.write_all(OK).unwrap();
    });
    let (node, mut s) = begun(&up, r#","timeouts":{"body_rate":0}"#, 10);
    let (tell, told) = mpsc::channel();
    let call = move |w: &mut Worker| {
        told.recv_timeout(DEADLINE).unwrap();
        w.now_us += 31_000_000;
        w.now = hg_net::Clock::ticks(w.now_us);
        let ci = w.clients.iter().find(|(_, c)| c.exchange.is_some()).unwrap().0;
        w.expire_client(ci);
    };
    node.engine.inner.workers[0].mailbox.send(Message::Call(Box::new(call)));
    s.write_all(&[b'x'; 990]).unwrap();
    tell.send(()).unwrap();
    assert_eq!(read_answer(&mut s).1, b"ok");
    no_timeouts(&node);
}

#[test]
fn time_in_which_the_upstream_takes_nothing_is_not_the_clients() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let up = Upstream::play(move |mut s| {
        read_head(&mut s);
        wait.lock().unwrap().recv_timeout(DEADLINE).unwrap();
        read_n(&mut s, 50_000_000);
        s.write_all(OK).unwrap();
    });
    let node = Node::simple(&up);
    let mut s = node.connect();
    let mut writer = s.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n";
        writer.write_all(head).unwrap();
        writer.write_all(&vec![b'x'; 50_000_000]).unwrap();
    });
    eventually("the upstream takes no more", || {
        exchange(&node, |e| e.request.bytes > 0 && e.body_deadline() == Ticks::MAX) == Some(true)
    });
    pass(&node, 60_000);
    go.send(()).unwrap();
    assert_eq!(read_answer(&mut s).1, b"ok");
    sender.join().unwrap();
    no_timeouts(&node);
}

#[test]
fn a_body_of_just_the_buffers_size_is_collected_and_one_more_byte_is_not() {
    for (limit, is_collected) in [(1000, true), (999, false)] {
        let up = swallowing();
        let route = format!(r#","body_buffer_bytes":{limit}"#);
        let (node, s) = begun(&up, &route, 999);
        let stage = exchange(&node, |e| e.stage);
        assert_eq!(stage == Some(Stage::Collecting), is_collected, "{limit}");
        assert_eq!(on_worker(&node, |w| w.ups.len()), usize::from(!is_collected));
        if is_collected {
            assert_eq!(on_worker(&node, |w| w.io.pool.collected), 999);
        }
        drop(s);
        eventually("its bytes are given back", || {
            on_worker(&node, |w| w.io.pool.collected == 0 && w.clients.is_empty())
        });
    }
}

#[test]
fn where_collected_bodies_hold_too_much_the_next_are_passed_on_as_they_come() {
    let up = swallowing();
    let route = r#","body_buffer_bytes":65536"#;
    let node = Node::start(&upstream_json(&[up.address], ""), route, 1);
    on_worker(&node, |w| w.io.pool.collected = 1 << 40);
    let s = node.connect();
    send(&node, &s, POST);
    send(&node, &s, b"x");
    assert_eq!(on_worker(&node, |w| w.ups.len()), 1);
    on_worker(&node, |w| w.io.pool.collected = 0);
}

/// Starts an upstream that answers a GET at once and a POST never.
fn waiting_for_bodies() -> Upstream {
    Upstream::play(|mut s| {
        while let Some(head) = read_head(&mut s) {
            if head.starts_with("POST") {
                return drop(read_all(&mut s));
            }
            s.write_all(OK).unwrap();
        }
    })
}

#[test]
fn an_endpoint_that_gets_a_slow_body_counts_as_loaded() {
    let ups = [waiting_for_bodies(), waiting_for_bodies()];
    let addresses = ups.each_ref().map(|up| up.address);
    for balance in ["least_conn", "p2c"] {
        let json = upstream_json(&addresses, &format!(r#","balance":"{balance}""#));
        let node = Node::start(&json, "", 1);
        let requests = || {
            let all = &node.engine.metrics().upstreams[0].endpoints;
            all.iter().map(|e| e.requests).collect::<Vec<_>>()
        };
        // Both are known to answer quickly.
        while requests().contains(&0) {
            node.get("/");
        }
        let before = requests();
        let s = node.connect();
        send(&node, &s, POST);
        let after = requests();
        let loaded = (0..2).find(|i| after[*i] > before[*i]).unwrap();
        (0..10).for_each(|_| drop(node.get("/")));
        assert_eq!(requests()[loaded], after[loaded], "{balance}");
    }
}

/// Starts a node whose endpoint speaks HTTP/2 and takes no more of a body than its first window.
fn untaken(route: &str) -> (Upstream, Node) {
    let up = Upstream::play(|s| {
        let mut peer = http2_peer::Peer::over(s);
        peer.keeps_credit = true;
        while peer.read() {}
    });
    let node = http2_peer::with(&up, "", route);
    (up, node)
}

/// Sends a body of 100,000 bytes, as far as the node takes it.
fn uploading(node: &Node) -> (TcpStream, std::thread::JoinHandle<()>) {
    let s = node.connect();
    let mut writer = s.try_clone().unwrap();
    let send = move || {
        let _ = writer.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
        let _ = writer.write_all(&vec![b'x'; 100_000]);
    };
    (s, std::thread::spawn(send))
}

fn uploads(node: &Node) -> usize {
    on_worker(node, |w| w.io.pool.uploads)
}

#[test]
fn bodies_that_an_endpoint_over_http2_does_not_take_are_counted_until_they_are_gone() {
    for route in ["", r#","body_buffer_bytes":131072"#, r#","retry":{}"#] {
        let (_up, node) = untaken(route);
        let (s, sending) = uploading(&node);
        eventually("a part of the body is held", || uploads(&node) > 0);
        if route.contains("buffer") {
            // In one look: the endpoint's window still takes a little of it.
            let (collected, sum, left) =
                on_worker(&node, |w| (w.io.pool.collected, w.io.pool.bodies(), w.io.pool.uploads));
            assert_eq!((collected, sum), (100_000, 100_000 + left), "all of it, and what is left");
        }
        // Nothing moves for so long that the request ends.
        pass(&node, 310_000);
        eventually("nothing is held", || on_worker(&node, |w| w.io.pool.bodies()) == 0);
        s.shutdown(std::net::Shutdown::Both).unwrap();
        sending.join().unwrap();
    }
}

#[test]
fn where_a_worker_holds_too_much_less_is_read_for_endpoints_over_http2() {
    let (_up, node) = untaken("");
    on_worker(&node, |w| w.io.pool.collected = 1 << 40);
    let (s, sending) = uploading(&node);
    eventually("some is held", || uploads(&node) > 0);
    assert!(uploads(&node) <= 16 * 1024, "{}", uploads(&node));
    let limited = node.engine.metrics().http2.limited;
    assert!(limited.iter().any(|r| r.reason == "uploads" && r.count > 0), "{limited:?}");
    on_worker(&node, |w| w.io.pool.collected = 0);
    s.shutdown(std::net::Shutdown::Both).unwrap();
    sending.join().unwrap();
}
