//! Host grammar (RFC 3986 §3.2.2) and comparison.
//!
//! A name is what the RFC calls a reg-name, in non-empty labels (one trailing dot allowed). This
//! module is stricter than the RFC where two readers could see two hosts: an encoded octet must not
//! stand for a character that no name may have (a slash, a colon, a control), and IPvFuture and
//! zone identifiers are refused.

use std::io::Write;
use std::net::Ipv6Addr;

/// Longest name, without port (RFC 1035 §2.3.4, plus a trailing dot).
pub const MAX_NAME_BYTES: usize = 254;

/// A host, split and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostPort<'b> {
    /// Name or address, as written; IPv6 in brackets.
    pub name: &'b str,
    /// Port, if written and not empty.
    pub port: Option<u16>,
}

impl HostPort<'_> {
    /// The host of a request that names none.
    pub const NONE: Self = HostPort { name: "", port: None };
}

/// Does the same as [`split`] for bytes.
pub fn parse(value: &[u8]) -> Option<HostPort<'_>> {
    split(std::str::from_utf8(value).ok()?)
}

/// Splits `host[:port]` and checks both; `None` if it is not a host.
#[inline]
pub fn split(text: &str) -> Option<HostPort<'_>> {
    let value = text.as_bytes();
    if is_plain(value) {
        return Some(HostPort { name: text, port: None });
    }
    if value.first() == Some(&b'[') {
        let end = memchr::memchr(b']', value)?;
        text.get(1..end)?.parse::<Ipv6Addr>().ok()?;
        return Some(HostPort { name: text.get(..=end)?, port: port_of(text.get(end + 1..)?)? });
    }
    let name = text.get(..name_len(value)?)?;
    Some(HostPort { name, port: port_of(text.get(name.len()..)?)? })
}

/// The bit of a byte of a plain name, and that of a dot, in [`CLASSES`].
const PLAIN: u8 = 1;
const DOT: u8 = 2;

/// Bytes of plain names: letters, digits, hyphens and dots.
static CLASSES: [u8; 256] = {
    let mut table = [0; 256];
    let mut b = 0_u8;
    while b < 0x7f {
        let is_plain = b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
        table[b as usize] = if is_plain { PLAIN } else { 0 } | if b == b'.' { DOT } else { 0 };
        b += 1;
    }
    table
};

/// Reports whether it is a name that nearly every host has: plain, no label empty, without a port.
#[inline]
fn is_plain(host: &[u8]) -> bool {
    // A dot follows no dot, and is not the first.
    let (mut all, mut both, mut before) = (PLAIN, 0, DOT);
    for &b in host {
        let class = CLASSES.get(usize::from(b)).copied().unwrap_or(0);
        all &= class;
        both |= before & class;
        before = class & DOT;
    }
    all != 0 && both == 0 && !host.is_empty() && host.len() <= MAX_NAME_BYTES
}

/// Returns the bytes of the name at the start, up to a colon or the end; `None` if it is not a
/// name.
#[inline]
fn name_len(host: &[u8]) -> Option<usize> {
    let (mut wrong, mut encoded) = (false, false);
    let mut after_dot = true;
    let mut len = 0;
    for &b in host {
        if b == b':' {
            break;
        }
        let dot = b == b'.';
        wrong |= (dot & after_dot) | !NAME.get(usize::from(b)).copied().unwrap_or(false);
        encoded |= b == b'%';
        after_dot = dot;
        len += 1;
    }
    let sound = !encoded || is_sound(host.get(..len)?);
    (!wrong && sound && len > 0 && len <= MAX_NAME_BYTES).then_some(len)
}

/// Bytes of a name: unreserved characters, sub-delimiters, and the sign of an encoded octet.
static NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0x21;
    while b < 0x7f {
        table[b as usize] = is_unreserved(b) || is_sub_delimiter(b) || b == b'%';
        b += 1u8;
    }
    table
};

const fn is_unreserved(b: u8) -> bool {
    matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~')
}

