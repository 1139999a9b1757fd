//! Routes that can never match, because others take all their requests. The analysis is sound and
//! incomplete: a route it reports is dead for every possible request, but it does not find all.

use crate::bucket::Rule;
use crate::compiled::{Compiled, PathRule, ends_segment};
use crate::condition::{Conditions, ValueRule};
use crate::query::RouteId;
use crate::router::Router;
use hg_plan::CertificateMatch;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Number of earlier matches of one path that a match is compared with.
const COMPARISONS: usize = 256;

/// Patterns that match every path.
const UNIVERSAL: [&str; 6] = [".*", "/.*", "^/.*$", "^.*$", "(.*)", "/(.*)"];

/// Matches of a route that can never win.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// The route.
    pub route: RouteId,
    /// Its name.
    pub name: Arc<str>,
    /// Indices of its matches, from 0; on all of its hosts.
    pub matches: Vec<usize>,
    /// True if these are all its matches, so that the route is dead.
    pub is_whole: bool,
    /// The routes that take their requests, by name.
    pub by: Vec<Arc<str>>,
}

/// Matches of one route: index → the route that covers it, per host.
type Covered<'r> = BTreeMap<usize, Vec<&'r Arc<Compiled>>>;

impl Router {
    /// Returns every route of which at least one match can never win, by slot. Cost: about one hash
    /// look-up per path segment and match.
    pub fn shadowed(&self) -> Vec<Shadow> {
        let mut covered: BTreeMap<RouteId, Covered<'_>> = BTreeMap::new();
        for bucket in self.hosts().iter() {
            let mut earlier = Earlier::default();
            for rule in bucket.rules() {
                if let Some(by) = earlier.covering(rule) {
                    let id = rule.route.id;
                    let place = rule.found(0).match_index;
                    covered.entry(id).or_default().entry(place).or_default().push(by);
                }
                earlier.add(rule);
            }
        }
        let shadow = |route: &Arc<Compiled>| shadow(route, covered.get(&route.id)?);
        self.routes().filter_map(shadow).collect()
    }
}

/// Returns the dead part of a route: the matches that are covered on each of its hosts.
fn shadow(route: &Arc<Compiled>, covered: &Covered<'_>) -> Option<Shadow> {
    let hosts = route.hosts.as_slice().len();
    let dead: Vec<_> = covered.iter().filter(|(_, by)| by.len() == hosts).collect();
    let is_whole = dead.len() == route.matches().len();
    let matches: Vec<usize> = dead.iter().map(|(place, _)| **place).collect();
    let by: BTreeSet<&Arc<str>> =
        dead.iter().flat_map(|(_, by)| by.iter().map(|r| &r.name)).collect();
    let by = by.into_iter().cloned().collect();
    (!matches.is_empty()).then(|| Shadow {
        route: route.id,
        name: route.name.clone(),
        matches,
        is_whole,
        by,
    })
}

/// The matches of a host that go before the current one, by path.
#[derive(Default)]
struct Earlier<'r> {
    by_path: HashMap<(u8, &'r str), Vec<&'r Rule>>,
}

const EXACT: u8 = 0;
const PREFIX: u8 = 1;
const REGEX: u8 = 2;

impl<'r> Earlier<'r> {
    fn add(&mut self, rule: &'r Rule) {
        let key = match &rule.one().path {
            PathRule::Any => (PREFIX, ""),
            PathRule::Exact(text) => (EXACT, &**text),
            PathRule::Prefix(text) => (PREFIX, &**text),
            PathRule::Regex(regex) if UNIVERSAL.contains(&&*regex.0) => (PREFIX, "/"),
            PathRule::Regex(regex) => (REGEX, &*regex.0),
        };
        self.by_path.entry(key).or_default().push(rule);
    }

