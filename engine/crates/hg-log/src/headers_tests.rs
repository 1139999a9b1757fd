//! Which headers are kept of a request, and how much of them.

use super::*;
use hg_plan::{LogFormat, LogSink};
use hg_proto::{Known, Lines, Tag};
use proptest::prelude::*;

fn logged(template: &str, hidden: &[&str]) -> LoggedHeaders {
    let log = AccessLog {
        format: LogFormat::Json,
        sink: Some(LogSink::Stdout {}),
        otlp: None,
        fields: Vec::new(),
        template: Some(template.to_owned()),
    };
    let headers = hidden.iter().map(|name| (*name).to_owned()).collect();
    LoggedHeaders::new(Some(&log), &Redaction { query: Vec::new(), headers })
}

fn veil() -> Veil {
    Veil::new(&Redaction { query: vec!["token".to_owned()], headers: Vec::new() })
}

/// What is kept of a head with these lines.
fn kept(headers: &LoggedHeaders, lines: &[(&str, &[u8])]) -> Vec<u8> {
    let mut room = Lines::new();
    for (name, value) in lines {
        room.push(name, value, Tag::of(Known::Other));
    }
    let mut out = Vec::new();
    headers.note(room.fields(), &veil(), &mut out);
    out
}

#[test]
fn those_that_the_config_names_are_kept() {
    let headers = logged("${header:x-a} ${status} ${header:x-b} ${header:x-a}", &[]);
    let lines: &[(&str, &[u8])] = &[("X-B", b"2"), ("x-a", b"1"), ("x-c", b"3"), ("X-b", b"4")];
    let values = kept(&headers, lines);
    let noted = Noted::new(&headers, &values);
    let of = |name| std::str::from_utf8(noted.value(name)).unwrap();
    assert_eq!([of("x-a"), of("x-b"), of("x-c"), of("x-d")], ["1", "2, 4", "", ""]);
    assert_eq!(Noted::new(&headers, b"").value("x-a"), b"", "a head that could not be read");
    assert_eq!(Noted::default().value("x-a"), b"");
}

#[test]
fn nothing_is_kept_where_no_header_is_named() {
    let headers = logged("${status} $${header:x-a}", &[]);
    assert!(kept(&headers, &[("x-a", b"1")]).is_empty());
    let none = LoggedHeaders::new(None, &Redaction::default());
    assert!(kept(&none, &[("x-a", b"1")]).is_empty());
}

#[test]
fn credentials_are_not_kept() {
    let headers = logged("${header:x-from} ${header:x-pass}", &["x-pass"]);
    let lines: &[(&str, &[u8])] = &[("x-from", b"/a?token=abc&b=1"), ("x-pass", b"hunter2")];
    let values = kept(&headers, lines);
    let noted = Noted::new(&headers, &values);
    assert_eq!(noted.value("x-from"), b"/a?token=(secret)&b=1");
    assert_eq!(noted.value("x-pass"), HIDDEN);
    assert!(!values.windows(7).any(|part| part == b"hunter2"));
}

proptest! {
    #[test]
    fn no_more_than_a_value_has_room_for_is_kept(
        lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1_500), 0..6),
        last: u8,
    ) {
        let headers = logged("${header:x-a} ${header:x-b}", &[]);
        let after = [last];
        let mut given: Vec<(&str, &[u8])> = lines.iter().map(|one| ("x-a", &**one)).collect();
        given.push(("x-b", &after));
        let values = kept(&headers, &given);
        let noted = Noted::new(&headers, &values);
        prop_assert!(noted.value("x-a").len() <= MAX_VALUE_BYTES);
        prop_assert_eq!(noted.value("x-b"), &after);
        prop_assert!(values.len() <= 2 * (MAX_VALUE_BYTES + 2));
    }
}
