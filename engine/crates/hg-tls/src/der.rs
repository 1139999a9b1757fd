//! The few fields of an X.509 certificate that we report, read by a bounded walk over its DER.
//! Nothing here decides about trust, which is the verifier's work.

/// Fields of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fields<'d> {
    pub issuer: &'d [u8],
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
    pub subject: &'d [u8],
    /// The whole SubjectPublicKeyInfo.
    pub spki: &'d [u8],
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;
const INTEGER: u8 = 0x02;

/// Returns the fields of a certificate (RFC 5280 §4.1); `None` if it does not parse.
pub(crate) fn fields(der: &[u8]) -> Option<Fields<'_>> {
    let mut outer = Der(der);
    let mut certificate = Der(outer.expect(SEQUENCE)?);
    let mut tbs = Der(certificate.expect(SEQUENCE)?);
    if tbs.peek() == Some(VERSION) {
        tbs.expect(VERSION)?;
    }
    tbs.expect(INTEGER)?;
    tbs.expect(SEQUENCE)?;
    let issuer = tbs.expect(SEQUENCE)?;
    let mut validity = Der(tbs.expect(SEQUENCE)?);
    let not_before = time(&mut validity)?;
    let not_after = time(&mut validity)?;
    let subject = tbs.expect(SEQUENCE)?;
    let spki = tbs.expect(SEQUENCE)?;
    Some(Fields { issuer, not_before, not_after, subject, spki })
}

/// Returns a certificate's subject as RFC 4514 writes it.
pub(crate) fn subject(der: &[u8]) -> Option<String> {
    name(fields(der)?.subject)
}

/// Formats a distinguished name as RFC 4514 writes it: last component first.
pub(crate) fn name(mut rdns: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    while !rdns.is_empty() {
        let mut outer = Der(rdns);
        let mut set = Der(outer.expect(SET)?);
        rdns = outer.0;
        let mut rdn = String::new();
        while !set.0.is_empty() {
            let mut attribute = Der(set.expect(SEQUENCE)?);
            let kind = attribute.expect(OID)?;
            let (tag, value) = attribute.next()?;
            if !rdn.is_empty() {
                rdn.push('+');
            }
            write_attribute(&mut rdn, kind, tag, value);
        }
        parts.push(rdn);
    }
    parts.reverse();
    Some(parts.join(","))
}

fn write_attribute(out: &mut String, kind: &[u8], tag: u8, value: &[u8]) {
    match short_name(kind) {
        Some(short) => out.push_str(short),
        None => push_hex(out, kind),
    }
    out.push('=');
    // The content of UTF8String, PrintableString and IA5String is UTF-8 as it is.
    match std::str::from_utf8(value) {
        Ok(text) if matches!(tag, 0x0c | 0x13 | 0x16) => escape(out, text),
        _ => push_hex(out, value),
    }
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    out.push('#');
    for b in bytes {
        for digit in [b >> 4, b & 15] {
            out.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
        }
    }
}

/// Returns the short name of an attribute: those of RFC 4514 §3, and emailAddress, which OpenSSL
/// writes the same way.
fn short_name(oid: &[u8]) -> Option<&'static str> {
    Some(match oid {
        [0x55, 4, 3] => "CN",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 9] => "STREET",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25] => "DC",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1] => "UID",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1] => "emailAddress",
        _ => return None,
    })
}

