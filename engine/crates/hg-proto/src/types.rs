//! The small vocabulary types of a message.

use crate::reject::{Reject, rejects};

/// Longest method name accepted.
const MAX_METHOD_BYTES: usize = 32;

/// Limits of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole head, start line and the empty line included; above it 414 or 431.
    pub head_bytes: usize,
    /// Header lines; above it 431. At most [`crate::MAX_HEADERS`] count.
    pub header_count: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head_bytes: 32 * 1024, header_count: 100 }
    }
}

/// The result of parsing the bytes received so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parse<T> {
    /// The message was complete.
    Complete(T),
    /// Nothing wrong yet, but more bytes are needed.
    Partial,
}

/// The version of HTTP that a message came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0.
    H10,
    /// HTTP/1.1.
    H11,
    /// HTTP/2.
    H2,
}

impl Version {
    /// Returns the version as written in a start line, and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Version::H10 => "HTTP/1.0",
            Version::H11 => "HTTP/1.1",
            Version::H2 => "HTTP/2.0",
        }
    }
}

/// A request method (RFC 9110 §9); names are case-sensitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method<'b> {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
    /// PATCH
    Patch,
    /// CONNECT; never accepted from a client.
    Connect,
    /// TRACE; never accepted from a client.
    Trace,
    /// Any other name of upper-case letters, digits, `-` and `_`.
    Other(&'b str),
}

impl<'b> Method<'b> {
    /// Returns the method with exactly this name; does not check whether the name is acceptable.
    pub fn of(name: &'b str) -> Method<'b> {
        match name {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            "PATCH" => Method::Patch,
            "CONNECT" => Method::Connect,
            "TRACE" => Method::Trace,
            other => Method::Other(other),
        }
    }

    /// Reports whether a request with this method usually has a body (RFC 9110 §9.3, RFC 5789).
    pub fn expects_content(self) -> bool {
        matches!(self, Method::Post | Method::Put | Method::Patch)
    }

    /// Returns the method of a request with this name. Accepts names of upper-case letters, digits,
    /// `-` and `_`: others that the grammar allows occur in attacks only (a lower-case `trace`,
    /// which a server behind us reads as TRACE).
    ///
    /// # Errors
    /// CONNECT, TRACE, and names that are too long or of other characters.
    #[inline]
    pub fn accept(name: &'b str) -> Result<Method<'b>, &'static Reject> {
        let is_usual = |b| matches!(b, b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_');
        match Method::of(name) {
            Method::Connect | Method::Trace => Err(&rejects::METHOD_REFUSED),
            Method::Other(name) if name.len() > MAX_METHOD_BYTES => Err(&rejects::METHOD_LENGTH),
            Method::Other(name) if !name.bytes().all(is_usual) => Err(&rejects::METHOD),
            method => Ok(method),
        }
    }

    /// Returns the name as it is sent.
    pub fn as_str(&self) -> &'b str {
        match self {
            Method::Other(name) => name,
            known => METHOD_NAMES.get(known.index()).copied().unwrap_or("OTHER"),
        }
    }

    /// Returns 0..=9, for arrays of counters; every unknown method shares 9 ([`METHOD_NAMES`]).
    pub fn index(&self) -> usize {
        match self {
            Method::Get => 0,
            Method::Head => 1,
            Method::Post => 2,
            Method::Put => 3,
            Method::Delete => 4,
            Method::Options => 5,
            Method::Patch => 6,
            Method::Connect => 7,
            Method::Trace => 8,
            Method::Other(_) => 9,
        }
    }

    /// Reports whether sending it twice means the same as once (RFC 9110 §9.2.2); false for unknown
    /// methods.
    pub fn is_idempotent(&self) -> bool {
        !matches!(self, Method::Post | Method::Patch | Method::Connect | Method::Other(_))
    }

    /// Returns the same method without a borrow; an unknown one loses its name.
    pub fn to_static(&self) -> Method<'static> {
        match self {
            Method::Get => Method::Get,
            Method::Head => Method::Head,
            Method::Post => Method::Post,
            Method::Put => Method::Put,
            Method::Delete => Method::Delete,
            Method::Options => Method::Options,
            Method::Patch => Method::Patch,
            Method::Connect => Method::Connect,
            Method::Trace => Method::Trace,
            Method::Other(_) => Method::Other("OTHER"),
        }
    }
}

/// Label of each [`Method::index`].
pub const METHOD_NAMES: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "OTHER"];

/// The length of a request's body (RFC 9112 §6.3, RFC 9113 §8.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Neither Content-Length nor Transfer-Encoding; the stream ends with the head.
    None,
    /// Content-Length, in bytes; 0 if the client sent that.
    Length(u64),
    /// Transfer-Encoding: chunked; in HTTP/2 a body without Content-Length.
    Chunked,
}

impl Framing {
    /// Reports whether no body byte follows the head.
    pub fn is_empty(self) -> bool {
        matches!(self, Framing::None | Framing::Length(0))
    }

    /// Returns the framing that says as much to the next server: without a body a length of 0 where
    /// content is usual (RFC 9110 §8.6). A client over HTTP/2 need not send it; some servers answer
    /// 411 without.
    #[must_use]
    pub fn stated(self, method: Method<'_>) -> Framing {
        match self {
            Framing::None if method.expects_content() => Framing::Length(0),
            other => other,
        }
    }
}

/// The length of a response's body (RFC 9112 §6.3, RFC 9113 §8.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RespFraming {
    /// Answer to HEAD, or 1xx, 204, 304.
    NoBody,
    /// Content-Length, in bytes.
    Length(u64),
    /// Transfer-Encoding: chunked; in HTTP/2 a body without Content-Length.
    Chunked,
    /// Everything up to the end of the connection.
    UntilClose,
}
