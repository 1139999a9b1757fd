//! Fields that no table of header compression may hold (RFC 7541 §7.1.3), through a real engine.

use crate::common::http2::{Client, sensitivity};
use crate::common::http2_peer::{Peer, Request, ask, get, on};
use crate::common::*;
use hg_plan::Kind;
use std::sync::{Mutex, mpsc};

/// An endpoint that answers with these fields and trailers, and what it was asked.
fn telling(
    fields: &'static [(&str, &str)],
    trailers: &'static [(&str, &str)],
) -> (Upstream, mpsc::Receiver<Request>) {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let up = Upstream::play(move |s| {
        let mut peer = Peer::over(s);
        while let Some(id) = peer.next() {
            tell.lock().unwrap().send(peer.whole(id)).unwrap();
            peer.head(id, 103, &[("link", "</a>"), ("secret-hint", "1")], false);
            peer.head(id, 200, fields, false);
            peer.data(id, b"data", trailers.is_empty());
            if !trailers.is_empty() {
                peer.trailers(id, trailers);
            }
        }
    });
    (up, told)
}

#[test]
fn what_a_client_or_an_endpoint_sends_as_never_indexed_stays_so() {
    let fields = &[("secret-token", "abc"), ("x-plain", "1")];
    let (up, told) = telling(fields, &[("secret-sum", "7"), ("x-sum", "8")]);
    let node = on(&up);
    let mut client = Client::connect(&node);
    // Twice: what was indexed by mistake comes as an index in the second message.
    for _ in 0..2 {
        let id = client.open("POST", "/", &[("x-a", "1"), ("secret-key", "k")], false);
        client.send(id, b"body", false);
        let trailers = [("secret-end", "1"), ("x-end", "2")];
        let lines = trailers.map(|(n, v)| (n.as_bytes(), v.as_bytes(), sensitivity(n)));
        client.session.send_trailers(id, lines).unwrap();
        let answer = client.answer(id);
        let request = told.recv().unwrap();
        assert_eq!((request.field("secret-key"), request.field("x-a")), (Some("k"), Some("1")));
        assert_eq!(request.trailers.len(), 2);
        assert_eq!(request.never, ["secret-key", "secret-end"]);
        assert_eq!((answer.field("secret-token"), &*answer.body), (Some("abc"), &b"data"[..]));
        assert_eq!(answer.trailers.len(), 2);
        assert_eq!(answer.never, ["secret-token", "secret-sum"]);
    }
}

#[test]
fn what_is_known_to_be_secret_is_never_indexed_though_it_came_over_http1() {
    let (up, told) = telling(&[("x-plain", "1")], &[]);
    let node = on(&up);
    let more = "Authorization: Basic YTpi\r\nCookie: a=b\r\nX-Plain: 1\r\n\r\n";
    ask(&node, &get("/").replacen("\r\n\r\n", &format!("\r\n{more}"), 1));
    assert_eq!(told.recv().unwrap().never, ["authorization", "cookie"]);

    let up =
        Upstream::answering(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n");
    let mut node = Node::start(&upstream_json(&[up.address], ""), "", 1);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    assert_eq!(Client::connect(&node).get("/").never, ["set-cookie"]);
}
