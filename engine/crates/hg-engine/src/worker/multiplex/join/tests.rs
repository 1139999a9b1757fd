//! Requests that wait for a connection, and the protocol that they ask for.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::tls::own_answers;
use crate::common::{Node, Upstream, eventually, read_all, read_answer, upstream_json};
use crate::worker::multiplex::tests::{an_hour_later, with_streams};
use crate::worker::tests::on_worker;
use std::io::Write;
use std::net::TcpStream;

#[test]
fn a_request_waits_to_join_while_it_has_nothing_and_nobody_of_its_own() {
    type Change = fn(&mut Exchange, ExId);
    let changes: [Change; 7] = [
        |e, _| e.stage = Stage::Waiting,
        |e, _| e.up = Some(0),
        |e, _| e.attempts.push(0),
        |e, _| e.link.stream = None,
        |e, _| e.up_stream().id = 1,
        |e, _| e.up_stream().leads = true,
        |e, x| e.up_stream().follows = Some(x),
    ];
    let node = Node::simple(&Upstream::answering(b""));
    on_worker(&node, move |w| {
        for change in changes {
            let x = w.exchanges.open();
            let e = w.exchanges.get_mut(x).unwrap();
            (e.stage, e.link.stream) = (Stage::Connecting, Some(Box::default()));
            assert!(w.waits_to_join(x));
            change(w.exchanges.get_mut(x).unwrap(), x);
            assert!(!w.waits_to_join(x));
            drop(w.exchanges.take(x));
        }
    });
}

