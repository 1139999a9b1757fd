//! Compiles routes from plan to entries, one for each set of hosts that share their middlewares.

use super::{BodyTerms, MirrorTerms, RetryTerms, RouteEntry, SPLIT, Split, Terms, retry};
use hg_middleware::{Chain, Keep, Results};
use hg_plan::{Action, Kind, MiddlewareUse, ObjectError, Plan, Route};
use hg_policy::{Found, Sticky};
use hg_resilience::Importance;
use std::collections::HashSet;
use std::sync::Arc;

/// Hosts of a route that run the same middlewares, and these middlewares.
pub(super) struct Group<'p> {
    hosts: Vec<&'p str>,
    /// The host that owns the middlewares; empty for none.
    pub(super) owner: &'p str,
    middlewares: &'p [MiddlewareUse],
}

impl Group<'_> {
    pub(super) fn hosts_owned(&self) -> Vec<String> {
        self.hosts.iter().map(|&host| host.to_owned()).collect()
    }
}

/// The number of terms that are kept for the routes that follow.
const KEPT: usize = 8;

/// Terms compiled in one change of the plan, which similar routes share.
#[derive(Default)]
pub(super) struct SharedTerms {
    kept: Vec<Kept>,
    /// The index at which the next terms go; they replace the oldest.
    next: usize,
}

/// Terms, and what they were compiled from.
struct Kept {
    owner: String,
    middlewares: Vec<MiddlewareUse>,
    answer: Option<Action>,
    terms: Arc<Terms>,
}

impl Kept {
    fn fits(&self, route: &Route, group: &Group<'_>) -> bool {
        let Terms {
            chain: _,
            split: _,
            timeouts,
            raw_path,
            websocket,
            bodies,
            retry,
            not_imported,
            importance,
            observed,
            mirrors: _,
        } = &*self.terms;
        self.owner == group.owner
            && self.middlewares == route.middlewares
            && self.answer.as_ref() == answer(route)
            && *timeouts == route.timeouts
            && *raw_path == route.forward_raw_path
            && *websocket == route.websocket
            && *bodies == BodyTerms::of(route)
            && retry.as_deref().map(|r| &r.plan) == route.retry.as_ref()
            && *not_imported == is_not_imported(route)
            && *importance == importance_of(route)
            && *observed == route.observed
    }
}

impl SharedTerms {
    /// Returns kept terms that fit the route.
    fn find(&self, route: &Route, group: &Group<'_>) -> Option<Arc<Terms>> {
        let is_own = matches!(route.action, Action::Split(_)) || !route.mirrors.is_empty();
        let kept = self.kept.iter().find(|kept| !is_own && kept.fits(route, group));
        kept.map(|kept| kept.terms.clone())
    }

    /// Keeps terms for the routes that follow, unless they name upstreams or have scratch space of
    /// their own.
    fn keep(&mut self, route: &Route, group: &Group<'_>, terms: Terms) -> Arc<Terms> {
        let names_none = terms.split.is_none() && terms.mirrors.is_empty();
        let is_shared = names_none && !terms.chain.is_own();
        let terms = Arc::new(terms);
        if is_shared {
            let kept = Kept {
                owner: group.owner.to_owned(),
                middlewares: route.middlewares.clone(),
                answer: answer(route).cloned(),
                terms: terms.clone(),
            };
            match self.kept.get_mut(self.next) {
                Some(oldest) => *oldest = kept,
                None => self.kept.push(kept),
            }
            self.next = (self.next + 1) % KEPT;
        }
        terms
    }
}

/// Returns the action if the chain answers by itself.
fn answer(route: &Route) -> Option<&Action> {
    match &route.action {
        Action::Respond(_) | Action::Redirect(_) => Some(&route.action),
        Action::Upstream(_) | Action::Split(_) | Action::NotImported(_) => None,
    }
}

/// Reports whether the route refuses every request, because what it stands for was not imported.
fn is_not_imported(route: &Route) -> bool {
    matches!(route.action, Action::NotImported(_))
}

