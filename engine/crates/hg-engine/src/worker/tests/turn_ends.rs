//! The checks at the ends of turns: they see the faults that they are there for.

use super::*;
use crate::worker::timers::Entry;
use hg_net::Ticks;

/// An endpoint that takes requests and never answers.
fn silent() -> Upstream {
    Upstream::play(|mut s| while read_head(&mut s).is_some() {})
}

/// A client whose request is under way, and the exchange's endpoint connected.
fn waiting(node: &Node) -> TcpStream {
    let s = ask(node, GET);
    eventually("the endpoint is asked", || {
        on_worker(node, |w| {
            w.ups.iter().any(|(_, up)| up.conn.out.is_empty() && up.exchange.is_some())
        })
    });
    s
}

#[test]
fn a_turn_that_leaves_bytes_unread_or_a_timer_unset_is_noticed() {
    let up = silent();
    let node = Node::simple(&up);
    let _busy = waiting(&node);
    let _idle = node.connect();
    eventually("both are there", || connections(&node) == 2);
    let said = on_worker(&node, |w| {
        let mut said = vec![w.lapse()];
        let is_idle = |c: &&mut crate::worker::client::Client| c.phase == Phase::Idle;
        w.clients.iter_mut().map(|(_, c)| c).find(is_idle).unwrap().conn.readable = true;
        said.push(w.lapse());
        w.clients.iter_mut().map(|(_, c)| c).find(is_idle).unwrap().conn.readable = false;
        w.ups.iter_mut().for_each(|(_, up)| up.conn.readable = true);
        said.push(w.lapse());
        w.ups.iter_mut().for_each(|(_, up)| up.conn.readable = false);
        let (_, c) = w.clients.iter_mut().next().unwrap();
        let timer = std::mem::replace(&mut c.timer, Entry::NONE);
        said.push(w.lapse());
        w.clients.iter_mut().next().unwrap().1.timer = timer;
        let next = std::mem::replace(&mut w.wheel_next, Ticks::MAX);
        said.push(w.lapse());
        w.wheel_next = next;
        said.push(w.lapse());
        said
    });
    let timer = Some("timer of a client");
    let expected = [None, Some("bytes of a client"), Some("head of an answer"), timer, timer, None];
    assert_eq!(said, expected);
}

#[test]
fn what_a_worker_holds_is_a_debt_if_it_leaves_with_it() {
    let up = silent();
    let node = Node::start(&upstream_json(&[up.address], r#","max_connections":5"#), "", 1);
    let client = waiting(&node);
    let debts = on_worker(&node, |w| {
        w.io.pool.kept += 7;
        let debts = w.debts();
        w.io.pool.kept -= 7;
        debts
    });
    let expected = [
        ("exchanges", 1),
        ("connections of exchanges", 1),
        ("connections of no pool", 1),
        ("bytes that peers have not taken", 7),
        ("requests at endpoints", 1),
        ("places at upstreams", 1),
        ("places at endpoints", 1),
        ("connections of the process", 1),
    ];
    assert_eq!(debts, expected);
    rustix::net::sockopt::set_socket_linger(&client, Some(std::time::Duration::ZERO)).unwrap();
    drop(client);
    eventually("nothing is held", || on_worker(&node, |w| w.debts().is_empty()));
}
