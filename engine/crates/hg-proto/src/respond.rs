//! Our own answers to faults: status, `Proxy-Status` (RFC 9209), a short text for people.

use crate::reject::Reject;
use crate::write::{self, Persistence};

/// The content of an error answer.
#[derive(Clone, Copy, Debug)]
pub struct ErrorAnswer<'a> {
    /// Status of the answer.
    pub status: u16,
    /// Error token of RFC 9209 §2.3.
    pub error: &'a str,
    /// The cause, for people; printable ASCII (anything else is replaced).
    pub detail: &'a str,
    /// The content of its Connection line.
    pub persistence: Persistence,
    /// True if the request was HEAD: the head is the same, and no body follows.
    pub head_only: bool,
    /// An IMF-fixdate ([`write::date`]).
    pub date: &'a [u8],
    /// The number of seconds after which another try makes sense, if known (RFC 9110 §10.2.3).
    pub retry_after_s: Option<u64>,
    /// Content type and text of what clients get instead of status, reason and detail.
    pub page: Option<(&'a str, &'a [u8])>,
}

impl<'a> ErrorAnswer<'a> {
    /// Makes the answer to a refused message; it closes the connection.
    pub fn refusal(reject: &Reject, date: &'a [u8]) -> ErrorAnswer<'a> {
        ErrorAnswer {
            status: reject.status,
            error: reject.reason,
            detail: reject.detail,
            persistence: Persistence::Close,
            head_only: false,
            date,
            retry_after_s: None,
            page: None,
        }
    }
}

/// Appends a whole error answer; `proxy_name` is the name in `Proxy-Status`. Returns the bytes of
/// its body.
pub fn write_error(out: &mut Vec<u8>, answer: &ErrorAnswer<'_>, proxy_name: &str) -> usize {
    write_error_with(out, answer, proxy_name, |_| false, &[])
}

/// Does the same with other header lines: appends `more`, and leaves out those of our own lines,
/// framing aside, for which `drops` returns true.
pub fn write_error_with(
    out: &mut Vec<u8>,
    answer: &ErrorAnswer<'_>,
    proxy_name: &str,
    drops: impl Fn(&[u8]) -> bool,
    more: &[u8],
) -> usize {
    let reason = reason_phrase(answer.status);
    write::status_line(out, answer.status, reason.as_bytes());
    if !drops(b"date") {
        write::line(out, "date", answer.date);
    }
    if !drops(b"content-type") {
        let kind = answer.page.map_or("text/plain; charset=utf-8", |(kind, _)| kind);
        write::line(out, "content-type", kind.as_bytes());
    }
    let mut digits = itoa::Buffer::new();
    let status = digits.format(answer.status);
    // "<status> <reason>\n<detail>\n"
    let own_len = status.len() + 1 + reason.len() + 1 + answer.detail.len() + 1;
    let body_len = answer.page.map_or(own_len, |(_, text)| text.len());
    write::content_length(out, body_len as u64);
    if !drops(b"proxy-status") {
        proxy_status(out, proxy_name, answer.error, answer.detail);
    }
    if let Some(seconds) = answer.retry_after_s.filter(|_| !drops(b"retry-after")) {
        write::line(out, "retry-after", itoa::Buffer::new().format(seconds).as_bytes());
    }
    out.extend_from_slice(more);
    if answer.status == 405 {
        write::line(out, "allow", b"GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH");
    }
    write::connection(out, answer.persistence);
    write::end(out);
    if answer.head_only {
        return 0;
    }
    if let Some((_, text)) = answer.page {
        out.extend_from_slice(text);
        return body_len;
    }
    out.extend_from_slice(status.as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason.as_bytes());
    out.push(b'\n');
    printable(out, answer.detail);
    out.push(b'\n');
    body_len
}

/// Appends `proxy-status: name; error=token; details="…"\r
/// ` (RFC 9209 §2).
pub fn proxy_status(out: &mut Vec<u8>, proxy_name: &str, error: &str, detail: &str) {
    out.extend_from_slice(b"proxy-status: ");
    out.extend_from_slice(proxy_name.as_bytes());
    out.extend_from_slice(b"; error=");
    out.extend_from_slice(error.as_bytes());
    if !detail.is_empty() {
        out.extend_from_slice(b"; details=\"");
        quoted(out, detail);
        out.push(b'"');
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the inside of an RFC 8941 string: printable ASCII, with quotes and backslashes replaced
/// so that the length stays the same.
fn quoted(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().map(|b| if matches!(b, b'"' | b'\\') { b'\'' } else { visible(b) }));
}

fn printable(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().map(visible));
}

fn visible(b: u8) -> u8 {
    if (0x20..0x7f).contains(&b) { b } else { b'?' }
}

/// Returns the usual phrase of a status (RFC 9110 §15); empty for unknown ones.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ => "",
    }
}

/// `HTTP/1.1 100 Continue` with its empty line.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

#[cfg(test)]
mod tests;