/// Returns how much a route's requests matter.
fn importance_of(route: &Route) -> Importance {
    match route.importance {
        hg_plan::Importance::Low => Importance::Low,
        hg_plan::Importance::Normal => Importance::Normal,
        hg_plan::Importance::High => Importance::High,
    }
}

/// Splits a route's hosts into groups. Nearly always there is one group.
pub(super) fn groups<'p>(plan: &'p Plan, route: &'p Route) -> Vec<Group<'p>> {
    let mut groups: Vec<Group<'p>> = Vec::with_capacity(1);
    for host in &route.hosts {
        let middlewares = plan.host(host).map_or(&[][..], |h| &h.middlewares);
        let owner = if middlewares.is_empty() { "" } else { plan.host_name(host) };
        match groups.iter_mut().find(|g| g.owner == owner) {
            Some(g) => g.hosts.push(host),
            None => groups.push(Group { hosts: vec![host], owner, middlewares }),
        }
    }
    groups
}

/// The subject of a compilation: one group of a route, in a plan.
pub(super) struct Of<'a> {
    pub(super) name: &'a Arc<str>,
    pub(super) route: &'a Route,
    pub(super) group: &'a Group<'a>,
    pub(super) plan: &'a Plan,
    /// The state that middlewares keep.
    pub(super) keep: &'a Keep,
    /// The claims of tokens that the log says.
    pub(super) logged: &'a [Box<str>],
}

/// Compiles one group of a route.
pub(super) fn compile(
    of: &Of<'_>,
    upstream_slot: impl Fn(&str) -> Option<u32>,
    shared: &mut SharedTerms,
) -> Result<RouteEntry, Vec<ObjectError>> {
    let Of { name, route, group, .. } = *of;
    let mut errors = Vec::new();
    let mut slot = |upstream: &str, path: String| {
        upstream_slot(upstream).unwrap_or_else(|| {
            errors.push(ObjectError {
                kind: Kind::Route,
                name: name.clone(),
                path,
                message: format!("there is no upstream `{upstream}`"),
            });
            u32::MAX
        })
    };
    let (upstream, split) = match &route.action {
        Action::Upstream(u) => (Some(slot(u, "action.upstream".into())), None),
        Action::Split(parts) => {
            let named = parts.iter().enumerate();
            let parts: Vec<(u32, u32)> = named
                .map(|(i, p)| (slot(&p.upstream, format!("action.split[{i}].upstream")), p.weight))
                .collect();
            let total = parts.iter().map(|(_, w)| u64::from(*w)).sum();
            (None, Some(Split { parts, total, sticky: None }))
        }
        Action::Respond(_) | Action::Redirect(_) | Action::NotImported(_) => (None, None),
    };
    let mirrors = route.mirrors.iter().enumerate().map(|(i, plan)| {
        let slot = slot(&plan.upstream, format!("mirrors[{i}].upstream"));
        MirrorTerms::new(plan, slot, name, of.keep)
    });
    let mirrors = mirrors.collect();
    let split = split.map(|split| Split { sticky: sticky(of, &mut errors), ..split });
    let terms = shared.find(route, group).unwrap_or_else(|| {
        let chain = compile_chain(of, &mut errors).unwrap_or_default();
        let terms = terms(route, chain, (split, mirrors), retry::compile(name, route, &mut errors));
        if errors.is_empty() { shared.keep(route, group, terms) } else { Arc::new(terms) }
    });
    let entry = RouteEntry { name: name.clone(), terms, upstream };
    if errors.is_empty() { Ok(entry) } else { Err(errors) }
}

/// Compiles how clients find their branches of a split again.
fn sticky(of: &Of<'_>, errors: &mut Vec<ObjectError>) -> Option<(Sticky, Arc<Results>)> {
    let (Some(plan), Action::Split(parts)) = (&of.route.sticky, &of.route.action) else {
        return None;
    };
    match Sticky::new(plan, of.name, parts) {
        Ok(sticky) => Some((sticky, of.keep.results_of(of.name, SPLIT, Found::NAMES))),
        Err((index, message)) => {
            let path = format!("sticky.by[{index}]");
            errors.push(ObjectError { kind: Kind::Route, name: of.name.clone(), path, message });
            None
        }
    }
}

