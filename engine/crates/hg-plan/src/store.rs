//! A plan as a set of decoded objects, and the application of changes to it.

use crate::{Digest, DigestTree, Kind, objects::*};
use std::collections::BTreeMap;
use std::sync::Arc;

/// (kind, name): an object's identity. It is the key of state, which survives every change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Its kind.
    pub kind: Kind,
    /// Its name, unique within the kind.
    pub name: Arc<str>,
}

/// A decoded object.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// See [`Settings`].
    Settings(Box<Settings>),
    /// See [`Listener`].
    Listener(Box<Listener>),
    /// See [`Host`].
    Host(Box<Host>),
    /// See [`Route`].
    Route(Box<Route>),
    /// See [`Middleware`].
    Middleware(Box<Middleware>),
    /// See [`Upstream`].
    Upstream(Box<Upstream>),
    /// See [`Certificate`].
    Certificate(Box<Certificate>),
    /// See [`TlsPolicy`].
    TlsPolicy(Box<TlsPolicy>),
    /// See [`TcpRoute`].
    TcpRoute(Box<TcpRoute>),
    /// See [`UdpRoute`].
    UdpRoute(Box<UdpRoute>),
}

impl Route {
    /// Decodes canonical bytes.
    ///
    /// # Errors
    /// Returns the decoder's message if the bytes are not a route.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|e| e.to_string())
    }
}

impl Object {
    /// Decodes canonical bytes.
    ///
    /// # Errors
    /// Returns the decoder's message if the bytes are not an object of that kind.
    pub fn decode(kind: Kind, bytes: &[u8]) -> Result<Self, String> {
        fn d<'a, T: serde::Deserialize<'a>>(b: &'a [u8]) -> Result<T, String> {
            serde_json::from_slice(b).map_err(|e| e.to_string())
        }
        Ok(match kind {
            Kind::Settings => Object::Settings(Box::new(d(bytes)?)),
            Kind::Listener => Object::Listener(Box::new(d(bytes)?)),
            Kind::Host => Object::Host(Box::new(d(bytes)?)),
            Kind::Route => Object::Route(Box::new(Route::decode(bytes)?)),
            Kind::Middleware => Object::Middleware(Box::new(d(bytes)?)),
            Kind::Upstream => Object::Upstream(Box::new(d(bytes)?)),
            Kind::Certificate => Object::Certificate(Box::new(d(bytes)?)),
            Kind::TlsPolicy => Object::TlsPolicy(Box::new(d(bytes)?)),
            Kind::TcpRoute => Object::TcpRoute(Box::new(d(bytes)?)),
            Kind::UdpRoute => Object::UdpRoute(Box::new(d(bytes)?)),
        })
    }
}

/// One object to put or delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Arc<str>,
    /// Canonical bytes; `None` deletes.
    pub bytes: Option<Vec<u8>>,
}

/// The refusal of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectError {
    /// The object's kind.
    pub kind: Kind,
    /// The object's name.
    pub name: Arc<str>,
    /// The place in the object, as a path of keys (`endpoints[0].address`), or empty.
    pub path: String,
    /// The problem and what is allowed.
    pub message: String,
}

/// An object: its canonical bytes, and its decoded form if it is often needed.
#[derive(Clone)]
struct Stored {
    bytes: Arc<[u8]>,
    object: Option<Arc<Object>>,
}

/// An object that was replaced, with its digest in the tree; `None` = there was none.
struct Replaced {
    kind: Kind,
    name: Arc<str>,
    stored: Option<Stored>,
    digest: Option<Digest>,
}

/// The objects that an exchange has replaced.
pub struct Undo(Vec<Replaced>);

/// Decodes changes to the form in which objects are kept; only checks routes.
fn decoded(changes: &[Change]) -> Result<Vec<Option<Arc<Object>>>, Vec<ObjectError>> {
    let mut decoded = Vec::with_capacity(changes.len());
    let mut errors = Vec::new();
    for c in changes {
        let object = match (c.kind, c.bytes.as_deref()) {
            (_, None) => Ok(None),
            (Kind::Route, Some(bytes)) => Route::decode(bytes).map(|_| None),
            (kind, Some(bytes)) => Object::decode(kind, bytes).map(|o| Some(Arc::new(o))),
        };
        match object {
            Ok(object) => decoded.push(object),
            Err(message) => errors.push(ObjectError {
                kind: c.kind,
                name: c.name.clone(),
                path: String::new(),
                message,
            }),
        }
    }
    if errors.is_empty() { Ok(decoded) } else { Err(errors) }
}

