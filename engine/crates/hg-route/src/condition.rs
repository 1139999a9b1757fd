//! Conditions other than the path: methods, client addresses, query parameters, headers, cookies.

use crate::automaton::Automaton;
use crate::certificate::CertificateRules;
use crate::cookie::read_cookie;
use crate::path::decode_escape;
use crate::query::{Headers, Query};
use crate::scratch::Tools;
use hg_plan::CertificateMatch;
use ipnet::IpNet;
use std::net::IpAddr;

/// The conditions of one match; all must hold.
#[derive(Default)]
pub(crate) struct Conditions {
    /// Any of these methods; empty = all.
    pub(crate) methods: Box<[Box<str>]>,
    /// Any of these ranges; empty = all.
    pub(crate) client: Box<[IpNet]>,
    /// Conditions by parameter name.
    pub(crate) query: Box<[(Box<str>, ValueRule)]>,
    /// Conditions by lower-case header name.
    pub(crate) headers: Box<[(Box<str>, ValueRule)]>,
    /// Conditions by cookie name.
    pub(crate) cookies: Box<[(Box<str>, ValueRule)]>,
    /// The requirements on the client's certificate.
    pub(crate) certificate: Option<Box<CertificateRule>>,
}

/// A condition on the client's verified certificate.
pub(crate) struct CertificateRule {
    pub(crate) rules: CertificateRules,
    /// The same as it was written.
    pub(crate) texts: CertificateMatch,
}

/// A condition on a value.
pub(crate) enum ValueRule {
    /// The value equals the text.
    Exact(Box<str>),
    /// The value begins with the text.
    Prefix(Box<str>),
    /// The pattern matches the whole value.
    Regex(Box<str>, Automaton),
    /// The value is there.
    Present,
    /// The value is missing.
    Absent,
}

/// One condition, to be checked alone.
#[derive(Clone, Copy)]
pub(crate) enum Part<'c> {
    /// The method is one of these.
    Methods(&'c [Box<str>]),
    /// The client is in one of these.
    Client(&'c [IpNet]),
    /// The first value of a query parameter.
    Query(&'c str, &'c ValueRule),
    /// A header, its lines joined.
    Header(&'c str, &'c ValueRule),
    /// The first cookie of a name.
    Cookie(&'c str, &'c ValueRule),
    /// The client's verified certificate.
    Certificate(&'c CertificateRule),
}

impl Conditions {
    /// Returns the conditions, cheapest first.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let methods = (!self.methods.is_empty()).then_some(Part::Methods(&self.methods));
        let client = (!self.client.is_empty()).then_some(Part::Client(&self.client));
        let query = self.query.iter().map(|(name, rule)| Part::Query(name, rule));
        let headers = self.headers.iter().map(|(name, rule)| Part::Header(name, rule));
        let cookies = self.cookies.iter().map(|(name, rule)| Part::Cookie(name, rule));
        let certificate = self.certificate.as_deref().map(Part::Certificate);
        let values = query.chain(headers).chain(cookies);
        methods.into_iter().chain(client).chain(values).chain(certificate)
    }

    /// Reports whether all conditions hold.
    pub(crate) fn hold(&self, q: &Query<'_>, tools: &mut Tools) -> bool {
        self.parts().all(|p| p.holds(q, tools))
    }
}

impl Part<'_> {
    /// Reports whether the condition holds.
    pub(crate) fn holds(self, q: &Query<'_>, tools: &mut Tools) -> bool {
        match self {
            Part::Methods(methods) => methods.iter().any(|m| **m == *q.method),
            Part::Client(ranges) => contains(ranges, q.client),
            Part::Query(name, rule) => {
                let is_there = read_parameter(q.query, name, &mut tools.value);
                rule.holds(is_there, tools)
            }
            Part::Header(name, rule) => {
                let is_there = read_header(q.headers, name, &mut tools.value);
                rule.holds(is_there, tools)
            }
            Part::Cookie(name, rule) => {
                let is_there = read_cookie(q.headers, name, &mut tools.value);
                rule.holds(is_there, tools)
            }
            Part::Certificate(rule) => {
                q.headers.certificate().is_some_and(|one| rule.rules.judge(&one).is_ok())
            }
        }
    }
}

