#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::net::UdpSocket;

fn bound(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// Waits until something is there to be read, or an error: on a busy machine the kernel delivers
/// over the loopback somewhat later.
fn ready(socket: &impl AsFd) {
    let mut one = [PollFd::new(socket, PollFlags::IN)];
    let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
    assert_eq!(poll(&mut one, Some(&limit)).unwrap(), 1, "nothing came");
}

/// Receives until so many datagrams came: the batch begins small.
fn receive(batch: &mut Batch, socket: &UdpSocket, count: usize) {
    while batch.len() < count {
        ready(socket);
        let got = batch.receive(socket).unwrap();
        assert!(!got.is_empty(), "{} of {count} came", batch.len());
    }
}

#[test]
fn datagrams_of_every_size_pass_with_their_ends() {
    for (here, there) in [("0.0.0.0:0", "127.0.0.1"), ("[::]:0", "::1")] {
        let server = bound(here);
        let local: IpAddr = there.parse().unwrap();
        tell_local_address(&server, server.local_addr().unwrap()).unwrap();
        let to = SocketAddr::new(local, server.local_addr().unwrap().port());
        let client = bound(&SocketAddr::new(local, 0).to_string());
        let from = client.local_addr().unwrap();
        let mut batch = Batch::default();
        for size in [0usize, 1, 1500, 65_507] {
            let bytes: Vec<u8> = (0..size).map(|i| (i ^ (i >> 8)) as u8).collect();
            client.send_to(&bytes, to).unwrap();
            receive(&mut batch, &server, 1);
            let ends = Ends { client: from, local: Some(local) };
            assert_eq!((batch.bytes(0), batch.ends(0)), (&*bytes, Some(ends)));
            let (sent, result) = batch.reply(&server, 0..1);
            result.unwrap();
            let mut back = vec![0; 65_536];
            ready(&client);
            let (n, who) = client.recv_from(&mut back).unwrap();
            assert_eq!((sent, who, &back[..n]), (1, to, &*bytes));
            batch.clear();
        }
        assert!(batch.receive(&server).unwrap().is_empty());
    }
}

#[test]
fn many_pass_in_one_call_and_a_full_batch_takes_no_more() {
    let server = bound("127.0.0.1:0");
    let client = connect_datagrams(server.local_addr().unwrap()).unwrap();
    let mut batch = Batch::default();
    for round in 0..3 {
        let source = bound("127.0.0.1:0");
        source.connect(server.local_addr().unwrap()).unwrap();
        for i in 0..=BATCH {
            source.send(&[round, i as u8]).unwrap();
        }
        receive(&mut batch, &server, BATCH);
        assert!(batch.is_full() && batch.receive(&server).unwrap().is_empty());
        assert!((0..BATCH).all(|i| batch.bytes(i) == [round, i as u8]));
        let (sent, result) = batch.forward(&client, 0..BATCH);
        assert_eq!((sent, result.is_ok()), (BATCH, true));
        batch.clear();
        receive(&mut batch, &server, BATCH);
        batch.clear();
        receive(&mut batch, &server, 1);
        batch.clear();
    }
}

#[test]
fn a_closed_port_is_told() {
    // It listens to itself alone, and no other test gets its port.
    let closed = bound("127.0.0.1:0");
    closed.connect(closed.local_addr().unwrap()).unwrap();
    let client = connect_datagrams(closed.local_addr().unwrap()).unwrap();
    let mut batch = Batch::default();
    batch.sizes[0] = 3;
    assert_eq!(batch.forward(&client, 0..1).0, 1);
    let refused = |e: io::Error| e.kind() == io::ErrorKind::ConnectionRefused;
    ready(&client);
    assert!(batch.receive(&client).is_err_and(refused));
    assert!(batch.receive(&client).unwrap().is_empty());
    assert_eq!(batch.forward(&client, 0..1).0, 1);
    ready(&client);
    let (sent, result) = batch.forward(&client, 0..1);
    assert!(sent == 0 && result.is_err_and(refused));
}

#[test]
fn what_is_too_large_is_told_and_the_next_one_goes() {
    let server = bound("127.0.0.1:0");
    let client = connect_datagrams(server.local_addr().unwrap()).unwrap();
    let mut batch = Batch::default();
    batch.sizes[..3].copy_from_slice(&[1, 65_508, 2]);
    batch.len = 3;
    let (sent, result) = batch.forward(&client, 0..3);
    assert_eq!((sent, Trouble::of(&result.unwrap_err())), (1, Trouble::TooLarge));
    assert_eq!(batch.forward(&client, 2..3).0, 1);
}
