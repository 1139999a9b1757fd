//! Detection of the protocol by the first bytes of a connection: HTTP, TLS, or something else. A
//! verdict never changes with what follows, and comes after a bounded number of bytes.

/// The protocol that a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detected {
    /// A request line of HTTP/1: a method in capitals, then the beginning of a target that a request
    /// may have (RFC 9112 §3.2).
    Http1,
    /// The preface of HTTP/2 (RFC 9113 §3.4).
    Http2,
    /// A record of TLS with a ClientHello.
    Tls,
    /// None of these.
    Other,
    /// It may still become one of several.
    NeedMore,
}

/// Bytes after which there is always a verdict.
pub const MAX_BYTES: usize = 64;
/// The longest method that counts as one.
const MAX_METHOD: usize = 32;
/// The beginning of the preface of HTTP/2, and of no request of HTTP/1.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";
const HANDSHAKE: u8 = 0x16;
const CLIENT_HELLO: u8 = 1;

/// Returns what these bytes, the first of a connection, are.
pub fn detect(bytes: &[u8]) -> Detected {
    match bytes.first() {
        None => Detected::NeedMore,
        Some(&HANDSHAKE) => tls(bytes),
        Some(_) => http(bytes),
    }
}

/// Judges what begins as a record of TLS: type, version 3.x, length, type of the first message.
fn tls(bytes: &[u8]) -> Detected {
    match *bytes {
        [_] | [_, 3] | [_, 3, 0..=4] | [_, 3, 0..=4, _] | [_, 3, 0..=4, _, _] => Detected::NeedMore,
        [_, 3, 0..=4, _, _, CLIENT_HELLO, ..] => Detected::Tls,
        _ => Detected::Other,
    }
}

fn http(bytes: &[u8]) -> Detected {
    match is_begun(PREFACE, bytes) {
        Some(true) => return Detected::Http2,
        // A method may begin so as well, and no target does.
        None if bytes.len() > 4 => return Detected::NeedMore,
        _ => {}
    }
    // An empty line may stand before a request (RFC 9112 §2.2).
    let line = match bytes {
        [b'\r'] => return Detected::NeedMore,
        [b'\r', b'\n', rest @ ..] => rest,
        all => all,
    };
    let is_method = |b: &u8| b.is_ascii_uppercase() || *b == b'-';
    let len = line.iter().take_while(|b| is_method(b)).count();
    let (method, rest) = line.split_at_checked(len).unwrap_or((line, &[]));
    match rest.split_first() {
        _ if len > MAX_METHOD => Detected::Other,
        None => Detected::NeedMore,
        Some((b' ', rest)) if len > 0 => target(method, rest),
        Some(_) => Detected::Other,
    }
}

/// Judges the beginning of a target.
fn target(method: &[u8], target: &[u8]) -> Detected {
    if target.is_empty() {
        return Detected::NeedMore;
    }
    if target.starts_with(b"/") || method == b"CONNECT" {
        return Detected::Http1;
    }
    // RTSP and SIP have methods and targets of the same looks.
    let folded = target.to_ascii_lowercase();
    let forms: [&[u8]; 3] = [b"http://", b"https://", b"* http/"];
    let begun = forms.map(|form| is_begun(form, &folded));
    match begun {
        _ if begun.contains(&Some(true)) => Detected::Http1,
        _ if begun.contains(&None) => Detected::NeedMore,
        _ => Detected::Other,
    }
}

/// Reports whether bytes begin with a word; `None` while they are a part of it.
fn is_begun(word: &[u8], bytes: &[u8]) -> Option<bool> {
    let n = word.len().min(bytes.len());
    match word.get(..n) == bytes.get(..n) {
        false => Some(false),
        true if n < word.len() => None,
        true => Some(true),
    }
}

#[cfg(test)]
mod tests;
