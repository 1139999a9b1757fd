//! Sessions as a worker keeps them: what an endpoint has accepted, what counts as silence, and how
//! those end that were told why.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::acceptance::Acceptance;
use super::halves::Side;
use super::*;
use crate::common::tls::{ending, server_config};
use crate::common::{DEADLINE, Node, Upstream, eventually, read_all, read_n};
use crate::worker::finish::LINGER_BYTES;
use crate::worker::tests::sessions::{
    closed, echo, ending_tls, node, open, pass_sessions, sessions,
};
use crate::worker::tests::times::deaf;
use crate::worker::tests::{move_on, on_worker};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConnection, StreamOwned, SupportedProtocolVersion};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, mpsc};

const TLS: &str = r#","tls":{"verify":false},"connect_timeout_ms":60000"#;
const PATIENT: &str = r#","timeouts":{"idle_ms":600000}"#;

/// Starts an endpoint of TLS that sends these bytes with the end of its handshake, then sends back
/// what comes.
fn secure(version: &'static SupportedProtocolVersion, first: &'static [u8]) -> Upstream {
    let mut config = server_config(version);
    config.send_half_rtt_data = true;
    let config = Arc::new(config);
    Upstream::play(move |s| {
        let mut tls = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), s);
        tls.conn.writer().write_all(first).unwrap();
        let mut some = [0; 4096];
        while let Ok(n @ 1..) = tls.read(&mut some) {
            if tls.write_all(&some[..n]).is_err() {
                return;
            }
        }
    })
}

/// Runs a function on a node's only session.
fn on_session<T: Send + 'static>(
    node: &Node,
    run: impl FnOnce(&mut Worker, SessionId) -> T + Send + 'static,
) -> T {
    on_worker(node, move |w| {
        let (index, s) = w.tcp.sessions.iter().next().unwrap();
        let id = SessionId { index, generation: s.generation };
        run(w, id)
    })
}

/// Waits until a node's only session is at its endpoint.
fn is_relaying(node: &Node) {
    eventually("the session is at its endpoint", || {
        on_worker(node, |w| {
            let relays = |s: &Session| matches!(s.phase, Phase::Relaying(_));
            w.tcp.sessions.len() == 1 && w.tcp.sessions.iter().all(|(_, s)| relays(s))
        })
    });
}

fn acceptance(node: &Node) -> Acceptance {
    on_session(node, |w, id| w.tcp.get(id).unwrap().target.acceptance)
}

fn is_open(node: &Node) -> bool {
    matches!(acceptance(node), Acceptance::Open(_))
}

#[test]
fn over_tls_1_3_an_endpoint_has_accepted_once_it_speaks_or_was_silent_for_long_enough() {
    let up = secure(&TLS13, b"");
    let node = node(&[up.address], TLS, PATIENT);
    for speaks in [true, false] {
        let mut s = node.connect();
        is_relaying(&node);
        assert!(is_open(&node), "{speaks}");
        if speaks {
            s.write_all(b"x").unwrap();
            assert_eq!(read_n(&mut s, 1), b"x");
        } else {
            pass_sessions(&node, 40_000);
            assert!(is_open(&node));
            pass_sessions(&node, 60_050);
        }
        eventually("it is known", || acceptance(&node) == Acceptance::Told);
        assert_eq!(sessions(&node), 1, "silence is no reason to end");
        drop(s);
        eventually("the session is over", || sessions(&node) == 0);
    }
}

#[test]
fn in_the_clear_and_over_tls_1_2_an_endpoint_has_accepted_at_once() {
    let (plain, secure) = (echo(), secure(&TLS12, b""));
    for (up, keys) in [(&plain, ""), (&secure, TLS)] {
        let node = node(&[up.address], keys, PATIENT);
        let _s = node.connect();
        is_relaying(&node);
        assert_eq!(acceptance(&node), Acceptance::Told, "{keys}");
    }
}

