//! Connections to endpoints: which idle one a request takes, and how new ones are opened.

use super::*;
use crate::worker::answer::own;
use crate::worker::exchange::Exchange;
use crate::worker::upstreams::EndpointState;
use crate::worker::{KIND_UP, up::Up};
use hg_net::{Address, Event, Ticks, Token};
use hg_proto::Method;
use std::cell::Cell;
use std::rc::Rc;

/// Starts an upstream that answers at once, except for `/hang`, and sends one more byte on each
/// connection or ends it, each time that it is told to.
fn obeying(ends: bool) -> (Upstream, mpsc::Sender<()>) {
    let (tell, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let up = Upstream::play(move |mut s| {
        while !read_head(&mut s).unwrap_or_default().starts_with("GET /hang") {
            if s.write_all(OK).is_err() {
                return;
            }
            if told.lock().unwrap().recv_timeout(DEADLINE).is_err() || ends {
                return;
            }
            let _ = s.write_all(b"x");
        }
        read_all(&mut s);
    });
    (up, tell)
}

/// Starts a node on which a request waits for its answer, and one connection is idle.
fn one_idle(ends: bool, pool: &str) -> (Node, TcpStream, mpsc::Sender<()>) {
    let (up, tell) = obeying(ends);
    let node = Node::start(&upstream_json(&[up.address], pool), "", 1);
    let hanging = ask_briefly(&node, b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for_answer(&node);
    assert_eq!(read_answer(&mut ask(&node, GET)).1, b"ok");
    assert_eq!(on_worker(&node, |w| idle(w)), 1);
    (node, hanging, tell)
}

fn idle_one(w: &mut Worker) -> (usize, &mut Up) {
    w.ups.iter_mut().find(|(_, up)| up.phase == UpPhase::Idle).unwrap()
}

#[test]
fn a_request_that_is_sent_once_avoids_idle_connections_that_are_in_doubt() {
    // Where no age is set, none is too old.
    let (node, _s, _tell) = one_idle(false, r#","pool":{"max_age_ms":0}"#);
    on_request(&node, |w, x, _| {
        let endpoint = w.exchanges.get(x).unwrap().endpoint.clone().unwrap();
        for (method, until, is_taken) in [
            (Method::Get, w.now + 1, true),
            (Method::Post, w.now + 1, false),
            (Method::Post, w.now, true),
            (Method::Post, 0, true),
        ] {
            w.exchanges.get_mut(x).unwrap().method = method;
            endpoint.distrusted_until.set(until);
            let taken = w.take_idle(x, &endpoint);
            assert_eq!(taken.is_some(), is_taken, "{method:?} {until}");
            if let Some(ui) = taken {
                assert_eq!(endpoint.counters.idle.get(), 0);
                w.put_idle(ui, 60_000, 8);
            }
            assert_eq!(endpoint.counters.idle.get(), 1);
        }
    });
}

#[test]
fn a_request_that_is_sent_once_finds_out_whether_an_idle_connection_has_ended() {
    for (method, is_taken) in [(Method::Post, false), (Method::Get, true)] {
        let (node, _s, tell) = one_idle(true, "");
        let found = on_request(&node, move |w, x, _| {
            let e = w.exchanges.get_mut(x).unwrap();
            e.method = method;
            let endpoint = e.endpoint.clone().unwrap();
            tell.send(()).unwrap();
            let (ui, _) = idle_one(w);
            let ended = || hg_net::is_readable_or_closed(&w.ups[ui].conn.fd);
            eventually("it has ended", ended);
            let taken = w.take_idle(x, &endpoint);
            taken.into_iter().for_each(|ui| w.put_idle(ui, 60_000, 8));
            (taken.is_some(), idle(w), endpoint.counters.idle.get())
        });
        let left = usize::from(is_taken);
        assert_eq!(found, (is_taken, left, left as u64), "{method:?}");
    }
}

#[test]
fn an_idle_connection_is_closed_by_an_event_that_brings_something() {
    type Set = fn(&mut Event);
    let sets: [(&str, Set, bool); 4] = [
        ("readable", |event| event.readable = true, true),
        ("read_closed", |event| event.read_closed = true, true),
        ("closed", |event| event.closed = true, true),
        ("writable", |event| event.writable = true, false),
    ];
    for (what, set, is_closed) in sets {
        let (node, _s, tell) = one_idle(false, "");
        let left = on_worker(&node, move |w| {
            let (ui, up) = idle_one(w);
            let token = Token::new(KIND_UP, up.generation, ui);
            let (readable, writable) = (false, false);
            let mut event = Event { token, readable, writable, read_closed: false, closed: false };
            set(&mut event);
            w.on_up_event(ui, event);
            assert_eq!(idle(w), 1, "nothing has come");
            tell.send(()).unwrap();
            let came = || hg_net::is_readable_or_closed(&w.ups[ui].conn.fd);
            eventually("a byte has come", came);
            w.on_up_event(ui, event);
            idle(w)
        });
        assert_eq!(left, usize::from(!is_closed), "{what}");
    }
}

#[test]
fn of_two_idle_connections_the_one_that_ends_is_forgotten() {
    let (up, _tell) = obeying(false);
    let node = Node::simple(&up);
    let held = Held::new(&node);
    let mut clients = [ask(&node, GET), ask(&node, GET)];
    drop(held);
    for s in &mut clients {
        assert_eq!(read_answer(s).1, b"ok");
    }
    eventually("two are idle", || on_worker(&node, |w| idle(w)) == 2);
    on_worker(&node, |w| {
        let (first, up) = idle_one(w);
        let (pool, counters) = (up.pool, up.endpoint.counters.clone());
        w.forget_idle(first);
        let (second, _) = idle_one(w);
        assert_eq!((&w.pools.get(pool).unwrap().idle, w.ups.len()), (&vec![second], 1));
        assert_eq!(counters.idle.get(), 1);
    });
}

#[test]
fn an_event_that_tells_of_room_and_of_bytes_is_used_for_both() {
    let (tell, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let up = Upstream::play(move |mut s| {
        read_head(&mut s);
        told.lock().unwrap().recv_timeout(DEADLINE).unwrap();
        s.write_all(OK).unwrap();
        read_all(&mut s);
    });
    let node = Node::simple(&up);
    let mut s = ask(&node, GET);
    wait_for_answer(&node);
    let found = on_request(&node, move |w, x, ui| {
        tell.send(()).unwrap();
        let came = || hg_net::is_readable_or_closed(&w.ups[ui].conn.fd);
        eventually("the answer has come", came);
        let up = &mut w.ups[ui];
        up.conn.out.push(b"x", &mut w.io.pool);
        let token = Token::new(KIND_UP, up.generation, ui);
        let (readable, writable) = (true, true);
        let event = Event { token, readable, writable, read_closed: false, closed: false };
        w.on_up_event(ui, event);
        (w.exchanges.get(x).is_none(), idle(w))
    });
    assert_eq!(found, (true, 1), "the answer was read, and nothing waits to be sent");
    assert_eq!(read_answer(&mut s).1, b"ok");
}

/// Returns an endpoint like another, with these addresses, of which one is preferred.
fn with_addresses(of: &EndpointState, addresses: &[SocketAddr], first: usize) -> Rc<EndpointState> {
    Rc::new(EndpointState {
        address: of.address.clone(),
        slot: of.slot.clone(),
        pool: of.pool,
        counters: of.counters.clone(),
        targets: addresses.iter().map(|a| Address::Inet(*a)).collect(),
        preferred: Cell::new(first),
        distrusted_until: Cell::new(0),
        token: of.token,
    })
}

/// Takes a request from its connection and gives it an endpoint with these addresses; connects to the
/// first.
fn connect_anew(w: &mut Worker, x: ExId, addresses: &[SocketAddr], first: usize) {
    let e = w.exchanges.get_mut(x).unwrap();
    let up = e.up.take();
    e.endpoint = e.endpoint.as_deref().map(|of| with_addresses(of, addresses, first));
    e.next_address = 0;
    up.into_iter().for_each(|ui| w.abandon_up(ui));
    w.open_next(x);
}

fn of(w: &Worker, x: ExId) -> &Exchange {
    w.exchanges.get(x).unwrap()
}

#[test]
fn addresses_of_an_endpoint_are_tried_one_after_the_other_from_the_one_that_answered_last() {
    // They take connections, of which the worker does not learn before this is over.
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = listeners.each_ref().map(|one| one.local_addr().unwrap());
    for (first, second) in [(1, 0), (0, 1)] {
        let (node, mut s) = waiting("", "", GET);
        on_request(&node, move |w, x, _| {
            assert_eq!(of(w, x).due.next_address, Ticks::MAX, "it has one");
            connect_anew(w, x, &addresses, first);
            assert!(of(w, x).due.next_address < Ticks::MAX);
            let began_us = w.now_us;
            w.now_us += 1_000;
            w.open_next(x);
            assert_eq!(of(w, x).due.next_address, Ticks::MAX, "there is no third one");
            assert_eq!(of(w, x).connect.began_us, began_us, "the time is that of both");
            w.open_next(x);
            let attempts = of(w, x).attempts.clone();
            let targets: Vec<_> = attempts.iter().map(|ui| w.ups[*ui].target.clone()).collect();
            assert_eq!(targets, [first, second].map(|i| Address::Inet(addresses[i])));
            w.attempt_failed(x, attempts[0], &own::CONNECT_REFUSED);
            assert_eq!((&of(w, x).attempts[..], w.ups.len()), (&attempts[1..], 1));
            w.attempt_failed(x, attempts[1], &own::TLS_FAILED);
            assert!(w.exchanges.get(x).is_none() && w.ups.is_empty());
        });
        let head = read_answer(&mut s).0;
        assert!(head.starts_with("HTTP/1.1 502 ") && head.contains("tls_protocol_error"), "{head}");
    }
}

#[test]
fn the_next_address_follows_one_that_refuses_at_once() {
    let (node, _s) = waiting("", "", GET);
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = listeners.each_ref().map(|one| one.local_addr().unwrap());
    on_request(&node, move |w, x, _| {
        connect_anew(w, x, &addresses, 0);
        let first = of(w, x).attempts[0];
        w.attempt_failed(x, first, &own::CONNECT_REFUSED);
        let attempts = &of(w, x).attempts;
        assert_eq!(attempts.len(), 1);
        assert_eq!(w.ups[attempts[0]].target, Address::Inet(addresses[1]));
    });
}

#[test]
fn the_address_that_took_the_connection_is_the_first_of_the_next_time() {
    let (node, _s) = waiting("", "", GET);
    let ups = [(); 2].map(|()| Upstream::play(|mut s| drop(read_all(&mut s))));
    let addresses = ups.each_ref().map(|up| up.address);
    for first in [1, 0] {
        on_request(&node, move |w, x, _| connect_anew(w, x, &addresses, first));
        wait_for_answer(&node);
        on_request(&node, move |w, x, ui| {
            let endpoint = of(w, x).endpoint.as_deref().unwrap();
            assert_eq!(endpoint.preferred.get(), first);
            assert_eq!(w.ups[ui].target, Address::Inet(addresses[first]));
        });
    }
}

#[test]
fn an_endpoint_has_its_share_of_the_time_to_connect() {
    for (endpoints, share) in [(1, 1), (2, 2), (5, 3)] {
        let up = Upstream::play(|mut s| drop(read_all(&mut s)));
        let addresses = vec![up.address; endpoints];
        let node = Node::start(&upstream_json(&addresses, r#","connect_timeout_ms":12000"#), "", 1);
        let _s = ask_briefly(&node, GET);
        wait_for_answer(&node);
        let (all, own) = on_request(&node, |w, x, _| {
            let (e, began) = (of(w, x), of(w, x).times.began_us);
            let began = hg_net::Clock::ticks(began);
            (e.due.connect - began, e.due.endpoint - began)
        });
        let even = all / share;
        assert!(own.abs_diff(even) <= 1, "{own} of {all} for one of {endpoints}");
    }
}

#[test]
fn another_endpoint_is_tried_within_the_time_to_connect() {
    for (endpoints, left, again) in [(2, 1, true), (2, 0, false), (1, 1, false)] {
        let up = Upstream::play(|mut s| drop(read_all(&mut s)));
        let addresses = vec![up.address; endpoints];
        let node = Node::start(&upstream_json(&addresses, ""), "", 1);
        let _s = ask_briefly(&node, GET);
        wait_for_answer(&node);
        let goes_on = on_request(&node, move |w, x, ui| {
            let now = w.now;
            let e = w.exchanges.get_mut(x).unwrap();
            (e.due.connect, e.up) = (now + left, None);
            w.abandon_up(ui);
            w.endpoint_failed(x, &own::CONNECT_REFUSED, None);
            w.exchanges.get(x).is_some()
        });
        assert_eq!(goes_on, again, "{endpoints} {left}");
        assert_eq!(node.engine.metrics().upstreams[0].served.retries, u64::from(again));
    }
}

#[test]
fn a_request_that_was_answered_in_the_queue_gets_no_place() {
    let limits = r#","max_connections":1,"queue":5,"queue_timeout_ms":600000"#;
    let (node, _s) = waiting(limits, "", GET);
    let _waiting = ask_briefly(&node, GET);
    let queued = |w: &mut Worker| w.exchanges.ids(|e| e.stage == Stage::Queued);
    eventually("one waits", || on_worker(&node, move |w| queued(w).len()) == 1);
    let left = on_worker(&node, move |w| {
        let x = queued(w)[0];
        w.exchanges.get_mut(x).unwrap().answered = true;
        w.upstreams.waiting = vec![0];
        w.serve_waiting();
        let left = w.upstreams.get_mut(0).unwrap().waiting.len();
        assert_eq!(of(w, x).stage, Stage::Queued);
        w.exchanges.get_mut(x).unwrap().answered = false;
        w.upstreams.get_mut(0).unwrap().waiting.push_front(x);
        w.upstreams.waiting = vec![0];
        left
    });
    assert_eq!(left, 0);
}

#[test]
fn a_request_that_leaves_the_queue_makes_room_for_another() {
    let (node, _s) =
        waiting(r#","max_connections":1,"queue":2,"queue_timeout_ms":600000"#, "", GET);
    let mut clients: Vec<_> = (1..=2)
        .map(|n| {
            let s = ask_briefly(&node, GET);
            eventually("it waits", || on_worker(&node, |w| w.upstreams.queued()) == n);
            s
        })
        .collect();
    on_worker(&node, |w| {
        let last = *w.upstreams.get_mut(0).unwrap().waiting.back().unwrap();
        w.client_gone(last);
    });
    assert_eq!(node.engine.metrics().upstreams[0].waiting, 1);
    clients.push(ask_briefly(&node, GET));
    eventually("the next one waits", || on_worker(&node, |w| w.upstreams.queued()) == 2);
    assert_eq!(node.engine.metrics().upstreams[0].queue_full, 0);
}

#[test]
fn a_request_that_another_one_forestalled_waits_on_as_before() {
    let (node, _s) =
        waiting(r#","max_connections":1,"queue":5,"queue_timeout_ms":600000"#, "", GET);
    let _waiting = [(); 2].map(|()| ask_briefly(&node, GET));
    eventually("they wait", || on_worker(&node, |w| w.upstreams.queued()) == 2);
    let [before, after] = on_worker(&node, |w| {
        let wait = |w: &mut Worker| {
            let all: Vec<ExId> = w.upstreams.get_mut(0).unwrap().waiting.iter().copied().collect();
            let times = |x: &ExId| (of(w, *x).stage, of(w, *x).due.connect, of(w, *x).queued_us);
            (all.iter().map(times).collect::<Vec<_>>(), all)
        };
        let before = wait(w);
        let real = (w.now_us, w.now);
        move_on(w, 5_000_000);
        assert!(!w.give_place(0, before.1[0]), "no place is free");
        let after = wait(w);
        (w.now_us, w.now) = real;
        [before, after]
    });
    assert_eq!(before, after);
    let report = &node.engine.metrics().upstreams[0];
    assert_eq!((report.queued, report.waiting, report.queue_wait_us), (2, 2, 0));
}

#[test]
fn those_that_wait_are_counted_over_all_upstreams() {
    let (node, _s) =
        waiting(r#","max_connections":1,"queue":5,"queue_timeout_ms":600000"#, "", GET);
    let _waiting = [(); 3].map(|()| ask_briefly(&node, GET));
    eventually("they wait", || on_worker(&node, |w| w.upstreams.queued()) == 3);
}

#[test]
fn the_idle_connections_of_an_endpoint_that_left_are_closed() {
    let (first, second) = (Upstream::answering(OK), Upstream::answering(OK));
    let both = upstream_json(&[first.address, second.address], "");
    let mut node = Node::start(&both, "", 1);
    let idle_at = |address: SocketAddr| {
        on_worker(&node, move |w| {
            w.ups.iter().filter(|(_, up)| up.target == Address::Inet(address)).count()
        })
    };
    while idle_at(first.address) == 0 || idle_at(second.address) == 0 {
        read_answer(&mut ask(&node, GET));
    }
    node.apply(&[put(Kind::Upstream, "u", upstream_json(&[second.address], ""))]);
    let left =
        on_worker(&node, |w| w.ups.iter().map(|(_, up)| up.target.clone()).collect::<Vec<_>>());
    assert_eq!(left, [Address::Inet(second.address)]);
}

#[test]
fn who_is_refused_by_a_breaker_learns_when_it_lets_requests_through() {
    let up = Upstream::play(|mut s| drop(read_head(&mut s)));
    let breaker = r#","health":{"breaker":{"failures":1,"open_ms":60000}}"#;
    let node = Node::start(&upstream_json(&[up.address], breaker), "", 1);
    let mut head = String::new();
    while !head.starts_with("HTTP/1.1 503 ") {
        head = node.get("/");
    }
    let after_s: u64 = value(&head, "retry-after").unwrap().parse().unwrap();
    assert!((2..=60).contains(&after_s), "{head}");
}
