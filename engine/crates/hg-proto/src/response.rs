//! Response heads from the upstream (RFC 9112 §4). Every fault in one becomes a 502.

use crate::connection::{Options, elements};
use crate::fields::{Fields, HeaderSlots, MAX_HEADERS, Tag};
use crate::framing::{Coding, Length, decimal};
use crate::known::Known;
use crate::reject::{Reject, rejects};
use crate::syntax;
use crate::types::{Limits, Method, Parse, RespFraming, Version};

/// A response's head, checked; borrows from the input.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'s, 'b> {
    /// The version that it came in.
    pub version: Version,
    /// Status, 100..=599.
    pub status: u16,
    /// Reason phrase as sent; empty when absent or not ASCII.
    pub reason: &'b [u8],
    /// All header lines.
    pub fields: Fields<'s, 'b>,
    /// The end of the body.
    pub framing: RespFraming,
    /// Content-Length as sent, even if no body follows (HEAD, 304), because the client gets it,
    /// too.
    pub content_length: Option<u64>,
    /// True if the upstream lets the connection stay open, and the framing allows it.
    pub keep_alive: bool,
    /// `Keep-Alive: timeout=`, in seconds.
    pub keep_alive_timeout_s: Option<u32>,
    /// Number of protected names that `Connection` listed, which are ignored.
    pub ignored: u8,
    /// `Connection: upgrade` with `Upgrade: websocket`, as a valid 101 has; in HTTP/2 a 2xx to
    /// extended CONNECT, which is given as 101.
    pub upgrade_websocket: bool,
    /// True if it is 1xx other than 101, after which another head follows.
    pub is_interim: bool,
    /// Bytes of the head in the input; 0 in HTTP/2.
    pub head_len: usize,
}

/// Looks for a response head at the start of `buf`; `method` is that of the request it answers.
/// `Partial` asks for more bytes; however the bytes are split, the outcome is the same.
///
/// # Errors
/// Returns why the response is refused (502); the connection must not be used again.
#[inline]
pub fn parse_response<'s, 'b>(
    buf: &'b [u8],
    slots: &'s mut HeaderSlots<'b>,
    limits: &Limits,
    method: Method<'_>,
) -> Result<Parse<ResponseHead<'s, 'b>>, Reject> {
    let view = buf.get(..limits.head_bytes).unwrap_or(buf);
    if view.first().is_some_and(|&b| b != b'H') {
        return Err(rejects::R_STATUS_LINE);
    }
    let HeaderSlots { raw, tags } = slots;
    let raw = raw.get_mut(..limits.header_count.min(MAX_HEADERS)).unwrap_or_default();
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut parsed, view, raw) {
        Ok(httparse::Status::Complete(len)) => {
            let head = view.get(..len).unwrap_or_default();
            complete(head, parsed, tags, method).map(Parse::Complete)
        }
        Ok(httparse::Status::Partial) if buf.len() < limits.head_bytes => Ok(Parse::Partial),
        Ok(httparse::Status::Partial) => Err(rejects::R_HEAD_BYTES),
        Err(httparse::Error::TooManyHeaders) => Err(rejects::R_HEADER_COUNT),
        Err(httparse::Error::Status | httparse::Error::Version) => Err(rejects::R_STATUS_LINE),
        Err(_) => Err(syntax::response_fields(view)),
    }
}

/// The findings of one pass over the fields.
#[derive(Default)]
struct Seen {
    length: Length,
    coding: Coding,
    connection: bool,
    websocket: bool,
    timeout_s: Option<u32>,
}

impl Seen {
    #[inline]
    fn add(&mut self, known: Known, value: &[u8]) {
        match known {
            Known::ContentLength => self.length.add(value),
            Known::TransferEncoding => self.coding.add(value),
            Known::Connection => self.connection = true,
            Known::Upgrade => self.websocket |= value.eq_ignore_ascii_case(b"websocket"),
            Known::KeepAlive => self.timeout_s = timeout(value).or(self.timeout_s),
            _ => {}
        }
    }

