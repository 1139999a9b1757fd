//! The spans that a worker makes of requests, as a collector gets them.

use super::*;
use crate::common::authorised::{YES, auth_json, service};
use crate::common::value;
use std::collections::BTreeMap;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT_SPAN: u64 = 0x00f0_67aa_0ba9_02b7;
const AGAIN: &str = r#","retry":{"retries":1,"on":["503"],"backoff":{"base_ms":1,"max_ms":1}}"#;

/// A field of a message: its number, and its value or its bytes.
type Field<'a> = (u64, u64, &'a [u8]);

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

/// Takes a message of Protocol Buffers apart.
fn fields(mut bytes: &[u8]) -> Vec<Field<'_>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let (value, length) = match tag & 7 {
            0 => (varint(&mut bytes), 0),
            1 => (0, 8),
            5 => (0, 4),
            2 => (0, usize::try_from(varint(&mut bytes)).unwrap()),
            other => panic!("wire type {other}"),
        };
        let (own, rest) = bytes.split_at(length);
        bytes = rest;
        found.push((tag >> 3, value, own));
    }
    found
}

/// Returns the nested messages of a number.
fn nested(bytes: &[u8], number: u64) -> Vec<&[u8]> {
    fields(bytes).into_iter().filter(|f| f.0 == number).map(|f| f.2).collect()
}

#[derive(Debug)]
struct Span {
    id: u64,
    parent: u64,
    /// `SpanKind`: 1 is internal, 2 a server, 3 a client.
    kind: u64,
    name: String,
    is_error: bool,
    /// Its beginning and its end, nanoseconds.
    unix_ns: (u64, u64),
    is_parent_remote: bool,
    attributes: BTreeMap<String, String>,
}

impl Span {
    fn about(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", |value| value)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn span(bytes: &[u8]) -> Span {
    let all = fields(bytes);
    let one = |number| all.iter().find(|f| f.0 == number).map_or((0, &[][..]), |f| (f.1, f.2));
    let id = |number| one(number).1.iter().fold(0, |id, byte| id << 8 | u64::from(*byte));
    let fixed = |number| one(number).1.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte));
    let attributes = nested(bytes, 9).into_iter().map(|pair| {
        let (number, value, bytes) = fields(nested(pair, 2)[0])[0];
        let value = if number == 1 { text(bytes) } else { value.to_string() };
        (text(nested(pair, 1)[0]), value)
    });
    Span {
        id: id(2),
        parent: id(4),
        kind: one(6).0,
        name: text(one(5).1),
        is_error: !one(15).1.is_empty(),
        unix_ns: (fixed(7), fixed(8)),
        // `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`
        is_parent_remote: fixed(16) & 0x200 != 0,
        attributes: attributes.collect(),
    }
}

/// A node whose spans go to a collector.
struct Traced {
    node: Node,
    exports: mpsc::Receiver<Vec<u8>>,
}

impl Traced {
    fn new(upstream: &str, route: &str) -> Self {
        let (tell, exports) = mpsc::channel();
        let tell = Mutex::new(tell);
        let collector = Upstream::play(move |mut s| {
            while let Some(head) = read_head(&mut s) {
                let length = value(&head, "content-length").unwrap().parse().unwrap();
                let _ = tell.lock().unwrap().send(read_n(&mut s, length));
                let _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
        });
        let mut node = Node::start(upstream, route, 1);
        let settings = format!(
            r#"{{"tracing":{{"export":{{"endpoint":"http://{}/v1/traces","service_name":"s",
            "timeout_ms":10000}}}}}}"#,
            collector.address
        );
        node.apply(&[put(Kind::Settings, "node", settings)]);
        Self { node, exports }
    }

    /// Sends one request that belongs to a trace which is recorded.
    fn get(&self, path: &str) -> String {
        self.get_of(path, "01")
    }

    /// Sends one request that belongs to a trace with these flags.
    fn get_of(&self, path: &str, flags: &str) -> String {
        let mut s = self.node.connect();
        write!(
            s,
            "GET {path} HTTP/1.1\r\nHost: a.example:81\r\nConnection: close\r\n\
             Traceparent: 00-{TRACE}-{CLIENT_SPAN:016x}-{flags}\r\n\r\n"
        )
        .unwrap();
        text(&read_all(&mut s))
    }

    /// Ends the export. Returns the spans so far: that of the request first.
    fn spans(&self) -> Vec<Span> {
        on_worker(&self.node, |w| w.records.traces.flush());
        // What is over waits for no more spans.
        self.node.engine.inner.records.stop();
        let body = self.exports.recv_timeout(DEADLINE).unwrap();
        let scopes = nested(&body, 1).into_iter().flat_map(|resource| nested(resource, 2));
        scopes.flat_map(|scope| nested(scope, 2)).map(span).collect()
    }
}

/// Returns the span that an endpoint was told of.
fn told(head: &str) -> u64 {
    let parent = value(head, "traceparent").unwrap();
    assert_eq!(parent.get(3..35), Some(TRACE));
    u64::from_str_radix(parent.get(36..52).unwrap(), 16).unwrap()
}

