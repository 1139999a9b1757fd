//! Middlewares.

use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A middleware, opaque to the plan: its kind and its options. Canonical JSON: `{kind: options}`.
/// `hg-middleware` knows the kinds and what their options mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Middleware {
    kind: Box<str>,
    /// Canonical JSON.
    options: Box<str>,
}

impl Middleware {
    /// Returns the word of its kind, which may be one that nobody knows.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Returns its options as canonical JSON.
    pub fn text(&self) -> &str {
        &self.options
    }

    /// Reads its options.
    ///
    /// # Errors
    /// Returns what is wrong with them, without a position.
    pub fn options<T: DeserializeOwned>(&self) -> Result<T, String> {
        super::opaque::read(&self.options)
    }
}

impl<'de> Deserialize<'de> for Middleware {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_map(One)? {
            MiddlewareUse::Inline(middleware) => Ok(middleware),
            MiddlewareUse::Use(_) => Err(D::Error::custom("a middleware cannot be a name")),
        }
    }
}

/// A middleware in a chain: named or inline. Canonical JSON: `{"use":"name"}` or the middleware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MiddlewareUse {
    /// A middleware by name.
    Use(String),
    /// A middleware in its place.
    Inline(Middleware),
}

impl<'de> Deserialize<'de> for MiddlewareUse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(One)
    }
}

/// Reads a table of exactly one key.
struct One;

impl<'de> Visitor<'de> for One {
    type Value = MiddlewareUse;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a table with one key, the kind of a middleware")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some(kind) = map.next_key::<String>()? else {
            return Err(A::Error::custom("the middleware is empty"));
        };
        let found = if kind == "use" {
            MiddlewareUse::Use(map.next_value()?)
        } else {
            let options: Box<RawValue> = map.next_value()?;
            MiddlewareUse::Inline(Middleware { kind: kind.into(), options: options.into() })
        };
        match map.next_key::<String>()? {
            Some(other) => {
                Err(A::Error::custom(format!("a middleware has one kind; `{other}` is a second")))
            }
            None => Ok(found),
        }
    }
}

/// The rewrite of a request.
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

/// The rewrite of a path.
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
