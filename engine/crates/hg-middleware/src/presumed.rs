//! Words of explanations that stand for what only a request brings. They are made of letters, digits
//! and hyphens, so that they pass wherever a template may stand: in paths, hosts and header lines.

use crate::view::Rewritten;

/// The text that stands for the id of a request.
pub const REQUEST_ID: &str = "REQUEST-ID";

/// The text that stands for the name that a client asked for in its TLS handshake.
pub const SNI: &str = "TLS-SNI";

/// The text that stands for the version of TLS that was agreed on.
pub const TLS_VERSION: &str = "TLS-VERSION";

/// The text that stands for the upstream that a weighted split chooses.
pub const UPSTREAM: &str = "SPLIT-UPSTREAM";

/// The text that stands for the owner of a password, or of a key.
pub(crate) const USER: &str = "BASIC-AUTH-USER";
pub(crate) const KEY: &str = "API-KEY-CLIENT";

/// The text that stands for a value that an authorisation service answers.
pub(crate) const AUTHORISED: &str = "FORWARD-AUTH";

/// The words, each with what it stands for.
const WORDS: &[(&str, &str)] = &[
    (REQUEST_ID, "${request_id}"),
    (SNI, "${sni}"),
    (TLS_VERSION, "${tls_version}"),
    (UPSTREAM, "${upstream}"),
    (USER, "the name of the user"),
    (KEY, "the name of the key"),
    (AUTHORISED, "what the authorisation service answers"),
];

/// Returns what stands for a claim: `JWT-SUB`.
pub(crate) fn of_claim(name: &str) -> Box<str> {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '-' };
    format!("JWT-{}", name.chars().map(letter).collect::<String>()).into()
}

/// Returns the words that a text has, each with what it stands for (`${jwt:sub}`).
#[must_use]
pub fn presumed_in(text: &str, out: &Rewritten) -> Vec<(Box<str>, String)> {
    let claims = out.claims();
    let claims = claims.iter().flat_map(|claims| claims.names());
    let claims = claims.map(|name| (of_claim(name), format!("${{jwt:{name}}}")));
    let words = WORDS.iter().map(|(word, of)| (Box::from(*word), (*of).to_owned()));
    words.chain(claims).filter(|(word, _)| text.contains(&**word)).collect()
}

#[cfg(test)]
#[path = "presumed_tests.rs"]
mod tests;
