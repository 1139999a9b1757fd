//! What left the plan leaves memory: after any number of changes of everything that has an identity
//! the process holds what it held before. The test is alone in its process, because it counts every
//! byte of it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use common::*;
use hg_plan::{Change, Kind};
use sha2::{Digest, Sha256};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const WORKERS: usize = 2;
/// Objects of each kind that one generation has.
const EACH: usize = 10;
/// Objects that a generation puts and the next one deletes: three upstreams, three listeners, two
/// middlewares, a certificate, a TLS policy, a host, and a route of each protocol.
const OBJECTS: usize = 14 * EACH;
const CHANGES: usize = 100_000;
/// Generations until tables have reached the size that they keep: after 100 of them the last bytes
/// were 16 to 66 KiB above the first, after 300 at most 33.
const WARM_UP: usize = 300;
/// Bytes that other causes may add: slots of the timer wheels that the clock reaches for the first
/// time, tables whose size depends on a seed. A byte for each change would be more.
const SLACK: usize = 64 * 1024;

/// Returns the bytes that are allocated now.
fn held() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.wrapping_sub(stats.bytes_deallocated)
}

/// A node whose generations come and go.
struct World {
    node: Node,
    blobs: HashMap<String, Arc<[u8]>>,
    cert: String,
    key: String,
    upstream: Upstream,
    generation: usize,
    /// Whether the generation is in the plan.
    is_there: bool,
}

impl World {
    fn new() -> Self {
        let upstream = Upstream::answering(OK);
        let issued = rcgen::generate_simple_self_signed(vec!["*.example".to_owned()]).unwrap();
        let mut blobs = HashMap::new();
        let mut keep = |text: String| {
            let digest = hex::encode(Sha256::digest(text.as_bytes()));
            blobs.insert(digest.clone(), Arc::from(text.into_bytes()));
            digest
        };
        let cert = keep(issued.cert.pem());
        let key = keep(issued.signing_key.serialize_pem());
        let node = Node::start(&upstream_json(&[upstream.address], ""), "", WORKERS);
        Self { node, blobs, cert, key, upstream, generation: 0, is_there: false }
    }

