//! A route, checked and ready for matching; all its hosts share it.

use crate::certificate::CertificateRules;
use crate::condition::{CertificateRule, Conditions, ValueRule};
use crate::listeners::Listeners;
use crate::name::Name;
use crate::query::{CLIENT_SUBJECT, RouteChange, RouteId};
use crate::{automaton::Automaton, path, pattern};
use hg_plan::{CertificateMatch, Kind, Match, ObjectError, PathMatch, ValueMatch};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// A route. Kept small, because ten thousand of them are usual.
pub(crate) struct Compiled {
    pub(crate) id: RouteId,
    pub(crate) priority: i32,
    pub(crate) name: Arc<str>,
    pub(crate) listeners: Listeners,
    pub(crate) hosts: Hosts,
    /// Empty = everything; see [`Compiled::matches`].
    matches: Box<[CompiledMatch]>,
}

/// The hosts of a route: nearly always one.
pub(crate) enum Hosts {
    One(Name),
    Many(Box<[Name]>),
}

/// One match of a route.
pub(crate) struct CompiledMatch {
    pub(crate) path: PathRule,
    pub(crate) conditions: Option<Box<Conditions>>,
}

/// The condition on the path.
pub(crate) enum PathRule {
    /// No condition; the prefix `/` is the same.
    Any,
    /// The path equals the text.
    Exact(Box<str>),
    /// Whole segments from the start; without a trailing slash, never empty.
    Prefix(Box<str>),
    /// The whole path; the pattern, and the literal with which every match begins.
    Regex(Box<(Box<str>, Box<[u8]>)>),
}

/// The matches of a route without matches.
static EVERYTHING: [CompiledMatch; 1] = [CompiledMatch { path: PathRule::Any, conditions: None }];

impl PathRule {
    /// Returns the bytes of the path that an exact path, a prefix or no condition takes; `None` if
    /// it does not match, and for a regex.
    pub(crate) fn plain(&self, path: &str) -> Option<usize> {
        match self {
            Self::Any => Some(0),
            Self::Exact(text) => (**text == *path).then_some(text.len()),
            Self::Prefix(text) => {
                (path.starts_with(&**text) && ends_segment(path, text.len())).then_some(text.len())
            }
            Self::Regex(_) => None,
        }
    }
}

/// Reports whether a segment of the path ends at this byte: the path ends there, or a slash
/// follows.
pub(crate) fn ends_segment(path: &str, at: usize) -> bool {
    path.as_bytes().get(at).is_none_or(|&b| b == b'/')
}

impl Hosts {
    /// Returns the hosts as a list.
    pub(crate) fn as_slice(&self) -> &[Name] {
        match self {
            Self::One(host) => std::slice::from_ref(host),
            Self::Many(hosts) => hosts,
        }
    }

    /// Reports whether a host is one of them.
    pub(crate) fn contains(&self, host: &Name) -> bool {
        self.as_slice().binary_search(host).is_ok()
    }
}

impl Compiled {
    /// Returns its matches; never empty.
    pub(crate) fn matches(&self) -> &[CompiledMatch] {
        if self.matches.is_empty() { &EVERYTHING } else { &self.matches }
    }

    /// Checks and compiles a route.
    ///
    /// # Errors
    /// Returns every mistake in it, each with its place.
    pub(crate) fn new(
        change: &RouteChange<'_>,
        route: &hg_plan::Route,
    ) -> Result<Self, Vec<ObjectError>> {
        let mut mistakes = Mistakes::default();
        let hosts = compile_hosts(&route.hosts, &mut mistakes);
        if route.matches.len() > usize::from(u16::MAX) {
            mistakes.add("match", "the route has more than 65535 matches; write fewer");
        }
        let matches = route.matches.iter().enumerate().map(|(i, m)| {
            mistakes.within = format!("match[{i}]");
            compile_match(m, &mut mistakes)
        });
        let matches: Vec<CompiledMatch> = matches.collect();
        // One match that matches everything means the same as none.
        let is_everything =
            matches!(matches.as_slice(), [CompiledMatch { path: PathRule::Any, conditions: None }]);
        if !mistakes.found.is_empty() {
            return Err(mistakes.of(change.name));
        }
        Ok(Self {
            id: change.id,
            priority: route.priority,
            name: change.name.clone(),
            listeners: Listeners::new(change.listeners),
            hosts,
            matches: if is_everything { Box::default() } else { matches.into() },
        })
    }
}

