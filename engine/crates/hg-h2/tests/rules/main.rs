//! The rules of translation between HTTP/1 and HTTP/2, one test for each, by its number.
//!
//! A rule that the engine completes (a connection that is closed, a certificate that is compared) is
//! tested as far as this crate carries it: by what it tells the engine.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    missing_docs
)]

mod request;
mod response;
mod upstream;

use hg_h2::{
    Arrival, Asked, Code, Encoder, Event, Incoming, Limits, Line, PREFACE, Role, Sensitivity,
    Session,
};
use hg_proto::{Admission, Lines, Reject, RequestHead, write};

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const GET: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "https"), (":authority", "a.example"), (":path", "/p?q=1")];
pub const POST: &[(&str, &str)] =
    &[(":method", "POST"), (":scheme", "https"), (":authority", "a.example"), (":path", "/p")];
pub const CONNECT: &[(&str, &str)] = &[
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "https"),
    (":authority", "a.example"),
    (":path", "/chat"),
    ("sec-websocket-version", "13"),
];

#[test]
fn every_rule_has_a_test_that_names_it() {
    let here =
        [include_str!("request.rs"), include_str!("upstream.rs"), include_str!("response.rs")];
    let tests: Vec<&str> = here
        .iter()
        .flat_map(|file| file.lines())
        .filter_map(|line| line.trim().strip_prefix("fn ")?.split(['(', '<']).next())
        .collect();
    let page = include_str!("../../../../../docs/internals/http2.md");
    for rule in 1..=41 {
        let start = format!("rule_{rule:02}_");
        let named: Vec<&&str> = tests.iter().filter(|name| name.starts_with(&start)).collect();
        assert!(!named.is_empty(), "rule {rule} has no test");
        let row = format!("| {rule} |");
        let row = page.lines().find(|line| line.starts_with(&row)).expect("a row of the page");
        assert!(named.iter().any(|name| row.contains(**name)), "rule {rule}: {row}");
    }
}

pub fn lines<'a>(fields: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = Line<'a>> {
    fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes(), Sensitivity::Normal))
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// A session whose peer is played by hand.
pub struct Hand {
    pub session: Session,
    pub incoming: Incoming,
    encoder: Encoder,
    next_id: u32,
    pub arrival: Arrival,
}

impl Hand {
    pub fn new(role: Role, limits: Limits) -> Self {
        let arrival = Arrival { admission: Admission::default(), tls: true, end: false };
        let mut hand = Self {
            session: Session::new(role, limits),
            incoming: Incoming::new(),
            encoder: Encoder::new(),
            next_id: 1,
            arrival,
        };
        let preface = if role == Role::Server { PREFACE.as_slice() } else { &[] };
        let connect = [0, 8, 0, 0, 0, 1];
        let settings = if role == Role::Client { &connect[..] } else { &[] };
        hand.feed(&[preface, &frame(4, 0, 0, settings), &frame(4, 1, 0, &[])].concat());
        hand.output();
        hand
    }

    pub fn server() -> Self {
        Self::new(Role::Server, Limits::server())
    }

    pub fn client() -> Self {
        Self::new(Role::Client, Limits::client())
    }

