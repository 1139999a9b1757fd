//! Request heads (RFC 9112 §3).

use crate::admission::{self, Admission, Withheld};
use crate::connection::{Connection, Options, elements};
use crate::fields::{Fields, HeaderSlots, MAX_HEADERS, Tag};
use crate::framing::{Coding, Length};
use crate::host::{self, HostPort};
use crate::known::Known;
use crate::reject::{Reject, rejects};
use crate::syntax;
use crate::target::{self, Target};
use crate::types::{Framing, Limits, Method, Parse, Version};

/// A request's head, checked; borrows from the input.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'s, 'b> {
    /// Never CONNECT or TRACE.
    pub method: Method<'b>,
    /// The version that it came in.
    pub version: Version,
    /// Form of the target.
    pub target: Target<'b>,
    /// The path as sent, without query, not normalised; begins with `/` unless it is `*`.
    pub path: &'b str,
    /// The query after the first `?`, if there is one.
    pub query: Option<&'b str>,
    /// Host as sent (`name[:port]`), valid; an absolute target names the same host. Empty if an
    /// HTTP/1.0 request names none.
    pub host: &'b str,
    /// The same host, split; routes are looked up by [`HostPort::key`].
    pub host_port: HostPort<'b>,
    /// The header lines that were accepted.
    pub fields: Fields<'s, 'b>,
    /// The number of header lines that were dropped, by reason.
    pub withheld: Withheld,
    /// The end of the body.
    pub framing: Framing,
    /// Persistence, upgrade, hop-by-hop names.
    pub connection: Connection,
    /// True if the client waits for `100 Continue` before it sends the body; false without a body.
    pub expect_continue: bool,
    /// Bytes of the head in the input, including an ignored empty line before it; 0 in HTTP/2.
    pub head_len: usize,
}

/// Looks for a request head at the start of `buf`. `Partial` asks for more bytes; however the bytes
/// are split, the outcome is the same. Drops header lines that `admission` does not accept, as if
/// they had not been sent.
///
/// # Errors
/// Returns why the request is refused; nothing of it may be forwarded.
#[inline]
pub fn parse_request<'s, 'b>(
    buf: &'b [u8],
    slots: &'s mut HeaderSlots<'b>,
    limits: &Limits,
    admission: Admission,
) -> Result<Parse<RequestHead<'s, 'b>>, Reject> {
    let view = buf.get(..limits.head_bytes).unwrap_or(buf);
    let Some(skipped) = leading(view)? else {
        return partial(buf, limits);
    };
    let view = view.get(skipped..).unwrap_or_default();
    let HeaderSlots { raw, tags } = slots;
    let raw = raw.get_mut(..limits.header_count.min(MAX_HEADERS)).unwrap_or_default();
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(view, raw) {
        Ok(httparse::Status::Complete(len)) => {
            let httparse::Request { method: Some(method), path: Some(target), version, headers } =
                parsed
            else {
                return Err(rejects::REQUEST_LINE);
            };
            let head = view.get(..len).unwrap_or_default();
            let line = Line { method, target, version: version_of(version), admission };
            complete(head, &line, headers, tags, skipped + len).map(Parse::Complete)
        }
        Ok(httparse::Status::Partial) => partial(buf, limits),
        Err(error) => refuse(view, &parsed, error).map_or_else(|| partial(buf, limits), Err),
    }
}

/// The request line as httparse saw it, and which header lines below it are accepted.
struct Line<'b> {
    method: &'b str,
    target: &'b str,
    version: Version,
    admission: Admission,
}

fn version_of(minor: Option<u8>) -> Version {
    if minor == Some(0) { Version::H10 } else { Version::H11 }
}

/// Returns the bytes of an empty line before the request (RFC 9112 §2.2 asks to ignore at least
/// one); `None` if more bytes are needed to tell.
#[inline]
fn leading(view: &[u8]) -> Result<Option<usize>, Reject> {
    match view {
        [] | [b'\r'] | [b'\r', b'\n'] => Ok(None),
        [b'\r', b'\n', b'\r' | b'\n', ..] => Err(rejects::EMPTY_LINES),
        [b'\r', b'\n', ..] => Ok(Some(2)),
        [b'\r' | b'\n', ..] => Err(rejects::BARE_LF),
        _ => Ok(Some(0)),
    }
}

