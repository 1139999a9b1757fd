//! Builds the next snapshot from a plan and what changed in it: all of it, or nothing.

use super::slots::Slots;
use super::upstreams::{Addresses, InUse, Surroundings};
use super::{ListenerEntry, Snapshot, UpstreamEntry, listeners, routes, tcp, udp, upstreams};
use crate::health::HealthTable;
use foldhash::{HashMap, HashMapExt as _};
use hg_middleware::Keep;
use hg_net::{Address, Clock};
use hg_plan::{Change, Kind, ObjectError, ObjectKey, Plan, Route};
use hg_resilience::Admin;
use hg_route::{ListenerId, RouteChange, RouteId, Staging};
use hg_tls::{Blobs, Ticketer};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// A route has one slot for each host whose middlewares it runs; the key is both names.
type RouteKey = (Arc<str>, Arc<str>);

/// A snapshot, and the upstream slots in which it differs from the one before.
pub(crate) struct Update {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) upstreams: Arc<[usize]>,
}

/// Builds snapshots, each from the one before.
pub(crate) struct Builder {
    current: Arc<Snapshot>,
    ticketer: Arc<Ticketer>,
    /// The state that middlewares keep.
    keep: Arc<Keep>,
    listeners: Slots<Arc<str>>,
    upstreams: Slots<Arc<str>>,
    routes: Slots<RouteKey>,
    /// The groups of routes that have more than the one without a host's middlewares.
    groups: HashMap<Arc<str>, Vec<Arc<str>>>,
    /// The empty owner name, shared by all keys without a host.
    nobody: Arc<str>,
    open: HashMap<Arc<str>, Arc<AtomicU32>>,
    in_use: InUse,
    health: HealthTable,
    /// Addresses of endpoints' names; a name without an entry is not resolved.
    names: Addresses,
}

/// Returns the names of one kind that were put or deleted.
fn touched(changed: &[Change], kind: Kind) -> impl Iterator<Item = &Arc<str>> {
    changed.iter().filter(move |c| c.kind == kind).map(|c| &c.name)
}

impl Builder {
    /// Makes a builder; the times in the health of endpoints are those of `clock`.
    pub(crate) fn new(ticketer: Arc<Ticketer>, clock: Clock, keep: Arc<Keep>) -> Self {
        Self {
            current: Arc::default(),
            ticketer,
            keep,
            listeners: Slots::default(),
            upstreams: Slots::default(),
            routes: Slots::default(),
            groups: HashMap::new(),
            nobody: "".into(),
            open: HashMap::new(),
            in_use: InUse::default(),
            health: HealthTable::new(clock),
            names: Addresses::new(),
        }
    }