/// Mistakes found so far.
#[derive(Default)]
struct Mistakes {
    within: String,
    found: Vec<(String, String)>,
}

impl Mistakes {
    fn add(&mut self, key: &str, message: impl Into<String>) {
        let path =
            if self.within.is_empty() { key.to_owned() } else { format!("{}.{key}", self.within) };
        self.found.push((path, message.into()));
    }

    fn of(self, name: &Arc<str>) -> Vec<ObjectError> {
        let error =
            |(path, message)| ObjectError { kind: Kind::Route, name: name.clone(), path, message };
        self.found.into_iter().map(error).collect()
    }
}

fn compile_hosts(hosts: &[String], mistakes: &mut Mistakes) -> Hosts {
    if hosts.is_empty() {
        mistakes.add("hosts", "the route has no host; write at least one, \"*\" for every host");
    }
    for (i, host) in hosts.iter().enumerate() {
        if let Some(message) = host_mistake(host) {
            mistakes.add(&format!("hosts[{i}]"), message);
        }
    }
    if let [host] = hosts {
        return Hosts::One(Name::new(host));
    }
    let mut hosts: Vec<Name> = hosts.iter().map(|h| Name::new(h)).collect();
    hosts.sort_unstable();
    hosts.dedup();
    Hosts::Many(hosts.into())
}

pub(crate) fn host_mistake(host: &str) -> Option<String> {
    if host == "*" {
        return None;
    }
    let name = host.strip_prefix("*.").unwrap_or(host);
    if name.contains('*') {
        return Some(format!(
            "\"{host}\" has a wildcard inside; write \"*\", or \"*.example.com\" with it as the first label"
        ));
    }
    let is_odd = |b: u8| {
        b.is_ascii_uppercase() || !b.is_ascii_graphic() || matches!(b, b'/' | b'?' | b'#' | b'@')
    };
    if name.is_empty() || name.starts_with('.') || name.ends_with('.') || name.bytes().any(is_odd) {
        return Some(format!(
            "\"{host}\" is not a host name; write it in lower case, without trailing dot or port, and international names as xn--"
        ));
    }
    None
}

fn compile_match(m: &Match, mistakes: &mut Mistakes) -> CompiledMatch {
    let path = m.path.as_ref().map_or(PathRule::Any, |p| compile_path(p, mistakes));
    let conditions = Conditions {
        methods: m.methods.iter().map(|m| m.as_str().into()).collect(),
        client: compile_client(&m.client, mistakes),
        query: compile_values("query", &m.query, mistakes),
        headers: compile_headers(m, mistakes),
        cookies: compile_values("cookies", &m.cookies, mistakes),
        certificate: m.client_certificate.as_ref().map(|texts| compile_rule(texts, mistakes)),
    };
    let is_conditional = conditions.parts().next().is_some();
    CompiledMatch { path, conditions: is_conditional.then(|| Box::new(conditions)) }
}

/// Compiles the conditions on headers, and the one on the client's certificate as another header.
fn compile_headers(m: &Match, mistakes: &mut Mistakes) -> Box<[(Box<str>, ValueRule)]> {
    let mut compiled = compile_values("headers", &m.headers, mistakes).into_vec();
    if let Some(rule) = &m.client_subject {
        let one = BTreeMap::from([(CLIENT_SUBJECT.to_owned(), rule.clone())]);
        compiled.extend(compile_values("client_subject", &one, mistakes));
    }
    compiled.into()
}

