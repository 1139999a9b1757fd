//! Path normalisation (RFC 3986 §6.2.2).
//!
//! The router, the middlewares and the upstream all get the normalised path, so that no two of them
//! can read the same bytes differently. Normalising twice changes nothing.

use std::fmt;

/// The reason why a path or a query is refused (status 400).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// It does not begin with `/`.
    NotAbsolute,
    /// A byte that a request target must not contain: a control, a space, `#`, `?` in a path, or a
    /// byte above 0x7F.
    Forbidden(u8),
    /// `%` without two hexadecimal digits after it.
    BadEscape,
    /// `%00`.
    EncodedNul,
    /// `\` or `%5C`, which some servers read as `/`.
    Backslash,
    /// `..` climbs above the root.
    AboveRoot,
    /// Decoding a `%2F` would make a segment `.` or `..`.
    EncodedDotSegment,
}

impl PathError {
    /// Returns a short stable sentence, fit for a log line and the `details` of `Proxy-Status`.
    pub fn as_str(self) -> &'static str {
        match self {
            PathError::NotAbsolute => "path does not begin with a slash",
            PathError::Forbidden(_) => "forbidden byte in the request target",
            PathError::BadEscape => "percent sign without two hexadecimal digits",
            PathError::EncodedNul => "encoded NUL in the path",
            PathError::Backslash => "backslash in the path",
            PathError::AboveRoot => "path climbs above the root",
            PathError::EncodedDotSegment => "encoded slash beside a dot segment",
        }
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathError::Forbidden(b) => write!(f, "{} (0x{b:02X})", self.as_str()),
            _ => f.write_str(self.as_str()),
        }
    }
}

impl std::error::Error for PathError {}

/// The meaning of a byte of a path to the scan.
#[derive(Clone, Copy)]
enum Class {
    /// Stands for itself (RFC 3986 `pchar` without `%`).
    Plain,
    Slash,
    Percent,
    /// Forbidden by RFC 3986, but sent by clients: accepted and percent-encoded.
    Encode,
    Backslash,
    Forbidden,
}

const fn class_of(byte: u8) -> Class {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => Class::Plain,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => Class::Plain,
        b':' | b'@' => Class::Plain,
        b'/' => Class::Slash,
        b'%' => Class::Percent,
        // Browsers send square brackets in paths unencoded (WHATWG URL, path percent-encode set).
        b'{' | b'}' | b'|' | b'^' | b'"' | b'<' | b'>' | b'`' | b'[' | b']' => Class::Encode,
        b'\\' => Class::Backslash,
        _ => Class::Forbidden,
    }
}

const CLASSES: [Class; 256] = {
    let mut table = [Class::Forbidden; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = class_of(byte as u8);
        byte += 1;
    }
    table
};

/// Compiles to one load, because every byte is in the table.
#[inline]
fn class(byte: u8) -> Class {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(Class::Forbidden)
}

/// Returns the normalised form of a path without its query: dot segments and duplicate slashes
/// removed, unreserved characters decoded, hexadecimal digits in upper case, characters that
/// clients send though RFC 3986 forbids them (`{ } | ^ " < > [ ]` and the backtick) encoded. An
/// empty path is `/`; `%2F` stays as it is.
///
/// Returns a path that is normal already itself, after one scan; otherwise builds the result in
/// `buf`, whose capacity stays from call to call.
///
/// # Errors
/// [`PathError`] for a path that must be answered 400.
pub fn normalise<'a>(path: &'a str, buf: &'a mut String) -> Result<&'a str, PathError> {
    if is_normal(path) {
        return Ok(path);
    }
    if path.is_empty() {
        return Ok("/");
    }
    rebuild(path.strip_prefix('/').ok_or(PathError::NotAbsolute)?, buf)?;
    Ok(buf)
}

/// Reports whether the path is surely normal: a path with `%2F` may be normal and get `false`.
fn is_normal(path: &str) -> bool {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return false;
    }
    let mut rest = bytes;
    while let [byte, after @ ..] = rest {
        rest = after;
        match class(*byte) {
            Class::Plain => {}
            Class::Slash if begins_odd_segment(after) => return false,
            Class::Slash => {}
            Class::Percent => {
                let Some((digits, after)) = after.split_first_chunk::<2>() else { return false };
                match decode_escape(digits) {
                    Some(b'/' | b'\\' | 0) | None => return false,
                    Some(value) if is_unreserved(value) => return false,
                    Some(_) if digits.iter().any(u8::is_ascii_lowercase) => return false,
                    Some(_) => rest = after,
                }
            }
            _ => return false,
        }
    }
    true
}

