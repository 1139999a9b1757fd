//! From a plan and what changed in it to the next snapshot. All of it, or nothing.

use super::slots::Slots;
use super::upstreams::InUse;
use super::{ListenerEntry, RouteEntry, Snapshot, UpstreamEntry, listeners, routes, upstreams};
use hg_plan::{Change, Kind, ObjectError, ObjectKey, Plan, Route};
use hg_route::{ListenerId, RouteChange, RouteId};
use hg_tls::{Blobs, Ticketer};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// A route's slots are named by route and by the host whose middlewares they run.
type RouteKey = (Arc<str>, Arc<str>);

/// A snapshot and which upstream slots differ from the one before.
pub(crate) struct Update {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) upstreams: Arc<[usize]>,
}

/// Makes snapshots, each from the one before.
pub(crate) struct Builder {
    current: Arc<Snapshot>,
    ticketer: Arc<Ticketer>,
    listeners: Slots<Arc<str>>,
    upstreams: Slots<Arc<str>>,
    routes: Slots<RouteKey>,
    /// Which groups a route has, where it is not just the one without a host's middlewares.
    groups: HashMap<Arc<str>, Vec<Arc<str>>>,
    /// The name of no host; one for all.
    nobody: Arc<str>,
    open: HashMap<Arc<str>, Arc<AtomicU32>>,
    in_use: InUse,
}

/// Names of one kind that were put or deleted.
fn touched(changed: &[Change], kind: Kind) -> impl Iterator<Item = &Arc<str>> {
    changed.iter().filter(move |c| c.kind == kind).map(|c| &c.name)
}

impl Builder {
    pub(crate) fn new(ticketer: Arc<Ticketer>) -> Self {
        Self {
            current: Arc::default(),
            ticketer,
            listeners: Slots::default(),
            upstreams: Slots::default(),
            routes: Slots::default(),
            groups: HashMap::new(),
            nobody: "".into(),
            open: HashMap::new(),
            in_use: InUse::default(),
        }
    }

    /// The hosts whose middlewares groups of this route run now.
    fn owners(&self, name: &Arc<str>) -> Vec<Arc<str>> {
        match self.groups.get(name) {
            Some(owners) => owners.clone(),
            None if self.routes.get(&(name.clone(), self.nobody.clone())).is_some() => {
                vec![self.nobody.clone()]
            }
            None => Vec::new(),
        }
    }

    /// The snapshot made last.
    pub(crate) fn current(&self) -> &Arc<Snapshot> {
        &self.current
    }

    /// Compiles what changed.
    ///
    /// # Errors
    /// Every problem of every object; the current snapshot stays.
    pub(crate) fn apply(
        &mut self,
        plan: &Plan,
        changed: &[Change],
        blobs: &Blobs<'_>,
    ) -> Result<Update, Vec<ObjectError>> {
        let mut next = Snapshot::clone(&self.current);
        let mut work = Work { builder: self, plan, changed, errors: Vec::new(), new: Vec::new() };
        work.tls(&mut next, blobs);
        work.listeners(&mut next);
        let slots = work.upstreams(&mut next);
        let staged = work.routes(&mut next);
        let Work { errors, new, .. } = work;
        if !errors.is_empty() {
            for key in new {
                self.undo(key);
            }
            return Err(errors);
        }
        if let Some(s) = plan.settings("node")
            && *next.settings != *s
        {
            next.settings = Arc::new(s.clone());
        }
        next.digest = plan.digest().hex();
        next.objects = plan.len() as u64;
        self.commit(plan, changed, staged);
        self.current = Arc::new(next);
        Ok(Update { snapshot: self.current.clone(), upstreams: slots.into() })
    }

    fn undo(&mut self, key: New) {
        match key {
            New::Listener(n) => self.listeners.release(&n),
            New::Upstream(n) => self.upstreams.release(&n),
            New::Route(k) => self.routes.release(&k),
        }
    }

    fn commit(&mut self, plan: &Plan, changed: &[Change], staged: Staged) {
        for key in staged.gone {
            self.routes.release(&key);
        }
        for c in changed.iter().filter(|c| !plan.contains(c.kind, &c.name)) {
            match c.kind {
                Kind::Listener => {
                    self.listeners.release(&c.name);
                    self.open.remove(&c.name);
                }
                Kind::Upstream => self.upstreams.release(&c.name),
                Kind::Route => {
                    self.groups.remove(&c.name);
                }
                _ => {}
            }
        }
        for (name, owners) in staged.owners {
            if owners.iter().all(|o| o.is_empty()) {
                self.groups.remove(&name);
            } else {
                self.groups.insert(name, owners);
            }
        }
        self.in_use.sweep();
    }
}

