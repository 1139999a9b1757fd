//! The connections that may be closed while clients do not take their answers.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::http2::Client;
use crate::common::{Node, Upstream, eventually, put};
use crate::worker::tests::on_worker;
use hg_plan::Kind;

#[test]
fn what_a_connection_holds_is_counted_there_and_for_the_worker() {
    let mut pool = BufferPool::default();
    let mut held = Holding { taken: 7, ..Holding::default() };
    held.note(&mut pool, (0, 10), 5);
    assert_eq!((held.bytes, held.taken, held.since_us, pool.pending), (10, 0, 5, 10));
    held.taken = 3;
    held.note(&mut pool, (2, 7), 9);
    assert_eq!((held.bytes, held.taken, held.since_us, pool.pending), (15, 3, 5, 15));
    pool.pending = 115;
    held.note(&mut pool, (15, 0), 9);
    assert_eq!((held.bytes, pool.pending), (0, 100), "others hold the rest");
    held.note(&mut pool, (0, 1), 11);
    assert_eq!((held.since_us, pool.pending), (11, 101), "it begins anew");
}

#[test]
fn a_client_that_takes_a_little_has_stalled_all_the_same() {
    let mut held = Holding { since_us: 100, ..Holding::default() };
    for (bytes, now_us, since_us) in
        [(PROGRESS - 1, 200, 100), (1, 300, 300), (PROGRESS - 1, 400, 300), (PROGRESS, 500, 500)]
    {
        held.note_taken(bytes, now_us);
        assert_eq!(held.since_us, since_us, "{bytes}");
    }
    assert!(!held.has_stalled(500 + STALLED_US - 1));
    assert!(held.has_stalled(500 + STALLED_US));
}

#[test]
fn those_that_have_stalled_go_first_and_of_them_those_that_hold_most() {
    let one = |has_stalled, bytes| Candidate { has_stalled, bytes, ci: 0, generation: 0 };
    for (candidate, bound) in [
        (one(true, 1), WORKER_HOLDS),
        (one(false, FAIR_SHARE + 1), WORKER_HOLDS),
        (one(false, FAIR_SHARE), WORKER_ENDURES),
        (one(false, 1), WORKER_ENDURES),
    ] {
        assert_eq!(candidate.bound(), bound, "{candidate:?}");
    }
    let mut all = [one(false, 9), one(true, 5), one(false, 2), one(true, 6)];
    all.sort_unstable();
    assert_eq!(all, [one(false, 2), one(false, 9), one(true, 5), one(true, 6)]);
}

/// Has three clients hold a little without taking any of it, much, and a little, and a fourth one
/// nothing, while the worker holds so much. Returns how many it closes, and what it endures until it looks again.
fn relieved(pending: usize) -> (usize, usize) {
    let mut node = Node::simple(&Upstream::answering(b""));
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    let mut clients: Vec<_> = (0..4).map(|_| Client::connect(&node)).collect();
    clients.iter_mut().for_each(Client::flush);
    let open = |w: &Worker| {
        w.clients.iter().filter(|(_, c)| c.http2.as_deref().is_some_and(|h| !h.is_lost())).count()
    };
    eventually("all speak HTTP/2", || on_worker(&node, move |w| open(w)) == 4);
    on_worker(&node, move |w| {
        let began_us = w.now_us;
        w.now_us += STALLED_US;
        let now_us = w.now_us;
        let mut held = [
            Holding { bytes: 1, taken: 0, since_us: began_us },
            Holding { bytes: FAIR_SHARE + 1, taken: 0, since_us: now_us },
            Holding { bytes: FAIR_SHARE, taken: 0, since_us: now_us },
            Holding::default(),
        ]
        .into_iter();
        for (_, c) in &mut w.clients {
            c.http2.as_deref_mut().unwrap().held = held.next().unwrap();
        }
        (w.io.pool.pending, w.io.pool.endured) = (pending, 0);
        w.relieve();
        let endured = std::mem::take(&mut w.io.pool.endured);
        (w.io.pool.pending, w.now_us) = (0, began_us);
        let closing = |c: &crate::worker::client::Client| {
            c.http2.as_deref().is_none_or(|h| h.session.is_ending())
        };
        (4 - w.clients.iter().filter(|(_, c)| !closing(c)).count(), endured)
    })
}

#[test]
fn the_more_a_worker_holds_the_more_connections_it_closes() {
    for (pending, closed, endured) in [
        (WORKER_HOLDS, 0, 0),
        (WORKER_HOLDS + 1, 2, WORKER_HOLDS + 1 + SLACK),
        (WORKER_ENDURES, 2, WORKER_ENDURES),
        (WORKER_ENDURES + 1, 3, WORKER_ENDURES),
    ] {
        assert_eq!(relieved(pending), (closed, endured), "{pending}");
    }
}
