//! Endpoints that a test can make fail, and what the engine says of them.

use super::{Node, Upstream, read_head, upstream_json};
use hg_engine::HealthReport;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

pub const OK: u8 = 0;
pub const ERRORS: u8 = 1;
pub const CLOSES: u8 = 2;
pub const HANGS: u8 = 3;
/// Answers after [`SLOWNESS`].
pub const SLOW: u8 = 4;
const SLOWNESS: Duration = Duration::from_millis(60);

pub struct Endpoint {
    pub mode: Arc<AtomicU8>,
    requests: Arc<AtomicUsize>,
    upstream: Upstream,
}

impl Endpoint {
    pub fn new() -> Self {
        let (mode, requests) = (Arc::new(AtomicU8::new(OK)), Arc::new(AtomicUsize::new(0)));
        let (its_mode, its_requests) = (mode.clone(), requests.clone());
        let upstream = Upstream::play(move |mut stream| {
            while read_head(&mut stream).is_some() {
                its_requests.fetch_add(1, SeqCst);
                let answer: &[u8] = match its_mode.load(SeqCst) {
                    OK => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                    ERRORS => b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
                    SLOW => {
                        std::thread::sleep(SLOWNESS);
                        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
                    }
                    HANGS => {
                        // The node gives up, and the end of its connection ends this.
                        let _ = stream.read_to_end(&mut Vec::new());
                        return;
                    }
                    _ => return,
                };
                if stream.write_all(answer).is_err() {
                    return;
                }
            }
        });
        Self { mode, requests, upstream }
    }

    pub fn requests(&self) -> usize {
        self.requests.load(SeqCst)
    }
}

pub fn json(endpoints: &[Endpoint], rest: &str) -> String {
    let addresses: Vec<_> = endpoints.iter().map(|e| e.upstream.address).collect();
    upstream_json(&addresses, rest)
}

pub fn health(node: &Node) -> Vec<HealthReport> {
    let status = node.engine.status();
    status.upstreams.iter().flat_map(|u| &u.endpoints).map(|e| e.health.clone()).collect()
}

pub fn states(node: &Node) -> Vec<&'static str> {
    health(node).iter().map(|h| h.state).collect()
}
