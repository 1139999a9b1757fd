//! Connections without a worker.

use super::*;
use hg_policy::{Random as _, WyRand};
use std::io::{Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// The socket tells of a reset once. If a write hears of it, reads find an end like that of a body that
/// is over, which what was cut off must not have.
#[test]
fn a_reset_that_a_write_found_is_no_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    ours.write_all(b"unread").unwrap();
    ours.set_nonblocking(true).unwrap();
    peer.write_all(b"part").unwrap();
    peer.peek(&mut [0]).unwrap();
    // With bytes that it has not read a peer resets the connection.
    drop(peer);
    let (mut conn, mut io) = (Conn::new(ours.into()), Io::default());
    let until = Instant::now() + Duration::from_secs(10);
    while conn.send_small(&mut io, b"more").is_ok() {
        assert!(Instant::now() < until, "no reset has come");
        std::thread::yield_now();
    }
    let mut buffer = io.take_for(&conn);
    loop {
        match conn.read(&mut io, &mut buffer, READ_MAX) {
            Ok(Read::Data(_)) => {}
            Ok(Read::Blocked | Read::End) => panic!("the connection looks as if it had ended"),
            Err(e) => return assert_eq!(e.kind(), io::ErrorKind::ConnectionReset),
        }
    }
}

/// Returns a connection and its peer; neither waits.
fn pair() -> (Conn, UnixStream) {
    let (ours, peer) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    peer.set_nonblocking(true).unwrap();
    (Conn::new(ours.into()), peer)
}

/// Reads all that is there.
fn drain(peer: &mut UnixStream, into: &mut Vec<u8>) {
    let mut some = [0; 4096];
    while let Ok(n @ 1..) = peer.read(&mut some) {
        into.extend_from_slice(&some[..n]);
    }
}

#[test]
fn a_read_says_whether_there_may_be_more() {
    let (mut conn, mut peer) = pair();
    let mut io = Io::default();
    let mut buffer = io.take_for(&conn);
    peer.write_all(b"abcdef").unwrap();
    for (limit, read_closed, bytes, readable) in
        [(3, false, "abc", true), (2, false, "de", true), (2, false, "f", false)]
    {
        conn.read_closed = read_closed;
        let read = conn.read(&mut io, &mut buffer, limit).unwrap();
        assert_eq!(read, Read::Data(RESERVE..RESERVE + bytes.len()));
        assert_eq!(&buffer[RESERVE..RESERVE + bytes.len()], bytes.as_bytes());
        assert_eq!(conn.readable, readable, "{bytes}");
    }
    conn.readable = true;
    assert_eq!(conn.read(&mut io, &mut buffer, 2).unwrap(), Read::Blocked);
    assert!(!conn.readable);
    peer.write_all(b"g").unwrap();
    drop(peer);
    conn.read_closed = true;
    assert_eq!(conn.read(&mut io, &mut buffer, 2).unwrap(), Read::Data(RESERVE..RESERVE + 1));
    assert!(conn.readable, "the end was announced");
    assert_eq!(conn.read(&mut io, &mut buffer, 2).unwrap(), Read::End);
    assert!(!conn.readable);
    assert!(conn.read(&mut io, &mut vec![0; RESERVE], 2).is_err(), "no room");
}

/// Sends parts of random sizes to a peer that reads now and then: everything comes, in order, and what
/// waits is copied if it is little.
#[test]
fn what_is_sent_comes_in_order_whatever_its_parts() {
    let sizes = [0, 0, 1, 60, JOIN - 60, JOIN, JOIN + 1, TAKE_OVER, 30_000, 200_000];
    let mut rng = WyRand::new(7);
    let mut next = |n: u64| usize::try_from(rng.next_u64() % n).unwrap();
    let (mut conn, mut peer) = pair();
    let mut io = Io::default();
    let (mut sent, mut came) = (Vec::new(), Vec::new());
    let mut adopted = [0, 0];
    for turn in 0..3_000 {
        let small = &sizes[..if conn.out.is_empty() { sizes.len() } else { 5 }];
        let parts = [0, 1].map(|_| vec![next(251) as u8; small[next(small.len() as u64)]]);
        let [head, body] = parts;
        let was_empty = conn.out.is_empty();
        let mut buffer = io.take_for(&conn);
        buffer[RESERVE..RESERVE + body.len()].copy_from_slice(&body);
        let before = buffer.as_ptr();
        conn.send(&mut io, &head, &mut buffer, RESERVE..RESERVE + body.len()).unwrap();
        let was_taken = buffer.as_ptr() != before;
        io.give_back(false, buffer);
        sent.extend([head.as_slice(), &body].concat());
        let waits = conn.out.waiting().unwrap();
        if was_empty && waits > 0 {
            let is_much = waits >= TAKE_OVER && waits <= body.len();
            adopted[usize::from(is_much)] += 1;
            assert_eq!(was_taken, is_much, "{waits} of {}", body.len());
        }
        if next(4) == 0 || turn == 2_999 {
            drain(&mut peer, &mut came);
            while !conn.flush(&mut io).unwrap() {
                drain(&mut peer, &mut came);
            }
            assert!(conn.out.is_empty());
        }
    }
    drain(&mut peer, &mut came);
    assert!(sent == came);
    assert!(adopted.iter().all(|n| *n > 0), "{adopted:?}");
}

