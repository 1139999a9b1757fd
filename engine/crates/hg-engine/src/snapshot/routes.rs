//! Routes, from plan to entries: one per set of hosts that share their middlewares.

use super::slots::Slots;
use super::{RouteEntry, Target};
use hg_middleware::Chain;
use hg_plan::{Action, Kind, MiddlewareUse, ObjectError, Plan, Route};
use std::collections::HashSet;
use std::sync::Arc;

/// Hosts of a route that run the same middlewares, and those.
pub(super) struct Group<'p> {
    pub(super) hosts: Vec<String>,
    /// The host whose middlewares they are; empty for none.
    pub(super) owner: &'p str,
    middlewares: &'p [MiddlewareUse],
}

/// Splits a route's hosts. Nearly always there is one group.
pub(super) fn groups<'p>(plan: &'p Plan, route: &Route) -> Vec<Group<'p>> {
    let mut groups: Vec<Group<'p>> = Vec::with_capacity(1);
    for host in &route.hosts {
        let middlewares = plan.host(host).map_or(&[][..], |h| &h.middlewares);
        let owner = if middlewares.is_empty() { "" } else { plan.host_name(host) };
        match groups.iter_mut().find(|g| g.owner == owner) {
            Some(g) => g.hosts.push(host.clone()),
            None => groups.push(Group { hosts: vec![host.clone()], owner, middlewares }),
        }
    }
    groups
}

/// Compiles one group of a route.
pub(super) fn compile(
    name: &Arc<str>,
    route: &Route,
    group: &Group<'_>,
    plan: &Plan,
    upstreams: &Slots<Arc<str>>,
) -> Result<RouteEntry, Vec<ObjectError>> {
    let mut errors = Vec::new();
    let named = |n: &str| plan.middleware(n);
    let chain =
        Chain::compile(&[group.middlewares, &route.middlewares], Some(&route.action), &named);
    let chain = chain.unwrap_or_else(|problems| {
        for p in problems {
            let (kind, owner) = match p.list {
                0 => (Kind::Host, Arc::from(group.owner)),
                _ => (Kind::Route, name.clone()),
            };
            errors.push(ObjectError { kind, name: owner, path: p.path, message: p.message });
        }
        Chain::default()
    });
    let mut slot = |upstream: &str, path: String| {
        upstreams.get(upstream).unwrap_or_else(|| {
            errors.push(ObjectError {
                kind: Kind::Route,
                name: name.clone(),
                path,
                message: format!("there is no upstream `{upstream}`"),
            });
            usize::MAX
        })
    };
    let target = match &route.action {
        Action::Upstream(u) => Target::Upstream(slot(u, "action.upstream".into())),
        Action::Split(parts) => {
            let all: Vec<(usize, u32)> = parts
                .iter()
                .enumerate()
                .map(|(i, p)| (slot(&p.upstream, format!("action.split[{i}].upstream")), p.weight))
                .collect();
            let total = all.iter().map(|(_, w)| u64::from(*w)).sum();
            Target::Split(all, total)
        }
        Action::Respond(_) | Action::Redirect(_) => Target::Own,
    };
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(RouteEntry {
        name: name.clone(),
        chain,
        target,
        timeouts: route.timeouts.clone(),
        raw_path: route.forward_raw_path,
        websocket: route.websocket,
        body_bytes: route.body_bytes,
    })
}

/// Whether a route must be compiled again because something it names has changed.
pub(super) fn is_touched(
    route: &Route,
    hosts: &HashSet<&str>,
    middlewares: &HashSet<&str>,
    plan: &Plan,
) -> bool {
    let uses = |uses: &[MiddlewareUse]| {
        uses.iter().any(|u| matches!(u, MiddlewareUse::Use(n) if middlewares.contains(&n.as_str())))
    };
    route.hosts.iter().any(|h| hosts.contains(&h.as_str()))
        || uses(&route.middlewares)
        || (!middlewares.is_empty()
            && route.hosts.iter().any(|h| plan.host(h).is_some_and(|h| uses(&h.middlewares))))
}
