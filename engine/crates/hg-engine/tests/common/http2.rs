//! A blocking HTTP/2 client on one connection, over the client side of the session that the proxy
//! itself has.

#![allow(clippy::indexing_slicing, clippy::panic, reason = "tests")]

use super::{DEADLINE, Node};
use hg_h2::{
    After, Code, Event, Incoming, Limits, NeverIndexed, RequestLine, Role, Sensitivity, Session,
};
use hg_proto::Scheme;
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};

/// What came on one stream.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// Names of fields that came as never indexed.
    pub never: Vec<String>,
    /// Statuses of interim heads.
    pub interim: Vec<u16>,
    pub ended: bool,
    pub reset: Option<Code>,
}

impl Answer {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    fn is_over(&self) -> bool {
        self.ended || self.reset.is_some()
    }
}

pub struct Client<S> {
    pub stream: S,
    pub session: Session,
    incoming: Incoming,
    input: Vec<u8>,
    pub answers: HashMap<u32, Answer>,
    /// The last stream and the code of the last GOAWAY.
    pub away: Option<(u32, Code)>,
    /// Whether received bytes are taken from the windows for good.
    pub keeps_credit: bool,
}

impl Client<std::net::TcpStream> {
    /// Connects with prior knowledge.
    pub fn connect(node: &Node) -> Self {
        let stream = node.connect();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }
}

impl<S: Read + Write> Client<S> {
    pub fn over(stream: S) -> Self {
        Self {
            stream,
            session: Session::new(Role::Client, Limits::client()),
            incoming: Incoming::new(),
            input: Vec::new(),
            answers: HashMap::new(),
            away: None,
            keeps_credit: false,
        }
    }

    /// Begins anew with windows of this size.
    pub fn widen(&mut self, window: u32) {
        let limits =
            Limits { stream_window: window, connection_window: window, ..Limits::client() };
        self.session = Session::new(Role::Client, limits);
    }

    /// Sends everything that the session has to send.
    pub fn flush(&mut self) {
        let n = self.session.output().len();
        self.stream.write_all(self.session.output()).unwrap();
        self.session.sent(n);
    }

    /// Opens a stream; its body follows unless `end`.
    pub fn open(&mut self, method: &str, target: &str, fields: &[(&str, &str)], end: bool) -> u32 {
        let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
        let (scheme, authority) = (Scheme::Http, "a.example");
        let never = NeverIndexed::NONE;
        let line = RequestLine { method, scheme, authority, path, query, websocket: false, never };
        self.ask(&line, fields, end)
    }

    /// Opens a WebSocket (RFC 8441) once the proxy has said that it takes them; returns its stream
    /// once it was answered.
    pub fn open_websocket(&mut self, path: &str, fields: &[(&str, &str)]) -> u32 {
        self.open_tunnel(path, fields, false)
    }

    /// Does the same; `end` says that the client sends nothing in it.
    pub fn open_tunnel(&mut self, path: &str, fields: &[(&str, &str)], end: bool) -> u32 {
        let id = self.begin_tunnel(path, fields, end);
        while self.answers[&id].status == 0 && self.answers[&id].reset.is_none() {
            assert!(self.read(), "the connection ended");
        }
        id
    }

    /// Asks for a tunnel, and does not wait for its answer.
    pub fn begin_tunnel(&mut self, path: &str, fields: &[(&str, &str)], end: bool) -> u32 {
        self.flush();
        while !self.session.peer().enable_connect_protocol {
            assert!(self.read(), "the connection ended");
        }
        let (scheme, authority) = (Scheme::Http, "a.example");
        let method = "CONNECT";
        let (query, never, websocket) = (None, NeverIndexed::NONE, true);
        let line = RequestLine { method, scheme, authority, path, query, websocket, never };
        let id = self.ask(&line, fields, end);
        self.flush();
        id
    }

    /// Reads until so many bytes of a body have come.
    pub fn body(&mut self, id: u32, bytes: usize) -> Vec<u8> {
        while self.answers[&id].body.len() < bytes {
            assert!(self.read_flushed(), "the connection ended");
        }
        self.answers[&id].body.clone()
    }