/// Asks for more bytes of an incomplete head, unless the limit is reached.
#[cold]
fn partial<T>(buf: &[u8], limits: &Limits) -> Result<Parse<T>, Reject> {
    let Some(view) = buf.get(..limits.head_bytes) else {
        return Ok(Parse::Partial);
    };
    Err(if view.iter().skip(2).any(|&b| b == b'\n') {
        rejects::HEAD_BYTES
    } else if view.contains(&b' ') {
        rejects::TARGET_LENGTH
    } else {
        rejects::METHOD_LENGTH
    })
}

/// Returns why httparse refused; `None` if more bytes are needed to tell (a version cut short).
#[cold]
fn refuse(
    view: &[u8],
    parsed: &httparse::Request<'_, '_>,
    error: httparse::Error,
) -> Option<Reject> {
    let (Some(method), Some(target)) = (parsed.method, parsed.path) else {
        return Some(syntax::request_line(view, parsed.method.is_some()));
    };
    let version = view.get(method.len() + target.len() + 2..).unwrap_or_default();
    match error {
        httparse::Error::Version => syntax::version(version),
        _ if !matches!(version.get(8), Some(b'\r' | b'\n')) => Some(rejects::REQUEST_LINE),
        httparse::Error::TooManyHeaders => Some(rejects::HEADER_COUNT),
        _ => Some(syntax::request_fields(view)),
    }
}

/// The findings of one pass over the fields.
#[derive(Default)]
struct Seen<'b> {
    host: Option<&'b [u8]>,
    host_repeated: bool,
    length: Length,
    coding: Coding,
    connection: bool,
    websocket: bool,
    upgrades: usize,
    te_trailers: bool,
    expect: bool,
    expect_unknown: bool,
}

impl<'b> Seen<'b> {
    #[inline]
    fn add(&mut self, known: Known, value: &'b [u8]) {
        match known {
            Known::Host => {
                self.host_repeated |= self.host.is_some();
                self.host = Some(value);
            }
            Known::ContentLength => self.length.add(value),
            Known::TransferEncoding => self.coding.add(value),
            Known::Connection => self.connection = true,
            Known::Upgrade => {
                self.upgrades += elements(value).count();
                self.websocket |= value.eq_ignore_ascii_case(b"websocket");
            }
            Known::Te => {
                self.te_trailers |= elements(value).any(|e| e.eq_ignore_ascii_case(b"trailers"));
            }
            Known::Expect => {
                self.expect = true;
                self.expect_unknown |= !value.eq_ignore_ascii_case(b"100-continue");
            }
            _ => {}
        }
    }

    fn framing(&self, version: Version) -> Result<Framing, Reject> {
        match (self.length, self.coding) {
            (Length::Absent, Coding::Absent) => Ok(Framing::None),
            (Length::Is(n), Coding::Absent) => Ok(Framing::Length(n)),
            (Length::Repeated, Coding::Absent) => Err(rejects::LENGTH_REPEATED),
            (Length::Invalid, Coding::Absent) => Err(rejects::LENGTH_INVALID),
            (Length::Absent, _) if version == Version::H10 => Err(rejects::CODING_HTTP10),
            (Length::Absent, Coding::Chunked) => Ok(Framing::Chunked),
            (Length::Absent, Coding::Invalid) => Err(rejects::CODING_INVALID),
            (Length::Absent, _) => Err(rejects::CODING_UNKNOWN),
            _ => Err(rejects::LENGTH_AND_CODING),
        }
    }
}

