//! The routes of one host in order of precedence, and how a request finds one of them.

use crate::compiled::{Compiled, CompiledMatch, PathRule};
use crate::index::Index;
use crate::listeners::Listeners;
use crate::name::Name;
use crate::order::Ranked;
use crate::query::{Found, Query, RouteId};
use crate::scratch::{Scratch, Tools};
use std::sync::Arc;

/// Up to this many matches are compared one after the other instead of by index.
const LINEAR: usize = 6;

/// The routes of one host. It fits one cache line if the name is short and there is one route
/// without conditions, so most hosts' route is found without following a pointer.
#[derive(Clone)]
#[repr(align(64))]
pub(crate) struct Bucket {
    /// `a.example`, `*.example` or `*`.
    pub(crate) name: Name,
    /// Listeners on which it has routes.
    pub(crate) listeners: Listeners,
    routes: Routes,
}

const _: () = assert!(size_of::<Bucket>() == 64);

/// The matches of a host.
#[derive(Clone)]
enum Routes {
    /// One match, and not a regex.
    One(Rule),
    Many(Arc<Many>),
}

/// Several matches.
struct Many {
    /// True if all matches are on all of the host's listeners.
    is_uniform: bool,
    /// Matches in order of precedence.
    rules: Box<[Rule]>,
    /// Index by path; absent if there are few matches.
    index: Option<Index>,
}

/// One match of a route.
#[derive(Clone)]
pub(crate) struct Rule {
    pub(crate) route: Arc<Compiled>,
    id: RouteId,
    place: u16,
    /// True if there is no condition on the path.
    is_any_path: bool,
    /// True if there are conditions besides the path.
    is_conditional: bool,
}

impl Rule {
    /// Returns a rule for each match of a route.
    pub(crate) fn of(route: &Arc<Compiled>) -> impl Iterator<Item = Rule> {
        route.matches().iter().zip(0..=u16::MAX).map(|(one, place)| Rule {
            route: route.clone(),
            id: route.id,
            place,
            is_any_path: matches!(one.path, PathRule::Any),
            is_conditional: one.conditions.is_some(),
        })
    }

    /// Returns the match itself.
    #[expect(clippy::indexing_slicing, reason = "`of` makes a rule of a match that is there")]
    pub(crate) fn one(&self) -> &CompiledMatch {
        &self.route.matches()[usize::from(self.place)]
    }

    /// Returns the match with its route and place.
    pub(crate) fn ranked(&self) -> Ranked<'_> {
        Ranked { route: &self.route, one: self.one(), place: usize::from(self.place) }
    }

    /// Returns the answer if this match wins.
    pub(crate) fn found(&self, prefix_len: usize) -> Found {
        Found { route: self.id, prefix_len, match_index: usize::from(self.place) }
    }

    /// Returns the answer if the match applies, without a check of its listeners. A regex never
    /// applies here: it is in an index.
    fn attempt(&self, q: &Query<'_>, tools: &mut Tools) -> Option<Found> {
        let prefix_len = if self.is_any_path { 0 } else { self.one().path.plain(q.path)? };
        self.conditions_hold(q, tools).then(|| self.found(prefix_len))
    }

    #[inline(always)]
    fn conditions_hold(&self, q: &Query<'_>, tools: &mut Tools) -> bool {
        !self.is_conditional || self.one().conditions.as_deref().is_none_or(|c| c.hold(q, tools))
    }
}

impl Bucket {
    /// Sorts and indexes rules; reuses what did not change from the old bucket.
    ///
    /// # Errors
    /// If the regexes of the host are together too large.
    pub(crate) fn new(name: Name, rules: Vec<Rule>, old: Option<&Bucket>) -> Result<Self, String> {
        let rules = in_order(rules);
        let mut all = rules.iter().map(|r| &r.route.listeners);
        let first = all.next().cloned().unwrap_or(Listeners::Low(0));
        let is_uniform = all.all(|l| *l == first);
        let listeners = rules
            .iter()
            .fold(first, |sum, r| if is_uniform { sum } else { sum.union(&r.route.listeners) });
        let has_regex = rules.iter().any(|r| matches!(r.one().path, PathRule::Regex(_)));
        let routes = match &*rules {
            [rule] if !has_regex => Routes::One(rule.clone()),
            _ => {
                let old = old.and_then(Bucket::index);
                let is_indexed = has_regex || rules.len() > LINEAR;
                let index = is_indexed.then(|| Index::new(&rules, old)).transpose()?;
                Routes::Many(Arc::new(Many { is_uniform, rules, index }))
            }
        };
        Ok(Self { name, listeners, routes })
    }

    /// Its matches, in order of precedence.
    pub(crate) fn rules(&self) -> &[Rule] {
        match &self.routes {
            Routes::One(rule) => std::slice::from_ref(rule),
            Routes::Many(many) => &many.rules,
        }
    }

    fn index(&self) -> Option<&Index> {
        match &self.routes {
            Routes::One(_) => None,
            Routes::Many(many) => many.index.as_ref(),
        }
    }

    /// Reports whether this host's pattern is that name, or a wildcard for it.
    pub(crate) fn covers(&self, name: &str) -> bool {
        match self.name.as_bytes().strip_prefix(b"*") {
            Some([]) => true,
            Some(suffix) => name.len() > suffix.len() && name.as_bytes().ends_with(suffix),
            None => self.name.as_bytes() == name.as_bytes(),
        }
    }

