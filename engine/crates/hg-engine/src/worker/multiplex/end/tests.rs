//! The ends of streams and connections to endpoints, and what becomes of the requests on them.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::http2::Client;
use crate::common::http2_peer::{self, Peer};
use crate::common::{DEADLINE, Upstream, eventually, read_answer};
use crate::worker::exchange::Exchange;
use crate::worker::multiplex::Shared;
use crate::worker::multiplex::tests::{an_hour_later, with_streams};
use crate::worker::tests::{NEVER, move_on, on_worker};
use hg_h2::Watch;
use hg_proto::Method;
use std::sync::{Mutex, mpsc};

/// Returns the connections of a connection's pool.
fn shared(w: &mut Worker, ui: usize) -> Vec<usize> {
    let pool = w.ups.get(ui).unwrap().pool;
    w.pools.get(pool).unwrap().shared.clone()
}

/// A connection that no worker has.
const OTHER: usize = 77_777;

/// Has an end leave another connection of the pool where it is, and take this one out.
fn leaves_the_other(end: impl FnOnce(&mut Worker, usize) + Send + 'static) {
    drop(with_streams(1, |w, ui, _| {
        let pool = w.ups.get(ui).unwrap().pool;
        w.pools.get(pool).unwrap().shared.push(OTHER);
        end(w, ui);
        let shared = &mut w.pools.get(pool).unwrap().shared;
        let there = [ui, OTHER].map(|one| shared.contains(&one));
        shared.retain(|one| *one != OTHER);
        assert_eq!(there, [false, true]);
    }));
}

#[test]
fn a_connection_that_ends_leaves_its_pool_to_others() {
    leaves_the_other(|w, ui| w.retire_shared(ui));
    leaves_the_other(|w, ui| w.on_up_away(ui, 1));
    leaves_the_other(|w, ui| w.lose_shared(ui, Loss::Protocol, "a test"));
}

#[test]
fn streams_above_the_last_of_a_goaway_leave_and_others_stay() {
    drop(with_streams(3, |w, ui, all| {
        w.on_up_away(ui, 3);
        let h = w.shared_at(ui).unwrap();
        assert_eq!(in_order(&h.streams), [(1, all[0]), (3, all[1])]);
    }));
}

#[test]
fn a_connection_without_streams_stays_while_its_pool_has_room() {
    for (most_idle, stays) in [(0, false), (1, true), (2, true)] {
        drop(with_streams(1, move |w, ui, all| {
            w.shared_at(ui).unwrap().most_idle = most_idle;
            w.leave_stream(all[0], false);
            let h = w.shared_at(ui).unwrap();
            assert_eq!((h.noted.idle, h.session.is_ending()), (stays, !stays), "{most_idle}");
            assert_eq!(shared(w, ui).contains(&ui), stays, "{most_idle}");
        }));
    }
}

#[test]
fn an_endpoint_in_doubt_is_asked_once_and_has_its_time_to_answer() {
    drop(with_streams(3, |w, ui, all| {
        w.leave_stream(all[0], false);
        assert_eq!(w.shared_at(ui).unwrap().probed_until, Ticks::MAX);
        let until = deadline_after(w.now_us, PROBE_MS);
        for x in [all[1], all[2]] {
            w.leave_stream(x, true);
            assert_eq!(w.shared_at(ui).unwrap().probed_until, until);
            move_on(w, 1_000_000);
        }
        w.shared_at(ui).unwrap().times = NEVER;
        w.now = until - 1;
        w.expire_shared(ui);
        assert!(w.ups.contains(ui));
        w.now = until;
        w.expire_shared(ui);
        assert!(!w.ups.contains(ui));
    }));
}

#[test]
fn an_endpoint_that_takes_nothing_has_its_time() {
    an_hour_later(|w, ui| {
        let h = w.shared_at(ui).unwrap();
        h.stalled_at = Ticks::MAX;
        w.note_taken(ui);
        let due = deadline_after(w.now_us, super::super::STALLED_MS);
        assert_eq!((w.shared_at(ui).unwrap().stalled_at, w.ups[ui].deadline), (due, due));
        w.now = due - 1;
        w.expire_shared(ui);
        assert!(w.ups.contains(ui));
        w.now = due;
        w.expire_shared(ui);
        assert!(!w.ups.contains(ui));
    });
}

