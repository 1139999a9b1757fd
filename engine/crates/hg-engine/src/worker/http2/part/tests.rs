//! Parts of a body at the edges of windows.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use super::*;
use hg_h2::{Event, Incoming, Limits, RequestLine, Role};
use hg_proto::Scheme;

/// A message of which some waits, and the session of its stream; its peer has this window.
struct Sending {
    session: Session,
    peer: Session,
    id: u32,
    held: Pending,
    trailers: Vec<u8>,
}

impl Sending {
    fn new(window: u32, trailers: &str) -> Self {
        let mut session = Session::new(Role::Client, Limits::client());
        let limits =
            Limits { stream_window: window, most_stream_window: window, ..Limits::server() };
        let mut peer = Session::new(Role::Server, limits);
        let line = RequestLine {
            method: "POST",
            scheme: Scheme::Http,
            authority: "a",
            path: "/",
            query: None,
            websocket: false,
            never: NeverIndexed::NONE,
        };
        let greeting = peer.output().to_vec();
        peer.sent(greeting.len());
        assert!(taken(&mut session, &greeting).is_empty());
        let id = session.send_request(&line, std::iter::empty(), false).unwrap();
        let mut this = Self {
            session,
            peer,
            id,
            held: Pending::default(),
            trailers: trailers.as_bytes().to_vec(),
        };
        assert_eq!(this.arrived(), ["head"]);
        this
    }

    fn put(&mut self, body: &[u8], is_last: bool) {
        let (held, trailers) = (&mut self.held, &self.trailers[..]);
        let part = Part { id: self.id, held, is_last, trailers, never: NeverIndexed::NONE };
        part.put(&mut self.session, body).unwrap();
    }

    /// Uses what the session grants, at most so much; reports whether it granted any.
    fn grant(&mut self, most: usize, is_last: bool) -> bool {
        let Some(grant) = self.session.grant() else { return false };
        assert_eq!(grant.stream, self.id);
        let (held, trailers) = (&mut self.held, &self.trailers[..]);
        let part = Part { id: self.id, held, is_last, trailers, never: NeverIndexed::NONE };
        part.use_grant(&mut self.session, most.min(grant.bytes)).unwrap();
        true
    }

    /// Returns what the peer gets of what was sent.
    fn arrived(&mut self) -> Vec<String> {
        let sent = self.session.output().to_vec();
        self.session.sent(sent.len());
        taken(&mut self.peer, &sent)
    }

    /// Has the peer take so many bytes, so that its window opens again.
    fn take(&mut self, bytes: u32) {
        self.peer.credit(self.id, bytes);
        let said = self.peer.output().to_vec();
        self.peer.sent(said.len());
        assert!(taken(&mut self.session, &said).is_empty());
    }
}

/// Returns what the events of these bytes say.
fn taken(session: &mut Session, input: &[u8]) -> Vec<String> {
    let (mut at, mut incoming, mut all) = (0, Incoming::new(), Vec::new());
    while let Some(event) = session.next(input, &mut at, 0, &mut incoming).unwrap() {
        match event {
            Event::Head { .. } => all.push("head".to_owned()),
            Event::Data { range, end, .. } => {
                let text = String::from_utf8(input[range].to_vec()).unwrap();
                all.push(if end { format!("{text} end") } else { text });
            }
            Event::Trailers { .. } => all.push("trailers".to_owned()),
            Event::Settings | Event::SettingsAcked => {}
            other => panic!("{other:?}"),
        }
    }
    all
}

#[test]
fn a_part_goes_at_once_and_the_end_with_the_last_one() {
    let mut s = Sending::new(100, "");
    s.put(b"abc", false);
    assert_eq!(s.arrived(), ["abc"]);
    s.put(b"", false);
    assert!(s.arrived().is_empty(), "nothing is no frame");
    s.put(b"def", true);
    assert_eq!(s.arrived(), ["def end"]);
    assert!(s.held.is_empty());
    let mut s = Sending::new(100, "");
    s.put(b"", true);
    assert_eq!(s.arrived(), [" end"]);
}