/// Escapes as RFC 4514 §2.4, and control characters, too, so that a header or a log line can hold
/// the result.
fn escape(out: &mut String, text: &str) {
    let last = text.chars().count().saturating_sub(1);
    for (i, c) in text.chars().enumerate() {
        let at_edge = (i == 0 && (c == ' ' || c == '#')) || (i == last && c == ' ');
        if c.is_control() {
            let mut utf8 = [0; 4];
            for b in c.encode_utf8(&mut utf8).bytes() {
                out.push_str(&format!("\\{b:02x}"));
            }
            continue;
        }
        if at_edge || matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
}

fn time(der: &mut Der<'_>) -> Option<i64> {
    let (tag, text) = der.next()?;
    let (year, rest) = match tag {
        // RFC 5280 §4.1.2.5.1: years from 50 on are in the 1900s.
        UTC_TIME => {
            let (yy, rest) = text.split_first_chunk::<2>()?;
            let yy = digits(yy)?;
            (if yy >= 50 { 1900 + yy } else { 2000 + yy }, rest)
        }
        GENERALIZED_TIME => {
            let (yyyy, rest) = text.split_first_chunk::<4>()?;
            (digits(yyyy)?, rest)
        }
        _ => return None,
    };
    let [mo1, mo2, d1, d2, h1, h2, mi1, mi2, s1, s2, b'Z'] = *rest else {
        return None;
    };
    let month = digits(&[mo1, mo2])?;
    let day = digits(&[d1, d2])?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let seconds = digits(&[h1, h2])? * 3600 + digits(&[mi1, mi2])? * 60 + digits(&[s1, s2])?;
    Some(days_from_civil(year, month, day) * 86_400 + seconds)
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0i64, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant's algorithm).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// DER left to read.
struct Der<'d>(&'d [u8]);

impl<'d> Der<'d> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Returns the next element's tag and content; lengths of up to four bytes, definite form only.
    fn next(&mut self) -> Option<(u8, &'d [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk::<2>()?;
        let (len, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0usize, |n, b| n << 8 | usize::from(*b)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn expect(&mut self, tag: u8) -> Option<&'d [u8]> {
        let (found, content) = self.next()?;
        (found == tag).then_some(content)
    }
}

/// Returns the status of an OCSPResponse (RFC 6960 §4.2.1).
pub(crate) fn ocsp_status(der: &[u8]) -> Option<u8> {
    const ENUMERATED: u8 = 0x0a;
    let mut outer = Der(der);
    let mut response = Der(outer.expect(SEQUENCE)?);
    match response.expect(ENUMERATED)? {
        [status] if outer.0.is_empty() => Some(*status),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, content.len() as u8][..], content].concat()
    }

    fn attribute(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        element(SEQUENCE, &[element(OID, oid), element(tag, value)].concat())
    }

    #[test]
    fn names_are_written_last_component_first_and_escaped() {
        let rdns = [
            element(SET, &attribute(&[0x55, 4, 6], 0x13, b"DE")),
            element(
                SET,
                &[
                    attribute(&[0x55, 4, 10], 0x0c, " a,b+c\r\n ".as_bytes()),
                    attribute(&[0x55, 4, 11], 0x0c, "#\u{e4}".as_bytes()),
                ]
                .concat(),
            ),
            element(SET, &attribute(&[1, 2, 3], 0x0c, b"x")),
            element(SET, &attribute(&[0x55, 4, 3], 0x1e, &[0, 65])),
        ]
        .concat();
        assert_eq!(
            name(&rdns).as_deref(),
            Some("CN=#0041,#010203=x,O=\\ a\\,b\\+c\\0d\\0a\\ +OU=\\#\u{e4},C=DE")
        );
        assert_eq!(name(&[]).as_deref(), Some(""));
    }

    #[test]
    fn times_are_read_in_both_forms() {
        let read = |tag, text: &[u8]| time(&mut Der(&element(tag, text)));
        assert_eq!(read(UTC_TIME, b"700101000000Z"), Some(0));
        assert_eq!(read(UTC_TIME, b"491231235959Z"), Some(2_524_607_999));
        assert_eq!(read(UTC_TIME, b"500101000000Z"), Some(-631_152_000));
        assert_eq!(read(GENERALIZED_TIME, b"20000229120000Z"), Some(951_825_600));
        assert_eq!(read(GENERALIZED_TIME, b"99991231235959Z"), Some(253_402_300_799));
        for bad in
            [&b"20000229120000"[..], b"20001329120000Z", b"2000022912000Z", b"2000022912000aZ", b""]
        {
            assert_eq!(read(GENERALIZED_TIME, bad), None, "{bad:?}");
        }
    }

    #[test]
    fn only_a_response_status_alone_counts() {
        assert_eq!(ocsp_status(&[0x30, 3, 0x0a, 1, 0]), Some(0));
        assert_eq!(ocsp_status(&[0x30, 3, 0x0a, 1, 0, 0]), None);
        assert_eq!(ocsp_status(&[0x30, 4, 0x0a, 2, 0, 0]), None);
        assert_eq!(ocsp_status(b""), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (fields(&bytes), name(&bytes), ocsp_status(&bytes));
            let _ = fields(&element(SEQUENCE, &element(SEQUENCE, &bytes[..bytes.len().min(100)])));
        }
    }
}
