//! Endpoints that speak HTTP/2, through a real engine: how streams and connections end.

use crate::common::http2::Client;
use crate::common::http2_peer::{H2C, Peer, ask, get, on, serving};
use crate::common::*;
use hg_h2::Code;
use hg_plan::Kind;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, mpsc};

#[test]
fn a_stream_that_is_reset_ends_its_own_request_only() {
    let up = Upstream::play(|s| {
        let mut peer = Peer::over(s);
        let bad = peer.next().unwrap();
        let good = peer.next().unwrap();
        let (bad, good) =
            if peer.requests[&bad].path == "/bad" { (bad, good) } else { (good, bad) };
        peer.reset(bad, Code::INTERNAL_ERROR);
        peer.answer(good, b"good");
        while peer.read() {}
    });
    let node = on(&up);
    let mut bad = ask(&node, &get("/bad"));
    let mut good = ask(&node, &get("/good"));
    assert!(read_head(&mut bad).unwrap().starts_with("HTTP/1.1 502 "));
    assert_eq!(read_answer(&mut good).1, b"good");
    assert_eq!(up.connections(), 1);
}

#[test]
fn what_an_endpoint_did_not_process_is_sent_again() {
    let up = Upstream::play(|s| {
        let mut peer = Peer::over(s);
        let mut refused = false;
        while let Some(id) = peer.next() {
            if std::mem::replace(&mut refused, true) {
                let request = peer.whole(id);
                peer.answer(id, &request.body);
            } else {
                peer.reset(id, Code::REFUSED_STREAM);
            }
        }
    });
    let node = on(&up);
    // A method that is not idempotent: the endpoint has said that it did nothing.
    let mut s = ask(&node, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    let (head, body) = read_answer(&mut s);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, b"hello");
    let retries = node.engine.metrics().retries.sent;
    assert!(retries.iter().any(|r| r.reason == "refused_stream" && r.count == 1), "{retries:?}");
}

#[test]
fn an_endpoint_that_refuses_every_stream_is_not_asked_forever() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let up = Upstream::play(move |s| {
        let mut peer = Peer::over(s);
        while let Some(id) = peer.next() {
            tell.lock().unwrap().send(id).unwrap();
            peer.reset(id, Code::REFUSED_STREAM);
        }
    });
    let node = on(&up);
    let mut s = ask(&node, &get("/"));
    assert!(read_head(&mut s).unwrap().starts_with("HTTP/1.1 503 "));
    assert_eq!(told.try_iter().count(), 4);
}

#[test]
fn what_an_endpoint_refuses_goes_to_another_at_once() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let bad = Upstream::play(move |s| {
        let mut peer = Peer::over(s);
        while let Some(id) = peer.next() {
            tell.lock().unwrap().send(id).unwrap();
            peer.reset(id, Code::REFUSED_STREAM);
        }
    });
    let good = serving(|_| b"good".to_vec());
    let node = Node::start(&upstream_json(&[bad.address, good.address], H2C), "", 1);
    for _ in 0..8 {
        assert_eq!(read_answer(&mut ask(&node, &get("/"))).1, b"good");
    }
    // Each of them asked it once at most.
    let asked = told.try_iter().count();
    assert!((1..=8).contains(&asked), "{asked}");
    let retries = node.engine.metrics().retries.sent;
    let again = retries.iter().find(|r| r.reason == "refused_stream").map_or(0, |r| r.count);
    assert_eq!(again, asked as u64);
}

#[test]
fn after_a_goaway_running_streams_end_and_others_go_elsewhere() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let up = Upstream::play(move |s| {
        let mut peer = Peer::over(s);
        let id = peer.next().unwrap();
        if peer.requests[&id].path == "/first" {
            peer.session.finish();
            peer.flush();
            tell.lock().unwrap().send(()).unwrap();
            wait.lock().unwrap().recv_timeout(DEADLINE).unwrap();
            peer.answer(id, b"first");
        } else {
            peer.answer(id, b"second");
        }
        while peer.read() {}
    });
    let node = on(&up);
    let mut first = ask(&node, &get("/first"));
    told.recv_timeout(DEADLINE).unwrap();
    node.barrier();
    let mut second = ask(&node, &get("/second"));
    assert_eq!(read_answer(&mut second).1, b"second");
    go.send(()).unwrap();
    assert_eq!(read_answer(&mut first).1, b"first");
    assert_eq!(up.connections(), 2);
    eventually("the first connection is closed", || {
        node.engine.metrics().http2.upstream_connections.active == 1
    });
}

