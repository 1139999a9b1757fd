//! Words of explanations that stand for what only a request brings. They are made of letters, digits
//! and hyphens, so that they pass wherever a template may stand: in paths, hosts and header lines.

use crate::view::Rewritten;

/// What stands for the id of a request.
pub const REQUEST_ID: &str = "REQUEST-ID";

/// Returns what stands for a claim: `JWT-SUB`.
pub(crate) fn of_claim(name: &str) -> Box<str> {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '-' };
    format!("JWT-{}", name.chars().map(letter).collect::<String>()).into()
}

/// Returns the words that a text has, each with its variable (`${jwt:sub}`).
#[must_use]
pub fn presumed_in(text: &str, out: &Rewritten) -> Vec<(Box<str>, String)> {
    let claims = out.claims();
    let claims = claims.iter().flat_map(|claims| claims.names());
    let claims = claims.map(|name| (of_claim(name), format!("${{jwt:{name}}}")));
    let id = (REQUEST_ID.into(), "${request_id}".to_owned());
    std::iter::once(id).chain(claims).filter(|(word, _)| text.contains(&**word)).collect()
}

#[cfg(test)]
#[path = "presumed_tests.rs"]
mod tests;
