use super::*;
use crate::SecuredRecord;
use crate::clock::TimeCache;
use crate::json::{format_connection_json, format_json};
use crate::testing::{bare, certificate, connection, noted, record};
use crate::{AccessRecord, ConnectionRecord, Datagrams, FlowRecord, ReachedRecord};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A field of a message.
#[derive(Clone, Debug, PartialEq)]
enum Part<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Reads a message to its end (proto3, "Encoding").
fn fields(mut rest: &[u8]) -> Vec<(u64, Part<'_>)> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest);
        let value = match tag & 7 {
            0 => Part::Number(varint(&mut rest)),
            1 => Part::Number(u64::from_le_bytes(taken(&mut rest, 8).try_into().unwrap())),
            2 => {
                let length = varint(&mut rest) as usize;
                Part::Bytes(taken(&mut rest, length))
            }
            5 => Part::Number(u32::from_le_bytes(taken(&mut rest, 4).try_into().unwrap()).into()),
            kind => panic!("a field of kind {kind}"),
        };
        found.push((tag >> 3, value));
    }
    found
}

fn taken<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, after) = rest.split_at(length);
    *rest = after;
    taken
}

fn varint(rest: &mut &[u8]) -> u64 {
    let mut number = 0;
    for at in 0.. {
        let byte = taken(rest, 1)[0];
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            break;
        }
    }
    number
}

fn bytes<'a>(field: &Part<'a>) -> &'a [u8] {
    match field {
        Part::Bytes(bytes) => bytes,
        Part::Number(number) => panic!("{number} in place of bytes"),
    }
}

/// Writes an `AnyValue` as a person reads it.
fn shown(value: &[u8]) -> String {
    match &fields(value)[..] {
        [(1, text)] => std::str::from_utf8(bytes(text)).unwrap().to_owned(),
        [(2 | 3, Part::Number(number))] => number.to_string(),
        [(5, list)] => {
            let items = fields(bytes(list)).into_iter().map(|(_, item)| shown(bytes(&item)));
            format!("{:?}", items.collect::<Vec<_>>())
        }
        other => panic!("{other:?}"),
    }
}

/// A log record as a person reads it.
struct Seen {
    fields: BTreeMap<u64, Vec<u8>>,
    numbers: BTreeMap<u64, u64>,
    attributes: BTreeMap<String, String>,
}

