//! Buffers without a worker.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use super::*;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// Returns two ends of a connection; neither waits.
fn pair() -> (UnixStream, UnixStream) {
    let (ours, peer) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    peer.set_nonblocking(true).unwrap();
    (ours, peer)
}

/// Returns a pipe with these bytes in it.
fn pipe_with(bytes: &[u8], pool: &mut BufferPool) -> Box<Pipe> {
    let (from, mut peer) = pair();
    peer.write_all(bytes).unwrap();
    let mut pipe = pool.take_pipe().unwrap();
    assert_eq!(pipe.fill(&from, READ_MAX).unwrap(), Flow::Bytes(bytes.len()));
    pipe
}

/// Sends until the socket takes no more; returns how much that was.
fn fill(mut s: &UnixStream) -> usize {
    let mut filled = 0;
    while let Ok(n) = s.write(&[0; 4096]) {
        filled += n;
    }
    filled
}

/// Reads exactly so many bytes.
fn take(mut s: &UnixStream, bytes: usize) -> Vec<u8> {
    let mut all = vec![0; bytes];
    s.read_exact(&mut all).unwrap();
    all
}

#[test]
fn adopted_bytes_and_pushed_ones_come_out_in_order() {
    let mut pool = BufferPool::default();
    let mut scratch = pool.take();
    scratch[RESERVE..RESERVE + 5].copy_from_slice(b"hello");
    let mut out = Out::default();
    out.adopt(&mut scratch, RESERVE..RESERVE + 5, &mut pool);
    assert_eq!(pool.held, 1);
    out.push(b" world", &mut pool);
    assert_eq!(out.bytes(), b"hello world");
    out.advance(6, &mut pool);
    out.push(&vec![b'x'; BIG], &mut pool);
    assert_eq!(out.bytes().len(), 5 + BIG);
    assert_eq!(pool.kept, 5 + BIG);
    assert_eq!(&out.bytes()[..5], b"world");
    out.advance(5 + BIG, &mut pool);
    assert!(out.is_empty());
    assert_eq!(scratch.len(), BIG);
    assert_eq!((pool.kept, pool.held), (0, 0));
}

/// A client that always has some more to take empties neither.
#[test]
fn what_was_taken_takes_no_memory_for_long() {
    let (mut pool, mut out, mut pending) =
        (BufferPool::default(), Out::default(), Pending::default());
    let part = [b'x'; 1000];
    for _ in 0..10 {
        out.push(&part, &mut pool);
        pending.hold(&part);
    }
    for _ in 0..1000 {
        out.push(&part, &mut pool);
        out.advance(part.len(), &mut pool);
        pending.hold(&part);
        pending.took(part.len());
    }
    assert_eq!((out.bytes().len(), pending.bytes().len()), (10_000, 10_000));
    assert!(out.buffer.capacity() < 50_000 && pending.memory() < 50_000);
    assert_eq!(pool.kept, 10_000);
    out.release(&mut pool);
    assert_eq!(pool.kept, 0);
}

#[test]
fn a_few_big_buffers_are_kept_for_the_next_ones() {
    let mut pool = BufferPool::default();
    let all: Vec<_> = (0..=SPARE).map(|_| pool.take()).collect();
    assert!(all.iter().all(|buffer| buffer.len() == BIG));
    for (n, buffer) in all.into_iter().enumerate() {
        pool.put(buffer);
        assert_eq!(pool.spare.len(), SPARE.min(n + 1));
    }
    pool.take();
    pool.put(vec![0; BIG - 1]);
    assert_eq!(pool.spare.len(), SPARE - 1, "a small one is not kept");
}

#[test]
fn a_few_pipes_are_kept_and_few_connections_have_one() {
    let mut pool = BufferPool::default();
    let all: Vec<_> = (0..=SPARE).map(|_| pool.take_pipe().unwrap()).collect();
    for (n, pipe) in all.into_iter().enumerate() {
        pool.put_pipe(pipe);
        assert_eq!(pool.pipes.len(), SPARE.min(n + 1));
    }
    let full = pipe_with(b"some", &mut pool);
    assert_eq!(pool.pipes.len(), SPARE - 1);
    pool.put_pipe(full);
    assert_eq!(pool.pipes.len(), SPARE - 1, "one that is not empty is closed");
    pool.held = MANY - 1;
    assert!(pool.take_pipe().is_some());
    pool.held = MANY;
    assert!(pool.take_pipe().is_none());
}

#[test]
fn the_more_connections_hold_the_less_each_one_reads() {
    let mut pool = BufferPool::default();
    for (held, expected) in [
        (0, READ_MAX),
        (MANY - 1, READ_MAX),
        (MANY, READ_FEW),
        (255, READ_FEW),
        (256, READ_MIN),
        (5000, READ_MIN),
    ] {
        pool.held = held;
        assert_eq!(pool.read_limit(), expected, "{held}");
    }
}

#[test]
fn what_bodies_and_answers_take_is_counted() {
    let mut pool = BufferPool::default();
    pool.note_upload(0, 7);
    pool.note_upload(3, 5);
    assert_eq!(pool.uploads, 9);
    pool.collected = 100;
    assert_eq!(pool.bodies(), 109);
    pool.note_upload(10, 0);
    assert_eq!((pool.uploads, pool.bodies()), (0, 100));
    for (kept, pending, expected) in [
        (0, 0, true),
        (ANSWERS_MOST - 1, 0, true),
        (ANSWERS_MOST - 9, 8, true),
        (ANSWERS_MOST, 0, false),
        (ANSWERS_MOST - 9, 9, false),
        (ANSWERS_MOST, 9, false),
    ] {
        (pool.kept, pool.pending) = (kept, pending);
        assert_eq!(pool.may_collect_answers(), expected, "{kept} {pending}");
    }
}

