//! A slow, plain router written directly from the precedence rules, as an oracle for ours.
#![allow(dead_code, missing_docs)]

use hg_plan::{Kind, Match, Object, PathMatch, Route, ValueMatch};
use hg_route::{ListenerId, Query, RouteChange, RouteId, Router};
use std::cmp::Reverse;
use std::net::IpAddr;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Attached {
    pub name: Arc<str>,
    pub route: Route,
    pub listeners: Vec<ListenerId>,
}

#[derive(Clone, Debug)]
pub struct Request {
    pub listener: u16,
    pub host: String,
    pub path: String,
    pub query: Option<String>,
    pub method: String,
    pub headers: Vec<(String, String)>,
    pub client: IpAddr,
}

impl Request {
    pub fn get(host: &str, path: &str) -> Self {
        Self {
            listener: 0,
            host: host.into(),
            path: path.into(),
            query: None,
            method: "GET".into(),
            headers: Vec::new(),
            client: IpAddr::from([127, 0, 0, 1]),
        }
    }

    pub fn as_query(&self) -> Query<'_> {
        Query {
            listener: ListenerId(self.listener),
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            method: &self.method,
            headers: &self.headers,
            client: self.client,
        }
    }
}

/// A route for all hosts that answers; what a test does not set is as where a plan leaves it out.
fn bare() -> Route {
    let bytes = br#"{"action":{"respond":{"status":200}},"hosts":["*"],"listeners":["web"]}"#;
    match Object::decode(Kind::Route, bytes) {
        Ok(Object::Route(route)) => *route,
        other => panic!("{other:?}"),
    }
}

pub fn route(hosts: &[&str], matches: Vec<Match>) -> Route {
    Route { hosts: hosts.iter().map(|h| (*h).to_owned()).collect(), matches, ..bare() }
}

pub fn attached(name: &str, route: Route) -> Attached {
    Attached { name: name.into(), route, listeners: vec![ListenerId(0)] }
}

pub fn path(path: PathMatch) -> Match {
    Match { path: Some(path), ..Match::default() }
}

pub fn prefix(text: &str) -> Match {
    path(PathMatch::Prefix(text.into()))
}

pub fn exact(text: &str) -> Match {
    path(PathMatch::Exact(text.into()))
}

pub fn regex(text: &str) -> Match {
    path(PathMatch::Regex(text.into()))
}

pub fn changes(routes: &[Attached]) -> Vec<RouteChange<'_>> {
    let change = |(r, i)| put(i, r);
    routes.iter().zip(0..).map(change).collect()
}

pub fn put(id: u32, r: &Attached) -> RouteChange<'_> {
    RouteChange { id: RouteId(id), name: &r.name, route: Some(&r.route), listeners: &r.listeners }
}

pub fn take(id: u32, r: &Attached) -> RouteChange<'_> {
    RouteChange { id: RouteId(id), name: &r.name, route: None, listeners: &[] }
}

pub fn build(routes: &[Attached]) -> Router {
    Router::new().apply(&changes(routes)).unwrap()
}

/// Returns (route, match, bytes of the prefix) by the precedence rules.
pub fn naive(routes: &[Attached], q: &Request) -> Option<(u32, usize, usize)> {
    let on_listener = || {
        let on = |r: &&Attached| r.listeners.contains(&ListenerId(q.listener));
        routes.iter().filter(on)
    };
    let host = on_listener()
        .flat_map(|r| &r.route.hosts)
        .filter(|h| host_covers(h, &q.host))
        .max_by_key(|h| specificity(h))?;
    let everything = [Match::default()];
    let mut found = Vec::new();
    for (r, id) in routes.iter().zip(0..) {
        if !r.listeners.contains(&ListenerId(q.listener)) || !r.route.hosts.contains(host) {
            continue;
        }
        let matches = if r.route.matches.is_empty() { &everything[..] } else { &r.route.matches };
        for (place, m) in matches.iter().enumerate() {
            if let Some(taken) = matches_request(m, q) {
                let key = (
                    Reverse(r.route.priority),
                    kind(m),
                    Reverse(prefix_len(m)),
                    m.methods.is_empty(),
                    Reverse(m.headers.len() + m.cookies.len()),
                    Reverse(m.query.len()),
                    m.client.is_empty(),
                    r.name.clone(),
                    id,
                    place,
                );
                found.push((key, taken));
            }
        }
    }
    found.sort();
    found.first().map(|(key, taken)| (key.8, key.9, *taken))
}

fn host_covers(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some("") => true,
        Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
        None => pattern == host,
    }
}

fn specificity(pattern: &str) -> (u8, usize) {
    match pattern.strip_prefix('*') {
        Some("") => (0, 0),
        Some(suffix) => (1, suffix.len()),
        None => (2, 0),
    }
}

fn kind(m: &Match) -> u8 {
    match m.path {
        Some(PathMatch::Exact(_)) => 0,
        Some(PathMatch::Regex(_)) => 1,
        _ => 2,
    }
}

fn prefix_len(m: &Match) -> usize {
    match &m.path {
        Some(PathMatch::Prefix(p)) => p.trim_end_matches('/').len(),
        _ => 0,
    }
}

fn whole(text: &str) -> regex::Regex {
    regex::Regex::new(&format!("^(?:{text})$")).unwrap()
}

fn matches_request(m: &Match, q: &Request) -> Option<usize> {
    let taken = match &m.path {
        None => 0,
        Some(PathMatch::Exact(p)) => (*p == q.path).then_some(p.len())?,
        Some(PathMatch::Regex(r)) => whole(r).is_match(&q.path).then_some(0)?,
        Some(PathMatch::Prefix(p)) => {
            let p = p.trim_end_matches('/');
            let rest = q.path.strip_prefix(p)?;
            (p.is_empty() || rest.is_empty() || rest.starts_with('/')).then_some(p.len())?
        }
    };
    let method = m.methods.is_empty() || m.methods.contains(&q.method);
    let in_range = |c: &String| c.parse::<ipnet::IpNet>().unwrap().contains(&q.client);
    let client = m.client.is_empty() || m.client.iter().any(in_range);
    let headers = m.headers.iter().all(|(name, rule)| {
        let lines: Vec<&str> =
            q.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
        value_holds(rule, (!lines.is_empty()).then(|| lines.join(", ")))
    });
    let cookies = m.cookies.iter().all(|(name, rule)| {
        let lines = q.headers.iter().filter(|(n, _)| n == "cookie").map(|(_, line)| line);
        let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|p| p.split_once('='));
        let first = pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim());
        value_holds(rule, first.map(|v| unquoted(v).to_owned()))
    });
    let query = m.query.iter().all(|(name, rule)| {
        let mut pairs = q.query.as_deref().unwrap_or("").split('&').filter(|p| !p.is_empty());
        let first = pairs.find_map(|p| {
            let (key, value) = p.split_once('=').unwrap_or((p, ""));
            (key == name).then(|| value.to_owned())
        });
        value_holds(rule, first)
    });
    (method && client && headers && cookies && query).then_some(taken)
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)
}

fn value_holds(rule: &ValueMatch, value: Option<String>) -> bool {
    match (rule, value) {
        (ValueMatch::Absent(_), value) => value.is_none(),
        (_, None) => false,
        (ValueMatch::Present(_), Some(_)) => true,
        (ValueMatch::Exact(text), Some(v)) => v == *text,
        (ValueMatch::Prefix(text), Some(v)) => v.starts_with(text),
        (ValueMatch::Regex(text), Some(v)) => whole(text).is_match(&v),
    }
}
