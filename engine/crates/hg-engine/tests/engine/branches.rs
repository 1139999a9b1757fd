//! Splits whose clients find their branch again by a cookie, through a real engine.

use crate::common::tls::Authority;
use crate::common::{Node, Upstream, put, read_answer, route_json};
use hg_plan::Kind;
use std::io::{Read, Write};

/// Asks with this cookie, if any; returns the cookie that the answer sets.
fn cookie(s: &mut (impl Read + Write), kept: Option<&str>) -> Option<String> {
    let line = kept.map_or(String::new(), |value| format!("Cookie: {value}\r\n"));
    let request = format!("GET / HTTP/1.1\r\nHost: a.example\r\n{line}\r\n");
    s.write_all(request.as_bytes()).unwrap();
    let (head, body) = read_answer(s);
    assert_eq!(body, b"ok", "{head}");
    head.lines().find_map(|line| Some(line.strip_prefix("set-cookie: ")?.to_owned()))
}

/// The cookie says `Secure` where its client came over TLS (RFC 6265 §4.1.2.5), and comes once.
#[test]
fn the_cookie_of_a_branch_is_for_tls_alone_where_its_client_came_over_tls() {
    let up = Upstream::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let mut node = Node::simple(&up);
    let keys = r#""keys":["a-key-of-at-least-32-characters-00"]"#;
    let rest = format!(r#","sticky":{{"cookie":{{"cookie":"at",{keys}}}}}"#);
    let to = r#""action":{"split":[{"upstream":"u","weight":1}]}"#;
    let route = route_json(&rest).replace(r#""action":{"upstream":"u"}"#, to);
    node.apply(&[put(Kind::Route, "r", route)]);
    let check = |s: &mut dyn ReadWrite, is_secure: bool| {
        let mut s = s;
        let set = cookie(&mut s, None).unwrap();
        let mut parts = set.split("; ");
        let named = parts.next().unwrap().to_owned();
        assert_eq!(parts.any(|part| part == "Secure"), is_secure, "{set}");
        assert_eq!(cookie(&mut s, Some(&named)), None);
    };
    check(&mut node.connect(), false);
    let authority = Authority::serve(&mut node);
    check(&mut authority.connect(&node), true);
}

trait ReadWrite: Read + Write {}

impl<S: Read + Write> ReadWrite for S {}
