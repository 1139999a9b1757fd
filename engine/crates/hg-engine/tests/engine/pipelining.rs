//! Requests sent without waiting for answers and cut anywhere: every one of them is answered, in
//! order.

use crate::common::tls::Authority;
use crate::common::*;
use hg_plan::Kind;
use proptest::prelude::*;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc;

/// Answers with the request's path, after taking its body.
fn say_the_path(mut s: TcpStream) {
    while let Some(head) = read_head(&mut s) {
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let lower = head.to_ascii_lowercase();
        if lower.contains("transfer-encoding: chunked") {
            let mut body = Vec::new();
            while !body.ends_with(b"\r\n\r\n") {
                body.extend(read_n(&mut s, 1));
            }
        } else if let Some(n) = lower.lines().find_map(|l| l.strip_prefix("content-length: ")) {
            read_n(&mut s, n.parse().unwrap());
        }
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len());
        if s.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// Starts a node that answers `/own` by itself.
fn node(up: &Upstream) -> Node {
    let mut node = Node::simple(up);
    let own = r#"{"action":{"respond":{"status":200,"body":"own"}},"hosts":["*"],
        "listeners":["web"],"match":[{"path":{"prefix":"/own"}}]}"#;
    node.apply(&[put(Kind::Route, "own", own)]);
    node
}

fn request(kind: u8, i: usize) -> (String, String) {
    let host = "Host: a.example\r\n";
    match kind {
        0 => (format!("GET /{i} HTTP/1.1\r\n{host}\r\n"), format!("/{i}")),
        1 => {
            (format!("POST /{i} HTTP/1.1\r\n{host}Content-Length: 5\r\n\r\nGET /"), format!("/{i}"))
        }
        2 => (
            format!(
                "PUT /{i} HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            ),
            format!("/{i}"),
        ),
        _ => (format!("GET /own/{i} HTTP/1.1\r\n{host}\r\n"), "own".to_owned()),
    }
}

/// Sends the requests cut at the given places, each piece on its own; reads the answers meanwhile.
fn exchange(mut s: impl Read + Write, kinds: &[u8], cuts: &[prop::sample::Index]) {
    let made: Vec<_> = kinds.iter().enumerate().map(|(i, kind)| request(*kind, i)).collect();
    let all: String = made.iter().map(|(request, _)| request.as_str()).collect();
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(all.len())).collect();
    places.extend([0, all.len()]);
    places.sort_unstable();
    for pair in places.windows(2) {
        s.write_all(&all.as_bytes()[pair[0]..pair[1]]).unwrap();
        s.flush().unwrap();
        // Gives the worker a chance to read the piece alone.
        std::thread::yield_now();
    }
    for (i, (request, expected)) in made.iter().enumerate() {
        let (head, body) = read_answer(&mut s);
        assert!(head.starts_with("HTTP/1.1 200 "), "{i}, {request:?}: {head}");
        assert_eq!(String::from_utf8(body).unwrap(), *expected, "{i}");
    }
}

fn requests() -> impl Strategy<Value = (Vec<u8>, Vec<prop::sample::Index>)> {
    (
        prop::collection::vec(0..4u8, 1..60),
        prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    )
}

/// Few smaller cases are tried after a failure, because each costs a deadline.
fn cases(n: u32) -> ProptestConfig {
    ProptestConfig {
        max_shrink_iters: 4,
        failure_persistence: None,
        ..ProptestConfig::with_cases(n)
    }
}

#[test]
fn pipelined_requests_are_answered_wherever_they_are_cut() {
    let node = node(&Upstream::play(say_the_path));
    proptest!(cases(48), |((kinds, cuts) in requests())| {
        let s = node.connect();
        s.set_nodelay(true).unwrap();
        exchange(s, &kinds, &cuts);
    });
}

#[test]
fn pipelined_requests_are_answered_wherever_they_are_cut_over_tls() {
    let mut node = node(&Upstream::play(say_the_path));
    let authority = Authority::serve(&mut node);
    proptest!(cases(24), |((kinds, cuts) in requests())| {
        let s = authority.connect(&node);
        s.sock.set_nodelay(true).unwrap();
        exchange(s, &kinds, &cuts);
    });
}

