//! Answers on their way from a stream to a client.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::http2::Client;
use crate::common::{eventually, http2_peer, read_n};
use crate::worker::claim::Admission;
use crate::worker::multiplex::tests::with_streams;
use crate::worker::tests::on_worker;
use hg_h2::{Limits, Role, Session};
use std::io::Write;

#[test]
fn without_news_an_answer_makes_no_progress() {
    drop(with_streams(1, |w, _, all| {
        let x = all[0];
        let e = w.exchanges.get_mut(x).unwrap();
        (e.answered, e.stage, e.due.idle) = (true, Stage::Answering, 7);
        (e.response.reader, e.response.done) = (BodyReader::UntilClose, false);
        w.pump_answer(x);
        assert_eq!(w.exchanges.get(x).unwrap().due.idle, 7);
        w.exchanges.get_mut(x).unwrap().up_stream().came(b"x");
        w.pump_answer(x);
        assert_ne!(w.exchanges.get(x).unwrap().due.idle, 7);
    }));
}

#[test]
fn a_message_of_a_call_says_that_its_endpoint_is_well() {
    drop(with_streams(1, |w, ui, all| {
        for (is_grpc, bytes, end, says_so) in [
            (true, "x", false, true),
            (true, "", false, false),
            (true, "x", true, false),
            (false, "x", false, false),
        ] {
            let e = w.exchanges.get_mut(all[0]).unwrap();
            e.stream.is_grpc = is_grpc;
            e.claim.admission = Admission { permit: None, is_probe: true };
            w.on_up_data(ui, 1, bytes.as_bytes(), end);
            let e = w.exchanges.get_mut(all[0]).unwrap();
            assert_eq!(!e.claim.admission.is_probe, says_so, "{is_grpc} {bytes} {end}");
            e.claim.admission = Admission::default();
            e.up_stream().has_ended = false;
        }
    }));
}

#[test]
fn trailers_are_news_whether_a_body_waits_or_not() {
    for body in [&b""[..], b"x"] {
        drop(with_streams(1, move |w, ui, all| {
            let s = w.exchanges.get_mut(all[0]).unwrap().up_stream();
            s.head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
            s.came(body);
            w.on_up_trailers(ui, 1, &Incoming::new());
            let s = w.exchanges.get_mut(all[0]).unwrap().up_stream();
            assert!(s.has_ended && s.is_ready && !s.head.is_empty());
            (s.has_ended, s.is_ready) = (false, false);
            s.head.clear();
            s.incoming.clear();
            w.shared_at(ui).unwrap().ready.clear();
        }));
    }
}

#[test]
fn an_answer_is_ready_once_however_often_something_comes() {
    drop(with_streams(2, |w, ui, all| {
        for stream in [1, 3, 1] {
            w.on_up_data(ui, stream, b"x", false);
        }
        assert_eq!(w.shared_at(ui).unwrap().ready, [all[0], all[1]]);
    }));
}

/// Returns what waits for clients here, what their streams hold, and what of both is counted: with
/// the connections of clients, and for the worker.
fn counted(w: &mut Worker) -> (usize, usize, [usize; 2]) {
    let (mut waits, mut held) = (0, 0);
    for e in w.exchanges.iter_mut() {
        waits += e.link.stream.as_deref().map_or(0, UpStream::memory);
        held += e.stream.held.memory();
    }
    let clients = w.clients.iter().filter_map(|(_, c)| c.http2.as_deref());
    (waits, held, [clients.map(|h| h.held.bytes).sum(), w.io.pool.pending])
}

#[test]
fn what_waits_here_for_a_client_that_takes_nothing_is_counted_with_its_connection() {
    let node = http2_peer::on(&http2_peer::serving(|_| vec![b'x'; 200_000]));
    for takes in [true, false] {
        let mut client = Client::connect(&node);
        client.session =
            Session::new(Role::Client, Limits { stream_window: 0, ..Limits::client() });
        client.open("GET", "/", &[], true);
        client.flush();
        eventually("half a window waits", || on_worker(&node, |w| counted(w).0) >= 32 * 1024);
        let (waits, held, counted_as) = on_worker(&node, counted);
        assert_eq!(counted_as, [waits + held; 2]);
        if takes {
            // A WINDOW_UPDATE of its stream.
            client.stream.write_all(&[0, 0, 4, 8, 0, 0, 0, 0, 1, 0, 4, 0, 0]).unwrap();
            read_n(&mut client.stream, 200_000);
        } else {
            drop(client);
        }
        eventually("nothing is held", || on_worker(&node, counted) == (0, 0, [0, 0]));
    }
}