/// A slot taken in this attempt.
enum New {
    Listener(Arc<str>),
    Upstream(Arc<str>),
    Route(RouteKey),
}

/// The router is told this many routes at once: their decoded form need not exist for all.
const ROUTE_BATCH: usize = 1024;

/// What becomes of routes.
#[derive(Default)]
struct Staged {
    /// What the router is to be told next.
    changes: Vec<StagedChange>,
    /// Keys of slots that hold nothing any more.
    gone: Vec<RouteKey>,
    /// The groups of each route from now on.
    owners: Vec<(Arc<str>, Vec<Arc<str>>)>,
}

struct StagedChange {
    slot: usize,
    name: Arc<str>,
    route: Option<Box<Route>>,
    listeners: Vec<ListenerId>,
}

struct Work<'a> {
    builder: &'a mut Builder,
    plan: &'a Plan,
    changed: &'a [Change],
    errors: Vec<ObjectError>,
    new: Vec<New>,
}

fn put<T>(list: &mut Vec<Option<Arc<T>>>, slot: usize, entry: Option<T>) {
    if list.len() <= slot {
        list.resize_with(slot + 1, || None);
    }
    if let Some(place) = list.get_mut(slot) {
        *place = entry.map(Arc::new);
    }
}

impl Work<'_> {
    fn tls(&mut self, next: &mut Snapshot, blobs: &Blobs<'_>) {
        let changed: Vec<ObjectKey> =
            self.changed.iter().map(|c| ObjectKey { kind: c.kind, name: c.name.clone() }).collect();
        match next.tls.update(self.plan, blobs, &self.builder.ticketer, &changed) {
            Ok(context) => next.tls = context,
            Err(errors) => self.errors.extend(errors),
        }
    }

    fn listeners(&mut self, next: &mut Snapshot) {
        // A certificate or host that changed gives every TLS listener another selector.
        let tls_moved = !Arc::ptr_eq(&next.tls, &self.builder.current.tls);
        let mut names: BTreeSet<&Arc<str>> = touched(self.changed, Kind::Listener).collect();
        if tls_moved {
            names.extend(self.plan.listeners().filter(|(_, l)| l.tls.is_some()).map(|(n, _)| n));
        }
        for name in names {
            let Some(plan) = self.plan.listener(name) else {
                if let Some(slot) = self.builder.listeners.get(&**name) {
                    put::<ListenerEntry>(&mut next.listeners, slot, None);
                }
                continue;
            };
            let (slot, made) = self.builder.listeners.take(name);
            if made {
                self.new.push(New::Listener(name.clone()));
            }
            let open = self.builder.open.entry(name.clone()).or_default().clone();
            match listeners::compile(name, plan, next.tls.listener(name).cloned(), open) {
                Ok(entry) => put(&mut next.listeners, slot, Some(entry)),
                Err(errors) => self.errors.extend(errors),
            }
        }
    }

    fn upstreams(&mut self, next: &mut Snapshot) -> Vec<usize> {
        let mut names: BTreeSet<&Arc<str>> = touched(self.changed, Kind::Upstream).collect();
        let before = self.builder.current.tls.clone();
        names.extend(
            self.plan
                .upstreams()
                .filter(|(n, u)| {
                    let same = match (before.upstream(n), next.tls.upstream(n)) {
                        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                        (a, b) => a.is_none() && b.is_none(),
                    };
                    u.tls.is_some() && !same
                })
                .map(|(n, _)| n),
        );
        let mut slots = Vec::with_capacity(names.len());
        for name in names {
            let Some(plan) = self.plan.upstream(name) else {
                if let Some(slot) = self.builder.upstreams.get(&**name) {
                    put::<UpstreamEntry>(&mut next.upstreams, slot, None);
                    slots.push(slot);
                }
                continue;
            };
            let (slot, made) = self.builder.upstreams.take(name);
            if made {
                self.new.push(New::Upstream(name.clone()));
            }
            let tls = next.tls.upstream(name).cloned();
            match upstreams::compile(name, plan, tls, &mut self.builder.in_use) {
                Ok(entry) => put(&mut next.upstreams, slot, Some(entry)),
                Err(errors) => self.errors.extend(errors),
            }
            slots.push(slot);
        }
        slots
    }

    /// Compiles every route that changed, or whose hosts or middlewares did.
    fn routes(&mut self, next: &mut Snapshot) -> Staged {
        let hosts: HashSet<&str> = touched(self.changed, Kind::Host).map(|n| &**n).collect();
        let middlewares: HashSet<&str> =
            touched(self.changed, Kind::Middleware).map(|n| &**n).collect();
        let mut names: BTreeSet<&Arc<str>> = touched(self.changed, Kind::Route).collect();
        if hosts.len() + middlewares.len() > 0 {
            let others = self.plan.names(Kind::Route).filter(|n| !names.contains(n));
            let is_touched = |name: &&Arc<str>| {
                let route = self.plan.route(name);
                route.is_some_and(|r| routes::is_touched(&r, &hosts, &middlewares, self.plan))
            };
            let more: Vec<_> = others.filter(is_touched).collect();
            names.extend(more);
        }
        let mut staged = Staged::default();
        for name in names {
            self.stage_route(name, next, &mut staged);
            if staged.changes.len() >= ROUTE_BATCH {
                self.tell_router(next, &mut staged);
            }
        }
        self.tell_router(next, &mut staged);
        staged
    }

    fn tell_router(&mut self, next: &mut Snapshot, staged: &mut Staged) {
        let changes: Vec<RouteChange<'_>> = staged
            .changes
            .iter()
            .map(|c| RouteChange {
                id: RouteId(u32::try_from(c.slot).unwrap_or(u32::MAX)),
                name: &c.name,
                route: c.route.as_deref(),
                listeners: &c.listeners,
            })
            .collect();
        match next.router.apply(&changes) {
            Ok(router) => next.router = router,
            Err(errors) => self.errors.extend(errors),
        }
        staged.changes.clear();
    }

    fn stage_route(&mut self, name: &Arc<str>, next: &mut Snapshot, staged: &mut Staged) {
        let plan = self.plan;
        let route = plan.route(name);
        let groups = route.as_ref().map(|r| routes::groups(plan, r)).unwrap_or_default();
        let nobody = self.builder.nobody.clone();
        let before = self.builder.owners(name);
        for owner in before.iter().filter(|o| !groups.iter().any(|g| g.owner == &***o)) {
            let key = (name.clone(), owner.clone());
            if let Some(slot) = self.builder.routes.get(&key) {
                put::<RouteEntry>(&mut next.routes, slot, None);
                let listeners = Vec::new();
                staged.changes.push(StagedChange {
                    slot,
                    name: name.clone(),
                    route: None,
                    listeners,
                });
            }
            staged.gone.push(key);
        }
        let Some(mut route) = route else { return };
        let owner_of = |g: &routes::Group<'_>| -> Arc<str> {
            if g.owner.is_empty() { nobody.clone() } else { g.owner.into() }
        };
        staged.owners.push((name.clone(), groups.iter().map(owner_of).collect()));
        let listeners = self.attached(name, &route);
        for group in &groups {
            let key: RouteKey = (name.clone(), owner_of(group));
            let (slot, made) = self.builder.routes.take(&key);
            if made {
                self.new.push(New::Route(key));
            }
            match routes::compile(name, &route, group, plan, &self.builder.upstreams) {
                Ok(entry) => put(&mut next.routes, slot, Some(entry)),
                Err(errors) => self.errors.extend(errors),
            }
            let hosts = std::mem::replace(&mut route.hosts, group.hosts.clone());
            let part = Box::new(route.clone());
            route.hosts = hosts;
            let listeners = listeners.clone();
            staged.changes.push(StagedChange {
                slot,
                name: name.clone(),
                route: Some(part),
                listeners,
            });
        }
    }

    fn attached(&mut self, name: &Arc<str>, route: &Route) -> Vec<ListenerId> {
        let mut ids = Vec::with_capacity(route.listeners.len());
        for (i, listener) in route.listeners.iter().enumerate() {
            match self.builder.listeners.get(listener.as_str()) {
                Some(slot) if self.plan.listener(listener).is_some() => {
                    ids.push(ListenerId(u16::try_from(slot).unwrap_or(u16::MAX)));
                }
                _ => self.errors.push(ObjectError {
                    kind: Kind::Route,
                    name: name.clone(),
                    path: format!("listeners[{i}]"),
                    message: format!("there is no listener `{listener}`"),
                }),
            }
        }
        ids
    }
}
