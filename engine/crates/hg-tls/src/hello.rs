//! Reads the server name and ALPN offer from a TLS ClientHello before a session exists, so that
//! each host can have its own policy. Pure, bounded, strict; allocates only what it returns.

use crate::alert;
use crate::reader::Reader;
use std::borrow::Cow;
use std::cmp::Ordering;

/// The outcome of parsing a prefix of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parse<T> {
    /// The message was complete.
    Complete(T),
    /// More bytes are needed.
    Partial,
}

/// The statements of a ClientHello about the host that the client wants.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ClientHelloInfo {
    /// The `host_name` of server_name (RFC 6066 §3), lower case, without a trailing dot; `None`
    /// without the extension, and for an IP address, which the RFC does not allow there.
    pub sni: Option<Box<str>>,
    /// Protocols offered by ALPN (RFC 7301), in the client's order.
    pub alpn: Vec<Box<[u8]>>,
}

/// The reason why these bytes are not a ClientHello that we accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelloError {
    /// No TLS; most often plain HTTP sent to a TLS port.
    NotTls,
    /// TLS without a well-formed ClientHello.
    Malformed,
    /// Longer than 16 KiB.
    TooLong,
}

impl HelloError {
    /// Appends the fatal alert record that answers it (nothing for [`HelloError::NotTls`]).
    pub fn write_alert(self, out: &mut Vec<u8>) {
        match self {
            HelloError::NotTls => {}
            HelloError::Malformed => alert::write_plain(out, alert::DECODE_ERROR),
            HelloError::TooLong => alert::write_plain(out, alert::ILLEGAL_PARAMETER),
        }
    }
}

/// Longest hello, handshake header included.
pub(crate) const MAX_HELLO: usize = 16 * 1024;
/// Most bytes of all its records, so that tiny fragments cannot inflate it.
const MAX_RECORDS: usize = MAX_HELLO + 1024;
/// Longest record (RFC 8446 §5.1).
const MAX_RECORD: usize = 16 * 1024;
/// Bytes of a record before its fragment.
const RECORD_HEADER: u32 = 5;
const RECORD_HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const EXT_SERVER_NAME: u16 = 0;
const EXT_ALPN: u16 = 16;
const HOST_NAME: u8 = 0;
const MAX_NAME: usize = 253;

/// Reads the start of a client's stream: one or more records that carry one ClientHello. It remembers
/// how far it came: a hello that trickles in costs each of its records once, and is joined once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HelloReader {
    /// Bytes of the whole records so far.
    records: u32,
    /// Bytes of the hello in them.
    held: u32,
    /// The first of these: type and length.
    head: [u8; 4],
}

impl HelloReader {
    /// Parses as far as it can. `buf` is everything received so far, from the first byte of the
    /// stream, in each call. Nothing is consumed; the same bytes go to the session afterwards. A hello
    /// split over records is joined in a temporary copy.
    ///
    /// # Errors
    /// As soon as the bytes cannot become an acceptable ClientHello.
    pub fn read(&mut self, buf: &[u8]) -> Result<Parse<ClientHelloInfo>, HelloError> {
        loop {
            if self.records as usize > MAX_RECORDS {
                return Err(HelloError::TooLong);
            }
            let rest = buf.get(self.records as usize..).unwrap_or_default();
            let Parse::Complete((fragment, _)) = next_record(rest)? else {
                return Ok(Parse::Partial);
            };
            self.take(fragment);
            // A hello that announces too much is refused before the rest of it has come.
            if self.is_whole()? {
                let hello = self.joined(buf, fragment);
                let body = hello.get(4..).unwrap_or_default();
                return parse_hello(body).map(Parse::Complete).ok_or(HelloError::Malformed);
            }
        }
    }

    /// Goes past a record.
    fn take(&mut self, fragment: &[u8]) {
        let at = self.held as usize;
        for (to, from) in self.head.iter_mut().skip(at).zip(fragment) {
            *to = *from;
        }
        // A record has at most 16 KiB, and none is read after the most bytes of all.
        let len = fragment.len() as u32;
        self.held = self.held.saturating_add(len);
        self.records = self.records.saturating_add(RECORD_HEADER + len);
    }

    /// Reports whether all of the hello has come. Nothing may follow it in the same flight: the
    /// server answers first.
    fn is_whole(&self) -> Result<bool, HelloError> {
        let [kind, a, b, c] = self.head;
        if kind != CLIENT_HELLO {
            return Err(HelloError::Malformed);
        }
        if self.held < 4 {
            return Ok(false);
        }
        let total = 4 + u32::from_be_bytes([0, a, b, c]);
        match self.held.cmp(&total) {
            _ if total as usize > MAX_HELLO => Err(HelloError::TooLong),
            Ordering::Greater => Err(HelloError::Malformed),
            order => Ok(order == Ordering::Equal),
        }
    }

    /// Returns the hello, whose last record is given.
    fn joined<'b>(&self, buf: &'b [u8], last: &'b [u8]) -> Cow<'b, [u8]> {
        if last.len() == self.held as usize {
            return Cow::Borrowed(last);
        }
        let mut joined = Vec::with_capacity(self.held as usize);
        let mut rest = buf.get(..self.records as usize).unwrap_or_default();
        while let Ok(Parse::Complete((fragment, after))) = next_record(rest) {
            joined.extend_from_slice(fragment);
            rest = after;
        }
        Cow::Owned(joined)
    }
}

/// Parses a stream's start that came in one piece, as [`HelloReader::read`] does.
///
/// # Errors
/// If the bytes cannot become an acceptable ClientHello.
pub fn peek_client_hello(buf: &[u8]) -> Result<Parse<ClientHelloInfo>, HelloError> {
    HelloReader::default().read(buf)
}

