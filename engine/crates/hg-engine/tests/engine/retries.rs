//! Retries, end to end: what is tried again, where, how often, and what stops it.

use crate::common::{
    DEADLINE, Node, Upstream, eventually, put, read_answer, read_head, read_n, route_json,
    unused_address, upstream_json,
};
use hg_engine::ReasonCount;
use hg_plan::{Change, Kind};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const BUSY: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";
const ERROR: &str = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
/// Closes the connection instead of an answer.
const CLOSE: &str = "";
/// Waits until the node gives up.
const HANG: &str = "hang";

/// An endpoint that answers its requests in this order; the last answer stays.
struct Endpoint {
    requests: Arc<AtomicUsize>,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
    upstream: Upstream,
}

impl Endpoint {
    fn new(answers: &[&'static str]) -> Self {
        let answers = answers.to_vec();
        let requests = Arc::new(AtomicUsize::new(0));
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let (its_requests, its_bodies) = (requests.clone(), bodies.clone());
        let upstream = Upstream::play(move |mut s| {
            while let Some(head) = read_head(&mut s) {
                let n = its_requests.fetch_add(1, SeqCst);
                its_bodies.lock().unwrap().push(body(&mut s, &head));
                let answer = answers[n.min(answers.len() - 1)];
                if answer == HANG {
                    let _ = s.read(&mut [0]);
                    return;
                }
                if answer.is_empty() || s.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        });
        Self { requests, bodies, upstream }
    }

    fn requests(&self) -> usize {
        self.requests.load(SeqCst)
    }
}

/// Reads the body that a head announces.
fn body(s: &mut impl Read, head: &str) -> Vec<u8> {
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
    if let Some(length) = length {
        return read_n(s, length);
    }
    let mut body = Vec::new();
    while head.contains("transfer-encoding: chunked") {
        let line = line(s);
        let size = usize::from_str_radix(line.trim(), 16).unwrap();
        body.extend(read_n(s, size));
        read_n(s, 2);
        if size == 0 {
            break;
        }
    }
    body
}

fn line(s: &mut impl Read) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.extend(read_n(s, 1));
    }
    String::from_utf8(line).unwrap()
}

fn addresses(endpoints: &[Endpoint]) -> Vec<SocketAddr> {
    endpoints.iter().map(|e| e.upstream.address).collect()
}

/// Waits as long as a test can afford to see.
const QUICK: &str = r#""backoff":{"base_ms":1,"max_ms":1}"#;

/// Returns the times of a route: a short one only where a try must end by it, since a machine may stand
/// still for as long.
fn times_of(answer: &str) -> &'static str {
    if answer == HANG { r#","timeouts":{"per_try_ms":500}"# } else { "" }
}

