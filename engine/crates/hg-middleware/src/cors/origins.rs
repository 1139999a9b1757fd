//! Origins (RFC 6454 §6.1) that a `cors` allows.

use crate::patterns::whole;
use regex_automata::meta::Regex;

/// The origins that are allowed.
#[derive(Clone, Debug)]
pub(super) enum Origins {
    /// Everyone's, without credentials: the answer does not depend on the request.
    Any,
    /// Those of a list.
    Some(Vec<Origin>),
}

/// One entry of the list.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    Exact(Box<str>),
    /// `https://*.example.com:8443`: what stands before the star, and what stands after it.
    Below(Box<str>, Box<str>),
    Matching(Regex),
}

impl Origins {
    /// Checks and compiles; appends what is wrong to `problems`.
    pub(super) fn compile(
        texts: &[String],
        patterns: &[String],
        problems: &mut Vec<(String, String)>,
    ) -> Self {
        if texts.iter().any(|text| text == "*") {
            return Self::Any;
        }
        let mut origins: Vec<_> = texts.iter().map(|text| Origin::of(text)).collect();
        for (index, pattern) in patterns.iter().enumerate() {
            match whole(pattern) {
                Ok(regex) => origins.push(Origin::Matching(regex)),
                Err(message) => problems.push((format!("cors.patterns[{index}]"), message)),
            }
        }
        Self::Some(origins)
    }

    /// Reports whether an origin, as a browser sends it, is allowed.
    pub(super) fn allow(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Some(list) => std::str::from_utf8(origin)
                .is_ok_and(|origin| list.iter().any(|one| one.is(origin))),
        }
    }
}

impl Origin {
    fn of(text: &str) -> Self {
        match text.split_once("://*.") {
            Some((scheme, host)) => {
                Self::Below(format!("{scheme}://").into(), format!(".{host}").into())
            }
            None => Self::Exact(text.into()),
        }
    }

    fn is(&self, origin: &str) -> bool {
        match self {
            Self::Exact(text) => **text == *origin,
            Self::Below(before, after) => origin
                .strip_prefix(&**before)
                .and_then(|rest| rest.strip_suffix(&**after))
                .is_some_and(are_labels),
            Self::Matching(regex) => regex.is_match(origin),
        }
    }
}

/// Reports whether a text can be the labels of a host below another, as browsers write them.
fn are_labels(text: &str) -> bool {
    let is_of_label =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    text.split('.').all(|label| !label.is_empty() && label.bytes().all(is_of_label))
}

#[cfg(test)]
#[path = "origins_tests.rs"]
mod tests;
