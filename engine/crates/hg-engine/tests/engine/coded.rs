//! Answers that are encoded on their way, through a real engine: what each client gets of each of them,
//! and when.

use crate::common::http2::Client;
use crate::common::*;
use hg_codec::{Bound, Coding, Layers, Readable};
use hg_plan::Kind;
use std::io::{Read, Write};
use std::sync::{Mutex, mpsc};

/// Returns what a gzip member holds, as far as it has come.
fn unzipped(bytes: &[u8]) -> Vec<u8> {
    let bound = Bound { bytes: 10_000_000, ratio: 10_000 };
    let mut layers = Layers::new([Readable::from(Coding::Gzip)].into_iter(), bound).unwrap();
    let (mut out, mut rest) = (Vec::new(), bytes);
    loop {
        let fed = layers.feed(rest, 65_536, &mut out).unwrap();
        rest = &rest[fed.consumed..];
        if !fed.is_full {
            return out;
        }
    }
}

const GZIP: &str = r#","middlewares":[{"compress":{"codings":["gzip"],"min_bytes":100}}]"#;

/// The ways in which an endpoint says where its body ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Framing {
    Length,
    Chunked,
    Close,
}

fn text(bytes: usize) -> String {
    (0..)
        .map(|n: usize| n.to_string())
        .flat_map(|n| n.into_bytes())
        .take(bytes)
        .map(char::from)
        .collect()
}

/// Answers with a text of so many bytes as the path says.
fn answering(framing: Framing) -> Upstream {
    Upstream::play(move |mut s| {
        while let Some(head) = read_head(&mut s) {
            let bytes = head.split(' ').nth(1).unwrap()[1..].parse().unwrap();
            let body = text(bytes);
            let (line, body) = match framing {
                Framing::Length => (format!("Content-Length: {bytes}\r\n"), body),
                Framing::Chunked => {
                    let chunk = format!("{bytes:x}\r\n{body}\r\n0\r\n\r\n");
                    ("Transfer-Encoding: chunked\r\n".to_owned(), chunk)
                }
                Framing::Close => ("Connection: close\r\n".to_owned(), body),
            };
            let body = if head.starts_with("HEAD ") { "" } else { &body };
            let lines = "Content-Type: text/plain\r\nETag: \"a\"\r\nX-Own: y\r\n";
            let answer = format!("HTTP/1.1 200 OK\r\n{lines}{line}\r\n{body}");
            if s.write_all(answer.as_bytes()).is_err() || framing == Framing::Close {
                return;
            }
        }
    })
}

/// Takes the chunks of a body apart.
fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        all.extend(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 4 + size..];
        if size == 0 {
            assert!(bytes.is_empty());
            return all;
        }
    }
}

