//! Flows stay at their endpoints, with their ports, when the number of sockets and workers changes.

use crate::common::udp::{Client, Echo, UdpNode, is_clean};
use crate::common::{DEADLINE, eventually, upstream_json};
use hg_engine::GivenFlows;
use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc;

const CLIENTS: usize = 40;

/// Makes sockets that share an address.
fn sockets(address: SocketAddr, count: usize) -> Vec<UdpSocket> {
    let mut address = address;
    let one = |_| {
        let fd = socket(AddressFamily::INET, SocketType::DGRAM, None).unwrap();
        sockopt::set_socket_reuseport(&fd, true).unwrap();
        bind(&fd, &address).unwrap();
        let one = UdpSocket::from(fd);
        one.set_nonblocking(true).unwrap();
        address = one.local_addr().unwrap();
        one
    };
    (0..count).map(one).collect()
}

fn any() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn all_ask(clients: &[Client], what: &[u8]) {
    for client in clients {
        client.send(what);
    }
}

fn all_are_answered(clients: &[Client], what: &[u8]) {
    for client in clients {
        assert_eq!(client.receive(), what);
    }
}

#[test]
fn what_waits_in_another_workers_socket_goes_to_the_flow_of_its_client() {
    let echo = Echo::start();
    let upstream = upstream_json(&[echo.address], "");
    let all = sockets(any(), 3);
    let to = all[0].local_addr().unwrap();
    let clients: Vec<Client> = (0..CLIENTS).map(|_| Client::to(to)).collect();
    // By the kernel's own choice, as nobody has told it another one yet.
    all_ask(&clients, b"a");
    all_ask(&clients, b"a");
    let node = UdpNode::over(all, &upstream, 3);
    all_are_answered(&clients, b"a");
    all_are_answered(&clients, b"a");
    let strays = node.metrics().udp.strays;
    assert!(strays > 0, "the kernel guessed all owners");
    all_ask(&clients, b"b");
    all_are_answered(&clients, b"b");
    let udp = node.metrics().udp;
    assert_eq!((udp.flows.total, udp.strays), (CLIENTS as u64, strays));
}

/// Hands the flows of a node over to one with more sockets and workers, while clients ask.
fn widened(
    old: &UdpNode,
    upstream: &str,
    (more, workers): (usize, usize),
    clients: &[Client],
) -> UdpNode {
    let new = old.successor_with(sockets(old.address, more), upstream, workers);
    // The old one still reads, and gets all.
    all_ask(clients, b"old");
    all_are_answered(clients, b"old");
    let (to, given) = mpsc::channel();
    old.engine().handoff(Some(to));
    let mut flows = Vec::new();
    let mut givers = Vec::new();
    while let Ok(GivenFlows { worker, flows: some }) = given.recv_timeout(DEADLINE) {
        flows.extend(some);
        givers.push(worker);
    }
    all_ask(clients, b"between");
    assert_eq!(flows.len(), CLIENTS);
    assert!(new.engine().take_flows(flows, DEADLINE).is_empty());
    all_ask(clients, b"new");
    new.engine().flows_are_here(0);
    for worker in givers {
        old.engine().take_back_flows(GivenFlows { worker, flows: Vec::new() });
    }
    // What waited in the sockets of before may come after what came by the new ones.
    for client in clients {
        let mut both = [client.receive(), client.receive()];
        both.sort();
        assert_eq!(both, [b"between".to_vec(), b"new".to_vec()]);
    }
    eventually("the old workers leave", || old.engine().is_drained());
    is_clean(old);
    new
}

#[test]
fn flows_keep_their_ports_when_there_are_more_workers() {
    let echo = Echo::start();
    let upstream = upstream_json(&[echo.address], "");
    let one = UdpNode::over(sockets(any(), 1), &upstream, 1);
    let clients: Vec<Client> = (0..CLIENTS).map(|_| one.client()).collect();
    all_ask(&clients, b"a");
    all_are_answered(&clients, b"a");
    let peers = echo.peers();
    assert_eq!(peers.len(), CLIENTS);
    let two = widened(&one, &upstream, (1, 2), &clients);
    let five = widened(&two, &upstream, (3, 5), &clients);
    // Fewer workers than sockets: some have several.
    let three = widened(&five, &upstream, (0, 3), &clients);
    assert_eq!(echo.peers(), peers);
    let udp = three.metrics().udp;
    assert_eq!((udp.flows.active, udp.flows.total, udp.taken_over), (40, 40, 40));
}
