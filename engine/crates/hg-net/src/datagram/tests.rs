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

/// A batch that joins datagrams if the kernel can divide them.
fn batch() -> Batch {
    Batch::new(Offload::probe())
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
        let mut batch = self::batch();
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
    let mut batch = self::batch();
    for round in 0..3 {
        let source = bound("127.0.0.1:0");
        source.connect(server.local_addr().unwrap()).unwrap();
        for i in 0..=BATCH {
            source.send(&[round, i as u8]).unwrap();
        }
        receive(&mut batch, &server, BATCH);
        assert!(batch.is_full() && batch.receive(&server).unwrap().is_empty());
        assert!((0..BATCH).all(|i| batch.bytes(i) == [round, i as u8]));
        let (sent, result) = batch.forward(&client, 0..BATCH, Front::default());
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
    let mut batch = self::batch();
    batch.table.add(0, 3, None);
    assert_eq!(batch.forward(&client, 0..1, Front::default()).0, 1);
    let refused = |e: io::Error| e.kind() == io::ErrorKind::ConnectionRefused;
    ready(&client);
    assert!(batch.receive(&client).is_err_and(refused));
    assert!(batch.receive(&client).unwrap().is_empty());
    assert_eq!(batch.forward(&client, 0..1, Front::default()).0, 1);
    ready(&client);
    let (sent, result) = batch.forward(&client, 0..1, Front::default());
    assert!(sent == 0 && result.is_err_and(refused));
}

#[test]
fn what_is_too_large_is_told_and_the_next_one_goes() {
    let server = bound("127.0.0.1:0");
    let client = connect_datagrams(server.local_addr().unwrap()).unwrap();
    let mut batch = self::batch();
    for (room, size) in [1, 65_508, 2, 65_508, 3].into_iter().enumerate() {
        batch.table.add(room, size, None);
    }
    for from in [0, 2] {
        let (sent, result) = batch.forward(&client, from..5, Front::default());
        assert_eq!((sent, Trouble::of(&result.unwrap_err())), (1, Trouble::TooLarge), "{from}");
    }
    assert_eq!(batch.forward(&client, 4..5, Front::default()).0, 1);
}

#[test]
fn datagrams_that_are_added_stand_one_behind_the_other() {
    let mut batch = self::batch();
    let all: Vec<Vec<u8>> = (0..=BATCH).map(|i| vec![i as u8; i + 1]).collect();
    let ends = |i: usize| Ends { client: ([127, 0, 0, 1], 1 + i as u16).into(), local: None };
    for (i, one) in all.iter().enumerate() {
        batch.add(one, ends(i));
    }
    assert_eq!(batch.len(), BATCH, "one more has no room");
    assert!((0..BATCH).all(|i| batch.bytes(i) == all[i] && batch.ends(i) == Some(ends(i))));
}

/// Sends what a batch holds to a socket, and returns what comes there, datagram by datagram.
fn relayed(batch: &mut Batch, is_joined: bool) -> Vec<Vec<u8>> {
    let server = bound("127.0.0.1:0");
    if is_joined {
        receive_joined(&server).unwrap();
    }
    let client = connect_datagrams(server.local_addr().unwrap()).unwrap();
    let (sent, result) = batch.forward(&client, 0..batch.len(), Front::default());
    assert!(sent == batch.len() && result.is_ok(), "{sent}: {result:?}");
    let mut all = Vec::new();
    while all.len() < sent {
        let mut come = self::batch();
        receive(&mut come, &server, 1);
        all.extend((0..come.len()).map(|at| come.bytes(at).to_vec()));
    }
    all
}

/// Puts datagrams into a batch, a room for each.
fn filled(offload: Offload, all: &[Vec<u8>]) -> Batch {
    let mut batch = Batch::new(offload);
    for (room, bytes) in all.iter().enumerate() {
        batch.bytes[room * ROOM..][..bytes.len()].copy_from_slice(bytes);
        batch.table.add(room, bytes.len(), None);
    }
    batch.rooms = all.len();
    batch
}

fn drawn(sizes: &[usize]) -> Vec<Vec<u8>> {
    let one = |(n, size): (usize, &usize)| (0..*size).map(|i| (i * 7 + n) as u8).collect();
    sizes.iter().enumerate().map(one).collect()
}

#[test]
fn joined_or_not_the_same_datagrams_come_in_order() {
    let with = Offload { receive: true, send: true };
    assert_eq!(Offload::probe(), with, "the kernel of the tests can do both");
    for (sizes, joined) in [
        (&[0, 0, 5, 5, 5, 2, 0, 9, 9, 10, 10][..], 8),
        (&[1_200; 32][..], 32),
        (&[65_507, 1, 1], 2),
        (&[], 0),
    ] {
        let all = drawn(sizes);
        for offload in [Offload::default(), with] {
            for is_joined in [false, true] {
                let mut batch = filled(offload, &all);
                assert_eq!(relayed(&mut batch, is_joined), all);
                let sent = if offload.send { joined } else { 0 };
                assert_eq!(batch.take_joined(), Joined { sent, ..Joined::default() });
                assert_eq!(batch.take_joined(), Joined::default());
            }
        }
    }
}

#[test]
fn what_came_joined_is_divided_and_passed_on_joined() {
    for (here, there) in [("0.0.0.0:0", "127.0.0.1"), ("[::]:0", "::1")] {
        let server = bound(here);
        receive_joined(&server).unwrap();
        tell_local_address(&server, server.local_addr().unwrap()).unwrap();
        let local: IpAddr = there.parse().unwrap();
        let to = SocketAddr::new(local, server.local_addr().unwrap().port());
        let client = bound(&SocketAddr::new(local, 0).to_string());
        client.connect(to).unwrap();
        receive_joined(&client).unwrap();
        let sizes: Vec<usize> = [300; 63].into_iter().chain([7]).collect();
        let all = drawn(&sizes);
        calls::set_option(client.as_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, 300).unwrap();
        client.send(&all.concat()).unwrap();
        let mut batch = self::batch();
        receive(&mut batch, &server, 64);
        let ends = Ends { client: client.local_addr().unwrap(), local: Some(local) };
        let come: Vec<&[u8]> = (0..batch.len()).map(|at| batch.bytes(at)).collect();
        assert_eq!(come, all);
        assert!((0..64).all(|at| batch.ends(at) == Some(ends)) && batch.end_of_same(0) == 64);
        assert_eq!(batch.reply(&server, 0..64).0, 64);
        assert_eq!(batch.take_joined(), Joined { received: 64, sent: 64, refused: 0 });
        let mut back = self::batch();
        receive(&mut back, &client, 64);
        assert_eq!(back.take_joined().received, 64);
        assert!((0..64).all(|at| back.bytes(at) == all[at]));
        // A part of what came joined goes alone, from the midst.
        let (sent, result) = batch.reply(&server, 61..63);
        assert!(sent == 2 && result.is_ok());
        back.clear();
        receive(&mut back, &client, 2);
        assert!(back.bytes(0) == all[61] && back.bytes(1) == all[62]);
    }
}

#[test]
fn answers_to_several_clients_are_joined_for_each() {
    let server = bound("127.0.0.1:0");
    let clients = [bound("127.0.0.1:0"), bound("127.0.0.1:0")];
    let all = drawn(&[4, 4, 4, 4, 4]);
    let mut batch = filled(Offload::probe(), &all);
    for (at, of) in [0, 0, 1, 0, 0].into_iter().enumerate() {
        let ends = Ends { client: clients[of].local_addr().unwrap(), local: None };
        batch.address(at..at + 1, ends);
    }
    assert_eq!((batch.end_of_same(0), batch.end_of_same(2)), (2, 3));
    assert_eq!(batch.reply(&server, 0..5).0, 5);
    assert_eq!(batch.take_joined().sent, 4);
    for (client, expected) in clients.iter().zip([&[0, 1, 3, 4][..], &[2]]) {
        let mut come = self::batch();
        receive(&mut come, client, expected.len());
        let bytes: Vec<&[u8]> = (0..come.len()).map(|at| come.bytes(at)).collect();
        let expected: Vec<&[u8]> = expected.iter().map(|at| &*all[*at]).collect();
        assert_eq!(bytes, expected);
    }
}

/// The loopback takes 65,536 bytes unfragmented, so that no send is refused for its size; a socket
/// that makes no checksums refuses every joined one.
#[test]
fn what_the_kernel_refuses_joined_goes_alone() {
    let server = bound("127.0.0.1:0");
    let client = connect_datagrams(server.local_addr().unwrap()).unwrap();
    calls::set_option(client.as_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).unwrap();
    let all = drawn(&[6, 6, 6, 5, 5, 3]);
    let mut batch = filled(Offload::probe(), &all);
    let (sent, result) = batch.forward(&client, 0..6, Front::default());
    assert!(sent == 6 && result.is_ok(), "{sent}: {result:?}");
    // The second is smaller than what was refused before.
    assert_eq!(batch.take_joined(), Joined { received: 0, sent: 0, refused: 2 });
    let mut come = self::batch();
    receive(&mut come, &server, 6);
    assert!((0..6).all(|at| come.bytes(at) == all[at]));
}

mod random {
    use super::super::control::Control;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_control_data_breaks_its_reader(bytes: [u8; 32], len in 0usize..100) {
            let mut control = Control::default();
            control.bytes[..32].copy_from_slice(&bytes);
            let _ = control.read(len);
        }

        #[test]
        fn any_sizes_come_as_sent(
            sizes in prop::collection::vec(prop_oneof![0usize..4, Just(1_200), 0usize..3_000], 0..32),
            is_joined: bool,
        ) {
            let all = drawn(&sizes);
            let mut batch = filled(Offload::probe(), &all);
            prop_assert_eq!(relayed(&mut batch, is_joined), all);
        }
    }
}