#[test]
fn a_stream_above_the_last_of_a_goaway_is_sent_again() {
    let up = Upstream::play(|mut s| {
        // By hand: GOAWAY that excludes the first stream.
        let mut seen = Vec::new();
        while !seen.windows(5).any(|w| w == b"/away") && seen.len() < 400 {
            let mut some = [0; 512];
            let Ok(n @ 1..) = s.read(&mut some) else { return };
            seen.extend_from_slice(&some[..n]);
            // The path is in Huffman code: the first HEADERS follow preface and SETTINGS.
            if seen.len() > 120 {
                break;
            }
        }
        let away = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        s.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
        s.write_all(&away).unwrap();
        drop(read_all(&mut s));
    });
    let good = serving(|_| b"good".to_vec());
    let json = upstream_json(&[up.address], H2C);
    let mut node = Node::start(&json, "", 1);
    let mut s = ask(&node, "POST /away HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    // Each new connection says the same.
    assert!(read_head(&mut s).unwrap().starts_with("HTTP/1.1 503 "));
    assert_eq!(up.connections(), 4);
    node.apply(&[put(Kind::Upstream, "u", upstream_json(&[good.address], H2C))]);
    assert!(node.get("/").ends_with("good"));
}

#[test]
fn a_client_that_leaves_cancels_its_stream() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let up = Upstream::play(move |s| {
        let mut peer = Peer::over(s);
        while let Some(id) = peer.next() {
            if peer.requests[&id].path == "/hang" {
                tell.lock().unwrap().send(None).unwrap();
                while peer.requests[&id].reset.is_none() && peer.read() {}
                tell.lock().unwrap().send(peer.requests[&id].reset).unwrap();
            } else {
                peer.answer(id, b"ok");
            }
        }
    });
    let node = on(&up);
    let s = ask(&node, &get("/hang"));
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), None);
    hg_net::close_with_reset(s.into());
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), Some(Code::CANCEL));
    let mut client = Client::connect(&node);
    let id = client.open("GET", "/hang", &[], true);
    client.flush();
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), None);
    client.session.reset(id, Code::CANCEL);
    client.flush();
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), Some(Code::CANCEL));
    assert_eq!(client.get("/").body, b"ok");
    assert_eq!(up.connections(), 1);
}

