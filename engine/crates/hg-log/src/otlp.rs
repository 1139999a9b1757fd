//! Records as log records of OTLP (opentelemetry-proto 1.x, `logs.proto`), with the attributes of
//! OpenTelemetry's semantic conventions (1.36) where there are any.

use crate::escape::push_address;
use crate::layout::{Field, Key, Value, Values};
use crate::record::{MAX_TARGET_BYTES, MAX_VALUE_BYTES};
use hg_otlp::{Attributes, wire};
use hg_plan::Digest;
use hg_proto::Method;

/// `SEVERITY_NUMBER_INFO`: a request that failed is no fault of what logs it, and has its status.
const INFO: u64 = 9;

/// Appends a record as a field of `ScopeLogs`: its line as the body, and its values of these fields, or
/// of all keys, as attributes. Allocates only to grow `out`, and for values that are not UTF-8.
pub(crate) fn push<R: Values>(
    record: &R,
    fields: Option<&[Field]>,
    line: impl FnOnce(&mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    let (began_us, ended_us) = record.times_us();
    wire::nested(out, 2, |out| {
        wire::fixed64(out, 1, began_us.saturating_mul(1_000));
        wire::number(out, 2, INFO);
        wire::bytes(out, 3, b"INFO");
        wire::nested(out, 5, |out| wire::nested(out, 1, |out| push_body(line, out)));
        let mut more = Attributes::new(out, 6);
        match fields {
            None => Key::ALL.iter().for_each(|key| describe(record, *key, &mut more)),
            Some(fields) => fields.iter().for_each(|one| describe_field(record, one, &mut more)),
        }
        if let Some(trace) = record.trace() {
            wire::fixed32(out, 8, trace.flags.into());
            wire::bytes(out, 9, &trace.trace_id.to_be_bytes());
            wire::bytes(out, 10, &trace.span_id.to_be_bytes());
        }
        wire::fixed64(out, 11, ended_us.saturating_mul(1_000));
    });
}

/// Appends a line without its end.
fn push_body(line: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
    let start = out.len();
    line(out);
    // A byte before the line may be 10, too.
    if out.len() > start && out.last() == Some(&b'\n') {
        out.pop();
    }
}

fn describe_field<R: Values>(record: &R, field: &Field, more: &mut Attributes<'_>) {
    match field {
        Field::Key(key) => describe(record, *key, more),
        Field::Header(name) => {
            if let Value::Text(value) = record.header(name) {
                describe_header(name, value, more);
            }
        }
        Field::Claim(name) => {
            if let Value::Text(value) = record.claim(name) {
                more.write_under("headgate.jwt.", name, |out| {
                    wire::text(out, 1, value, MAX_VALUE_BYTES);
                });
            }
        }
    }
}

/// The conventions have a list of values for each header; ours is joined.
fn describe_header(name: &str, value: &[u8], more: &mut Attributes<'_>) {
    more.write_under("http.request.header.", name, |out| {
        list(out, |out| item(out, value, MAX_VALUE_BYTES));
    });
}

fn describe<R: Values>(record: &R, key: Key, more: &mut Attributes<'_>) {
    match (key, record.value(key)) {
        // The record has fields for them.
        (Key::Time | Key::TraceId | Key::SpanId, _) => {}
        (Key::Method, Value::Text(method)) => describe_method(method, more),
        (Key::Host, Value::Text(host)) => {
            more.server(host);
        }
        (Key::Target, Value::Target(target)) => describe_target(target, more),
        (Key::Protocol, Value::Text(protocol)) => describe_protocol(protocol, more),
        (Key::Route, Value::Text(route)) => {
            if R::IS_REQUEST {
                text(more, "http.route", route);
            }
            text(more, "headgate.route", route);
        }
        (Key::TlsVersion, Value::Text(version)) => {
            text(more, "tls.protocol.version", version.strip_prefix(b"TLSv").unwrap_or(version));
        }
        (Key::Reason, Value::Text(b"-")) => {}
        (Key::Referer, Value::Text(referer)) => describe_header("referer", referer, more),
        (_, value) => {
            if let Some(name) = name::<R>(key) {
                describe_as(name, value, more);
            }
        }
    }
}

/// Returns the attribute of a key whose value stands there as it is.
fn name<R: Values>(key: Key) -> Option<&'static str> {
    Some(match key {
        Key::ClientIp => "client.address",
        Key::ClientPort => "client.port",
        Key::Scheme => "url.scheme",
        Key::Status => "http.response.status_code",
        Key::BytesIn if R::IS_REQUEST => "http.request.body.size",
        Key::BytesOut if R::IS_REQUEST => "http.response.body.size",
        Key::UserAgent => "user_agent.original",
        Key::Sni => "tls.client.server_name",
        Key::Alpn => "tls.next_protocol",
        Key::ClientSubject => "tls.client.subject",
        Key::ClientFingerprint => "tls.client.hash.sha256",
        Key::RequestId => "headgate.request_id",
        Key::Listener => "headgate.listener",
        Key::Upstream => "headgate.upstream",
        Key::Endpoint => "headgate.endpoint",
        Key::DatagramsIn => "headgate.datagrams_in",
        Key::DatagramsOut => "headgate.datagrams_out",
        Key::BytesIn => "headgate.bytes_in",
        Key::BytesOut => "headgate.bytes_out",
        Key::ConnectUs => "headgate.connect_us",
        Key::FirstByteUs => "headgate.first_byte_us",
        Key::TotalUs => "headgate.total_us",
        Key::Reused => "headgate.connection.reused",
        Key::ConnectionId => "headgate.connection.id",
        Key::Tries => "headgate.tries",
        Key::Reason => "headgate.reason",
        Key::ClientSan => "headgate.client_san",
        Key::ClientSpiffe => "headgate.client_spiffe",
        // These were described before.
        Key::Time | Key::TraceId | Key::SpanId | Key::Method | Key::Host => return None,
        Key::Target | Key::Protocol | Key::Route | Key::TlsVersion | Key::Referer => return None,
    })
}

