//! Every timeout of the reference at its edge: nothing ends before it, and something does after it.

use super::*;
use crate::common::http2::Client as Http2Client;
use crate::worker::leave::Leaving;
use crate::worker::timers::Entry;
use crate::worker::{Done, KIND_CLIENT, KIND_LEAVING, KIND_UP};
use hg_net::{Ticks, Token};

/// Returns times well before and just after so many milliseconds. The clock that runs beside the
/// test may use some of the first.
fn around(ms: u64) -> (u64, u64) {
    (ms - 20_000, ms + 50)
}

/// Starts an upstream that takes requests and never answers.
fn silent() -> Upstream {
    Upstream::play(|mut s| drop(read_all(&mut s)))
}

/// Returns the status that a client gets once a timeout of a minute has run out, which counts under
/// `reason`; asserts that nothing ends before.
fn at_its_edge(node: &Node, mut s: &TcpStream, reason: &str) -> String {
    let (before, after) = around(60_000);
    pass(node, before);
    no_timeouts(node);
    pass(node, after);
    assert_eq!(timeouts(node, reason), 1, "{:?}", node.engine.metrics().timeouts);
    read_head(&mut s).map_or_else(String::new, |h| h.split(' ').nth(1).unwrap().to_owned())
}

/// Sends in one piece or byte by byte, and waits until the worker has taken it.
fn send(node: &Node, mut s: &TcpStream, bytes: &[u8], piece: usize) {
    s.set_nodelay(true).unwrap();
    bytes.chunks(piece).for_each(|part| s.write_all(part).unwrap());
    node.barrier();
}

fn under_way(upstream: &str, route: &str, up: &Upstream) -> (Node, TcpStream) {
    let node = Node::start(&upstream_json(&[up.address], upstream), route, 1);
    let s = node.connect();
    send(&node, &s, GET, GET.len());
    eventually("it is under way", || {
        on_worker(&node, |w| w.ups.iter().any(|(_, up)| up.conn.out.is_empty()))
    });
    node.barrier();
    (node, s)
}

