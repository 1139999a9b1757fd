//! What is asked of an authorisation service, which endpoint of it, and what becomes of the headers
//! of its answer, through a real engine.

use super::forward_auth::{GET, guarded};
use crate::common::authorised::{YES, ask, auth_json, echo, service};
use crate::common::http2::Client;
use crate::common::http2_peer::{self, H2C};
use crate::common::*;
use hg_plan::Kind;
use std::sync::{Arc, Mutex};

#[test]
fn what_no_table_may_hold_stays_so_in_the_question() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let asked = told.clone();
    let auth = http2_peer::serving(move |request| {
        asked.lock().unwrap().push(request.never.clone());
        Vec::new()
    });
    let up = echo();
    let rest = format!(r#","middlewares":[{}]"#, auth_json(""))
        .replace(r#""headers":["cookie"]"#, r#""headers":["x-plain","secret-key"]"#);
    let mut node = Node::start(&upstream_json(&[up.address], ""), &rest, 1);
    node.apply(&[
        put(Kind::Upstream, "auth", upstream_json(&[auth.address], H2C)),
        put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#)),
    ]);
    let mut client = Client::connect(&node);
    for _ in 0..2 {
        let id = client.open("GET", "/", &[("x-plain", "1"), ("secret-key", "k")], true);
        assert_eq!(client.answer(id).status, 200);
    }
    assert_eq!(*told.lock().unwrap(), [["secret-key"], ["secret-key"]]);
}

#[test]
fn what_no_table_may_hold_of_the_service_s_answer_stays_so() {
    let auth = Upstream::play(|s| {
        let mut peer = http2_peer::Peer::over(s);
        while let Some(id) = peer.next() {
            peer.head(id, 200, &[("secret-user", "alice"), ("secret-seal", "1")], true);
        }
    });
    let told = Arc::new(Mutex::new(Vec::new()));
    let got = told.clone();
    let up = http2_peer::serving(move |request| {
        got.lock().unwrap().push(request.never.clone());
        Vec::new()
    });
    let more = r#","copy":["secret-user"],"answer_headers":["secret-seal"]"#;
    let rest = format!(r#","middlewares":[{}]"#, auth_json(more));
    let mut node = Node::start(&upstream_json(&[up.address], H2C), &rest, 1);
    node.apply(&[
        put(Kind::Upstream, "auth", upstream_json(&[auth.address], H2C)),
        put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#)),
    ]);
    let mut client = Client::connect(&node);
    for _ in 0..2 {
        assert_eq!(client.get("/").never, ["secret-seal"]);
    }
    assert_eq!(*told.lock().unwrap(), [["secret-user"], ["secret-user"]]);
}

#[test]
fn the_service_s_endpoints_are_chosen_by_what_the_question_has() {
    for key in ["header:x-user", "cookie:user"] {
        let services = [service(|_| YES.into()), service(|_| YES.into())];
        let addresses = services.each_ref().map(|(up, _)| up.address);
        let balance = format!(r#","balance":{{"ring_hash":{{"key":"{key}","load_bound":0}}}}"#);
        let up = echo();
        let middleware =
            auth_json("").replace(r#""headers":["cookie"]"#, r#""headers":["x-user","cookie"]"#);
        let rest = format!(r#","middlewares":[{middleware}]"#);
        let mut node = Node::start(&upstream_json(&[up.address], ""), &rest, 1);
        node.apply(&[put(Kind::Upstream, "auth", upstream_json(&addresses, &balance))]);
        let mut s = node.connect();
        let mut seen = [0, 0];
        for user in 0..12 {
            for _ in 0..4 {
                let head = format!(
                    "GET / HTTP/1.1\r\nHost: a.example\r\nX-User: u{user}\r\n\
                     Cookie: a=b; user=u{user}\r\n\r\n"
                );
                assert!(ask(&mut s, head.as_bytes()).0.starts_with("HTTP/1.1 200 "));
            }
            let got = services.each_ref().map(|(_, heads)| heads.take().len());
            assert!(got == [4, 0] || got == [0, 4], "{key}: {got:?}");
            seen[usize::from(got[0] == 0)] += 1;
        }
        assert!(seen.iter().all(|users| *users > 0), "{key}: {seen:?}");
    }
}

#[test]
fn the_edits_around_it_see_the_lines_that_it_adds() {
    let says = "HTTP/1.1 200 OK\r\nRemote-User: alice\r\nCache-Control: public\r\n\
                Set-Cookie: a=1\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n";
    let (auth, _) = service(move |_| says.into());
    let up = echo();
    let before =
        r#"{"response_headers":{"set":{"cache-control":"no-store"},"remove":["set-cookie"]}}"#;
    let after = r#"{"request_headers":{"remove":["remote-user"],"set":{"x-left":"1"}}}"#;
    let says =
        r#","copy":["remote-user"],"answer_headers":["cache-control","set-cookie","x-kept"]"#;
    let mut node = guarded(&up, &auth, "");
    let rest = format!(r#","middlewares":[{before},{},{after}]"#, auth_json(says));
    node.apply(&[put(Kind::Route, "r", route_json(&rest))]);
    let (head, got) = ask(&mut node.connect(), GET);
    assert!(got.contains("x-left: 1\r\n") && !got.contains("alice"), "{got}");
    let lines = ["cache-control: no-store\r\n", "x-kept: 1\r\n"];
    assert!(lines.iter().all(|line| head.contains(line)), "{head}");
    assert!(!head.contains("public") && !head.contains("set-cookie"), "{head}");
    // The same if the upstream cannot be asked.
    node.apply(&[put(Kind::Upstream, "u", upstream_json(&[unused_address()], ""))]);
    let (head, _) = ask(&mut node.connect(), GET);
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    assert!(lines.iter().all(|line| head.contains(line)), "{head}");
    assert!(!head.contains("public") && !head.contains("set-cookie"), "{head}");
}
