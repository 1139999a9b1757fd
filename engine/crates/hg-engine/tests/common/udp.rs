//! A node with a UDP listener, its clients, and endpoints that echo.

use super::{DEADLINE, Node, eventually, put, upstream_json};
use hg_engine::{Engine, EngineMetrics, ReasonCount};
use hg_plan::{Change, Kind};
use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Sends every datagram back.
pub struct Echo {
    pub address: SocketAddr,
    count: Arc<AtomicUsize>,
    peer: Arc<Mutex<Option<SocketAddr>>>,
    peers: Arc<Mutex<BTreeSet<SocketAddr>>>,
    over: Arc<AtomicBool>,
}

impl Echo {
    pub fn start() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap())
    }

    pub fn at(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let echo = Self {
            address: socket.local_addr().unwrap(),
            count: Arc::default(),
            peer: Arc::default(),
            peers: Arc::default(),
            over: Arc::default(),
        };
        let peers = echo.peers.clone();
        let (count, last, over) = (echo.count.clone(), echo.peer.clone(), echo.over.clone());
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while !over.load(Ordering::Relaxed) {
                let Ok((n, peer)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                count.fetch_add(1, Ordering::SeqCst);
                *last.lock().unwrap() = Some(peer);
                peers.lock().unwrap().insert(peer);
                let _ = socket.send_to(buffer.get(..n).unwrap_or_default(), peer);
            }
        });
        echo
    }

    /// How many datagrams came.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Who has sent any.
    pub fn peers(&self) -> BTreeSet<SocketAddr> {
        self.peers.lock().unwrap().clone()
    }

    /// Who sent the last one.
    pub fn last_peer(&self) -> SocketAddr {
        self.peer.lock().unwrap().unwrap()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// A port that refuses datagrams, and that nobody else gets: its socket listens to itself alone.
pub struct ClosedPort {
    pub address: SocketAddr,
    _socket: UdpSocket,
}

impl ClosedPort {
    pub fn new() -> Self {
        Self::on("127.0.0.1")
    }

    /// On an address that other tests do not use.
    pub fn on(ip: &str) -> Self {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        socket.connect(address).unwrap();
        Self { address, _socket: socket }
    }
}

pub fn counted(counts: &[ReasonCount], reason: &str) -> u64 {
    counts.iter().find(|c| c.reason == reason).expect("a reason of the list").count
}

pub fn listener(address: SocketAddr, rest: &str) -> Change {
    let json = format!(r#"{{"addresses":["{address}"],"protocol":"udp"{rest}}}"#);
    put(Kind::Listener, "dns", json)
}

pub fn route(rest: &str) -> Change {
    put(Kind::UdpRoute, "d", format!(r#"{{"listeners":["dns"],"upstream":"u"{rest}}}"#))
}

/// A client of one port.
pub struct Client(UdpSocket);

impl Client {
    pub fn send(&self, bytes: &[u8]) {
        self.0.send(bytes).unwrap();
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// Receives into a buffer; returns the size of the datagram.
    pub fn receive_into(&self, buffer: &mut [u8]) -> usize {
        self.0.recv(buffer).unwrap()
    }

    pub fn receive(&self) -> Vec<u8> {
        let mut buffer = vec![0; 65_536];
        let n = self.receive_into(&mut buffer);
        buffer.truncate(n);
        buffer
    }

    pub fn to(node: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.connect(node).unwrap();
        Self(socket)
    }

    /// Reports whether an answer comes within a moment.
    pub fn has_answer(&self) -> bool {
        self.0.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let came = self.0.recv(&mut [0; 8]).is_ok();
        self.0.set_read_timeout(Some(DEADLINE)).unwrap();
        came
    }

    pub fn ask(&self, bytes: &[u8]) -> Vec<u8> {
        self.send(bytes);
        self.receive()
    }
}

/// A node whose UDP listener `dns` has the route `d` to the upstream `u`.
pub struct UdpNode {
    node: Node,
    pub address: SocketAddr,
    sockets: Vec<UdpSocket>,
}

impl UdpNode {
    pub fn start(upstream: &str, rest: &str, workers: usize) -> Self {
        Self::at("127.0.0.1:0", upstream, rest, workers)
    }

    pub fn to(endpoints: &[SocketAddr], rest: &str) -> Self {
        Self::start(&upstream_json(endpoints, ""), rest, 1)
    }

    pub fn at(address: &str, upstream: &str, rest: &str, workers: usize) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self::by(Node::start(upstream, "", workers), vec![socket], rest)
    }

    /// A node with these sockets, which have one address.
    pub fn over(sockets: Vec<UdpSocket>, upstream: &str, workers: usize) -> Self {
        Self::by(Node::start(upstream, "", workers), sockets, "")
    }

    /// A node that waits for the flows of this one before it reads.
    pub fn successor(&self, upstream: &str, workers: usize) -> Self {
        self.successor_with(Vec::new(), upstream, workers)
    }

    /// The same with further sockets.
    pub fn successor_with(&self, more: Vec<UdpSocket>, upstream: &str, workers: usize) -> Self {
        let node = Node::start(upstream, "", workers);
        node.engine.await_flows();
        let before = self.sockets.iter().map(|one| one.try_clone().unwrap());
        Self::by(node, before.chain(more).collect(), "")
    }

    fn by(mut node: Node, sockets: Vec<UdpSocket>, rest: &str) -> Self {
        let address = sockets.first().unwrap().local_addr().unwrap();
        let given = sockets.iter().map(|one| one.try_clone().unwrap().into()).collect();
        node.engine.add_sockets(&format!("{address}/udp"), given);
        node.apply(&[listener(address, ""), route(rest)]);
        Self { node, address, sockets }
    }

    pub fn node(&self) -> &Node {
        &self.node
    }

    pub fn engine(&self) -> &Engine {
        &self.node.engine
    }

    pub fn metrics(&self) -> EngineMetrics {
        self.node.engine.metrics()
    }

    /// Failures of the first endpoint.
    pub fn failures(&self) -> u64 {
        let metrics = self.metrics();
        let first = metrics.upstreams.first().and_then(|u| u.endpoints.first());
        first.expect("an endpoint").failures
    }

    pub fn apply(&mut self, changes: &[Change]) {
        self.node.apply(changes);
    }

    pub fn refused(&self, changes: &[Change]) -> Vec<String> {
        self.node.refused(changes)
    }

    pub fn client(&self) -> Client {
        Client::to(self.address)
    }
}

/// Asserts that nothing is left of any flow.
pub fn is_clean(node: &UdpNode) {
    eventually("no flow is open", || node.metrics().udp.flows.active == 0);
    let metrics = node.metrics();
    assert!(metrics.listeners.iter().all(|l| l.connections == 0));
    assert!(metrics.upstreams.iter().flat_map(|u| &u.endpoints).all(|e| e.active == 0));
}