/// Parses the start of a handshake without records, as QUIC carries it (RFC 9001 §4.1.3).
///
/// # Errors
/// As [`peek_client_hello`].
pub(crate) fn parse_handshake(bytes: &[u8]) -> Result<Parse<ClientHelloInfo>, HelloError> {
    let mut reader = HelloReader::default();
    reader.take(bytes);
    if bytes.is_empty() || !reader.is_whole()? {
        return Ok(Parse::Partial);
    }
    let body = bytes.get(4..).unwrap_or_default();
    parse_hello(body).map(Parse::Complete).ok_or(HelloError::Malformed)
}

/// The payload of a record and the bytes after it.
type Split<'b> = (&'b [u8], &'b [u8]);

/// Splits off the first record.
fn next_record(buf: &[u8]) -> Result<Parse<Split<'_>>, HelloError> {
    #[cfg(test)]
    tests::LOOKED.set(tests::LOOKED.get() + 1);
    let not_ours = |given: Option<&u8>, wanted: u8| given.is_some_and(|b| *b != wanted);
    if not_ours(buf.first(), RECORD_HANDSHAKE) || not_ours(buf.get(1), 3) {
        return Err(HelloError::NotTls);
    }
    let Some((&[_, _, _, hi, lo], body)) = buf.split_first_chunk::<5>() else {
        return Ok(Parse::Partial);
    };
    let len = usize::from(u16::from_be_bytes([hi, lo]));
    if len == 0 || len > MAX_RECORD {
        return Err(HelloError::Malformed);
    }
    Ok(match body.split_at_checked(len) {
        Some(parts) => Parse::Complete(parts),
        None => Parse::Partial,
    })
}

/// Parses as RFC 8446 §4.1.2; `None` = malformed.
fn parse_hello(body: &[u8]) -> Option<ClientHelloInfo> {
    let mut r = Reader(body);
    r.take(2 + 32)?;
    let session_id = r.vec8()?;
    let suites = r.vec16()?;
    let compressions = r.vec8()?;
    if session_id.len() > 32 || suites.len() < 2 || suites.len() % 2 != 0 || compressions.is_empty()
    {
        return None;
    }
    let mut info = ClientHelloInfo::default();
    if r.0.is_empty() {
        return Some(info);
    }
    let mut extensions = Reader(r.vec16()?);
    if !r.0.is_empty() {
        return None;
    }
    let (mut seen_name, mut seen_alpn) = (false, false);
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        let data = extensions.vec16()?;
        match kind {
            EXT_SERVER_NAME if !std::mem::replace(&mut seen_name, true) => {
                info.sni = server_name(data)?;
            }
            EXT_ALPN if !std::mem::replace(&mut seen_alpn, true) => info.alpn = alpn(data)?,
            EXT_SERVER_NAME | EXT_ALPN => return None,
            _ => {}
        }
    }
    Some(info)
}

/// Returns the host name of a server_name extension; the outer `None` = malformed.
fn server_name(data: &[u8]) -> Option<Option<Box<str>>> {
    let mut outer = Reader(data);
    let mut list = Reader(outer.vec16()?);
    if !outer.0.is_empty() || list.0.is_empty() {
        return None;
    }
    let mut found = None;
    while !list.0.is_empty() {
        let kind = list.u8()?;
        let name = list.vec16()?;
        // One name per type at most (RFC 6066 §3); no other type has ever been defined.
        if kind != HOST_NAME || found.is_some() {
            return None;
        }
        found = Some(host_name(name)?);
    }
    found
}

/// Accepts lower case, LDH and underscore, no empty label; `Some(None)` for an IP address.
fn host_name(raw: &[u8]) -> Option<Option<Box<str>>> {
    let text = std::str::from_utf8(raw).ok()?;
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Some(None);
    }
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if text.len() > MAX_NAME || !text.split('.').all(label) {
        return None;
    }
    Some(Some(text.to_ascii_lowercase().into_boxed_str()))
}

fn alpn(data: &[u8]) -> Option<Vec<Box<[u8]>>> {
    let mut outer = Reader(data);
    let mut list = Reader(outer.vec16()?);
    if !outer.0.is_empty() || list.0.is_empty() {
        return None;
    }
    let mut offered = Vec::new();
    while !list.0.is_empty() {
        let name = list.vec8()?;
        if name.is_empty() {
            return None;
        }
        offered.push(name.into());
    }
    Some(offered)
}

/// The entry point for fuzzers: parses any bytes and checks that prefixes yield only "more" or what
/// the whole input also yields, whether they are read anew or on from the prefix before.
#[doc(hidden)]
pub fn fuzz_client_hello(bytes: &[u8]) {
    let whole = peek_client_hello(bytes);
    let mut on = HelloReader::default();
    let mut told = Ok(Parse::Partial);
    let step = bytes.len() / 64 + 1;
    for end in (0..bytes.len()).step_by(step).chain([bytes.len()]) {
        let prefix = bytes.get(..end).unwrap_or_default();
        let anew = peek_client_hello(prefix);
        if told == Ok(Parse::Partial) {
            told = on.read(prefix);
        }
        assert_eq!(told, anew, "what was read on was judged otherwise");
        if anew != Ok(Parse::Partial) {
            assert_eq!(anew, whole, "a prefix was judged otherwise than the whole");
        }
    }
    if let Ok(Parse::Complete(ClientHelloInfo { sni: Some(name), .. })) = &whole {
        assert!(!name.is_empty() && !name.bytes().any(|b| b.is_ascii_uppercase()));
    }
}

#[cfg(test)]
pub(crate) mod tests;
