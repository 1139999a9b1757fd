//! Datagrams that the kernel hands over several in one buffer: each counts as one, and passes as one.

use crate::common::udp::{Echo, UdpNode, counted, is_clean};
use crate::common::{DEADLINE, eventually};
use hg_net::{Batch, Front, Offload};
use std::cell::RefCell;
use std::net::{SocketAddr, UdpSocket};

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// A client that has the kernel join what it sends.
struct Joining {
    socket: UdpSocket,
    feeder: UdpSocket,
    batch: RefCell<Batch>,
}

impl Joining {
    fn to(node: SocketAddr) -> Self {
        let own = UdpSocket::bind("127.0.0.1:0").unwrap();
        own.set_nonblocking(true).unwrap();
        own.connect(own.local_addr().unwrap()).unwrap();
        let client = socket();
        client.connect(node).unwrap();
        let offload = Offload::probe();
        assert!(offload.send && offload.receive, "the kernel of the tests can do both");
        Self { socket: client, feeder: own, batch: RefCell::new(Batch::new(offload)) }
    }

    fn send(&self, all: &[Vec<u8>]) {
        for bytes in all {
            self.feeder.send(bytes).unwrap();
            eventually("it came back", || {
                !self.batch.borrow_mut().receive(&self.feeder).unwrap().is_empty()
            });
        }
        let mut batch = self.batch.borrow_mut();
        let (sent, result) = batch.forward(&self.socket, 0..all.len(), Front::default());
        assert!(sent == all.len() && result.is_ok());
        batch.clear();
    }
}

fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    let (n, from) = socket.recv_from(&mut buffer).unwrap();
    buffer.truncate(n);
    (buffer, from)
}

fn drawn(sizes: &[usize]) -> Vec<Vec<u8>> {
    let one = |(n, size): (usize, &usize)| (0..*size).map(|i| (i * 7 + n) as u8).collect();
    sizes.iter().enumerate().map(one).collect()
}

#[test]
fn each_of_many_in_one_buffer_is_passed_on_and_answered_alone() {
    let endpoint = socket();
    let node = UdpNode::to(&[endpoint.local_addr().unwrap()], r#","answers":1"#);
    let client = Joining::to(node.address);
    let all = drawn(&[500, 500, 500, 500, 3, 0, 700, 700, 700]);
    client.send(&all);
    let mut peer = None;
    for expected in &all {
        let (bytes, from) = receive(&endpoint);
        assert_eq!((&bytes, *peer.get_or_insert(from)), (expected, from));
    }
    eventually("all is counted", || node.metrics().udp.received.0 == 9);
    let udp = node.metrics().udp;
    assert_eq!((udp.received.1, udp.flows.active), (4 * 500 + 3 + 3 * 700, 1));
    assert_eq!((udp.joined.received, udp.joined.sent, udp.joined.refused), (8, 8, 0));
    // Answers that come joined are divided too, and the flow ends with the last one.
    let back = Joining { socket: endpoint, ..Joining::to(node.address) };
    back.socket.connect(peer.unwrap()).unwrap();
    back.send(&all[..4]);
    for expected in &all[..4] {
        assert_eq!(&receive(&client.socket).0, expected);
    }
    assert_eq!(node.metrics().udp.flows.active, 1);
    back.send(&all[4..]);
    for expected in &all[4..] {
        assert_eq!(&receive(&client.socket).0, expected);
    }
    eventually("answered", || counted(&node.metrics().udp.ended, "answered") == 1);
    is_clean(&node);
    eventually("all answers are counted", || node.metrics().udp.sent.0 == 9);
    let udp = node.metrics().udp;
    assert_eq!((udp.sent, udp.offload), (udp.received, Offload::probe()));
}

#[test]
fn bursts_of_an_endpoint_come_joined_after_the_first() {
    let endpoint = socket();
    let node = UdpNode::to(&[endpoint.local_addr().unwrap()], "");
    let client = Joining::to(node.address);
    client.send(&drawn(&[1]));
    let (_, peer) = receive(&endpoint);
    let back = Joining { socket: endpoint, ..Joining::to(node.address) };
    back.socket.connect(peer).unwrap();
    let all = drawn(&[40; 20]);
    let joined = || node.metrics().udp.joined.received;
    eventually("the kernel joins what the endpoint sends", || {
        back.send(&all);
        for expected in &all {
            assert_eq!(&receive(&client.socket).0, expected);
        }
        joined() > 0
    });
    assert_eq!(joined() % 20, 0);
}

#[test]
fn answers_that_come_alone_have_nothing_joined() {
    let endpoint = socket();
    let node = UdpNode::to(&[endpoint.local_addr().unwrap()], "");
    let client = Joining::to(node.address);
    client.send(&drawn(&[1]));
    let (_, peer) = receive(&endpoint);
    let back = Joining { socket: endpoint, ..Joining::to(node.address) };
    back.socket.connect(peer).unwrap();
    back.send(&drawn(&[3]));
    assert_eq!(receive(&client.socket).0.len(), 3);
    // The first burst finds the socket as the single answer has left it.
    back.send(&drawn(&[40; 20]));
    for _ in 0..20 {
        assert_eq!(receive(&client.socket).0.len(), 40);
    }
    assert_eq!(node.metrics().udp.joined.received, 0);
}

#[test]
fn each_datagram_of_a_buffer_may_have_an_endpoint_of_its_own() {
    let echoes = [Echo::start(), Echo::start(), Echo::start()];
    let addresses = echoes.each_ref().map(|e| e.address);
    let node = UdpNode::to(&addresses, r#","balance_by":"datagram""#);
    let client = Joining::to(node.address);
    client.send(&drawn(&[9; 30]));
    for _ in 0..30 {
        assert_eq!(receive(&client.socket).0.len(), 9);
    }
    assert_eq!(echoes.each_ref().map(Echo::count), [10, 10, 10]);
    assert_eq!(node.metrics().udp.joined.received, 30);
}
