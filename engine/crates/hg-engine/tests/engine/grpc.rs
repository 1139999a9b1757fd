//! Trailers in both directions, and what gRPC needs of the proxy, through a real engine.

use crate::common::http2::Client;
use crate::common::http2_peer::Peer;
use crate::common::tls::Authority;
use crate::common::*;
use hg_h2::{Code, Sensitivity};
use hg_plan::Kind;
use std::io::Write;
use std::sync::{Mutex, mpsc};

const GRPC: (&str, &str) = ("content-type", "application/grpc+proto");

fn with(json: &str, route: &str) -> Node {
    let mut node = Node::start(json, route, 1);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    node
}

fn pairs(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

fn send_trailers<S: std::io::Read + Write>(
    client: &mut Client<S>,
    id: u32,
    fields: &[(&str, &str)],
) {
    let lines = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes(), Sensitivity::Normal));
    client.session.send_trailers(id, lines).unwrap();
    client.flush();
}

/// What a request with trailers may say of its body and of them: nothing, or its length and their names.
const WITHOUT: &[(&str, &str)] = &[];
const WITH: &[(&str, &str)] = &[("content-length", "4"), ("trailer", "x-sum")];

#[test]
fn trailers_of_requests_reach_an_endpoint_over_http2() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let up = Upstream::play(move |s| {
        let mut peer = Peer::over(s);
        while let Some(id) = peer.next() {
            tell.lock().unwrap().send(peer.whole(id)).unwrap();
            peer.answer(id, b"ok");
        }
    });
    let buffered = r#","body_buffer_bytes":65536"#;
    for (route, fields) in [("", WITHOUT), (buffered, WITHOUT), ("", WITH), (buffered, WITH)] {
        let node = with(&upstream_json(&[up.address], r#","protocol":"h2c""#), route);
        let mut client = Client::connect(&node);
        let id = client.open("POST", "/", fields, false);
        client.send(id, b"data", false);
        send_trailers(&mut client, id, &[("x-sum", "1"), ("content-length", "9")]);
        assert_eq!(client.answer(id).body, b"ok");
        let request = told.recv_timeout(DEADLINE).unwrap();
        assert_eq!((request.body, request.trailers), (b"data".to_vec(), pairs(&[("x-sum", "1")])));
        let mut s = node.connect();
        s.write_all(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n0\r\n\
              X-Sum: 2\r\n\r\n",
        )
        .unwrap();
        assert_eq!(read_answer(&mut s).1, b"ok");
        let request = told.recv_timeout(DEADLINE).unwrap();
        assert_eq!((request.body, request.trailers), (b"data".to_vec(), pairs(&[("x-sum", "2")])));
    }
}

#[test]
fn trailers_of_requests_reach_an_endpoint_over_http1() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let up = Upstream::play(move |mut s| {
        read_head(&mut s).unwrap();
        let mut rest = Vec::new();
        while !rest.ends_with(b"\r\n\r\n") {
            rest.extend(read_n(&mut s, 1));
        }
        tell.lock().unwrap().send(String::from_utf8(rest).unwrap()).unwrap();
        s.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
            .unwrap();
    });
    let node = with(&upstream_json(&[up.address], ""), "");
    for fields in [WITHOUT, WITH] {
        let mut client = Client::connect(&node);
        let id = client.open("POST", "/", fields, false);
        client.send(id, b"data", false);
        send_trailers(&mut client, id, &[("x-sum", "1"), ("x-forwarded-for", "1.2.3.4")]);
        assert_eq!(client.answer(id).body, b"ok");
        let seen = told.recv_timeout(DEADLINE).unwrap();
        assert_eq!(seen, "4\r\ndata\r\n0\r\nx-sum: 1\r\n\r\n");
    }
}

/// An endpoint over HTTP/2 that tells of the trailers it got.
fn trailers_over_http2(tell: mpsc::Sender<Vec<(String, String)>>) -> Upstream {
    let tell = Mutex::new(tell);
    Upstream::play(move |s| {
        let mut peer = Peer::over(s);
        while let Some(id) = peer.next() {
            tell.lock().unwrap().send(peer.whole(id).trailers).unwrap();
            peer.answer(id, b"ok");
        }
    })
}

