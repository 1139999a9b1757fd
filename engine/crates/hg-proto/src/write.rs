//! Functions that append the parts of heads to a buffer.
//!
//! A rebuilt request is `request_line`, `fields` (without hop-by-hop, Host and Content-Length
//! lines), the caller's own lines, the framing line, `end`. Nothing is copied from the input that
//! was not parsed.

use crate::fields::{Field, Fields};
use crate::types::{Framing, RespFraming};
use httpdate::HttpDate;
use std::io::Write as _;
use std::time::{Duration, UNIX_EPOCH};

/// Characters that RFC 3986 forbids in path and query but clients send; they are forwarded encoded.
const ENCODED: &[u8] = b"{}|^\"<>`[]";

/// Appends `METHOD path?query HTTP/1.1\r
/// `; percent-encodes what RFC 3986 forbids.
pub fn request_line(out: &mut Vec<u8>, method: &str, path: &str, query: Option<&str>) {
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    target_part(out, path);
    if let Some(query) = query {
        out.push(b'?');
        target_part(out, query);
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// Appends a path or query; percent-encodes the characters that RFC 3986 forbids in it.
pub fn target_part(out: &mut Vec<u8>, part: &str) {
    let bytes = part.as_bytes();
    if !any_needs_encoding(bytes) {
        out.extend_from_slice(bytes);
        return;
    }
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for b in bytes {
        if needs_encoding(b) {
            let digit = |n: u8| HEX.get(usize::from(n & 15)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'%', digit(b >> 4), digit(*b)]);
        } else {
            out.push(*b);
        }
    }
}

/// Looks at four bytes between two branches.
#[inline]
fn any_needs_encoding(bytes: &[u8]) -> bool {
    let (fours, rest) = bytes.as_chunks::<4>();
    let any = |four: &[u8; 4]| four.iter().fold(false, |any, b| any | needs_encoding(b));
    fours.iter().fold(false, |seen, four| seen | any(four)) | rest.iter().any(needs_encoding)
}

#[inline]
fn needs_encoding(b: &u8) -> bool {
    static TABLE: [bool; 256] = {
        let mut table = [false; 256];
        let mut i = 0;
        while i < ENCODED.len() {
            table[ENCODED[i] as usize] = true;
            i += 1;
        }
        table
    };
    TABLE.get(usize::from(*b)).copied().unwrap_or(false)
}

/// Appends `HTTP/1.1 status reason\r
/// `.
pub fn status_line(out: &mut Vec<u8>, status: u16, reason: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

/// Appends `name: value\r
/// `.
#[inline]
pub fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends the end-to-end fields as sent, except Host and Content-Length, which we write, and those
/// for which `drops` returns true.
#[inline]
pub fn fields(out: &mut Vec<u8>, fields: &Fields<'_, '_>, drops: impl Fn(&Field<'_>) -> bool) {
    for field in fields.iter() {
        if !field.hop && !field.known.is_ours() && !drops(&field) {
            line(out, field.name, field.value);
        }
    }
}

/// Appends `content-length: n\r
/// `.
pub fn content_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends `transfer-encoding: chunked\r
/// `.
pub fn chunked(out: &mut Vec<u8>) {
    out.extend_from_slice(b"transfer-encoding: chunked\r\n");
}

/// Appends the framing line of a request, if it needs one.
pub fn request_framing(out: &mut Vec<u8>, framing: Framing) {
    match framing {
        Framing::None => {}
        Framing::Length(n) => content_length(out, n),
        Framing::Chunked => chunked(out),
    }
}

/// Appends the framing line of a response to an HTTP/1.1 client. `UntilClose` becomes chunked, so
/// that the client can recognise a clean end. `length` is the upstream's if there is no body (HEAD,
/// 304), and must be `None` for 1xx and 204.
pub fn response_framing(out: &mut Vec<u8>, framing: RespFraming, length: Option<u64>) {
    match framing {
        RespFraming::NoBody => {
            if let Some(n) = length {
                content_length(out, n);
            }
        }
        RespFraming::Length(n) => content_length(out, n),
        RespFraming::Chunked | RespFraming::UntilClose => chunked(out),
    }
}

/// The content of our own `Connection` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// No line: HTTP/1.1 keeps connections open by default.
    Implied,
    /// `connection: keep-alive`, for HTTP/1.0 clients.
    KeepAlive,
    /// `connection: close`.
    Close,
    /// `connection: upgrade` and `upgrade: websocket`.
    WebSocket,
}

/// Appends the lines of `persistence`.
pub fn connection(out: &mut Vec<u8>, persistence: Persistence) {
    out.extend_from_slice(match persistence {
        Persistence::Implied => b"",
        Persistence::KeepAlive => b"connection: keep-alive\r\n",
        Persistence::Close => b"connection: close\r\n",
        Persistence::WebSocket => b"connection: upgrade\r\nupgrade: websocket\r\n",
    });
}

/// Appends the empty line after a head.
pub fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// The line before so many bytes of chunk data, in a small array of its own.
#[derive(Clone, Copy, Debug)]
pub struct ChunkHeader {
    bytes: [u8; 18],
    len: u8,
}

impl ChunkHeader {
    /// Makes `hex\r
    /// `; `len` must not be 0, which would end the body.
    pub fn new(len: u64) -> ChunkHeader {
        let mut bytes = *b"0000000000000000\r\n";
        let mut rest = len;
        for byte in bytes.iter_mut().take(16).rev() {
            let digit = (rest & 15) as u8;
            *byte = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
            rest >>= 4;
        }
        let digits = (64 - len.leading_zeros()).div_ceil(4).max(1) as u8;
        bytes.rotate_left(usize::from(16 - digits));
        ChunkHeader { bytes, len: digits + 2 }
    }

    /// Returns the line's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// Appends the line before so many bytes of chunk data; CRLF must follow the data.
pub fn chunk_header(out: &mut Vec<u8>, len: u64) {
    out.extend_from_slice(ChunkHeader::new(len).as_bytes());
}

/// Appends the last chunk and the trailers (CRLF-ended lines, may be empty).
pub fn last_chunk(out: &mut Vec<u8>, trailers: &[u8]) {
    out.extend_from_slice(b"0\r\n");
    out.extend_from_slice(trailers);
    out.extend_from_slice(b"\r\n");
}

/// Returns the IMF-fixdate (RFC 9110 §5.6.7) of so many seconds since 1970, for instance `Sun, 06
/// Nov 1994 08:49:37 GMT`; at most the last second of the year 9999. Cache it per second.
pub fn date(unix_s: u64) -> [u8; 29] {
    // `httpdate` panics on a later date.
    const LAST: u64 = 253_402_300_799;
    let time = UNIX_EPOCH + Duration::from_secs(unix_s.min(LAST));
    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    // Such a date is 29 bytes long (RFC 9110, `IMF-fixdate`), so it fits.
    let _ = write!(text.as_mut_slice(), "{}", HttpDate::from(time));
    text
}

#[cfg(test)]
mod tests;
