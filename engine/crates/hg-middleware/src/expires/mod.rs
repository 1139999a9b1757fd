//! `expires`: how long caches may use an answer (RFC 9111 §5.2.2.1, §5.3), as nginx's directive of
//! that name.

use crate::by_status::Statuses;
use crate::headers::Edits;
use crate::step::{Composed, Problems, Step};
use crate::template::Template;
use serde::Deserialize;

/// The options, as they are in the plan.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// Seconds from the answer on.
    after_s: u32,
    /// `max` or `past`, in place of a time from the answer on; empty = none.
    fixed: String,
}

/// The answers that get the lines: those that nginx gives them (`ngx_http_headers_filter`).
const STATUSES: [(u16, u16); 6] =
    [(200, 200), (201, 201), (204, 204), (206, 206), (301, 304), (307, 308)];

const EXPIRES: &str = "expires";
const CACHE_CONTROL: &str = "cache-control";

/// nginx's words for ten years, and for a time before any answer.
const MAX: (&str, &str) = ("Thu, 31 Dec 2037 23:55:55 GMT", "max-age=315360000");
const PAST: (&str, &str) = ("Thu, 01 Jan 1970 00:00:01 GMT", "no-cache");

/// The two lines, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Expires(Edits);

impl Step for Expires {
    type Options = Options;
    const RUNS: bool = false;

    fn compile(options: &Options, problems: &mut Problems) -> Option<Self> {
        let mut edits = Edits::default();
        let mut fixed = |(date, rule): (&str, &str)| {
            edits.set(EXPIRES, Template::text(date));
            edits.set(CACHE_CONTROL, Template::text(rule));
        };
        match &*options.fixed {
            "" => {
                edits.set_moment(EXPIRES, options.after_s);
                let rule = format!("max-age={}", options.after_s);
                edits.set(CACHE_CONTROL, Template::text(&rule));
            }
            "max" => fixed(MAX),
            "past" => fixed(PAST),
            other => {
                let message = format!("`{other}` is not a time; write `max` or `past`");
                problems.push(("expires.fixed".into(), message));
                return None;
            }
        }
        edits.limit_to(Statuses::from(STATUSES));
        Some(Self(edits))
    }

    fn edits(&self) -> Composed<'_> {
        Composed { response: Some(&self.0), ..Composed::default() }
    }
}

#[cfg(test)]
mod tests;
