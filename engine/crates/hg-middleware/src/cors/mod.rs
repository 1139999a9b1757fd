//! `cors`: which pages of other origins may read an answer (Fetch standard §3.2).
//!
//! Preflights are answered here; every other request goes on, and its answer says to whose pages it
//! may be shown. What the endpoint says of that itself is removed: browsers refuse two answers to
//! one question.

mod origins;

use crate::context::Place;
use crate::headers::Edits;
use crate::keep::Results;
use crate::step::{Composed, Flow, Problems, Run, Step};
use crate::template::{Template, Value};
use crate::view::{Answer, RequestView};
use hg_proto::Reject;
use hg_route::Headers;
use origins::Origins;
use serde::Deserialize;
use std::sync::Arc;

/// Options in the plan.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// `scheme://host[:port]`, with `*.` before the host for the names below it; `null`; `*`.
    pub(crate) origins: Vec<String>,
    /// Expressions for whole origins.
    pub(crate) patterns: Vec<String>,
    /// Methods that pages may use; `*` = any.
    pub(crate) methods: Vec<String>,
    /// Names of request headers that pages may set, in lower case; `*` = any.
    pub(crate) headers: Vec<String>,
    /// Names of headers of the answer that pages may read; `*` = any.
    pub(crate) expose: Vec<String>,
    /// True if pages may send cookies and other credentials along.
    pub(crate) credentials: bool,
    /// The time for which browsers keep the answer to a preflight, in seconds.
    pub(crate) max_age_s: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            patterns: Vec::new(),
            methods: ["GET", "HEAD", "POST"].map(String::from).into(),
            headers: Vec::new(),
            expose: Vec::new(),
            credentials: false,
            max_age_s: 600,
        }
    }
}

/// Longest `Access-Control-Request-Headers` that is sent back, in bytes.
const MOST_ASKED: usize = 1024;

const ALLOW_ORIGIN: &str = "access-control-allow-origin";
const ALLOW_CREDENTIALS: &str = "access-control-allow-credentials";
const EXPOSE_HEADERS: &str = "access-control-expose-headers";

/// A `cors`, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Cors {
    origins: Arc<Origins>,
    edits: Edits,
    /// `None` = any.
    methods: Option<Box<str>>,
    headers: Option<Box<str>>,
    max_age_s: u32,
    results: Option<Arc<Results>>,
}

const RESULTS: &[&str] = &["pass", "preflight", "refused"];
/// It is no preflight, whatever page it comes from.
const PASS: usize = 0;
const PREFLIGHT: usize = 1;
/// A preflight of an origin that is not allowed.
const REFUSED: usize = 2;

impl Step for Cors {
    type Options = Options;
    const COUNTS: bool = true;

    fn compile(options: &Options, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        check(options, problems);
        let origins = Arc::new(Origins::compile(&options.origins, &options.patterns, problems));
        (problems.len() == before).then(|| Self {
            edits: edits(options, &origins),
            origins,
            methods: joined(&options.methods),
            headers: joined(&options.headers),
            max_age_s: options.max_age_s,
            results: None,
        })
    }

    fn bind(&mut self, place: &Place<'_>) {
        self.results = Some(place.results(RESULTS));
    }

    fn edits(&self) -> Composed<'_> {
        Composed { response: Some(&self.edits), ..Composed::default() }
    }

    fn request(&self, run: &mut Run<'_, '_, '_>) -> Result<Flow, Reject> {
        let results = self.results.as_deref();
        let Some(asked) = Preflight::of(run.view) else {
            run.count(results, PASS);
            return Ok(Flow::Next);
        };
        self.answer(&asked, &mut run.out.answer);
        run.count(results, if run.out.answer.status == 204 { PREFLIGHT } else { REFUSED });
        Ok(Flow::Answer)
    }
}

impl Cors {
    /// Fills in the answer to a preflight; whose pages it is for say the edits, as for any answer.
    fn answer(&self, asked: &Preflight, answer: &mut Answer) {
        let mut line = |name: &str, value: &[u8]| {
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                answer.headers.extend_from_slice(part);
            }
        };
        if !asked.origin.as_deref().is_some_and(|origin| self.origins.allow(origin)) {
            line("content-type", b"text/plain; charset=utf-8");
            (answer.status, answer.refusal) = (403, "cors-origin");
            answer.body.extend_from_slice(b"403 Forbidden\nthis origin is not allowed here\n");
            return;
        }
        answer.status = 204;
        let methods = self.methods.as_deref().map_or(&*asked.method, str::as_bytes);
        line("access-control-allow-methods", methods);
        let headers = self.headers.as_deref().map_or(&*asked.headers, str::as_bytes);
        if !headers.is_empty() {
            line("access-control-allow-headers", headers);
        }
        let mut number = itoa::Buffer::new();
        line("access-control-max-age", number.format(self.max_age_s).as_bytes());
    }
}