    /// Returns the first route in order of precedence whose conditions all hold, on a listener on
    /// which the host has routes.
    pub(crate) fn find(&self, q: &Query<'_>, scratch: &mut Scratch) -> Option<Found> {
        match &self.routes {
            Routes::One(rule) => rule.attempt(q, &mut scratch.tools),
            Routes::Many(many) => many.find(q, scratch),
        }
    }

    /// Calls `visit` with every rule whose condition on the path holds, and the bytes that it took,
    /// in no order. For tools: it checks all of them.
    pub(crate) fn by_path(
        &self,
        path: &str,
        scratch: &mut Scratch,
        mut visit: impl FnMut(usize, usize),
    ) {
        let Scratch { tools, ends, groups, patterns } = scratch;
        let Some(index) = self.index() else {
            for (at, rule) in self.rules().iter().enumerate() {
                if let Some(len) = rule.one().path.plain(path) {
                    visit(at, len);
                }
            }
            return;
        };
        let mut visit_all = |rules: &[u32], len| rules.iter().for_each(|&r| visit(r as usize, len));
        if let Some(exact) = index.paths.exact(path) {
            visit_all(index.list(exact), path.len());
        }
        for (len, spot) in index.paths.prefixes(path, ends) {
            visit_all(index.list(&spot.prefix), len);
        }
        visit_all(index.any(), 0);
        index.find_groups(path, groups);
        for group in groups.iter().filter_map(|&g| index.group(g)) {
            group.matching(path, &mut tools.caches, patterns);
            patterns.iter().for_each(|&p| visit_all(index.of_pattern(group, p), 0));
        }
    }
}

impl Many {
    fn find(&self, q: &Query<'_>, scratch: &mut Scratch) -> Option<Found> {
        match &self.index {
            Some(index) => self.find_indexed(index, q, scratch),
            None => {
                let mut attached = self.rules.iter().filter(|rule| self.is_attached(rule, q));
                attached.find_map(|rule| rule.attempt(q, &mut scratch.tools))
            }
        }
    }

    fn find_indexed(&self, index: &Index, q: &Query<'_>, scratch: &mut Scratch) -> Option<Found> {
        let Scratch { tools, ends, .. } = scratch;
        let mut best = Best { rule: usize::MAX, prefix_len: 0 };
        if let Some(exact) = index.paths.exact(q.path) {
            self.attempt(index.list(exact), q.path.len(), q, tools, &mut best);
        }
        if index.first_prefix() < best.rule {
            // Try the longest first: it usually wins, and the others' conditions are then not checked.
            for (len, spot) in index.paths.prefixes(q.path, ends) {
                self.attempt(index.list(&spot.prefix), len, q, tools, &mut best);
            }
        }
        if !index.any().is_empty() {
            self.attempt(index.any(), 0, q, tools, &mut best);
        }
        if index.first_regex() < best.rule {
            self.attempt_regexes(index, q, scratch, &mut best);
        }
        self.rules.get(best.rule).map(|rule| rule.found(best.prefix_len))
    }

    fn attempt_regexes(
        &self,
        index: &Index,
        q: &Query<'_>,
        scratch: &mut Scratch,
        best: &mut Best,
    ) {
        let Scratch { tools, groups, patterns, .. } = scratch;
        index.find_groups(q.path, groups);
        for group in groups.iter().filter_map(|&g| index.group(g)) {
            if group.first() < best.rule {
                group.matching(q.path, &mut tools.caches, patterns);
                for &pattern in patterns.iter() {
                    self.attempt(index.of_pattern(group, pattern), 0, q, tools, best);
                }
            }
        }
    }

    /// Takes the first of these rules that applies, if it goes before the best so far.
    #[inline]
    fn attempt(
        &self,
        rules: &[u32],
        prefix_len: usize,
        q: &Query<'_>,
        tools: &mut Tools,
        best: &mut Best,
    ) {
        for at in rules.iter().map(|&r| r as usize).take_while(|&r| r < best.rule) {
            let Some(rule) = self.rules.get(at) else { return };
            if self.is_attached(rule, q) && rule.conditions_hold(q, tools) {
                *best = Best { rule: at, prefix_len };
                return;
            }
        }
    }

    fn is_attached(&self, rule: &Rule, q: &Query<'_>) -> bool {
        self.is_uniform || rule.route.listeners.contains(q.listener)
    }
}

/// Sorts rules by precedence; computes each one's rank once.
fn in_order(rules: Vec<Rule>) -> Box<[Rule]> {
    if rules.len() < 2 {
        return rules.into();
    }
    let mut ranked: Vec<_> = rules.into_iter().map(|r| (r.ranked().rank(), r)).collect();
    ranked.sort_unstable_by(|(x, a), (y, b)| {
        x.cmp(y).then_with(|| {
            let names = a.ranked().name().cmp(&b.ranked().name());
            names.then(a.place.cmp(&b.place))
        })
    });
    ranked.into_iter().map(|(_, rule)| rule).collect()
}

/// The best so far: a place in the order of precedence.
struct Best {
    rule: usize,
    prefix_len: usize,
}
