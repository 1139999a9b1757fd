//! The end of a body: Content-Length and Transfer-Encoding (RFC 9112 §6).

use crate::connection::{elements, is_token};

/// The result of the Content-Length lines of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Length {
    #[default]
    Absent,
    Is(u64),
    Invalid,
    Repeated,
}

impl Length {
    /// Adds one more line.
    #[inline]
    pub(crate) fn add(&mut self, value: &[u8]) {
        *self = match self {
            Length::Absent => decimal(value).map_or(Length::Invalid, Length::Is),
            _ => Length::Repeated,
        };
    }
}

/// Parses `1*DIGIT`, nothing else, that fits 64 bits.
pub(crate) fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |n, b| {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 { None } else { n.checked_mul(10)?.checked_add(u64::from(digit)) }
    })
}

/// The result of the Transfer-Encoding lines of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Coding {
    #[default]
    Absent,
    /// Exactly one line that is exactly `chunked`.
    Chunked,
    /// Exactly one line that is exactly `identity`, which RFC 9112 does not know any more.
    Identity,
    /// Well-formed; only codings other than `chunked`.
    Other,
    /// Well-formed; other codings, then a last `chunked`.
    OtherThenChunked,
    /// Repeated, empty, with parameters, `chunked` twice or not last, not tokens.
    Invalid,
}

impl Coding {
    /// Adds one more line; a second line is never acceptable.
    #[inline]
    pub(crate) fn add(&mut self, value: &[u8]) {
        *self = match self {
            Coding::Absent if value.eq_ignore_ascii_case(b"chunked") => Coding::Chunked,
            Coding::Absent if value.eq_ignore_ascii_case(b"identity") => Coding::Identity,
            Coding::Absent => Self::of_list(value),
            _ => Coding::Invalid,
        };
    }

    fn of_list(value: &[u8]) -> Coding {
        let mut seen = Coding::Absent;
        // Empty elements are legal in a list, but no honest peer sends them here.
        if value.split(|&b| b == b',').count() != elements(value).count() {
            return Coding::Invalid;
        }
        for element in elements(value) {
            let chunked = element.eq_ignore_ascii_case(b"chunked");
            seen = match seen {
                Coding::Absent | Coding::Other if !is_token(element) => return Coding::Invalid,
                Coding::Absent | Coding::Other if !chunked => Coding::Other,
                Coding::Other => Coding::OtherThenChunked,
                _ => return Coding::Invalid,
            };
        }
        if seen == Coding::Absent { Coding::Invalid } else { seen }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_length_is_digits_only() {
        for bad in ["", "+5", "-1", "5 5", "5,5", "0x5", "5.0", "18446744073709551616", "５", "1e3"]
        {
            assert_eq!(decimal(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(decimal(b"007"), Some(7));
    }

    #[test]
    fn transfer_encoding_is_one_chunked_or_says_what_else() {
        let of = |lines: &[&str]| {
            let mut c = Coding::Absent;
            lines.iter().for_each(|l| c.add(l.as_bytes()));
            c
        };
        assert_eq!(of(&["chunked"]), Coding::Chunked);
        assert_eq!(of(&["Chunked"]), Coding::Chunked);
        assert_eq!(of(&["gzip"]), Coding::Other);
        assert_eq!(of(&["xchunked"]), Coding::Other);
        assert_eq!(of(&["Identity"]), Coding::Identity);
        assert_eq!(of(&["identity, gzip"]), Coding::Other);
        assert_eq!(of(&["gzip, chunked"]), Coding::OtherThenChunked);
        for bad in [
            &["chunked", "chunked"][..],
            &["chunked, chunked"],
            &["chunked, gzip"],
            &["chunked;q=1"],
            &[""],
            &["chunked,"],
            &[",chunked"],
            &["\u{b}chunked"],
            &["gzip", "chunked"],
            &["\"chunked\""],
        ] {
            assert_eq!(of(bad), Coding::Invalid, "{bad:?}");
        }
    }
}
