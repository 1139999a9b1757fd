//! The things that are counted and kept during requests, and given back after them: places at an
//! upstream, idle connections, waiting requests.

use super::*;
use crate::worker::exchange::Stage;
use std::sync::atomic::Ordering::Relaxed;

/// Returns the sum of all counts of requests in flight: those of the limits and the reported one.
fn in_flight(node: &Node) -> u64 {
    let places = on_worker(node, |w| {
        let Some(u) = w.upstreams.get_mut(0) else { return 0 };
        let endpoints = u.entry.endpoints.iter().map(|e| e.in_use.load(Relaxed));
        u64::from(u.entry.in_use.load(Relaxed) + endpoints.sum::<u32>())
    });
    let shown = active(node);
    places + shown
}

/// Starts a node whose only upstream has room for one request.
fn narrow(address: SocketAddr, queue: u32, route: &str) -> Node {
    let json = upstream_json(
        &[address],
        &format!(r#","max_connections":1,"queue":{queue},"queue_timeout_ms":60000"#),
    );
    let json = json.replace(r#""}]"#, r#"","max_connections":1}]"#);
    Node::start(&json, route, 1)
}

fn status(s: &mut TcpStream) -> String {
    read_head(s).unwrap().split(' ').nth(1).unwrap().to_owned()
}

/// An upstream's treatment of a request: a name, a script and the status its client gets, if any.
type Fate = (&'static str, fn(TcpStream), Option<&'static str>);

const FATES: [Fate; 4] = [
    (
        "answered",
        |mut s| {
            while read_head(&mut s).is_some() {
                s.write_all(OK).unwrap()
            }
        },
        Some("200"),
    ),
    ("closed", |mut s| drop(read_head(&mut s)), Some("502")),
    (
        "malformed",
        |mut s| {
            read_head(&mut s);
            let _ = s.write_all(b"HTTP/9\r\n\r\n");
        },
        Some("502"),
    ),
    (
        "cut",
        |mut s| {
            read_head(&mut s);
            let _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
        },
        Some("200"),
    ),
];

#[test]
fn the_place_of_a_request_is_free_again_however_it_ended() {
    for (what, fate, expected) in FATES {
        let up = Upstream::play(fate);
        let node = narrow(up.address, 0, "");
        for _ in 0..3 {
            let mut s = ask(&node, GET);
            assert_eq!(Some(&*status(&mut s)), expected, "{what}");
            // The end of its body, or of the connection.
            drop(s.read(&mut [0; 99]));
            drop(s);
            eventually(what, || in_flight(&node) == 0);
        }
    }
}

#[test]
fn the_place_of_a_request_whose_client_left_or_that_reached_nobody_is_free_again() {
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let node = narrow(up.address, 0, "");
    for _ in 0..3 {
        let s = ask(&node, GET);
        eventually("it is in flight", || in_flight(&node) == 3);
        hg_net::close_with_reset(s.into());
        eventually("it is over", || in_flight(&node) == 0);
    }
    let free = unused_address();
    let node = narrow(free, 0, "");
    for _ in 0..3 {
        assert_eq!(status(&mut ask(&node, GET)), "502");
        assert_eq!(in_flight(&node), 0);
    }
}

#[test]
fn above_its_limit_an_upstream_gets_nothing() {
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let node = narrow(up.address, 0, "");
    let _first = ask(&node, GET);
    eventually("it is in flight", || in_flight(&node) == 3);
    assert_eq!(status(&mut ask(&node, GET)), "503");
    assert_eq!(in_flight(&node), 3);
}

#[test]
fn the_balancer_knows_which_requests_are_over() {
    let names: Vec<Upstream> = ["one", "two"]
        .into_iter()
        .map(|name| {
            Upstream::play(move |mut s| {
                while let Some(head) = read_head(&mut s) {
                    if head.starts_with("GET /hang") {
                        drop(read_all(&mut s));
                        return;
                    }
                    write!(s, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{name}").unwrap();
                }
            })
        })
        .collect();
    let addresses: Vec<SocketAddr> = names.iter().map(|u| u.address).collect();
    let json = upstream_json(&addresses, r#","balance":"least_conn""#);
    let node = Node::start(&json, "", 1);
    let _hanging = ask(&node, b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
    let busy = || names.iter().filter(|u| u.connections() > 0).count();
    eventually("it hangs", || busy() == 1);
    let mut s = node.connect();
    let answers: Vec<Vec<u8>> = (0..6)
        .map(|_| {
            s.write_all(GET).unwrap();
            read_answer(&mut s).1
        })
        .collect();
    // Each time the one endpoint where nothing hangs.
    assert!(answers.iter().all(|name| *name == answers[0]), "{answers:?}");
    assert_eq!(names.iter().map(Upstream::connections).sum::<usize>(), 2);
}

#[test]
fn who_waits_for_a_place_still_has_its_turn_after_a_change_of_the_upstream() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let up = Upstream::play(move |mut s| {
        while read_head(&mut s).is_some() {
            wait.lock().unwrap().recv_timeout(DEADLINE).unwrap();
            s.write_all(OK).unwrap();
        }
    });
    let mut node = narrow(up.address, 5, "");
    let mut first = ask(&node, GET);
    eventually("the first has the place", || in_flight(&node) == 3);
    let mut second = ask(&node, GET);
    let waiting = |w: &mut Worker| w.upstreams.get_mut(0).map_or(0, |u| u.waiting.len());
    eventually("the second waits", || on_worker(&node, waiting) == 1);
    let json =
        upstream_json(&[up.address], r#","max_connections":1,"queue":7,"queue_timeout_ms":60000"#);
    node.apply(&[put(Kind::Upstream, "u", json)]);
    assert_eq!(on_worker(&node, waiting), 1);
    for s in [&mut first, &mut second] {
        go.send(()).unwrap();
        assert_eq!(read_answer(s).1, b"ok");
    }
    assert_eq!(on_worker(&node, waiting), 0);
}

#[test]
fn the_time_of_a_try_begins_with_its_endpoint_and_not_in_the_queue() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let up = Upstream::play(move |mut s| {
        while read_head(&mut s).is_some() {
            wait.lock().unwrap().recv_timeout(DEADLINE).unwrap();
            s.write_all(OK).unwrap();
        }
    });
    let node = narrow(up.address, 5, "");
    let mut first = ask(&node, GET);
    eventually("the first has the place", || in_flight(&node) == 3);
    let mut second = ask(&node, GET);
    let waiting = |w: &mut Worker| w.upstreams.get_mut(0).map_or(0, |u| u.waiting.len());
    eventually("the second waits", || on_worker(&node, waiting) == 1);
    let since = on_worker(&node, |w| w.now_us);
    eventually("time goes by", || on_worker(&node, |w| w.now_us) > since);
    go.send(()).unwrap();
    assert_eq!(read_answer(&mut first).1, b"ok");
    eventually("the second has the place", || on_worker(&node, waiting) == 0);
    let began = on_worker(&node, |w| w.exchanges.iter_mut().map(|e| e.times.began_us).max());
    assert!(began > Some(since), "{began:?} > {since}");
    go.send(()).unwrap();
    assert_eq!(read_answer(&mut second).1, b"ok");
}

fn pooled(pool: &str) -> (Upstream, Node) {
    let up = Upstream::answering(OK);
    let json = upstream_json(&[up.address], &format!(r#","pool":{{{pool}}}"#));
    let node = Node::start(&json, "", 1);
    (up, node)
}

fn get(node: &Node) {
    let mut s = ask(node, GET);
    assert_eq!(read_answer(&mut s).1, b"ok");
}

#[test]
fn a_connection_past_its_age_is_not_used_again() {
    let (up, node) = pooled(r#""max_age_ms":1"#);
    get(&node);
    let grown = |w: &mut Worker| w.ups.iter().all(|(_, up)| w.now > up.opened);
    eventually("it has grown older", || on_worker(&node, grown));
    get(&node);
    assert_eq!(up.connections(), 2);
    // It is its age that counts, in ticks of the clock.
    let (up, node) = pooled(r#""max_age_ms":60"#);
    get(&node);
    let old = |w: &mut Worker| {
        let age = |up: &crate::worker::up::Up| w.now.saturating_sub(up.opened);
        w.ups.iter().all(|(_, up)| age(up) * hg_net::Clock::TICK_MS >= 60)
    };
    eventually("it is old", || on_worker(&node, old));
    get(&node);
    assert_eq!(up.connections(), 2);
    let (up, node) = pooled(r#""max_age_ms":60000"#);
    for _ in 0..3 {
        get(&node);
    }
    assert_eq!(up.connections(), 1);
}

#[test]
fn no_more_idle_connections_are_kept_than_the_pool_has_room_for() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let up = Upstream::play(move |mut s| {
        while read_head(&mut s).is_some() {
            wait.lock().unwrap().recv_timeout(DEADLINE).unwrap();
            s.write_all(OK).unwrap();
        }
    });
    let node = Node::start(&upstream_json(&[up.address], r#","pool":{"max_idle":2}"#), "", 1);
    let mut clients: Vec<TcpStream> = (0..4).map(|_| ask(&node, GET)).collect();
    eventually("all are under way", || up.connections() == 4);
    for _ in &clients {
        go.send(()).unwrap();
    }
    for s in &mut clients {
        assert_eq!(read_answer(s).1, b"ok");
    }
    assert_eq!(on_worker(&node, |w| w.ups.len()), 2);
}

#[test]
fn an_idle_connection_is_closed_when_its_time_is_over() {
    let (_up, node) = pooled(r#""idle_timeout_ms":60000"#);
    get(&node);
    pass(&node, 40_000);
    assert_eq!(on_worker(&node, |w| w.ups.len()), 1);
    pass(&node, 60_100);
    assert_eq!(on_worker(&node, |w| w.ups.len()), 0);
    assert_eq!(node.engine.metrics().upstreams[0].endpoints[0].idle, 0);
}

#[test]
fn after_an_upload_that_was_cut_short_neither_connection_is_used_again() {
    let up = Upstream::play(|mut s| {
        read_head(&mut s);
        s.write_all(OK).unwrap();
        drop(read_all(&mut s));
    });
    let node = Node::simple(&up);
    let mut s = ask(&node, b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nsome");
    let (head, body) = read_answer(&mut s);
    assert!(head.contains("connection: close\r\n"), "{head}");
    assert_eq!((&*body, on_worker(&node, |w| w.ups.len())), (&b"ok"[..], 0));
    // These bytes belong to the body and are never a request.
    let _ = s.write_all(GET);
    assert!(read_all(&mut s).is_empty());
}

#[test]
fn a_request_that_is_at_its_endpoint_is_not_started_again() {
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let node = Node::simple(&up);
    let _s = ask(&node, GET);
    eventually("it waits for its answer", || {
        on_worker(&node, |w| !w.exchanges.ids(|e| e.stage == Stage::Waiting).is_empty())
    });
    let connections = on_worker(&node, |w| {
        let x = w.exchanges.ids(|e| e.stage == Stage::Waiting)[0];
        w.go_upstream(x);
        w.ups.len()
    });
    assert_eq!((connections, active(&node)), (1, 1));
}

#[test]
fn ids_of_requests_are_32_digits_of_16_kinds() {
    let node = Node::simple(&Upstream::answering(OK));
    let ids = on_worker(&node, |w| [(); 100].map(|()| w.random_id()));
    let digits: std::collections::BTreeSet<u8> = ids.iter().flatten().copied().collect();
    assert!(digits.iter().eq(b"0123456789abcdef"), "{digits:?}");
    let kinds: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(kinds.len(), 100);
}
