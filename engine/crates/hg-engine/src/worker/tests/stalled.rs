//! Clients over HTTP/2 that do not take their answers: which connections the worker closes when it
//! holds too much for them.

use super::http2::{ended, serving};
use super::*;
use crate::common::http2::Client as Http2Client;
use hg_h2::{Limits, Role, Session};

const MIB: usize = 1024 * 1024;
const SECOND_US: u64 = 1_000_000;
/// One read takes the answer whole, although its client takes nothing.
const BODY: usize = 8_000;
/// A connection that holds so many bodies holds less than 256 KiB.
const STREAMS: usize = 30;
/// So many connections hold more than 64 MiB.
const MANY: u64 = 300;

fn start() -> Node {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n");
    let answer = [head.as_bytes(), &[b'x'; BODY]].concat();
    serving(&Upstream::answering(answer.leak()))
}

/// Asks for answers whose bodies have no room; returns once their heads have come, or the
/// connection has ended.
fn asking(node: &Node, streams: usize) -> Http2Client<TcpStream> {
    let mut client = Http2Client::connect(node);
    client.session = Session::new(Role::Client, Limits { stream_window: 0, ..Limits::client() });
    let ids: Vec<u32> = (0..streams).map(|_| client.open("GET", "/", &[], true)).collect();
    client.flush();
    while ids.iter().any(|id| client.answers[id].status == 0) && client.read() {}
    client
}

/// Widens the window of a stream, so that its client takes so many bytes more.
fn take(client: &mut Http2Client<TcpStream>, stream: u32, bytes: u32) {
    let mut frame = vec![0, 0, 4, 8, 0];
    frame.extend(stream.to_be_bytes());
    frame.extend(bytes.to_be_bytes());
    client.stream.write_all(&frame).unwrap();
}

/// Returns the memory that the worker holds for clients that have not taken their answers.
fn held(node: &Node) -> usize {
    on_worker(node, |w| w.io.pool.pending)
}

/// Opens connections with so many bodies each, and waits until the worker holds these.
fn holding(node: &Node, streams: &[usize]) -> Vec<Http2Client<TcpStream>> {
    let clients = streams.iter().map(|n| asking(node, *n)).collect();
    let all = BODY * streams.iter().sum::<usize>();
    eventually("the worker holds the bodies", || held(node) == all);
    clients
}

/// Has the worker look for clients to close as if it held so many bytes for `others` and the
/// connections had begun to hold theirs so many seconds ago, in the order in which they were opened;
/// returns which of them stay.
fn relieved(node: &Node, others: usize, ages_s: Vec<u64>) -> Vec<bool> {
    on_worker(node, move |w| {
        let real_us = w.now_us;
        w.now_us += 3600 * SECOND_US;
        let mut all: Vec<(u32, usize)> =
            w.clients.iter().map(|(ci, c)| (c.generation, ci)).collect();
        all.sort_unstable();
        assert_eq!(all.len(), ages_s.len());
        for ((_, ci), age_s) in all.iter().zip(ages_s) {
            let h = w.clients.get_mut(*ci).and_then(|c| c.http2.as_deref_mut()).unwrap();
            h.held.since_us = w.now_us - age_s * SECOND_US;
        }
        w.io.pool.pending += others;
        w.io.pool.endured = 0;
        w.relieve();
        w.io.pool.pending -= others;
        w.now_us = real_us;
        let stays = |ci: usize| {
            let h = w.clients.get(ci).and_then(|c| c.http2.as_deref());
            h.is_some_and(|h| h.held.bytes > 0)
        };
        all.into_iter().map(|(_, ci)| stays(ci)).collect()
    })
}

#[test]
fn of_a_large_answer_that_its_client_does_not_take_little_is_read() {
    let node = serving(&Upstream::play(|mut s| {
        read_head(&mut s);
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        let _ = s.write_all(&[b'x'; 1_000_000]);
    }));
    let mut client = asking(&node, 1);
    eventually("some is held", || held(&node) > 0);
    assert!(held(&node) <= 8 * 1024, "{} bytes are held", held(&node));
    // Once it takes more, it gets all of it.
    for stream in [0, 1] {
        take(&mut client, stream, 2_000_000);
    }
    assert_eq!(read_n(&mut client.stream, 1_000_000).len(), 1_000_000);
}

#[test]
fn nothing_is_sent_on_a_connection_that_is_lost() {
    let node = start();
    let clients = holding(&node, &[STREAMS]);
    let sent = on_worker(&node, |w| {
        let sent = w.counters.http2.sends.get();
        let ci = w.clients.iter().find(|(_, c)| c.http2.is_some()).map(|(ci, _)| ci).unwrap();
        w.connection_lost(ci);
        sent
    });
    eventually("it is closed", || on_worker(&node, |w| w.clients.is_empty()));
    assert_eq!(on_worker(&node, |w| w.counters.http2.sends.get()), sent);
    drop(clients);
}