    /// Returns the objects of a generation.
    fn objects(&self, generation: usize) -> Vec<Change> {
        let mut all = Vec::with_capacity(OBJECTS);
        for i in 0..EACH {
            let n = format!("g{generation}-{i}");
            let (cert, key, real) = (&self.cert, &self.key, self.upstream.address);
            let pair = format!(r#"{{"cert":"{cert}","key":"{key}"}}"#);
            all.push(put(Kind::Certificate, &n, pair));
            let policy = r#"{"min_version":"1.3"}"#.to_owned();
            all.push(put(Kind::TlsPolicy, &n, policy));
            let host = format!(r#"{{"certificates":["{n}"],"tls_policy":"{n}"}}"#);
            all.push(put(Kind::Host, &format!("{n}.example"), host));
            let set = format!(r#"{{"response_headers":{{"set":{{"x-v":"{n}"}}}}}}"#);
            all.push(put(Kind::Middleware, &n, set));
            let listener = format!(
                r#"{{"addresses":["127.0.0.1:{}"],"protocol":"http","tls":{{"default_certificate":"{n}"}}}}"#,
                1 + (generation * EACH + i) % 60_000
            );
            all.push(put(Kind::Listener, &n, listener));
            let endpoints = format!(
                r#"{{"endpoints":[{{"address":"{real}"}},{{"address":"{n}.test:80"}},{{"address":"127.{}.{}.{}:1"}}],"max_connections":9}}"#,
                generation / 256 % 256,
                generation % 256,
                i + 1
            );
            all.push(put(Kind::Upstream, &n, endpoints));
            let secure = format!(
                r#"{{"endpoints":[{{"address":"{n}.tls.test:443"}}],"tls":{{"verify":false}}}}"#
            );
            all.push(put(Kind::Upstream, &format!("{n}-tls"), secure));
            let route = format!(
                r#"{{"action":{{"upstream":"{n}"}},"hosts":["{n}.example"],"listeners":["web"],"middlewares":[{{"use":"{n}"}},{{"use":"{n}-limit"}}],"mirrors":[{{"upstream":"{n}-raw"}}]}}"#
            );
            all.push(put(Kind::Route, &n, route));
            let limit = r#"{"rate_limit":{"requests":9,"period_ms":1000,"burst":9,"key":["client_ip"],"max_keys":64}}"#;
            all.push(put(Kind::Middleware, &format!("{n}-limit"), limit));
            all.extend(self.unread(generation, i, &n));
        }
        assert_eq!(all.len(), OBJECTS);
        all
    }

    /// Returns what passes TCP and UDP on.
    fn unread(&self, generation: usize, i: usize, n: &str) -> [Change; 5] {
        let port = 1 + (generation * EACH + i) % 60_000;
        let listener = |last: u8, protocol: &str| {
            let address = format!("127.0.0.{last}:{port}");
            let json = format!(r#"{{"addresses":["{address}"],"protocol":"{protocol}"}}"#);
            put(Kind::Listener, &format!("{n}-{protocol}"), json)
        };
        let shared = r#""bandwidth":{"download":1000000,"key":"client_ip","max_keys":64}"#;
        let tcp = format!(
            r#"{{"listeners":["{n}-tcp"],"split":[{{"upstream":"{n}-raw","weight":1}},{{"upstream":"{n}","weight":2}}],"sticky":{{"by":["client_ip"]}},{shared}}}"#
        );
        let udp = format!(r#"{{"listeners":["{n}-udp"],"upstream":"{n}-raw",{shared}}}"#);
        let real = self.upstream.address;
        [
            put(Kind::Upstream, &format!("{n}-raw"), upstream_json(&[real], "")),
            listener(2, "tcp"),
            listener(3, "udp"),
            put(Kind::TcpRoute, n, tcp),
            put(Kind::UdpRoute, n, udp),
        ]
    }

    /// Returns deletions of the generation that is there.
    fn gone(&mut self) -> Vec<Change> {
        if !std::mem::take(&mut self.is_there) {
            return Vec::new();
        }
        self.objects(self.generation).into_iter().map(|c| Change { bytes: None, ..c }).collect()
    }

    /// Replaces the generation by the next one.
    fn turn(&mut self) {
        let mut changes = self.gone();
        self.generation += 1;
        changes.extend(self.objects(self.generation));
        self.is_there = true;
        self.apply(&changes);
        for name in self.node.engine.names() {
            let address = SocketAddr::from(([127, 0, 0, 1], 9));
            self.node.engine.set_addresses(&name, Ok(vec![address]));
        }
        if self.generation.is_multiple_of(50) {
            self.ask();
        }
    }

    /// Sends requests on a kept connection, so that pools and counters of the generation are in
    /// use.
    fn ask(&self) {
        let mut s = self.node.connect();
        for i in 0..EACH {
            let host = format!("g{}-{i}.example", self.generation);
            write!(s, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
            assert!(read_answer(&mut s).0.starts_with("HTTP/1.1 200"), "{host}");
        }
        assert!(self.node.engine.metrics().upstreams.len() > EACH);
        assert!(!self.node.engine.status().listeners.is_empty());
    }

    fn apply(&mut self, changes: &[Change]) {
        self.node.plan.apply(changes).unwrap();
        let blobs = |hash: &str| self.blobs.get(hash).cloned();
        self.node.engine.apply(&self.node.plan, changes, &blobs).unwrap();
    }

    /// Returns what is held after every generation is gone and nothing is in progress.
    fn at_rest(&mut self) -> usize {
        let gone = self.gone();
        self.apply(&gone);
        eventually("every connection is closed", || {
            self.node.engine.status().workers.iter().all(|w| w.connections == 0)
        });
        drop(self.node.engine.take_events());
        held()
    }
}

#[test]
fn a_hundred_thousand_changes_leave_no_byte_behind() {
    let mut world = World::new();
    for _ in 0..WARM_UP {
        world.turn();
    }
    let before = world.at_rest();
    for _ in 0..CHANGES / OBJECTS / 2 {
        world.turn();
    }
    let after = world.at_rest();
    // What a worker lets go of late goes a moment later.
    let what = format!("{before} bytes, which have become {after}, are held again");
    eventually(&what, || held() <= before + SLACK);
}