#[test]
fn a_websocket_goes_over_http1_where_the_endpoint_may_choose() {
    for (protocol, websocket, is_alone, expected) in [
        ("auto", false, false, Offer::Either),
        ("auto", true, true, Offer::Http1),
        ("h2", false, false, Offer::Http2),
        ("h2", true, false, Offer::Http2),
        ("http1", true, false, Offer::Http1),
    ] {
        let rest = format!(r#","tls":{{"verify":false}},"protocol":"{protocol}""#);
        let address = crate::common::unused_address();
        let node = Node::start(&upstream_json(&[address], &rest), "", 1);
        on_worker(&node, move |w| {
            let x = w.exchanges.open();
            let e = w.exchanges.get_mut(x).unwrap();
            (e.snapshot, e.upstream) = (Some(w.held.clone()), 0);
            e.upgrade = websocket.then(|| hg_proto::websocket::accept(b"key"));
            let offered = offer(e.entry().unwrap(), e);
            assert_eq!((w.needs_http1(x), offered), (is_alone, expected), "{protocol} {websocket}");
            drop(w.exchanges.take(x));
        });
    }
}

#[test]
fn the_choice_of_an_endpoint_is_counted_and_remembered_unless_it_had_none() {
    let http1 = r#","alpn":["http/1.1"]"#;
    let get = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let websocket = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    for (request, alpn, is_http1, counts) in [
        (get, "", false, (1, 0)),
        (get, http1, true, (0, 1)),
        (websocket, "", false, (0, 0)),
        (websocket, http1, false, (0, 0)),
    ] {
        let endpoint = own_answers(alpn);
        let rest = r#","tls":{"verify":false},"protocol":"auto""#;
        let node = Node::start(&upstream_json(&[endpoint.address], rest), "", 1);
        let mut s = node.connect();
        s.write_all(request.as_bytes()).unwrap();
        assert_eq!(read_answer(&mut s).1, b"own");
        let known = on_worker(&node, |w| {
            let pool = w.upstreams.get_mut(0).unwrap().endpoints[0].pool;
            w.pools.get(pool).unwrap().is_http1
        });
        let negotiated = node.engine.metrics().upstreams[0].endpoints[0].negotiated;
        assert_eq!((known, (negotiated.h2, negotiated.http1)), (is_http1, counts), "{alpn}");
    }
}

#[test]
fn a_connection_of_http1_is_used_again_where_the_endpoint_chose_that() {
    let endpoint = own_answers(r#","alpn":["http/1.1"]"#);
    let rest = r#","tls":{"verify":false},"protocol":"auto""#;
    let node = Node::start(&upstream_json(&[endpoint.address], rest), "", 1);
    let mut s = node.connect();
    for _ in 0..3 {
        s.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
        assert_eq!(read_answer(&mut s).1, b"own");
    }
    let known = &node.engine.metrics().upstreams[0].endpoints[0];
    assert_eq!((known.connects, known.reuses), (1, 2));
}

#[test]
fn a_connection_takes_requests_until_it_is_too_old() {
    const TICK_MS: u64 = Clock::TICK_MS;
    for (max_age_ms, age, is_found) in [
        (0, 1_000_000, true),
        (10 * TICK_MS, 9, true),
        (10 * TICK_MS, 10, false),
        (10 * TICK_MS, 1_000, false),
    ] {
        an_hour_later(move |w, ui| {
            let endpoint = w.upstreams.get_mut(0).unwrap().endpoints[0].clone();
            w.now += 1_000_000;
            w.ups[ui].opened = w.now - age;
            assert_eq!(w.with_room(&endpoint, max_age_ms), is_found.then_some(ui));
            let is_ending = w.shared_at(ui).unwrap().session.is_ending();
            assert_eq!(is_ending, !is_found, "{max_age_ms} {age}");
        });
    }
}

#[test]
fn what_an_endpoint_sent_with_the_end_of_its_handshake_is_read() {
    drop(with_streams(1, |w, ui, all| {
        let greeting = hg_h2::Session::new(hg_h2::Role::Server, Limits::server());
        for (input, is_greeted) in [(Vec::new(), false), (greeting.output().to_vec(), true)] {
            w.leave_stream(all[0], false);
            let pool = w.ups[ui].pool;
            w.pools.get(pool).unwrap().shared.clear();
            w.ups[ui].input = input;
            w.share(all[0], ui);
            assert_eq!(w.shared_at(ui).unwrap().is_greeted(), is_greeted);
        }
    }));
}

#[test]
fn the_times_and_limits_of_a_connection_are_those_of_its_upstream() {
    let rest = r#","connect_timeout_ms":1234,"pool":{"idle_timeout_ms":5678},"head_bytes":20000"#;
    let node = Node::start(&upstream_json(&[crate::common::unused_address()], rest), "", 1);
    on_worker(&node, |w| {
        let entry = w.upstreams.get_mut(0).unwrap().entry.clone();
        let own = (times(&entry).greeting_ms, times(&entry).idle_ms, times(&entry).write_ms);
        assert_eq!(own, (1234, 5678, 0));
        let Limits { block_bytes, head, .. } = limits(&entry);
        assert_eq!((block_bytes, head.bytes), (20_000, 20_000));
        assert_eq!(head.fields, entry.limits.header_count);
    });
}

#[test]
fn a_connection_that_was_waited_for_is_used_if_it_is_the_same_and_has_room() {
    drop(with_streams(1, |w, ui, all| {
        let x = all[0];
        let generation = w.ups[ui].generation;
        for (its, probed_until, expected) in [
            (generation, Ticks::MAX, Some(ui)),
            (generation + 1, Ticks::MAX, None),
            (generation, 5, None),
        ] {
            w.shared_at(ui).unwrap().probed_until = probed_until;
            w.exchanges.get_mut(x).unwrap().up_stream().awaited = Some((ui, its));
            assert_eq!(w.greeted(x), expected);
            assert_eq!(w.greeted(x), None, "once");
        }
        w.shared_at(ui).unwrap().probed_until = Ticks::MAX;
    }));
}

/// Has so many clients ask for a connection over HTTP/2 that never comes about: the first opens it, and
/// the others follow.
fn with_followers(
    count: usize,
    run: impl FnOnce(&mut Worker, ExId, &[ExId]) + Send + 'static,
) -> (Node, Vec<TcpStream>) {
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let rest = r#","tls":{"verify":false},"protocol":"h2""#;
    let node = Node::start(&upstream_json(&[up.address], rest), "", 1);
    let mut clients = Vec::new();
    for n in 0..=count {
        let mut s = node.connect();
        s.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
        clients.push(s);
        let follow = |w: &mut Worker| {
            let leads = w.exchanges.ids(|e| e.link.stream.as_ref().is_some_and(|s| s.leads));
            (leads.len(), followers(w).len())
        };
        eventually("it waits", || on_worker(&node, follow) == (1, n));
    }
    on_worker(&node, |w| {
        let leads = w.exchanges.ids(|e| e.link.stream.as_ref().is_some_and(|s| s.leads));
        let followers = followers(w);
        run(w, leads[0], &followers);
    });
    (node, clients)
}

fn followers(w: &Worker) -> Vec<ExId> {
    w.exchanges.ids(|e| e.link.stream.as_ref().is_some_and(|s| s.follows.is_some()))
}

fn leader(w: &mut Worker, x: ExId) -> Option<ExId> {
    let pool = w.exchanges.get(x).unwrap().endpoint.as_ref().unwrap().pool;
    w.pools.get(pool).unwrap().leader
}

/// Returns how many requests were refused because nobody took the connection.
fn refused(node: &Node) -> u64 {
    let rejects = node.engine.metrics().rejects;
    rejects.iter().find(|r| r.reason == "connect-refused").map_or(0, |r| r.count)
}

#[test]
fn those_who_follow_fail_with_their_leader_unless_they_have_left_it() {
    let (node, clients) = with_followers(3, |w, first, all| {
        assert_eq!(leader(w, first), Some(first));
        w.exchanges.get_mut(all[0]).unwrap().up_stream().follows = None;
        w.fail_followers(first, &own::CONNECT_REFUSED);
        assert_eq!(leader(w, first), None, "nobody follows it any more");
        assert!(!w.exchanges.get_mut(first).unwrap().up_stream().leads);
    });
    assert_eq!(refused(&node), 2);
    drop(clients);
}

#[test]
fn a_leader_that_goes_leaves_the_place_of_another_alone() {
    drop(with_followers(1, |w, first, all| {
        let pool = w.exchanges.get(first).unwrap().endpoint.as_ref().unwrap().pool;
        w.pools.get(pool).unwrap().leader = Some(all[0]);
        w.end_lead(first);
        assert_eq!(leader(w, first), Some(all[0]));
        w.pools.get(pool).unwrap().leader = None;
    }));
}

#[test]
fn no_more_requests_follow_a_leader_than_its_connection_has_streams_at_first() {
    for (before, leads, follows) in [
        (FIRST_STREAMS - 1, true, true),
        (FIRST_STREAMS, true, false),
        (FIRST_STREAMS + 1, true, false),
        (0, false, false),
    ] {
        drop(with_followers(1, move |w, first, all| {
            let x = all[0];
            w.exchanges.get_mut(x).unwrap().up_stream().follows = None;
            let s = w.exchanges.get_mut(first).unwrap().up_stream();
            (s.followers, s.leads) = (vec![x; before], leads);
            w.join(x);
            let expected = if follows { (Some(first), Some(first)) } else { (None, Some(x)) };
            let its_own = w.exchanges.get_mut(x).unwrap().up_stream().follows;
            assert_eq!((its_own, leader(w, x)), expected, "{before} {leads}");
        }));
    }
}

#[test]
fn a_request_that_waited_looks_again_and_no_other_does() {
    drop(with_followers(1, |w, first, all| {
        for (stage, follows) in [(Stage::Backoff, None), (Stage::Connecting, Some(first))] {
            let e = w.exchanges.get_mut(all[0]).unwrap();
            (e.stage, e.up_stream().follows) = (stage, None);
            w.join_again(all[0]);
            assert_eq!(w.exchanges.get_mut(all[0]).unwrap().up_stream().follows, follows);
        }
    }));
}

#[test]
fn nobody_follows_where_the_endpoint_chose_http1() {
    drop(with_followers(1, |w, first, all| {
        let pool = w.exchanges.get(first).unwrap().endpoint.as_ref().unwrap().pool;
        w.pools.get(pool).unwrap().is_http1 = true;
        let connections = w.ups.len();
        w.exchanges.get_mut(all[0]).unwrap().up_stream().follows = None;
        w.join(all[0]);
        let s = w.exchanges.get_mut(all[0]).unwrap().up_stream();
        assert_eq!((s.follows, s.leads, w.ups.len()), (None, false, connections + 1));
    }));
}