#[test]
fn a_header_takes_the_place_of_the_first_bytes_of_each() {
    let server = bound("127.0.0.1:0");
    let client = connect_datagrams(server.local_addr().unwrap()).unwrap();
    // More than one call takes, of equal sizes and others; the last ones have nothing but what is cut.
    let sizes = (0..BATCH).map(|i| if i % 7 == 0 { 2 } else { 900 });
    let sent: Vec<Vec<u8>> = sizes.enumerate().map(|(i, size)| vec![i as u8; size]).collect();
    let front = Front { cut: 2, header: b"HEADER" };
    for offload in [Offload::probe(), Offload::default()] {
        let mut batch = Batch::new(offload);
        let ends = Ends { client: server.local_addr().unwrap(), local: None };
        sent.iter().for_each(|one| batch.add(one, ends));
        let (count, result) = batch.forward(&client, 0..BATCH, front);
        assert_eq!((count, result.is_ok()), (BATCH, true));
        let mut buffer = vec![0; 65_536];
        for one in &sent {
            ready(&server);
            let n = server.recv(&mut buffer).unwrap();
            assert_eq!(buffer[..n], [b"HEADER", &one[2..]].concat());
        }
    }
    pass_datagram(&client, b"HEADER", b"rest").unwrap();
    ready(&server);
    let mut buffer = [0; 16];
    let n = server.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..n], b"HEADERrest");
}

#[test]
fn what_does_not_fit_with_its_header_is_told_and_the_next_one_goes() {
    let server = bound("127.0.0.1:0");
    let client = connect_datagrams(server.local_addr().unwrap()).unwrap();
    let mut batch = self::batch();
    let ends = Ends { client: server.local_addr().unwrap(), local: None };
    for size in [1, 65_502, 65_501] {
        batch.add(&vec![0; size], ends);
    }
    let front = Front { cut: 0, header: b"HEADER" };
    let (sent, result) = batch.forward(&client, 0..3, front);
    assert_eq!((sent, Trouble::of(&result.unwrap_err())), (1, Trouble::TooLarge));
    assert_eq!(batch.forward(&client, 2..3, front).0, 1);
}
