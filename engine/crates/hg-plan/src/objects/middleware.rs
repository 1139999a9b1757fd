//! Middlewares.

use serde::Deserialize;
use std::collections::BTreeMap;

/// A middleware in a chain: named or inline. Canonical JSON: `{"use":"name"}` or the middleware.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MiddlewareUse {
    /// A middleware by name.
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
    /// Answer instead of an upstream.
    Respond(Respond),
}

/// How to rewrite a request.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewrite {
    /// The rewrite of the path; absent = only the host.
    #[serde(default)]
    pub path: Option<PathRewrite>,
    /// The new Host; a template.
    #[serde(default)]
    pub host: Option<String>,
}

/// How to rewrite a path.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PathRewrite {
    /// Remove this prefix (whole segments) if the path begins with it.
    StripPrefix(String),
    /// Replace the prefix that the route matched with this one.
    Prefix(String),
    /// Replace the whole path; a template.
    Path(String),
    /// Replace what the regex matches (whole path) with the replacement (`$1`, `${name}`).
    Regex {
        /// Pattern, anchored on both sides.
        pattern: String,
        /// Replacement.
        with: String,
    },
}

/// The target of a redirect; parts that are absent stay as they were.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// `http` or `https`; without a port it means the scheme's own port.
    #[serde(default)]
    pub scheme: Option<String>,
    /// The new host; a template.
    #[serde(default)]
    pub host: Option<String>,
    /// The new port, 1 to 65535.
    #[serde(default)]
    pub port: Option<u16>,
    /// The whole new path; a template.
    #[serde(default)]
    pub path: Option<String>,
    /// A prefix that replaces the one the route matched.
    #[serde(default)]
    pub prefix: Option<String>,
}

/// Header edits; `set` replaces, `add` appends, `remove` deletes; in the order remove, set, add.
/// Names are lower case; values are templates.
#[derive(Clone, Debug, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderEdits {
    /// Headers to replace or make.
    pub set: BTreeMap<String, String>,
    /// Headers to add to those that are there.
    pub add: BTreeMap<String, String>,
    /// Headers to remove.
    pub remove: Vec<String>,
}

/// An answer of the node itself.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Respond {
    /// Status, 200 to 599.
    pub status: u16,
    /// The body, a template; `content-type: text/plain; charset=utf-8` unless `headers` sets
    /// another.
    #[serde(default)]
    pub body: String,
    /// Headers by lower-case name; values are templates.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}
