//! The order of precedence of the matches within a host; docs/reference/matching.md describes it.

use crate::compiled::{Compiled, CompiledMatch, PathRule};
use crate::query::RouteId;
use std::cmp::{Ordering, Reverse};

/// A criterion that decides between two matches; the variants are in the order of comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Criterion {
    /// `priority`: the higher first.
    Priority,
    /// Exact before regex before prefix; no condition on the path counts as the prefix `/`.
    PathKind,
    /// Longer before shorter, of two prefixes.
    PrefixLength,
    /// With a condition on the method before without.
    Method,
    /// More conditions on headers first; those on cookies and on certificates are among them.
    Headers,
    /// More conditions on query parameters first.
    Query,
    /// With a condition on the client's address before without.
    Client,
    /// The route's name, in byte order.
    Name,
    /// The place in the route's own list of matches.
    Place,
}

impl Criterion {
    /// All criteria, the strongest first.
    pub const ALL: [Criterion; 9] = [
        Criterion::Priority,
        Criterion::PathKind,
        Criterion::PrefixLength,
        Criterion::Method,
        Criterion::Headers,
        Criterion::Query,
        Criterion::Client,
        Criterion::Name,
        Criterion::Place,
    ];

    /// Returns its stable word, for JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Criterion::Priority => "priority",
            Criterion::PathKind => "path_kind",
            Criterion::PrefixLength => "prefix_length",
            Criterion::Method => "method",
            Criterion::Headers => "headers",
            Criterion::Query => "query",
            Criterion::Client => "client",
            Criterion::Name => "name",
            Criterion::Place => "place",
        }
    }

    /// Returns why the match it favours goes first, as part of a sentence.
    pub fn reason(self) -> &'static str {
        match self {
            Criterion::Priority => "its priority is higher",
            Criterion::PathKind => "an exact path goes before a regex, a regex before a prefix",
            Criterion::PrefixLength => "its prefix is longer",
            Criterion::Method => "it has a condition on the method",
            Criterion::Headers => "it has more conditions on headers and cookies",
            Criterion::Query => "it has more conditions on query parameters",
            Criterion::Client => "it has a condition on the client's address",
            Criterion::Name => "its name comes first",
            Criterion::Place => "it comes first in the route",
        }
    }

    fn compare(self, a: Ranked<'_>, b: Ranked<'_>) -> Ordering {
        let (x, y) = (a.rank(), b.rank());
        match self {
            Criterion::Priority => x.priority.cmp(&y.priority),
            Criterion::PathKind => x.path_kind.cmp(&y.path_kind),
            Criterion::PrefixLength => x.prefix_len.cmp(&y.prefix_len),
            Criterion::Method => x.any_method.cmp(&y.any_method),
            Criterion::Headers => x.headers.cmp(&y.headers),
            Criterion::Query => x.query.cmp(&y.query),
            Criterion::Client => x.any_client.cmp(&y.any_client),
            Criterion::Name => a.name().cmp(&b.name()),
            Criterion::Place => a.place.cmp(&b.place),
        }
    }
}

/// Everything that decides before the name does. The order of the fields is that of the criteria.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    priority: Reverse<i32>,
    path_kind: u8,
    prefix_len: Reverse<usize>,
    any_method: bool,
    headers: Reverse<usize>,
    query: Reverse<usize>,
    any_client: bool,
}

/// A match with its route and its place there.
#[derive(Clone, Copy)]
pub(crate) struct Ranked<'r> {
    pub(crate) route: &'r Compiled,
    pub(crate) one: &'r CompiledMatch,
    pub(crate) place: usize,
}

impl<'r> Ranked<'r> {
    /// Returns everything that decides before the name does.
    pub(crate) fn rank(self) -> Rank {
        let conditions = self.one.conditions.as_deref();
        Rank {
            priority: Reverse(self.route.priority),
            path_kind: path_kind(&self.one.path),
            prefix_len: prefix_len(&self.one.path),
            any_method: conditions.is_none_or(|c| c.methods.is_empty()),
            headers: Reverse(conditions.map_or(0, |c| {
                c.headers.len() + c.cookies.len() + usize::from(c.certificate.is_some())
            })),
            query: Reverse(conditions.map_or(0, |c| c.query.len())),
            any_client: conditions.is_none_or(|c| c.client.is_empty()),
        }
    }

    /// Returns what decides next: the name, then the slot for routes of one name.
    pub(crate) fn name(self) -> (&'r str, RouteId) {
        (&self.route.name, self.route.id)
    }
}

fn path_kind(path: &PathRule) -> u8 {
    match path {
        PathRule::Exact(_) => 0,
        PathRule::Regex(_) => 1,
        PathRule::Prefix(_) | PathRule::Any => 2,
    }
}

fn prefix_len(path: &PathRule) -> Reverse<usize> {
    match path {
        PathRule::Prefix(text) => Reverse(text.len()),
        _ => Reverse(0),
    }
}

/// Returns the first criterion in which two matches differ.
pub(crate) fn decisive(a: Ranked<'_>, b: Ranked<'_>) -> Criterion {
    let differs = |c: &Criterion| c.compare(a, b).is_ne();
    Criterion::ALL.into_iter().find(differs).unwrap_or(Criterion::Place)
}
