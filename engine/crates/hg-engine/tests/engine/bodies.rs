//! Large bodies through a real engine, byte for byte: most of their bytes pass without being read.

use crate::common::*;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;

const SIZE: usize = 5_000_000;

/// Returns the byte at an index of every body here; neighbouring pages and blocks differ.
fn byte(i: usize) -> u8 {
    (i % 251) as u8 ^ (i / 4096 % 256) as u8
}

fn body(n: usize) -> Vec<u8> {
    (0..n).map(byte).collect()
}

fn is_body(bytes: &[u8], n: usize) -> bool {
    bytes.len() == n && bytes.iter().enumerate().all(|(i, b)| *b == byte(i))
}

fn length(head: &str) -> usize {
    let lower = head.to_ascii_lowercase();
    let line = lower.lines().find_map(|l| l.strip_prefix("content-length: ").map(str::to_owned));
    line.map_or(0, |n| n.parse().unwrap())
}

/// Sends back what it receives, of whatever size.
fn echo(mut s: TcpStream) {
    while let Some(head) = read_head(&mut s) {
        let got = read_n(&mut s, length(&head));
        write!(s, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", got.len()).unwrap();
        s.write_all(&got).unwrap();
    }
}

/// Sends a body; returns the length of the answer's head.
fn post(s: &mut TcpStream, n: usize) -> u64 {
    let mut sender = s.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        write!(sender, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n").unwrap();
        sender.write_all(&body(n)).unwrap();
    });
    let (head, got) = read_answer(s);
    writer.join().unwrap();
    assert!(is_body(&got, n), "a body of {n} came back as {} other bytes", got.len());
    head.len() as u64
}

#[test]
fn bodies_of_every_size_follow_each_other_on_the_same_connections() {
    let up = Upstream::play(echo);
    let node = Node::simple(&up);
    let mut s = node.connect();
    let mut heads = 0;
    for n in [1, SIZE, 0, 32_767, 32_768, 65_536, 2, 81_920, 100_000, 131_072, SIZE, 13] {
        heads += post(&mut s, n);
    }
    assert_eq!(up.connections(), 1);
    let figures = node.engine.metrics();
    let bytes: u64 = [1, SIZE, 32_767, 32_768, 65_536, 2, 81_920, 100_000, 131_072, SIZE, 13]
        .iter()
        .map(|n| *n as u64)
        .sum();
    assert_eq!((figures.bytes_received, figures.bytes_sent), (bytes, bytes + heads));
}

#[test]
fn many_large_bodies_at_once_share_what_there_is() {
    let up = Upstream::play(echo);
    let node = Node::simple(&up);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| post(&mut node.connect(), SIZE));
        }
    });
}

#[test]
fn a_large_answer_cut_short_is_never_a_clean_end() {
    let up = Upstream::play(|mut s| {
        read_head(&mut s);
        write!(s, "HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").unwrap();
        s.write_all(&body(SIZE - 1)).unwrap();
    });
    let node = Node::simple(&up);
    let mut s = node.connect();
    s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_head(&mut s).unwrap();
    let mut got = Vec::new();
    let end = s.read_to_end(&mut got);
    assert!(end.is_err() && got.len() < SIZE, "{end:?} after {}", got.len());
    assert!(is_body(&got, got.len()));
}

#[test]
fn an_upstream_that_says_more_than_it_announced_is_not_used_again() {
    let (told, ended) = mpsc::channel();
    let up = Upstream::play(move |mut s| {
        read_head(&mut s);
        write!(s, "HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").unwrap();
        s.write_all(&body(SIZE)).unwrap();
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
        told.send(read_head(&mut s).is_none()).unwrap();
    });
    let node = Node::simple(&up);
    let mut s = node.connect();
    for _ in 0..3 {
        s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert!(is_body(&read_answer(&mut s).1, SIZE));
        assert!(ended.recv_timeout(DEADLINE).unwrap(), "it got another request");
    }
}

#[test]
fn a_client_that_leaves_in_the_middle_takes_the_upstream_connection_with_it() {
    let (gone, ended) = mpsc::channel();
    let up = Upstream::play(move |mut s| {
        read_head(&mut s);
        write!(s, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1u64 << 40).unwrap();
        let block = body(65_536);
        while s.write_all(&block).is_ok() {}
        gone.send(()).unwrap();
    });
    let node = Node::simple(&up);
    let mut s = node.connect();
    s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_n(&mut s, 1_000_000);
    drop(s);
    ended.recv_timeout(DEADLINE).unwrap();
}

#[test]
fn an_early_answer_to_a_large_upload_is_passed_on() {
    let up = Upstream::play(|mut s| {
        read_head(&mut s);
        read_n(&mut s, 1_000_000);
        s.write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n").unwrap();
        read_all(&mut s);
    });
    let node = Node::simple(&up);
    let mut s = node.connect();
    let mut sender = s.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        write!(sender, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 1u64 << 40)
            .unwrap();
        while sender.write_all(&body(65_536)).is_ok() {}
    });
    assert!(read_head(&mut s).unwrap().starts_with("HTTP/1.1 413 "));
    drop(s);
    writer.join().unwrap();
}
