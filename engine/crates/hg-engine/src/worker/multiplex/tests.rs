//! The room on a connection to an endpoint, and what an exchange keeps of its stream there.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::http2_peer::{self, Peer};
use crate::common::{Node, Upstream, eventually};
use crate::worker::http2::in_order;
use crate::worker::tests::{NEVER, move_on, on_worker};
use hg_h2::{Incoming, NeverIndexed, RequestLine};
use hg_proto::Scheme;
use std::net::TcpStream;

/// An endpoint that allows so many streams and never answers a request.
pub(super) fn silent(streams: u32) -> Upstream {
    Upstream::play(move |s| {
        let mut peer = Peer::with(s, Limits { streams, ..Limits::server() });
        while peer.read() {}
    })
}

/// Has so many clients wait for answers over one connection to an endpoint; `run` gets the connection,
/// and their exchanges in the order of the streams.
pub(super) fn with_streams(
    count: usize,
    run: impl FnOnce(&mut Worker, usize, &[ExId]) + Send + 'static,
) -> (Node, Vec<TcpStream>) {
    let node = http2_peer::on(&silent(100));
    let mut clients = Vec::new();
    for n in 1..=count {
        clients.push(http2_peer::ask(&node, &http2_peer::get("/")));
        let is_open = move |w: &mut Worker| {
            let all = w.ups.iter().filter_map(|(_, up)| up.http2.as_deref());
            all.map(|h| (h.is_greeted(), h.streams.len())).eq([(true, n)])
        };
        eventually("it has a stream", || on_worker(&node, is_open));
    }
    node.barrier();
    on_worker(&node, |w| {
        let (ui, up) = w.ups.iter().find(|(_, up)| up.http2.is_some()).unwrap();
        let all = in_order(&up.http2.as_deref().unwrap().streams);
        let all: Vec<ExId> = all.into_iter().map(|(_, x)| x).collect();
        run(w, ui, &all);
        w.tick();
    });
    (node, clients)
}

/// Runs a function an hour later on an idle connection to an endpoint that has no limits in time.
pub(super) fn an_hour_later(run: impl FnOnce(&mut Worker, usize) + Send + 'static) {
    let up = http2_peer::serving(|_| b"ok".to_vec());
    let node = http2_peer::on(&up);
    let mut client = http2_peer::ask(&node, &http2_peer::get("/"));
    assert_eq!(crate::common::read_answer(&mut client).1, b"ok");
    node.barrier();
    on_worker(&node, |w| {
        let (ui, up) = w.ups.iter_mut().find(|(_, up)| up.http2.is_some()).unwrap();
        let h = up.http2.as_deref_mut().unwrap();
        assert!(h.streams.is_empty() && h.noted.idle);
        h.times = NEVER;
        move_on(w, 3_600_000_000);
        run(w, ui);
        w.tick();
    });
}

/// Opens a stream; reports whether the session took it.
fn open(h: &mut Shared) -> bool {
    let line = RequestLine {
        method: "GET",
        scheme: Scheme::Http,
        authority: "a.example",
        path: "/",
        query: None,
        websocket: false,
        never: NeverIndexed::NONE,
    };
    h.session.send_request(&line, std::iter::empty(), true).is_ok()
}

fn shared() -> Shared {
    Shared::new((Limits::client(), Times::default()), 1, 0)
}

/// Takes the SETTINGS of an endpoint that allows so many streams.
fn greet(h: &mut Shared, streams: u32) {
    let peer = Session::new(Role::Server, Limits { streams, ..Limits::server() });
    let (input, mut at) = (peer.output().to_vec(), 0);
    let mut incoming = Incoming::new();
    while h.session.next(&input, &mut at, 0, &mut incoming).unwrap().is_some() {}
}

/// Opens streams until there is no room; returns how many there are.
fn filled(h: &mut Shared) -> usize {
    while h.has_room() && open(h) {}
    h.session.streams()
}

#[test]
fn a_connection_has_as_many_streams_as_its_endpoint_allows_and_no_more_than_we_want() {
    for (streams, expected) in [(1, 1), (7, 7), (250, 250), (251, 250), (10_000, 250)] {
        let mut h = shared();
        assert!(!h.is_greeted());
        greet(&mut h, streams);
        assert!(h.is_greeted());
        assert_eq!(filled(&mut h), expected, "{streams}");
    }
}

#[test]
fn before_the_endpoint_has_said_how_many_streams_it_takes_there_are_a_few() {
    let mut h = shared();
    assert_eq!(filled(&mut h), FIRST_STREAMS);
    let mut h = shared();
    h.first_streams = 3;
    assert_eq!(filled(&mut h), 3);
    greet(&mut h, 5);
    assert_eq!(filled(&mut h), 5);
}

