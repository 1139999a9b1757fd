#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::{Node, Upstream, eventually, read_all};
use crate::worker::KIND_LISTENER;
use crate::worker::exchange::Stage;
use crate::worker::tests::on_worker;
use std::io::Write;
use std::net::{TcpListener, TcpStream};

/// Runs a function on a worker with one client, which has asked for nothing.
fn with_a_client(run: impl FnOnce(&mut Worker, usize) + Send + 'static) {
    let node = Node::simple(&Upstream::answering(b""));
    let _client = node.connect();
    let clients = || on_worker(&node, |w| w.clients.iter().count());
    eventually("it is accepted", || clients() == 1);
    on_worker(&node, |w| {
        let ci = w.clients.iter().map(|(ci, _)| ci).next().unwrap();
        run(w, ci);
        w.tick();
    });
}

/// Has the worker spend time on a client until now.
fn spend(w: &mut Worker, ci: usize) {
    let now_us = w.now_us;
    w.clients.get_mut(ci).unwrap().standing.usage.spend(500, now_us);
}

#[test]
fn a_round_is_full_after_a_while_if_someone_seldom_asks() {
    with_a_client(|w, _| {
        w.agenda.ordered_until_us = 0;
        w.begin_round();
        assert_eq!(w.agenda.full_at_us, u64::MAX);
        w.agenda.ordered_until_us = u64::MAX;
        w.begin_round();
        assert_eq!(w.agenda.full_at_us, w.now_us + ROUND_US);
        w.agenda.ordered_until_us = 0;
        w.begin_round();
        assert_eq!(w.agenda.full_at_us, u64::MAX);
    });
}

#[test]
fn a_client_that_had_much_waits_once_a_round_is_full() {
    with_a_client(|w, ci| {
        let full_at_us = w.now_us + 1_000;
        w.agenda.full_at_us = full_at_us;
        for (now_us, is_full) in [(full_at_us - 1, false), (full_at_us, true)] {
            w.now_us = now_us;
            w.clients.get_mut(ci).unwrap().standing = Standing::default();
            w.agenda.ordered_until_us = 0;
            assert!(!w.has_to_wait(Some(ci), false));
            assert_eq!(w.agenda.ordered_until_us, now_us + SELDOM_US, "it seldom asks");
            assert_eq!(w.has_to_wait(Some(ci), true), is_full, "what takes long");
            w.agenda.ordered_until_us = 0;
            spend(w, ci);
            assert_eq!(w.has_to_wait(Some(ci), false), is_full);
            assert_eq!(w.agenda.ordered_until_us, 0);
        }
        assert!(!w.has_to_wait(None, true) && !w.has_to_wait(Some(ci + 1), true));
        // Whoever waits already does not overtake itself.
        w.agenda.full_at_us = u64::MAX;
        w.put_off(Some(ci), Turn::Client(ci, 0));
        assert!(w.has_to_wait(Some(ci), false));
        while w.agenda.next().is_some() {}
        w.clients.get_mut(ci).unwrap().standing = Standing::default();
    });
}

#[test]
fn an_event_of_a_client_that_waits_is_kept() {
    with_a_client(|w, ci| {
        let token = Token::new(KIND_CLIENT, w.clients.get(ci).unwrap().generation, ci);
        let event = |w: &mut Worker| {
            let (writable, read_closed, closed) = (false, false, false);
            w.meet(Event { token, readable: true, writable, read_closed, closed });
            w.clients.get(ci).is_some_and(|c| c.standing.line.is_some())
        };
        w.agenda.full_at_us = u64::MAX;
        spend(w, ci);
        assert!(!event(w), "the round is not full");
        assert_eq!(w.agenda.served, Some(ci));
        w.agenda.full_at_us = 0;
        assert!(event(w) && event(w));
        assert!(!w.agenda.is_empty());
        let since_us = w.now_us;
        w.agenda.full_at_us = w.now_us + 1_000_000;
        while !w.agenda.is_empty() {
            let waited_us = w.run_later();
            assert!(waited_us <= w.now_us - since_us);
        }
        assert!(w.clients.get(ci).is_some_and(|c| c.standing.line.is_none()));
    });
}

/// More work than a round has time for.
const MANY: usize = 50_000;

#[test]
fn a_round_has_time_for_some_of_the_work_that_waits_and_every_second_one_closes_first() {
    with_a_client(|w, ci| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let generation = w.clients.get(ci).unwrap().generation;
        (w.agenda.full_at_us, w.now_us) = (0, 5);
        // Turns of a client that had this index before: nothing is to be done.
        (0..MANY).for_each(|_| w.put_off(Some(ci), Turn::Client(ci, generation + 1)));
        (0..3).for_each(|_| w.agenda.close(TcpStream::connect(address).unwrap().into()));
        w.agenda.closes_first = true;
        let began_us = w.clock.micros();
        assert!(w.run_later() >= began_us - 5, "it has waited since then");
        assert!(w.clients.get(ci).unwrap().standing.line.is_some());
        assert_eq!(w.agenda.closing.len(), 3, "there was no time for these");
        w.run_later();
        assert!(w.agenda.closing.len() < 3, "they have their turn");
        while !w.agenda.is_empty() {
            w.run_later();
        }
        assert!(w.clients.get(ci).unwrap().standing.line.is_none());
    });
}

#[test]
fn work_is_done_for_the_client_that_it_concerns() {
    let node = Node::simple(&Upstream::play(|mut s| drop(read_all(&mut s))));
    let mut client = node.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let waiting = |w: &Worker| w.exchanges.ids(|e| e.stage == Stage::Waiting).pop();
    eventually("it waits for its answer", || on_worker(&node, move |w| waiting(w)).is_some());
    on_worker(&node, move |w| {
        let x = waiting(w).unwrap();
        let ci = w.exchanges.get(x).unwrap().client;
        let ui = w.exchanges.get(x).unwrap().up.unwrap();
        let of_client = Token::new(KIND_CLIENT, w.clients.get(ci).unwrap().generation, ci);
        let generation = w.ups.get(ui).unwrap().generation;
        let of_up = Token::new(KIND_UP, generation, ui);
        for turn in [
            Turn::Client(ci, 0),
            Turn::Stream(x),
            Turn::Input(x),
            Turn::Start(x),
            Turn::Event(of_client),
            Turn::Event(of_up),
        ] {
            assert_eq!(w.owner_of_turn(turn), Some(ci), "{turn:?}");
        }
        let of_listener = Token::new(KIND_LISTENER, 0, ci);
        for turn in [Turn::Up(ui, generation), Turn::Join(x), Turn::Event(of_listener)] {
            assert_eq!(w.owner_of_turn(turn), None, "{turn:?}");
        }
        assert!(w.late_of(of_client).is_some() && w.late_of(of_up).is_some());
        for gone in [Token::new(KIND_UP, generation + 1, ui), Token::new(KIND_CLIENT, 0xffff, ci)] {
            assert!(w.late_of(gone).is_none(), "{gone:?}");
        }
    });
}
