//! The octets that names, values, methods and targets may have (RFC 9113 §8.2.1, RFC 9110 §5,
//! §9.1).

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
const ALL: u8 = TOKEN | NAME | VALUE | PATH | USUAL;

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

/// Returns the classes of an octet; the table has all of them.
const fn class(b: u8) -> u8 {
    CLASSES[b as usize]
}

/// The classes that all octets of a value have in common, found in one pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Classes(u8);

impl Classes {
    /// Reads a value.
    #[inline]
    pub(crate) const fn of(value: &[u8]) -> Classes {
        let (mut classes, mut rest) = (ALL, value);
        while let [a, b, c, d, more @ ..] = rest {
            classes &= class(*a) & class(*b) & class(*c) & class(*d);
            rest = more;
        }
        while let [first, more @ ..] = rest {
            classes &= class(*first);
            rest = more;
        }
        match value {
            [] => Classes(VALUE | PATH),
            [b' ' | b'\t', ..] | [.., b' ' | b'\t'] => Classes(classes & !VALUE),
            _ => Classes(classes),
        }
    }

    /// Reports whether they are a field value: no control but tab, no white space at the ends.
    #[inline]
    pub(crate) const fn is_value(self) -> bool {
        self.0 & VALUE != 0
    }

    /// Reports whether they may stand in a path with query, as in HTTP/1 request lines.
    #[inline]
    pub(crate) const fn is_path(self) -> bool {
        self.0 & PATH != 0
    }

    /// Reports whether they are a method or another token.
    #[inline]
    pub(crate) const fn is_token(self) -> bool {
        self.0 & TOKEN != 0
    }
}

/// Compares octets without the call that `==` makes, which costs more than most names do.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    match a.len() {
        len if len != b.len() => false,
        0..4 => a.iter().zip(b).all(|(x, y)| x == y),
        4..8 => a.first_chunk::<4>() == b.first_chunk() && a.last_chunk::<4>() == b.last_chunk(),
        8..=16 => a.first_chunk::<8>() == b.first_chunk() && a.last_chunk::<8>() == b.last_chunk(),
        _ => a == b,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_value(bytes: &[u8]) -> bool {
        Classes::of(bytes).is_value()
    }

    fn is_path(bytes: &[u8]) -> bool {
        Classes::of(bytes).is_path()
    }

    fn is_token(bytes: &[u8]) -> bool {
        Classes::of(bytes).is_token()
    }

    proptest! {
        #[test]
        fn octets_are_the_same_as_equality_says(
            a in prop::collection::vec(0_u8..3, 0..40), at: usize, other: Vec<u8>,
        ) {
            let mut b = a.clone();
            prop_assert!(same(&a, &b));
            if let Some(len) = std::num::NonZeroUsize::new(b.len()) {
                b[at % len] ^= 1;
                prop_assert!(!same(&a, &b));
            }
            prop_assert_eq!(same(&a, &other), a == other);
        }

        #[test]
        fn one_pass_finds_what_octets_alone_say(value in "[ -~\t\u{e4}\r]{0,12}|[!-~]{1,12}") {
            let bytes = value.as_bytes();
            let in_value = |b: &u8| *b == b'\t' || (*b >= 0x20 && *b != 0x7f);
            let in_path = |b: &u8| (0x21..0x7f).contains(b) && !matches!(b, b'#' | b'\\');
            let blank = |b: Option<&u8>| matches!(b, Some(b' ' | b'\t'));
            let is_sound = bytes.iter().all(in_value) && !blank(bytes.first()) && !blank(bytes.last());
            prop_assert_eq!(is_value(bytes), is_sound);
            prop_assert_eq!(is_path(bytes), bytes.iter().all(in_path));
            let in_token = |b: &u8| is_tchar(*b);
            prop_assert_eq!(is_token(bytes), !bytes.is_empty() && bytes.iter().all(in_token));
        }
    }

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