#[test]
fn trailers_are_the_end_where_there_are_any() {
    let mut s = Sending::new(100, "a: b\r\n");
    s.put(b"abc", false);
    s.put(b"def", true);
    assert_eq!(s.arrived(), ["abc", "def", "trailers"]);
    let mut s = Sending::new(100, "a: b\r\n");
    s.put(b"", true);
    assert_eq!(s.arrived(), ["trailers"]);
}

#[test]
fn what_the_window_does_not_take_waits_and_nothing_overtakes_it() {
    for trailers in ["", "a: b\r\n"] {
        let mut s = Sending::new(4, trailers);
        s.put(b"abcdef", false);
        assert_eq!((s.arrived().concat(), s.held.bytes()), ("abcd".to_owned(), &b"ef"[..]));
        s.put(b"gh", true);
        assert!(s.arrived().is_empty());
        assert_eq!(s.held.bytes(), b"efgh");
        assert!(!s.grant(9, true), "the window is closed");
        s.take(4);
        assert!(s.grant(1, true));
        assert_eq!((s.arrived().concat(), s.held.bytes()), ("e".to_owned(), &b"fgh"[..]));
        assert!(s.grant(9, true));
        let end = if trailers.is_empty() { "fgh end" } else { "fghtrailers" };
        assert_eq!((s.arrived().concat(), s.held.len()), (end.to_owned(), 0));
        assert!(!s.grant(9, true));
    }
}

#[test]
fn a_grant_for_all_that_waits_is_no_end_while_more_may_come() {
    let mut s = Sending::new(2, "");
    s.put(b"abcd", false);
    assert_eq!((s.arrived().concat(), s.held.len()), ("ab".to_owned(), 2));
    s.take(2);
    assert!(s.grant(9, false));
    assert_eq!((s.arrived().concat(), s.held.len()), ("cd".to_owned(), 0));
    s.put(b"", true);
    assert_eq!(s.arrived(), [" end"]);
}

#[test]
fn with_much_to_send_a_part_waits_for_its_turn_and_an_end_does_not() {
    let mut s = Sending::new(1_000_000, "");
    while s.session.output().len() < DIRECT {
        s.put(&[b'x'; 1000], false);
    }
    assert!(s.held.is_empty());
    s.put(b"y", false);
    assert_eq!(s.held.bytes(), b"y");
    assert!(s.grant(9, false) && s.held.is_empty());
    s.put(b"", true);
    assert!(s.arrived().concat().ends_with("xy end"));
}

#[test]
fn a_part_waits_as_soon_as_there_is_so_much_to_send() {
    let mut s = Sending::new(1_000_000, "");
    while s.session.output().len() < DIRECT - 2_000 {
        s.put(&[b'x'; 1000], false);
    }
    // The header of a frame has nine bytes.
    let left = DIRECT - s.session.output().len() - 1;
    s.put(&vec![b'x'; left - 9], false);
    assert_eq!(s.session.output().len(), DIRECT - 1);
    s.put(b"y", false);
    assert!(s.held.is_empty(), "there was room");
    assert!(s.session.output().len() > DIRECT);
    let mut s = Sending::new(1_000_000, "");
    while s.session.output().len() < DIRECT - 2_000 {
        s.put(&[b'x'; 1000], false);
    }
    let left = DIRECT - s.session.output().len();
    s.put(&vec![b'x'; left - 9], false);
    assert_eq!(s.session.output().len(), DIRECT);
    s.put(b"y", false);
    assert_eq!(s.held.bytes(), b"y");
}

#[test]
fn what_waited_for_its_turn_is_not_overtaken_once_there_is_little_to_send() {
    let mut s = Sending::new(1_000_000, "");
    while s.session.output().len() < DIRECT {
        s.put(&[b'x'; 1000], false);
    }
    s.put(b"y", false);
    s.arrived();
    s.put(b"z", true);
    assert_eq!((s.arrived().len(), s.held.bytes()), (0, &b"yz"[..]));
    assert!(s.grant(9, true));
    assert_eq!(s.arrived(), ["yz end"]);
}
