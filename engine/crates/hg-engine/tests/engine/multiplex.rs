//! Endpoints that speak HTTP/2, through a real engine: requests and answers that pass.

use crate::common::http2::Client;
use crate::common::http2_peer::{Peer, ask, get, on, serving, with};
use crate::common::tls::own_answers;
use crate::common::*;
use hg_h2::Limits;
use hg_plan::Kind;
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, mpsc};

fn body(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i % 251) as u8 ^ (i / 4096 % 256) as u8).collect()
}

fn dechunk(mut text: &[u8]) -> (Vec<u8>, String) {
    let mut all = Vec::new();
    loop {
        let end = text.windows(2).position(|two| two == b"\r\n").expect("a chunk");
        let n = usize::from_str_radix(std::str::from_utf8(&text[..end]).unwrap(), 16).unwrap();
        text = &text[end + 2..];
        if n == 0 {
            return (all, String::from_utf8(text.to_vec()).unwrap());
        }
        all.extend_from_slice(&text[..n]);
        text = &text[n + 2..];
    }
}

#[test]
fn a_request_over_http1_becomes_one_over_http2_and_its_answer_one_over_http1() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let up = serving(move |request| {
        tell.lock().unwrap().send(request.clone()).unwrap();
        b"hello".to_vec()
    });
    let node = on(&up);
    let mut s = node.connect();
    for _ in 0..2 {
        s.write_all(
            b"GET /a%20b?c=d HTTP/1.1\r\nHost: a.example:81\r\nX-Mixed: Yes\r\n\
              Connection: keep-alive, x-nominated\r\nX-Nominated: 1\r\nTE: trailers\r\n\r\n",
        )
        .unwrap();
        let (head, body) = read_answer(&mut s);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert_eq!(body, b"hello");
        let request = told.recv_timeout(DEADLINE).unwrap();
        assert_eq!((&*request.method, &*request.path), ("GET", "/a%20b?c=d"));
        assert_eq!(request.authority, "a.example:81");
        assert_eq!(
            (request.field("x-mixed"), request.field("te")),
            (Some("Yes"), Some("trailers"))
        );
        for name in ["connection", "host", "x-nominated", "keep-alive", "transfer-encoding"] {
            assert_eq!(request.field(name), None, "{name}");
        }
        assert_eq!(request.field("x-forwarded-proto"), Some("http"));
    }
    assert_eq!(up.connections(), 1);
}

#[test]
fn bodies_pass_in_both_directions_from_both_kinds_of_clients() {
    let node = on(&serving(|request| request.body.clone()));
    let sent = body(1_000_000);
    let mut s = node.connect();
    write!(s, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", sent.len()).unwrap();
    let mut writer = s.try_clone().unwrap();
    let whole = sent.clone();
    let sender = std::thread::spawn(move || writer.write_all(&whole).unwrap());
    assert!(read_answer(&mut s).1 == sent);
    sender.join().unwrap();
    s.write_all(
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n\
          6;x=y\r\n world\r\n0\r\n\r\n",
    )
    .unwrap();
    assert_eq!(read_answer(&mut s).1, b"hello world");
    let mut client = Client::connect(&node);
    assert!(client.post("/", &[], &sent).body == sent);
    let length = sent.len().to_string();
    assert!(client.post("/", &[("content-length", &length)], &sent).body == sent);
    assert_eq!(client.post("/", &[], b"").body, b"");
}

#[test]
fn a_body_that_is_collected_first_is_sent_without_chunks() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let up = serving(move |request| {
        tell.lock().unwrap().send(request.clone()).unwrap();
        request.body.clone()
    });
    let node = with(&up, "", r#","body_buffer_bytes":65536"#);
    let mut s = node.connect();
    s.write_all(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    for _ in 0..3 {
        s.write_all(b"5\r\nhello\r\n").unwrap();
        node.barrier();
    }
    s.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut s).1, b"hellohellohello");
    assert_eq!(told.recv_timeout(DEADLINE).unwrap().body, b"hellohellohello");
}

