//! The common line, which is Apache's common log format, and the combined one: Apache's combined log
//! format, then the request's time in seconds and our reason (`docs/reference/access-log.md`).

use crate::clock::TimeCache;
use crate::escape::{push_address, push_combined, push_number};
use crate::record::{AccessRecord, ConnectionRecord, MAX_TARGET_BYTES, MAX_VALUE_BYTES};

/// Appends one common line and its line feed. Allocates only to grow `out`.
pub fn format_common(record: &AccessRecord<'_>, time: &mut TimeCache, out: &mut Vec<u8>) {
    push_common(record, time, out);
    out.push(b'\n');
}

/// Appends one combined line and its line feed. Allocates only to grow `out`.
pub fn format_combined(record: &AccessRecord<'_>, time: &mut TimeCache, out: &mut Vec<u8>) {
    let r = record;
    push_common(r, time, out);
    out.extend_from_slice(b" \"");
    push_combined(r.referer, MAX_VALUE_BYTES, out);
    out.extend_from_slice(b"\" \"");
    push_combined(r.user_agent, MAX_VALUE_BYTES, out);
    out.extend_from_slice(b"\" ");
    push_seconds(r.total_us, out);
    out.push(b' ');
    push_combined(r.reason.as_bytes(), MAX_VALUE_BYTES, out);
    out.push(b'\n');
}

fn push_common(r: &AccessRecord<'_>, time: &mut TimeCache, out: &mut Vec<u8>) {
    push_address(r.client_ip, out);
    out.extend_from_slice(b" - - [");
    time.push_common(r.time_us, out);
    out.extend_from_slice(b"] \"");
    push_combined(r.method.as_bytes(), MAX_VALUE_BYTES, out);
    out.push(b' ');
    push_combined(r.target, MAX_TARGET_BYTES, out);
    out.push(b' ');
    push_combined(r.protocol.as_bytes(), MAX_VALUE_BYTES, out);
    out.extend_from_slice(b"\" ");
    push_number(r.status.into(), out);
    out.push(b' ');
    push_number(r.bytes_out, out);
}

/// Appends the common line of a TCP connection: the route and its endpoint stand in place of the
/// request, and there is no status.
pub fn format_connection_common(
    record: &ConnectionRecord<'_>,
    time: &mut TimeCache,
    out: &mut Vec<u8>,
) {
    push_connection(record, time, out);
    out.push(b'\n');
}

/// Appends the combined line of a TCP connection, in the same manner.
pub fn format_connection_combined(
    record: &ConnectionRecord<'_>,
    time: &mut TimeCache,
    out: &mut Vec<u8>,
) {
    push_connection(record, time, out);
    out.extend_from_slice(b" \"-\" \"-\" ");
    push_seconds(record.total_us, out);
    out.push(b' ');
    push_combined(record.reason.as_bytes(), MAX_VALUE_BYTES, out);
    out.push(b'\n');
}

fn push_connection(r: &ConnectionRecord<'_>, time: &mut TimeCache, out: &mut Vec<u8>) {
    push_address(r.client.ip().to_canonical(), out);
    out.extend_from_slice(b" - - [");
    time.push_common(r.time_us, out);
    out.extend_from_slice(b"] \"TCP ");
    push_combined(r.route.as_bytes(), MAX_VALUE_BYTES, out);
    out.push(b' ');
    push_combined(r.to.endpoint.as_bytes(), MAX_VALUE_BYTES, out);
    out.extend_from_slice(b"\" - ");
    push_number(r.bytes_out, out);
}

/// Appends microseconds as seconds with six decimals.
pub(crate) fn push_seconds(us: u64, out: &mut Vec<u8>) {
    push_number(us / 1_000_000, out);
    let from = out.len();
    // The leading 1 keeps the zeros; the point then takes its place.
    push_number(1_000_000 + us % 1_000_000, out);
    if let Some(digit) = out.get_mut(from) {
        *digit = b'.';
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{bare, connection, record};

    fn line(record: &AccessRecord<'_>) -> String {
        let mut out = Vec::new();
        format_combined(record, &mut TimeCache::new(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_full_record() {
        assert_eq!(
            line(&record()),
            "192.0.2.7 - - [20/Nov/2026:08:59:02 +0000] \"GET /v1/users?page=2 HTTP/1.1\" 200 1234 \
             \"https://example.com/\" \"curl/8.5.0\" 0.002345 -\n"
        );
    }

    #[test]
    fn a_common_line_is_the_beginning_of_a_combined_one() {
        let mut out = Vec::new();
        format_common(&record(), &mut TimeCache::new(), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "192.0.2.7 - - [20/Nov/2026:08:59:02 +0000] \"GET /v1/users?page=2 HTTP/1.1\" 200 1234\n"
        );
        let mut out = Vec::new();
        format_connection_common(&connection(), &mut TimeCache::new(), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "192.0.2.7 - - [20/Nov/2026:08:59:02 +0000] \"TCP postgres 127.0.0.1:5432\" - 1234\n"
        );
    }

    #[test]
    fn what_is_not_known_is_a_dash() {
        assert_eq!(
            line(&bare()),
            "::1 - - [01/Jan/1970:00:00:00 +0000] \"- - -\" 400 0 \"-\" \"-\" 0.000007 \
             http_request_error\n"
        );
    }

    #[test]
    fn a_connection() {
        let mut out = Vec::new();
        format_connection_combined(&connection(), &mut TimeCache::new(), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "192.0.2.7 - - [20/Nov/2026:08:59:02 +0000] \"TCP postgres 127.0.0.1:5432\" - 1234 \
             \"-\" \"-\" 0.002345 client-end\n"
        );
    }

    #[test]
    fn seconds_have_six_decimals() {
        for (us, text) in [(0, "0.000000"), (1_000_000, "1.000000"), (61_020_304, "61.020304")] {
            let mut out = Vec::new();
            push_seconds(us, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