fn node(endpoints: &[Endpoint], retry: &str, rest: &str) -> Node {
    let route = format!(r#","retry":{{{retry}}}{rest}"#);
    Node::start(&upstream_json(&addresses(endpoints), ""), &route, 1)
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("")
}

fn count(all: &[ReasonCount], reason: &str) -> u64 {
    all.iter().find(|r| r.reason == reason).map_or(0, |r| r.count)
}

fn sent(node: &Node, reason: &str) -> u64 {
    count(&node.engine.metrics().retries.sent, reason)
}

fn denied(node: &Node, reason: &str) -> u64 {
    count(&node.engine.metrics().retries.denied, reason)
}

/// Asks until an endpoint was asked `n` times; returns the last answer.
fn until_asked(node: &Node, endpoint: &Endpoint, n: usize) -> String {
    loop {
        let answer = node.get("/");
        if endpoint.requests() >= n {
            return answer;
        }
    }
}

#[test]
fn what_the_policy_covers_is_tried_at_another_endpoint() {
    for (on, failing, reason) in [
        (r#""on":["503"]"#, BUSY, "status"),
        (r#""on":["gateway-error"]"#, BUSY, "status"),
        (r#""on":["5xx"]"#, ERROR, "status"),
        (r#""on":["reset"]"#, CLOSE, "reset"),
        (r#""on":["reset"]"#, "no HTTP at all\r\n\r\n", "reset"),
        (
            r#""on":["reset"]"#,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "reset",
        ),
        (r#""on":["timeout"]"#, HANG, "timeout"),
    ] {
        let endpoints = [Endpoint::new(&[failing]), Endpoint::new(&[OK])];
        let node = node(&endpoints, &format!("{on},{QUICK}"), times_of(failing));
        for _ in 0..4 {
            assert_eq!(status(&node.get("/")), "200", "{failing}");
        }
        assert!(endpoints[0].requests() > 0, "{failing}");
        assert_eq!(sent(&node, reason), endpoints[0].requests() as u64, "{failing}");
        assert_eq!(endpoints[1].requests(), 4, "{failing}");
    }
}

#[test]
fn what_the_policy_does_not_cover_is_passed_on() {
    for (on, failing, expected) in [
        (r#""on":["503"]"#, ERROR, "500"),
        (r#""on":["503"]"#, CLOSE, "502"),
        (r#""on":["reset"]"#, HANG, "504"),
        (r#""on":["timeout"]"#, BUSY, "503"),
        ("", BUSY, "503"),
    ] {
        let endpoints = [Endpoint::new(&[failing]), Endpoint::new(&[OK])];
        let comma = if on.is_empty() { "" } else { "," };
        let retry = format!("{on}{comma}{QUICK}");
        let node = node(&endpoints, &retry, times_of(failing));
        let answer = until_asked(&node, &endpoints[0], 1);
        assert_eq!(status(&answer), expected, "{on}");
        let metrics = node.engine.metrics().retries;
        let none = |all: &[ReasonCount]| all.iter().all(|r| r.count == 0);
        assert!(none(&metrics.sent) && none(&metrics.denied), "{metrics:?}");
    }
}

#[test]
fn the_last_answer_is_passed_on_and_no_endpoint_is_asked_twice_if_another_is_left() {
    for retries in [1, 2, 4] {
        let endpoints: Vec<_> = (0..3).map(|_| Endpoint::new(&[BUSY])).collect();
        let retry = format!(r#""retries":{retries},"on":["503"],{QUICK}"#);
        let node = node(&endpoints, &retry, "");
        let answer = node.get("/");
        assert!(
            answer.starts_with("HTTP/1.1 503 Busy\r\n") && answer.ends_with("busy"),
            "{answer}"
        );
        let mut asked: Vec<_> = endpoints.iter().map(Endpoint::requests).collect();
        asked.sort_unstable();
        let expected = match retries {
            1 => [0, 1, 1],
            2 => [1, 1, 1],
            _ => [1, 2, 2],
        };
        assert_eq!(asked, expected, "{retries}");
        assert_eq!((sent(&node, "status"), denied(&node, "spent")), (retries, 1));
    }
}

#[test]
fn a_lone_endpoint_is_asked_again_on_the_connection_whose_answer_came_whole() {
    let endpoints = [Endpoint::new(&[BUSY, BUSY, OK])];
    let node = node(&endpoints, &format!(r#""on":["503"],{QUICK}"#), "");
    assert_eq!(status(&node.get("/")), "200");
    assert_eq!((endpoints[0].requests(), endpoints[0].upstream.connections()), (3, 1));
}

#[test]
fn an_answer_that_did_not_come_whole_costs_its_connection() {
    const PART: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\n\r\nthe beginning";
    let endpoints = [Endpoint::new(&[PART, OK])];
    let node = node(&endpoints, &format!(r#""on":["503"],{QUICK}"#), "");
    assert_eq!(status(&node.get("/")), "200");
    assert_eq!((endpoints[0].requests(), endpoints[0].upstream.connections()), (2, 2));
}

/// Sends a POST in two parts, the second after the first has arrived; returns the status.
fn post(node: &Node, head: &str, parts: [&[u8]; 2]) -> String {
    let mut s = node.connect();
    write!(s, "POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n").unwrap();
    s.write_all(parts[0]).unwrap();
    node.barrier();
    s.write_all(parts[1]).unwrap();
    let (head, _) = read_answer(&mut s);
    status(&head).to_owned()
}

#[test]
fn a_post_that_may_have_been_processed_is_repeated_only_if_the_route_says_so() {
    for (methods, expected) in
        [("", "502"), (r#","methods":"all""#, "200"), (r#","methods":{"only":["POST"]}"#, "200")]
    {
        let endpoints = [Endpoint::new(&[CLOSE]), Endpoint::new(&[OK])];
        let node = node(&endpoints, &format!(r#""on":["reset"],{QUICK}{methods}"#), "");
        loop {
            let status = post(&node, "Content-Length: 2", [b"x", b"y"]);
            if endpoints[0].requests() > 0 {
                assert_eq!(status, expected, "{methods}");
                break;
            }
        }
        assert_eq!(denied(&node, "method"), u64::from(expected == "502"));
    }
}

#[test]
fn a_body_is_sent_again_as_it_was() {
    let all: Vec<u8> = (0..60_000u32).map(|i| (i % 251) as u8).collect();
    let (first, second) = all.split_at(40_000);
    let chunk = |part: &[u8]| [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
    let ends = [chunk(second), b"0\r\n\r\n".to_vec()].concat();
    for (head, parts) in [
        ("Content-Length: 60000", [first.to_vec(), second.to_vec()]),
        ("Transfer-Encoding: chunked", [chunk(first), ends]),
    ] {
        for buffer in ["", r#","body_buffer_bytes":65536"#] {
            let endpoints = [Endpoint::new(&[BUSY, OK])];
            let retry = format!(r#""on":["503"],"methods":"all",{QUICK}"#);
            let node = node(&endpoints, &retry, buffer);
            assert_eq!(post(&node, head, [&parts[0], &parts[1]]), "200", "{head}");
            let bodies = endpoints[0].bodies.lock().unwrap();
            assert_eq!(bodies.len(), 2, "{head}");
            assert!(bodies.iter().all(|b| *b == all), "{head}");
        }
    }
}

#[test]
fn a_body_that_is_too_large_to_be_kept_is_sent_once() {
    let half = vec![b'x'; 40_000];
    let chunk = [format!("{:x}\r\n", half.len()).as_bytes(), &half, b"\r\n"].concat();
    let ends = [&chunk[..], b"0\r\n\r\n"].concat();
    for (head, parts) in [
        ("Content-Length: 80000", [&half[..], &half[..]]),
        ("Transfer-Encoding: chunked", [&chunk[..], &ends[..]]),
    ] {
        let endpoints = [Endpoint::new(&[BUSY, OK])];
        let retry = format!(r#""on":["503"],"methods":"all",{QUICK}"#);
        let node = node(&endpoints, &retry, "");
        assert_eq!(post(&node, head, parts), "503", "{head}");
        assert_eq!((endpoints[0].requests(), denied(&node, "body")), (1, 1));
    }
}

#[test]
fn a_broken_upstream_gets_a_fifth_more_requests_and_no_more() {
    let endpoints = [Endpoint::new(&[BUSY])];
    let budget = r#""on":["503"],"retries":10,"budget":{"per_second":0}"#;
    let node = node(&endpoints, &format!("{budget},{QUICK}"), "");
    let began = Instant::now();
    for _ in 0..100 {
        assert_eq!(status(&node.get("/")), "503");
    }
    let asked = endpoints[0].requests();
    if began.elapsed() < Duration::from_secs(8) {
        assert_eq!(asked, 120);
    }
    // However slow the machine: never more than that.
    assert!((100..=120).contains(&asked), "{asked}");
    assert!(denied(&node, "budget") > 50);
}

#[test]
fn an_upstream_without_traffic_has_its_retries_per_second() {
    let endpoints = [Endpoint::new(&[BUSY])];
    let budget = r#""on":["503"],"retries":10,"budget":{"percent":0,"per_second":1}"#;
    let node = node(&endpoints, &format!("{budget},{QUICK}"), "");
    let began = Instant::now();
    let _ = node.get("/");
    let _ = node.get("/");
    // A second's worth comes with each second that passes.
    let passed = began.elapsed().as_secs() as usize + 1;
    assert!((12..=12 + passed).contains(&endpoints[0].requests()), "{}", endpoints[0].requests());
}

/// Waits long enough to act meanwhile.
fn slow(on: &str) -> String {
    format!(r#""on":["{on}"],"backoff":{{"base_ms":4000,"max_ms":4000,"jitter":false}}"#)
}

fn backs_off(node: &Node, reason: &str) {
    eventually("it waits before the next try", || sent(node, reason) == 1);
}

#[test]
fn an_endpoint_that_listens_again_after_a_back_off_gets_the_request() {
    let address = unused_address();
    let route = format!(r#","retry":{{{}}}"#, slow("connect-failure"));
    let node = Node::start(&upstream_json(&[address], ""), &route, 1);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| node.get("/"));
        backs_off(&node, "connect_failure");
        let listener = TcpListener::bind(address).unwrap();
        let (mut s, _) = listener.accept().unwrap();
        read_head(&mut s).unwrap();
        s.write_all(OK.as_bytes()).unwrap();
        assert_eq!(status(&asked.join().unwrap()), "200");
    });
}

#[test]
fn endpoints_that_refuse_connections_are_passed_over_without_a_retry() {
    let endpoint = Endpoint::new(&[OK]);
    let both = [unused_address(), endpoint.upstream.address];
    let route = r#","retry":{"budget":{"percent":0,"per_second":0}}"#;
    let node = Node::start(&upstream_json(&both, ""), route, 1);
    for _ in 0..10 {
        assert_eq!(status(&node.get("/")), "200");
    }
    assert!(sent(&node, "connect_failure") > 0);
    assert_eq!(denied(&node, "budget"), 0);
}

#[test]
fn nothing_is_tried_again_for_a_client_that_has_gone() {
    let endpoints = [Endpoint::new(&[BUSY, OK])];
    let node = node(&endpoints, &slow("503"), "");
    let mut s = node.connect();
    s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    backs_off(&node, "status");
    drop(s);
    eventually("it is given up", || count(&node.engine.metrics().rejects, "client-gone") == 1);
    assert_eq!(endpoints[0].requests(), 1);
}

#[test]
fn a_back_off_outlives_a_change_of_the_plan() {
    let endpoints = [Endpoint::new(&[BUSY]), Endpoint::new(&[OK])];
    let mut node = node(&endpoints[..1], &slow("503"), "");
    let mut s = node.connect();
    s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    backs_off(&node, "status");
    let other = upstream_json(&addresses(&endpoints[1..]), "");
    node.apply(&[put(Kind::Upstream, "u", other)]);
    assert_eq!(status(&read_answer(&mut s).0), "200");
    assert_eq!(endpoints[1].requests(), 1);
}

#[test]
fn a_request_whose_upstream_is_removed_in_its_back_off_is_refused() {
    let endpoints = [Endpoint::new(&[BUSY])];
    let mut node = node(&endpoints, &slow("503"), "");
    let mut s = node.connect();
    s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    backs_off(&node, "status");
    let own = route_json("").replace(r#""upstream":"u""#, r#""respond":{"status":204}"#);
    node.apply(&[
        put(Kind::Route, "r", own),
        Change { kind: Kind::Upstream, name: "u".into(), bytes: None },
    ]);
    let (head, _) = read_answer(&mut s);
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("no upstream to go to"), "{head}");
}

#[test]
fn retry_after_is_waited_for_if_the_request_has_the_time() {
    const LATER: &str = "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
    let endpoints = [Endpoint::new(&[LATER, OK])];
    let retry = format!(r#""on":["503"],{QUICK}"#);
    let one = node(&endpoints, &retry, "");
    let began = Instant::now();
    assert_eq!(status(&one.get("/")), "200");
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());

    let endpoints = [Endpoint::new(&[LATER, OK])];
    let two = node(&endpoints, &retry, r#","timeouts":{"request_ms":900}"#);
    assert_eq!(status(&two.get("/")), "503");
    assert_eq!((endpoints[0].requests(), denied(&two, "time")), (1, 1));
}

#[test]
fn a_slow_client_is_no_reason_to_try_again() {
    let endpoints = [Endpoint::new(&[OK])];
    let retry = format!(r#""on":["timeout"],"methods":"all",{QUICK}"#);
    let node = node(&endpoints, &retry, r#","timeouts":{"per_try_ms":2000}"#);
    let mut s = node.connect();
    s.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nslow").unwrap();
    assert_eq!(status(&read_answer(&mut s).0), "504");
    assert_eq!((endpoints[0].requests(), sent(&node, "timeout")), (1, 0));
}

#[test]
fn what_no_route_can_try_again_is_refused_with_its_place() {
    let node = node(&[Endpoint::new(&[OK])], "", "");
    let bad = r#","retry":{"on":["503","4xx"],"methods":{"only":["GET","PURGE"]}}"#;
    let errors = node.refused(&[put(Kind::Route, "r", route_json(bad))]);
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("Route r: retry.on[1]: `4xx` is no reason"), "{errors:?}");
    assert!(errors[1].starts_with("Route r: retry.methods.only[1]: `PURGE`"), "{errors:?}");
}

#[test]
fn retries_and_durations_count_for_their_upstream() {
    let endpoints = [Endpoint::new(&[CLOSE]), Endpoint::new(&[OK])];
    let mut node = node(&endpoints, &format!(r#""on":["reset"],{QUICK}"#), "");
    for _ in 0..4 {
        assert_eq!(status(&node.get("/")), "200");
    }
    let served = |node: &Node| node.engine.metrics().upstreams.remove(0).served;
    eventually("all are counted", || served(&node).duration.count() == 4);
    let (all, of_it) = (node.engine.metrics().duration, served(&node));
    assert_eq!((of_it.duration.counts, of_it.duration.sum_us), (all.counts, all.sum_us));
    assert!(of_it.retries > 0);
    assert_eq!(of_it.retries, sent(&node, "reset"));
    node.apply(&[put(Kind::Settings, "node", r#"{"latency_bounds_us":[600000000]}"#)]);
    assert_eq!(served(&node).duration.counts, [4, 0]);
    // An upstream that comes now has the same buckets.
    let later = [Endpoint::new(&[OK])];
    node.apply(&[put(Kind::Upstream, "u2", upstream_json(&addresses(&later), ""))]);
    let route = route_json("").replace(r#""upstream":"u""#, r#""upstream":"u2""#);
    node.apply(&[put(Kind::Route, "r", route)]);
    node.get("/");
    let newer = || node.engine.metrics().upstreams.remove(1).served.duration.counts;
    eventually("it is counted", || newer() == [1, 0]);
}

/// A reset says that more was to come, and an end that all has (RFC 9293 §3.6).
#[test]
fn the_connection_of_an_answer_that_is_given_up_half_way_is_reset() {
    for (left, close, expected) in [
        (0, "Connection: close\r\n", "end"),
        (9, "Connection: close\r\n", "reset"),
        (9, "", "reset"),
    ] {
        let (tell, told) = mpsc::channel();
        let tell = Mutex::new(tell);
        let first = AtomicUsize::new(0);
        let up = Upstream::play(move |mut s| {
            read_head(&mut s);
            if first.fetch_add(1, SeqCst) > 0 {
                return s.write_all(OK.as_bytes()).unwrap();
            }
            let length = 4 + left;
            let head = format!("HTTP/1.1 503 Busy\r\nContent-Length: {length}\r\n{close}\r\n");
            s.write_all(format!("{head}busy").as_bytes()).unwrap();
            let end = match s.read(&mut [0]) {
                Ok(0) => "end",
                Err(e) if e.kind() == ErrorKind::ConnectionReset => "reset",
                _ => "neither",
            };
            tell.lock().unwrap().send(end).unwrap();
        });
        let retry = format!(r#","retry":{{"on":["503"],{QUICK}}}"#);
        let node = Node::start(&upstream_json(&[up.address], ""), &retry, 1);
        assert_eq!(status(&node.get("/")), "200");
        assert_eq!(told.recv_timeout(DEADLINE).unwrap(), expected, "{left} {close}");
    }
}
