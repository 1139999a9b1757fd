use super::*;
use crate::decode::{BlockLimits, Decoder};
use crate::encode::{Encoder, Sensitivity};
use crate::fault::faults;

const LIMITS: BlockLimits = BlockLimits { fields: 128, bytes: 65_536 };
const GET: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "https"), (":authority", "a.example"), (":path", "/p?q")];
const REQUEST: Part = Part::Request { extended_connect: true };

fn incoming(fields: &[(&str, &str)]) -> Incoming {
    let (mut block, mut incoming, mut encoder) = (Vec::new(), Incoming::new(), Encoder::new());
    for (name, value) in fields {
        encoder.field(name.as_bytes(), value.as_bytes(), Sensitivity::Normal, &mut block);
    }
    Decoder::new(4096).block(&block, &mut incoming.text, LIMITS).unwrap();
    incoming
}

fn outcome(fields: &[(&str, &str)], part: Part) -> Result<Parts, &'static str> {
    incoming(fields).read(part).copied().map_err(|fault| fault.code)
}

/// Returns the outcome of a GET with these fields more.
fn with(more: &[(&str, &str)]) -> Result<Parts, &'static str> {
    outcome(&[GET, more].concat(), REQUEST)
}

/// Returns the outcome of a GET with one pseudo field replaced, or dropped.
fn but(name: &str, value: Option<&str>) -> Option<&'static str> {
    let mut fields = GET.to_vec();
    match value {
        Some(value) => fields.iter_mut().filter(|f| f.0 == name).for_each(|f| f.1 = value),
        None => fields.retain(|f| f.0 != name),
    }
    outcome(&fields, REQUEST).err()
}

#[test]
fn a_request_is_read() {
    let mut incoming = incoming(
        &[GET, &[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("priority", "u=1")]].concat(),
    );
    incoming.read(REQUEST).unwrap();
    let message = incoming.message();
    assert_eq!(message.method(), b"GET");
    assert_eq!(message.path(), b"/p?q");
    assert_eq!(message.authority(), b"a.example");
    assert_eq!(message.scheme(), Some(Scheme::Https));
    assert_eq!(message.priority(), Some(Priority { urgency: 1, incremental: false }));
    let fields: Vec<_> = message.fields().map(|f| (f.name, f.value)).collect();
    assert_eq!(fields, [(&b"cookie"[..], &b"a=1; b=2"[..]), (b"x", b"y"), (b"priority", b"u=1")]);
}

#[test]
fn pseudo_fields_are_checked() {
    for (name, value, fault) in [
        (":method", None, faults::PSEUDO_MISSING),
        (":scheme", None, faults::PSEUDO_MISSING),
        (":path", None, faults::PSEUDO_MISSING),
        (":authority", None, faults::HOST_MISSING),
        (":authority", Some(""), faults::HOST_MISSING),
        (":authority", Some("user@a.example"), faults::AUTHORITY),
        (":authority", Some("a.example/x"), faults::AUTHORITY),
        (":authority", Some("a.example:x"), faults::AUTHORITY),
        (":method", Some("GET / HTTP/1.1"), faults::METHOD),
        (":method", Some(""), faults::METHOD),
        (":method", Some("CONNECT"), faults::CONNECT),
        (":path", Some(""), faults::PATH),
        (":path", Some("*"), faults::PATH),
        (":path", Some("a"), faults::PATH),
        (":path", Some("/a b"), faults::PATH),
        (":path", Some("/#a"), faults::PATH),
        (":scheme", Some("ftp"), faults::SCHEME),
        (":scheme", Some("http://x/"), faults::SCHEME),
    ] {
        assert_eq!(but(name, value), Some(fault.code), "{name} {value:?}");
    }
    assert_eq!(with(&[(":path", "/")]).err(), Some(faults::PSEUDO_REPEATED.code));
    assert_eq!(with(&[(":status", "200")]).err(), Some(faults::PSEUDO_UNKNOWN.code));
    assert_eq!(with(&[(":own", "1")]).err(), Some(faults::PSEUDO_UNKNOWN.code));
    assert_eq!(with(&[("x", "1"), (":path", "/")]).err(), Some(faults::PSEUDO_ORDER.code));
    let options = [(":method", "OPTIONS"), (":scheme", "http"), (":path", "*"), ("host", "a")];
    assert!(outcome(&options, REQUEST).is_ok());
}

