//! A real engine on free ports, and upstreams that follow a script.
#![allow(dead_code)]

pub mod authorised;
pub mod endpoint;
pub mod http2;
pub mod http2_peer;
pub mod tls;
pub mod udp;

use hg_engine::{Engine, EngineConfig, EngineMetrics};
use hg_plan::{Change, Kind, ObjectError, Plan};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

// Long, so that a machine that stands still for some seconds is not late.
pub const DEADLINE: Duration = Duration::from_secs(45);
/// The time in which a worker notices on an idle machine that its clients have gone.
const SOON: Duration = Duration::from_millis(50);

/// An upstream that runs its script for every connection on a thread of its own.
pub struct Upstream {
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
}

impl Upstream {
    pub fn play(script: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (script, counter) = (Arc::new(script), connections.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::SeqCst);
                // An answer in two writes would wait 40 ms for an acknowledgement of the first.
                let _ = stream.set_nodelay(true);
                let script = script.clone();
                std::thread::spawn(move || script(stream));
            }
        });
        Self { address, connections }
    }

    /// Answers every request with the same bytes; requests have no body.
    pub fn answering(answer: &'static [u8]) -> Self {
        Self::play(move |mut s| {
            while read_head(&mut s).is_some() {
                if s.write_all(answer).is_err() {
                    return;
                }
            }
        })
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// An address that refuses connections: unlike a port that was free a moment ago, no other test
/// gets it, nor one of another process that runs the same ones.
pub fn unused_address() -> SocketAddr {
    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    let [.., high, low] = TAKEN.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    // Below the ports that the system gives out.
    let port = 10_000 + u16::try_from(std::process::id() % 20_000).unwrap();
    SocketAddr::from(([127, 1, high, low], port))
}

/// Reads up to the empty line; `None` at the end of the stream.
pub fn read_head(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    Some(String::from_utf8(head).unwrap())
}

pub fn read_n(stream: &mut impl Read, n: usize) -> Vec<u8> {
    let mut body = vec![0; n];
    stream.read_exact(&mut body).unwrap();
    body
}

/// Reads a head and its body by Content-Length.
pub fn read_answer(stream: &mut impl Read) -> (String, Vec<u8>) {
    let head = read_head(stream).expect("an answer");
    let length = head
        .lines()
        .find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    let body = read_n(stream, length);
    (head, body)
}

/// Returns the value of a line of a head, in any case of its name. Panics if it is there twice.
pub fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut found = head.lines().filter_map(|line| {
        let (its_name, value) = line.split_once(": ")?;
        its_name.eq_ignore_ascii_case(name).then_some(value)
    });
    let first = found.next();
    assert_eq!(found.next(), None, "{name} is there twice: {head}");
    first
}

pub fn read_all(stream: &mut impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    // A reset ends the answer here as well as an end of stream.
    let _ = stream.read_to_end(&mut all);
    all
}

pub struct Node {
    pub engine: Engine,
    pub address: SocketAddr,
    pub plan: Plan,
}

pub fn put(kind: Kind, name: &str, json: impl Into<String>) -> Change {
    Change { kind, name: name.into(), bytes: Some(json.into().into_bytes()) }
}

