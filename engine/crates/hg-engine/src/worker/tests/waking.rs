//! The causes for which a worker wakes: its timers, places that may be free, and events of its own
//! connections alone.

use super::*;
use crate::worker::tcp::SessionId;
use crate::worker::turns::Turn;
use crate::worker::up::UpPhase;
use crate::worker::{KIND_CLIENT, KIND_UP, WAITING_MS};
use hg_net::{Clock, Event, Ticks, Token};

/// Returns for how long a worker would wait whose next timer is due after so many ticks.
fn timeout(w: &mut Worker, ticks: Ticks) -> Option<u64> {
    let real = w.wheel_next;
    w.wheel_next = w.now.saturating_add(ticks);
    let timeout = w.timeout();
    w.wheel_next = real;
    timeout
}

#[test]
fn a_worker_waits_until_its_next_timer_is_due() {
    let node = Node::simple(&Upstream::answering(OK));
    let timeouts = on_worker(&node, |w| [0, 1, 5, Ticks::MAX].map(|ticks| timeout(w, ticks)));
    let tick = Clock::TICK_MS;
    assert_eq!(timeouts, [Some(tick), Some(tick), Some(5 * tick), None]);
    let at_once = on_worker(&node, |w| {
        // Of a session that is gone.
        w.agenda.add(Turn::Session(SessionId { index: usize::MAX, generation: 0 }));
        timeout(w, Ticks::MAX)
    });
    assert_eq!(at_once, Some(0));
}

/// Returns how many requests and TCP connections wait for a place.
fn waiting(node: &Node) -> u64 {
    node.engine.metrics().upstreams[0].waiting
}

#[test]
fn a_worker_looks_for_places_as_long_as_somebody_waits() {
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let limits = r#","max_connections":1,"queue":1,"queue_timeout_ms":600000"#;
    for is_tcp in [true, false] {
        let mut node = Node::start(&upstream_json(&[up.address], limits), "", 1);
        if is_tcp {
            let json = format!(r#"{{"addresses":["{}"],"protocol":"tcp"}}"#, node.address);
            node.apply(&[
                put(Kind::Listener, "web", json),
                Change { kind: Kind::Route, name: "r".into(), bytes: None },
                put(Kind::TcpRoute, "t", r#"{"listeners":["web"],"upstream":"u"}"#),
            ]);
        }
        let waits = |expected| {
            eventually("it waits as long as it should", || {
                on_worker(&node, |w| timeout(w, Ticks::MAX)) == expected
            });
        };
        let before = up.connections();
        let first = ask(&node, GET);
        eventually("the first has the place", || up.connections() == before + 1);
        waits(None);
        let second = ask(&node, GET);
        eventually("the second waits", || waiting(&node) == 1);
        waits(Some(WAITING_MS));
        for s in [first, second] {
            // A client that gives up.
            rustix::net::sockopt::set_socket_linger(&s, Some(std::time::Duration::ZERO)).unwrap();
        }
        eventually("nobody waits", || waiting(&node) == 0);
        waits(None);
    }
}

/// Everything that an event can say.
fn over(token: Token) -> Event {
    let (readable, writable, read_closed, closed) = (true, true, true, true);
    Event { token, readable, writable, read_closed, closed }
}

#[test]
fn an_event_of_what_had_an_index_before_changes_nothing() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let up = Upstream::play(move |mut s| {
        read_head(&mut s);
        let _ = wait.lock().unwrap().recv_timeout(DEADLINE);
        s.write_all(OK).unwrap();
    });
    let node = Node::simple(&up);
    let mut s = ask(&node, GET);
    eventually("it waits for its answer", || {
        on_worker(&node, |w| w.ups.iter().any(|(_, up)| up.phase == UpPhase::Busy))
    });
    let kept = on_worker(&node, |w| {
        let (ci, client) = w.clients.iter().next().map(|(ci, c)| (ci, c.generation)).unwrap();
        let (ui, up) = w.ups.iter().next().map(|(ui, up)| (ui, up.generation)).unwrap();
        w.on_event(over(Token::new(KIND_CLIENT, client ^ 1, ci)));
        w.on_event(over(Token::new(KIND_UP, up ^ 1, ui)));
        let is_closed = w.clients.get(ci).is_none_or(|c| c.conn.read_closed);
        (is_closed, w.ups.get(ui).is_none_or(|up| up.conn.read_closed))
    });
    assert_eq!(kept, (false, false));
    go.send(()).unwrap();
    assert_eq!((read_answer(&mut s).1, up.connections()), (b"ok".to_vec(), 1));
}