/// The same over HTTP/1.1.
fn trailers_over_http1(tell: mpsc::Sender<Vec<(String, String)>>) -> Upstream {
    let tell = Mutex::new(tell);
    Upstream::play(move |mut s| {
        read_head(&mut s).unwrap();
        let mut rest = Vec::new();
        while !rest.ends_with(b"\r\n\r\n") {
            rest.extend(read_n(&mut s, 1));
        }
        let rest = String::from_utf8(rest).unwrap();
        let lines = rest.strip_prefix("4\r\ndata\r\n0\r\n").unwrap().lines();
        let pair =
            |line: &str| line.split_once(": ").map(|(n, v)| (n.to_lowercase(), v.to_owned()));
        tell.lock().unwrap().send(lines.filter_map(pair).collect()).unwrap();
        s.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
            .unwrap();
    })
}

#[test]
fn no_trailer_of_a_request_has_a_name_that_its_head_could_not_have() {
    let edits =
        r#","middlewares":[{"request_headers":{"set":{"x-user":"nobody"},"remove":["x-gone"]}}]"#;
    let sent = [
        ("x-sum", "1"),
        ("x-user", "root"),
        ("x.user", "root"),
        ("x-gone", "1"),
        ("x_other", "1"),
        ("x-request-id", "mine"),
        ("traceparent", "mine"),
    ];
    let lines: String = sent.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
    for keeps in [false, true] {
        let kept = if keeps { &[("x-sum", "1"), ("x_other", "1")][..] } else { &[("x-sum", "1")] };
        for is_http2 in [false, true] {
            let (tell, told) = mpsc::channel();
            let (up, protocol) = match is_http2 {
                true => (trailers_over_http2(tell), r#","protocol":"h2c""#),
                false => (trailers_over_http1(tell), ""),
            };
            let mut node = Node::start(&upstream_json(&[up.address], protocol), edits, 1);
            let more = format!(r#","h2c":true,"underscores_in_headers":{keeps}"#);
            node.apply(&[put(Kind::Listener, "web", node.listener_json(&more))]);
            let mut client = Client::connect(&node);
            let id = client.open("POST", "/", &[], false);
            client.send(id, b"data", false);
            send_trailers(&mut client, id, &sent);
            assert_eq!(client.answer(id).body, b"ok");
            assert_eq!(told.recv_timeout(DEADLINE).unwrap(), pairs(kept), "{is_http2}");
            let mut s = node.connect();
            write!(
                s,
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                 4\r\ndata\r\n0\r\n{lines}\r\n"
            )
            .unwrap();
            assert_eq!(read_answer(&mut s).1, b"ok");
            assert_eq!(told.recv_timeout(DEADLINE).unwrap(), pairs(kept), "{is_http2}");
        }
    }
}

#[test]
fn an_answer_of_grpc_passes_with_its_trailers_and_in_trailers_only_form() {
    let up = Upstream::play(|s| {
        let mut peer = Peer::over(s);
        while let Some(id) = peer.next() {
            assert_eq!(peer.requests[&id].field("te"), Some("trailers"));
            if peer.requests[&id].path == "/only" {
                peer.head(id, 200, &[GRPC, ("grpc-status", "5")], true);
                continue;
            }
            peer.head(id, 200, &[GRPC], false);
            peer.data(id, b"\0\0\0\0\x02hi", false);
            peer.trailers(id, &[("grpc-status", "0"), ("grpc-message", "fine")]);
        }
    });
    let node = with(&upstream_json(&[up.address], r#","protocol":"h2c""#), "");
    let mut client = Client::connect(&node);
    for _ in 0..2 {
        let answer = client.post("/", &[GRPC, ("te", "trailers")], b"\0\0\0\0\0");
        assert_eq!(answer.body, b"\0\0\0\0\x02hi");
        assert_eq!(answer.trailers, pairs(&[("grpc-status", "0"), ("grpc-message", "fine")]));
        let answer = client.post("/only", &[GRPC, ("te", "trailers")], b"\0\0\0\0\0");
        assert_eq!((answer.field("grpc-status"), answer.body.len()), (Some("5"), 0));
    }
}

#[test]
fn failures_of_ours_are_those_of_grpc_for_its_clients_alone() {
    let free = unused_address();
    let node = with(&upstream_json(&[free], r#","protocol":"h2c""#), "");
    let mut client = Client::connect(&node);
    for (kind, status) in [
        ("application/grpc", "14"),
        ("application/grpc;charset=x", "14"),
        ("application/grpc-web", ""),
        ("application/json", ""),
    ] {
        let answer = client.post("/", &[("content-type", kind)], b"x");
        if status.is_empty() {
            assert_eq!((answer.status, answer.field("grpc-status")), (502, None), "{kind}");
            continue;
        }
        assert_eq!((answer.status, answer.field("grpc-status")), (200, Some(status)), "{kind}");
        assert_eq!(answer.field("grpc-message"), Some("the upstream could not be reached"));
        assert_eq!(answer.field("content-type"), Some("application/grpc"));
        assert!(answer.field("proxy-status").unwrap().contains("connection_refused"));
        assert!(answer.body.is_empty() && answer.trailers.is_empty());
    }
}

#[test]
fn refusals_of_middlewares_are_those_of_grpc_for_its_clients_alone() {
    const LIMIT: &str = r#","middlewares":[{"rate_limit":{"requests":1,"period_ms":3600000,"burst":1,"key":["client_ip"],"max_keys":64}}]"#;
    const KEY: &str = r#","middlewares":[{"api_key":{"clients":{"shop":["0000000000000000000000000000000000000000000000000000000000000000"]},"header":"x-key"}}]"#;
    let up = Upstream::play(|s| {
        let mut peer = Peer::over(s);
        while let Some(id) = peer.next() {
            peer.head(id, 200, &[GRPC, ("grpc-status", "0")], true);
        }
    });
    for (route, passes, status, code) in [(LIMIT, 1, 429, "8"), (KEY, 0, 401, "16")] {
        let node = with(&upstream_json(&[up.address], r#","protocol":"h2c""#), route);
        let mut client = Client::connect(&node);
        for _ in 0..passes {
            assert_eq!(client.post("/", &[GRPC], b"x").field("grpc-status"), Some("0"));
        }
        let answer = client.post("/", &[GRPC], b"x");
        assert_eq!((answer.status, answer.field("grpc-status")), (200, Some(code)));
        assert_eq!(answer.field("content-type"), Some("application/grpc"));
        let told = ["retry-after", "www-authenticate"].map(|name| answer.field(name).is_some());
        assert_eq!(told, [status == 429, status == 401]);
        assert!(answer.body.is_empty() && answer.trailers.is_empty());
        let answer = client.post("/", &[("content-type", "application/json")], b"x");
        assert_eq!((answer.status, answer.field("grpc-status")), (status, None));
        assert!(!answer.body.is_empty());
    }
}

#[test]
fn the_deadline_of_a_grpc_client_ends_its_request() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let up = Upstream::play(move |s| {
        let mut peer = Peer::over(s);
        let id = peer.next().unwrap();
        while peer.requests[&id].reset.is_none() && peer.read() {}
        tell.lock().unwrap().send(peer.requests[&id].reset).unwrap();
        while peer.read() {}
    });
    let node = with(
        &upstream_json(&[up.address], r#","protocol":"h2c""#),
        r#","timeouts":{"request_ms":600000}"#,
    );
    let mut client = Client::connect(&node);
    let fields = [GRPC, ("te", "trailers"), ("grpc-timeout", "50m")];
    let answer = client.post("/", &fields, b"\0\0\0\0\0");
    assert_eq!((answer.status, answer.field("grpc-status")), (200, Some("4")));
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), Some(Code::CANCEL));
}

#[test]
fn grpc_is_refused_where_its_trailers_would_be_lost() {
    let up = Upstream::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let secure = {
        let mut node = Node::simple(&up);
        Authority::serve_with(&mut node, r#","alpn":["http/1.1"]"#);
        node
    };
    let auto = r#","tls":{"verify":false},"protocol":"auto""#;
    for (address, rest) in [(up.address, ""), (secure.address, auto)] {
        let node = with(&upstream_json(&[address], rest), "");
        let mut client = Client::connect(&node);
        // The second one finds the connection that another request has left.
        for _ in 0..2 {
            let before = up.connections();
            let answer = client.post("/", &[GRPC, ("te", "trailers")], b"\0\0\0\0\0");
            assert_eq!((answer.status, answer.field("grpc-status")), (200, Some("12")), "{rest}");
            let message = "gRPC needs HTTP/2, and the upstream speaks HTTP/1.1";
            assert_eq!(answer.field("grpc-message"), Some(message), "{rest}");
            assert_eq!(up.connections(), before, "it went to the endpoint");
            let web = [("content-type", "application/grpc-web+proto")];
            let answer = client.post("/web", &web, b"");
            assert_eq!((answer.status, &*answer.body), (200, &b"ok"[..]), "{rest}");
        }
        assert_eq!(node.engine.metrics().upstreams[0].endpoints[0].failures, 0, "{rest}");
    }
}
