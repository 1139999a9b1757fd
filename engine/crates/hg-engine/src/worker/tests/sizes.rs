//! A worker expects of the next bytes on a connection what the last body on it was like.

use super::*;
use crate::common::http2::Client as Http2Client;

/// Answers each request with as many bytes as its path says.
fn sized() -> Upstream {
    Upstream::play(|mut s| {
        while let Some(head) = read_head(&mut s) {
            let path = head.split(' ').nth(1).unwrap_or_default();
            let bytes: usize = path.trim_start_matches('/').parse().unwrap_or(0);
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n");
            if s.write_all(&[answer.into_bytes(), vec![b'x'; bytes]].concat()).is_err() {
                return;
            }
        }
    })
}

/// Reports whether much is expected of the endpoint's connection.
fn of_endpoint(node: &Node) -> bool {
    on_worker(node, |w| w.ups.iter().any(|(_, up)| up.conn.brings_much))
}

/// Reports whether much is expected of the client's connection.
fn of_client(node: &Node) -> bool {
    on_worker(node, |w| w.clients.iter().any(|(_, c)| c.conn.brings_much))
}

const MUCH: usize = 2 * 1024 * 1024;

#[test]
fn after_a_large_answer_another_one_is_expected() {
    let node = Node::simple(&sized());
    let mut s = node.connect();
    for (bytes, is_much) in [(10, false), (MUCH, true), (MUCH - 1, false)] {
        write!(s, "GET /{bytes} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(read_answer(&mut s).1.len(), bytes);
        assert_eq!(of_endpoint(&node), is_much, "{bytes}");
    }
}

#[test]
fn what_is_not_spliced_is_read_whatever_its_size() {
    let mut node = Node::simple(&sized());
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    let mut client = Http2Client::connect(&node);
    assert_eq!(client.get(&format!("/{MUCH}")).body.len(), MUCH);
    assert!(!of_endpoint(&node), "of HTTP/2");
    let mut node = Node::simple(&sized());
    let authority = Authority::serve(&mut node);
    let mut s = authority.connect(&node);
    write!(s, "GET /{MUCH} HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut s).1.len(), MUCH);
    assert!(!of_endpoint(&node), "of TLS");
}

#[test]
fn after_a_large_request_another_one_is_expected() {
    let mut node = Node::simple(&Upstream::play(|mut s| {
        while let Some(head) = read_head(&mut s) {
            let length = head.to_lowercase().split("content-length: ").nth(1).map(|rest| {
                rest.split("\r\n").next().unwrap_or_default().parse::<usize>().unwrap()
            });
            read_n(&mut s, length.unwrap_or(0));
            s.write_all(OK).unwrap();
        }
    }));
    let mut s = node.connect();
    for (bytes, is_much) in [(10, false), (48 * 1024, true), (48 * 1024 - 1, false)] {
        let head = format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {bytes}\r\n\r\n");
        s.write_all(head.as_bytes()).unwrap();
        node.barrier();
        assert_eq!(of_client(&node), is_much, "{bytes}");
        s.write_all(&vec![b'x'; bytes]).unwrap();
        assert_eq!(read_answer(&mut s).1, b"ok");
    }
    drop(s);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    let mut client = Http2Client::connect(&node);
    let sent = vec![b'x'; 100_000];
    let length = sent.len().to_string();
    assert_eq!(client.post("/", &[("content-length", &length)], &sent).body, b"ok");
    assert!(!of_client(&node), "of HTTP/2");
}
