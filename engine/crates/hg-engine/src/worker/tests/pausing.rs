//! Exchanges whose middlewares wait.

use super::*;
use crate::EndpointOrder;
use crate::common::http2::Client as Http2Client;
use crate::worker::exchange::Stage;
use hg_net::Ticks;

const DELAYED: &str = r#","middlewares":[{"fault":{"delay_ms":30000}}]"#;

fn node(up: &Upstream, route: &str) -> Node {
    Node::start(&upstream_json(&[up.address], ""), route, 1)
}

/// Sends, and waits until the worker has taken it.
fn send(node: &Node, mut s: &TcpStream, bytes: &[u8]) {
    s.write_all(bytes).unwrap();
    node.barrier();
}

fn paused(node: &Node) -> usize {
    on_worker(node, |w| w.exchanges.iter_mut().filter(|e| e.stage == Stage::Paused).count())
}

/// Ends what every exchange waits for.
fn wake(node: &Node) {
    on_worker(node, |w| {
        for x in w.exchanges.ids(|e| e.stage == Stage::Paused) {
            if let Some(e) = w.exchanges.get_mut(x) {
                e.due.again = Ticks::default();
            }
            w.expire_pause(x);
        }
    });
}

fn results(node: &Node) -> Vec<(&'static str, u64)> {
    node.engine.metrics().middlewares.iter().map(|one| (one.result, one.count)).collect()
}

#[test]
fn a_delayed_request_is_not_sent_before_its_time_and_then_served() {
    let up = Upstream::answering(OK);
    let node = node(&up, DELAYED);
    let mut s = node.connect();
    send(&node, &s, GET);
    assert_eq!((paused(&node), up.connections()), (1, 0));
    pass(&node, 10_000);
    assert_eq!((paused(&node), up.connections()), (1, 0));
    pass(&node, 31_000);
    assert_eq!(read_answer(&mut s).1, b"ok");
    assert_eq!(results(&node), [("pass", 0), ("delay", 1), ("abort", 0)]);
    // The connection serves the next one.
    send(&node, &s, GET);
    wake(&node);
    assert_eq!(read_answer(&mut s).1, b"ok");
}

#[test]
fn a_wait_ends_in_the_tick_that_it_was_to_end_in() {
    let up = Upstream::answering(OK);
    let node = node(&up, DELAYED);
    let mut s = node.connect();
    send(&node, &s, GET);
    let stays = on_worker(&node, |w| {
        let x = w.exchanges.ids(|e| e.stage == Stage::Paused)[0];
        [1, 0].map(|left| {
            w.exchanges.get_mut(x).unwrap().due.again = w.now + left;
            w.expire_pause(x);
            w.exchanges.get(x).unwrap().stage == Stage::Paused
        })
    });
    assert_eq!(stays, [true, false]);
    assert_eq!(read_answer(&mut s).1, b"ok");
}