#[inline]
fn complete<'s, 'b>(
    head: &'b [u8],
    line: &Line<'b>,
    headers: &'s mut [httparse::Header<'b>],
    tags: &'s mut [Tag; MAX_HEADERS],
    head_len: usize,
) -> Result<RequestHead<'s, 'b>, Reject> {
    let mut seen = Seen::default();
    let mut withheld = Withheld::default();
    let mut strict = head.ends_with(b"\r\n\r\n");
    for (header, tag) in headers.iter().zip(tags.iter_mut()) {
        strict &= syntax::follows_crlf(head, header.name);
        let known = Known::of(header.name.as_bytes());
        *tag = Tag::of(known);
        withheld.note(line.admission, known, header.name.as_bytes());
        if known != Known::Other {
            seen.add(known, header.value);
        }
    }
    if !strict {
        return Err(rejects::BARE_LF);
    }
    let method = Method::accept(line.method).map_err(|reject| *reject)?;
    let split = target::split(line.target, &method)?;
    let framing = seen.framing(line.version)?;
    let (host, host_port) = host(&seen, line.version, &split.form)?;
    let taken = match withheld.is_none() {
        true => headers.len(),
        false => admission::sift(line.admission, headers, tags),
    };
    let headers = headers.get_mut(..taken).unwrap_or_default();
    let tags = tags.get_mut(..taken).unwrap_or_default();
    let expect_continue = expects(&seen, line.version, tags)? && !framing.is_empty();
    let connection = connection(&seen, line.version, headers, tags)?;
    Ok(RequestHead {
        method,
        version: line.version,
        target: split.form,
        path: split.path,
        query: split.query,
        host,
        host_port,
        fields: Fields::new(headers, tags),
        withheld,
        framing,
        connection,
        expect_continue,
        head_len,
    })
}

#[inline]
fn host<'b>(
    seen: &Seen<'b>,
    version: Version,
    target: &Target<'b>,
) -> Result<(&'b str, HostPort<'b>), Reject> {
    let value = match (seen.host, target) {
        (Some(value), _) => value,
        (None, Target::Absolute { authority, .. }) if version == Version::H10 => {
            authority.as_bytes()
        }
        // Health checks of load balancers often send such a request.
        (None, _) if version == Version::H10 => return Ok(("", HostPort::NONE)),
        (None, _) => return Err(rejects::HOST_MISSING),
    };
    if seen.host_repeated {
        return Err(rejects::HOST_REPEATED);
    }
    let text = std::str::from_utf8(value).map_err(|_| rejects::HOST_INVALID)?;
    let host_port = host::split(text).ok_or(rejects::HOST_INVALID)?;
    if let Target::Absolute { scheme, authority } = target
        && !host::same(text, authority, scheme.default_port())
    {
        return Err(rejects::TARGET_AUTHORITY);
    }
    Ok((text, host_port))
}

/// RFC 9110 §10.1.1: a server ignores it in HTTP/1.0. It is not forwarded, where it would count as
/// HTTP/1.1's.
#[inline]
fn expects(seen: &Seen<'_>, version: Version, tags: &mut [Tag]) -> Result<bool, Reject> {
    if seen.expect && version == Version::H10 {
        tags.iter_mut().filter(|t| t.known == Known::Expect).for_each(|t| t.hop = true);
        return Ok(false);
    }
    if seen.expect_unknown {
        return Err(rejects::EXPECTATION);
    }
    Ok(seen.expect)
}

#[inline]
fn connection(
    seen: &Seen<'_>,
    version: Version,
    headers: &[httparse::Header<'_>],
    tags: &mut [Tag],
) -> Result<Connection, Reject> {
    let options = if seen.connection {
        Options::read(headers, tags).map_err(|_| rejects::CONNECTION_OPTIONS)?
    } else {
        Options::default()
    };
    let h11 = version == Version::H11;
    Ok(Connection {
        keep_alive: !options.close && (h11 || options.keep_alive),
        upgrade_websocket: h11 && options.upgrade && seen.websocket && seen.upgrades == 1,
        te_trailers: seen.te_trailers,
        nominated: options.nominated,
        ignored: options.ignored,
    })
}

#[cfg(test)]
mod tests;