#[test]
fn an_endpoint_that_fails_has_refused_unless_it_has_said_something() {
    let up = echo();
    let node = node(&[up.address], "", PATIENT);
    let _s = node.connect();
    is_relaying(&node);
    let failures = on_session(&node, |w, id| {
        let open = Acceptance::Open(Ticks::MAX - 1);
        [(open, 0), (Acceptance::Told, 0), (open, 1), (open, 0)].map(|(before, bytes)| {
            let s = w.tcp.get_mut(id).unwrap();
            s.target.acceptance = before;
            s.halves.of(Side::Endpoint).bytes = bytes;
            w.note_refused(id, "refused");
            let s = w.tcp.get_mut(id).unwrap();
            s.halves.of(Side::Endpoint).bytes = 0;
            assert_eq!(s.target.acceptance, Acceptance::Told);
            s.target.endpoint.as_ref().unwrap().counters.connect_failures.get()
        })
    });
    assert_eq!(failures, [1, 1, 1, 2]);
}

#[test]
fn what_an_endpoint_sends_with_its_handshake_comes_first() {
    for version in [&TLS12, &TLS13] {
        let up = secure(version, b"first");
        let node = node(&[up.address], TLS, PATIENT);
        let mut s = node.connect();
        assert_eq!(read_n(&mut s, 5), b"first");
        s.write_all(b"then").unwrap();
        assert_eq!(read_n(&mut s, 4), b"then");
        let bytes = on_session(&node, |w, id| w.tcp.get(id).unwrap().halves.bytes());
        assert_eq!(bytes, (4, 9));
        eventually("all is counted", || {
            let metrics = node.engine.metrics();
            (metrics.bytes_received, metrics.bytes_sent) == (4, 9)
        });
    }
}

fn event(token: Token, is_over: bool) -> Event {
    let (readable, writable) = (true, true);
    Event { token, readable, writable, read_closed: is_over, closed: is_over }
}

#[test]
fn bytes_that_pass_are_what_a_session_is_active_by() {
    let up = echo();
    let node = node(&[up.address], "", PATIENT);
    let mut s = node.connect();
    is_relaying(&node);
    let active_at = on_session(&node, |w, id| {
        w.tcp.get_mut(id).unwrap().times.active_at = 1;
        w.on_session_event(event(Token::new(KIND_SESSION, id.generation, id.index), false));
        w.arm_session(id);
        w.tcp.get(id).unwrap().times.active_at
    });
    assert_eq!(active_at, 1, "nothing came");
    s.write_all(b"x").unwrap();
    assert_eq!(read_n(&mut s, 1), b"x");
    assert!(on_session(&node, |w, id| w.tcp.get(id).unwrap().times.active_at) > 1);
}

#[test]
fn an_event_of_an_earlier_connection_to_an_endpoint_is_none_of_this_one() {
    let up = echo();
    let node = node(&[up.address], "", PATIENT);
    let _s = node.connect();
    is_relaying(&node);
    let is_closed = on_session(&node, |w, id| {
        let stale = w.tcp.get(id).unwrap().up_generation ^ 1;
        w.on_session_up_event(event(Token::new(KIND_SESSION_UP, stale, id.index), true));
        let s = w.tcp.get(id).unwrap();
        matches!(&s.phase, Phase::Relaying(up) if up.read_closed)
    });
    assert!(!is_closed);
}

#[test]
fn how_long_a_connection_took_is_known_once_there_is_one() {
    let (listener, _waiting) = deaf();
    let without = node(&[listener.local_addr().unwrap()], "", PATIENT);
    let _waits = without.connect();
    eventually("it is connecting", || sessions(&without) == 1);
    let took = |w: &mut Worker, id| {
        let s = w.tcp.get(id).unwrap();
        (Worker::connect_us(s), w.now_us - s.times.began_us)
    };
    assert_eq!(on_session(&without, took).0, None);
    let up = echo();
    let with = node(&[up.address], "", PATIENT);
    let _s = with.connect();
    is_relaying(&with);
    let (took_us, age_us) = on_session(&with, took);
    assert!(took_us.is_some_and(|us| us <= age_us), "{took_us:?} {age_us}");
}

