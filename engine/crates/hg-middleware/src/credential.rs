//! The place where a client sends a key or a token: a header, a parameter of the query, a cookie.

use crate::view::RequestView;

/// The one place that is looked at.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// Lower case.
    Header(Box<str>),
    Query(Box<str>),
    Cookie(Box<str>),
}

/// The number of credentials at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    None,
    One,
    /// More than one: which of them counts would be a guess.
    Several,
}

impl Place {
    /// Makes the place of the option that is given; None unless it is exactly one.
    pub(crate) fn of(
        header: Option<&str>,
        query: Option<&str>,
        cookie: Option<&str>,
    ) -> Option<Self> {
        match (header, query, cookie) {
            (Some(name), None, None) => Some(Self::Header(name.to_ascii_lowercase().into())),
            (None, Some(name), None) => Some(Self::Query(name.into())),
            (None, None, Some(name)) => Some(Self::Cookie(name.into())),
            _ => None,
        }
    }

    /// Puts the credential of a request into `into`.
    pub(crate) fn read(&self, view: &RequestView<'_>, into: &mut Vec<u8>) -> Sent {
        into.clear();
        let mut sent = Sent::None;
        let mut take = |value: &mut dyn Iterator<Item = u8>| {
            sent = if sent == Sent::None { Sent::One } else { Sent::Several };
            into.clear();
            into.extend(value);
        };
        match self {
            Self::Header(name) => view.headers.each(name, &mut |value| {
                take(&mut value.trim_ascii().iter().copied());
            }),
            Self::Query(name) => {
                for pair in view.query.unwrap_or_default().split('&') {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    if decoded(key).eq(name.bytes()) {
                        take(&mut decoded(value));
                    }
                }
            }
            Self::Cookie(name) => view.headers.each("cookie", &mut |line| {
                for pair in line.split(|b| *b == b';') {
                    let mut parts = pair.trim_ascii().splitn(2, |b| *b == b'=');
                    if parts.next() == Some(name.as_bytes()) {
                        take(&mut parts.next().unwrap_or_default().iter().copied());
                    }
                }
            }),
        }
        sent
    }
}

/// Decodes `+` and `%2B` as forms write them; what is no escape stays.
fn decoded(text: &str) -> impl Iterator<Item = u8> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let digit = |at: usize| rest.get(at).and_then(|b| char::from(*b).to_digit(16));
        let (byte, taken) = match (rest.first()?, digit(1), digit(2)) {
            (b'+', ..) => (b' ', 1),
            (b'%', Some(high), Some(low)) => (u8::try_from(high * 16 + low).unwrap_or(b'%'), 3),
            (byte, ..) => (*byte, 1),
        };
        rest = rest.get(taken..).unwrap_or_default();
        Some(byte)
    })
}

#[cfg(test)]
#[path = "credential_tests.rs"]
mod tests;
