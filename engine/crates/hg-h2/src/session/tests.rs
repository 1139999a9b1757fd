//! A session against hand-made frames, and two sessions against each other.

mod budgets;
mod flow;
mod messages;
mod pair;

use super::*;
use crate::encode::Sensitivity;
use crate::event::{After, Refused};
use crate::frame::{END_HEADERS, END_STREAM, PADDED};

pub(super) const GET: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "http"), (":authority", "a.example"), (":path", "/")];
pub(super) const POST: &[(&str, &str)] =
    &[(":method", "POST"), (":scheme", "http"), (":authority", "a.example"), (":path", "/")];
pub(super) const OK: &[(&str, &str)] = &[(":status", "200")];

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

pub(super) fn lines<'a>(
    fields: &'a [(&'a str, &'a str)],
) -> impl Iterator<Item = (&'a [u8], &'a [u8], Sensitivity)> {
    fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes(), Sensitivity::Normal))
}

/// A session and the peer that is played by hand.
pub(super) struct Hand {
    pub session: Session,
    pub encoder: Encoder,
    pub now_ms: u64,
    pub body: Vec<u8>,
    pub incoming: Incoming,
    input: Vec<u8>,
}

impl Hand {
    pub fn raw(role: Role, limits: Limits) -> Self {
        let session = Session::new(role, limits);
        Self {
            session,
            encoder: Encoder::new(),
            now_ms: 1,
            body: Vec::new(),
            incoming: Incoming::new(),
            input: Vec::new(),
        }
    }

    /// A session that has greeted and was greeted; its output is empty.
    pub fn new(role: Role, limits: Limits) -> Self {
        let mut hand = Self::raw(role, limits);
        if role == Role::Server {
            hand.feed(PREFACE).unwrap();
        }
        assert_eq!(hand.feed(&frame(4, 0, 0, &[])), Ok(vec![Event::Settings]));
        assert_eq!(hand.feed(&frame(4, 1, 0, &[])), Ok(vec![Event::SettingsAcked]));
        hand.written();
        hand
    }

    pub fn server() -> Self {
        Self::new(Role::Server, Limits::server())
    }

    pub fn client() -> Self {
        Self::new(Role::Client, Limits::client())
    }

    /// Feeds bytes; the ranges of DATA begin at 0, and their bytes are added to `body`.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, Close> {
        self.input.extend_from_slice(bytes);
        let (mut at, mut events) = (0, Vec::new());
        while let Some(mut event) = self.next(&mut at)? {
            if let Event::Data { range, .. } = &mut event {
                self.body.extend_from_slice(&self.input[range.clone()]);
                *range = 0..range.len();
            }
            events.push(event);
        }
        self.input.drain(..at);
        Ok(events)
    }

    fn next(&mut self, at: &mut usize) -> Result<Option<Event>, Close> {
        self.session.next(&self.input, at, self.now_ms, &mut self.incoming)
    }

    pub fn block(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value, secret) in lines(fields) {
            self.encoder.field(name, value, secret, &mut out);
        }
        out
    }

    /// Feeds one whole head.
    pub fn head(
        &mut self,
        id: u32,
        fields: &[(&str, &str)],
        end: bool,
    ) -> Result<Vec<Event>, Close> {
        let block = self.block(fields);
        let flags = END_HEADERS | if end { END_STREAM } else { 0 };
        self.feed(&frame(1, flags, id, &block))
    }

    /// Takes the frames that the session wrote: type, flags, stream, payload.
    pub fn written(&mut self) -> Vec<(u8, u8, u32, Vec<u8>)> {
        let bytes = self.session.output().to_vec();
        self.session.sent(bytes.len());
        let mut rest = bytes.strip_prefix(PREFACE).unwrap_or(&bytes);
        let mut frames = Vec::new();
        while let Some((first, more)) = rest.split_first_chunk::<HEADER_BYTES>() {
            let header = Header::read(first);
            let (payload, more) = more.split_at(header.len as usize);
            frames.push((header.kind.byte(), header.flags, header.stream, payload.to_vec()));
            rest = more;
        }
        frames
    }

    /// Returns the codes of RST_STREAM that the session wrote, by stream.
    pub fn resets(&mut self) -> Vec<(u32, Code)> {
        let code = |p: &[u8]| Code(u32::from_be_bytes(p.try_into().unwrap()));
        self.written().iter().filter(|f| f.0 == 3).map(|f| (f.2, code(&f.3))).collect()
    }
}

