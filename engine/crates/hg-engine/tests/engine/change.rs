//! Changes in operation: plans, listeners, limits, leaving.

use crate::common::tls::Authority;
use crate::common::*;
use hg_plan::Kind;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_request_in_flight_finishes_on_the_plan_it_began_with() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let slow = Upstream::play(move |mut s| {
        read_head(&mut s);
        wait.lock().unwrap().recv().unwrap();
        s.write_all(OK).unwrap();
    });
    let other = Upstream::answering(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    let mut node = Node::simple(&slow);
    let mut s = node.connect();
    s.write_all(GET).unwrap();
    eventually("the request is upstream", || slow.connections() == 1);
    node.apply(&[put(Kind::Upstream, "u", upstream_json(&[other.address], ""))]);
    assert!(node.get("/").starts_with("HTTP/1.1 201"));
    go.send(()).unwrap();
    assert_eq!(read_answer(&mut s).1, b"ok");
    s.write_all(GET).unwrap();
    assert!(read_head(&mut s).unwrap().starts_with("HTTP/1.1 201"));
}

#[test]
fn a_bad_plan_changes_nothing() {
    let up = Upstream::answering(OK);
    let mut node = Node::simple(&up);
    let mut plan = hg_plan::Plan::default();
    let changes = [put(
        Kind::Route,
        "r",
        r#"{"action":{"upstream":"none"},"hosts":["*"],"listeners":["web"]}"#,
    )];
    plan.apply(&changes).unwrap();
    let errors = node.engine.apply(&plan, &changes, &|_| None).unwrap_err();
    assert!(errors.iter().any(|e| e.message.contains("no upstream `none`")), "{errors:?}");
    assert!(node.get("/").starts_with("HTTP/1.1 200"));
    node.apply(&[put(Kind::Upstream, "u", upstream_json(&[up.address], r#","queue":1"#))]);
    assert!(node.get("/").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_closed_listener_still_serves_what_had_connected() {
    let up = Upstream::answering(OK);
    let node = Node::simple(&up);
    let mut s = node.connect();
    s.write_all(GET).unwrap();
    assert_eq!(read_answer(&mut s).1, b"ok");
    let (tell, told) = std::sync::mpsc::channel();
    node.engine.close_listener(&node.address.to_string(), Box::new(move || tell.send(()).unwrap()));
    told.recv_timeout(DEADLINE).unwrap();
    eventually("new connections are refused", || {
        std::net::TcpStream::connect(node.address).is_err()
    });
    s.write_all(GET).unwrap();
    assert_eq!(read_answer(&mut s).1, b"ok");
}

#[test]
fn requests_over_the_limit_wait_their_turn() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let up = Upstream::play(move |mut s| {
        while read_head(&mut s).is_some() {
            wait.lock().unwrap().recv().unwrap();
            s.write_all(OK).unwrap();
        }
    });
    let json =
        upstream_json(&[up.address], r#","max_connections":1,"queue":2,"queue_timeout_ms":60000"#);
    let node = Node::start(&json, "", 1);
    let mut clients: Vec<_> = (0..3).map(|_| node.connect()).collect();
    for (i, c) in clients.iter_mut().enumerate() {
        c.write_all(GET).unwrap();
        let queued = || node.engine.metrics().upstreams[0].queued;
        eventually("it is queued", || up.connections() == 1 && queued() == i as u64);
    }
    let mut refused = node.connect();
    refused.write_all(GET).unwrap();
    assert!(read_head(&mut refused).unwrap().starts_with("HTTP/1.1 503 "));
    for _ in 0..3 {
        go.send(()).unwrap();
    }
    for c in &mut clients {
        assert_eq!(read_answer(c).1, b"ok");
    }
    assert_eq!(up.connections(), 1);
}

#[test]
fn requests_that_wait_are_answered_at_once_when_their_upstream_is_gone() {
    let up = Upstream::play(|mut s| {
        read_head(&mut s);
        read_all(&mut s);
    });
    let json =
        upstream_json(&[up.address], r#","max_connections":1,"queue":2,"queue_timeout_ms":60000"#);
    let mut node = Node::start(&json, r#","timeouts":{"request_ms":600000}"#, 1);
    let mut clients = [node.connect(), node.connect()];
    for (i, c) in clients.iter_mut().enumerate() {
        c.write_all(GET).unwrap();
        let queued = || node.engine.metrics().upstreams[0].queued;
        eventually("it is queued", || up.connections() == 1 && queued() == i as u64);
    }
    let gone = hg_plan::Change { kind: Kind::Upstream, name: "u".into(), bytes: None };
    let other = route_json("").replace(r#""upstream":"u""#, r#""respond":{"status":200}"#);
    node.apply(&[put(Kind::Route, "r", other), gone]);
    let (head, _) = read_answer(&mut clients[1]);
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("no upstream"), "{head}");
}

#[test]
fn a_worker_that_leaves_has_its_last_lines_written() {
    let scratch = std::env::temp_dir().join(format!("hg-last-lines-{}", std::process::id()));
    let path = scratch.to_str().unwrap();
    // Not by a child: until it executes `mkfifo`, it would keep open what other tests close.
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mut reader = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let mut writer = reader.try_clone().unwrap();
    let mut node = Node::simple(&Upstream::answering(OK));
    let settings = format!(
        r#"{{"access_log":{{"format":"json","sink":{{"file":{{"path":"{path}"}}}}}},"drain":{{"idle_grace_ms":1}}}}"#
    );
    node.apply(&[put(Kind::Settings, "node", settings)]);
    // More than a pipe takes.
    let long = format!("/{}", "a".repeat(8_000));
    for _ in 0..20 {
        assert!(node.get(&long).starts_with("HTTP/1.1 200 "));
    }
    node.engine.handoff(None);
    let polls = AtomicUsize::new(0);
    let reads = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            reads.wait();
            let mut bytes = [0; 65536];
            while reader.read(&mut bytes).is_ok_and(|n| !bytes[..n].ends_with(b"the end\n")) {}
        });
        eventually("the worker has left", || {
            if polls.fetch_add(1, SeqCst) == 20 {
                reads.wait();
            }
            node.engine.is_drained()
        });
        let log = node.engine.metrics().log;
        if polls.load(SeqCst) <= 20 {
            reads.wait();
        }
        writer.write_all(b"the end\n").unwrap();
        // A reader that stands still for long costs lines, which are counted.
        assert_eq!(log.lines + log.dropped, 20);
    });
    std::fs::remove_file(path).unwrap();
}

#[test]
fn after_a_hand_off_requests_finish_and_the_worker_leaves() {
    let up = Upstream::answering(OK);
    let mut node = Node::simple(&up);
    node.apply(&[put(Kind::Settings, "node", r#"{"drain":{"idle_grace_ms":50}}"#)]);
    let mut s = node.connect();
    s.write_all(GET).unwrap();
    assert_eq!(read_answer(&mut s).1, b"ok");
    node.engine.handoff(None);
    eventually("the worker has left", || node.engine.is_drained());
    assert!(read_all(&mut s).is_empty());
}

/// Returns the head of an answer to a request that does not ask for the end of its connection.
fn asked_to_stay(node: &Node) -> String {
    let mut s = node.connect();
    s.write_all(GET).unwrap();
    read_answer(&mut s).0
}

#[test]
fn a_drain_says_that_connections_end_and_then_ends_them() {
    let up = Upstream::answering(OK);
    let mut node = Node::simple(&up);
    node.apply(&[put(Kind::Settings, "node", r#"{"drain":{"delay_ms":4000,"idle_grace_ms":50}}"#)]);
    let (tell, told) = std::sync::mpsc::channel();
    assert!(!asked_to_stay(&node).contains("connection:"));
    node.engine.drain(Box::new(move || tell.send(()).unwrap()));
    eventually("answers say so", || asked_to_stay(&node).contains("connection: close\r\n"));
    told.recv_timeout(DEADLINE).unwrap();
    eventually("the worker has left", || node.engine.is_drained());
    drop(TcpListener::bind(node.address).expect("the port is free again"));
}

#[test]
fn connections_over_the_limits_are_refused_and_counted() {
    let up = Upstream::answering(OK);
    let mut node = Node::simple(&up);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","max_connections":1"#))]);
    let mut first = node.connect();
    first.write_all(GET).unwrap();
    assert_eq!(read_answer(&mut first).1, b"ok");
    let mut second = node.connect();
    // The connection may already be reset.
    let _ = second.write_all(GET);
    assert!(read_all(&mut second).is_empty());
    let refused = node.engine.metrics().refused_connections;
    assert!(refused.iter().any(|r| r.reason == "listener" && r.count == 1), "{refused:?}");
    drop(first);
    eventually("there is room again", || node.get("/").starts_with("HTTP/1.1 200"));
}

#[test]
fn connections_that_were_opened_under_a_limit_count_when_it_comes_back() {
    let mut node = Node::simple(&Upstream::answering(OK));
    let limit = |most: u32| format!(r#"{{"max_connections_per_client":{most}}}"#);
    node.apply(&[put(Kind::Settings, "node", limit(2))]);
    let ask = |s: &mut std::net::TcpStream| {
        s.write_all(GET).unwrap();
        read_head(s)
    };
    let mut old = [node.connect(), node.connect()];
    assert!(old.iter_mut().all(|s| ask(s).is_some()));
    node.apply(&[put(Kind::Settings, "node", limit(0))]);
    node.apply(&[put(Kind::Settings, "node", limit(2))]);
    let refused = || {
        let mut s = node.connect();
        s.write_all(GET).is_err() || read_head(&mut s).is_none()
    };
    assert!(refused(), "two are open");
    drop(old);
    eventually("there is room again", || !refused());
}

#[test]
fn a_connection_that_is_older_than_its_listeners_tls_gets_no_more_answers() {
    let mut node = Node::simple(&Upstream::answering(OK));
    let mut s = node.connect();
    s.write_all(GET).unwrap();
    assert!(read_head(&mut s).unwrap().starts_with("HTTP/1.1 200 "));
    read_n(&mut s, 2);
    Authority::serve(&mut node);
    s.write_all(GET).unwrap();
    let (head, _) = read_answer(&mut s);
    assert!(head.starts_with("HTTP/1.1 421 ") && head.contains("connection: close\r\n"), "{head}");
    assert!(read_head(&mut s).is_none());
}

#[test]
fn other_latency_buckets_count_on_from_what_was_counted() {
    let up = Upstream::answering(OK);
    let mut node = Node::start(&upstream_json(&[up.address], ""), "", 2);
    let duration = |node: &Node| node.engine.metrics().duration;
    node.get("/");
    eventually("the request is counted", || duration(&node).count() == 1);
    assert_eq!(duration(&node).bounds_us, hg_plan::LATENCY_BOUNDS_US);
    let sum_us = duration(&node).sum_us;
    let bounds = r#"{"latency_bounds_us":[600000000]}"#;
    node.apply(&[put(Kind::Settings, "node", bounds)]);
    assert_eq!((duration(&node).counts, duration(&node).sum_us), (vec![1, 0], sum_us));
    node.get("/");
    eventually("the next one, too", || duration(&node).counts == [2, 0]);
    let message = node.refused(&[put(Kind::Settings, "node", r#"{"latency_bounds_us":[2,1]}"#)]);
    assert!(message[0].contains("latency_buckets"), "{message:?}");
    assert_eq!(duration(&node).bounds_us, [600_000_000]);
}