fn terms(
    route: &Route,
    chain: Chain,
    (split, mirrors): (Option<Split>, Box<[MirrorTerms]>),
    retry: Option<Box<RetryTerms>>,
) -> Terms {
    Terms {
        chain,
        split,
        timeouts: route.timeouts.clone(),
        raw_path: route.forward_raw_path,
        websocket: route.websocket,
        bodies: BodyTerms::of(route),
        retry,
        not_imported: is_not_imported(route),
        importance: importance_of(route),
        observed: route.observed.clone(),
        mirrors,
    }
}

/// Compiles the host's middlewares, the route's, and its answer; `None` after reporting what is
/// wrong.
fn compile_chain(of: &Of<'_>, errors: &mut Vec<ObjectError>) -> Option<Chain> {
    let Of { name, route, group, plan, keep, logged } = *of;
    let named = |n: &str| plan.middleware(n);
    let lists = [group.middlewares, &route.middlewares];
    // A group has state of its own only where that stands in the route.
    let owners = [&*format!("host {}", group.owner), &*format!("route {name}")];
    match Chain::compile_in(&lists, Some(&route.action), &named, (keep, &owners, logged)) {
        Ok(chain) => Some(chain),
        Err(problems) => {
            errors.extend(problems.into_iter().map(|p| {
                let (kind, owner) = match p.list {
                    0 => (Kind::Host, Arc::from(group.owner)),
                    _ => (Kind::Route, name.clone()),
                };
                ObjectError { kind, name: owner, path: p.path, message: p.message }
            }));
            None
        }
    }
}

/// Changed objects that routes refer to, by name.
pub(super) struct Touched<'c> {
    pub(super) hosts: HashSet<&'c str>,
    pub(super) middlewares: HashSet<&'c str>,
    /// Upstreams and listeners only if they were deleted: no route may still name one.
    pub(super) gone_upstreams: HashSet<&'c str>,
    pub(super) gone_listeners: HashSet<&'c str>,
    /// True if the log says other claims of tokens, which chains have to keep.
    pub(super) claims: bool,
}

impl Touched<'_> {
    pub(super) fn is_empty(&self) -> bool {
        let Self { hosts, middlewares, gone_upstreams, gone_listeners, claims } = self;
        let names = [hosts, middlewares, gone_upstreams, gone_listeners];
        !claims && names.iter().all(|names| names.is_empty())
    }

    /// Reports whether a route must be compiled again because something it names has changed.
    pub(super) fn concerns(&self, route: &Route, plan: &Plan) -> bool {
        let Self { hosts, middlewares, gone_upstreams, gone_listeners, claims } = self;
        let is_touched =
            |u: &MiddlewareUse| matches!(u, MiddlewareUse::Use(n) if middlewares.contains(&**n));
        // Any middleware may be the one that verifies tokens.
        let uses = |uses: &[MiddlewareUse]| uses.iter().any(|u| *claims || is_touched(u));
        let is_gone = |upstream: &str| gone_upstreams.contains(upstream);
        let acts = match &route.action {
            Action::Upstream(upstream) => is_gone(upstream),
            Action::Split(parts) => parts.iter().any(|part| is_gone(&part.upstream)),
            Action::Respond(_) | Action::Redirect(_) | Action::NotImported(_) => false,
        };
        let mirrors = route.mirrors.iter().any(|mirror| is_gone(&mirror.upstream));
        acts || mirrors
            || route.listeners.iter().any(|l| gone_listeners.contains(l.as_str()))
            || route.hosts.iter().any(|h| hosts.contains(h.as_str()))
            || uses(&route.middlewares)
            || ((*claims || !middlewares.is_empty())
                && route.hosts.iter().any(|h| plan.host(h).is_some_and(|h| uses(&h.middlewares))))
    }
}