    fn ask(&mut self, line: &RequestLine<'_>, fields: &[(&str, &str)], end: bool) -> u32 {
        let lines = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes(), sensitivity(n)));
        let id = self.session.send_request(line, lines, end).unwrap();
        self.answers.insert(id, Answer::default());
        id
    }

    pub fn get(&mut self, target: &str) -> Answer {
        let id = self.open("GET", target, &[], true);
        self.answer(id)
    }

    /// Sends a request with a body and returns its answer.
    pub fn post(&mut self, target: &str, fields: &[(&str, &str)], body: &[u8]) -> Answer {
        let id = self.open("POST", target, fields, false);
        self.send(id, body, true);
        self.answer(id)
    }

    /// Sends a part of a body, as the windows allow.
    pub fn send(&mut self, id: u32, mut body: &[u8], end: bool) {
        loop {
            let after = if end { After::End } else { After::Later };
            let Ok(n) = self.session.data(id, body, after) else {
                return;
            };
            body = &body[n..];
            self.flush();
            if body.is_empty() {
                return;
            }
            self.read();
        }
    }

    /// Reads until a stream is over.
    pub fn answer(&mut self, id: u32) -> Answer {
        self.flush();
        while !self.answers[&id].is_over() {
            assert!(self.read(), "the connection ended: {:?} {:?}", self.away, self.answers[&id]);
        }
        self.answers[&id].clone()
    }

    /// Reads until the connection ends.
    pub fn until_closed(&mut self) {
        while self.read() {}
    }

    /// Sends what is there, then reads once.
    pub fn read_flushed(&mut self) -> bool {
        self.flush();
        self.read()
    }

    /// Reads once; returns false at the end.
    pub fn read(&mut self) -> bool {
        let mut buffer = [0; 65_536];
        let n = match self.stream.read(&mut buffer) {
            Ok(n) => n,
            Err(e) if matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => {
                0
            }
            Err(e) => panic!("nothing came for {DEADLINE:?}: {e}"),
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
        self.flush_if_possible();
        n > 0
    }

    fn flush_if_possible(&mut self) {
        let n = self.session.output().len();
        // The proxy may be gone already.
        let _ = self.stream.write_all(self.session.output());
        self.session.sent(n);
    }

    fn on(&mut self, event: Event, input: &[u8]) {
        match event {
            Event::Head { stream, end, .. } => {
                let message = self.incoming.message();
                let answer = self.answers.get_mut(&stream).unwrap();
                if message.status() < 200 {
                    answer.interim.push(message.status());
                    return;
                }
                assert_eq!(answer.status, 0, "two heads");
                answer.status = message.status();
                answer.fields = message.fields().map(text).collect();
                answer.never = never(&message);
                answer.ended = end;
            }
            Event::Data { stream, range, end } => {
                let n = range.len();
                let answer = self.answers.get_mut(&stream).unwrap();
                answer.body.extend_from_slice(&input[range]);
                answer.ended = end;
                if !self.keeps_credit {
                    self.session.credit(stream, u32::try_from(n).unwrap());
                }
            }
            Event::Trailers { stream } => {
                let answer = self.answers.get_mut(&stream).unwrap();
                let message = self.incoming.message();
                answer.trailers = message.fields().map(text).collect();
                answer.never.extend(never(&message));
                answer.ended = true;
            }
            Event::Reset { stream, code, .. } => {
                self.answers.get_mut(&stream).unwrap().reset = Some(code);
                self.session.release(stream);
            }
            Event::GoAway { last, code } => self.away = Some((last, code)),
            _ => {}
        }
    }
}

/// Returns how a test's field is sent: never indexed if its name says so.
pub fn sensitivity(name: &str) -> Sensitivity {
    if name.starts_with("secret-") { Sensitivity::Secret } else { Sensitivity::Normal }
}

/// Returns the names of the fields that came as never indexed.
pub fn never(message: &hg_h2::Message<'_>) -> Vec<String> {
    message.fields().filter(|f| f.never_indexed).map(|f| text(f).0).collect()
}

fn text(field: hg_h2::Field<'_>) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(field.name), text(field.value))
}
