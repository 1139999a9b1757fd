//! Answers that are collected for slow clients (`response_buffer_bytes`), through a real engine, before
//! a backend with few workers.

use crate::common::http2::Client;
use crate::common::http2_peer::{Peer, with};
use crate::common::tls::Authority;
use crate::common::*;
use hg_plan::Kind;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

/// Less than is collected.
const LARGE: usize = 12 << 20;
/// More than the sockets of both sides hold.
const HUGE: usize = 64 << 20;
const WORKERS: usize = 2;
const COLLECTS: &str = r#","response_buffer_bytes":16777216"#;

fn body(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i % 251) as u8 ^ (i / 4096 % 256) as u8).collect()
}

/// Workers that are each busy with one request from its first byte to the last of its answer. A path
/// says how many bytes that has; `/chunked/N` sends them in chunks, `/end/N` ends with the connection.
struct Backend {
    address: SocketAddr,
    busy: Arc<AtomicUsize>,
}

impl Backend {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let busy = Arc::new(AtomicUsize::new(0));
        for _ in 0..WORKERS {
            let (listener, busy) = (listener.try_clone().unwrap(), busy.clone());
            std::thread::spawn(move || {
                for mut stream in listener.incoming().flatten() {
                    busy.fetch_add(1, SeqCst);
                    // A client that gives up is no fault of the backend.
                    let _ = serve(&mut stream);
                    drop(stream);
                    busy.fetch_sub(1, SeqCst);
                }
            });
        }
        Self { address, busy }
    }

    fn node(&self, route: &str) -> Node {
        let mut node = Node::start(&upstream_json(&[self.address], ""), route, 1);
        node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
        node
    }

    fn is_free(&self) {
        eventually("the backend is free", || self.busy.load(SeqCst) == 0);
    }

    fn is_taken(&self, node: &Node) {
        eventually("all workers are busy", || self.busy.load(SeqCst) == WORKERS);
        let mut s = node.connect();
        s.write_all(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        node.barrier();
        s.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let nothing = s.read(&mut [0]).map_err(|e| e.kind());
        assert!(matches!(nothing, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{nothing:?}");
    }
}

fn serve(s: &mut TcpStream) -> std::io::Result<()> {
    let Some(head) = read_head(s) else { return Ok(()) };
    let path = head.split(' ').nth(1).unwrap();
    let sent = body(path.rsplit('/').next().unwrap().parse().unwrap());
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    if path.starts_with("/chunked/") {
        write!(s, "{head}Transfer-Encoding: chunked\r\n\r\n")?;
        for part in sent.chunks(50_000) {
            write!(s, "{:x}\r\n", part.len())?;
            s.write_all(part)?;
            s.write_all(b"\r\n")?;
        }
        return s.write_all(b"0\r\n\r\n");
    }
    match path.starts_with("/end/") {
        true => write!(s, "{head}\r\n")?,
        false => write!(s, "{head}Content-Length: {}\r\n\r\n", sent.len())?,
    }
    s.write_all(&sent)
}

/// Asks for large answers and takes nothing of them.
fn slow_clients(node: &Node, path: &str) -> Vec<TcpStream> {
    let slow = |_| {
        let mut s = node.connect();
        write!(s, "GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        s
    };
    (0..WORKERS).map(slow).collect()
}

fn dechunked(s: &mut impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(read_n(s, 1));
        }
        let n = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
        all.extend(read_n(s, n));
        assert_eq!(read_n(s, 2), b"\r\n");
        if n == 0 {
            return all;
        }
    }
}

#[test]
fn clients_that_take_nothing_keep_no_worker_of_the_backend_where_answers_are_collected() {
    let backend = Backend::new();
    let node = backend.node(COLLECTS);
    for (before, how) in ["", "/chunked", "/end"].into_iter().enumerate() {
        let slow = slow_clients(&node, &format!("{how}/{LARGE}"));
        backend.is_free();
        let collected = (before as u64 + 1) * WORKERS as u64;
        eventually("all is collected", || node.engine.metrics().pending.collected == collected);
        assert!(node.get("/3").starts_with("HTTP/1.1 200 "));
        for mut s in slow {
            let got = match how {
                "" => read_answer(&mut s).1,
                _ => {
                    assert!(read_head(&mut s).unwrap().contains("ransfer-"));
                    dechunked(&mut s)
                }
            };
            assert!(got == body(LARGE), "{how}");
        }
    }
    eventually("nothing waits", || node.engine.metrics().pending.bytes == 0);
}

#[test]
fn such_clients_keep_all_workers_where_answers_are_not_collected() {
    let backend = Backend::new();
    let node = backend.node("");
    let slow = slow_clients(&node, &format!("/{HUGE}"));
    backend.is_taken(&node);
    for mut s in slow {
        assert!(read_answer(&mut s).1 == body(HUGE));
    }
    assert_eq!(node.engine.metrics().pending.collected, 0);
}

#[test]
fn an_answer_beyond_the_buffer_keeps_its_worker_and_arrives_whole() {
    let backend = Backend::new();
    let node = backend.node(r#","response_buffer_bytes":65536"#);
    let slow = slow_clients(&node, &format!("/{HUGE}"));
    backend.is_taken(&node);
    for mut s in slow {
        assert!(read_answer(&mut s).1 == body(HUGE));
    }
}

#[test]
fn a_worker_of_the_backend_is_free_once_the_rest_of_an_answer_is_collected() {
    let (most, rest) = (4 << 20, 3 << 20);
    let backend = Backend::new();
    let node = backend.node(&format!(r#","response_buffer_bytes":{most}"#));
    let mut slow = slow_clients(&node, &format!("/{HUGE}"));
    backend.is_taken(&node);
    let mut got = Vec::new();
    for s in &mut slow {
        assert!(read_head(s).unwrap().starts_with("HTTP/1.1 200 "));
        got.push(read_n(s, HUGE - rest));
    }
    backend.is_free();
    for (mut s, mut got) in slow.into_iter().zip(got) {
        got.extend(read_n(&mut s, rest));
        assert!(got == body(HUGE));
    }
}

#[test]
fn a_worker_collects_no_more_than_its_share() {
    let backend = Backend::new();
    let node = backend.node(COLLECTS);
    let mut slow = Vec::new();
    for _ in 0..4 {
        slow.extend(slow_clients(&node, &format!("/{LARGE}")));
    }
    let bytes = || node.engine.metrics().pending.bytes;
    eventually("it holds its share", || bytes() >= 32 << 20);
    backend.is_taken(&node);
    assert!(bytes() < 34 << 20, "{}", bytes());
    for mut s in slow {
        assert!(read_answer(&mut s).1 == body(LARGE));
    }
}

#[test]
fn answers_over_tls_are_collected() {
    let backend = Backend::new();
    let mut node = backend.node(COLLECTS);
    let authority = Authority::serve(&mut node);
    let mut slow: Vec<_> = (0..WORKERS).map(|_| authority.connect(&node)).collect();
    for s in &mut slow {
        write!(s, "GET /{LARGE} HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
        s.flush().unwrap();
    }
    backend.is_free();
    for mut s in slow {
        assert!(read_answer(&mut s).1 == body(LARGE));
    }
}

#[test]
fn answers_over_http2_are_collected_for_each_stream() {
    let backend = Backend::new();
    let node = backend.node(COLLECTS);
    let mut client = Client::connect(&node);
    let streams = [0; 3].map(|_| client.open("GET", &format!("/{}", 3 << 20), &[], true));
    client.flush();
    backend.is_free();
    // The windows of the client have been shut all the time.
    for stream in streams {
        assert!(client.answer(stream).body == body(3 << 20));
    }
    eventually("nothing waits", || node.engine.metrics().pending.bytes == 0);
}

#[test]
fn an_endpoint_of_http2_sends_on_while_its_answer_is_collected() {
    let (tell, told) = std::sync::mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let up = Upstream::play(move |s| {
        let mut peer = Peer::over(s);
        let id = peer.next().unwrap();
        peer.head(id, 200, &[], false);
        if peer.data(id, &body(LARGE), true) {
            tell.lock().unwrap().send(()).unwrap();
            while peer.read() {}
        }
    });
    let node = with(&up, "", COLLECTS);
    let mut slow = slow_clients(&node, "/");
    told.recv_timeout(DEADLINE).expect("the whole answer was taken from the endpoint");
    let s = &mut slow[0];
    assert!(read_head(s).unwrap().starts_with("HTTP/1.1 200 "));
    assert!(dechunked(s) == body(LARGE));
}