#[test]
fn what_is_pushed_goes_into_the_room_that_an_adopted_buffer_has() {
    let mut pool = BufferPool::default();
    for (room, more) in [(10, 9), (10, 10), (10, 11), (0, 1)] {
        let mut scratch = pool.take();
        let start = BIG - room - 5;
        scratch[start..BIG - room].copy_from_slice(b"hello");
        let mut out = Out::default();
        out.adopt(&mut scratch, start..BIG - room, &mut pool);
        assert_eq!((out.waiting(), pool.kept), (Some(5), 5));
        out.push(&vec![b'x'; more], &mut pool);
        assert_eq!(out.bytes(), [&b"hello"[..], &vec![b'x'; more]].concat());
        assert_eq!((out.waiting(), pool.kept), (Some(5 + more), 5 + more));
        out.advance(5, &mut pool);
        assert_eq!((out.waiting(), pool.kept, pool.held), (Some(more), more, 1));
        out.release(&mut pool);
        assert_eq!((out.is_empty(), pool.kept, pool.held), (true, 0, 0));
    }
}

#[test]
fn nothing_pushed_is_nothing_kept() {
    let (mut pool, mut out) = (BufferPool::default(), Out::default());
    out.push(b"", &mut pool);
    assert!(out.is_empty() && out.bytes().is_empty());
    assert_eq!((out.waiting(), pool.kept, pool.held), (Some(0), 0, 0));
}

#[test]
fn what_waits_is_written_as_the_socket_takes_it_and_the_pipe_last() {
    let mut pool = BufferPool::default();
    let (ours, peer) = pair();
    let filled = fill(&ours);
    let mut out = Out::default();
    out.push(b"first ", &mut pool);
    let pipe = pipe_with(b"then", &mut pool);
    out.keep_pipe(pipe, &mut pool);
    assert_eq!((out.waiting(), out.is_empty(), pool.held), (None, false, 1));
    assert_eq!(out.write(&ours, &mut pool).unwrap(), Flow::Blocked);
    assert_eq!((out.bytes(), pool.held), (&b"first "[..], 1));
    take(&peer, filled);
    assert_eq!(out.write(&ours, &mut pool).unwrap(), Flow::Bytes(6));
    assert_eq!((out.waiting(), out.is_empty(), pool.kept, pool.held), (None, false, 0, 1));
    let filled = fill(&ours);
    assert_eq!(out.write(&ours, &mut pool).unwrap(), Flow::Blocked);
    assert_eq!((out.is_empty(), pool.held), (false, 1));
    assert_eq!(take(&peer, 6), b"first ");
    take(&peer, filled);
    assert_eq!(out.write(&ours, &mut pool).unwrap(), Flow::Bytes(4));
    assert_eq!((out.waiting(), out.is_empty(), pool.held), (Some(0), true, 0));
    assert_eq!(take(&peer, 4), b"then");
    assert_eq!(pool.pipes.len(), 1, "the empty pipe is for the next one");
}

#[test]
fn a_pipe_that_is_given_up_is_held_no_more() {
    let mut pool = BufferPool::default();
    let mut out = Out::default();
    let pipe = pipe_with(b"lost", &mut pool);
    out.keep_pipe(pipe, &mut pool);
    let empty = Box::new(Pipe::new().unwrap());
    Out::default().keep_pipe(empty, &mut pool);
    assert_eq!((pool.held, pool.pipes.len()), (1, 1), "an empty one is not held");
    out.release(&mut pool);
    assert_eq!((out.is_empty(), pool.held), (true, 0));
}

#[test]
fn what_a_session_took_is_gone_from_what_waits_for_it() {
    let mut pending = Pending::default();
    assert_eq!((pending.is_empty(), pending.len(), pending.memory()), (true, 0, 0));
    pending.hold(b"abcdef");
    pending.took(2);
    assert_eq!((pending.is_empty(), pending.len(), pending.bytes()), (false, 4, &b"cdef"[..]));
    assert!(pending.memory() >= 6);
    pending.hold(b"gh");
    assert_eq!((pending.len(), pending.bytes()), (6, &b"cdefgh"[..]));
    pending.took(5);
    // More was taken than is left: that moves to the front.
    pending.hold(b"i");
    assert_eq!((pending.taken, pending.bytes()), (0, &b"hi"[..]));
    pending.took(2);
    assert_eq!((pending.is_empty(), pending.memory()), (true, 0));
}

#[test]
fn little_is_kept_of_what_waited() {
    for (bytes, is_kept) in [(KEPT, true), (KEPT + 1, false)] {
        let mut pending = Pending { bytes: Vec::with_capacity(bytes), taken: 0 };
        pending.hold(&vec![b'x'; bytes]);
        pending.took(bytes);
        assert_eq!(pending.bytes.capacity() > 0, is_kept, "{bytes}");
    }
    let mut pending = Pending { bytes: Vec::with_capacity(100_000), taken: 0 };
    pending.hold(b"abc");
    pending.took(1);
    let next = pending.recycle();
    assert!(next.is_empty() && (1..=4096).contains(&next.bytes.capacity()));
}
