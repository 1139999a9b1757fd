//! Tests of which headers and claims are kept of a request, and how much of them.

use super::*;
use crate::HIDDEN;
use hg_plan::{LogFormat, LogSink};
use hg_proto::{Known, Lines, Tag};
use proptest::prelude::*;

/// Returns what a log with this template keeps, where these headers carry credentials.
fn kept(template: &str, hidden: &[&str]) -> Kept {
    let log = AccessLog {
        format: LogFormat::Json,
        sink: Some(LogSink::Stdout {}),
        otlp: None,
        fields: Vec::new(),
        template: Some(template.to_owned()),
    };
    let headers = hidden.iter().map(|name| (*name).to_owned()).collect();
    Kept::new(Some(&log), &Redaction { query: vec!["token".to_owned()], headers })
}

/// The notes of a request whose head has these lines.
fn notes(kept: &Kept, lines: &[(&str, &[u8])]) -> Notes {
    let mut room = Lines::new();
    for (name, value) in lines {
        room.push(name, value, Tag::of(Known::Other));
    }
    let mut notes = Notes::default();
    notes.note_headers(kept, room.fields());
    notes
}

#[test]
fn those_that_the_config_names_are_kept() {
    let kept = kept("${header:x-a} ${status} ${header:x-b} ${header:x-a}", &[]);
    let lines: &[(&str, &[u8])] = &[("X-B", b"2"), ("x-a", b"1"), ("x-c", b"3"), ("X-b", b"4")];
    let notes = notes(&kept, lines);
    let of = |name| std::str::from_utf8(notes.read(&kept).header(name)).unwrap();
    assert_eq!([of("x-a"), of("x-b"), of("x-c"), of("x-d")], ["1", "2, 4", "", ""]);
    let unread = Notes::default();
    assert_eq!(unread.read(&kept).header("x-a"), b"", "a head that could not be read");
    assert_eq!(Noted::default().header("x-a"), b"");
}

#[test]
fn nothing_is_kept_where_no_header_is_named() {
    for kept in [kept("${status} $${header:x-a}", &[]), Kept::new(None, &Redaction::default())] {
        assert!(notes(&kept, &[("x-a", b"1")]).headers.is_empty());
    }
}

#[test]
fn credentials_are_not_kept() {
    let kept = kept("${header:x-from} ${header:x-pass}", &["x-pass"]);
    let lines: &[(&str, &[u8])] = &[("x-from", b"/a?token=abc&b=1"), ("x-pass", b"hunter2")];
    let notes = notes(&kept, lines);
    assert_eq!(notes.read(&kept).header("x-from"), b"/a?token=(secret)&b=1");
    assert_eq!(notes.read(&kept).header("x-pass"), HIDDEN);
    assert!(!notes.headers.windows(7).any(|part| part == b"hunter2"));
}

#[test]
fn claims_are_kept_beside_headers_of_the_same_name() {
    let kept = kept("${jwt:sub} ${header:sub} ${jwt:/a/b} ${jwt:sub} $${jwt:iss}", &[]);
    assert_eq!(kept.claims.names(), ["sub", "/a/b"].map(Box::from));
    let mut notes = notes(&kept, &[("sub", b"mallory")]);
    assert_eq!(notes.read(&kept).claim("sub"), b"", "no token was verified");
    notes.note_claims(&kept, |name| if name == "sub" { "ann" } else { "" });
    let of = |name| std::str::from_utf8(notes.read(&kept).claim(name)).unwrap();
    assert_eq!([of("sub"), of("/a/b"), of("iss")], ["ann", "", ""]);
    assert_eq!(notes.read(&kept).header("sub"), b"mallory");
    assert_eq!(Noted::default().claim("sub"), b"");
}

#[test]
fn claims_of_a_second_token_replace_those_of_the_first() {
    let kept = kept("${jwt:sub} ${jwt:team}", &[]);
    let mut notes = Notes::default();
    notes.note_claims(&kept, |_| "first");
    notes.note_claims(&kept, |name| if name == "sub" { "/a?token=abc" } else { "" });
    assert_eq!(notes.read(&kept).claim("sub"), b"/a?token=(secret)");
    assert_eq!(notes.read(&kept).claim("team"), b"");
    notes.clear(0);
    assert_eq!(notes.read(&kept).claim("sub"), b"", "of the request before");
}

proptest! {
    #[test]
    fn no_more_than_a_value_has_room_for_is_kept(
        lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1_500), 0..6),
        claim in ".{0,1500}",
        last: u8,
    ) {
        let kept = kept("${header:x-a} ${header:x-b} ${jwt:a} ${jwt:b}", &[]);
        let after = [last];
        let mut given: Vec<(&str, &[u8])> = lines.iter().map(|one| ("x-a", &**one)).collect();
        given.push(("x-b", &after));
        let mut notes = notes(&kept, &given);
        notes.note_claims(&kept, |name| if name == "a" { &claim } else { "last" });
        let noted = notes.read(&kept);
        prop_assert!(noted.header("x-a").len() <= MAX_VALUE_BYTES);
        prop_assert_eq!(noted.header("x-b"), &after);
        prop_assert!(noted.claim("a").len() <= MAX_VALUE_BYTES);
        prop_assert_eq!(noted.claim("b"), b"last");
        prop_assert!(notes.headers.len().max(notes.claims.len()) <= 2 * (MAX_VALUE_BYTES + 2));
    }
}