#[test]
fn fields_of_connections_and_bad_octets_are_refused() {
    for (name, value, fault) in [
        ("connection", "close", faults::CONNECTION_FIELD),
        ("proxy-connection", "x", faults::CONNECTION_FIELD),
        ("keep-alive", "x", faults::CONNECTION_FIELD),
        ("transfer-encoding", "chunked", faults::CONNECTION_FIELD),
        ("upgrade", "h2c", faults::CONNECTION_FIELD),
        ("te", "gzip", faults::TE),
        ("X-Upper", "1", faults::FIELD_NAME),
        ("", "1", faults::FIELD_NAME),
        ("a b", "1", faults::FIELD_NAME),
        ("a:b", "1", faults::FIELD_NAME),
        ("a", "b\r\nc: d", faults::FIELD_VALUE),
        ("a", "b\0", faults::FIELD_VALUE),
        ("a", " b", faults::FIELD_VALUE),
        ("content_length", "1", faults::LOOKALIKE),
        ("transfer.encoding", "1", faults::LOOKALIKE),
        ("host", "b.example", faults::HOST_DIFFERS),
        ("host", "a.example:80", faults::HOST_DIFFERS),
        ("host", "a@a.example", faults::AUTHORITY),
    ] {
        assert_eq!(with(&[(name, value)]).err(), Some(fault.code), "{name}: {value:?}");
    }
    assert_eq!(with(&[("te", "trailers"), ("te", "trailers")]).err(), Some(faults::TE.code));
    let hosts = [("host", "a.example"), ("host", "a.example")];
    assert_eq!(with(&hosts).err(), Some(faults::HOST_REPEATED.code));
    assert!(with(&[("te", "trailers"), ("host", "A.example:443")]).is_ok());
}

#[test]
fn one_length_is_accepted() {
    for (value, expected) in [
        ("5", Some(5)),
        ("5, 5", Some(5)),
        ("18446744073709551615", Some(u64::MAX)),
        ("18446744073709551616", None),
        ("5, 6", None),
        ("+5", None),
        ("5,", None),
        ("", None),
        ("0x5", None),
    ] {
        let read = with(&[("content-length", value)]).ok().and_then(|p| p.content_length);
        assert_eq!(read, expected, "{value}");
    }
    assert!(with(&[("content-length", "5"), ("content-length", "6")]).is_err());
}

#[test]
fn only_a_websocket_may_connect() {
    let connect = |protocol: &str, part| {
        let head = [GET, &[(":protocol", protocol)]].concat();
        let head: Vec<_> = head
            .into_iter()
            .map(|(n, v)| (n, if n == ":method" { "CONNECT" } else { v }))
            .collect();
        outcome(&head, part)
    };
    assert!(connect("websocket", REQUEST).unwrap().websocket);
    assert_eq!(connect("h2c", REQUEST).err(), Some(faults::PROTOCOL.code));
    let plain = Part::Request { extended_connect: false };
    assert_eq!(connect("websocket", plain).err(), Some(faults::PSEUDO_UNKNOWN.code));
    assert_eq!(with(&[(":protocol", "websocket")]).err(), Some(faults::PSEUDO_UNKNOWN.code));
}

#[test]
fn responses_have_one_status() {
    let status = |value| outcome(&[(":status", value)], Part::Response).map(|p| p.status);
    assert_eq!((status("200"), status("103"), status("599")), (Ok(200), Ok(103), Ok(599)));
    for value in ["101", "20", "2000", "2x0", "", "099"] {
        assert_eq!(status(value), Err(faults::STATUS.code), "{value}");
    }
    let twice = [(":status", "200"), (":status", "200")];
    assert_eq!(outcome(&twice, Part::Response).err(), Some(faults::PSEUDO_REPEATED.code));
    assert_eq!(outcome(&[("a", "b")], Part::Response).err(), Some(faults::PSEUDO_MISSING.code));
    assert!(outcome(GET, Part::Response).is_err());
}

#[test]
fn trailers_lose_what_is_not_allowed_in_them() {
    let mut incoming =
        incoming(&[("x-sum", "1"), ("content-length", "9"), ("cookie", "a"), ("x_real.ip", "b")]);
    incoming.read(Part::Trailers).unwrap();
    let names: Vec<_> = incoming.message().fields().map(|f| f.name.to_vec()).collect();
    assert_eq!(names, [b"x-sum".to_vec()]);
    assert_eq!(outcome(&[(":path", "/")], Part::Trailers).err(), Some(faults::PSEUDO_UNKNOWN.code));
}