/// Ciphertext goes out of the worker's buffer, which a connection keeps if much of it waits.
#[test]
fn what_is_sealed_comes_in_order_whatever_its_size() {
    let sizes = [0, 1, 60, JOIN, TAKE_OVER - 1, TAKE_OVER, 30_000, 200_000];
    let mut rng = WyRand::new(11);
    let mut next = |n: u64| usize::try_from(rng.next_u64() % n).unwrap();
    let (mut conn, mut peer) = pair();
    let mut io = Io::default();
    let (mut sent, mut came) = (Vec::new(), Vec::new());
    let mut adopted = [0, 0];
    for turn in 0..3_000 {
        let was_empty = conn.out.is_empty();
        let some = &sizes[..if was_empty { sizes.len() } else { 4 }];
        io.sealed = vec![next(251) as u8; some[next(some.len() as u64)]];
        sent.extend_from_slice(&io.sealed);
        let before = (io.sealed.as_ptr(), io.sealed.len());
        conn.write_sealed(&mut io).unwrap();
        let was_taken = io.sealed.as_ptr() != before.0;
        let waits = conn.out.waiting().unwrap();
        if was_empty && waits > 0 {
            adopted[usize::from(was_taken)] += 1;
            assert_eq!(was_taken, waits >= TAKE_OVER, "{waits} of {}", before.1);
        }
        if next(4) == 0 || turn == 2_999 {
            drain(&mut peer, &mut came);
            while !conn.flush(&mut io).unwrap() {
                drain(&mut peer, &mut came);
            }
        }
    }
    drain(&mut peer, &mut came);
    assert!(sent == came);
    assert!(adopted.iter().all(|n| *n > 0), "{adopted:?}");
}

#[test]
fn a_full_pipe_waits_until_its_connection_takes_it() {
    let (mut from, mut source) = pair();
    let (mut conn, mut peer) = pair();
    let mut io = Io::default();
    let mut filled = 0;
    while conn.out.is_empty() {
        conn.send_small(&mut io, &[b'x'; 1000]).unwrap();
        filled += 1000;
    }
    let mut came = Vec::new();
    drain(&mut peer, &mut came);
    assert!(conn.flush(&mut io).unwrap());
    drain(&mut peer, &mut came);
    assert_eq!(came.len(), filled);
    source.write_all(b"spliced").unwrap();
    let mut pipe = io.pool.take_pipe().unwrap();
    assert_eq!(from.fill(&mut pipe, 100).unwrap(), Flow::Bytes(7));
    assert!(from.readable);
    conn.send_pipe(&mut io, pipe).unwrap();
    assert!(conn.out.is_empty());
    came.clear();
    drain(&mut peer, &mut came);
    assert_eq!(came, b"spliced");
    let mut empty = io.pool.take_pipe().unwrap();
    assert_eq!(from.fill(&mut empty, 100).unwrap(), Flow::Blocked);
    assert!(!from.readable, "it has nothing more");
}

#[test]
fn an_event_says_what_a_read_may_find() {
    let token = hg_net::Token::new(1, 2, 3);
    let event = |readable, read_closed, closed| Event {
        token,
        readable,
        writable: false,
        read_closed,
        closed,
    };
    for (event, readable, read_closed) in [
        (event(false, false, false), false, false),
        (event(true, false, false), true, false),
        (event(false, true, false), true, true),
        (event(false, false, true), true, true),
    ] {
        let (mut conn, _peer) = pair();
        conn.readable = false;
        conn.note_event(&event);
        assert_eq!((conn.readable, conn.read_closed), (readable, read_closed), "{event:?}");
        // What an earlier one said still holds.
        (conn.readable, conn.read_closed) = (true, true);
        conn.note_event(&event);
        assert!(conn.readable && conn.read_closed);
    }
}

#[test]
fn a_head_before_a_large_body_is_read_alone() {
    let (mut conn, _peer) = pair();
    assert_eq!(conn.first_read(READ_MAX), READ_MAX);
    conn.brings_much = true;
    assert_eq!(conn.first_read(READ_MAX), LONE_HEAD);
}

#[test]
fn there_is_room_for_the_end_of_a_chunk() {
    let mut buffer = vec![1; 100];
    make_room(&mut buffer, 100 - TAIL);
    assert_eq!(buffer, [1; 100]);
    make_room(&mut buffer, 101 - TAIL);
    assert_eq!((buffer.len(), buffer[100]), (101, 0));
}
