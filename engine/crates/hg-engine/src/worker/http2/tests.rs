//! The first bytes of a connection, the order of its streams, and its times.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::http2::Client;
use crate::common::{Node, Upstream, eventually, put};
use crate::worker::exchange::Exchange;
use crate::worker::leave::Leaving;
use crate::worker::store::Store;
use crate::worker::tests::{NEVER, move_on, on_worker};
use hg_plan::Kind;

#[test]
fn the_preface_is_told_from_requests_by_its_first_byte_that_differs() {
    for n in 0..PREFACE.len() {
        let (begun, rest) = PREFACE.split_at(n);
        assert_eq!(Opening::of(begun), Opening::Undecided, "{n} bytes");
        let other = rest.first().map_or(0, |byte| byte.wrapping_add(1));
        assert_eq!(Opening::of(&[begun, &[other]].concat()), Opening::Http1, "{n} bytes");
    }
    assert_eq!(Opening::of(PREFACE), Opening::Http2);
    assert_eq!(Opening::of(&[&PREFACE[..], b"more"].concat()), Opening::Http2);
    assert_eq!(Opening::of(b"PRI / HTTP/1.1\r\n"), Opening::Http1);
}

#[test]
fn streams_come_in_the_order_in_which_they_were_opened() {
    let mut store = Store::<Exchange>::default();
    let all = [9, 1, 5, 3].map(|id| (id, store.open()));
    let mut sorted = all.to_vec();
    sorted.sort_by_key(|(id, _)| *id);
    let streams: HashMap<u32, ExId, foldhash::fast::RandomState> = all.into_iter().collect();
    assert_eq!(in_order(&streams), sorted);
}

const HOUR_US: u64 = 3_600_000_000;
fn serving() -> Node {
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let mut node = Node::simple(&Upstream::answering(ok));
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    node
}

fn session(w: &mut Worker, ci: usize) -> &mut Http2 {
    w.clients.get_mut(ci).unwrap().http2.as_deref_mut().unwrap()
}

/// Runs a function an hour later on a connection without a stream and without limits in time.
fn an_hour_later(run: impl FnOnce(&mut Worker, usize) + Send + 'static) {
    let node = serving();
    let mut client = Client::connect(&node);
    assert_eq!(client.get("/").status, 200);
    node.barrier();
    on_worker(&node, |w| {
        let ci = w.clients.iter().find(|(_, c)| c.http2.is_some()).map(|(ci, _)| ci).unwrap();
        move_on(w, HOUR_US);
        session(w, ci).times = NEVER;
        run(w, ci);
        w.tick();
    });
}

#[test]
fn more_is_collected_up_to_a_bound_and_twice_what_one_stream_may_have() {
    an_hour_later(|w, ci| {
        let h = session(w, ci);
        h.bounds.answers = 100;
        for (most, bound) in [(10, 100), (50, 100), (60, 120)] {
            for (bytes, expected) in [(0, true), (bound - 1, true), (bound, false)] {
                h.held.bytes = bytes;
                assert_eq!(h.may_collect(most), expected, "{most} {bytes}");
            }
        }
        h.held.bytes = 0;
    });
}

/// A PING (RFC 9113 §6.7).
const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

#[test]
fn silence_and_idleness_begin_when_they_do_however_long_the_worker_has_run() {
    an_hour_later(|w, ci| {
        let now_ms = w.now_us / 1000;
        let after = |ms: u64| Clock::after((now_ms + ms) * 1000, 0);
        let h = session(w, ci);
        (h.rest_at, h.times.keepalive_ms) = (0, 50_000);
        w.on_frames(ci, &PING, 0..PING.len());
        assert_eq!(w.clients[ci].deadline, after(50_000));
        let h = session(w, ci);
        (h.watch, h.times.idle_ms) = (Watch::new(now_ms), 20_000);
        w.rearm_http2(ci, false);
        assert_eq!(w.clients[ci].deadline, after(20_000));
    });
}

