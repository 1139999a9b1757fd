//! The bytes written from a parsed head parse to the same head, and every head that parses can be
//! written so.

#![allow(clippy::expect_used)]

use hg_proto::{
    Admission, Field, Framing, HeaderSlots, Limits, Parse, Version, host_key, parse_request, write,
};
use proptest::prelude::*;

/// What must survive a rebuild.
#[derive(Debug, PartialEq)]
struct Seen {
    method: String,
    path: String,
    query: Option<String>,
    host: String,
    framing: Framing,
    fields: Vec<(String, Vec<u8>)>,
}

/// Returns the head of `input` and its rebuilt bytes; `None` if it is refused or cut short.
fn rebuild(input: &[u8]) -> Option<(Seen, Vec<u8>)> {
    let mut slots = HeaderSlots::new();
    let Ok(Parse::Complete(head)) =
        parse_request(input, &mut slots, &Limits::default(), Admission::MOST)
    else {
        return None;
    };
    let mut out = Vec::new();
    write::request_line(&mut out, head.method.as_str(), head.path, head.query);
    // A request that names no host is forwarded with the endpoint's address.
    let host = if head.host.is_empty() { "192.0.2.1" } else { head.host };
    write::line(&mut out, "host", host.as_bytes());
    write::fields(&mut out, &head.fields, |_| false);
    write::request_framing(&mut out, head.framing);
    write::end(&mut out);
    let kept = |f: &Field<'_>| !f.hop && !f.known.is_ours();
    let seen = Seen {
        method: head.method.as_str().into(),
        path: head.path.into(),
        query: head.query.map(Into::into),
        host: host_key(host, &mut [0; hg_proto::host::MAX_NAME_BYTES]).into(),
        framing: head.framing,
        fields: head.fields.iter().filter(kept).map(|f| (f.name.into(), f.value.into())).collect(),
    };
    Some((seen, out))
}

/// Lines with a meaning, with and without faults.
fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        Just("Content-Length".to_owned()),
        Just("Transfer-Encoding".to_owned()),
        Just("Connection".to_owned()),
        Just("Host".to_owned()),
        Just("X-A".to_owned()),
        Just("Cookie".to_owned()),
        "[a-zA-Z][a-zA-Z0-9-]{0,10}",
        "[ -~]{0,4}",
    ];
    let value = prop_oneof![
        Just(b"chunked".to_vec()),
        Just(b"close, x-a".to_vec()),
        Just(b"7".to_vec()),
        "[ -~\t]{0,12}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    let separator = prop_oneof![8 => Just(": "), 2 => Just(":"), 1 => Just(" : "), 1 => Just("")];
    let end = prop_oneof![12 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r"), 1 => Just("\r\n ")];
    (name, separator, value, end).prop_map(|(name, separator, value, end)| {
        [name.as_bytes(), separator.as_bytes(), &value, end.as_bytes()].concat()
    })
}

fn any_request() -> impl Strategy<Value = Vec<u8>> {
    let method =
        prop_oneof![Just("GET"), Just("POST"), Just("OPTIONS"), Just("PURGE"), Just("get")];
    let target = prop_oneof![
        "/[a-z{}|^%?/.=&-]{0,12}",
        Just("*".to_owned()),
        "http://a(:80)?(/[a-z?]{0,4})?",
        "[ -~]{1,6}",
    ];
    let version = prop_oneof![8 => Just("HTTP/1.1"), 2 => Just("HTTP/1.0"), 1 => Just("HTTP/2.0")];
    let host = prop_oneof![6 => Just("Host: a\r\n"), 2 => Just("Host: A.:80\r\n"), 1 => Just("")];
    (method, target, version, host, prop::collection::vec(any_line(), 0..5)).prop_map(
        |(method, target, version, host, lines)| {
            let start = format!("{method} {target} {version}\r\n{host}");
            [start.as_bytes(), &lines.concat(), b"\r\n"].concat()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_rebuilt_head_means_the_same(input in any_request()) {
        if let Some((seen, out)) = rebuild(&input) {
            let (again, twice) = rebuild(&out).expect("what we write parses");
            let encoded = |text: &str| {
                let mut out = Vec::new();
                write::target_part(&mut out, text);
                String::from_utf8_lossy(&out).into_owned()
            };
            prop_assert_eq!(&again.method, &seen.method);
            prop_assert_eq!(&again.path, &encoded(&seen.path));
            prop_assert_eq!(&again.query, &seen.query.as_deref().map(encoded));
            prop_assert_eq!(&again.host, &seen.host);
            prop_assert_eq!(again.framing, seen.framing);
            prop_assert_eq!(&again.fields, &seen.fields);
            prop_assert_eq!(out, twice);
        }
    }

    #[test]
    fn a_rebuilt_head_has_no_line_end_but_crlf(input in any_request()) {
        if let Some((_, out)) = rebuild(&input) {
            for at in memchr::memchr2_iter(b'\r', b'\n', &out) {
                let pair = if out[at] == b'\r' { out.get(at..at + 2) } else { out.get(at - 1..=at) };
                prop_assert_eq!(pair, Some(&b"\r\n"[..]));
            }
        }
    }

    #[test]
    fn a_split_never_changes_the_outcome(input in any_request(), at in 0usize..200) {
        let outcome = |bytes: &[u8]| {
            let mut slots = HeaderSlots::new();
            let limits = Limits { head_bytes: 90, header_count: 4 };
            match parse_request(bytes, &mut slots, &limits, Admission::MOST) {
                Ok(Parse::Partial) => None,
                Ok(Parse::Complete(head)) => {
                    assert!(head.version <= Version::H11);
                    Some(Ok((head.head_len, head.framing)))
                }
                Err(reject) => Some(Err(reject)),
            }
        };
        let part = outcome(&input[..at.min(input.len())]);
        prop_assert!(part.is_none() || part == outcome(&input));
    }
}