/// The question that a browser asks before a request.
struct Preflight {
    /// `None` if there are several.
    origin: Option<Vec<u8>>,
    method: Vec<u8>,
    /// Empty if it is not a list of names, or too long to be sent back.
    headers: Vec<u8>,
}

impl Preflight {
    /// Returns the question if the request is one (Fetch standard §3.2.2): an OPTIONS with `Origin`
    /// and `Access-Control-Request-Method`.
    fn of(view: &RequestView<'_>) -> Option<Self> {
        if view.method != "OPTIONS" {
            return None;
        }
        let (method, _) = first(view.headers, "access-control-request-method")?;
        let (origin, is_one) = first(view.headers, "origin")?;
        let asked = first(view.headers, "access-control-request-headers");
        let headers = asked.map(|(value, _)| value).filter(|value| are_names(value));
        let method = if is_token(&method) { method } else { Vec::new() };
        Some(Self {
            origin: is_one.then_some(origin),
            method,
            headers: headers.unwrap_or_default(),
        })
    }
}

/// Returns the value of the first line of that name, and whether it is the only one.
fn first(headers: &dyn Headers, name: &str) -> Option<(Vec<u8>, bool)> {
    let mut found: Option<(Vec<u8>, bool)> = None;
    headers.each(name, &mut |value| match &mut found {
        None => found = Some((value.to_vec(), true)),
        Some((_, is_one)) => *is_one = false,
    });
    found
}

fn is_token(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(crate::variables::is_token)
}

fn are_names(list: &[u8]) -> bool {
    list.len() <= MOST_ASKED && list.split(|b| *b == b',').all(|name| is_token(name.trim_ascii()))
}

/// Returns a list as browsers read it; `None` if it is `*`.
fn joined(names: &[String]) -> Option<Box<str>> {
    (!names.iter().any(|name| name == "*")).then(|| names.join(", ").into())
}

/// The value for a request of an allowed origin: a text, or its origin. Other requests get nothing.
#[derive(Debug)]
struct Granted(Arc<Origins>, Option<Box<str>>);

impl Value for Granted {
    fn append(&self, view: &RequestView<'_>, out: &mut Vec<u8>) {
        if let Some((origin, true)) = first(view.headers, "origin")
            && self.0.allow(&origin)
        {
            out.extend_from_slice(self.1.as_deref().map_or(&*origin, str::as_bytes));
        }
    }
}

/// Returns the lines that every answer gets.
fn edits(options: &Options, origins: &Arc<Origins>) -> Edits {
    let mut edits = Edits::default();
    for name in [ALLOW_ORIGIN, ALLOW_CREDENTIALS, EXPOSE_HEADERS] {
        edits.remove(name);
    }
    let granted = |text: Option<&str>| match **origins {
        Origins::Any => Template::text(text.unwrap_or("*")),
        Origins::Some(_) => Template::made(Granted(Arc::clone(origins), text.map(Into::into))),
    };
    edits.set(ALLOW_ORIGIN, granted(None));
    if matches!(**origins, Origins::Some(_)) {
        // Also without an origin: a cache must not give that answer to a page.
        edits.add("vary", Template::text("Origin"));
    }
    if options.credentials {
        edits.set(ALLOW_CREDENTIALS, granted(Some("true")));
    }
    if !options.expose.is_empty() {
        edits.set(EXPOSE_HEADERS, granted(Some(&options.expose.join(", "))));
    }
    edits
}

/// Appends what is wrong with the options together.
fn check(options: &Options, problems: &mut Problems) {
    let mut wrong =
        |key: &str, message: &str| problems.push((format!("cors.{key}"), message.into()));
    if options.origins.is_empty() && options.patterns.is_empty() {
        wrong("origins", "no origin is allowed; write at least one, or `*`");
    }
    if options.methods.is_empty() {
        wrong("methods", "no method is allowed; write at least one, or `*`");
    }
    if options.credentials {
        if options.origins.iter().any(|origin| origin == "*") {
            wrong("origins", "browsers take no credentials with `*`; write the origins");
        }
        if options.origins.iter().any(|origin| origin == "null") {
            wrong(
                "origins",
                "any page can be of the origin `null`; leave it out, or the credentials",
            );
        }
        if options.expose.iter().any(|name| name == "*") {
            wrong("expose", "with credentials `*` is a name; write the names");
        }
    }
    let is_name = |name: &String| crate::variables::is_token(name);
    for (key, names) in
        [("methods", &options.methods), ("headers", &options.headers), ("expose", &options.expose)]
    {
        if let Some(name) = names.iter().find(|name| !is_name(name)) {
            wrong(key, &format!("`{name}` is not a name; write letters, digits and hyphens"));
        }
    }
}

#[cfg(test)]
mod tests;