    fn around(&mut self) -> Surroundings<'_> {
        Surroundings { in_use: &mut self.in_use, health: &mut self.health, names: &self.names }
    }

    /// Compiles the upstreams that use one of these names with their new addresses. Returns nothing
    /// if no upstream uses one.
    pub(crate) fn resolve(&mut self, names: Vec<(Arc<str>, Arc<[Address]>)>) -> Option<Update> {
        let told: HashSet<Arc<str>> = names.iter().map(|(name, _)| name.clone()).collect();
        for (name, addresses) in names {
            if addresses.is_empty() {
                self.names.remove(&name);
            } else {
                self.names.insert(name, addresses);
            }
        }
        let current = self.current.clone();
        let mut next = Snapshot::clone(&current);
        let mut slots = Vec::new();
        for (slot, entry) in current.upstreams.iter().enumerate() {
            let concerns = |u: &&Arc<UpstreamEntry>| {
                u.endpoints.iter().any(|e| e.is_name && told.contains(&e.address))
            };
            let Some(old) = entry.as_ref().filter(concerns) else { continue };
            let (tls, mut around) = (old.tls.clone(), self.around());
            // The plan compiled before, and addresses of names add nothing that could be refused.
            if let Ok(new) = upstreams::compile(&old.name, &old.plan, tls, &mut around) {
                put(&mut next.upstreams, slot, Some(new));
                slots.push(slot);
            }
        }
        if slots.is_empty() {
            return None;
        }
        self.current = Arc::new(next);
        Some(Update { snapshot: self.current.clone(), upstreams: slots.into() })
    }

    /// Returns upstream and address of every endpoint that has an order.
    pub(crate) fn ordered(&self) -> Vec<(String, String)> {
        self.health.ordered()
    }

    /// Keeps an operator's order for endpoints that this builder makes from now on.
    pub(crate) fn order(&mut self, upstream: &Arc<str>, address: &Arc<str>, order: Admin) {
        self.health.order(upstream, address, order);
    }

    /// Forgets names that are not among `used`.
    pub(crate) fn keep_names(&mut self, used: &BTreeSet<String>) {
        self.names.retain(|name, _| used.contains(&**name));
    }

    /// Returns the hosts whose middlewares the groups of this route run now.
    fn owners(&self, name: &Arc<str>) -> Vec<Arc<str>> {
        match self.groups.get(name) {
            Some(owners) => owners.clone(),
            None if self.routes.get(&(name.clone(), self.nobody.clone())).is_some() => {
                vec![self.nobody.clone()]
            }
            None => Vec::new(),
        }
    }

    /// Returns the snapshot built last.
    pub(crate) fn current(&self) -> &Arc<Snapshot> {
        &self.current
    }

    /// Compiles what changed.
    ///
    /// # Errors
    /// Returns every problem of every object; the current snapshot stays.
    pub(crate) fn apply(
        &mut self,
        plan: &Plan,
        changed: &[Change],
        blobs: &Blobs<'_>,
    ) -> Result<Update, Vec<ObjectError>> {
        let mut next = Snapshot::clone(&self.current);
        next.configure(plan.settings("node"));
        let mut work = Work {
            builder: self,
            plan,
            changed,
            kept: next.kept.clone(),
            shared: routes::SharedTerms::default(),
            errors: Vec::new(),
            new: Vec::new(),
        };
        work.tls(&mut next, blobs);
        work.listeners(&mut next);
        let slots = work.upstreams(&mut next);
        let staged = work.routes(&mut next);
        let (listeners, upstreams) = (&work.builder.listeners, &work.builder.upstreams);
        let named = (upstreams, &*work.builder.keep);
        let told = tcp::update(&mut next, (plan, changed), listeners, named);
        work.errors.extend(told);
        let told = udp::update(&mut next, (plan, changed), listeners, named);
        work.errors.extend(told);
        let Work { errors, new, .. } = work;
        if !errors.is_empty() {
            for key in new {
                self.undo(key);
            }
            return Err(errors);
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
        let is_gone = |c: &&Change| c.bytes.is_none() && !plan.contains(c.kind, &c.name);
        for c in changed.iter().filter(is_gone) {
            match c.kind {
                Kind::Listener => self.listeners.release(&c.name),
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
    }

    /// Forgets counts that no snapshot and no connection uses any more. Call it after a snapshot
    /// was freed.
    pub(crate) fn sweep(&mut self) {
        self.in_use.sweep();
        self.health.sweep();
        self.open.retain(|_, count| Arc::strong_count(count) > 1);
    }

    /// Returns of how many upstreams and endpoints the health is held.
    #[cfg(test)]
    pub(crate) fn held_health(&self) -> [usize; 2] {
        self.health.len()
    }

    /// Returns how many names and counts are held.
    #[cfg(test)]
    pub(crate) fn held(&self) -> [usize; 7] {
        let slots = [self.listeners.len(), self.upstreams.len(), self.routes.len()];
        let [listeners, upstreams, routes] = slots;
        let (open, in_use, names) = (self.open.len(), self.in_use.len(), self.names.len());
        [listeners, upstreams, routes, self.groups.len(), open, in_use, names]
    }
}

/// A slot taken while this snapshot is built.
enum New {
    Listener(Arc<str>),
    Upstream(Arc<str>),
    Route(RouteKey),
}

/// The changes of routes that take effect if everything compiles.
#[derive(Default)]
struct Staged {
    /// Changes for the router.
    router: Staging,
    /// Keys of slots that are empty from now on.
    gone: Vec<RouteKey>,
    /// The groups of routes from now on, if they are or were more than the one without a host.
    owners: Vec<(Arc<str>, Vec<Arc<str>>)>,
}

impl Staged {
    fn put(&mut self, slot: usize, name: &Arc<str>, route: Option<&Route>, on: &[ListenerId]) {
        let id = RouteId(u32::try_from(slot).unwrap_or(u32::MAX));
        self.router.add(&RouteChange { id, name, route, listeners: on });
    }
}

struct Work<'b, 'w> {
    builder: &'b mut Builder,
    plan: &'w Plan,
    changed: &'w [Change],
    /// The data that the log keeps of requests from now on.
    kept: Arc<hg_log::Kept>,
    shared: routes::SharedTerms,
    errors: Vec<ObjectError>,
    new: Vec<New>,
}

/// Returns the name of the host whose middlewares a group runs.
fn named(nobody: &Arc<str>, group: &routes::Group<'_>) -> Arc<str> {
    if group.owner.is_empty() { nobody.clone() } else { group.owner.into() }
}

fn put<T>(list: &mut Vec<Option<Arc<T>>>, slot: usize, entry: Option<T>) {
    if list.len() <= slot {
        list.resize_with(slot + 1, || None);
    }
    if let Some(place) = list.get_mut(slot) {
        *place = entry.map(Arc::new);
    }
}

impl<'w> Work<'_, 'w> {
    fn tls(&mut self, next: &mut Snapshot, blobs: &Blobs<'_>) {
        let others = self.changed.iter().filter(|c| c.kind != Kind::Route);
        let changed: Vec<ObjectKey> =
            others.map(|c| ObjectKey { kind: c.kind, name: c.name.clone() }).collect();
        match next.tls.update(self.plan, blobs, &self.builder.ticketer, &changed) {
            Ok(context) => next.tls = context,
            Err(errors) => self.errors.extend(errors),
        }
    }

    fn listeners(&mut self, next: &mut Snapshot) {
        // A changed certificate or host gives every TLS listener a new selector.
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
        if !Arc::ptr_eq(&before, &next.tls) {
            let moved = |(n, u): &(&Arc<str>, &hg_plan::Upstream)| {
                let same = match (before.upstream(n), next.tls.upstream(n)) {
                    (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                    (a, b) => a.is_none() && b.is_none(),
                };
                u.tls.is_some() && !same
            };
            names.extend(self.plan.upstreams().filter(moved).map(|(n, _)| n));
        }
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
            match upstreams::compile(name, plan, tls, &mut self.builder.around()) {
                Ok(entry) => put(&mut next.upstreams, slot, Some(entry)),
                Err(errors) => self.errors.extend(errors),
            }
            slots.push(slot);
        }
        slots
    }

    /// Compiles every route that changed, or whose hosts or middlewares changed.
    fn routes(&mut self, next: &mut Snapshot) -> Staged {
        let mut touched = self.touched_routes();
        touched.sort_by_key(|(name, _)| *name);
        let mut staged = Staged::default();
        let mut routes = touched.into_iter().peekable();
        while let Some((name, bytes)) = routes.next() {
            // If a name occurs twice, the last one counts.
            if routes.peek().is_none_or(|(next, _)| *next != name) {
                match bytes.map(Route::decode).transpose() {
                    Ok(route) => self.stage_route(name, route.as_ref(), next, &mut staged),
                    Err(message) => self.errors.push(ObjectError {
                        kind: Kind::Route,
                        name: name.clone(),
                        path: String::new(),
                        message,
                    }),
                }
            }
        }
        match std::mem::take(&mut staged.router).apply(&next.router) {
            Ok(router) => next.router = router,
            Err(errors) => self.errors.extend(errors),
        }
        staged
    }

    /// Returns the routes to compile, with their bytes unless they were deleted.
    fn touched_routes(&self) -> Vec<(&'w Arc<str>, Option<&'w [u8]>)> {
        let changed = self.changed.iter().filter(|c| c.kind == Kind::Route);
        let mut found: Vec<_> = changed.map(|c| (&c.name, c.bytes.as_deref())).collect();
        let named = |kind| touched(self.changed, kind).map(|name| &**name);
        let gone = |kind| named(kind).filter(move |name| !self.plan.contains(kind, name));
        let touched = routes::Touched {
            hosts: named(Kind::Host).collect(),
            middlewares: named(Kind::Middleware).collect(),
            gone_upstreams: gone(Kind::Upstream).collect(),
            gone_listeners: gone(Kind::Listener).collect(),
            claims: self.builder.current.kept.claims.names() != self.kept.claims.names(),
        };
        if touched.is_empty() {
            return found;
        }
        let known: HashSet<&str> = found.iter().map(|(name, _)| &***name).collect();
        let others = self.plan.encoded_routes().filter(|(name, _)| !known.contains(&***name));
        let others = others.filter(|(_, bytes)| {
            // A route that cannot be read is staged, too, and refused there.
            Route::decode(bytes).map_or(true, |route| touched.concerns(&route, self.plan))
        });
        found.extend(others.map(|(name, bytes)| (name, Some(bytes))));
        found
    }

    fn stage_route(
        &mut self,
        name: &Arc<str>,
        route: Option<&Route>,
        next: &mut Snapshot,
        staged: &mut Staged,
    ) {
        let nobody = self.builder.nobody.clone();
        let groups = route.map(|r| routes::groups(self.plan, r)).unwrap_or_default();
        let is_plain = matches!(groups.as_slice(), [one] if one.owner.is_empty());
        // Nearly all routes have no host's group before and after, so they have none to empty.
        if !is_plain || self.builder.groups.contains_key(name) {
            self.stage_gone(name, &groups, next, staged);
            let owners = groups.iter().map(|g| named(&nobody, g)).collect();
            staged.owners.push((name.clone(), owners));
        }
        let Some(route) = route else { return };
        let listeners = self.attached(name, route);
        for group in &groups {
            let key: RouteKey = (name.clone(), named(&nobody, group));
            let (slot, made) = self.builder.routes.take(&key);
            if made {
                self.new.push(New::Route(key));
            }
            let (plan, upstreams) = (self.plan, &self.builder.upstreams);
            // A deleted upstream keeps its slot until everything has compiled, but the slot is
            // empty.
            let upstream_slot = |name: &str| {
                let slot = upstreams.get(name)?;
                let is_there = next.upstreams.get(slot).is_some_and(Option::is_some);
                (is_there || plan.upstream(name).is_some()).then(|| u32::try_from(slot).ok())?
            };
            let (keep, logged) = (&*self.builder.keep, self.kept.claims.names());
            let of = routes::Of { name, route, group, plan, keep, logged };
            match routes::compile(&of, upstream_slot, &mut self.shared) {
                Ok(entry) => drop(next.routes.put(slot, Some(entry))),
                Err(errors) => self.errors.extend(errors),
            }
            let part = match groups.len() {
                1 => Cow::Borrowed(route),
                _ => Cow::Owned(Route { hosts: group.hosts_owned(), ..route.clone() }),
            };
            staged.put(slot, name, Some(&part), &listeners);
        }
    }

    /// Empties the slots of groups that a route no longer has.
    fn stage_gone(
        &mut self,
        name: &Arc<str>,
        groups: &[routes::Group<'_>],
        next: &mut Snapshot,
        staged: &mut Staged,
    ) {
        let before = self.builder.owners(name);
        for owner in before.iter().filter(|o| !groups.iter().any(|g| g.owner == &***o)) {
            let key = (name.clone(), owner.clone());
            if let Some(slot) = self.builder.routes.get(&key) {
                next.routes.put(slot, None);
                staged.put(slot, name, None, &[]);
            }
            staged.gone.push(key);
        }
    }

    fn attached(&mut self, name: &Arc<str>, route: &Route) -> Vec<ListenerId> {
        let mut ids = Vec::with_capacity(route.listeners.len());
        for (i, listener) in route.listeners.iter().enumerate() {
            match self.builder.listeners.get(listener.as_str()) {
                Some(slot) if self.plan.listener(listener).is_some_and(listeners::is_http) => {
                    ids.push(ListenerId(u16::try_from(slot).unwrap_or(u16::MAX)));
                }
                _ => self.errors.push(ObjectError {
                    kind: Kind::Route,
                    name: name.clone(),
                    path: format!("listeners[{i}]"),
                    message: listeners::not_http(self.plan, listener),
                }),
            }
        }
        ids
    }
}