/// Reports whether another slash or a dot segment follows a slash.
fn begins_odd_segment(after: &[u8]) -> bool {
    matches!(after, [b'/', ..] | [b'.'] | [b'.', b'/', ..] | [b'.', b'.'] | [b'.', b'.', b'/', ..])
}

/// Builds the normal form of `/` + `rest` in `buf`.
fn rebuild(rest: &str, buf: &mut String) -> Result<(), PathError> {
    buf.clear();
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        let start = buf.len();
        buf.push('/');
        let has_slash = push_segment(segment, buf)?;
        let pushed = buf.as_bytes().get(start + 1..).unwrap_or_default();
        if has_slash && has_dot_piece(pushed) {
            return Err(PathError::EncodedDotSegment);
        }
        // The last segment leaves its slash: `/a/..` is `/`, `/a/b/..` is `/a/`.
        match pushed {
            b"" if !is_last => buf.truncate(start),
            b"." => buf.truncate(start + usize::from(is_last)),
            b".." => {
                buf.truncate(start);
                let parent = buf.rfind('/').ok_or(PathError::AboveRoot)?;
                buf.truncate(parent + usize::from(is_last));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Appends one segment in normal form; returns `true` if it contains a `%2F`.
fn push_segment(segment: &str, buf: &mut String) -> Result<bool, PathError> {
    let mut rest = segment.as_bytes();
    let mut has_slash = false;
    while let [byte, after @ ..] = rest {
        let byte = *byte;
        rest = after;
        match class(byte) {
            Class::Plain | Class::Slash => buf.push(char::from(byte)),
            Class::Encode => push_escape(byte, buf),
            Class::Backslash => return Err(PathError::Backslash),
            Class::Forbidden => return Err(PathError::Forbidden(byte)),
            Class::Percent => {
                match decode_escape(after).ok_or(PathError::BadEscape)? {
                    0 => return Err(PathError::EncodedNul),
                    b'\\' => return Err(PathError::Backslash),
                    value if is_unreserved(value) => buf.push(char::from(value)),
                    value => {
                        has_slash |= value == b'/';
                        push_escape(value, buf);
                    }
                }
                rest = after.get(2..).unwrap_or_default();
            }
        }
    }
    Ok(has_slash)
}

/// Reports whether a segment has a piece `.` or `..` when its `%2F` count as slashes.
fn has_dot_piece(mut segment: &[u8]) -> bool {
    loop {
        let cut = segment.windows(3).position(|w| w == b"%2F");
        let (piece, after) = segment.split_at(cut.unwrap_or(segment.len()));
        if piece == b"." || piece == b".." {
            return true;
        }
        match after.get(3..) {
            Some(after) => segment = after,
            None => return false,
        }
    }
}

/// Returns the value of the two hexadecimal digits at the front.
pub(crate) fn decode_escape(digits: &[u8]) -> Option<u8> {
    let [high, low, ..] = digits else { return None };
    Some(hex_value(*high)? << 4 | hex_value(*low)?)
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Reports whether the byte is an unreserved character of RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~')
}

fn push_escape(byte: u8, buf: &mut String) {
    let digit = |value: u8| char::from(if value < 10 { b'0' + value } else { b'A' + value - 10 });
    buf.extend(['%', digit(byte >> 4), digit(byte & 15)]);
}

/// Returns a query fit to be forwarded: characters that clients send though RFC 3986 forbids them
/// (those of a path, and `\`) encoded, everything else as it is, escapes too. Returns the input
/// itself when there are none; otherwise the result is built in `buf`.
///
/// # Errors
/// [`PathError::Forbidden`] for a space, a control, `#` or a byte above 0x7F.
pub fn encode_query<'a>(query: &'a str, buf: &'a mut String) -> Result<&'a str, PathError> {
    let mut is_plain = true;
    for &byte in query.as_bytes() {
        match class(byte) {
            Class::Encode | Class::Backslash => is_plain = false,
            Class::Forbidden if byte != b'?' => return Err(PathError::Forbidden(byte)),
            _ => {}
        }
    }
    if is_plain {
        return Ok(query);
    }
    buf.clear();
    for &byte in query.as_bytes() {
        match class(byte) {
            Class::Encode | Class::Backslash => push_escape(byte, buf),
            _ => buf.push(char::from(byte)),
        }
    }
    Ok(buf)
}

#[cfg(test)]
mod tests;
