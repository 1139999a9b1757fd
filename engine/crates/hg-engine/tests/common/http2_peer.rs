//! A blocking HTTP/2 endpoint on one connection, over the server side of the session that the proxy
//! itself has.

#![allow(clippy::indexing_slicing, clippy::panic, reason = "tests")]

use super::http2::{never, sensitivity};
use super::{Node, Upstream, put, upstream_json};
use hg_h2::{After, Code, Event, Incoming, Limits, Role, Session};
use hg_plan::Kind;
use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::TcpStream;

/// What came on one stream.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub authority: String,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The DATA frames in which the body came.
    pub frames: usize,
    pub trailers: Vec<(String, String)>,
    /// Names of fields that came as never indexed.
    pub never: Vec<String>,
    pub ended: bool,
    pub reset: Option<Code>,
}

impl Request {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

pub struct Peer<S = TcpStream> {
    pub stream: S,
    pub session: Session,
    incoming: Incoming,
    input: Vec<u8>,
    pub requests: HashMap<u32, Request>,
    /// Streams whose head came, in order.
    pub heads: VecDeque<u32>,
    pub goaway: bool,
    /// Whether received bytes are taken from the windows for good.
    pub keeps_credit: bool,
}

impl<S: Read + Write> Peer<S> {
    pub fn over(stream: S) -> Self {
        Self::with(stream, Limits::server())
    }

    pub fn with(stream: S, limits: Limits) -> Self {
        Self {
            stream,
            session: Session::new(Role::Server, limits),
            incoming: Incoming::new(),
            input: Vec::new(),
            requests: HashMap::new(),
            heads: VecDeque::new(),
            goaway: false,
            keeps_credit: false,
        }
    }

    /// Sends everything that the session has to send; the proxy may be gone.
    pub fn flush(&mut self) {
        let n = self.session.output().len();
        let _ = self.stream.write_all(self.session.output());
        self.session.sent(n);
    }

    /// Reads once; returns false at the end.
    pub fn read(&mut self) -> bool {
        self.flush();
        let mut buffer = [0; 65_536];
        let Ok(n @ 1..) = self.stream.read(&mut buffer) else {
            return false;
        };
        self.input.extend_from_slice(&buffer[..n]);
        let input = std::mem::take(&mut self.input);
        let mut at = 0;
        while let Some(event) =
            self.session.next(&input, &mut at, 0, &mut self.incoming).expect("a sound connection")
        {
            self.on(event, &input);
        }
        self.input = input[at..].to_vec();
        self.flush();
        true
    }

    fn on(&mut self, event: Event, input: &[u8]) {
        match event {
            Event::Head { stream, end, .. } => {
                let message = self.incoming.message();
                let request = Request {
                    method: string(message.method()),
                    path: string(message.path()),
                    authority: string(message.authority()),
                    fields: message.fields().map(text).collect(),
                    never: never(&message),
                    ended: end,
                    ..Request::default()
                };
                self.requests.insert(stream, request);
                self.heads.push_back(stream);
            }
            Event::Data { stream, range, end } => {
                let n = range.len();
                let request = self.requests.get_mut(&stream).unwrap();
                request.body.extend_from_slice(&input[range]);
                request.frames += 1;
                request.ended = end;
                if !self.keeps_credit {
                    self.session.credit(stream, u32::try_from(n).unwrap());
                }
            }
            Event::Trailers { stream } => {
                let request = self.requests.get_mut(&stream).unwrap();
                let message = self.incoming.message();
                request.trailers = message.fields().map(text).collect();
                request.never.extend(never(&message));
                request.ended = true;
            }
            Event::Reset { stream, code, .. } => {
                self.requests.get_mut(&stream).unwrap().reset = Some(code);
                self.session.release(stream);
            }
            Event::Malformed { fault, .. } => panic!("the proxy sent {}", fault.code),
            Event::GoAway { .. } => self.goaway = true,
            Event::Settings | Event::SettingsAcked | Event::Pong(_) | Event::Refused { .. } => {}
        }
    }

    /// Reads until the next request's head has come; `None` at the end.
    pub fn next(&mut self) -> Option<u32> {
        loop {
            if let Some(id) = self.heads.pop_front() {
                return Some(id);
            }
            if !self.read() {
                return None;
            }
        }
    }

    /// Reads until a request is whole, or was reset, or the connection ended.
    pub fn whole(&mut self, id: u32) -> Request {
        while !self.requests[&id].ended && self.requests[&id].reset.is_none() && self.read() {}
        self.requests[&id].clone()
    }

    /// Sends the head of an answer.
    pub fn head(&mut self, id: u32, status: u16, fields: &[(&str, &str)], end: bool) {
        let lines = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes(), sensitivity(n)));
        // The stream may be gone.
        let _ = self.session.send_response(id, status, lines, end);
        self.flush();
    }

    /// Sends a part of a body, as the windows allow; returns false if the stream is gone.
    pub fn data(&mut self, id: u32, mut body: &[u8], end: bool) -> bool {
        loop {
            let after = if end { After::End } else { After::Later };
            let Ok(n) = self.session.data(id, body, after) else {
                return false;
            };
            body = &body[n..];
            self.flush();
            if body.is_empty() {
                return true;
            }
            if !self.read() {
                return false;
            }
        }
    }

    pub fn trailers(&mut self, id: u32, fields: &[(&str, &str)]) {
        let lines = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes(), sensitivity(n)));
        let _ = self.session.send_trailers(id, lines);
        self.flush();
    }

    pub fn answer(&mut self, id: u32, body: &[u8]) {
        self.head(id, 200, &[("content-length", &body.len().to_string())], body.is_empty());
        if !body.is_empty() {
            self.data(id, body, true);
        }
    }

    pub fn reset(&mut self, id: u32, code: Code) {
        self.session.reset(id, code);
        self.flush();
    }

    /// Serves every request in order with what `script` returns for it.
    pub fn serve(mut self, script: impl Fn(&Request) -> Vec<u8>) {
        while let Some(id) = self.next() {
            let request = self.whole(id);
            if request.ended {
                self.answer(id, &script(&request));
            }
        }
    }
}

fn string(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn text(field: hg_h2::Field<'_>) -> (String, String) {
    (string(field.name), string(field.value))
}

/// Says that an upstream speaks HTTP/2 without TLS.
pub const H2C: &str = r#","protocol":"h2c""#;

/// Starts a node whose clients and whose endpoint may speak HTTP/2.
pub fn on(up: &Upstream) -> Node {
    with(up, "", "")
}

/// Does the same with further keys of the upstream and the route.
pub fn with(up: &Upstream, upstream: &str, route: &str) -> Node {
    let json = upstream_json(&[up.address], &format!("{H2C}{upstream}"));
    let mut node = Node::start(&json, route, 1);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    node
}

/// An endpoint that answers every request with what the script returns for it.
pub fn serving(script: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Upstream {
    Upstream::play(move |s| Peer::over(s).serve(&script))
}

/// Sends a request on a connection of its own.
pub fn ask(node: &Node, request: &str) -> TcpStream {
    let mut s = node.connect();
    s.write_all(request.as_bytes()).unwrap();
    s
}

/// The text of a request.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n")
}