/// Every object of a config, and the root digest over them. Routes, the most numerous, are kept as
/// bytes only and decoded on demand.
#[derive(Clone, Default)]
pub struct Plan {
    objects: [BTreeMap<Arc<str>, Stored>; Kind::ALL.len()],
    tree: DigestTree,
}

impl Plan {
    /// Returns the root digest.
    pub fn digest(&self) -> Digest {
        self.tree.root()
    }

    /// Applies all changes or none and returns the new root digest.
    ///
    /// # Errors
    /// Returns one entry per object that cannot be decoded; the plan is then unchanged.
    pub fn apply(&mut self, changes: &[Change]) -> Result<Digest, Vec<ObjectError>> {
        self.exchange(changes)?;
        Ok(self.digest())
    }

    /// Applies changes as [`Plan::apply`] does; returns what [`Plan::restore`] needs to undo them.
    ///
    /// # Errors
    /// As [`Plan::apply`].
    pub fn exchange(&mut self, changes: &[Change]) -> Result<Undo, Vec<ObjectError>> {
        let decoded = decoded(changes)?;
        let digests = self.tree.apply(changes.iter().map(|c| {
            let digest = c.bytes.as_deref().map(|b| crate::object_digest(c.kind, &c.name, b));
            (c.kind, &c.name, digest)
        }));
        let mut before = Vec::with_capacity(changes.len());
        for ((c, object), digest) in changes.iter().zip(decoded).zip(digests) {
            let bytes = c.bytes.as_deref();
            let stored = bytes.map(|b| Stored { bytes: b.into(), object });
            let stored = self.put(c.kind, &c.name, stored);
            before.push(Replaced { kind: c.kind, name: c.name.clone(), stored, digest });
        }
        Ok(Undo(before))
    }

    /// Restores the plan from before the changes that returned `undo`.
    pub fn restore(&mut self, undo: Undo) {
        self.tree.apply(undo.0.iter().rev().map(|one| (one.kind, &one.name, one.digest)));
        for one in undo.0.into_iter().rev() {
            self.put(one.kind, &one.name, one.stored);
        }
    }

    /// Puts or removes an object; returns the one that was there.
    fn put(&mut self, kind: Kind, name: &Arc<str>, stored: Option<Stored>) -> Option<Stored> {
        let objects = self.objects.get_mut(kind as usize)?;
        match stored {
            Some(stored) => objects.insert(name.clone(), stored),
            None => objects.remove(name),
        }
    }

    fn map(&self, kind: Kind) -> &BTreeMap<Arc<str>, Stored> {
        let [settings, listener, host, route, middleware, upstream, certificate, policy, tcp, udp] =
            &self.objects;
        match kind {
            Kind::Settings => settings,
            Kind::Listener => listener,
            Kind::Host => host,
            Kind::Route => route,
            Kind::Middleware => middleware,
            Kind::Upstream => upstream,
            Kind::Certificate => certificate,
            Kind::TlsPolicy => policy,
            Kind::TcpRoute => tcp,
            Kind::UdpRoute => udp,
        }
    }

    /// Returns the names of one kind, in order.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &Arc<str>> {
        self.map(kind).keys()
    }

    /// Reports whether there is such an object.
    pub fn contains(&self, kind: Kind, name: &str) -> bool {
        self.map(kind).contains_key(name)
    }

    /// Returns the objects of one kind, by name.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&Arc<str>, Arc<Object>)> {
        self.map(kind).iter().filter_map(move |(name, s)| Some((name, s.object(kind)?)))
    }

    /// Returns one object.
    pub fn get(&self, kind: Kind, name: &str) -> Option<Arc<Object>> {
        self.map(kind).get(name)?.object(kind)
    }

    /// Returns the name of a host as the plan holds it; empty if there is no such host.
    pub fn host_name(&self, name: &str) -> &str {
        self.map(Kind::Host).get_key_value(name).map_or("", |(n, _)| n)
    }

    /// Returns one object's canonical bytes.
    pub fn bytes(&self, kind: Kind, name: &str) -> Option<&Arc<[u8]>> {
        self.map(kind).get(name).map(|s| &s.bytes)
    }

    /// Decodes and returns the route of that name.
    pub fn route(&self, name: &str) -> Option<Route> {
        self.map(Kind::Route).get(name)?.route()
    }

    /// Returns every route, by name; decodes each as the iterator reaches it.
    pub fn routes(&self) -> impl Iterator<Item = (&Arc<str>, Route)> {
        self.map(Kind::Route).iter().filter_map(|(name, s)| Some((name, s.route()?)))
    }

    /// Returns every route's canonical bytes, by name.
    pub fn encoded_routes(&self) -> impl Iterator<Item = (&Arc<str>, &[u8])> {
        self.map(Kind::Route).iter().map(|(name, s)| (name, &*s.bytes))
    }

    /// Returns every object's canonical bytes, in the order of (kind, name).
    pub fn encoded(&self) -> impl Iterator<Item = (Kind, &Arc<str>, &Arc<[u8]>)> {
        Kind::ALL.into_iter().flat_map(|k| self.map(k).iter().map(move |(n, s)| (k, n, &s.bytes)))
    }

    /// Returns the number of objects.
    pub fn len(&self) -> usize {
        self.objects.iter().map(BTreeMap::len).sum()
    }

    /// Reports whether it has no object.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Stored {
    /// Decodes the object, which cannot fail because it was decoded before.
    fn object(&self, kind: Kind) -> Option<Arc<Object>> {
        self.object.clone().or_else(|| Object::decode(kind, &self.bytes).ok().map(Arc::new))
    }

    fn route(&self) -> Option<Route> {
        serde_json::from_slice(&self.bytes).ok()
    }
}

