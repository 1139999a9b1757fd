//! Answers that the node makes itself: redirects, texts, and errors, to clients of every kind.

use crate::common::*;
use hg_plan::Kind;
use std::io::{Read, Write};

/// One way to an answer of our own: a name, the keys of the route, and what the answer is.
struct Own {
    name: &'static str,
    action: &'static str,
    rest: &'static str,
    status: u16,
    body: Option<&'static str>,
}

const ALL: [Own; 6] = [
    Own {
        name: "text",
        action: r#"{"respond":{"status":200,"body":"hello"}}"#,
        rest: "",
        status: 200,
        body: Some("hello"),
    },
    Own {
        name: "empty",
        action: r#"{"respond":{"status":204}}"#,
        rest: "",
        status: 204,
        body: None,
    },
    Own {
        name: "teapot",
        action: r#"{"respond":{"status":418,"body":"tea"}}"#,
        rest: "",
        status: 418,
        body: Some("tea"),
    },
    Own {
        name: "redirect",
        action: r#"{"redirect":{"status":302,"scheme":"https"}}"#,
        rest: "",
        status: 302,
        body: None,
    },
    Own {
        name: "unresolved",
        action: r#"{"upstream":"nobody"}"#,
        rest: "",
        status: 503,
        body: None,
    },
    Own {
        name: "page",
        action: r#"{"upstream":"nobody"}"#,
        rest: r#","middlewares":[{"error_pages":{"pages":[{"statuses":[[503,503]],"body":"sorry"}]}}]"#,
        status: 503,
        body: Some("sorry"),
    },
];

fn node() -> Node {
    let up = Upstream::answering(b"");
    let mut node = Node::simple(&up);
    let mut changes =
        vec![put(Kind::Upstream, "nobody", r#"{"endpoints":[{"address":"nobody.invalid:1"}]}"#)];
    for own in &ALL {
        let route = route_json(own.rest)
            .replace(r#""*""#, &format!(r#""{}.example""#, own.name))
            .replace(r#"{"upstream":"u"}"#, own.action);
        changes.push(put(Kind::Route, own.name, route));
    }
    changes.push(hg_plan::Change { kind: Kind::Route, name: "r".into(), bytes: None });
    node.apply(&changes);
    node
}

#[test]
fn our_own_answers_are_framed_and_keep_connections_as_those_of_endpoints_do() {
    let node = node();
    for own in &ALL {
        for (version, method, connection) in [
            ("1.1", "GET", ""),
            ("1.1", "HEAD", ""),
            ("1.1", "GET", "Connection: close\r\n"),
            ("1.0", "GET", ""),
            ("1.0", "GET", "Connection: keep-alive\r\n"),
        ] {
            let what = format!("{} {version} {method} {connection}", own.name);
            let request = format!(
                "{method} / HTTP/{version}\r\nHost: {}.example\r\n{connection}\r\n",
                own.name
            );
            let mut s = node.connect();
            s.write_all(request.as_bytes()).unwrap();
            let head = read_head(&mut s).unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {} ", own.status)), "{what}: {head}");
            assert!(value(&head, "date").is_some(), "{what}: {head}");
            let length = value(&head, "content-length").map(|n| n.parse::<usize>().unwrap());
            assert_eq!(length.is_some(), own.status != 204, "{what}: {head}");
            if method == "GET" {
                let body = read_n(&mut s, length.unwrap_or(0));
                if let Some(expected) = own.body {
                    assert_eq!(body, expected.as_bytes(), "{what}");
                }
            }
            let stays = (version == "1.1") == connection.is_empty();
            let said = match (stays, version) {
                (true, "1.1") => None,
                (true, _) => Some("keep-alive"),
                (false, _) => Some("close"),
            };
            assert_eq!(value(&head, "connection"), said, "{what}: {head}");
            if stays {
                s.write_all(request.as_bytes()).unwrap();
                assert!(read_head(&mut s).is_some(), "{what}");
            } else {
                assert_eq!(s.read(&mut [0]).unwrap(), 0, "{what}: the connection ends");
            }
        }
    }
}

/// The next request would begin in a body that was announced and that nobody reads.
#[test]
fn a_request_with_a_body_that_we_answer_ends_its_connection() {
    let node = node();
    for sent in ["hello", "hel", ""] {
        let mut s = node.connect();
        let head = "PUT / HTTP/1.1\r\nHost: text.example\r\nContent-Length: 5\r\n\r\n";
        s.write_all(format!("{head}{sent}").as_bytes()).unwrap();
        let (head, body) = read_answer(&mut s);
        assert_eq!(
            (value(&head, "connection"), &body[..]),
            (Some("close"), &b"hello"[..]),
            "{sent}"
        );
    }
}

#[test]
fn headers_that_a_route_sets_or_removes_are_on_our_answers_too() {
    let mut node = node();
    let edits = r#"{"response_headers":{"set":{"x-set":"y"},"remove":["date"]}}"#;
    for own in &ALL {
        let rest = match own.rest {
            "" => format!(r#","middlewares":[{edits}]"#),
            rest => rest.replace(r#""middlewares":["#, &format!(r#""middlewares":[{edits},"#)),
        };
        let route = route_json(&rest)
            .replace(r#""*""#, &format!(r#""{}.example""#, own.name))
            .replace(r#"{"upstream":"u"}"#, own.action);
        node.apply(&[put(Kind::Route, own.name, route)]);
        let mut s = node.connect();
        let request = format!("GET / HTTP/1.1\r\nHost: {}.example\r\n\r\n", own.name);
        s.write_all(request.as_bytes()).unwrap();
        let head = read_head(&mut s).unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {} ", own.status)), "{head}");
        assert_eq!((value(&head, "x-set"), value(&head, "date")), (Some("y"), None), "{head}");
    }
}