#[test]
fn times_of_a_route_end_a_request_that_is_not_answered() {
    let off = r#""first_byte_ms":0,"stream_idle_ms":0"#;
    for (times, reason) in [
        (format!(r#""request_ms":60000,{off}"#), "request"),
        (format!(r#""per_try_ms":60000,{off}"#), "per_try"),
        (r#""first_byte_ms":60000"#.to_owned(), "first_byte"),
        (r#""first_byte_ms":0,"stream_idle_ms":60000"#.to_owned(), "stream_idle"),
    ] {
        let route = format!(r#","timeouts":{{{times}}}"#);
        let (node, s) = under_way("", &route, &silent());
        assert_eq!(at_its_edge(&node, &s, reason), "504", "{reason}");
        let active = active(&node);
        assert_eq!(active, 0, "{reason}");
    }
}

#[test]
fn a_first_byte_in_time_leaves_the_answer_its_own_times() {
    let up = Upstream::play(|mut s| {
        read_head(&mut s);
        s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").unwrap();
        drop(read_all(&mut s));
    });
    let times = r#","timeouts":{"first_byte_ms":1000,"per_try_ms":1000,"stream_idle_ms":60000}"#;
    let (node, s) = under_way("", times, &up);
    eventually("the answer has begun", || {
        on_worker(&node, |w| w.exchanges.iter_mut().any(|e| e.answered))
    });
    assert_eq!(at_its_edge(&node, &s, "stream_idle"), "200");
}

#[test]
fn the_time_for_a_head_counts_from_its_first_byte() {
    for (piece, earlier) in [(1, 0), (99, 0), (1, 2), (99, 2)] {
        let mut node = Node::simple(&Upstream::answering(OK));
        let json = node.listener_json(r#","head_timeout_ms":60000,"idle_timeout_ms":1000000"#);
        node.apply(&[put(Kind::Listener, "web", json)]);
        let mut s = node.connect();
        for _ in 0..earlier {
            send(&node, &s, GET, piece);
            assert_eq!(read_answer(&mut s).1, b"ok");
        }
        send(&node, &s, b"GET / HTTP/1.1\r\nHost: a\r\nX: y", piece);
        assert_eq!(at_its_edge(&node, &s, "head"), "408", "{earlier} requests before");
    }
}

#[test]
fn a_connection_without_a_request_ends_with_its_idle_time() {
    let mut node = Node::simple(&Upstream::answering(OK));
    let json = node.listener_json(r#","idle_timeout_ms":60000,"head_timeout_ms":1000000"#);
    node.apply(&[put(Kind::Listener, "web", json)]);
    let mut s = node.connect();
    for piece in [GET.len(), 1] {
        send(&node, &s, GET, piece);
        assert_eq!(read_answer(&mut s).1, b"ok");
    }
    node.barrier();
    assert_eq!(at_its_edge(&node, &s, "idle"), "");
}

#[test]
fn a_tls_handshake_has_its_time() {
    for piece in [1, 99] {
        let mut node = Node::simple(&silent());
        Authority::serve(&mut node);
        // The default value.
        let mut s = node.connect();
        s.set_nodelay(true).unwrap();
        for part in [22, 3, 1, 2, 0, 1, 0, 1, 252].chunks(piece) {
            s.write_all(part).unwrap();
        }
        eventually("it is accepted", || connections(&node) == 1);
        on_worker(&node, |_| ());
        pass(&node, 5_000);
        no_timeouts(&node);
        pass(&node, 10_100);
        assert_eq!(timeouts(&node, "handshake"), 1);
        assert!(read_all(&mut s).is_empty());
    }
}

#[test]
fn who_waits_for_a_place_waits_no_longer_than_the_queues_time() {
    let up = silent();
    let json = r#","max_connections":1,"queue":1,"queue_timeout_ms":60000"#;
    let off = r#","timeouts":{"first_byte_ms":0,"stream_idle_ms":0}"#;
    let (node, _first) = under_way(json, off, &up);
    let second = node.connect();
    send(&node, &second, GET, GET.len());
    let mut third = node.connect();
    third.write_all(GET).unwrap();
    assert!(read_head(&mut third).unwrap().starts_with("HTTP/1.1 503 "), "the queue is full");
    assert_eq!(at_its_edge(&node, &second, "queue"), "503");
}

#[test]
fn who_waits_beside_an_endpoint_of_weight_0_waits_for_the_others() {
    let up = silent();
    let [first, other] = [up.address, silent().address];
    let json = format!(
        r#"{{"endpoints":[{{"address":"{first}","max_connections":1}},
            {{"address":"{other}","weight":0}}],"queue":2,"queue_timeout_ms":60000}}"#
    );
    let off = r#","timeouts":{"first_byte_ms":0,"stream_idle_ms":0}"#;
    let node = Node::start(&json, off, 1);
    let served = ask_briefly(&node, GET);
    eventually("it is under way", || up.connections() == 1);
    let next = ask_briefly(&node, GET);
    eventually("one waits", || on_worker(&node, |w| w.upstreams.queued()) == 1);
    let last = node.connect();
    send(&node, &last, GET, GET.len());
    eventually("two wait", || on_worker(&node, |w| w.upstreams.queued()) == 2);
    drop(served);
    eventually("the next one has its place", || up.connections() == 2);
    assert_eq!(at_its_edge(&node, &last, "queue"), "503");
    drop(next);
}

/// Returns a listener that takes no further connection, because its queue is full.
pub(in crate::worker) fn deaf() -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let wait = std::time::Duration::from_millis(200);
    let waiting = (0..8).map_while(|_| TcpStream::connect_timeout(&address, wait).ok()).collect();
    (listener, waiting)
}

#[test]
fn a_connection_that_does_not_come_about_ends_with_its_time() {
    let (listener, _waiting) = deaf();
    let address = listener.local_addr().unwrap();
    let off = r#""first_byte_ms":0,"stream_idle_ms":0"#;
    for (connect_ms, more, reason) in
        [(60_000, "", "connect"), (600_000, r#","per_try_ms":60000"#, "per_try")]
    {
        let json = format!(r#","connect_timeout_ms":{connect_ms}"#);
        let route = format!(r#","timeouts":{{{off}{more}}}"#);
        let node = Node::start(&upstream_json(&[address], &json), &route, 1);
        let s = node.connect();
        send(&node, &s, GET, GET.len());
        eventually("it is connecting", || on_worker(&node, |w| !w.ups.is_empty()));
        assert_eq!(at_its_edge(&node, &s, reason), "504", "{reason}");
        assert_eq!(active(&node), 0, "{reason}");
    }
}

#[test]
fn a_request_whose_own_time_ends_while_it_connects_wants_no_retry() {
    let (listener, _waiting) = deaf();
    let address = listener.local_addr().unwrap();
    let route = r#","timeouts":{"first_byte_ms":0,"stream_idle_ms":0,"request_ms":60000},
        "retry":{"retries":2,"on":["connect-failure"]}"#;
    let json = upstream_json(&[address], r#","connect_timeout_ms":600000"#);
    let node = Node::start(&json, route, 1);
    let s = node.connect();
    send(&node, &s, GET, GET.len());
    eventually("it is connecting", || on_worker(&node, |w| !w.ups.is_empty()));
    assert_eq!(at_its_edge(&node, &s, "request"), "504");
    let metrics = node.engine.metrics();
    assert!(metrics.retries.sent.iter().all(|r| r.count == 0), "{:?}", metrics.retries);
    assert!(metrics.retries.denied.iter().all(|r| r.count == 0), "{:?}", metrics.retries);
}

#[test]
fn an_endpoint_that_takes_no_connection_leaves_time_for_another() {
    let (listener, _waiting) = deaf();
    let up = Upstream::answering(OK);
    let addresses = [listener.local_addr().unwrap(), up.address];
    let json = upstream_json(&addresses, r#","connect_timeout_ms":60000,"balance":"round_robin""#);
    let node = Node::start(&json, "", 1);
    // The endpoints have turns: one of two requests begins at the first.
    let mut clients = [ask(&node, GET), ask(&node, GET)];
    eventually("one is answered", || up.connections() == 1 && active(&node) == 1);
    pass(&node, 25_000);
    no_timeouts(&node);
    pass(&node, 30_050);
    for s in &mut clients {
        assert_eq!(read_answer(s).1, b"ok");
    }
    assert_eq!(timeouts(&node, "connect"), 1);
    // A client has its answer before its worker has counted that.
    eventually("nothing is under way", || active(&node) == 0);
    let endpoints = &node.engine.metrics().upstreams[0].endpoints;
    assert_eq!(endpoints.iter().map(|e| e.failures).collect::<Vec<_>>(), [1, 0]);
    eventually("its connection is closed", || {
        on_worker(&node, |w| w.ups.iter().all(|(_, up)| up.exchange.is_none()))
    });
}

fn leaving(node: &Node) -> bool {
    on_worker(node, |w| matches!(w.leaving, crate::worker::leave::Leaving::Closing { .. }))
}

/// Returns why requests were refused, and how many.
fn rejected(node: &Node) -> Vec<(String, u64)> {
    let all = node.engine.metrics().rejects.into_iter();
    // What `barrier` sends has no Host.
    let all = all.filter(|r| r.count > 0 && r.reason != "host-missing");
    all.map(|r| (r.reason.to_string(), r.count)).collect()
}

/// Continues to leave as the worker would so many milliseconds from now; returns how many clients
/// stay.
fn go_on_leaving(node: &Node, ms: u64) -> usize {
    on_worker(node, move |w| {
        let real = w.now;
        w.now = hg_net::Clock::ticks(w.now_us + ms * 1000);
        w.go_on_leaving();
        w.now = real;
        w.clients.len()
    })
}

#[test]
fn a_drain_takes_connections_until_its_delay_is_over() {
    let up = Upstream::answering(OK);
    let mut node = Node::simple(&up);
    let drain = r#"{"drain":{"delay_ms":60000,"deadline_ms":600000}}"#;
    node.apply(&[put(Kind::Settings, "node", drain)]);
    node.engine.drain(Box::new(|| ()));
    on_worker(&node, |_| ());
    go_on_leaving(&node, 40_000);
    assert!(!leaving(&node));
    assert!(node.get("/").starts_with("HTTP/1.1 200"));
    go_on_leaving(&node, 60_100);
    assert!(leaving(&node));
    assert!(TcpStream::connect(node.address).is_err());
}

#[test]
fn an_idle_connection_of_a_drain_has_its_grace() {
    let up = Upstream::answering(OK);
    let mut node = Node::simple(&up);
    let drain = r#"{"drain":{"delay_ms":1,"idle_grace_ms":60000,"deadline_ms":600000}}"#;
    // The usual idle time would end it as well.
    let listener = node.listener_json(r#","idle_timeout_ms":600000"#);
    node.apply(&[put(Kind::Settings, "node", drain), put(Kind::Listener, "web", listener)]);
    let mut s = node.connect();
    send(&node, &s, GET, GET.len());
    assert_eq!(read_answer(&mut s).1, b"ok");
    node.engine.drain(Box::new(|| ()));
    eventually("it is leaving", || leaving(&node));
    let (before, after) = around(60_000);
    pass(&node, before);
    assert_eq!(connections(&node), 1);
    pass(&node, after);
    assert!(read_all(&mut s).is_empty());
    assert_eq!(connections(&node), 0);
}

#[test]
fn a_connection_whose_last_answer_ends_in_a_drain_has_what_is_left_of_its_grace() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let up = Upstream::play(move |mut s| {
        read_head(&mut s);
        s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha").unwrap();
        wait.lock().unwrap().recv_timeout(DEADLINE).unwrap();
        s.write_all(b"lf").unwrap();
    });
    let mut node = Node::simple(&up);
    let drain = r#"{"drain":{"delay_ms":1,"idle_grace_ms":60000,"deadline_ms":600000}}"#;
    let listener = node.listener_json(r#","idle_timeout_ms":600000"#);
    node.apply(&[put(Kind::Settings, "node", drain), put(Kind::Listener, "web", listener)]);
    let mut s = ask(&node, GET);
    // Its head was sent before anybody knew of the drain.
    assert!(!read_head(&mut s).unwrap().contains("connection: close"));
    node.engine.drain(Box::new(|| ()));
    eventually("it is leaving", || leaving(&node));
    go.send(()).unwrap();
    assert_eq!(read_n(&mut s, 4), b"half");
    eventually("it is idle", || {
        on_worker(&node, |w| w.clients.iter().all(|(_, c)| c.phase == super::Phase::Idle))
    });
    let (before, after) = around(60_000);
    pass(&node, before);
    assert_eq!(connections(&node), 1);
    pass(&node, after);
    assert!(read_all(&mut s).is_empty());
    assert_eq!(connections(&node), 0);
}

#[test]
fn a_drain_ends_what_is_left_at_its_deadline() {
    for hands_over in [true, false] {
        let up = silent();
        let (mut node, mut s) = under_way("", "", &up);
        let drain = r#"{"drain":{"delay_ms":1,"idle_grace_ms":1,"deadline_ms":60000}}"#;
        node.apply(&[put(Kind::Settings, "node", drain)]);
        if hands_over {
            node.engine.handoff(None);
        } else {
            node.engine.drain(Box::new(|| ()));
        }
        eventually("it is leaving", || leaving(&node));
        assert_eq!(go_on_leaving(&node, 40_000), 1, "what is in flight has its time");
        assert_eq!(go_on_leaving(&node, 60_100), 0);
        let (head, body) = read_answer(&mut s);
        assert!(
            head.starts_with("HTTP/1.1 503 ") && head.contains("connection: close\r\n"),
            "{head}"
        );
        assert!(String::from_utf8(body).unwrap().contains("the node ends and waits no longer"));
        assert!(read_all(&mut s).is_empty());
        assert_eq!(rejected(&node), [("drain-deadline".to_owned(), 1)]);
        let report = &node.engine.metrics().upstreams[0].endpoints[0];
        assert_eq!((report.failures, report.active), (0, 0), "nobody blames the endpoint");
    }
}

#[test]
fn an_answer_that_a_drain_cuts_short_breaks_off() {
    let up = Upstream::play(|mut s| {
        read_head(&mut s);
        s.write_all(b"HTTP/1.1 200 OK\r\n\r\nsome").unwrap();
        drop(read_all(&mut s));
    });
    let mut node = Node::simple(&up);
    let drain = r#"{"drain":{"delay_ms":1,"idle_grace_ms":1,"deadline_ms":60000}}"#;
    node.apply(&[put(Kind::Settings, "node", drain)]);
    let mut s = node.connect();
    s.write_all(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n").unwrap();
    read_head(&mut s).unwrap();
    assert_eq!(read_n(&mut s, 4), b"some");
    node.engine.drain(Box::new(|| ()));
    eventually("it is leaving", || leaving(&node));
    assert_eq!(go_on_leaving(&node, 60_100), 0);
    let ended = s.read(&mut [0]).unwrap_err();
    assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset, "an end would look whole");
    assert_eq!(rejected(&node), [("drain-deadline".to_owned(), 1)]);
}

#[test]
fn streams_that_are_left_at_the_deadline_of_a_drain_learn_why() {
    let mut node = Node::simple(&silent());
    let drain = r#"{"drain":{"delay_ms":1,"idle_grace_ms":1,"deadline_ms":60000}}"#;
    let listener = node.listener_json(r#","h2c":true"#);
    node.apply(&[put(Kind::Settings, "node", drain), put(Kind::Listener, "web", listener)]);
    let mut client = Http2Client::connect(&node);
    let ids = [(); 2].map(|()| client.open("GET", "/", &[], true));
    client.flush();
    eventually("they are under way", || active(&node) == 2);
    node.engine.drain(Box::new(|| ()));
    eventually("it is leaving", || leaving(&node));
    assert_eq!(go_on_leaving(&node, 60_100), 0);
    for id in ids {
        assert_eq!(client.answer(id).status, 503);
    }
    assert_eq!(rejected(&node), [("drain-deadline".to_owned(), 2)]);
}

#[test]
fn while_a_node_drains_every_answer_says_that_its_connection_ends() {
    let mut node = Node::simple(&Upstream::answering(OK));
    let route = route_json("").replace(r#""*""#, r#""a""#);
    let own = route_json("").replace(r#""*""#, r#""own""#);
    let own = own.replace(r#""upstream":"u""#, r#""respond":{"status":204}"#);
    let drain = r#"{"drain":{"delay_ms":600000,"deadline_ms":600000}}"#;
    node.apply(&[
        put(Kind::Route, "r", route),
        put(Kind::Route, "own", own),
        put(Kind::Settings, "node", drain),
    ]);
    let kinds = [("a", "200"), ("own", "204"), ("other", "404")];
    let mut clients: Vec<TcpStream> = kinds.iter().map(|_| node.connect()).collect();
    for says_so in [false, true] {
        if says_so {
            node.engine.drain(Box::new(|| ()));
            on_worker(&node, |_| ());
        }
        for (s, (host, status)) in clients.iter_mut().zip(kinds) {
            write!(s, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
            let (head, _) = read_answer(s);
            assert_eq!(head.split(' ').nth(1), Some(status));
            assert_eq!(head.contains("connection: close\r\n"), says_so, "{host}: {head}");
        }
    }
    for s in &mut clients {
        assert!(read_all(s).is_empty(), "and it does end");
    }
}

#[test]
fn the_delay_of_a_drain_has_a_timer_of_its_own() {
    let mut node = Node::simple(&Upstream::answering(OK));
    node.apply(&[put(Kind::Settings, "node", r#"{"drain":{"delay_ms":300}}"#)]);
    let fired = on_worker(&node, |w| {
        w.drain(std::sync::Arc::new(Done::new(Box::new(|| ()))));
        let Leaving::Announced { listeners_until, .. } = w.leaving else { return vec![] };
        let mut fired = Vec::new();
        w.wheel.advance(listeners_until, &mut fired);
        fired.retain(|(raw, _)| Token::from_raw(*raw).kind() == KIND_LEAVING);
        fired.into_iter().map(|(_, at)| at == listeners_until).collect()
    });
    assert_eq!(fired, [true]);
}

/// Lets the timer of each connection and each exchange fire so many ticks after its deadline, or
/// before it.
fn fire_all(node: &Node, ticks: i64) {
    on_worker(node, move |w| {
        let real = w.now;
        let at = |deadline: Ticks| deadline.checked_add_signed(ticks);
        let clients = w.clients.iter_mut().filter_map(|(ci, c)| {
            c.timer = Entry(at(c.deadline)?);
            Some((Token::new(KIND_CLIENT, c.generation, ci), c.timer.0))
        });
        for (token, at) in clients.collect::<Vec<_>>() {
            w.now = at;
            w.fire_client(token, at);
        }
        let ups = w.ups.iter_mut().filter_map(|(ui, up)| {
            up.timer = Entry(at(up.deadline)?);
            Some((Token::new(KIND_UP, up.generation, ui), up.timer.0))
        });
        for (token, at) in ups.collect::<Vec<_>>() {
            w.now = at;
            w.fire_up(token, at);
        }
        w.now = real;
    });
}

#[test]
fn a_timer_ends_idle_connections_at_their_deadline_and_not_a_tick_before() {
    for ticks in [0, 1] {
        let node = Node::simple(&Upstream::answering(OK));
        let mut s = ask(&node, GET);
        assert_eq!(read_answer(&mut s).1, b"ok");
        node.barrier();
        let left = || on_worker(&node, |w| (w.clients.iter().count(), w.ups.iter().count()));
        fire_all(&node, -1);
        assert_eq!(left(), (1, 1));
        let is_armed = on_worker(&node, |w| {
            let mut clients = w.clients.iter().map(|(_, c)| (c.timer.0, c.deadline));
            let mut ups = w.ups.iter().map(|(_, up)| (up.timer.0, up.deadline));
            clients.all(|(timer, deadline)| timer == deadline)
                && ups.all(|(timer, deadline)| timer == deadline)
        });
        assert!(is_armed, "the timers fire again");
        fire_all(&node, ticks);
        assert_eq!(left(), (0, 0));
    }
}
