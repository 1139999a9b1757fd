//! The checks that httparse leaves open: line ends, and the name of the fault that it found.

use crate::connection::{is_tchar, is_token};
use crate::reject::{Reject, rejects};

/// Reports whether the line that begins with `name` (a slice of `head`) comes right after CRLF.
/// httparse accepts a bare LF as a line end; it refuses a bare CR.
#[inline]
pub(crate) fn follows_crlf(head: &[u8], name: &str) -> bool {
    let at = name.as_ptr().addr().wrapping_sub(head.as_ptr().addr());
    head.get(at.wrapping_sub(2)) == Some(&b'\r')
}

/// Returns method and target at the start of a head that was refused, as far as they can be read;
/// for logs.
#[cold]
pub fn glance(head: &[u8]) -> (&str, &[u8]) {
    let head = head.strip_prefix(b"\r\n").unwrap_or(head);
    let end = memchr::memchr2(b'\r', b'\n', head).unwrap_or(head.len());
    let mut words = head.get(..end).unwrap_or_default().split(|b| *b == b' ');
    match (words.next(), words.next()) {
        (Some(method), Some(target)) if method.len() <= 32 && is_token(method) => {
            (std::str::from_utf8(method).unwrap_or_default(), target)
        }
        _ => ("", &[]),
    }
}

/// Reports whether the first line of a head that was refused names HTTP at all; `None` while more
/// of the line may come.
#[cold]
pub fn names_http(head: &[u8]) -> Option<bool> {
    let head = head.strip_prefix(b"\r\n").unwrap_or(head);
    let is_named = |line: &[u8]| line.windows(5).any(|five| five == b"HTTP/");
    match memchr::memchr(b'\n', head) {
        Some(end) => head.get(..end).map(is_named),
        None => is_named(head).then_some(true),
    }
}

/// Returns what is wrong with a request line whose method (`method_seen` false) or target was
/// refused.
#[cold]
pub(crate) fn request_line(view: &[u8], method_seen: bool) -> Reject {
    let (method, rest) = match memchr::memchr(b' ', view) {
        Some(at) if method_seen => view.split_at(at + 1),
        _ => (view, &b""[..]),
    };
    if !method_seen {
        return match method.first() {
            Some(0x16) => rejects::TLS_ON_PLAIN,
            Some(b) if is_tchar(*b) => rejects::METHOD,
            _ => rejects::REQUEST_LINE,
        };
    }
    match rest.iter().find(|&&b| b <= b' ' || b >= 0x7f) {
        Some(b'\r' | b'\n' | b' ' | b'\t') => rejects::REQUEST_LINE,
        _ => rejects::TARGET,
    }
}

/// Returns what is wrong with the bytes where a version should be; `None` while they may still
/// become `HTTP/d.d`.
#[cold]
pub(crate) fn version(rest: &[u8]) -> Option<Reject> {
    let shape = |(at, b): (usize, &u8)| match at {
        5 | 7 => b.is_ascii_digit(),
        _ => b"HTTP/1.1".get(at) == Some(b),
    };
    if !rest.iter().take(8).enumerate().all(shape) {
        return Some(rejects::REQUEST_LINE);
    }
    (rest.len() >= 8).then_some(rejects::VERSION)
}

/// Returns the first fault in a request's header lines.
#[cold]
pub(crate) fn request_fields(view: &[u8]) -> Reject {
    match fields(view) {
        Fault::StartLine => rejects::REQUEST_LINE,
        Fault::LineEnd => rejects::BARE_LF,
        Fault::Fold => rejects::OBS_FOLD,
        Fault::Name => rejects::FIELD_NAME,
        Fault::Value => rejects::FIELD_VALUE,
    }
}

/// Returns the first fault in a response's header lines.
#[cold]
pub(crate) fn response_fields(view: &[u8]) -> Reject {
    match fields(view) {
        Fault::StartLine => rejects::R_STATUS_LINE,
        Fault::LineEnd => rejects::R_BARE_LF,
        Fault::Fold => rejects::R_OBS_FOLD,
        Fault::Name => rejects::R_FIELD_NAME,
        Fault::Value => rejects::R_FIELD_VALUE,
    }
}

enum Fault {
    StartLine,
    LineEnd,
    Fold,
    Name,
    Value,
}

/// Walks a head that httparse refused after its start line's version or status.
fn fields(view: &[u8]) -> Fault {
    let Some(start_end) = view.iter().position(|b| matches!(b, b'\r' | b'\n')) else {
        return Fault::StartLine;
    };
    let mut rest = match view.get(start_end..) {
        Some([b'\r', b'\n', rest @ ..]) => rest,
        Some([b'\n', ..]) => return Fault::LineEnd,
        _ => return Fault::StartLine,
    };
    loop {
        if matches!(rest.first(), Some(b' ' | b'\t')) {
            return Fault::Fold;
        }
        let name_len = rest.iter().position(|&b| !is_tchar(b)).unwrap_or(rest.len());
        match rest.get(name_len..) {
            Some([b':', tail @ ..]) if name_len > 0 => rest = tail,
            Some([b'\n', ..] | [b'\r', ..]) if name_len == 0 => return Fault::LineEnd,
            _ => return Fault::Name,
        }
        let value_len = rest.iter().position(|&b| !is_value(b)).unwrap_or(rest.len());
        match rest.get(value_len..) {
            Some([b'\r', b'\n', tail @ ..]) => rest = tail,
            Some([b'\r' | b'\n', ..]) => return Fault::LineEnd,
            _ => return Fault::Value,
        }
    }
}

/// Reports whether a field value may contain the byte: no control but tab (RFC 9110 §5.5).
pub(crate) const fn is_value(b: u8) -> bool {
    b == b'\t' || (b >= 0x20 && b != 0x7f)
}