pub(super) fn head(stream: u32, end: bool) -> Event {
    Event::Head { stream, end, wait_ms: 0 }
}

pub(super) fn data(stream: u32, len: usize, end: bool) -> Event {
    Event::Data { stream, range: 0..len, end }
}

pub(super) fn reason(outcome: Result<Vec<Event>, Close>) -> &'static str {
    outcome.unwrap_err().reason.as_str()
}

#[test]
fn a_connection_begins_with_preface_and_settings() {
    let mut server = Hand::raw(Role::Server, Limits::server());
    assert_eq!(server.session.waiting(), Waiting::Greeting);
    assert_eq!(server.feed(&PREFACE[..10]), Ok(vec![]));
    assert_eq!(server.feed(&PREFACE[10..]), Ok(vec![]));
    let kinds: Vec<_> = server.written().iter().map(|f| f.0).collect();
    assert_eq!(kinds, [4, 8]);
    assert_eq!(reason(server.feed(&frame(6, 0, 0, &[0; 8]))), "no-settings");
    let away = server.written();
    assert_eq!((away[0].0, away[0].3.clone()), (7, vec![0, 0, 0, 0, 0, 0, 0, 1]));
    assert!(server.session.is_done());
    assert_eq!(reason(server.feed(b"")), "no-settings");

    let mut server = Hand::raw(Role::Server, Limits::server());
    assert_eq!(reason(server.feed(b"GET / HTTP/1.1\r\n")), "preface");
    let mut server = Hand::raw(Role::Server, Limits::server());
    server.feed(PREFACE).unwrap();
    assert_eq!(reason(server.feed(&frame(4, 1, 0, &[]))), "no-settings");
}

#[test]
fn pings_are_answered_and_unknown_frames_ignored() {
    let mut server = Hand::server();
    assert_eq!(server.feed(&frame(6, 0, 0, b"12345678")), Ok(vec![]));
    assert_eq!(server.written(), [(6, 1, 0, b"12345678".to_vec())]);
    assert_eq!(server.feed(&frame(0x42, 0xff, 5, b"x")), Ok(vec![]));
    assert_eq!(server.feed(&frame(6, 1, 0, b"12345678")), Ok(vec![Event::Pong(*b"12345678")]));
    assert_eq!(server.written(), []);
}

#[test]
fn an_end_has_two_steps() {
    let mut server = Hand::server();
    server.head(1, GET, true).unwrap();
    server.session.shutdown();
    let frames = server.written();
    assert_eq!(frames[0], (7, 0, 0, vec![0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]));
    assert_eq!((frames[1].0, frames[1].1), (6, 0));
    assert_eq!(server.head(3, GET, true), Ok(vec![head(3, true)]), "it was on its way");
    assert_eq!(server.feed(&frame(6, 1, 0, &frames[1].3)), Ok(vec![]));
    assert_eq!(server.written(), [(7, 0, 0, vec![0, 0, 0, 3, 0, 0, 0, 0])]);
    assert_eq!(server.head(5, GET, true), Ok(vec![]), "not served, but decoded");
    assert!(!server.session.is_done());
    for id in [1, 3] {
        server.session.head(id, lines(OK), true).unwrap();
    }
    assert!(server.session.is_done());
}