#[test]
fn a_connection_is_idle_from_when_it_is_however_long_the_worker_has_run() {
    an_hour_later(|w, ui| {
        let now_ms = w.now_us / 1000;
        let h = w.shared_at(ui).unwrap();
        (h.watch, h.times.idle_ms) = (Watch::new(now_ms), 20_000);
        w.rearm_shared(ui, false);
        assert_eq!(w.ups[ui].deadline, Clock::after((now_ms + 20_000) * 1000, 0));
        // The clock of ticks stands: it concerns other limits.
        for (ms, is_ending) in [(19_999, false), (20_000, true)] {
            w.now_us = (now_ms + ms) * 1000;
            w.expire_shared(ui);
            assert_eq!(w.shared_at(ui).unwrap().session.is_ending(), is_ending, "{ms}");
        }
    });
}

#[test]
fn small_parts_have_their_turns_when_they_are_due() {
    an_hour_later(|w, ui| {
        let (x, now_us) = (w.exchanges.open(), w.now_us / 1000 * 1000);
        let h = w.shared_at(ui).unwrap();
        let ids: Vec<u32> = (101..121).collect();
        while h.pace.may_send(101, now_us / 1000) {}
        for id in &ids {
            assert!(!h.pace.may_send(*id, now_us / 1000));
            h.streams.insert(*id, x);
        }
        for (ms, left) in [(124, 20), (125, 4), (249, 4), (250, 0)] {
            w.now_us = now_us + ms * 1000;
            w.expire_shared(ui);
            let h = w.shared_at(ui).unwrap();
            assert_eq!(ids.iter().filter(|id| h.pace.is_waiting(**id)).count(), left, "{ms}");
        }
        w.shared_at(ui).unwrap().streams.clear();
        drop(w.exchanges.take(x));
    });
}

/// Has a request leave its stream, whose answer has ended or not, after a change; reports whether the
/// endpoint is told.
fn is_cancelled(has_ended: bool, change: fn(&mut Exchange)) -> bool {
    let (tell, told) = std::sync::mpsc::channel();
    drop(with_streams(2, move |w, ui, all| {
        let e = w.exchanges.get_mut(all[0]).unwrap();
        (e.request.done, e.up_stream().has_ended) = (true, has_ended);
        change(e);
        let before = w.shared_at(ui).unwrap().session.output().len();
        w.leave_stream(all[0], false);
        let h = w.shared_at(ui).unwrap();
        // RST_STREAM (RFC 9113 §6.4).
        tell.send(h.session.output().len() == before + 13).unwrap();
        h.session.reset(1, Code::CANCEL);
    }));
    told.recv().unwrap()
}

#[test]
fn a_stream_that_still_runs_in_either_direction_is_cancelled() {
    assert!(is_cancelled(false, |_| ()));
    assert!(!is_cancelled(true, |_| ()));
    for runs in [
        (|e| e.request.done = false) as fn(&mut Exchange),
        |e| e.up_stream().held.hold(b"x"),
        |e| (e.upgrade, e.status) = (Some([0; 28]), 200),
    ] {
        assert!(is_cancelled(true, runs));
    }
    assert!(!is_cancelled(true, |e| (e.upgrade, e.status) = (Some([0; 28]), 101)));
}

/// Loses the connection of a request that was changed before; returns whether the request is sent
/// again, by the reason of that, and the reason for which it is refused if it is.
fn lost(loss: Loss, change: fn(&mut Exchange)) -> (Vec<&'static str>, Vec<&'static str>) {
    let (node, clients) = with_streams(1, move |w, ui, all| {
        let e = w.exchanges.get_mut(all[0]).unwrap();
        (e.on_reused, e.times.first_byte_us) = (true, 0);
        change(e);
        w.lose_shared(ui, loss, "a test");
    });
    let reasons = |all: &[crate::report::ReasonCount]| {
        all.iter().filter(|one| one.count > 0).map(|one| one.reason).collect::<Vec<_>>()
    };
    let metrics = node.engine.metrics();
    drop(clients);
    let rejects = reasons(&metrics.rejects).into_iter().filter(|r| *r != "host-missing").collect();
    (reasons(&metrics.retries.sent), rejects)
}

