//! The key that a limit counts by.

use crate::variables::is_token;
use crate::view::RequestView;
use hg_limit::{Key, KeyHash, Seed};
use hg_route::cookie_value;

/// One part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    ClientIp,
    Host,
    Route,
    Path,
    /// This segment of the path; the first one is 1.
    Segment(usize),
    /// The lines of a header, by its lower-case name.
    Header(Box<str>),
    Cookie(Box<str>),
    /// A claim of the token that let the request in.
    Claim(Box<str>),
}

const ALLOWED: &str = "write `client_ip`, `host`, `route`, `path`, `path:NUMBER`, `header:NAME`, \
                       `cookie:NAME` or `jwt:CLAIM`";

impl Part {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is nothing to count by; {ALLOWED}");
        Ok(match text.split_once(':') {
            None => match text {
                "client_ip" => Self::ClientIp,
                "host" => Self::Host,
                "route" => Self::Route,
                "path" => Self::Path,
                _ => return Err(wrong()),
            },
            Some(("path", number)) => match number.parse() {
                Ok(number @ 1..=64) => Self::Segment(number),
                _ => return Err(format!("`{number}` is no segment of a path; write 1 to 64")),
            },
            Some(("header", name)) if is_token(name) => {
                Self::Header(name.to_ascii_lowercase().into())
            }
            Some(("cookie", name)) if is_token(name) => Self::Cookie(name.into()),
            Some(("jwt", name)) if !name.is_empty() => Self::Claim(name.into()),
            Some(_) => return Err(wrong()),
        })
    }

    /// Adds its value; a part that a request does not have counts as an empty one, so that nobody
    /// escapes a limit by leaving it out.
    #[inline]
    fn add(&self, view: &RequestView<'_>, ipv6_prefix: u8, hash: &mut KeyHash) {
        match self {
            Self::ClientIp => hash.client(view.client.ip, ipv6_prefix),
            Self::Host => hash.text(view.host.as_bytes()),
            Self::Route => hash.text(view.route.as_bytes()),
            Self::Path => hash.text(view.path.as_bytes()),
            Self::Segment(number) => {
                hash.text(view.path.split('/').nth(*number).unwrap_or_default().as_bytes());
            }
            Self::Claim(name) => {
                hash.text(view.client.claims.map_or("", |claims| claims.get(name)).as_bytes());
            }
            Self::Header(name) => {
                view.headers.each(name, &mut |value| hash.text(value));
                hash.end();
            }
            Self::Cookie(name) => {
                let mut is_found = false;
                view.headers.each("cookie", &mut |line| {
                    if let Some(value) = cookie_value(line, name).filter(|_| !is_found) {
                        is_found = true;
                        hash.text(value);
                    }
                });
                hash.end();
            }
        }
    }
}

/// The key that a limit counts by; no part at all = all requests together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LimitKey {
    parts: Box<[Part]>,
    ipv6_prefix: u8,
}

impl LimitKey {
    /// Parses the parts; appends what is wrong to `problems`, with paths below `path`.
    pub(crate) fn compile(
        parts: &[String],
        ipv6_prefix: u8,
        path: &str,
        problems: &mut Vec<(String, String)>,
    ) -> Self {
        let mut found = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            match Part::parse(part) {
                Ok(part) => found.push(part),
                Err(message) => problems.push((format!("{path}.key[{index}]"), message)),
            }
        }
        Self { parts: found.into(), ipv6_prefix }
    }

    /// Reports whether all requests count together.
    pub(crate) fn is_for_all(&self) -> bool {
        self.parts.is_empty()
    }

    /// Returns the key of a request.
    #[inline]
    pub(crate) fn of(&self, view: &RequestView<'_>, seed: Seed) -> Key {
        let mut hash = KeyHash::new(seed);
        for part in &self.parts {
            part.add(view, self.ipv6_prefix, &mut hash);
        }
        hash.finish()
    }
}

#[cfg(test)]
#[path = "limit_key_tests.rs"]
mod tests;
