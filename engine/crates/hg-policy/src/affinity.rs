//! Affinity: a cookie names the endpoint that answered a client first.

use crate::cookie::{Cookie, Named};
use crate::hash_seeded;
use std::collections::HashMap;

/// Names one endpoint of one upstream in a cookie, as 16 hexadecimal digits: the XXH64 of its
/// identity, seeded with that of the upstream's name. It is the same on every node, and does not
/// depend on the other endpoints. It hides the address from who cannot guess it, and is no secret.
pub type Token = u64;

/// Returns the token of an endpoint, by the upstream's name and its own identity.
pub fn token(upstream: &str, identity: &str) -> Token {
    hash_seeded(identity.as_bytes(), crate::hash_key(upstream.as_bytes()))
}

/// The cookie of one upstream, and what its values mean.
#[derive(Clone, Debug)]
pub struct Affinity {
    cookie: Cookie,
    slots: HashMap<Token, usize>,
}

impl Affinity {
    /// Makes the cookie of an upstream. `identities` are those of its endpoints, in their order; of
    /// two that are equal the first takes the requests of both.
    pub fn new<'a>(
        plan: &hg_plan::Affinity,
        upstream: &str,
        identities: impl Iterator<Item = &'a str>,
    ) -> Self {
        let mut slots = HashMap::new();
        for (slot, identity) in identities.enumerate() {
            slots.entry(token(upstream, identity)).or_insert(slot);
        }
        Self { cookie: Cookie::new(plan, &["affinity", upstream]), slots }
    }

    /// Adds what one `Cookie` line of a request says to what the lines before it said; `unix_s` is
    /// the time. A cookie that names an endpoint of the upstream counts before any other.
    pub fn read(&self, line: &[u8], named: &mut Named, unix_s: impl Fn() -> u64) {
        self.cookie.read(line, named, unix_s, |token| self.slots.contains_key(&token));
    }

    /// Returns the endpoint that a token names, by its index; `None` if it has left the upstream.
    pub fn slot(&self, token: Token) -> Option<usize> {
        self.slots.get(&token).copied()
    }

    /// Writes the value of `Set-Cookie` (RFC 6265 §4.1.1) that names an endpoint. `is_tls`: whether
    /// the client came over TLS, which decides about `Secure` unless the config does.
    pub fn write_cookie(
        &self,
        token: Token,
        is_tls: bool,
        unix_s: impl FnOnce() -> u64,
        out: &mut Vec<u8>,
    ) {
        self.cookie.write(token, is_tls, unix_s, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn affinity(plan: &str, endpoints: &[&str]) -> Affinity {
        Affinity::new(&serde_json::from_str(plan).unwrap(), "shop", endpoints.iter().copied())
    }

    fn named(of: &Affinity, line: &str) -> Option<Token> {
        let mut named = Named::Nothing;
        of.read(line.as_bytes(), &mut named, || 1_000);
        named.token()
    }

    fn written(of: &Affinity, identity: &str) -> String {
        let mut out = Vec::new();
        of.write_cookie(token("shop", identity), false, || 1_000, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let endpoints = ["10.0.0.1:80", "10.0.0.2:80", "a.test:80 10.0.0.3:80"];
        let of = affinity(r#"{"cookie":"at"}"#, &endpoints);
        for (slot, identity) in endpoints.into_iter().enumerate() {
            let cookie = written(&of, identity);
            let line = format!("a=b; {}", cookie.split(';').next().unwrap());
            assert_eq!(named(&of, &line).and_then(|token| of.slot(token)), Some(slot));
        }
    }

    #[test]
    fn a_cookie_of_an_endpoint_that_left_stands_back_behind_one_that_is_there() {
        let before = affinity(r#"{"cookie":"at"}"#, &["a:1", "b:1"]);
        let now = affinity(r#"{"cookie":"at"}"#, &["b:1"]);
        let [left, there] = ["a:1", "b:1"]
            .map(|identity| written(&before, identity).split(';').next().unwrap().to_owned());
        for line in [format!("{left}; {there}"), format!("{there}; {left}")] {
            assert_eq!(named(&now, &line), Some(token("shop", "b:1")), "{line}");
        }
        assert_eq!(named(&now, &left), Some(token("shop", "a:1")));
    }

    #[test]
    fn a_token_stays_while_other_endpoints_come_and_go() {
        let of = |all: &[&str]| affinity(r#"{"cookie":"at"}"#, all);
        let own = token("shop", "b:1");
        assert_eq!(of(&["a:1", "b:1"]).slot(own), Some(1));
        assert_eq!(of(&["c:1", "b:1", "a:1"]).slot(own), Some(1));
        assert_eq!(of(&["a:1"]).slot(own), None);
        assert_ne!(token("blog", "b:1"), own, "another upstream");
    }
}
