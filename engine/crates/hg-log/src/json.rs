//! The JSON line (`docs/reference/access-log.md`).

use crate::clock::TimeCache;
use crate::escape::{push_address, push_json, push_number};
use crate::record::{
    AccessRecord, CertificateRecord, ConnectionRecord, MAX_TARGET_BYTES, MAX_VALUE_BYTES,
    TraceRecord,
};
use hg_plan::Digest;

/// Appends one JSON object and a line feed. Keys are in a fixed order; unknown values (no upstream,
/// no Referer, a plain connection) are left out. Allocates only to grow `out`.
pub fn format_json(record: &AccessRecord<'_>, time: &mut TimeCache, out: &mut Vec<u8>) {
    let r = record;
    out.extend_from_slice(b"{\"time\":\"");
    time.push_rfc3339(r.time_us, out);
    text(b"\",\"request_id\":\"", r.request_id.as_bytes(), out);
    out.extend_from_slice(b"\",\"client_ip\":\"");
    push_address(r.client_ip, out);
    text(b"\",\"listener\":\"", r.listener.as_bytes(), out);
    known(b"\",\"route\":\"", r.route.as_bytes(), out);
    known(b"\",\"upstream\":\"", r.upstream.as_bytes(), out);
    known(b"\",\"endpoint\":\"", r.endpoint.as_bytes(), out);
    text(b"\",\"method\":\"", r.method.as_bytes(), out);
    text(b"\",\"scheme\":\"", r.scheme.as_bytes(), out);
    text(b"\",\"host\":\"", r.host, out);
    out.extend_from_slice(b"\",\"target\":\"");
    push_json(r.target, MAX_TARGET_BYTES, out);
    text(b"\",\"protocol\":\"", r.protocol.as_bytes(), out);
    number(b"\",\"status\":", r.status.into(), out);
    number(b",\"bytes_in\":", r.bytes_in, out);
    number(b",\"bytes_out\":", r.bytes_out, out);
    if let Some(connect_us) = r.connect_us {
        number(b",\"connect_us\":", connect_us, out);
    }
    if let Some(first_byte_us) = r.first_byte_us {
        number(b",\"first_byte_us\":", first_byte_us, out);
    }
    number(b",\"total_us\":", r.total_us, out);
    if !r.endpoint.is_empty() {
        let reused: &[u8] = if r.sent.reused { b",\"reused\":true" } else { b",\"reused\":false" };
        out.extend_from_slice(reused);
    }
    if r.sent.tries > 1 {
        number(b",\"tries\":", r.sent.tries.into(), out);
    }
    text(b",\"reason\":\"", r.reason.as_bytes(), out);
    known(b"\",\"user_agent\":\"", r.user_agent, out);
    known(b"\",\"referer\":\"", r.referer, out);
    known(b"\",\"tls_version\":\"", r.tls.version.unwrap_or("").as_bytes(), out);
    known(b"\",\"sni\":\"", r.tls.sni.unwrap_or("").as_bytes(), out);
    if let Some(client) = &r.tls.client {
        push_certificate(client, out);
    }
    if let Some(TraceRecord { trace_id, span_id, .. }) = r.sent.trace {
        out.extend_from_slice(b"\",\"trace_id\":\"");
        push_hex(trace_id, 32, out);
        out.extend_from_slice(b"\",\"span_id\":\"");
        push_hex(span_id.into(), 16, out);
    }
    out.extend_from_slice(b"\"}\n");
}

/// Appends the line of a TCP connection, in the same manner.
pub fn format_connection_json(
    record: &ConnectionRecord<'_>,
    time: &mut TimeCache,
    out: &mut Vec<u8>,
) {
    let r = record;
    out.extend_from_slice(b"{\"time\":\"");
    time.push_rfc3339(r.time_us, out);
    out.extend_from_slice(b"\",\"client_ip\":\"");
    push_address(r.client.ip().to_canonical(), out);
    number(b"\",\"client_port\":", r.client.port().into(), out);
    text(b",\"listener\":\"", r.listener.as_bytes(), out);
    known(b"\",\"route\":\"", r.route.as_bytes(), out);
    known(b"\",\"upstream\":\"", r.to.upstream.as_bytes(), out);
    known(b"\",\"endpoint\":\"", r.to.endpoint.as_bytes(), out);
    number(b"\",\"protocol\":\"tcp\",\"bytes_in\":", r.bytes_in, out);
    number(b",\"bytes_out\":", r.bytes_out, out);
    if let Some(connect_us) = r.to.connect_us {
        number(b",\"connect_us\":", connect_us, out);
    }
    number(b",\"total_us\":", r.total_us, out);
    text(b",\"reason\":\"", r.reason.as_bytes(), out);
    known(b"\",\"sni\":\"", r.tls.sni.unwrap_or("").as_bytes(), out);
    known(b"\",\"tls_version\":\"", r.tls.version.unwrap_or("").as_bytes(), out);
    known(b"\",\"alpn\":\"", r.tls.alpn.unwrap_or(b""), out);
    if let Some(client) = &r.tls.client {
        push_certificate(client, out);
    }
    known(b"\",\"connection_id\":\"", r.to.id.as_bytes(), out);
    out.extend_from_slice(b"\"}\n");
}

