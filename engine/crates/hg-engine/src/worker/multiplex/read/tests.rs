//! Frames of an endpoint, when they are read and what they cost it.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::http2_peer::{self, Peer};
use crate::common::{DEADLINE, Upstream, eventually};
use crate::worker::multiplex::tests::{an_hour_later, silent, with_streams};
use crate::worker::tests::{await_bytes, move_on, on_worker};
use hg_h2::Code;
use std::sync::{Mutex, mpsc};

#[test]
fn a_connection_is_read_where_an_event_said_that_there_is_something() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let up = Upstream::play(move |s| {
        let mut peer = Peer::over(s);
        peer.next();
        wait.lock().unwrap().recv_timeout(DEADLINE).unwrap();
        peer.session.ping([0; 8]);
        while peer.read() {}
    });
    let node = http2_peer::on(&up);
    let _client = http2_peer::ask(&node, &http2_peer::get("/"));
    let is_asked = |w: &mut Worker| w.ups.iter().any(|(_, up)| up.http2.is_some());
    eventually("it is asked", || on_worker(&node, is_asked));
    node.barrier();
    on_worker(&node, move |w| {
        let ui = w.ups.iter().find(|(_, up)| up.http2.is_some()).map(|(ui, _)| ui).unwrap();
        let has_come = |w: &Worker| hg_net::is_readable_or_closed(&w.ups[ui].conn.fd);
        go.send(()).unwrap();
        await_bytes(&w.ups[ui].conn);
        w.ups[ui].conn.readable = false;
        w.enqueue_shared(ui);
        assert!(!w.shared_at(ui).unwrap().noted.queued);
        w.read_shared(ui);
        assert!(has_come(w), "it waits for the event");
        w.ups[ui].conn.readable = true;
        w.enqueue_shared(ui);
        assert!(w.shared_at(ui).unwrap().noted.queued && !w.agenda.is_empty());
        w.read_shared(ui);
        assert!(!has_come(w));
    });
}

#[test]
fn the_streams_that_an_endpoint_allows_are_known_for_its_next_connection() {
    let node = http2_peer::on(&silent(7));
    let _client = http2_peer::ask(&node, &http2_peer::get("/"));
    let known = |w: &mut Worker| {
        let pool = w.ups.iter().next().map(|(_, up)| up.pool);
        pool.and_then(|pool| w.pools.get(pool)?.streams)
    };
    eventually("it is greeted", || on_worker(&node, known) == Some(7));
}

/// The frames that an endpoint may send in ten seconds without a use.
const MANY: usize = 1000;

/// Has an endpoint send so many PINGs (RFC 9113 §6.7).
fn send_pings(w: &mut Worker, ui: usize, count: usize) {
    let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    let all = ping.repeat(count);
    w.on_shared_frames(ui, &all, 0..all.len());
}

#[test]
fn frames_of_no_use_count_for_ten_seconds_however_long_the_worker_has_run() {
    for (ms, stays) in [(0, false), (9_000, false), (11_000, true), (20_000, true)] {
        an_hour_later(move |w, ui| {
            let most = hg_h2::Limits::client().budgets.pings as usize;
            assert_eq!(most, MANY);
            send_pings(w, ui, most);
            assert!(w.ups.contains(ui));
            move_on(w, ms * 1_000);
            send_pings(w, ui, most);
            assert_eq!(w.ups.contains(ui), stays, "{ms}");
        });
    }
}

#[test]
fn a_stream_that_was_not_processed_is_asked_for_again_and_others_are_lost() {
    for (code, by, sent, refused) in [
        (Code::REFUSED_STREAM, By::Peer, 1, None),
        (Code::INTERNAL_ERROR, By::Peer, 0, Some("upstream-closed")),
        (Code::PROTOCOL_ERROR, By::Session(None), 0, Some("upstream-protocol")),
    ] {
        let (node, clients) = with_streams(1, move |w, ui, _| {
            w.shared_at(ui).unwrap().session.reset(1, Code::CANCEL);
            let event = Event::Reset { stream: 1, code, by };
            w.on_shared_frame(ui, event, &[], &Incoming::new());
        });
        let metrics = node.engine.metrics();
        let retries: u64 = metrics.retries.sent.iter().map(|r| r.count).sum();
        let rejects = metrics.rejects.iter().filter(|r| r.count > 0 && r.reason != "host-missing");
        let reasons: Vec<_> = rejects.map(|r| r.reason).collect();
        assert_eq!((retries, reasons), (sent, refused.into_iter().collect()), "{code:?}");
        drop(clients);
    }
}