#[test]
fn a_client_that_was_told_why_by_an_alert_may_finish() {
    let up = echo();
    let (node, _authority) = ending_tls(&up);
    let mut s = node.connect();
    // A ClientHello that announces 16 MiB.
    s.write_all(&[22, 3, 1, 0, 4, 1, 255, 255, 255]).unwrap();
    assert_eq!(read_n(&mut s, 1), [21]);
    eventually("it is counted", || closed(&node, "hello-too-long") == 1);
    assert_eq!(up.connections(), 0);
    let left = |node: &Node| {
        on_session(node, |w, id| match w.tcp.get(id).unwrap().phase {
            Phase::Told { left, .. } => left,
            _ => 0,
        })
    };
    assert_eq!(left(&node), LINGER_BYTES as usize);
    for n in 1..=3 {
        s.write_all(b"more").unwrap();
        eventually("it is discarded", || left(&node) == LINGER_BYTES as usize - 4 * n);
    }
    drop(s);
    eventually("the session is over", || sessions(&node) == 0);
    assert_eq!(closed(&node, "hello-too-long"), 1);
    assert_eq!(closed(&node, "client-end"), 0, "it was counted before");
}

#[test]
fn what_waits_for_a_client_without_a_route_goes_out_as_it_takes_it() {
    let (node, _authority) = ending_tls(&echo());
    let mut s = node.connect();
    s.write_all(&[22, 3, 1]).unwrap();
    eventually("it has begun", || sessions(&node) == 1);
    let is_empty = on_session(&node, |w, id| {
        let s = w.tcp.sessions.get_mut(id.index).unwrap();
        s.client.out.push(b"late", &mut w.io.pool);
        w.on_session_event(event(Token::new(KIND_SESSION, id.generation, id.index), false));
        w.tcp.get(id).unwrap().client.out.is_empty()
    });
    assert!(is_empty);
    assert_eq!(read_n(&mut s, 4), b"late");
}

#[test]
fn a_client_that_ends_with_its_handshake_has_ended_its_half() {
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let (node, authority) = ending_tls(&up);
    let mut s = authority.connect(&node);
    s.sock.set_nodelay(true).unwrap();
    while s.conn.is_handshaking() {
        if s.conn.wants_write() {
            s.conn.write_tls(&mut s.sock).unwrap();
        } else {
            s.conn.read_tls(&mut s.sock).unwrap();
            s.conn.process_new_packets().unwrap();
        }
    }
    // The last message of the handshake, and the end, in one piece.
    s.conn.send_close_notify();
    let mut last = Vec::new();
    while s.conn.wants_write() {
        s.conn.write_tls(&mut last).unwrap();
    }
    s.sock.write_all(&last).unwrap();
    eventually("both halves have ended", || closed(&node, "client-end") == 1);
    assert_eq!((up.connections(), closed(&node, "tls-handshake")), (1, 0));
}

#[test]
fn what_waits_for_either_side_is_forgotten_with_its_session() {
    let up = echo();
    let node = node(&[up.address], "", PATIENT);
    let _s = node.connect();
    is_relaying(&node);
    let kept = on_session(&node, |w, id| {
        let s = w.tcp.sessions.get_mut(id.index).unwrap();
        s.client.out.push(&[7; 100], &mut w.io.pool);
        if let Phase::Relaying(up) = &mut s.phase {
            up.out.push(&[7; 100], &mut w.io.pool);
        }
        let before = w.io.pool.kept;
        w.close_session(id, Close::Idle);
        [before, w.io.pool.kept]
    });
    assert_eq!(kept, [200, 0]);
}