#[test]
fn a_connection_that_is_lost_is_closed_although_its_last_exchanges_end_by_themselves() {
    let node = start();
    let clients = holding(&node, &[STREAMS]);
    on_worker(&node, |w| {
        let ci = w.clients.iter().find(|(_, c)| c.http2.is_some()).map(|(ci, _)| ci).unwrap();
        w.connection_lost(ci);
        let h = w.clients.get(ci).and_then(|c| c.http2.as_deref()).unwrap();
        let left: Vec<_> = h.streams.values().copied().collect();
        assert!(!left.is_empty(), "it ends a few at a time");
        left.into_iter().for_each(|x| w.client_gone(x));
    });
    eventually("it is closed", || on_worker(&node, |w| w.clients.is_empty()));
    drop(clients);
}

#[test]
fn many_small_connections_that_have_stalled_are_closed() {
    let node = start();
    let clients: Vec<_> = (0..MANY).map(|_| asking(&node, STREAMS)).collect();
    on_worker(&node, |w| {
        let real_us = w.now_us;
        w.now_us += 60 * SECOND_US;
        w.io.pool.endured = 0;
        w.relieve();
        w.now_us = real_us;
    });
    eventually("the worker holds less", || held(&node) <= 64 * MIB);
    let closed = ended(&node, "stalled-streams");
    assert!(closed > 0, "none was closed");
    assert!(closed < MANY / 2, "{closed} were closed");
    drop(clients);
}

#[test]
fn the_largest_of_those_that_have_stalled_are_closed_until_little_is_held() {
    let node = start();
    let streams = [[28; 4].as_slice(), &[30; 20]].concat();
    let clients = holding(&node, &streams);
    let stay = relieved(&node, 59 * MIB, vec![6; streams.len()]);
    assert_eq!(stay, [[true; 4].as_slice(), &[false; 20]].concat());
    assert_eq!(ended(&node, "stalled-streams"), 20);
    drop(clients);
}

#[test]
fn a_small_connection_that_was_slow_for_a_moment_stays() {
    let node = start();
    let clients = holding(&node, &[3, 1, 2]);
    assert_eq!(relieved(&node, 64 * MIB, vec![6, 4, 60]), [false, true, false]);
    assert_eq!(ended(&node, "stalled-streams"), 2);
    drop(clients);
}

#[test]
fn a_large_connection_that_was_slow_for_a_moment_is_closed_after_those_that_have_stalled() {
    let node = start();
    let streams = [[34].as_slice(), &[30; 20]].concat();
    let clients = holding(&node, &streams);
    let ages_s = [[4].as_slice(), &[6; 20]].concat();
    let stay = relieved(&node, 60 * MIB - 34 * BODY, ages_s);
    assert_eq!(stay, [[true].as_slice(), &[false; 20]].concat());
    drop(clients);
}

#[test]
fn a_large_connection_is_closed_although_it_was_slow_for_a_moment_only() {
    let node = start();
    let clients = holding(&node, &[1, 34]);
    assert_eq!(relieved(&node, 64 * MIB, vec![0, 0]), [true, false]);
    assert_eq!(ended(&node, "stalled-streams"), 1);
    drop(clients);
}

#[test]
fn no_connection_stays_when_twice_as_much_is_held() {
    let node = start();
    let clients = holding(&node, &[1, 2]);
    assert_eq!(relieved(&node, 128 * MIB, vec![0, 1]), [false, false]);
    assert_eq!(ended(&node, "stalled-streams"), 2);
    drop(clients);
}

#[test]
fn a_client_that_is_told_of_its_end_gets_a_goaway() {
    let node = start();
    let mut clients = holding(&node, &[1]);
    assert_eq!(relieved(&node, 64 * MIB, vec![6]), [false]);
    let mut client = clients.remove(0);
    client.until_closed();
    assert_eq!(client.away.map(|(_, code)| code), Some(hg_h2::Code::ENHANCE_YOUR_CALM));
}

#[test]
fn a_client_that_takes_some_of_its_answers_has_not_stalled() {
    let node = start();
    let mut clients = holding(&node, &[3]);
    let client = clients.get_mut(0).unwrap();
    let since = |node: &Node| {
        on_worker(node, |w| {
            let all = w.clients.iter().find_map(|(_, c)| c.http2.as_deref());
            all.map(|h| (h.held.taken, h.held.since_us)).unwrap()
        })
    };
    let (_, began_us) = since(&node);
    take(client, 1, 7_999);
    take(client, 3, 8_000);
    eventually("it has taken little", || since(&node).0 == 15_999);
    assert_eq!(since(&node).1, began_us, "15,999 bytes are too few");
    take(client, 5, 8_000);
    eventually("it has taken more", || since(&node).1 > began_us);
}

#[test]
fn a_client_that_leaves_one_byte_of_each_body_holds_the_memory_of_all() {
    let node = start();
    let mut clients = holding(&node, &[3]);
    let client = clients.get_mut(0).unwrap();
    for stream in [1, 3, 5] {
        take(client, stream, 7_999);
    }
    let left = |w: &mut Worker| w.exchanges.iter_mut().map(|e| e.stream.held.len()).sum::<usize>();
    eventually("one byte of each is left", || on_worker(&node, left) == 3);
    assert_eq!(held(&node), 3 * BODY);
    take(client, 3, 1);
    eventually("one is taken whole", || held(&node) == 2 * BODY);
}