#[test]
fn a_text_is_encoded_for_clients_that_take_it_whatever_its_framing() {
    for framing in [Framing::Length, Framing::Chunked, Framing::Close] {
        let up = answering(framing);
        let node = Node::start(&upstream_json(&[up.address], ""), GZIP, 1);
        for (method, version) in [("GET", "1.1"), ("GET", "1.0"), ("HEAD", "1.1")] {
            for (bytes, accepts) in
                [(99, "gzip"), (100, "gzip"), (300_000, "gzip"), (300_000, "br")]
            {
                let what = format!("{framing:?} {method} {version} {bytes} {accepts}");
                let mut s = node.connect();
                let request = format!(
                    "{method} /{bytes} HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\
                     Accept-Encoding: {accepts}\r\n\r\n"
                );
                s.write_all(request.as_bytes()).unwrap();
                let all = read_all(&mut s);
                let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
                let (head, body) = (String::from_utf8(all[..end].to_vec()).unwrap(), &all[end..]);
                assert_eq!(value(&head, "x-own"), Some("y"), "{what}: {head}");
                // Where the length is not known, a short text is encoded as well.
                let is_long = bytes >= 100 || framing != Framing::Length;
                // A client of HTTP/1.0 could not tell the end of a body without a length.
                let is_coded = is_long && accepts == "gzip" && version == "1.1";
                let coding = value(&head, "content-encoding");
                assert_eq!(coding, is_coded.then_some("gzip"), "{what}: {head}");
                let vary = value(&head, "vary");
                assert_eq!(vary, is_long.then_some("Accept-Encoding"), "{what}: {head}");
                let tag = if is_coded { "W/\"a\"" } else { "\"a\"" };
                assert_eq!(value(&head, "etag"), Some(tag), "{what}: {head}");
                let has_length = framing == Framing::Length && !is_coded;
                let length = value(&head, "content-length");
                assert_eq!(length.is_some(), has_length, "{what}: {head}");
                let chunked = value(&head, "transfer-encoding") == Some("chunked");
                let needs_chunks = !has_length && version == "1.1" && method == "GET";
                assert_eq!(chunked, needs_chunks, "{what}: {head}");
                if method == "HEAD" {
                    assert!(body.is_empty(), "{what}");
                    continue;
                }
                let body = if chunked { unchunked(body) } else { body.to_vec() };
                let plain = if is_coded { unzipped(&body) } else { body.clone() };
                assert!(plain == text(bytes).as_bytes(), "{what}: {} bytes", plain.len());
                assert!(!is_coded || bytes < 1000 || body.len() < bytes / 2, "{what}");
            }
        }
    }
}

#[test]
fn a_text_is_encoded_over_http2() {
    let up = answering(Framing::Length);
    let mut node = Node::start(&upstream_json(&[up.address], ""), GZIP, 1);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    let mut client = Client::connect(&node);
    for bytes in [100, 300_000] {
        let id = client.open("GET", &format!("/{bytes}"), &[("accept-encoding", "gzip")], true);
        let answer = client.answer(id);
        assert_eq!(answer.field("content-encoding"), Some("gzip"));
        assert_eq!(answer.field("content-length"), None);
        assert!(unzipped(&answer.body) == text(bytes).as_bytes());
    }
}

/// The part of an answer without a length that has come may be all for a long time.
#[test]
fn each_part_of_a_stream_is_sent_as_soon_as_it_came() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let up = Upstream::play(move |mut s| {
        read_head(&mut s);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        s.write_all(head.as_bytes()).unwrap();
        for part in ["one", "two", "six"] {
            s.write_all(format!("3\r\n{part}\r\n").as_bytes()).unwrap();
            let _ = wait.lock().unwrap().recv_timeout(DEADLINE);
        }
        s.write_all(b"0\r\n\r\n").unwrap();
    });
    let node = Node::start(&upstream_json(&[up.address], ""), GZIP, 1);
    let mut s = node.connect();
    s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n").unwrap();
    let head = read_head(&mut s).unwrap();
    assert_eq!(value(&head, "content-encoding"), Some("gzip"), "{head}");
    let (mut chunks, mut body) = (Vec::new(), Vec::new());
    for expected in ["one", "onetwo", "onetwosix"] {
        while unzipped(&body) != expected.as_bytes() {
            let mut some = [0; 4096];
            let n = s.read(&mut some).unwrap();
            chunks.extend(&some[..n]);
            body = begun(&chunks);
        }
        go.send(()).unwrap();
    }
    while !chunks.ends_with(b"\r\n0\r\n\r\n") {
        let mut some = [0; 4096];
        let n = s.read(&mut some).unwrap();
        assert!(n > 0);
        chunks.extend(&some[..n]);
    }
    assert_eq!(unzipped(&unchunked(&chunks)), b"onetwosix");
}

/// Returns the content of the chunks that have come whole.
fn begun(mut bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        let Some(chunk) = bytes.get(end + 2..end + 4 + size) else { break };
        all.extend(&chunk[..size]);
        bytes = &bytes[end + 4 + size..];
    }
    all
}