fn compile_rule(texts: &CertificateMatch, mistakes: &mut Mistakes) -> Box<CertificateRule> {
    let mut wrong = |at: String, message: String| {
        mistakes.add(&format!("client_certificate.{at}"), message);
    };
    let rules = CertificateRules::new(texts, &mut wrong);
    Box::new(CertificateRule { rules, texts: texts.clone() })
}

fn compile_path(rule: &PathMatch, mistakes: &mut Mistakes) -> PathRule {
    match rule {
        PathMatch::Exact(text) => {
            PathRule::Exact(literal_path("path.exact", text, mistakes).into())
        }
        PathMatch::Prefix(text) => {
            let text = literal_path("path.prefix", text, mistakes);
            match text.trim_end_matches('/') {
                "" => PathRule::Any,
                text => PathRule::Prefix(text.into()),
            }
        }
        PathMatch::Regex(text) => match pattern::parse(text) {
            Ok(hir) => {
                let (literal, _) = pattern::split_literal(&hir);
                PathRule::Regex(Box::new((text.as_str().into(), literal.into())))
            }
            Err(message) => {
                mistakes.add("path.regex", message);
                PathRule::Any
            }
        },
    }
}

/// Returns a path of the config in normal form, which the paths of requests have.
fn literal_path(key: &str, text: &str, mistakes: &mut Mistakes) -> String {
    let mut buf = String::new();
    match path::normalise(text, &mut buf) {
        Ok(normal) => normal.to_owned(),
        // `*` is the target of `OPTIONS *`.
        Err(_) if text == "*" => "*".to_owned(),
        Err(e) => {
            mistakes.add(
                key,
                format!(
                    "\"{text}\": {e}; write a normalised path, with other bytes percent-encoded"
                ),
            );
            String::new()
        }
    }
}

fn compile_client(ranges: &[String], mistakes: &mut Mistakes) -> Box<[IpNet]> {
    let mut compiled = Vec::with_capacity(ranges.len());
    for (i, text) in ranges.iter().enumerate() {
        match text
            .parse::<IpNet>()
            .or_else(|e| text.parse::<IpAddr>().map(IpNet::from).map_err(|_| e))
        {
            Ok(range) => compiled.push(range.trunc()),
            Err(_) => mistakes.add(
                &format!("client[{i}]"),
                format!("\"{text}\" is not a network; write one such as \"10.0.0.0/8\" or \"2001:db8::/32\""),
            ),
        }
    }
    compiled.into()
}

fn compile_values(
    key: &str,
    rules: &BTreeMap<String, ValueMatch>,
    mistakes: &mut Mistakes,
) -> Box<[(Box<str>, ValueRule)]> {
    let compile = |(name, rule): (&String, &ValueMatch)| {
        let compiled = match rule {
            ValueMatch::Exact(text) => ValueRule::Exact(text.as_str().into()),
            ValueMatch::Prefix(text) => ValueRule::Prefix(text.as_str().into()),
            ValueMatch::Present(true) => ValueRule::Present,
            ValueMatch::Absent(true) => ValueRule::Absent,
            ValueMatch::Present(false) | ValueMatch::Absent(false) => {
                mistakes.add(
                    &format!("{key}.{name}"),
                    "false means nothing here; write true, or leave the key out",
                );
                ValueRule::Present
            }
            ValueMatch::Regex(text) => {
                match pattern::parse(text).and_then(|hir| Automaton::new(&[hir])) {
                    Ok(automaton) => ValueRule::Regex(text.as_str().into(), automaton),
                    Err(message) => {
                        mistakes.add(&format!("{key}.{name}.regex"), message);
                        ValueRule::Present
                    }
                }
            }
        };
        (name.as_str().into(), compiled)
    };
    rules.iter().map(compile).collect()
}