fn describe_as(name: &str, value: Value<'_>, more: &mut Attributes<'_>) {
    match value {
        Value::Text(value) => text(more, name, value),
        Value::Number(number) => {
            more.number(name, number);
        }
        Value::Flag(flag) => {
            more.flag(name, flag);
        }
        Value::Address(ip) => more.write(name, |out| {
            wire::nested(out, 1, |out| push_address(ip, out));
        }),
        Value::Names(names) => more.write(name, |out| list(out, |out| items(out, names))),
        Value::Fingerprint(digest) => more.write(name, |out| {
            wire::nested(out, 1, |out| push_upper_hex(digest, out));
        }),
        Value::Unknown | Value::Target(_) | Value::Time(_) | Value::Hex(..) => {}
    }
}

fn text(more: &mut Attributes<'_>, name: &str, value: &[u8]) {
    more.long_text(name, value, MAX_VALUE_BYTES);
}

fn describe_method(method: &[u8], more: &mut Attributes<'_>) {
    if let Ok(name) = std::str::from_utf8(method)
        && !matches!(Method::of(name), Method::Other(_))
    {
        return text(more, "http.request.method", method);
    }
    // A request that could not be read has no method at all.
    if !method.is_empty() {
        text(more, "http.request.method", b"_OTHER");
        text(more, "http.request.method_original", method);
    }
}

/// A target has its path, and its query as the line has it.
fn describe_target(target: &[u8], more: &mut Attributes<'_>) {
    let target = target.get(..MAX_TARGET_BYTES).unwrap_or(target);
    let end = target.iter().position(|b| *b == b'?').unwrap_or(target.len());
    let (path, query) = target.split_at_checked(end).unwrap_or((target, b""));
    more.long_text("url.path", path, MAX_TARGET_BYTES);
    more.long_text("url.query", query.get(1..).unwrap_or_default(), MAX_TARGET_BYTES);
}

fn describe_protocol(protocol: &[u8], more: &mut Attributes<'_>) {
    match protocol {
        b"tcp" | b"udp" => text(more, "network.transport", protocol),
        // The conventions have no minor version where there is none.
        b"HTTP/2.0" => text(more, "network.protocol.version", b"2"),
        _ => {
            let version = protocol.strip_prefix(b"HTTP/").unwrap_or_default();
            text(more, "network.protocol.version", version);
        }
    }
}

/// Writes a list as an `AnyValue`.
fn list(out: &mut Vec<u8>, items: impl FnOnce(&mut Vec<u8>)) {
    wire::nested(out, 5, items);
}

/// Writes a text of a list.
fn item(out: &mut Vec<u8>, value: &[u8], most: usize) {
    wire::nested(out, 1, |out| wire::text(out, 1, value, most));
}

/// Writes names that together are as long as one value at most.
fn items(out: &mut Vec<u8>, names: &[Box<str>]) {
    let mut left = MAX_VALUE_BYTES;
    for name in names {
        if left == 0 {
            return;
        }
        item(out, name.as_bytes(), left);
        left = left.saturating_sub(name.len());
    }
}

/// The conventions have the digits of hashes in upper case.
fn push_upper_hex(digest: &Digest, out: &mut Vec<u8>) {
    for byte in digest.0 {
        for nibble in [byte >> 4, byte & 15] {
            out.push(if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 });
        }
    }
}

#[cfg(test)]
#[path = "otlp_tests.rs"]
mod tests;