#[test]
fn requests_of_many_clients_share_one_connection() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let up = Upstream::play(move |s| {
        let mut peer = Peer::over(s);
        let ids: Vec<u32> = (0..50).map(|_| peer.next().unwrap()).collect();
        wait.lock().unwrap().recv_timeout(DEADLINE).unwrap();
        for id in ids {
            let path = peer.requests[&id].path.clone();
            peer.answer(id, path.as_bytes());
        }
        while peer.read() {}
    });
    let node = on(&up);
    let mut clients: Vec<TcpStream> = (0..25).map(|i| ask(&node, &get(&format!("/{i}")))).collect();
    let mut client = Client::connect(&node);
    let ids: Vec<u32> = (25..50).map(|i| client.open("GET", &format!("/{i}"), &[], true)).collect();
    client.flush();
    go.send(()).unwrap();
    for (i, s) in clients.iter_mut().enumerate() {
        assert_eq!(read_answer(s).1, format!("/{i}").as_bytes());
    }
    for (i, id) in ids.into_iter().enumerate() {
        assert_eq!(client.answer(id).body, format!("/{}", i + 25).as_bytes());
    }
    assert_eq!(up.connections(), 1);
    let http2 = node.engine.metrics().http2;
    assert_eq!((http2.upstream_connections.total, http2.upstream_streams.total), (1, 50));
    assert_eq!(http2.upstream_streams.active, 0);
}

#[test]
fn where_all_streams_are_taken_another_connection_is_opened() {
    let most = Arc::new(Mutex::new(0));
    let seen = most.clone();
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let up = Upstream::play(move |s| {
        let mut peer = Peer::with(s, Limits { streams: 2, ..Limits::server() });
        while let Some(id) = peer.next() {
            if peer.requests[&id].path == "/first" {
                peer.answer(id, b"first");
                continue;
            }
            wait.lock().unwrap().recv_timeout(DEADLINE).unwrap();
            let open = peer.session.streams();
            {
                let mut seen = seen.lock().unwrap();
                *seen = open.max(*seen);
            }
            peer.answer(id, b"ok");
        }
    });
    let node = on(&up);
    // Now the limit is known.
    assert!(node.get("/first").ends_with("first"));
    let mut clients: Vec<TcpStream> = (0..6).map(|_| ask(&node, &get("/"))).collect();
    eventually("three connections carry six requests", || up.connections() >= 3);
    for _ in 0..6 {
        let _ = go.send(());
    }
    for s in &mut clients {
        assert_eq!(read_answer(s).1, b"ok");
    }
    assert!(*most.lock().unwrap() <= 2);
}

#[test]
fn a_client_that_takes_nothing_does_not_hold_up_others() {
    let up = Upstream::play(|s| {
        let mut peer = Peer::over(s);
        while let Some(id) = peer.next() {
            if peer.requests[&id].path == "/large" {
                // As much as its window takes, and no more: the rest stays here.
                peer.head(id, 200, &[("content-length", "100000000")], false);
                let _ = peer.session.data(id, &vec![b'x'; 10_000_000], hg_h2::After::Later);
                peer.flush();
            } else {
                peer.answer(id, &vec![b'y'; 60_000]);
            }
        }
    });
    let node = on(&up);
    let _stalled: Vec<TcpStream> = (0..8).map(|_| ask(&node, &get("/large"))).collect();
    let mut client = Client::connect(&node);
    client.keeps_credit = true;
    client.open("GET", "/large", &[], true);
    client.flush();
    let mut s = node.connect();
    for _ in 0..100 {
        s.write_all(get("/").as_bytes()).unwrap();
        assert_eq!(read_answer(&mut s).1.len(), 60_000);
    }
    assert_eq!(up.connections(), 1);
}