    /// Returns a route that takes every request that the rule would take.
    fn covering(&self, rule: &'r Rule) -> Option<&'r Arc<Compiled>> {
        let search = |key: (u8, &str)| {
            let rules = self.by_path.get(&key)?;
            let found = rules.iter().take(COMPARISONS).find(|e| covers(e, rule))?;
            Some(&found.route)
        };
        let everything = search((PREFIX, ""));
        if everything.is_some() {
            return everything;
        }
        match &rule.one().path {
            PathRule::Any => None,
            PathRule::Exact(text) => {
                search((EXACT, text)).or_else(|| prefixes_of(text, true).find_map(search))
            }
            PathRule::Prefix(text) => prefixes_of(text, true).find_map(search),
            PathRule::Regex(regex) => search((REGEX, &regex.0)).or_else(|| {
                let literal = std::str::from_utf8(&regex.1).unwrap_or_default();
                prefixes_of(literal, false).find_map(search)
            }),
        }
    }
}

/// Returns the keys of prefixes that cover a path, and of patterns that match all of them. If the
/// text is only the beginning of paths, only prefixes that end before a slash in it count.
fn prefixes_of(text: &str, is_whole: bool) -> impl Iterator<Item = (u8, &str)> {
    let ends =
        (1..=text.len()).filter(move |&at| ends_segment(text, at) && (is_whole || at < text.len()));
    let universal = text.starts_with('/').then_some((PREFIX, "/"));
    universal.into_iter().chain(ends.filter_map(|at| Some((PREFIX, text.get(..at)?))))
}

/// Reports whether an earlier rule, whose path covers the later one's, takes all its requests.
fn covers(earlier: &Rule, later: &Rule) -> bool {
    if earlier.route.id == later.route.id || !earlier.route.listeners.covers(&later.route.listeners)
    {
        return false;
    }
    let none = Conditions::default();
    let later = later.one().conditions.as_deref().unwrap_or(&none);
    earlier.one().conditions.as_deref().is_none_or(|e| conditions_cover(e, later))
}

fn conditions_cover(earlier: &Conditions, later: &Conditions) -> bool {
    let methods = earlier.methods.is_empty()
        || (!later.methods.is_empty() && later.methods.iter().all(|m| earlier.methods.contains(m)));
    let client = earlier.client.is_empty()
        || (!later.client.is_empty()
            && later.client.iter().all(|l| earlier.client.iter().any(|e| e.contains(l))));
    methods
        && client
        && values_cover(&earlier.query, &later.query)
        && values_cover(&earlier.headers, &later.headers)
        && values_cover(&earlier.cookies, &later.cookies)
        && earlier.certificate.as_ref().is_none_or(|e| {
            let later = later.certificate.as_ref();
            later.is_some_and(|l| certificates_cover(&e.texts, &l.texts))
        })
}

/// Reports whether every certificate that fits the later lists fits the earlier ones.
fn certificates_cover(earlier: &CertificateMatch, later: &CertificateMatch) -> bool {
    let covers = |e: &[String], l: &[String]| {
        e.is_empty() || (!l.is_empty() && l.iter().all(|one| e.contains(one)))
    };
    covers(&earlier.subjects, &later.subjects)
        && covers(&earlier.sans, &later.sans)
        && covers(&earlier.spiffe, &later.spiffe)
        && covers(&earlier.fingerprints, &later.fingerprints)
}

type Values = [(Box<str>, ValueRule)];

fn values_cover(earlier: &Values, later: &Values) -> bool {
    earlier.iter().all(|(name, e)| later.iter().any(|(n, l)| n == name && value_covers(e, l)))
}

/// Reports whether the earlier condition accepts every value that the later one accepts.
fn value_covers(earlier: &ValueRule, later: &ValueRule) -> bool {
    use ValueRule::{Absent, Exact, Prefix, Present, Regex};
    match (earlier, later) {
        (Absent, later) => matches!(later, Absent),
        (_, Absent) => false,
        (Present, _) => true,
        (Exact(e), Exact(l)) => e == l,
        (Prefix(e), Exact(l) | Prefix(l)) => l.starts_with(&**e),
        (Regex(e, _), Regex(l, _)) => e == l,
        _ => false,
    }
}