    fn content_length(&self) -> Result<Option<u64>, Reject> {
        match self.length {
            Length::Absent => Ok(None),
            Length::Is(_) if self.coding != Coding::Absent => Err(rejects::R_LENGTH_AND_CODING),
            Length::Is(n) => Ok(Some(n)),
            Length::Invalid => Err(rejects::R_LENGTH_INVALID),
            Length::Repeated => Err(rejects::R_LENGTH_REPEATED),
        }
    }

    /// RFC 9112 §6.3. A coding other than `chunked` is refused, because the client could not be told
    /// of it.
    fn framing(
        &self,
        version: Version,
        length: Option<u64>,
        bodiless: bool,
    ) -> Result<RespFraming, Reject> {
        let framing = match self.coding {
            Coding::Absent => length.map_or(RespFraming::UntilClose, RespFraming::Length),
            _ if version == Version::H10 => return Err(rejects::R_CODING_HTTP10),
            Coding::Chunked => RespFraming::Chunked,
            Coding::Identity => RespFraming::UntilClose,
            Coding::Other | Coding::OtherThenChunked | Coding::Invalid => {
                return Err(rejects::R_CODING);
            }
        };
        Ok(if bodiless { RespFraming::NoBody } else { framing })
    }
}

/// Returns the `timeout` parameter of Keep-Alive, in seconds.
fn timeout(value: &[u8]) -> Option<u32> {
    elements(value).find_map(|e| {
        let (name, digits) = e.split_at_checked(8)?;
        let seconds = name.eq_ignore_ascii_case(b"timeout=").then(|| decimal(digits))??;
        Some(u32::try_from(seconds).unwrap_or(u32::MAX))
    })
}

#[inline]
fn complete<'s, 'b>(
    head: &'b [u8],
    parsed: httparse::Response<'s, 'b>,
    tags: &'s mut [Tag; MAX_HEADERS],
    method: Method<'_>,
) -> Result<ResponseHead<'s, 'b>, Reject> {
    let httparse::Response { version, code: Some(status), reason, headers } = parsed else {
        return Err(rejects::R_STATUS_LINE);
    };
    let mut seen = Seen::default();
    let mut strict = head.ends_with(b"\r\n\r\n");
    for (header, tag) in headers.iter().zip(tags.iter_mut()) {
        strict &= syntax::follows_crlf(head, header.name);
        let known = Known::of(header.name.as_bytes());
        *tag = Tag::of(known);
        if known != Known::Other {
            seen.add(known, header.value);
        }
    }
    if !strict {
        return Err(rejects::R_BARE_LF);
    }
    if !(100..=599).contains(&status) {
        return Err(rejects::R_STATUS_LINE);
    }
    let version = if version == Some(0) { Version::H10 } else { Version::H11 };
    let headers: &'s [httparse::Header<'b>] = headers;
    let tags = tags.get_mut(..headers.len()).unwrap_or_default();
    let options = options(&seen, headers, tags);
    let content_length = seen.content_length()?;
    let never = matches!(status, 100..=199 | 204);
    let bodiless = never || status == 304 || matches!(method, Method::Head);
    let framing = seen.framing(version, content_length, bodiless)?;
    // If a body is impossible, one that the head announces (RFC 9110 §8.6) may still come.
    let lies = never && (seen.coding != Coding::Absent || content_length.is_some_and(|n| n > 0));
    let persists = options.is_some_and(|o| !o.close && (version == Version::H11 || o.keep_alive));
    Ok(ResponseHead {
        version,
        status,
        reason: reason.unwrap_or_default().as_bytes(),
        fields: Fields::new(headers, tags),
        framing,
        content_length,
        keep_alive: persists && !lies && framing != RespFraming::UntilClose && status != 101,
        keep_alive_timeout_s: seen.timeout_s,
        ignored: options.map_or(0, |o| o.ignored),
        upgrade_websocket: seen.websocket && options.is_some_and(|o| o.upgrade),
        is_interim: matches!(status, 100..=199) && status != 101,
        head_len: head.len(),
    })
}

/// Returns the connection options; `None` if they are malformed, which costs only the connection.
#[inline]
fn options(seen: &Seen, headers: &[httparse::Header<'_>], tags: &mut [Tag]) -> Option<Options> {
    if seen.connection { Options::read(headers, tags).ok() } else { Some(Options::default()) }
}

#[cfg(test)]
mod tests;