#[test]
fn a_request_is_sent_again_where_its_connection_had_ended_before() {
    type Change = fn(&mut Exchange);
    let again = (vec!["stale_connection"], vec![]);
    assert_eq!(lost(Loss::Broken, |_| ()), again);
    let changes: [Change; 5] = [
        |e| e.on_reused = false,
        |e| e.times.first_byte_us = 1,
        |e| e.tries.stale = true,
        |e| e.method = Method::Post,
        |e| e.replayable = false,
    ];
    for (at, change) in changes.into_iter().enumerate() {
        assert_eq!(lost(Loss::Broken, change), (vec![], vec!["upstream-closed"]), "{at}");
    }
    assert_eq!(lost(Loss::Reset, |_| ()), (vec![], vec!["upstream-closed"]));
    assert_eq!(lost(Loss::Protocol, |_| ()), (vec![], vec!["upstream-protocol"]));
}

#[test]
fn a_request_that_is_sent_again_has_its_time_to_connect() {
    for loss in [Loss::Broken, Loss::Unprocessed] {
        drop(with_streams(1, move |w, ui, all| {
            let (now, x) = (w.now, all[0]);
            let e = w.exchanges.get_mut(x).unwrap();
            (e.on_reused, e.times.first_byte_us) = (true, 0);
            (e.due.connect, e.due.endpoint) = (now, now);
            let connect_ms = e.entry().unwrap().plan.connect_timeout_ms;
            w.lose_shared(ui, loss, "a test");
            let due = deadline_after(w.now_us, connect_ms);
            let e = w.exchanges.get(x).unwrap();
            assert_eq!((e.stage, e.due.connect, e.due.endpoint), (Stage::Connecting, due, due));
        }));
    }
}

#[test]
fn a_request_that_was_not_processed_is_sent_again_a_few_times() {
    for loss in [Loss::Unprocessed, Loss::Refused] {
        let again = (vec!["refused_stream"], vec![]);
        for change in
            [(|e| (e.on_reused, e.method) = (false, Method::Post)) as fn(&mut Exchange), |e| {
                e.up_stream().refused = MOST_REFUSED - 1
            }]
        {
            assert_eq!(lost(loss, change), again, "{loss:?}");
        }
        for change in [(|e| e.replayable = false) as fn(&mut Exchange), |e| {
            e.up_stream().refused = MOST_REFUSED
        }] {
            assert_eq!(lost(loss, change), (vec![], vec!["upstream-refused"]), "{loss:?}");
        }
    }
}

#[test]
fn an_answer_that_has_begun_breaks_off_with_its_stream() {
    for change in [(|e| e.answered = true) as fn(&mut Exchange), |e| e.stage = Stage::Answering] {
        let cut = (vec![], vec!["response-truncated"]);
        assert_eq!(lost(Loss::Broken, change), cut);
    }
}

#[test]
fn answers_to_requests_that_were_given_up_cost_no_other_one() {
    let (tell, told) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let both = Mutex::new((tell, wait));
    let up = Upstream::play(move |s| {
        let mut peer = Peer::over(s);
        let ids: Vec<u32> = (0..101).filter_map(|_| peer.next()).collect();
        let both = both.lock().unwrap();
        both.0.send(()).unwrap();
        both.1.recv_timeout(DEADLINE).unwrap();
        // It has not read of any of them that nobody waits for its answer; the first comes last.
        for id in ids.into_iter().rev() {
            peer.answer(id, b"ok");
        }
        while peer.read() {}
    });
    let node = http2_peer::on(&up);
    let running = || node.engine.metrics().http2.upstream_streams.active;
    let mut one = http2_peer::ask(&node, &http2_peer::get("/"));
    // One more than it takes before its endpoint has said that it takes more.
    let is_greeted = |w: &mut Worker| {
        let mut all = w.ups.iter().filter_map(|(_, up)| up.http2.as_deref());
        all.next().is_some_and(Shared::is_greeted)
    };
    eventually("the first is under way", || running() == 1 && on_worker(&node, is_greeted));
    let mut others = Client::connect(&node);
    for _ in 0..100 {
        others.open("GET", "/", &[], true);
    }
    others.flush();
    told.recv_timeout(DEADLINE).unwrap();
    drop(others);
    eventually("the others were given up", || running() == 1);
    go.send(()).unwrap();
    assert_eq!(read_answer(&mut one).1, b"ok");
    assert_eq!(up.connections(), 1);
}