#[test]
fn each_try_at_an_endpoint_is_a_span_with_its_own_status() {
    let (tell, told_heads) = mpsc::channel();
    let tell = Mutex::new(tell);
    let up = Upstream::play(move |mut s| {
        let mut answers = [&b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"[..], OK].into_iter();
        while let (Some(head), Some(answer)) = (read_head(&mut s), answers.next()) {
            tell.lock().unwrap().send(head).unwrap();
            s.write_all(answer).unwrap();
        }
    });
    let traced = Traced::new(&upstream_json(&[up.address], ""), AGAIN);
    assert!(traced.get("/a?b").starts_with("HTTP/1.1 200 "));
    let spans = traced.spans();
    let [server, first, second] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((server.kind, server.parent, &*server.name), (2, CLIENT_SPAN, "GET r"));
    assert_eq!((server.is_error, server.about("error.type")), (false, ""));
    for (name, expected) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("url.path", "/a"),
        ("url.scheme", "http"),
        ("server.address", "a.example"),
        ("headgate.upstream", "u"),
    ] {
        assert_eq!(server.about(name), expected, "{name}");
    }
    for (one, repeats, status, error, is_reused) in
        [(first, "", "503", "503", "0"), (second, "1", "200", "", "1")]
    {
        assert_eq!((one.kind, one.parent, &*one.name), (3, server.id, "GET"));
        assert_eq!(one.about("http.request.resend_count"), repeats);
        assert_eq!(one.about("http.response.status_code"), status);
        assert_eq!((one.is_error, one.about("error.type")), (!error.is_empty(), error));
        assert_eq!(one.about("headgate.connection.reused"), is_reused);
        assert_eq!(one.about("server.port"), up.address.port().to_string());
        assert_eq!(one.about("server.address"), "127.0.0.1");
        assert_eq!(told(&told_heads.recv_timeout(DEADLINE).unwrap()), one.id);
    }
    assert_ne!(first.id, second.id);
    let remote = [server, first, second].map(|one| one.is_parent_remote);
    assert_eq!(remote, [true, false, false]);
    let times = [server.unix_ns.0, first.unix_ns.0, first.unix_ns.1, second.unix_ns.0];
    let times = [&times[..], &[second.unix_ns.1, server.unix_ns.1]].concat();
    assert!(times[0] > 0 && times.is_sorted(), "{times:?}");
}

#[test]
fn a_try_that_got_no_answer_says_why() {
    let traced = Traced::new(&upstream_json(&[unused_address()], ""), "");
    assert!(traced.get("/").starts_with("HTTP/1.1 502 "));
    let spans = traced.spans();
    let [server, one] = &spans[..] else { panic!("{spans:?}") };
    assert!(server.is_error && one.is_error, "{spans:?}");
    assert_eq!(server.about("http.response.status_code"), "502");
    assert_eq!(server.about("error.type"), server.about("headgate.reason"));
    assert_eq!(one.about("http.response.status_code"), "");
    assert_eq!(one.about("error.type"), "connect");
}

#[test]
fn the_wait_for_another_service_is_a_span_that_the_service_is_told_of() {
    let (auth, heads) = service(|_| YES.to_owned());
    let up = Upstream::answering(OK);
    let mut traced = Traced::new(&upstream_json(&[up.address], ""), "");
    let route = route_json(&format!(r#","middlewares":[{}]"#, auth_json("")));
    traced.node.apply(&[
        put(Kind::Upstream, "auth", upstream_json(&[auth.address], "")),
        put(Kind::Route, "r", route),
    ]);
    assert!(traced.get("/").starts_with("HTTP/1.1 200 "));
    let spans = traced.spans();
    let [server, wait, one] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((wait.kind, &*wait.name, wait.parent), (1, "forward_auth", server.id));
    assert_eq!((one.kind, one.parent), (3, server.id));
    assert_eq!(told(&heads.take()[0]), wait.id);
    assert!(wait.unix_ns.1 <= one.unix_ns.0, "{spans:?}");
}

#[test]
fn a_trace_that_its_client_does_not_record_has_no_spans() {
    let (app, heads) = service(|_| YES.to_owned());
    let traced = Traced::new(&upstream_json(&[app.address], ""), "");
    for flags in ["00", "01"] {
        assert!(traced.get_of("/", flags).starts_with("HTTP/1.1 200 "));
        assert!(value(&heads.take()[0], "traceparent").unwrap().ends_with(flags));
    }
    let spans = traced.spans();
    let [server, one] = &spans[..] else { panic!("{spans:?}") };
    assert_ne!(server.id, CLIENT_SPAN, "the node has a span of its own");
    assert_eq!((server.parent, one.parent), (CLIENT_SPAN, server.id));
}

#[test]
fn the_list_for_other_systems_passes_with_the_trace_that_it_belongs_to_only() {
    let (app, heads) = service(|_| YES.to_owned());
    let traced = Traced::new(&upstream_json(&[app.address], ""), "");
    let parent = format!("Traceparent: 00-{TRACE}-{CLIENT_SPAN:016x}-01\r\n");
    for (lines, passes) in [
        (format!("{parent}Tracestate: a=1\r\n"), true),
        (format!("{parent}Tracestate: none\r\n"), false),
        (format!("{parent}{parent}Tracestate: a=1\r\n"), false),
        ("Tracestate: a=1\r\n".to_owned(), false),
    ] {
        let mut s =
            ask(&traced.node, format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").as_bytes());
        read_head(&mut s).unwrap();
        let head = heads.take().remove(0).to_ascii_lowercase();
        assert_eq!(head.matches("traceparent: ").count(), 1, "{head}");
        assert_eq!(head.matches("tracestate: ").count(), usize::from(passes), "{lines}{head}");
        let goes_on = lines.matches("Traceparent").count() == 1;
        assert_eq!(head.contains(TRACE), goes_on, "{head}");
    }
}