#[test]
fn a_body_and_the_next_request_wait_with_the_client() {
    let up = Upstream::play(|mut s| {
        let head = read_head(&mut s).unwrap();
        assert!(head.starts_with("POST /first "), "{head}");
        assert_eq!(read_n(&mut s, 1_000_000), vec![b'x'; 1_000_000]);
        s.write_all(OK).unwrap();
        assert!(read_head(&mut s).unwrap().starts_with("GET /second "));
        s.write_all(OK).unwrap();
    });
    let node = node(&up, DELAYED);
    let mut s = node.connect();
    let mut writer = s.try_clone().unwrap();
    let client = std::thread::spawn(move || {
        let head = "POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
        writer.write_all(head.as_bytes()).unwrap();
        writer.write_all(&vec![b'x'; 1_000_000]).unwrap();
        writer.write_all(b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    });
    eventually("it waits", || paused(&node) == 1);
    node.barrier();
    let held = on_worker(&node, |w| w.clients.iter().map(|(_, c)| c.input.len()).max().unwrap());
    assert!(held <= 64 * 1024, "{held} bytes of the body were read");
    wake(&node);
    assert_eq!(read_answer(&mut s).1, b"ok");
    client.join().unwrap();
    eventually("the second waits", || paused(&node) == 1);
    wake(&node);
    assert_eq!(read_answer(&mut s).1, b"ok");
}

#[test]
fn a_small_body_goes_with_its_head_and_pipelined_requests_follow() {
    let up = Upstream::play(|mut s| {
        while let Some(head) = read_head(&mut s) {
            if head.starts_with("POST") {
                assert_eq!(read_n(&mut s, 5), b"hello");
            }
            s.write_all(OK).unwrap();
        }
    });
    let node = node(&up, DELAYED);
    let mut s = node.connect();
    let post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    send(&node, &s, &[&post[..], &post[..], GET].concat());
    for _ in 0..3 {
        eventually("the next one waits", || paused(&node) == 1);
        wake(&node);
        assert_eq!(read_answer(&mut s).1, b"ok");
    }
}

#[test]
fn a_request_behind_one_that_finds_no_endpoint_has_its_turn() {
    let up = Upstream::answering(OK);
    let node = node(&up, DELAYED);
    node.engine.order("u", &up.address.to_string(), EndpointOrder::Maintenance);
    let mut s = node.connect();
    send(&node, &s, &[GET, GET, GET].concat());
    for _ in 0..3 {
        eventually("the next one waits", || paused(&node) == 1);
        wake(&node);
        assert!(read_answer(&mut s).0.starts_with("HTTP/1.1 503 "));
    }
}

#[test]
fn the_wait_ends_with_its_client() {
    let up = Upstream::answering(OK);
    let node = node(&up, r#","middlewares":[{"fault":{"delay_ms":30000,"most":1}}]"#);
    let s = node.connect();
    send(&node, &s, GET);
    assert_eq!(paused(&node), 1);
    hg_net::close_with_reset(s.into());
    eventually("it is gone", || paused(&node) == 0);
    let log = node.engine.metrics().rejects;
    assert!(log.iter().any(|r| r.reason == "client-gone"), "{log:?}");
    // Its place among the delayed is free: the end was told.
    let s = node.connect();
    send(&node, &s, GET);
    assert_eq!(paused(&node), 1);
    assert_eq!(up.connections(), 0);
}

#[test]
fn a_client_that_ends_its_half_is_answered_all_the_same() {
    let up = Upstream::answering(OK);
    let node = node(&up, DELAYED);
    let mut s = node.connect();
    send(&node, &s, GET);
    s.shutdown(Shutdown::Write).unwrap();
    node.barrier();
    wake(&node);
    assert_eq!(read_answer(&mut s).1, b"ok");
}

#[test]
fn refusals_come_after_the_delay_with_the_edits_of_the_route() {
    let up = Upstream::answering(OK);
    let route = r#","middlewares":[{"response_headers":{"set":{"x-path":"${path}"}}},
        {"fault":{"delay_ms":30000,"abort":418}}]"#;
    let node = node(&up, route);
    let mut s = node.connect();
    send(&node, &s, GET);
    wake(&node);
    let (head, _) = read_answer(&mut s);
    assert!(head.starts_with("HTTP/1.1 418 "), "{head}");
    assert!(head.contains("x-path: /\r\n") && head.contains("fault"), "{head}");
    assert_eq!(results(&node), [("pass", 0), ("delay", 1), ("abort", 1)]);
    // A body that nobody takes ends the connection.
    send(&node, &s, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    wake(&node);
    let answer = String::from_utf8(read_all(&mut s)).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 418 ") && answer.contains("connection: close"),
        "{answer}"
    );
}

#[test]
fn a_new_plan_neither_ends_the_wait_nor_loses_the_counts() {
    let up = Upstream::answering(OK);
    let mut node = node(&up, DELAYED);
    let mut s = node.connect();
    send(&node, &s, GET);
    node.apply(&[put(Kind::Route, "r", route_json(r#","middlewares":[{"fault":{"abort":404}}]"#))]);
    assert!(node.get("/").starts_with("HTTP/1.1 404 "));
    assert_eq!(paused(&node), 1);
    wake(&node);
    assert_eq!(read_answer(&mut s).1, b"ok");
    assert_eq!(results(&node), [("pass", 0), ("delay", 1), ("abort", 1)]);
}

#[test]
fn streams_of_http2_wait_each_for_itself() {
    let up = Upstream::play(|mut s| {
        while let Some(head) = read_head(&mut s) {
            if head.starts_with("POST") {
                assert!(head.contains("content-length: 70000"), "{head}");
                assert_eq!(read_n(&mut s, 70_000), vec![b'y'; 70_000]);
            }
            s.write_all(OK).unwrap();
        }
    });
    let mut node = node(&up, "");
    let slow = r#"{"action":{"upstream":"u"},"hosts":["*"],"listeners":["web"],
        "match":[{"path":{"prefix":"/slow"}}],"middlewares":[{"fault":{"delay_ms":30000}}]}"#;
    node.apply(&[
        put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#)),
        put(Kind::Route, "slow", slow),
    ]);
    let mut client = Http2Client::connect(&node);
    let get = client.open("GET", "/slow", &[], true);
    let post = client.open("POST", "/slow", &[("content-length", "70000")], false);
    let gone = client.open("GET", "/slow/gone", &[], true);
    assert_eq!(client.get("/").body, b"ok", "others do not wait");
    client.flush();
    eventually("three wait", || paused(&node) == 3);
    client.session.reset(gone, hg_h2::Code::CANCEL);
    client.flush();
    eventually("one has left", || paused(&node) == 2);
    wake(&node);
    client.send(post, &vec![b'y'; 70_000], true);
    assert_eq!(client.answer(post).body, b"ok");
    assert_eq!(client.answer(get).body, b"ok");
}

#[test]
fn a_drain_lets_the_wait_end_and_its_deadline_ends_it() {
    let up = Upstream::answering(OK);
    let node = node(&up, DELAYED);
    let mut s = node.connect();
    send(&node, &s, GET);
    node.engine.inner.workers[0].mailbox.send(Message::HandOff(None));
    eventually("it leaves", || on_worker(&node, |w| !w.leaving.accepts()));
    assert_eq!(paused(&node), 1);
    wake(&node);
    let (head, body) = read_answer(&mut s);
    assert!(head.contains("connection: close") && body == b"ok", "{head}");
}

/// Has an exchange that waits for a time wait for a job instead.
fn wait_for(node: &Node, job: Option<fn() -> hg_middleware::Brought>) {
    on_worker(node, move |w| {
        let x = w.exchanges.ids(|e| e.stage == Stage::Paused)[0];
        let paused = w.exchanges.get_mut(x).unwrap().chained.paused.as_mut().unwrap();
        paused.is_job = true;
        let ticket = paused.ticket;
        if let Some(job) = job {
            assert!(w.submit(x, ticket, Box::new(job)));
        }
    });
}

#[test]
fn a_job_off_the_worker_resumes_the_exchange_and_one_that_fails_closes_it() {
    let up = Upstream::answering(OK);
    let node = node(&up, DELAYED);
    let mut s = node.connect();
    send(&node, &s, GET);
    wait_for(&node, Some(|| Box::new(7)));
    assert_eq!(read_answer(&mut s).1, b"ok");
    for (job, reason) in [
        (Some((|| std::panic::panic_any("asked to")) as fn() -> _), "middleware-failed"),
        (None, "middleware-timeout"),
    ] {
        send(&node, &s, GET);
        wait_for(&node, job);
        if job.is_none() {
            wake(&node);
        }
        let (head, _) = read_answer(&mut s);
        assert!(head.starts_with("HTTP/1.1 503 "), "{reason}: {head}");
        let rejects = node.engine.metrics().rejects;
        assert!(rejects.iter().any(|r| r.reason == reason), "{rejects:?}");
    }
}

#[test]
fn the_result_of_a_job_whose_exchange_is_gone_goes_nowhere() {
    let up = Upstream::answering(OK);
    let node = node(&up, DELAYED);
    let s = node.connect();
    send(&node, &s, GET);
    let (x, ticket) = on_worker(&node, |w| {
        let x = w.exchanges.ids(|e| e.stage == Stage::Paused)[0];
        (x, w.exchanges.get_mut(x).unwrap().chained.paused.as_ref().unwrap().ticket)
    });
    // That of an earlier wait.
    on_worker(&node, move |w| w.take_brought(x, ticket + 1, Some(Box::new(()))));
    assert_eq!(paused(&node), 1);
    hg_net::close_with_reset(s.into());
    eventually("it is gone", || paused(&node) == 0);
    let mut next = node.connect();
    send(&node, &next, GET);
    on_worker(&node, move |w| w.take_brought(x, ticket, Some(Box::new(()))));
    assert_eq!(paused(&node), 1);
    wake(&node);
    assert_eq!(read_answer(&mut next).1, b"ok");
}
