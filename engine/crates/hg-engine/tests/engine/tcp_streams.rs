//! Random streams in both directions of TCP routes over real sockets: in chunks of any size, with
//! stalls, and ends in any order. Every byte arrives, in order, and every end after its bytes.
//!
//! `HEADGATE_TCP_SESSIONS` sets how many sessions there are; a share of them runs by default.

use crate::common::{DEADLINE, Node, Upstream, eventually, put, read_n, upstream_json};
use hg_plan::{Change, Kind};
use hg_policy::{Random as _, WyRand};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;

const SESSIONS: u64 = 120;
const AT_ONCE: u64 = 6;

fn bytes(seed: u64) -> Vec<u8> {
    let mut random = WyRand::new(seed);
    // Most are small; some fill every buffer on the way and are spliced.
    let most = [100, 5_000, 100_000, 3_000_000].get(random.below(4) as usize).copied().unwrap();
    let length = random.below(most) as usize;
    let mut all = Vec::with_capacity(length + 8);
    while all.len() < length {
        all.extend_from_slice(&random.next_u64().to_le_bytes());
    }
    all.truncate(length);
    all
}

/// Lets others run for a while, as a slow peer does.
fn stall(random: &mut WyRand) {
    if random.below(8) == 0 {
        for _ in 0..random.below(200) {
            std::thread::yield_now();
        }
    }
}

fn send(mut to: &TcpStream, all: &[u8], random: &mut WyRand) {
    let mut rest = all;
    while !rest.is_empty() {
        let most = [3, 2_000, 300_000].get(random.below(3) as usize).copied().unwrap();
        let (now, later) = rest.split_at((random.below(most) as usize + 1).min(rest.len()));
        to.write_all(now).unwrap();
        rest = later;
        stall(random);
    }
    to.shutdown(Shutdown::Write).unwrap();
}

fn receive(mut from: &TcpStream, random: &mut WyRand) -> Vec<u8> {
    let mut got = Vec::new();
    let mut buffer = vec![0; 200_000];
    loop {
        let most = [7, 4_000, 200_000].get(random.below(3) as usize).copied().unwrap();
        let room = buffer.get_mut(..=random.below(most) as usize).unwrap();
        let n = from.read(room).unwrap();
        if n == 0 {
            return got;
        }
        got.extend_from_slice(buffer.get(..n).unwrap());
        stall(random);
    }
}

/// Sends one stream and receives the other, in an order of ends that the seed chooses: both at
/// once, or one after the other where that cannot block.
fn exchange(stream: &TcpStream, sent: &[u8], seed: u64) -> Vec<u8> {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| send(stream, sent, &mut WyRand::new(seed ^ 1)));
        let got = receive(stream, &mut WyRand::new(seed ^ 2));
        sender.join().unwrap();
        got
    })
}

#[test]
fn streams_arrive_as_they_were_sent() {
    let (tell, told) = mpsc::channel();
    let upstream = Upstream::play(move |mut stream| {
        let seed = u64::from_le_bytes(read_n(&mut stream, 8).try_into().unwrap());
        let got = exchange(&stream, &bytes(seed ^ 0xff00), seed ^ 4);
        tell.send(got == bytes(seed)).unwrap();
    });
    let mut node = Node::start(&upstream_json(&[upstream.address], ""), "", 2);
    let listener = format!(r#"{{"addresses":["{}"],"protocol":"tcp"}}"#, node.address);
    let gone = Change { kind: Kind::Route, name: "r".into(), bytes: None };
    let route = put(Kind::TcpRoute, "t", r#"{"listeners":["web"],"upstream":"u"}"#);
    node.apply(&[put(Kind::Listener, "web", listener), gone, route]);
    let asked = std::env::var("HEADGATE_TCP_SESSIONS").ok().and_then(|n| n.parse().ok());
    let sessions: u64 = asked.unwrap_or(SESSIONS);
    std::thread::scope(|scope| {
        for first in 0..AT_ONCE {
            let node = &node;
            scope.spawn(move || {
                for seed in (first..sessions).step_by(AT_ONCE as usize) {
                    let mut stream = node.connect();
                    stream.write_all(&seed.to_le_bytes()).unwrap();
                    let got = exchange(&stream, &bytes(seed), seed ^ 8);
                    assert!(got == bytes(seed ^ 0xff00), "what the endpoint of {seed} sent");
                }
            });
        }
    });
    for _ in 0..sessions {
        assert!(told.recv_timeout(DEADLINE).unwrap(), "what a client sent");
    }
    let ended = |node: &Node| {
        let metrics = node.engine.metrics();
        let of = |word| metrics.tcp.closed.iter().filter(move |c| c.reason == word);
        let whole = of("client-end").chain(of("endpoint-end")).map(|c| c.count).sum::<u64>();
        whole == sessions && metrics.tcp.connections.active == 0
    };
    eventually("every session has ended whole", || ended(&node));
}
