//! The key that a hashing policy hashes, and its place in a request.

use crate::{hash_client, hash_key};
use hg_route::cookie_value;
use std::net::IpAddr;

/// The source of the key of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The client's address (see [`crate::hash_client`]).
    ClientIp,
    /// The value of this header, lower-case name; its first line.
    Header(Box<str>),
    /// The value of this cookie (see [`hg_route::cookie_value`]).
    Cookie(Box<str>),
    /// The normalised path, without the query.
    Path,
}

impl KeySource {
    /// Parses `client_ip`, `header:NAME`, `cookie:NAME` or `path`.
    ///
    /// # Errors
    /// Returns a sentence that says what is wrong and what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let named = |name: &str, what: &str| {
            if !name.is_empty() && name.bytes().all(is_token) {
                return Ok(Box::from(name));
            }
            Err(format!("`{name}` is not a {what} name; write letters, digits and !#$%&'*+-.^_`|~"))
        };
        match text.split_once(':') {
            None if text == "client_ip" => Ok(Self::ClientIp),
            None if text == "path" => Ok(Self::Path),
            Some(("header", name)) => {
                Ok(Self::Header(named(&name.to_ascii_lowercase(), "header")?))
            }
            Some(("cookie", name)) => Ok(Self::Cookie(named(name, "cookie")?)),
            _ => Err(format!(
                "`{text}` is not a key; write `client_ip`, `header:NAME`, `cookie:NAME` and \
                 `path`"
            )),
        }
    }
}

impl KeySource {
    /// Returns the key of one request; `None` if it has no such header or cookie. `lines` calls its
    /// second argument with each header line of a lower-case name, as `hg_route::Headers::each`
    /// does.
    pub fn hash(
        &self,
        client: IpAddr,
        path: &str,
        lines: impl FnOnce(&str, &mut dyn FnMut(&[u8])),
    ) -> Option<u64> {
        let mut found = None;
        match self {
            Self::ClientIp => return Some(hash_client(client)),
            Self::Path => return Some(hash_key(path.as_bytes())),
            Self::Header(name) => lines(name, &mut |value| {
                found.get_or_insert_with(|| hash_key(value));
            }),
            Self::Cookie(name) => lines("cookie", &mut |line| {
                found = found.or_else(|| cookie_value(line, name).map(hash_key));
            }),
        }
        found
    }
}

/// Characters of a token: `tchar` of RFC 9110 §5.6.2. Cookie names are tokens, too (RFC 6265
/// §4.1.1).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_parses() {
        assert_eq!(KeySource::parse("client_ip"), Ok(KeySource::ClientIp));
        assert_eq!(KeySource::parse("path"), Ok(KeySource::Path));
        assert_eq!(KeySource::parse("header:X-User"), Ok(KeySource::Header("x-user".into())));
        assert_eq!(KeySource::parse("cookie:SID"), Ok(KeySource::Cookie("SID".into())));
    }

    #[test]
    fn a_wrong_source_says_what_is_allowed() {
        for wrong in ["", "ip", "client_ip:", "path:x", "Header:x"] {
            let message = KeySource::parse(wrong).unwrap_err();
            assert!(message.contains("`cookie:NAME`"), "{message}");
        }
        for wrong in ["header:", "header:a b", "cookie:a=b", "cookie:"] {
            let message = KeySource::parse(wrong).unwrap_err();
            assert!(message.contains("name; write letters"), "{message}");
        }
    }

    #[test]
    fn the_key_of_a_request_is_found_where_the_source_says() {
        let client = IpAddr::from([192, 0, 2, 7]);
        let lines = [("x-user", "ada"), ("x-user", "bob"), ("cookie", "a=1"), ("cookie", "sid=7")];
        let key = |source: &str| {
            KeySource::parse(source).unwrap().hash(client, "/p", |name, line| {
                lines.iter().filter(|l| l.0 == name).for_each(|l| line(l.1.as_bytes()));
            })
        };
        assert_eq!(key("client_ip"), Some(hash_client(client)));
        assert_eq!(key("path"), Some(hash_key(b"/p")));
        assert_eq!(key("header:X-User"), Some(hash_key(b"ada")));
        assert_eq!(key("cookie:sid"), Some(hash_key(b"7")));
        assert_eq!((key("header:none"), key("cookie:none")), (None, None));
    }
}