const fn is_sub_delimiter(b: u8) -> bool {
    matches!(b, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}

/// Returns the byte that a name begins with, encoded or not, and how many bytes of the name it
/// takes.
fn octet(name: &[u8]) -> Option<(u8, usize)> {
    match *name {
        [b'%', high, low, ..] => {
            let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
            Some((digit(high)? << 4 | digit(low)?, 3))
        }
        [b'%', ..] | [] => None,
        [b, ..] => Some((b, 1)),
    }
}

/// Reports whether a name with encoded octets is valid: its octets are complete and stand for
/// characters of a name or are not ASCII, and no label is empty after decoding.
#[cold]
fn is_sound(mut name: &[u8]) -> bool {
    let mut after_dot = true;
    while !name.is_empty() {
        let Some((b, len)) = octet(name) else {
            return false;
        };
        if !(is_unreserved(b) || is_sub_delimiter(b) || b >= 0x80) || (b == b'.' && after_dot) {
            return false;
        }
        after_dot = b == b'.';
        name = name.get(len..).unwrap_or_default();
    }
    true
}

/// Parses a port: `""` and `":"` have none, `":8080"` has one; the outer `None` is an error.
#[inline]
fn port_of(rest: &str) -> Option<Option<u16>> {
    let Some(digits) = rest.strip_prefix(':') else {
        return rest.is_empty().then_some(None);
    };
    if digits.is_empty() {
        return Some(None);
    }
    if digits.len() > 5 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(Some)
}

impl<'b> HostPort<'b> {
    /// Returns the form by which routes are looked up: lower case, no port, no trailing dot,
    /// unreserved characters not encoded (RFC 3986 §6.2.2), IPv6 canonical in brackets. Borrows
    /// from the host if it already has that form, otherwise from `buf`.
    #[inline]
    pub fn key<'a>(&self, buf: &'a mut [u8; MAX_NAME_BYTES]) -> &'a str
    where
        'b: 'a,
    {
        if self.name.starts_with('[') {
            return ipv6_key(self.name, buf);
        }
        let name = self.name.strip_suffix('.').unwrap_or(self.name);
        if !name.bytes().fold(false, |other, b| other | b.is_ascii_uppercase() | (b == b'%')) {
            return name;
        }
        if name.contains('%') {
            return decoded_key(name.as_bytes(), buf);
        }
        let Some(out) = buf.get_mut(..name.len()) else {
            return "";
        };
        out.copy_from_slice(name.as_bytes());
        out.make_ascii_lowercase();
        std::str::from_utf8(out).unwrap_or("")
    }
}

/// Returns the key of a name with encoded octets. It decodes octets of unreserved characters, which
/// mean the same (RFC 3986 §6.2.2.2).
#[cold]
fn decoded_key<'a>(mut name: &[u8], buf: &'a mut [u8; MAX_NAME_BYTES]) -> &'a str {
    let mut used = 0;
    while let Some((b, len)) = octet(name) {
        let (said, rest) = name.split_at(len);
        let text = if is_unreserved(b) { &[b][..] } else { said };
        // Decoding never lengthens it, and a longer text is not a name.
        let Some(to) = buf.get_mut(used..used + text.len()) else {
            return "";
        };
        to.copy_from_slice(text);
        used += text.len();
        name = rest;
    }
    let key = buf.get_mut(..used).unwrap_or_default();
    key.make_ascii_lowercase();
    let key = std::str::from_utf8(key).unwrap_or("");
    key.strip_suffix('.').unwrap_or(key)
}

/// Returns the [`HostPort::key`] of a host that is still text; `""`, which no route has, if it does
/// not parse.
pub fn host_key<'a>(host: &'a str, buf: &'a mut [u8; MAX_NAME_BYTES]) -> &'a str {
    split(host).map_or("", |h| h.key(buf))
}

fn ipv6_key<'a>(name: &str, buf: &'a mut [u8; MAX_NAME_BYTES]) -> &'a str {
    let inner = name.trim_start_matches('[').trim_end_matches(']');
    let Ok(address) = inner.parse::<Ipv6Addr>() else {
        return "";
    };
    let mut rest = &mut buf[..];
    if write!(rest, "[{address}]").is_err() {
        return "";
    }
    let used = MAX_NAME_BYTES - rest.len();
    buf.get(..used).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or("")
}