fn seen<R: Values>(record: &R, chosen: Option<&[Field]>, line: impl FnOnce(&mut Vec<u8>)) -> Seen {
    let mut out = Vec::new();
    push(record, chosen, line, &mut out);
    let whole = fields(&out);
    assert_eq!((whole.len(), whole[0].0), (1, 2), "one field of `ScopeLogs`");
    let (mut texts, mut numbers, mut attributes) =
        (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (number, field) in fields(bytes(&whole[0].1)) {
        match (number, field) {
            (6, one) => {
                let pair = fields(bytes(&one));
                let [(1, key), (2, value)] = &pair[..] else { panic!("{pair:?}") };
                let key = std::str::from_utf8(bytes(key)).unwrap().to_owned();
                let before = attributes.insert(key, shown(bytes(value)));
                assert_eq!(before, None, "each attribute is there once");
            }
            (number, Part::Number(value)) => assert_eq!(numbers.insert(number, value), None),
            (number, Part::Bytes(value)) => {
                assert_eq!(texts.insert(number, value.to_vec()), None);
            }
        }
    }
    Seen { fields: texts, numbers, attributes }
}

fn of(record: &AccessRecord<'_>) -> Seen {
    seen(record, None, |out| format_json(record, &mut TimeCache::new(), out))
}

fn assert_attributes(seen: &Seen, wanted: &[(&str, &str)]) {
    let found: Vec<_> = seen.attributes.iter().map(|(k, v)| (&**k, &**v)).collect();
    let mut wanted = wanted.to_vec();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
}

const FINGERPRINT: &str = "0101010101010101010101010101010101010101010101010101010101010101";

#[test]
fn a_request_has_the_names_of_the_conventions() {
    let request = AccessRecord { host: b"api.example.com:8443", ..record() };
    let seen = of(&request);
    assert_attributes(
        &seen,
        &[
            ("headgate.request_id", "4f2c9a61d0b3e875"),
            ("client.address", "192.0.2.7"),
            ("headgate.listener", "secure"),
            ("http.route", "api"),
            ("headgate.route", "api"),
            ("headgate.upstream", "api"),
            ("headgate.endpoint", "127.0.0.1:9001"),
            ("http.request.method", "GET"),
            ("url.scheme", "https"),
            ("server.address", "api.example.com"),
            ("server.port", "8443"),
            ("url.path", "/v1/users"),
            ("url.query", "page=2"),
            ("network.protocol.version", "1.1"),
            ("http.response.status_code", "200"),
            ("http.request.body.size", "0"),
            ("http.response.body.size", "1234"),
            ("headgate.connect_us", "150"),
            ("headgate.first_byte_us", "2100"),
            ("headgate.total_us", "2345"),
            ("headgate.connection.reused", "0"),
            ("user_agent.original", "curl/8.5.0"),
            ("http.request.header.referer", "[\"https://example.com/\"]"),
            ("tls.protocol.version", "1.3"),
            ("tls.client.server_name", "api.example.com"),
            ("tls.client.subject", "CN=alice"),
            ("headgate.client_san", "[\"dns:alice.example\", \"uri:spiffe://example/alice\"]"),
            ("headgate.client_spiffe", "spiffe://example/alice"),
            ("tls.client.hash.sha256", FINGERPRINT),
        ],
    );
}

#[test]
fn a_request_has_its_times_its_trace_and_its_line() {
    let request = record();
    let seen = of(&request);
    let time_ns = 1_795_165_142_123_456_000;
    assert_eq!(
        seen.numbers,
        [(1, time_ns), (2, INFO), (8, 1), (11, time_ns + 2_345_000)].into(),
        "when its head came and when it was over, its severity, and that its trace is recorded"
    );
    assert_eq!(seen.fields[&3], b"INFO");
    assert_eq!(seen.fields[&9], 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes());
    assert_eq!(seen.fields[&10], 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
    let mut line = Vec::new();
    format_json(&request, &mut TimeCache::new(), &mut line);
    line.pop();
    assert_eq!(shown(&seen.fields[&5]).as_bytes(), line, "the body is the line without its end");
}

#[test]
fn what_is_not_known_is_left_out() {
    assert_attributes(
        &of(&bare()),
        &[
            ("client.address", "::1"),
            ("headgate.listener", "web"),
            ("url.scheme", "http"),
            ("http.response.status_code", "400"),
            ("http.request.body.size", "0"),
            ("http.response.body.size", "0"),
            ("headgate.total_us", "7"),
            ("headgate.reason", "http_request_error"),
        ],
    );
    let without = of(&bare());
    assert!(!without.fields.contains_key(&9) && !without.numbers.contains_key(&8));
}

#[test]
fn methods_and_versions() {
    let one = |record: AccessRecord<'_>, name: &str| of(&record).attributes.get(name).cloned();
    let method = |method| one(AccessRecord { method, ..record() }, "http.request.method");
    assert_eq!(method("DELETE").as_deref(), Some("DELETE"));
    assert_eq!(method("PURGE").as_deref(), Some("_OTHER"));
    let purge = AccessRecord { method: "PURGE", ..record() };
    assert_eq!(one(purge, "http.request.method_original").as_deref(), Some("PURGE"));
    for (protocol, version) in [("HTTP/1.0", "1.0"), ("HTTP/2.0", "2")] {
        let found = one(AccessRecord { protocol, ..record() }, "network.protocol.version");
        assert_eq!(found.as_deref(), Some(version));
    }
}

#[test]
fn a_connection() {
    let tls = SecuredRecord {
        version: Some("TLSv1.2"),
        sni: Some("db.example"),
        alpn: Some(b"imap"),
        client: Some(certificate()),
    };
    let to = ReachedRecord { id: "4f2c", ..connection().to };
    let session = ConnectionRecord { tls, to, ..connection() };
    let found = seen(&session, None, |out| {
        format_connection_json(&session, &mut TimeCache::new(), out);
    });
    assert_attributes(
        &found,
        &[
            ("client.address", "192.0.2.7"),
            ("client.port", "50000"),
            ("headgate.listener", "pg"),
            ("headgate.route", "postgres"),
            ("headgate.upstream", "pg"),
            ("headgate.endpoint", "127.0.0.1:5432"),
            ("network.transport", "tcp"),
            ("headgate.bytes_in", "17"),
            ("headgate.bytes_out", "1234"),
            ("headgate.connect_us", "150"),
            ("headgate.total_us", "2345"),
            ("headgate.reason", "client-end"),
            ("tls.client.server_name", "db.example"),
            ("tls.protocol.version", "1.2"),
            ("tls.next_protocol", "imap"),
            ("tls.client.subject", "CN=alice"),
            ("headgate.client_san", "[\"dns:alice.example\", \"uri:spiffe://example/alice\"]"),
            ("headgate.client_spiffe", "spiffe://example/alice"),
            ("tls.client.hash.sha256", FINGERPRINT),
            ("headgate.connection.id", "4f2c"),
        ],
    );
}

#[test]
fn a_flow() {
    let flow = FlowRecord {
        time_us: 1,
        client: ([192, 0, 2, 7], 50_000).into(),
        listener: "dns",
        route: "resolvers",
        upstream: "resolvers",
        endpoint: "127.0.0.1:5353",
        received: Datagrams { count: 1, bytes: 40 },
        sent: Datagrams { count: 2, bytes: 120 },
        total_us: 2_345,
        reason: "answered",
        sni: Some("dns.example"),
        id: "",
    };
    let keys = [Key::Protocol, Key::DatagramsIn, Key::DatagramsOut, Key::BytesOut, Key::Sni];
    let found = seen(&flow, Some(&keys.map(Field::Key)), |out| out.extend_from_slice(b"a line\n"));
    assert_attributes(
        &found,
        &[
            ("network.transport", "udp"),
            ("headgate.datagrams_in", "1"),
            ("headgate.datagrams_out", "2"),
            ("headgate.bytes_out", "120"),
            ("tls.client.server_name", "dns.example"),
        ],
    );
    assert_eq!(shown(&found.fields[&5]), "a line");
}

#[test]
fn only_chosen_keys_become_attributes() {
    let found =
        seen(&record(), Some(&[Key::Status, Key::Time, Key::TraceId].map(Field::Key)), |_| {});
    assert_attributes(&found, &[("http.response.status_code", "200")]);
    assert_eq!(found.fields[&9].len(), 16, "the trace is no attribute");
}

#[test]
fn headers_have_the_names_of_the_conventions() {
    let (kept, notes) = noted(&[("header:x-a", b"a, b"), ("header:x-none", b"")]);
    let request = AccessRecord { noted: notes.read(&kept), ..record() };
    let chosen = ["x-a", "x-none", "x-new"].map(|name| Field::Header(name.into()));
    let found = seen(&request, Some(&chosen), |_| {});
    assert_attributes(&found, &[("http.request.header.x-a", "[\"a, b\"]")]);
}

#[test]
fn claims_have_a_name_of_ours() {
    let long = "a".repeat(MAX_VALUE_BYTES + 1);
    let (kept, notes) =
        noted(&[("jwt:sub", b"ann"), ("jwt:/a/b", long.as_bytes()), ("jwt:none", b"")]);
    let request = AccessRecord { noted: notes.read(&kept), ..record() };
    let chosen = ["sub", "/a/b", "none", "new"].map(|name| Field::Claim(name.into()));
    let cut = "a".repeat(MAX_VALUE_BYTES);
    let wanted = [("headgate.jwt.sub", "ann"), ("headgate.jwt./a/b", &*cut)];
    assert_attributes(&seen(&request, Some(&chosen), |_| {}), &wanted);
    assert_attributes(&seen(&connection(), Some(&chosen), |_| {}), &[]);
}

proptest! {
    #[test]
    fn every_record_can_be_read(
        target in prop::collection::vec(any::<u8>(), 0..9_000),
        agent in prop::collection::vec(any::<u8>(), 0..2_000),
        host: Vec<u8>,
        method in ".{0,20}",
        total_us: u64,
        bytes_out: u64,
    ) {
        let found = of(&AccessRecord {
            target: &target,
            user_agent: &agent,
            referer: &agent,
            host: &host,
            method: &method,
            total_us,
            bytes_out,
            ..record()
        });
        let body = shown(&found.fields[&5]);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok());
        let path = found.attributes.get("url.path").map_or(0, String::len);
        prop_assert!(path <= 3 * MAX_TARGET_BYTES);
    }
}
