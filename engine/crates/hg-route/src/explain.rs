//! Explains which route a request takes: the same conditions as in [`Router::find`], but all of
//! them are checked.

use crate::bucket::{Bucket, Rule};
use crate::compiled::PathRule;
use crate::describe::{self, Condition, ConditionKind};
use crate::order::{self, Criterion};
use crate::query::{Found, Query};
use crate::router::Router;
use crate::scratch::{Scratch, Tools};
use std::sync::Arc;

/// Number of near misses reported.
const NEAR: usize = 10;

/// Number of hosts with a similar name that are compared if no host fits.
const SIMILAR_HOSTS: usize = 100;

/// The route that takes a request, and the reasons why no other route does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The host whose routes were compared: the most specific that has routes on the listener.
    pub host: Option<Arc<str>>,
    /// The route that takes it; none means 404.
    pub won: Option<Won>,
    /// The matches that came close, the closest first; at most 10.
    pub near: Vec<NearMiss>,
}

/// A match of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchRef {
    /// The route's name.
    pub name: Arc<str>,
    /// The answer of [`Router::find`] if this match had won.
    pub found: Found,
    /// The route's host under which the match was compared.
    pub host: Arc<str>,
}

/// The match that won.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Won {
    /// The match.
    pub which: MatchRef,
    /// The conditions that held: all those of its match.
    pub held: Vec<Condition>,
}

/// A match that did not win.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// The match.
    pub which: MatchRef,
    /// The conditions that failed; empty if the match was outranked.
    pub failed: Vec<Condition>,
    /// If all conditions hold: the criterion that put the winner before it.
    pub outranked: Option<Criterion>,
}

/// A match under examination.
struct Candidate<'r> {
    bucket: &'r Bucket,
    rule: &'r Rule,
    /// Bytes of the path it takes, if the path fits.
    taken: Option<usize>,
    failed: Vec<Condition>,
}

impl Router {
    /// Explains the answer of [`Router::find`]. Checks every condition of every route of the host:
    /// for people and tools, not for the request path.
    pub fn explain(&self, q: &Query<'_>, scratch: &mut Scratch) -> Explanation {
        let chosen = self.hosts().select(q.host, q.listener);
        let mut others: Vec<&Bucket> = self.hosts().candidates(q.host).collect();
        if others.is_empty() {
            let is_similar = |b: &&Bucket| similar_host(b.name.as_str(), q.host);
            others = self.hosts().iter().filter(is_similar).take(SIMILAR_HOSTS).collect();
        }
        let mut candidates = Vec::new();
        for bucket in others {
            let failure = host_failure(bucket, chosen, q);
            examine(bucket, failure, q, scratch, &mut candidates);
        }
        let is_whole = |c: &&Candidate<'_>| c.failed.is_empty();
        let won = candidates.iter().find(is_whole).map(|c| won(c, q, &mut scratch.tools));
        let winner = candidates.iter().position(|c| c.failed.is_empty());
        let winner = winner.map(|at| candidates.remove(at));
        candidates.sort_by_key(|c| distance(c, q.path));
        candidates.truncate(NEAR);
        let near = candidates.into_iter().map(|c| near_miss(c, winner.as_ref())).collect();
        Explanation { host: chosen.map(|b| b.name.as_str().into()), won, near }
    }
}

/// Adds every match of a host, in order of precedence, with the conditions that fail.
fn examine<'r>(
    bucket: &'r Bucket,
    failure: Option<Condition>,
    q: &Query<'_>,
    scratch: &mut Scratch,
    candidates: &mut Vec<Candidate<'r>>,
) {
    let mut taken = vec![None; bucket.rules().len()];
    bucket.by_path(q.path, scratch, |rule, len| {
        if let Some(place) = taken.get_mut(rule) {
            *place = Some(len);
        }
    });
    for (rule, taken) in bucket.rules().iter().zip(taken) {
        let mut failed: Vec<Condition> = failure.iter().cloned().collect();
        if !rule.route.listeners.contains(q.listener) {
            let text = "it is not attached to this listener".to_owned();
            let key = "listeners".to_owned();
            failed.push(Condition { kind: ConditionKind::Listener, key, text });
        }
        let one = rule.one();
        let place = rule.found(0).match_index;
        if taken.is_none() {
            failed.push(describe::path(&one.path, false, q.path, place));
        }
        for part in one.conditions.iter().flat_map(|c| c.parts()) {
            if !part.holds(q, &mut scratch.tools) {
                failed.push(describe::part(part, false, q, &mut scratch.tools, place));
            }
        }
        candidates.push(Candidate { bucket, rule, taken, failed });
    }
}

/// Returns why the routes of a host were not compared, if the host is the reason.
fn host_failure(bucket: &Bucket, chosen: Option<&Bucket>, q: &Query<'_>) -> Option<Condition> {
    let covers = bucket.covers(q.host);
    let text = match chosen {
        _ if !covers => format!("host {} is not {}", q.host, bucket.name),
        Some(chosen) if chosen.name != bucket.name => format!(
            "the more specific host {} has routes, so that those of {} are not asked",
            chosen.name, bucket.name
        ),
        // If it has no route on the listener, another check reports that.
        _ => return None,
    };
    Some(Condition { kind: ConditionKind::Host, key: "hosts".to_owned(), text })
}

/// Returns how far a match is from taking the request; near misses are sorted by it.
fn distance(c: &Candidate<'_>, path: &str) -> (usize, usize) {
    let far = |f: &Condition| match f.kind {
        ConditionKind::Path | ConditionKind::Host => 3,
        _ => 1,
    };
    let text = match &c.rule.one().path {
        PathRule::Any => "",
        PathRule::Exact(text) | PathRule::Prefix(text) => text,
        PathRule::Regex(regex) => &regex.0,
    };
    let common = text.bytes().zip(path.bytes()).take_while(|(a, b)| a == b).count();
    let apart = if c.taken.is_some() { 0 } else { text.len().max(path.len()) - common };
    (c.failed.iter().map(far).sum(), apart)
}

fn reference(c: &Candidate<'_>) -> MatchRef {
    MatchRef {
        name: c.rule.route.name.clone(),
        found: c.rule.found(c.taken.unwrap_or(0)),
        host: c.bucket.name.as_str().into(),
    }
}

fn won(c: &Candidate<'_>, q: &Query<'_>, tools: &mut Tools) -> Won {
    let which = reference(c);
    let one = c.rule.one();
    let place = which.found.match_index;
    let mut held = vec![describe::path(&one.path, true, q.path, place)];
    for part in one.conditions.iter().flat_map(|c| c.parts()) {
        held.push(describe::part(part, true, q, tools, place));
    }
    Won { which, held }
}

fn near_miss(c: Candidate<'_>, winner: Option<&Candidate<'_>>) -> NearMiss {
    let outranked = winner
        .filter(|_| c.failed.is_empty())
        .map(|w| order::decisive(w.rule.ranked(), c.rule.ranked()));
    NearMiss { which: reference(&c), failed: c.failed, outranked }
}

/// Reports whether one of two hosts is the other with labels before it.
fn similar_host(pattern: &str, host: &str) -> bool {
    let name = pattern.trim_start_matches("*.");
    let ends = |long: &str, short: &str| {
        long.strip_suffix(short).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    !name.is_empty() && (ends(name, host) || ends(host, name))
}