#[test]
fn an_answer_that_breaks_off_is_seen_to() {
    for length in [true, false] {
        for dies in [true, false] {
            let up = Upstream::play(move |s| {
                let mut peer = Peer::over(s);
                while let Some(id) = peer.next() {
                    let fields: &[(&str, &str)] =
                        if length { &[("content-length", "100")] } else { &[] };
                    peer.head(id, 200, fields, false);
                    peer.data(id, b"some", false);
                    if dies {
                        // With nothing unread, so that the end overtakes no byte.
                        peer.stream.shutdown(Shutdown::Write).unwrap();
                        while peer.read() {}
                        return;
                    }
                    peer.reset(id, Code::INTERNAL_ERROR);
                }
            });
            let node = on(&up);
            let mut s = ask(&node, &get("/"));
            let head = read_head(&mut s).unwrap();
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            let rest = read_all(&mut s);
            assert!(rest.len() < 100 && !rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
            let mut client = Client::connect(&node);
            let answer = client.get("/");
            assert_eq!((answer.status, answer.reset), (200, Some(Code::INTERNAL_ERROR)));
        }
    }
}

#[test]
fn an_endpoint_that_breaks_the_protocol_is_told_and_its_connection_is_not_used_again() {
    let up = Upstream::play(|mut s| {
        s.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
        // PUSH_PROMISE, although it is not allowed.
        s.write_all(&[0, 0, 4, 5, 4, 0, 0, 0, 1, 0, 0, 0, 2]).unwrap();
        drop(read_all(&mut s));
    });
    let node = on(&up);
    for connections in 1..3 {
        let mut s = ask(&node, &get("/"));
        assert!(read_head(&mut s).unwrap().starts_with("HTTP/1.1 502 "));
        assert_eq!(up.connections(), connections);
    }
    let closed = node.engine.metrics().http2.upstream_closed;
    assert!(closed.iter().any(|r| r.count == 2), "{closed:?}");
}

#[test]
fn a_malformed_head_costs_its_own_stream_only() {
    let up = Upstream::play(|s| {
        let mut peer = Peer::over(s);
        while let Some(id) = peer.next() {
            if peer.requests[&id].path == "/bad" {
                let line = (&b"connection"[..], &b"close"[..], hg_h2::Sensitivity::Normal);
                let status = (&b":status"[..], &b"200"[..], hg_h2::Sensitivity::Normal);
                peer.session.head(id, [status, line], true).unwrap();
                peer.flush();
            } else {
                peer.answer(id, b"ok");
            }
        }
    });
    let node = on(&up);
    let mut s = node.connect();
    s.write_all(get("/bad").as_bytes()).unwrap();
    let (head, _) = read_answer(&mut s);
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    s.write_all(get("/").as_bytes()).unwrap();
    assert_eq!(read_answer(&mut s).1, b"ok");
    assert_eq!(up.connections(), 1);
}

#[test]
fn a_request_on_a_connection_that_had_closed_is_sent_again() {
    let up = Upstream::play(|s| {
        let mut peer = Peer::over(s);
        let id = peer.next().unwrap();
        peer.answer(id, b"ok");
        // The next request finds the connection gone.
        peer.next();
    });
    let node = on(&up);
    let mut s = node.connect();
    for connections in 1..4 {
        s.write_all(get("/").as_bytes()).unwrap();
        assert_eq!(read_answer(&mut s).1, b"ok");
        assert_eq!(up.connections(), if connections == 1 { 1 } else { connections });
    }
}

#[test]
fn an_endpoint_that_cannot_be_reached_fails_all_that_wait_for_it() {
    let free = unused_address();
    let node = Node::start(&upstream_json(&[free], H2C), "", 1);
    let mut clients: Vec<TcpStream> = (0..20).map(|_| ask(&node, &get("/"))).collect();
    for s in &mut clients {
        assert!(read_head(s).unwrap().starts_with("HTTP/1.1 502 "));
    }
    let good = serving(|_| b"good".to_vec());
    let json = upstream_json(&[free, good.address], H2C);
    let node = Node::start(&json, "", 1);
    let mut clients: Vec<TcpStream> = (0..20).map(|_| ask(&node, &get("/"))).collect();
    for s in &mut clients {
        assert_eq!(read_answer(s).1, b"good");
    }
    assert_eq!(good.connections(), 1);
}

#[test]
fn an_upstream_that_changes_lets_the_running_streams_end() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let up = Upstream::play(move |s| {
        let mut peer = Peer::over(s);
        let id = peer.next().unwrap();
        wait.lock().unwrap().recv_timeout(DEADLINE).unwrap();
        peer.answer(id, b"old");
        while peer.read() {}
    });
    let mut node = on(&up);
    let mut s = ask(&node, &get("/"));
    eventually("it is under way", || node.engine.metrics().http2.upstream_streams.active == 1);
    let other = serving(|_| b"new".to_vec());
    node.apply(&[put(Kind::Upstream, "u", upstream_json(&[other.address], H2C))]);
    assert!(node.get("/").ends_with("new"));
    go.send(()).unwrap();
    assert_eq!(read_answer(&mut s).1, b"old");
    eventually("the old connection is closed", || {
        node.engine.metrics().http2.upstream_connections.active == 1
    });
}

#[test]
fn endpoints_hear_that_the_process_leaves() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let up = Upstream::play(move |s| {
        let mut peer = Peer::over(s);
        let id = peer.next().unwrap();
        peer.answer(id, b"ok");
        while peer.read() {}
        tell.lock().unwrap().send(peer.goaway).unwrap();
    });
    let node = on(&up);
    assert!(node.get("/").ends_with("ok"));
    node.engine.drain(Box::new(|| {}));
    assert!(told.recv_timeout(DEADLINE).unwrap(), "the connection ended without GOAWAY");
}

#[test]
fn requests_that_wait_for_a_connection_fail_with_it() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    // It hears the hello, and hangs up.
    let up = Upstream::play(move |_| {
        let _ = wait.lock().unwrap().recv_timeout(DEADLINE);
    });
    let tls = r#","tls":{"verify":false},"protocol":"h2""#;
    let mut node = Node::start(&upstream_json(&[up.address], tls), "", 1);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    let mut client = Client::connect(&node);
    let ids = [(); 3].map(|()| client.open("GET", "/", &[], true));
    client.flush();
    eventually("one has begun", || up.connections() == 1);
    node.barrier();
    drop(go);
    assert_eq!(ids.map(|id| client.answer(id).status), [502; 3]);
}