#[test]
fn the_last_words_of_a_client_over_tls_arrive_with_its_end() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let up = Upstream::play(move |mut s| {
        s.write_all(b"x").unwrap();
        let all = read_all(&mut s);
        tell.lock().unwrap().send(all).unwrap();
    });
    let (node, authority) = ending_tls(&up);
    let mut s = authority.connect(&node);
    assert_eq!(read_n(&mut s, 1), b"x");
    s.conn.writer().write_all(b"last words").unwrap();
    s.conn.send_close_notify();
    let mut last = Vec::new();
    while s.conn.wants_write() {
        s.conn.write_tls(&mut last).unwrap();
    }
    s.sock.write_all(&last).unwrap();
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), b"last words");
    eventually("both halves have ended", || closed(&node, "client-end") == 1);
}

#[test]
fn the_end_of_an_endpoint_reaches_a_client_over_tls_as_one_of_tls() {
    let up = Upstream::play(|mut s| s.write_all(b"bye").unwrap());
    let (node, authority) = ending_tls(&up);
    let mut s = authority.connect(&node);
    let mut all = Vec::new();
    // Without close_notify this is an error.
    assert_eq!(s.read_to_end(&mut all).unwrap(), 3);
    s.conn.send_close_notify();
    s.flush().unwrap();
    eventually("both halves have ended", || closed(&node, "endpoint-end") == 1);
}

#[test]
fn an_end_without_the_word_of_tls_is_cut_off() {
    let up = Upstream::play(|mut s| {
        s.write_all(b"x").unwrap();
        drop(read_all(&mut s));
    });
    let (node, authority) = ending_tls(&up);
    let mut s = authority.connect(&node);
    assert_eq!(read_n(&mut s, 1), b"x");
    s.sock.shutdown(Shutdown::Write).unwrap();
    eventually("it is no whole session", || closed(&node, "client-cut") == 1);
    assert_eq!(closed(&node, "client-end"), 0);
}

#[test]
fn an_endpoint_that_ends_with_its_handshake_has_ended_its_half() {
    let up = ending(&TLS12);
    let node = node(&[up.address], TLS, PATIENT);
    let mut s = node.connect();
    assert!(matches!(s.read(&mut [0]), Ok(0)));
    drop(s);
    eventually("both halves have ended", || closed(&node, "endpoint-end") == 1);
}

#[test]
fn limits_are_free_of_sessions_that_a_worker_forgets() {
    let up = echo();
    let node = node(&[up.address], r#","max_connections":9"#, PATIENT);
    let _s = node.connect();
    is_relaying(&node);
    let in_use = on_worker(&node, |w| {
        let entry = w.upstreams.get_mut(0).unwrap().entry.clone();
        let in_use = || entry.in_use.load(std::sync::atomic::Ordering::Relaxed);
        let before = in_use();
        w.forget_sessions();
        (before, in_use())
    });
    assert_eq!(in_use, (1, 0));
}

#[test]
fn a_session_that_another_one_forestalled_waits_on_as_before() {
    let up = echo();
    let node =
        node(&[up.address], r#","max_connections":1,"queue":1,"queue_timeout_ms":600000"#, PATIENT);
    let _first = open(&node);
    let _second = node.connect();
    eventually("it waits", || on_worker(&node, |w| w.tcp.waiting.len()) == 1);
    let times = on_worker(&node, |w| {
        let id = w.tcp.waiting.pop_front().unwrap();
        let wait = |w: &mut Worker| {
            let s = w.tcp.get(id).unwrap();
            let Phase::Queued { until, .. } = s.phase else { panic!("it does not wait") };
            (until, s.target.times.began_us)
        };
        let before = wait(w);
        let real = (w.now_us, w.now);
        move_on(w, 5_000_000);
        w.serve_session(id);
        let after = wait(w);
        (w.now_us, w.now) = real;
        [before, after]
    });
    assert_eq!(times[0], times[1]);
    let report = &node.engine.metrics().upstreams[0];
    assert_eq!((report.queued, report.waiting, report.queue_wait_us), (1, 1, 0));
}
