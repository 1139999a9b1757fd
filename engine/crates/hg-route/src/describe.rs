//! Conditions in words: what each requires and whether a request meets it.

use crate::certificate::Misfit;
use crate::compiled::PathRule;
use crate::condition::{CertificateRule, Part, ValueRule, read_header, read_parameter};
use crate::cookie::read_cookie;
use crate::query::{CLIENT_SUBJECT, Query};
use crate::scratch::Tools;

/// The kind of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionKind {
    /// The route's hosts.
    Host,
    /// The route's listeners.
    Listener,
    /// The path.
    Path,
    /// The method.
    Method,
    /// The client's address.
    Client,
    /// A query parameter.
    Query,
    /// A header.
    Header,
    /// A cookie.
    Cookie,
}

impl ConditionKind {
    /// Returns its stable word, for JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            ConditionKind::Host => "host",
            ConditionKind::Listener => "listener",
            ConditionKind::Path => "path",
            ConditionKind::Method => "method",
            ConditionKind::Client => "client",
            ConditionKind::Query => "query",
            ConditionKind::Header => "header",
            ConditionKind::Cookie => "cookie",
        }
    }
}

/// A condition and whether the request meets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The kind of condition.
    pub kind: ConditionKind,
    /// Its place in the route, as a path of keys (`match[0].headers.x-tenant`).
    pub key: String,
    /// A clause: `header x-tenant is absent`, `path /v1/a is under /v1`.
    pub text: String,
}

/// Describes whether the request's path meets a condition on it.
pub(crate) fn path(rule: &PathRule, holds: bool, path: &str, place: usize) -> Condition {
    let (key, text) = match (rule, holds) {
        (PathRule::Any, _) => ("", "any path matches".to_owned()),
        (PathRule::Exact(text), true) => (".path.exact", format!("path is exactly {text}")),
        (PathRule::Exact(text), false) => (".path.exact", format!("path {path} is not {text}")),
        (PathRule::Prefix(text), true) => (".path.prefix", format!("path {path} is under {text}")),
        (PathRule::Prefix(text), false) => {
            (".path.prefix", format!("path {path} is not under {text}"))
        }
        (PathRule::Regex(regex), true) => {
            (".path.regex", format!("path {path} matches {}", regex.0))
        }
        (PathRule::Regex(regex), false) => {
            (".path.regex", format!("path {path} does not match {}", regex.0))
        }
    };
    Condition { kind: ConditionKind::Path, key: format!("match[{place}]{key}"), text }
}

/// Describes whether the request meets another condition.
pub(crate) fn part(
    part: Part<'_>,
    holds: bool,
    q: &Query<'_>,
    tools: &mut Tools,
    place: usize,
) -> Condition {
    let not = if holds { "" } else { " not" };
    let (kind, key, text) = match part {
        Part::Methods(methods) => (
            ConditionKind::Method,
            "methods".to_owned(),
            format!("method {} is{not} one of {}", q.method, methods.join(", ")),
        ),
        Part::Client(ranges) => {
            let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
            let ranges = ranges.join(", ");
            let text = format!("client {} is{not} in {ranges}", q.client.to_canonical());
            (ConditionKind::Client, "client".to_owned(), text)
        }
        Part::Query(name, rule) => {
            let is_there = read_parameter(q.query, name, &mut tools.value);
            let text =
                format!("query parameter {name} {}", value(rule, is_there, holds, &tools.value));
            (ConditionKind::Query, format!("query.{name}"), text)
        }
        Part::Header(name, rule) if *name == *CLIENT_SUBJECT => {
            let is_there = read_header(q.headers, name, &mut tools.value);
            let text = format!("client subject {}", value(rule, is_there, holds, &tools.value));
            (ConditionKind::Client, "client_subject".to_owned(), text)
        }
        Part::Header(name, rule) => {
            let is_there = read_header(q.headers, name, &mut tools.value);
            let text = format!("header {name} {}", value(rule, is_there, holds, &tools.value));
            (ConditionKind::Header, format!("headers.{name}"), text)
        }
        Part::Cookie(name, rule) => {
            let is_there = read_cookie(q.headers, name, &mut tools.value);
            let text = format!("cookie {name} {}", value(rule, is_there, holds, &tools.value));
            (ConditionKind::Cookie, format!("cookies.{name}"), text)
        }
        Part::Certificate(rule) => {
            (ConditionKind::Client, "client_certificate".to_owned(), certificate(rule, q))
        }
    };
    Condition { kind, key: format!("match[{place}].{key}"), text }
}

fn certificate(rule: &CertificateRule, q: &Query<'_>) -> String {
    let Some(one) = q.headers.certificate() else {
        return "client certificate is absent, it must be present".to_owned();
    };
    let demand = |what: &str, texts: &[String]| {
        format!("client certificate has another {what} than {}", texts.join(", "))
    };
    let texts = &rule.texts;
    match rule.rules.judge(&one) {
        Ok(()) => "client certificate is one of these".to_owned(),
        Err(Misfit::Subject) => demand("subject", &texts.subjects),
        Err(Misfit::Fingerprint) => demand("fingerprint", &texts.fingerprints),
        Err(Misfit::San) => demand("alternative name", &texts.sans),
        Err(Misfit::Spiffe) => demand("SPIFFE ID", &texts.spiffe),
        Err(Misfit::Unreadable) => "client certificate has names that cannot be read".to_owned(),
    }
}

fn value(rule: &ValueRule, is_there: bool, holds: bool, value: &[u8]) -> String {
    let value = String::from_utf8_lossy(value);
    if !is_there {
        return if holds {
            "is absent".to_owned()
        } else {
            format!("is absent, it must {}", demand(rule))
        };
    }
    match (rule, holds) {
        (ValueRule::Present, _) => "is present".to_owned(),
        (_, true) => format!("is {value:?}"),
        (_, false) => format!("is {value:?}, it must {}", demand(rule)),
    }
}

fn demand(rule: &ValueRule) -> String {
    match rule {
        ValueRule::Exact(text) => format!("be {text:?}"),
        ValueRule::Prefix(text) => format!("begin with {text:?}"),
        ValueRule::Regex(text, _) => format!("match {text}"),
        ValueRule::Present => "be present".to_owned(),
        ValueRule::Absent => "be absent".to_owned(),
    }
}
