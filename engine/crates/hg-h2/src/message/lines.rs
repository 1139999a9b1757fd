//! Lines of a neutral head on their way into a block.

use crate::encode::Sensitivity;
use crate::message::NeverIndexed;
use crate::session::Line;
use hg_proto::{Fields, Known, Scheme};

/// The parts of a request for an HTTP/2 endpoint beside its fields.
#[derive(Clone, Copy, Debug)]
pub struct RequestLine<'a> {
    /// The method; not used for a WebSocket, which is an extended CONNECT.
    pub method: &'a str,
    /// The scheme.
    pub scheme: Scheme,
    /// The text that HTTP/1.1 would write as Host.
    pub authority: &'a str,
    /// The path, or `*`.
    pub path: &'a str,
    /// The query, if there is one.
    pub query: Option<&'a str>,
    /// True if it opens a WebSocket.
    pub websocket: bool,
    /// The fields that must not enter a table; [`lines_of_text`] gets the same.
    pub never: &'a NeverIndexed,
}

/// Returns the end-to-end lines of a head, without Host and with Content-Length.
pub fn lines_of<'f>(fields: &Fields<'f, 'f>) -> impl Iterator<Item = Line<'f>> {
    fields.iter().filter(|field| !field.hop && field.known != Known::Host).map(|field| {
        let secret = if field.secret { Sensitivity::Secret } else { Sensitivity::Normal };
        (field.name.as_bytes(), field.value, secret)
    })
}

/// Returns the lines of text that we wrote for HTTP/1: `name: value`, each with its CRLF, up to the
/// end or an empty line. Those that `never` names must not enter a table.
pub fn lines_of_text<'t>(text: &'t [u8], never: &NeverIndexed) -> impl Iterator<Item = Line<'t>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (line, more) = rest.split_at_checked(memchr::memchr(b'\n', rest)? + 1)?;
        rest = more;
        let line = line.strip_suffix(b"\r\n")?;
        let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
        Some((name, value.strip_prefix(b":")?.trim_ascii(), never.sensitivity(name)))
    })
}

/// Reports whether a line goes into a head of HTTP/2: not what belongs to an HTTP/1 connection
/// (RFC 9113 §8.2.2), nor what the handshake of a WebSocket has only there.
#[inline]
pub(crate) fn is_kept(known: Known, value: &[u8], websocket: bool) -> bool {
    match known {
        Known::Other => true,
        Known::Te => value.eq_ignore_ascii_case(b"trailers"),
        Known::Host => false,
        Known::SecWebSocketKey | Known::SecWebSocketAccept | Known::ContentLength => !websocket,
        known => !known.is_hop(),
    }
}

/// Reports whether a line may stand in trailers (RFC 9110 §6.5.1).
pub(crate) fn is_kept_trailer(name: &[u8]) -> bool {
    !Known::folded(name).is_forbidden_trailer() && name.first() != Some(&b':')
}