pub(crate) fn text(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    push_json(value, MAX_VALUE_BYTES, out);
}

pub(crate) fn known(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    if !value.is_empty() {
        text(key, value, out);
    }
}

fn push_certificate(client: &CertificateRecord<'_>, out: &mut Vec<u8>) {
    known(b"\",\"client_subject\":\"", client.subject.as_bytes(), out);
    if !client.names.is_empty() {
        out.extend_from_slice(b"\",\"client_san\":\"");
        push_names(client.names, push_json, out);
    }
    known(b"\",\"client_spiffe\":\"", client.spiffe.as_bytes(), out);
    out.extend_from_slice(b"\",\"client_fingerprint\":\"");
    push_fingerprint(client.fingerprint, out);
}

/// Writes a digest in lower case.
pub(crate) fn push_fingerprint(digest: &Digest, out: &mut Vec<u8>) {
    let (halves, _) = digest.0.as_chunks::<16>();
    for half in halves {
        push_hex(u128::from_be_bytes(*half), 32, out);
    }
}

/// Writes names with commas between them, as one value.
pub(crate) fn push_names(
    names: &[Box<str>],
    push: fn(&[u8], usize, &mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    let mut left = MAX_VALUE_BYTES;
    for (at, name) in names.iter().enumerate() {
        if at > 0 && left > 0 {
            out.push(b',');
            left -= 1;
        }
        // Not `push`, which may write something for no bytes.
        if left == 0 {
            return;
        }
        push(name.as_bytes(), left, out);
        left = left.saturating_sub(name.len());
    }
}

/// Writes so many digits in lower case.
pub(crate) fn push_hex(number: u128, digits: u32, out: &mut Vec<u8>) {
    for at in (0..digits).rev() {
        let nibble = (number >> (4 * at)) as u8 & 15;
        out.push(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
    }
}

pub(crate) fn number(key: &[u8], value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    push_number(value, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{ReachedRecord, SecuredRecord, SentRecord};
    use crate::testing::{bare, certificate, connection, record};
    use proptest::prelude::*;
    use serde_json::Value;

    fn line(record: &AccessRecord<'_>) -> String {
        let mut out = Vec::new();
        format_json(record, &mut TimeCache::new(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_full_record() {
        assert_eq!(
            line(&record()),
            concat!(
                r#"{"time":"2026-11-20T08:59:02.123456Z","request_id":"4f2c9a61d0b3e875","#,
                r#""client_ip":"192.0.2.7","listener":"secure","route":"api","upstream":"api","#,
                r#""endpoint":"127.0.0.1:9001","method":"GET","scheme":"https","#,
                r#""host":"api.example.com","target":"/v1/users?page=2","protocol":"HTTP/1.1","#,
                r#""status":200,"bytes_in":0,"bytes_out":1234,"connect_us":150,"#,
                r#""first_byte_us":2100,"total_us":2345,"reused":false,"reason":"-","#,
                r#""user_agent":"curl/8.5.0","referer":"https://example.com/","#,
                r#""tls_version":"TLSv1.3","sni":"api.example.com","client_subject":"CN=alice","#,
                r#""client_san":"dns:alice.example,uri:spiffe://example/alice","#,
                r#""client_spiffe":"spiffe://example/alice","#,
                r#""client_fingerprint":"0101010101010101010101010101010101010101010101010101010101010101","#,
                r#""trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_connection() {
        let of = |record: &ConnectionRecord<'_>| {
            let mut out = Vec::new();
            format_connection_json(record, &mut TimeCache::new(), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            of(&connection()),
            concat!(
                r#"{"time":"2026-11-20T08:59:02.123456Z","client_ip":"192.0.2.7","#,
                r#""client_port":50000,"listener":"pg","route":"postgres","upstream":"pg","#,
                r#""endpoint":"127.0.0.1:5432","protocol":"tcp","bytes_in":17,"bytes_out":1234,"#,
                r#""connect_us":150,"total_us":2345,"reason":"client-end"}"#,
                "\n"
            )
        );
        let to = ReachedRecord { id: "4f2c", ..connection().to };
        let tls = SecuredRecord { sni: Some("db.example"), ..SecuredRecord::default() };
        let named = of(&ConnectionRecord { tls, to, ..connection() });
        let end = r#","reason":"client-end","sni":"db.example","connection_id":"4f2c"}"#;
        assert!(named.trim_end().ends_with(end), "{named}");
        let (version, alpn) = (Some("TLSv1.3"), Some(&b"imap"[..]));
        let tls = SecuredRecord { version, alpn, client: Some(certificate()), ..tls };
        let ended = of(&ConnectionRecord { tls, ..connection() });
        let end = concat!(
            r#","sni":"db.example","tls_version":"TLSv1.3","alpn":"imap","#,
            r#""client_subject":"CN=alice","#,
            r#""client_san":"dns:alice.example,uri:spiffe://example/alice","#,
            r#""client_spiffe":"spiffe://example/alice","#,
            r#""client_fingerprint":"0101010101010101010101010101010101010101010101010101010101010101"}"#
        );
        assert!(ended.trim_end().ends_with(end), "{ended}");
        let nowhere = ConnectionRecord {
            route: "",
            to: ReachedRecord::default(),
            reason: "no-route",
            ..connection()
        };
        let parsed: Value = serde_json::from_str(&of(&nowhere)).unwrap();
        assert_eq!((&parsed["reason"], parsed.get("route")), (&Value::from("no-route"), None));
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        assert_eq!(
            line(&bare()),
            concat!(
                r#"{"time":"1970-01-01T00:00:00.000000Z","request_id":"","client_ip":"::1","#,
                r#""listener":"web","method":"","scheme":"http","host":"","target":"","#,
                r#""protocol":"","status":400,"bytes_in":0,"bytes_out":0,"total_us":7,"#,
                r#""reason":"http_request_error"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn names_of_a_certificate_are_cut_as_one_value() {
        let cut = |names: &[&str]| {
            let names: Vec<Box<str>> = names.iter().map(|name| Box::from(*name)).collect();
            let mut out = Vec::new();
            push_names(&names, push_json, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(cut(&["dns:a", "uri:b\""]), "dns:a,uri:b\\\"");
        let long = "a".repeat(MAX_VALUE_BYTES - 1);
        let shorter = "a".repeat(MAX_VALUE_BYTES - 2);
        assert_eq!(cut(&[&long, "dns:b", "dns:c"]), format!("{long},"));
        assert_eq!(cut(&[&shorter, "dns:b"]), format!("{shorter},d"));
    }

    #[test]
    fn a_request_that_was_tried_again_says_how_often_it_was_sent() {
        let sent = |tries| SentRecord { reused: true, tries, trace: None };
        let of = |tries| line(&AccessRecord { sent: sent(tries), ..record() });
        assert!(of(3).contains(r#","reused":true,"tries":3,"reason":"#), "{}", of(3));
        assert!(of(1).contains(r#","reused":true,"reason":"#), "{}", of(1));
    }

    proptest! {
        #[test]
        fn every_record_is_one_line_of_json(
            target in prop::collection::vec(any::<u8>(), 0..200),
            agent in prop::collection::vec(any::<u8>(), 0..50),
            name in ".*",
            numbers in any::<[u64; 4]>(),
        ) {
            let [time, bytes, first, total] = numbers;
            let r = AccessRecord {
                target: &target,
                user_agent: &agent,
                route: &name,
                time_us: time % 4_000_000_000_000_000,
                bytes_out: bytes,
                first_byte_us: Some(first),
                total_us: total,
                ..record()
            };
            let line = line(&r);
            prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
            let parsed: Value = serde_json::from_str(&line).unwrap();
            let cut: String = name.chars().collect();
            if name.len() <= MAX_VALUE_BYTES && !name.is_empty() {
                prop_assert_eq!(&parsed["route"], &Value::from(cut));
            }
            let lossy = String::from_utf8_lossy(&target).into_owned();
            prop_assert_eq!(&parsed["target"], &Value::from(lossy));
            prop_assert_eq!(parsed["bytes_out"].as_u64(), Some(bytes));
        }
    }
}
