//! Which octets names, values, methods and targets may have (RFC 9113 §8.2.1, RFC 9110 §5, §9.1).

/// Reports whether the octet may stand in a token.
const fn is_tchar(b: u8) -> bool {
    b.is_ascii_alphanumeric()
        || matches!(
            b,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

const TOKEN: u8 = 1;
const NAME: u8 = 2;
const VALUE: u8 = 4;
const PATH: u8 = 8;
const USUAL: u8 = 16;

static CLASSES: [u8; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let b = at as u8;
        let mut class = 0;
        if is_tchar(b) {
            class |= TOKEN;
            if !b.is_ascii_uppercase() {
                class |= NAME;
            }
        }
        if b == b'\t' || (b >= 0x20 && b != 0x7f) {
            class |= VALUE;
        }
        if b.is_ascii_alphanumeric() || b == b'-' {
            class |= USUAL;
        }
        if b > 0x20 && b < 0x7f && b != b'#' && b != b'\\' {
            class |= PATH;
        }
        table[at] = class;
        at += 1;
    }
    table
};

#[inline]
fn all(bytes: &[u8], class: u8) -> bool {
    bytes.iter().fold(class, |seen, b| seen & CLASSES.get(usize::from(*b)).copied().unwrap_or(0))
        != 0
}

/// Reports whether the octets are a method or another token.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && all(bytes, TOKEN)
}

/// Reports whether the octets are a field name, a token without capitals, and whether they are
/// letters, digits and hyphens only. Names of pseudo fields are judged without their colon.
pub(crate) fn name(bytes: &[u8]) -> (bool, bool) {
    let bytes = bytes.strip_prefix(b":").unwrap_or(bytes);
    let classes = bytes.iter().fold(if bytes.is_empty() { 0 } else { NAME | USUAL }, |seen, b| {
        seen & CLASSES.get(usize::from(*b)).copied().unwrap_or(0)
    });
    (classes & NAME != 0, classes & USUAL != 0)
}

/// Reports whether the octets are a field value: no control but tab, no white space at the ends.
pub(crate) fn is_value(bytes: &[u8]) -> bool {
    let blank = |b: Option<&u8>| matches!(b, Some(b' ' | b'\t'));
    all(bytes, VALUE) && !blank(bytes.first()) && !blank(bytes.last())
}

/// Reports whether the octets may stand in a path with query, as in HTTP/1 request lines.
pub(crate) fn is_path(bytes: &[u8]) -> bool {
    all(bytes, PATH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tokens_without_capitals() {
        for name in [&b"a"[..], b":path", b"x_y", b"content-length", b"~"] {
            assert!(self::name(name).0, "{name:?}");
        }
        for (name, usual) in [(&b"a-1"[..], true), (b"x_y", false), (b"x.y", false)] {
            assert_eq!(self::name(name), (true, usual));
        }
        for name in [&b""[..], b":", b"::a", b"A", b"a b", b"a:b", b"a\0", b"a\x80", b"a\r\n"] {
            assert!(!self::name(name).0, "{name:?}");
        }
    }

    #[test]
    fn values_have_no_controls_and_no_blank_ends() {
        for value in [&b""[..], b"a", b"a b\tc", b"\xc3\xa4", b"\xff"] {
            assert!(is_value(value), "{value:?}");
        }
        for value in [&b" a"[..], b"a\t", b"a\r\nb", b"a\nb", b"a\rb", b"\0", b"\x7f", b"\x01"] {
            assert!(!is_value(value), "{value:?}");
        }
    }

    #[test]
    fn paths_and_methods_can_be_written_into_a_request_line() {
        assert!(is_path(b"/a?b=[c]&{d}|\"") && is_token(b"M-SEARCH"));
        for path in [&b"/ "[..], b"/#", b"/\xc3\xa4", b"/\r\n", b"/\\", b"/\x7f"] {
            assert!(!is_path(path), "{path:?}");
        }
        assert!(!is_token(b"GET /") && !is_token(b""));
    }
}