/// Sends the rest of a second request while the first one is in progress: its event is over when
/// the first one is answered.
fn rest_under_way(
    node: &Node,
    mut s: impl Read + Write,
    arrived: &mpsc::Receiver<()>,
    go: &mpsc::Sender<()>,
) {
    s.write_all(b"GET /1 HTTP/1.1\r\nHost: a.example\r\n\r\nGET /2 HTTP/1.1\r\nHo").unwrap();
    s.flush().unwrap();
    arrived.recv_timeout(DEADLINE).unwrap();
    s.write_all(b"st: a.example\r\n\r\n").unwrap();
    s.flush().unwrap();
    node.barrier();
    go.send(()).unwrap();
    assert_eq!(read_answer(&mut s).1, b"/1");
    arrived.recv_timeout(DEADLINE).unwrap();
    go.send(()).unwrap();
    assert_eq!(read_answer(&mut s).1, b"/2");
}

/// An upstream that reports when a request has come, and answers after a signal.
fn held() -> (Upstream, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (tell, arrived) = mpsc::channel();
    let (go, wait) = mpsc::channel();
    let (tell, wait) = (Mutex::new(tell), Mutex::new(wait));
    let up = Upstream::play(move |mut s| {
        while let Some(head) = read_head(&mut s) {
            tell.lock().unwrap().send(()).unwrap();
            if wait.lock().unwrap().recv().is_err() {
                return;
            }
            let path = head.split(' ').nth(1).unwrap();
            write!(s, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()).unwrap();
        }
    });
    (up, arrived, go)
}

#[test]
fn a_second_request_whose_rest_comes_under_the_first_is_answered() {
    let (up, arrived, go) = held();
    let node = Node::simple(&up);
    rest_under_way(&node, node.connect(), &arrived, &go);
}

#[test]
fn a_second_request_whose_rest_comes_under_the_first_is_answered_over_tls() {
    let (up, arrived, go) = held();
    let mut node = Node::simple(&up);
    let authority = Authority::serve(&mut node);
    let mut s = authority.connect(&node);
    s.conn.complete_io(&mut s.sock).unwrap();
    s.sock.set_nodelay(true).unwrap();
    rest_under_way(&node, s, &arrived, &go);
}

#[test]
fn what_a_client_says_before_its_tls_ends_is_answered_and_then_the_connection_ends() {
    let mut node = node(&Upstream::play(say_the_path));
    let authority = Authority::serve(&mut node);
    let mut s = authority.connect(&node);
    s.conn.complete_io(&mut s.sock).unwrap();
    let requests =
        "GET /1 HTTP/1.1\r\nHost: a.example\r\n\r\nGET /2 HTTP/1.1\r\nHost: a.example\r\n\r\n";
    s.conn.writer().write_all(requests.as_bytes()).unwrap();
    s.conn.send_close_notify();
    // In one piece, so that no event announces the end; and the TCP connection does not end.
    let mut all = Vec::new();
    while s.conn.wants_write() {
        s.conn.write_tls(&mut all).unwrap();
    }
    s.sock.write_all(&all).unwrap();
    for path in ["/1", "/2"] {
        assert_eq!(read_answer(&mut s).1, path.as_bytes());
    }
    let end = s.read(&mut [0]).map_err(|e| e.kind());
    assert!(matches!(end, Ok(0) | Err(ErrorKind::UnexpectedEof)), "{end:?}");
}

/// Trailers take more room once they are written anew; what follows them is another request.
#[test]
fn trailers_never_overwrite_the_request_behind_them() {
    let node = node(&Upstream::play(say_the_path));
    let mut client = node.connect();
    let trailers: String = (0..20).map(|i| format!("x-{i}:v\r\n")).collect();
    let (mut sent, host) = (String::new(), "Host: a.example\r\n");
    sent.push_str(&format!("POST /1 HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n"));
    sent.push_str(&format!("3\r\nabc\r\n0\r\n{trailers}\r\n"));
    sent.push_str(&format!("GET /2 HTTP/1.1\r\n{host}\r\n"));
    client.write_all(sent.as_bytes()).unwrap();
    for path in ["/1", "/2"] {
        let head = read_head(&mut client).unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert_eq!(read_n(&mut client, path.len()), path.as_bytes());
    }
}