pub fn upstream_json(addresses: &[SocketAddr], rest: &str) -> String {
    let endpoints: Vec<String> =
        addresses.iter().map(|a| format!(r#"{{"address":"{a}"}}"#)).collect();
    format!(r#"{{"endpoints":[{}]{rest}}}"#, endpoints.join(","))
}

impl Node {
    /// Starts an engine with a listener `web` and a route `r` to upstream `u` on every host.
    pub fn start(upstream: &str, route: &str, workers: usize) -> Self {
        let engine = Engine::start(EngineConfig {
            workers,
            cpus: Vec::new(),
            generation: 1,
            ticket_secrets: vec!["11".repeat(32)],
        })
        .unwrap();
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = first.local_addr().unwrap();
        first.set_nonblocking(true).unwrap();
        engine.add_sockets(&address.to_string(), vec![first.into()]);
        let mut node = Self { engine, address, plan: Plan::default() };
        node.apply(&[
            put(Kind::Listener, "web", node.listener_json("")),
            put(Kind::Upstream, "u", upstream),
            put(Kind::Route, "r", route_json(route)),
        ]);
        node
    }

    pub fn simple(upstream: &Upstream) -> Self {
        Self::start(&upstream_json(&[upstream.address], ""), "", 1)
    }

    pub fn listener_json(&self, rest: &str) -> String {
        format!(r#"{{"addresses":["{}"],"protocol":"http"{rest}}}"#, self.address)
    }

    pub fn apply(&mut self, changes: &[Change]) {
        self.apply_with(changes, &|_| None);
    }

    pub fn apply_with(&mut self, changes: &[Change], blobs: &dyn Fn(&str) -> Option<Arc<[u8]>>) {
        self.plan.apply(changes).unwrap();
        self.engine.apply(&self.plan, changes, blobs).unwrap();
    }

    /// Applies changes that must be refused and returns the messages; everything stays as it was.
    pub fn refused(&self, changes: &[Change]) -> Vec<String> {
        let mut plan = self.plan.clone();
        plan.apply(changes).unwrap();
        let errors = self.engine.apply(&plan, changes, &|_| None).unwrap_err();
        let text = |e: &ObjectError| format!("{:?} {}: {}: {}", e.kind, e.name, e.path, e.message);
        errors.iter().map(text).collect()
    }

    /// Waits until nothing is counted as under way; returns false if something is after this time.
    fn is_at_rest(&self, within: Duration) -> bool {
        let end = Instant::now() + within;
        while !under_way(&self.engine.metrics()).is_empty() {
            if Instant::now() > end {
                return false;
            }
            std::thread::sleep(PAUSE);
        }
        true
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// Returns once the only worker has taken the events of everything sent before: the worker
    /// itself refuses what this sends, with TLS or without.
    pub fn barrier(&self) {
        let mut s = self.connect();
        s.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let end = s.read_to_end(&mut Vec::new()).map_err(|e| e.kind());
        assert!(matches!(end, Ok(_) | Err(ErrorKind::ConnectionReset)), "{end:?}");
    }

    /// Sends one request on a connection of its own; returns the whole answer.
    pub fn get(&self, path: &str) -> String {
        let mut s = self.connect();
        write!(s, "GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n").unwrap();
        String::from_utf8(read_all(&mut s)).unwrap()
    }
}

impl Drop for Node {
    /// Whatever a test did: once its clients have gone, and what waits for endpoints was cut, nothing that
    /// was counted as under way is left, and each worker leaves with all that it took given back.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let restarts = |m: &EngineMetrics| m.workers.iter().map(|w| w.restarts).sum::<u64>();
        let before = self.engine.metrics();
        // Those who ended something now have a while in which nothing is cut.
        self.is_at_rest(SOON);
        let at_once = r#"{"drain":{"delay_ms":1,"idle_grace_ms":1,"deadline_ms":1}}"#;
        self.apply(&[put(Kind::Settings, "node", at_once)]);
        // As before a successor: a drain would wait for handshakes at its listeners.
        self.engine.handoff(None);
        let is_over = self.is_at_rest(DEADLINE);
        assert!(is_over, "still counted as under way: {:?}", under_way(&self.engine.metrics()));
        // A drain that had begun keeps its own times.
        if !before.draining {
            eventually("every worker has left", || self.engine.is_drained());
            let after = self.engine.metrics();
            assert_eq!(restarts(&after), restarts(&before), "a worker left with debts");
        }
    }
}

/// Returns what a node counts as under way, without flows of UDP, whose ends nobody tells.
fn under_way(metrics: &EngineMetrics) -> Vec<(&'static str, u64)> {
    let endpoints = metrics.upstreams.iter().flat_map(|u| &u.endpoints);
    let has_flows = metrics.udp.flows.active > 0;
    let of_flows = |count| if has_flows { 0 } else { count };
    let all = [
        ("connections", metrics.workers.iter().map(|w| w.connections).sum()),
        ("of listeners", of_flows(metrics.listeners.iter().map(|l| l.connections).sum())),
        ("TCP sessions", metrics.tcp.connections.active),
        ("tunnels", metrics.tunnels.active),
        ("HTTP/2 connections", metrics.http2.connections.active),
        ("streams of endpoints", metrics.http2.upstream_streams.active),
        ("waiting", metrics.upstreams.iter().map(|u| u.waiting).sum()),
        ("at endpoints", of_flows(endpoints.map(|e| e.active).sum())),
        ("pending bytes", metrics.pending.bytes),
    ];
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}

pub fn route_json(rest: &str) -> String {
    format!(r#"{{"action":{{"upstream":"u"}},"hosts":["*"],"listeners":["web"]{rest}}}"#)
}

const PAUSE: Duration = Duration::from_millis(1);

/// Waits for a condition, at most [`DEADLINE`].
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "never: {what}");
        // A condition may send a datagram, and a full buffer or the queue of loopback drops those of
        // any test.
        std::thread::sleep(PAUSE);
    }
}