#[test]
fn memory_is_given_back_once_when_a_connection_has_had_no_stream_for_a_while() {
    an_hour_later(|w, ci| {
        let x = w.exchanges.open();
        session(w, ci).streams.insert(99, x);
        w.rearm_http2(ci, false);
        assert_eq!((session(w, ci).rest_at, w.clients[ci].deadline), (Ticks::MAX, Ticks::MAX));
        session(w, ci).streams.clear();
        drop(w.exchanges.take(x));
        w.rearm_http2(ci, false);
        let rest_at = deadline_after(w.now_us, REST_MS);
        for us in [0, 500_000] {
            move_on(w, us);
            w.rearm_http2(ci, false);
            assert_eq!((session(w, ci).rest_at, w.clients[ci].deadline), (rest_at, rest_at));
        }
        w.now = rest_at - 1;
        w.expire_http2(ci);
        assert_eq!(session(w, ci).rest_at, rest_at, "it is too early");
        w.now = rest_at;
        for _ in 0..2 {
            w.expire_http2(ci);
            assert_eq!((session(w, ci).rest_at, w.clients[ci].deadline), (0, Ticks::MAX));
            assert!(!session(w, ci).session.is_ending());
        }
    });
}

#[test]
fn in_a_drain_a_connection_ends_with_its_grace_unless_it_has_streams() {
    an_hour_later(|w, ci| {
        let x = w.exchanges.open();
        session(w, ci).streams.insert(99, x);
        w.leaving = Leaving::Closing { idle_until: w.now, deadline: Ticks::MAX };
        w.expire_http2(ci);
        assert!(!session(w, ci).session.is_ending());
        session(w, ci).streams.clear();
        drop(w.exchanges.take(x));
        w.leaving = Leaving::Closing { idle_until: w.now + 1, deadline: Ticks::MAX };
        w.expire_http2(ci);
        assert!(!session(w, ci).session.is_ending());
        w.leaving = Leaving::Closing { idle_until: w.now, deadline: Ticks::MAX };
        w.expire_http2(ci);
        w.leaving = Leaving::No;
        let is_open = |c: &super::super::client::Client| c.phase == Phase::Http2;
        assert!(!w.clients.get(ci).is_some_and(is_open));
    });
}

#[test]
fn a_connection_that_begins_late_ends_soon_and_has_the_same_time_to_greet() {
    for (is_pinned, leaves, is_ending) in
        [(false, false, false), (true, false, true), (false, true, true)]
    {
        let mut node = serving();
        let rest = r#","h2c":true,"http2":{"timeouts":{"settings_ms":1000}}"#;
        node.apply(&[put(Kind::Listener, "web", node.listener_json(rest))]);
        let _client = node.connect();
        eventually("it is accepted", || on_worker(&node, |w| w.clients.len()) == 1);
        on_worker(&node, move |w| {
            let ci = w.clients.iter().map(|(ci, _)| ci).next().unwrap();
            move_on(w, HOUR_US);
            if is_pinned {
                w.clients[ci].pinned = Some(w.held.clone());
            }
            if leaves {
                w.leaving = Leaving::Closing { idle_until: Ticks::MAX, deadline: Ticks::MAX };
            }
            w.start_http2(ci);
            w.leaving = Leaving::No;
            assert_eq!(session(w, ci).session.is_ending(), is_ending, "{is_pinned} {leaves}");
            let now_ms = w.now_us / 1000;
            assert_eq!(w.clients[ci].deadline, Clock::after((now_ms + 1_000) * 1000, 0));
            w.tick();
        });
    }
}

#[test]
fn frames_that_a_turn_has_handled_do_not_wait_for_the_next_one() {
    for (heads, handled) in [(2, 2), (3, 2)] {
        let node = serving();
        let mut client = Client::connect(&node);
        assert_eq!(client.get("/").status, 200);
        node.barrier();
        let ids: Vec<u32> = (0..heads).map(|_| client.open("GET", "/", &[], true)).collect();
        let bytes = client.session.output().to_vec();
        client.session.sent(bytes.len());
        on_worker(&node, move |w| {
            let ci = w.clients.iter().find(|(_, c)| c.http2.is_some()).map(|(ci, _)| ci).unwrap();
            // The time of this turn is over, and the clock is looked at after two requests.
            w.now_us = w.clock.micros() - 100;
            w.on_frames(ci, &bytes, 0..bytes.len());
            let h = session(w, ci);
            assert_eq!((h.streams.len(), h.has_frames), (handled, handled < heads));
            w.tick();
        });
        for id in ids {
            assert_eq!(client.answer(id).body, b"ok");
        }
    }
}
