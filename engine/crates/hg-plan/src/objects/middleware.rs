//! Middlewares.

use serde::Deserialize;
use std::collections::BTreeMap;

/// A middleware in a chain: named or inline. Canonical JSON: `{"use":"name"}` or the middleware.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MiddlewareUse {
    /// By name.
    Use(String),
    /// See [`Middleware::Rewrite`].
    Rewrite(Rewrite),
    /// See [`Middleware::Redirect`].
    Redirect(Redirect),
    /// See [`Middleware::RequestHeaders`].
    RequestHeaders(HeaderEdits),
    /// See [`Middleware::ResponseHeaders`].
    ResponseHeaders(HeaderEdits),
    /// See [`Middleware::Respond`].
    Respond(Respond),
}

/// A named middleware.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Middleware {
    /// Change path and host before forwarding.
    Rewrite(Rewrite),
    /// Answer with a redirect.
    Redirect(Redirect),
    /// Edit the request's headers.
    RequestHeaders(HeaderEdits),
    /// Edit the response's headers.
    ResponseHeaders(HeaderEdits),
    /// Answer by itself.
    Respond(Respond),
}

/// How a path is rewritten.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewrite {
    /// The path's part; absent = only the host.
    #[serde(default)]
    pub path: Option<PathRewrite>,
    /// The new Host; a template.
    #[serde(default)]
    pub host: Option<String>,
}

/// The path's part of a rewrite.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PathRewrite {
    /// Remove this prefix (whole segments) where it stands.
    StripPrefix(String),
    /// Put this in place of the prefix the route matched.
    Prefix(String),
    /// The whole path; a template.
    Path(String),
    /// Replace what the regex matches (whole path) by the replacement (`$1`, `${name}`).
    Regex {
        /// Pattern, anchored on both sides.
        pattern: String,
        /// Replacement.
        with: String,
    },
}

/// Where a redirect leads; what is absent stays as it was.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// `http` or `https`; without a port the scheme's own is meant.
    #[serde(default)]
    pub scheme: Option<String>,
    /// A template.
    #[serde(default)]
    pub host: Option<String>,
    /// 1 to 65535.
    #[serde(default)]
    pub port: Option<u16>,
    /// The whole path; a template.
    #[serde(default)]
    pub path: Option<String>,
    /// In place of the prefix the route matched.
    #[serde(default)]
    pub prefix: Option<String>,
}

/// Header edits; `set` replaces, `add` appends, `remove` deletes; in the order remove, set, add.
/// Names are lower case; values are templates.
#[derive(Clone, Debug, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderEdits {
    /// Replaced or made.
    pub set: BTreeMap<String, String>,
    /// Added beside what is there.
    pub add: BTreeMap<String, String>,
    /// Removed.
    pub remove: Vec<String>,
}

/// An answer of our own.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Respond {
    /// 200 to 599.
    pub status: u16,
    /// A template; `content-type: text/plain; charset=utf-8` unless `headers` says otherwise.
    #[serde(default)]
    pub body: String,
    /// By lower-case name; values are templates.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}