#[test]
fn a_connection_in_doubt_or_at_its_end_takes_no_more_requests() {
    let mut h = shared();
    greet(&mut h, 9);
    assert!(h.has_room());
    h.probed_until = 5;
    assert!(!h.has_room(), "it has not answered a PING");
    h.probed_until = Ticks::MAX;
    h.session.finish();
    assert!(!h.has_room(), "it ends");
}

#[test]
fn of_an_answer_a_client_gets_as_much_as_it_takes() {
    let mut s = UpStream::default();
    s.came(b"");
    assert_eq!((s.incoming.len(), s.waiting(), s.has_news()), (0, 0, false));
    s.came(b"abc");
    s.came(b"defg");
    assert_eq!((s.waiting(), s.has_news()), (7, true));
    for (most, expected, left) in [(2, "ab", 5), (4, "cdef", 1), (1, "g", 0)] {
        let mut body = Vec::new();
        s.take_body(most, &mut body);
        assert_eq!((&body[..RESERVE], &body[RESERVE..]), (&[0; RESERVE][..], expected.as_bytes()));
        assert_eq!(s.waiting(), left);
    }
    assert!(!s.has_news());
    let mut body = Vec::new();
    s.take_body(9, &mut body);
    assert_eq!(body, [0; RESERVE], "there is always room before a body");
}

#[test]
fn a_head_and_an_end_are_news_too() {
    for change in [
        (|s: &mut UpStream| s.has_ended = true) as fn(&mut UpStream),
        |s| s.head = b"HTTP/1.1 200 OK".to_vec(),
        |s| s.came(b"x"),
    ] {
        let mut s = UpStream::default();
        assert!(!s.has_news());
        change(&mut s);
        assert!(s.has_news());
    }
}

/// The next request on it must see nothing of the one before, and no large allocation stays.
#[test]
fn a_recycled_stream_keeps_small_allocations_alone() {
    let mut s = UpStream { id: 7, has_ended: true, leads: true, refused: 2, ..UpStream::default() };
    s.head = Vec::with_capacity(100_000);
    s.head.push(b'x');
    s.incoming = Vec::with_capacity(100_000);
    s.came(b"y");
    s.held.hold(&[b'z'; 100]);
    s.followers.push(crate::worker::store::Store::<Exchange>::default().open());
    let mut link = Link { keep_ms: Some(3), stream: Some(Box::new(s)) };
    let link = link.recycle();
    let mut s = link.stream.unwrap();
    assert_eq!((link.keep_ms, s.id, s.has_ended, s.leads, s.refused), (None, 0, false, false, 0));
    assert!(!s.has_news() && s.held.is_empty() && s.followers.is_empty());
    for capacity in [s.head.capacity(), s.incoming.capacity()] {
        assert!((1..=4096).contains(&capacity), "{capacity}");
    }
    assert!(s.followers.capacity() > 0);
    s.held.hold(b"z");
    assert!((100..=4096).contains(&s.held.memory()));
}

#[test]
fn an_exchange_is_multiplexed_while_it_has_the_number_of_a_stream() {
    let mut e = Exchange::default();
    assert!(!e.is_multiplexed());
    e.up_stream().held.hold(&[b'x'; 10]);
    assert!(!e.is_multiplexed());
    e.up_stream().id = 1;
    assert!(e.is_multiplexed());
    let mut pool = BufferPool::default();
    e.note_upload(&mut pool, 0);
    assert!(e.held_upload() >= 10 && pool.uploads == e.held_upload());
    e.note_upload(&mut pool, e.held_upload());
    assert_eq!(pool.uploads, e.held_upload());
}

#[test]
fn a_body_has_room_where_nothing_waits_or_it_waits_for_its_turn_alone() {
    drop(with_streams(1, |w, ui, all| {
        let e = w.exchanges.get_mut(all[0]).unwrap();
        let up = w.ups.get_mut(ui).unwrap();
        assert!(e.has_room_at(up));
        e.up_stream().held.hold(b"x");
        assert!(!e.has_room_at(up));
        let id = e.up_stream().id;
        let pace = &mut up.http2.as_deref_mut().unwrap().pace;
        while pace.may_send(id, 0) {}
        assert!(e.has_room_at(up), "small parts wait together");
        up.http2.as_deref_mut().unwrap().pace.end_wait(id);
        e.up_stream().id = 0;
        assert!(e.has_room_at(up), "over HTTP/1 it has the connection for itself");
        up.conn.out.push(b"x", &mut w.io.pool);
        assert!(!e.has_room_at(up));
        up.conn.out.release(&mut w.io.pool);
        e.up_stream().id = id;
        e.up_stream().held = Pending::default();
    }));
}