impl ValueRule {
    /// Reports whether the condition holds for the value in `tools`.
    fn holds(&self, is_there: bool, tools: &mut Tools) -> bool {
        let value = tools.value.as_slice();
        match self {
            Self::Absent => !is_there,
            Self::Present => is_there,
            Self::Exact(text) => is_there && value == text.as_bytes(),
            Self::Prefix(text) => is_there && value.starts_with(text.as_bytes()),
            Self::Regex(_, automaton) => is_there && automaton.is_match(value, &mut tools.caches),
        }
    }
}

/// Reports whether an address is in one of the ranges; an IPv4-mapped IPv6 address counts as IPv4.
fn contains(ranges: &[IpNet], client: IpAddr) -> bool {
    let client = client.to_canonical();
    ranges.iter().any(|r| r.contains(&client))
}

/// Puts a header's lines, joined by `, ` (RFC 9110 §5.3), into `value`; returns `false` if there is
/// none.
pub(crate) fn read_header(headers: &dyn Headers, name: &str, value: &mut Vec<u8>) -> bool {
    value.clear();
    let mut is_there = false;
    headers.each(name, &mut |line| {
        if is_there {
            value.extend_from_slice(b", ");
        }
        is_there = true;
        value.extend_from_slice(line);
    });
    is_there
}

/// Puts the first value of a query parameter, decoded, into `value`; returns `false` if there is
/// none. Names are compared decoded; `+` is a space, as in forms.
pub(crate) fn read_parameter(query: Option<&str>, name: &str, value: &mut Vec<u8>) -> bool {
    value.clear();
    for pair in query.unwrap_or_default().as_bytes().split(|&b| b == b'&') {
        // `a=1&&b=2` has no parameter with an empty name.
        if pair.is_empty() {
            continue;
        }
        let at = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let (key, text) = pair.split_at(at);
        let text = text.strip_prefix(b"=").unwrap_or_default();
        if decoded(key).eq(name.bytes()) {
            value.extend(decoded(text));
            return true;
        }
    }
    false
}

/// Returns the bytes of a query with escapes and `+` decoded; a broken escape stays as it is.
fn decoded(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b'+' => Some(b' '),
            b'%' => Some(decode_escape(after).map_or(byte, |value| {
                rest = after.get(2..).unwrap_or_default();
                value
            })),
            _ => Some(byte),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(query: &str, name: &str) -> Option<String> {
        let mut value = Vec::new();
        read_parameter(Some(query), name, &mut value).then(|| String::from_utf8(value).unwrap())
    }

    #[test]
    fn the_first_of_a_repeated_parameter_counts_and_none_is_the_empty_value() {
        assert_eq!(parameter("a=1&a=2", "a").as_deref(), Some("1"));
        assert_eq!(parameter("x&a", "a").as_deref(), Some(""));
        assert_eq!(parameter("a=", "a").as_deref(), Some(""));
        assert_eq!(parameter("a=b=c", "a").as_deref(), Some("b=c"));
        assert_eq!(parameter("ab=1", "a"), None);
        assert_eq!(parameter("", ""), None);
        assert_eq!(parameter("&&=x", "").as_deref(), Some("x"));
    }

    #[test]
    fn parameters_are_compared_decoded() {
        assert_eq!(parameter("a%5B%5D=x%20y+z", "a[]").as_deref(), Some("x y z"));
        assert_eq!(parameter("%61=%74rue", "a").as_deref(), Some("true"));
        assert_eq!(parameter("a=%zz%4", "a").as_deref(), Some("%zz%4"));
    }

    #[test]
    fn header_lines_are_joined() {
        let lines = [("X-A", "1"), ("x-b", "2"), ("x-a", ""), ("x-a", "3")];
        let mut value = Vec::new();
        assert!(read_header(&lines[..].to_vec(), "x-a", &mut value));
        assert_eq!(value, b"1, , 3");
        assert!(!read_header(&lines[..].to_vec(), "x-c", &mut value));
        assert!(value.is_empty());
    }

    #[test]
    fn a_mapped_address_is_its_ipv4_self() {
        let ranges: Vec<IpNet> =
            vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        for (client, expected) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("11.0.0.1", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(contains(&ranges, client.parse().unwrap()), expected, "{client}");
        }
    }
}