#[test]
fn answers_without_a_body_stay_without_one() {
    let up = Upstream::play(|s| {
        let mut peer = Peer::over(s);
        while let Some(id) = peer.next() {
            match &*peer.requests[&id].path.clone() {
                "/head" => peer.head(id, 200, &[("content-length", "1000")], true),
                "/late" => {
                    peer.head(id, 204, &[], false);
                    peer.data(id, b"", true);
                }
                "/early" => {
                    peer.head(id, 103, &[("link", "</a>")], false);
                    peer.head(id, 200, &[("content-length", "2")], false);
                    peer.data(id, b"ok", true);
                }
                _ => peer.head(id, 304, &[("etag", "\"x\"")], true),
            }
        }
    });
    let node = on(&up);
    let mut s = node.connect();
    s.write_all(b"HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert!(read_head(&mut s).unwrap().contains("content-length: 1000\r\n"));
    s.write_all(get("/late").as_bytes()).unwrap();
    assert!(read_head(&mut s).unwrap().starts_with("HTTP/1.1 204 No Content\r\n"));
    s.write_all(get("/not").as_bytes()).unwrap();
    assert!(read_head(&mut s).unwrap().starts_with("HTTP/1.1 304 Not Modified\r\n"));
    s.write_all(get("/early").as_bytes()).unwrap();
    assert!(read_head(&mut s).unwrap().starts_with("HTTP/1.1 103 Early Hints\r\n"));
    assert_eq!(read_answer(&mut s).1, b"ok");
    let mut client = Client::connect(&node);
    let answer = client.get("/early");
    assert_eq!((answer.interim, answer.body), (vec![103], b"ok".to_vec()));
    assert_eq!(up.connections(), 1);
}

#[test]
fn an_answer_in_very_many_small_frames_passes() {
    let up = Upstream::play(|s| {
        let mut peer = Peer::over(s);
        while let Some(id) = peer.next() {
            peer.head(id, 200, &[], false);
            for _ in 0..20_000 {
                peer.data(id, b"x", false);
            }
            peer.data(id, b"", true);
        }
    });
    let node = on(&up);
    assert_eq!(Client::connect(&node).get("/").body.len(), 20_000);
    assert!(node.engine.metrics().http2.upstream_closed.is_empty());
}

#[test]
fn trailers_of_answers_reach_both_kinds_of_clients() {
    let up = Upstream::play(|s| {
        let mut peer = Peer::over(s);
        while let Some(id) = peer.next() {
            peer.head(id, 200, &[("content-type", "text/plain")], false);
            peer.data(id, b"data", false);
            peer.trailers(id, &[("x-sum", "123")]);
        }
    });
    let node = on(&up);
    let mut s = ask(&node, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let head = read_head(&mut s).unwrap();
    assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
    let (data, trailers) = dechunk(&read_all(&mut s));
    assert_eq!((&*data, &*trailers), (&b"data"[..], "x-sum: 123\r\n\r\n"));
    let answer = Client::connect(&node).get("/");
    assert_eq!(answer.body, b"data");
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "123".to_owned())]);
}

#[test]
fn over_tls_the_endpoint_decides_where_both_are_allowed() {
    for (protocol, alpn, expected, connections) in [
        ("h2", "", "HTTP/1.1 200 ", 1),
        ("auto", "", "HTTP/1.1 200 ", 1),
        ("auto", r#","alpn":["http/1.1"]"#, "HTTP/1.1 200 ", 0),
        ("h2", r#","alpn":["http/1.1"]"#, "HTTP/1.1 502 ", 0),
        ("http1", "", "HTTP/1.1 200 ", 0),
    ] {
        let endpoint = own_answers(alpn);
        let rest = format!(r#","tls":{{"verify":false}},"protocol":"{protocol}""#);
        let node = Node::start(&upstream_json(&[endpoint.address], &rest), "", 1);
        let mut clients: Vec<TcpStream> =
            (0..10).map(|_| ask(&node, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")).collect();
        for s in &mut clients {
            let head = read_head(s).unwrap();
            assert!(head.starts_with(expected), "{protocol} {alpn}: {head}");
        }
        let found = endpoint.engine.metrics().http2.connections.total;
        assert_eq!(found, connections, "{protocol} {alpn}");
    }
}

#[test]
fn a_protocol_that_the_other_settings_contradict_is_refused() {
    let node = on(&serving(|_| Vec::new()));
    let refused = |rest: &str| {
        let json = upstream_json(&["127.0.0.1:1".parse().unwrap()], rest);
        node.refused(&[put(Kind::Upstream, "u", json)])
    };
    for (rest, word) in [
        (r#","protocol":"h2""#, "add `tls`"),
        (r#","protocol":"auto""#, "add `tls`"),
        (r#","protocol":"h2c","tls":{"verify":false}"#, "leave `tls` out"),
    ] {
        let errors = refused(rest);
        assert!(errors.len() == 1 && errors[0].contains("Upstream u: protocol: "), "{errors:?}");
        assert!(errors[0].contains(word), "{errors:?}");
    }
}