/// Reports whether host and port are the same, with `default_port` for a missing port.
pub fn same(a: &str, b: &str, default_port: u16) -> bool {
    let (Some(a), Some(b)) = (split(a), split(b)) else {
        return false;
    };
    if a.port.unwrap_or(default_port) != b.port.unwrap_or(default_port) {
        return false;
    }
    let bare = |n: &'_ str| n.strip_suffix('.').unwrap_or(n).len();
    let (x, y) = (a.name.get(..bare(a.name)), b.name.get(..bare(b.name)));
    if a.name.starts_with('[') {
        let address = |n: &str| n.trim_matches(['[', ']']).parse::<Ipv6Addr>().ok();
        return b.name.starts_with('[') && address(a.name) == address(b.name);
    }
    matches!((x, y), (Some(x), Some(y)) if x.eq_ignore_ascii_case(y))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &[&str] = &[
        "a",
        "a.b",
        "a.b.",
        "A-1_x~.b",
        "127.0.0.1",
        "[::1]",
        "a:",
        "a:0",
        "a:65535",
        "[::1]:8080",
        "a:00080",
        "!$&'()*+,;=",
        "a!b.example",
        "*.a",
        "a%C3%A4b.example:80",
        "%61.b",
        "a%2Cb",
        "a%2e",
    ];
    const BAD: &[&str] = &[
        "",
        ":",
        ":80",
        ".",
        ".a",
        "a..b",
        "a.b..",
        "a b",
        "a/b",
        "a@b",
        "a?b",
        "a#b",
        "a:65536",
        "a:+80",
        "a: 80",
        "a:80:80",
        "a:8 0",
        "[::1",
        "::1",
        "[::1]a",
        "[::1%25eth0]",
        "[v1.a]",
        "[1.2.3.4]",
        "[]",
        "ä",
        "a\\b",
        "a:000080",
        "%",
        "a%4",
        "a%:80",
        "a%g1",
        "a%2fb",
        "a%40b",
        "a%3A80",
        "a%00",
        "a%20b",
        "a%7f",
        "a%25",
        "a%2e.b",
        "%2ea",
        "a\"b",
        "a<b",
        "a|b",
        "a^b",
        "a`b",
        "a{b}",
    ];

    proptest! {
        #[test]
        fn plain_names_are_names_without_more(text in "[a-c.:%-]{0,12}|[a-z0-9.-]{240,260}") {
            let name = name_len(text.as_bytes()).filter(|len| *len == text.len());
            let is_other = text.contains(['%', ':']);
            prop_assert_eq!(is_plain(text.as_bytes()), name.is_some() && !is_other);
        }
    }

    #[test]
    fn hosts_are_accepted_and_refused_by_the_grammar() {
        for good in GOOD {
            assert!(split(good).is_some(), "{good}");
        }
        for bad in BAD {
            assert!(split(bad).is_none(), "{bad}");
        }
        assert!(parse(b"\xff").is_none());
        assert!(split(&"a".repeat(254)).is_some());
        assert!(split(&"a".repeat(255)).is_none());
    }

    #[test]
    fn the_key_is_lower_case_without_port_and_dot() {
        let mut buf = [0; MAX_NAME_BYTES];
        for (host, key) in [
            ("a.example", "a.example"),
            ("A.Example:80", "a.example"),
            ("a.example.", "a.example"),
            ("a.EXAMPLE.:8", "a.example"),
            ("[::1]:80", "[::1]"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
            ("a b", ""),
            ("[2001:DB8::A]", "[2001:db8::a]"),
            ("%41.Example", "a.example"),
            ("a%2Eexample%2e:8", "a.example"),
            ("A%2Cb%C3%A4", "a%2cb%c3%a4"),
            ("A+b", "a+b"),
        ] {
            assert_eq!(host_key(host, &mut buf), key, "{host}");
        }
    }

    #[test]
    fn authorities_compare_after_port_normalisation() {
        assert!(same("A.b", "a.B:80", 80));
        assert!(same("a.b.:", "a.b", 443));
        assert!(same("[::1]:443", "[0::1]", 443));
        assert!(!same("a.b", "a.b:80", 443));
        assert!(!same("a.b", "a.c", 80));
        assert!(!same("[::1]", "a", 80));
    }
}
