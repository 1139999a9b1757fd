//! Answers on their way from a stream to a client.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::worker::claim::Admission;
use crate::worker::multiplex::tests::with_streams;

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