#[test]
fn a_peers_goaway_ends_the_opening_of_streams() {
    let mut client = Hand::client();
    assert_eq!(client.session.open(lines(GET), true, false), Ok(1));
    let away = [0x80, 0, 0, 1, 0, 0, 0, 0];
    let event = Event::GoAway { last: 1, code: Code::NO_ERROR };
    assert_eq!(client.feed(&frame(7, 0, 0, &away)), Ok(vec![event]));
    assert_eq!(client.session.open(lines(GET), true, false), Err(Refused::Closing));
    assert_eq!(client.head(1, OK, true), Ok(vec![head(1, true)]));
    assert!(client.session.is_done());
    assert_eq!(reason(client.feed(&frame(7, 0, 0, &[0, 0, 0, 3, 0, 0, 0, 0]))), "goaway-last");
}

#[test]
fn frames_on_idle_streams_close_the_connection() {
    for (kind, payload) in [(0, &b"x"[..]), (3, &[0; 4]), (8, &[0, 0, 0, 1])] {
        for id in [1, 2] {
            assert_eq!(reason(Hand::server().feed(&frame(kind, 0, id, payload))), "idle-stream");
        }
    }
    assert_eq!(reason(Hand::server().head(2, GET, true)), "stream-id");
    assert_eq!(reason(Hand::client().head(1, OK, true)), "stream-id");
    assert_eq!(reason(Hand::client().head(2, OK, true)), "stream-id");
    assert_eq!(reason(Hand::server().feed(&frame(5, 4, 1, &[0; 8]))), "push-promise");
    let mut server = Hand::server();
    server.head(5, GET, true).unwrap();
    assert_eq!(reason(server.head(3, GET, true)), "stream-closed");
}

#[test]
fn a_block_must_be_whole_before_other_frames() {
    let mut server = Hand::server();
    let block = server.block(GET);
    let (a, b) = block.split_at(3);
    assert_eq!(server.feed(&frame(1, END_STREAM, 1, a)), Ok(vec![]));
    assert_eq!(server.session.waiting(), Waiting::Block);
    assert_eq!(server.feed(&frame(9, 0, 1, &[])), Ok(vec![]));
    assert_eq!(server.feed(&frame(9, END_HEADERS, 1, b)), Ok(vec![head(1, true)]));
    assert_eq!(server.incoming.message().authority(), b"a.example");
    assert_eq!(reason(server.feed(&frame(9, END_HEADERS, 1, b))), "continuation");
    for other in [frame(6, 0, 0, &[0; 8]), frame(9, 4, 3, b""), frame(1, 4, 1, b"")] {
        let mut server = Hand::server();
        server.feed(&frame(1, 0, 1, a)).unwrap();
        assert_eq!(reason(server.feed(&other)), "continuation");
    }
}

#[test]
fn what_comes_after_the_end_of_a_stream_resets_it() {
    for (frame, code) in [
        (frame(0, 0, 1, b"x"), Code::STREAM_CLOSED),
        (frame(1, 5, 1, &[0x88]), Code::STREAM_CLOSED),
        (frame(8, 0, 1, &[0; 4]), Code::PROTOCOL_ERROR),
        (frame(8, 0, 1, &[0x7f, 0xff, 0xff, 0xff]), Code::FLOW_CONTROL_ERROR),
        (frame(2, 0, 1, &[0; 4]), Code::FRAME_SIZE_ERROR),
    ] {
        let mut server = Hand::server();
        server.head(1, GET, true).unwrap();
        let event = Event::Reset { stream: 1, code, by: By::Session(None) };
        assert_eq!(server.feed(&frame), Ok(vec![event]));
        assert_eq!(server.resets(), [(1, code)]);
        assert_eq!(server.session.head(1, lines(OK), true), Err(Refused::NoStream));
        assert_eq!(server.session.streams(), 1, "it counts until its work is gone");
        server.session.release(1);
        assert_eq!(server.session.streams(), 0);
        assert_eq!(server.feed(&frame).map(|events| events.len()), Ok(0));
    }
}
