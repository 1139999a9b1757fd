//! gRPC over HTTP: what the proxy must know of it.

/// The variant of gRPC that a content type names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// gRPC; needs trailers from end to end, hence HTTP/2 on both sides.
    Native,
    /// gRPC-Web; its trailers are in the body.
    Web,
}

/// Returns which gRPC a message of this content type is.
pub fn kind(content_type: &[u8]) -> Option<Kind> {
    const PREFIX: &[u8] = b"application/grpc";
    let (start, rest) = content_type.split_at_checked(PREFIX.len())?;
    if !start.eq_ignore_ascii_case(PREFIX) {
        return None;
    }
    match rest {
        [] | [b'+' | b';' | b' ', ..] => Some(Kind::Native),
        [b'-', rest @ ..] if rest.get(..3).is_some_and(|w| w.eq_ignore_ascii_case(b"web")) => {
            Some(Kind::Web)
        }
        _ => None,
    }
}

/// Returns the number that a `grpc-status` is; what is none counts as UNKNOWN.
pub fn code(value: &[u8]) -> u32 {
    const UNKNOWN: u32 = 2;
    let text = std::str::from_utf8(value).unwrap_or_default();
    text.parse().unwrap_or(UNKNOWN)
}

/// Returns the value of the first of these lines, as HTTP/1 has them, with that name.
pub fn line<'a>(lines: &'a [u8], name: &str) -> Option<&'a [u8]> {
    lines.split(|b| *b == b'\n').find_map(|line| {
        let (start, rest) = line.split_at_checked(name.len())?;
        let value = rest.strip_prefix(b":").filter(|_| start.eq_ignore_ascii_case(name.as_bytes()));
        value.map(<[u8]>::trim_ascii)
    })
}

/// Returns the `grpc-status` of an answer that the proxy makes itself with this HTTP status.
pub fn status_of(status: u16) -> u8 {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 | 405 | 501 => 12,
        408 | 504 => 4,
        413 | 429 | 431 => 8,
        502 | 503 => 14,
        _ => 2,
    }
}

/// Appends the lines of an answer in trailers-only form: HTTP status 200, no body.
pub fn write_refusal(out: &mut Vec<u8>, status: u16, detail: &str) {
    out.extend_from_slice(b"content-type: application/grpc\r\ngrpc-status: ");
    let code = status_of(status);
    if code >= 10 {
        out.push(b'0' + code / 10);
    }
    out.push(b'0' + code % 10);
    out.extend_from_slice(b"\r\ngrpc-message: ");
    for b in detail.bytes() {
        if (0x20..0x7f).contains(&b) && b != b'%' {
            out.push(b);
        } else {
            let digit = |n: u8| if n < 10 { b'0' + n } else { b'A' + n - 10 };
            out.extend_from_slice(&[b'%', digit(b >> 4), digit(b & 15)]);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Reads a `grpc-timeout`, in microseconds: one to eight digits and a unit.
pub fn timeout_us(value: &[u8]) -> Option<u64> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let count = digits
        .iter()
        .try_fold(0_u64, |n, b| b.is_ascii_digit().then(|| 10 * n + u64::from(b - b'0')))?;
    match unit {
        b'H' => Some(count * 3_600_000_000),
        b'M' => Some(count * 60_000_000),
        b'S' => Some(count * 1_000_000),
        b'm' => Some(count * 1000),
        b'u' => Some(count),
        b'n' => Some(count / 1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_found_among_lines_and_what_is_no_number_is_unknown() {
        let lines = b"x-a: 1\r\nGrpc-Status:  14 \r\ngrpc-status: 0\r\n";
        assert_eq!(line(lines, "grpc-status"), Some(&b"14"[..]));
        assert_eq!(line(lines, "grpc-statu"), None);
        assert_eq!(line(b"", "grpc-status"), None);
        assert_eq!(line(b"grpc-status:\r\n", "grpc-status"), Some(&b""[..]));
        for (value, is) in
            [(&b"0"[..], 0), (b"16", 16), (b"", 2), (b"x", 2), (b"-1", 2), (b"\xff", 2)]
        {
            assert_eq!(code(value), is, "{value:?}");
        }
    }
}