macro_rules! typed {
    ($($one:ident, $all:ident, $kind:ident, $t:ty;)*) => {
        impl Plan {
            $(
                #[doc = concat!("The ", stringify!($kind), " of that name.")]
                pub fn $one(&self, name: &str) -> Option<&$t> {
                    match self.map(Kind::$kind).get(name)?.object.as_deref()? {
                        Object::$kind(o) => Some(o),
                        _ => None,
                    }
                }

                #[doc = concat!("Every ", stringify!($kind), ", by name.")]
                pub fn $all(&self) -> impl Iterator<Item = (&Arc<str>, &$t)> {
                    self.map(Kind::$kind).iter().filter_map(|(n, s)| match s.object.as_deref()? {
                        Object::$kind(o) => Some((n, &**o)),
                        _ => None,
                    })
                }
            )*
        }
    };
}

typed! {
    settings, all_settings, Settings, Settings;
    listener, listeners, Listener, Listener;
    host, hosts, Host, Host;
    middleware, middlewares, Middleware, Middleware;
    upstream, upstreams, Upstream, Upstream;
    certificate, certificates, Certificate, Certificate;
    tls_policy, tls_policies, TlsPolicy, TlsPolicy;
    tcp_route, tcp_routes, TcpRoute, TcpRoute;
    udp_route, udp_routes, UdpRoute, UdpRoute;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(kind: Kind, name: &str, json: &str) -> Change {
        Change { kind, name: name.into(), bytes: Some(json.as_bytes().to_vec()) }
    }

    fn route(name: &str, host: &str) -> Change {
        let json =
            format!(r#"{{"action":{{"upstream":"u"}},"hosts":["{host}"],"listeners":["web"]}}"#);
        put(Kind::Route, name, &json)
    }

    fn all(plan: &Plan) -> Vec<(Kind, Arc<str>, Vec<u8>)> {
        plan.encoded().map(|(kind, name, bytes)| (kind, name.clone(), bytes.to_vec())).collect()
    }

    #[test]
    fn what_was_exchanged_is_restored() {
        let mut plan = Plan::default();
        plan.apply(&[route("a", "a"), route("b", "b"), put(Kind::Host, "h", "{}")]).unwrap();
        let (before, digest) = (all(&plan), plan.digest());
        let gone = |kind, name: &str| Change { kind, name: name.into(), bytes: None };
        let changes = [
            route("a", "other"),
            gone(Kind::Route, "b"),
            route("c", "c"),
            route("c", "twice"),
            gone(Kind::Host, "none"),
            put(Kind::Host, "h", r#"{"tls_policy":"p"}"#),
        ];
        let undo = plan.exchange(&changes).unwrap();
        assert_ne!(plan.digest(), digest);
        assert_eq!(plan.host("h").unwrap().tls_policy.as_deref(), Some("p"));
        plan.restore(undo);
        assert_eq!((all(&plan), plan.digest()), (before, digest));
        assert_eq!(plan.host("h"), Some(&Host::default()));
    }

    #[test]
    fn of_many_routes_each_mistake_is_told_and_nothing_changes() {
        let mut changes: Vec<Change> =
            (0..40).map(|i| route(&format!("r{i}"), &format!("h{i}"))).collect();
        changes[20].bytes = Some(b"{}".to_vec());
        changes[30].bytes.as_mut().unwrap().push(b'x');
        let mut plan = Plan::default();
        let errors = plan.apply(&changes).unwrap_err();
        let told: Vec<_> = errors.iter().map(|e| (&*e.name, &*e.message)).collect();
        assert_eq!(told[0], ("r20", "missing field `hosts` at line 1 column 2"));
        assert_eq!((told.len(), told[1].0), (2, "r30"));
        assert!(plan.is_empty() && plan.digest() == Plan::default().digest());
    }
}
