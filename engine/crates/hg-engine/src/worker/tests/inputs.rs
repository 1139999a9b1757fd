//! The bytes and the ends of clients: when a worker reads them, and when they wait.

use super::*;
use hg_net::{Event, Token};

/// The start of a head.
const PART: &[u8] = b"GET / HTTP/1.1\r\n";

/// Starts a node with one client, who has got an answer.
fn answered() -> (Node, TcpStream) {
    let node = Node::simple(&Upstream::answering(OK));
    let mut s = ask(&node, GET);
    assert_eq!(read_answer(&mut s).1, b"ok");
    (node, s)
}

fn only(w: &Worker) -> usize {
    w.clients.iter().next().unwrap().0
}

/// Sends, and waits until it lies in the socket of the only client, whose connection is readable then.
fn come(w: &mut Worker, s: &mut TcpStream, bytes: &[u8]) -> usize {
    let ci = only(w);
    s.write_all(bytes).unwrap();
    eventually("it has come", || hg_net::is_readable_or_closed(&w.clients[ci].conn.fd));
    w.clients[ci].conn.readable = true;
    ci
}

fn is_read(w: &Worker, ci: usize) -> bool {
    !hg_net::is_readable_or_closed(&w.clients[ci].conn.fd)
}

#[test]
fn an_answer_that_its_client_does_not_take_holds_back_the_next_request() {
    let (node, mut s) = answered();
    on_worker(&node, move |w| {
        let ci = come(w, &mut s, PART);
        let c = &mut w.clients[ci];
        c.conn.out.push(b"x", &mut w.io.pool);
        c.input = GET.to_vec();
        w.use_input(ci);
        assert_eq!((w.clients[ci].phase, &w.clients[ci].input[..]), (Phase::Idle, GET));
        w.clients[ci].input.clear();
        w.on_client_readable(ci);
        assert!(!is_read(w, ci));
        let c = &mut w.clients[ci];
        c.conn.out.release(&mut w.io.pool);
        w.on_client_readable(ci);
        assert_eq!((w.clients[ci].phase, is_read(w, ci)), (Phase::Head, true));
    });
}

#[test]
fn nothing_is_read_for_a_client_whose_requests_wait_for_their_turn() {
    let (line, none) = (&b"Host: "[..], &b""[..]);
    for (queued, input, more, expected) in
        [(true, PART, line, false), (true, none, PART, true), (false, PART, line, true)]
    {
        let (node, mut s) = answered();
        let found = on_worker(&node, move |w| {
            let ci = come(w, &mut s, more);
            let c = &mut w.clients[ci];
            (c.phase, c.input, c.standing.queued) = (Phase::Head, input.to_vec(), queued);
            w.on_client_readable(ci);
            let found = w.clients.get(ci).map(|c| c.input.len());
            let is_read = w.clients.get(ci).is_none() || is_read(w, ci);
            w.clients.get_mut(ci).into_iter().for_each(|c| c.standing.queued = false);
            w.on_client_readable(ci);
            (is_read, found)
        });
        let bytes = input.len() + if expected { more.len() } else { 0 };
        assert_eq!(found, (expected, Some(bytes)), "{queued} {input:?}");
    }
}

#[test]
fn a_connection_that_is_over_is_closed_unless_something_has_to_pass_first() {
    type Change = fn(&mut Worker, ExId, usize);
    let changes: [(&str, Change, bool); 3] = [
        ("it waits for its answer", |_, _, _| (), false),
        (
            "it is a tunnel",
            |w, x, ci| {
                let e = w.exchanges.get_mut(x).unwrap();
                (e.status, e.stage) = (101, Stage::Tunnel);
                e.request.tunnel();
                e.response.tunnel();
                w.clients[ci].phase = Phase::Tunnel;
            },
            true,
        ),
        (
            "its endpoint has ended half of a WebSocket",
            |w, x, _| {
                let e = w.exchanges.get_mut(x).unwrap();
                (e.status, e.stage, e.response.done) = (101, Stage::Answering, true);
            },
            true,
        ),
    ];
    for (what, change, stays) in changes {
        let (node, _s) = waiting("", "", GET);
        let found = on_request(&node, move |w, x, _| {
            let ci = only(w);
            change(w, x, ci);
            if stays {
                w.counters.tunnels.opened();
            }
            let token = Token::new(0, 0, ci);
            let event =
                Event { token, readable: true, writable: true, read_closed: true, closed: true };
            w.on_client_event(ci, event);
            (w.clients.len(), w.exchanges.get(x).is_some())
        });
        assert_eq!(found, (usize::from(stays), stays), "{what}");
    }
}
