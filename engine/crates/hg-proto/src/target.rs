//! The request target (RFC 9112 §3.2).

use crate::host;
use crate::reject::{Reject, rejects};
use crate::types::Method;

/// Scheme of an absolute-form target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`, default port 80.
    Http,
    /// `https`, default port 443.
    Https,
}

impl Scheme {
    /// Returns 80 or 443.
    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// The form of the target. Path and query are in [`crate::RequestHead`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'b> {
    /// `/path?query`
    Origin,
    /// `http://authority/path?query`; the authority is equal to Host.
    Absolute {
        /// Scheme as written.
        scheme: Scheme,
        /// `host[:port]` as written; a valid host.
        authority: &'b str,
    },
    /// `*`, accepted with OPTIONS only. The path is `*`.
    Asterisk,
}

/// A target split into its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Split<'b> {
    pub form: Target<'b>,
    pub path: &'b str,
    pub query: Option<&'b str>,
}

/// RFC 3986 characters of path and query, `%`, and those that clients send although the RFC forbids
/// them: `{ } | ^ " < >` and the backtick (they are forwarded percent-encoded).
const ALLOWED: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0x21;
    while b < 0x7f {
        table[b as usize] = !matches!(b, b'#' | b'\\' | b'[' | b']');
        b += 1u8;
    }
    // The grammar of path and query excludes these too, but every browser sends them unencoded.
    table[b'[' as usize] = true;
    table[b']' as usize] = true;
    table
};

/// Splits the target of `method` and checks its form and bytes.
#[inline]
pub(crate) fn split<'b>(target: &'b str, method: &Method<'_>) -> Result<Split<'b>, Reject> {
    if let Some(&bad) = target.as_bytes().iter().find(|&&b| !allowed(b)) {
        return Err(if bad == b'#' { rejects::TARGET_FRAGMENT } else { rejects::TARGET });
    }
    if target.starts_with('/') {
        let (path, query) = path_and_query(target);
        return Ok(Split { form: Target::Origin, path, query });
    }
    if target == "*" {
        return match method {
            Method::Options => Ok(Split { form: Target::Asterisk, path: target, query: None }),
            _ => Err(rejects::TARGET_FORM),
        };
    }
    absolute(target, method)
}

#[inline]
fn allowed(b: u8) -> bool {
    ALLOWED.get(usize::from(b)).copied().unwrap_or(false)
}

#[inline]
fn path_and_query(text: &str) -> (&str, Option<&str>) {
    match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    }
}

fn absolute<'b>(target: &'b str, method: &Method<'_>) -> Result<Split<'b>, Reject> {
    let has =
        |prefix: &str| target.get(..prefix.len()).is_some_and(|p| p.eq_ignore_ascii_case(prefix));
    let (scheme, rest) = if has("http://") {
        (Scheme::Http, target.get(7..))
    } else if has("https://") {
        (Scheme::Https, target.get(8..))
    } else {
        return Err(rejects::TARGET_FORM);
    };
    let rest = rest.unwrap_or_default();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if host::split(authority).is_none() {
        return Err(rejects::TARGET);
    }
    let (path, query) = path_and_query(tail);
    // RFC 9112 §3.2.4: OPTIONS without a path means the server as a whole.
    let path = match (path, query, method) {
        ("", None, Method::Options) => "*",
        ("", _, _) => "/",
        (path, _, _) => path,
    };
    Ok(Split { form: Target::Absolute { scheme, authority }, path, query })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(target: &str) -> Result<(&str, Option<&str>), &'static str> {
        split(target, &Method::Get).map(|s| (s.path, s.query)).map_err(|r| r.code)
    }

    #[test]
    fn targets_are_taken_apart() {
        assert_eq!(get("/"), Ok(("/", None)));
        assert_eq!(get("/a?b?c"), Ok(("/a", Some("b?c"))));
        assert_eq!(get("/a?"), Ok(("/a", Some(""))));
        assert_eq!(get("http://h"), Ok(("/", None)));
        assert_eq!(get("HTTPS://h:1?x"), Ok(("/", Some("x"))));
        assert_eq!(get("http://h/p?x"), Ok(("/p", Some("x"))));
        assert_eq!(get("/{a}|^\"<>`[]"), Ok(("/{a}|^\"<>`[]", None)));
    }

    #[test]
    fn other_forms_and_bytes_are_refused() {
        for (target, code) in [
            ("/a#b", "target-fragment"),
            ("/a\\b", "target"),
            ("/ä", "target"),
            ("*", "target-form"),
            ("a", "target-form"),
            ("h:80", "target-form"),
            ("ftp://h/", "target-form"),
            ("http:/h", "target-form"),
            ("http:///", "target"),
            ("http://u@h/", "target"),
            ("http://h:x/", "target"),
            ("?a", "target-form"),
            ("//\u{7f}", "target"),
        ] {
            assert_eq!(get(target), Err(code), "{target}");
        }
    }

    #[test]
    fn options_may_mean_the_whole_server() {
        assert_eq!(split("*", &Method::Options).map(|s| s.path), Ok("*"));
        assert_eq!(split("http://h", &Method::Options).map(|s| s.path), Ok("*"));
        assert_eq!(split("http://h/", &Method::Options).map(|s| s.path), Ok("/"));
    }
}