    /// Feeds whole frames; stops at the first head or trailers, so that they can be looked at.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let (mut at, mut events) = (0, Vec::new());
        while let Some(event) =
            self.session.next(bytes, &mut at, 0, &mut self.incoming).expect("a sound connection")
        {
            let is_message = matches!(event, Event::Head { .. } | Event::Trailers { .. });
            events.push(event);
            if is_message && at < bytes.len() {
                panic!("feed a message alone");
            }
        }
        assert_eq!(at, bytes.len());
        events
    }

    pub fn output(&mut self) -> Vec<u8> {
        let bytes = self.session.output().to_vec();
        self.session.sent(bytes.len());
        bytes
    }

    /// Returns the codes of RST_STREAM in the output.
    pub fn resets(&mut self) -> Vec<Code> {
        frames(&self.output())
            .into_iter()
            .filter(|f| f.0 == 3)
            .map(|f| Code(u32::from_be_bytes(f.3.try_into().unwrap())))
            .collect()
    }

    pub fn block(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value, secret) in lines(fields) {
            self.encoder.field(name, value, secret, &mut block);
        }
        block
    }

    pub fn head(&mut self, id: u32, fields: &[(&str, &str)], end: bool) -> Vec<Event> {
        let block = self.block(fields);
        self.feed(&frame(1, END_HEADERS | u8::from(end), id, &block))
    }

    /// Sends a request and returns what a strict HTTP/1.1 upstream would get, or why it is refused.
    pub fn ask(&mut self, fields: &[(&str, &str)], end: bool) -> Result<String, Reject> {
        self.with(fields, end, |head| Ok(http1(head)))
    }

    pub fn with<T>(
        &mut self,
        fields: &[(&str, &str)],
        end: bool,
        read: impl FnOnce(&RequestHead<'_, '_>) -> Result<T, Reject>,
    ) -> Result<T, Reject> {
        let id = self.next_id;
        self.next_id += 2;
        match self.head(id, fields, end).as_slice() {
            [Event::Head { end, .. }] => {
                let arrival = Arrival { end: *end, ..self.arrival };
                let mut slots = Lines::new();
                let head = self.incoming.message().request(&mut slots, &arrival)?;
                read(&head)
            }
            [Event::Malformed { fault, .. }] => Err(**fault),
            other => panic!("{other:?}"),
        }
    }

    /// Returns the code of the refusal of a GET with these fields more.
    pub fn refused(&mut self, more: &[(&str, &str)]) -> &'static str {
        self.ask(&[GET, more].concat(), true).expect_err("a refusal").code
    }

    pub fn taken(&mut self, more: &[(&str, &str)]) -> String {
        self.ask(&[GET, more].concat(), true).expect("a head")
    }
}

/// Type, flags, stream and payload of each frame.
pub fn frames(mut bytes: &[u8]) -> Vec<(u8, u8, u32, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [a, b, c, kind, flags, d, e, f, g, rest @ ..] = bytes {
        let len = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let stream = u32::from_be_bytes([*d, *e, *f, *g]);
        frames.push((*kind, *flags, stream, rest[..len].to_vec()));
        bytes = &rest[len..];
    }
    frames
}

/// Writes a head as the engine writes it for an HTTP/1.1 upstream.
pub fn http1(head: &RequestHead<'_, '_>) -> String {
    let mut out = Vec::new();
    write::request_line(&mut out, head.method.as_str(), head.path, head.query);
    write::line(&mut out, "host", head.host.as_bytes());
    write::fields(&mut out, &head.fields, |_| false);
    if head.connection.upgrade_websocket {
        write::connection(&mut out, write::Persistence::WebSocket);
    } else {
        if head.connection.te_trailers {
            out.extend_from_slice(b"te: trailers\r\nconnection: te\r\n");
        }
        write::request_framing(&mut out, head.framing);
    }
    write::end(&mut out);
    String::from_utf8(out).expect("text")
}

/// Decodes the one HEADERS frame of an output into `name: value` lines.
pub fn decoded(output: &[u8], decoder: &mut hg_h2::Decoder) -> Vec<String> {
    let mut text = hg_h2::Text::new();
    let limits = hg_h2::BlockLimits { fields: 100, bytes: 65_536 };
    let head = frames(output).into_iter().find(|f| f.0 == 1).expect("HEADERS");
    decoder.block(&head.3, &mut text, limits).expect("a sound block");
    let line = |f: hg_h2::Field<'_>| {
        let secret = if f.never_indexed { " (never indexed)" } else { "" };
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        format!("{}: {}{secret}", text(f.name), text(f.value))
    };
    text.iter().map(line).collect()
}

pub const ASKED: Asked = Asked { is_head: false, websocket: false, end: false };
