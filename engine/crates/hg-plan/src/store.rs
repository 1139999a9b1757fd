//! A plan as a set of decoded objects, and how changes are applied to it.

use crate::{Digest, DigestTree, Kind, objects::*};
use std::collections::BTreeMap;
use std::sync::Arc;

/// (kind, name): an object's identity. State is keyed by it and survives every change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// What it is.
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
}

impl Object {
    /// Decodes canonical bytes.
    ///
    /// # Errors
    /// The decoder's message when the bytes are not an object of that kind.
    pub fn decode(kind: Kind, bytes: &[u8]) -> Result<Self, String> {
        fn d<'a, T: serde::Deserialize<'a>>(b: &'a [u8]) -> Result<T, String> {
            serde_json::from_slice(b).map_err(|e| e.to_string())
        }
        Ok(match kind {
            Kind::Settings => Object::Settings(Box::new(d(bytes)?)),
            Kind::Listener => Object::Listener(Box::new(d(bytes)?)),
            Kind::Host => Object::Host(Box::new(d(bytes)?)),
            Kind::Route => Object::Route(Box::new(d(bytes)?)),
            Kind::Middleware => Object::Middleware(Box::new(d(bytes)?)),
            Kind::Upstream => Object::Upstream(Box::new(d(bytes)?)),
            Kind::Certificate => Object::Certificate(Box::new(d(bytes)?)),
            Kind::TlsPolicy => Object::TlsPolicy(Box::new(d(bytes)?)),
        })
    }
}

/// One object put or deleted, as it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: Arc<str>,
    /// Canonical bytes; `None` deletes.
    pub bytes: Option<Vec<u8>>,
}

/// Why an object was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectError {
    /// Which object.
    pub kind: Kind,
    /// Its name.
    pub name: Arc<str>,
    /// Where in it, as a path of keys (`endpoints[0].address`), or empty.
    pub path: String,
    /// What is wrong and what is allowed.
    pub message: String,
}

/// An object: its canonical bytes, and its decoded form where it is asked for often.
#[derive(Clone)]
struct Stored {
    bytes: Arc<[u8]>,
    object: Option<Arc<Object>>,
}

/// Every object of a config, and the root digest over them. Routes, the many, are kept as bytes
/// only and decoded when asked for.
#[derive(Clone, Default)]
pub struct Plan {
    objects: [BTreeMap<Arc<str>, Stored>; Kind::ALL.len()],
    tree: DigestTree,
}

impl Plan {
    /// The root digest.
    pub fn digest(&self) -> Digest {
        self.tree.root()
    }

    /// Applies all changes or none and returns the new root digest.
    ///
    /// # Errors
    /// One entry per object that cannot be decoded; the plan is then as it was.
    pub fn apply(&mut self, changes: &[Change]) -> Result<Digest, Vec<ObjectError>> {
        let mut decoded = Vec::with_capacity(changes.len());
        let mut errors = Vec::new();
        for c in changes {
            match c.bytes.as_deref().map(|b| Object::decode(c.kind, b)).transpose() {
                Ok(o) => decoded.push(o.filter(|_| c.kind != Kind::Route).map(Arc::new)),
                Err(message) => errors.push(ObjectError {
                    kind: c.kind,
                    name: c.name.clone(),
                    path: String::new(),
                    message,
                }),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let root = self.tree.apply(changes.iter().map(|c| {
            let digest = c.bytes.as_deref().map(|b| crate::object_digest(c.kind, &c.name, b));
            (c.kind, &c.name, digest)
        }));
        for (c, object) in changes.iter().zip(decoded) {
            let Some(objects) = self.objects.get_mut(c.kind as usize) else { continue };
            match &c.bytes {
                Some(b) => {
                    let stored = Stored { bytes: b.as_slice().into(), object };
                    objects.insert(c.name.clone(), stored);
                }
                None => {
                    objects.remove(&c.name);
                }
            }
        }
        Ok(root)
    }

    fn map(&self, kind: Kind) -> &BTreeMap<Arc<str>, Stored> {
        let [settings, listener, host, route, middleware, upstream, certificate, policy] =
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
        }
    }

    /// Names of one kind, in order.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &Arc<str>> {
        self.map(kind).keys()
    }

    /// Whether there is such an object.
    pub fn contains(&self, kind: Kind, name: &str) -> bool {
        self.map(kind).contains_key(name)
    }

    /// Objects of one kind, by name.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&Arc<str>, Arc<Object>)> {
        self.map(kind).iter().filter_map(move |(name, s)| Some((name, s.object(kind)?)))
    }

    /// One object.
    pub fn get(&self, kind: Kind, name: &str) -> Option<Arc<Object>> {
        self.map(kind).get(name)?.object(kind)
    }

    /// The name of a host as the plan holds it; empty when there is none of that name.
    pub fn host_name(&self, name: &str) -> &str {
        self.map(Kind::Host).get_key_value(name).map_or("", |(n, _)| n)
    }

    /// One object's canonical bytes.
    pub fn bytes(&self, kind: Kind, name: &str) -> Option<&Arc<[u8]>> {
        self.map(kind).get(name).map(|s| &s.bytes)
    }

    /// The route of that name, decoded anew.
    pub fn route(&self, name: &str) -> Option<Route> {
        self.map(Kind::Route).get(name)?.route()
    }

    /// Every route, by name, decoded as the iterator goes.
    pub fn routes(&self) -> impl Iterator<Item = (&Arc<str>, Route)> {
        self.map(Kind::Route).iter().filter_map(|(name, s)| Some((name, s.route()?)))
    }

    /// Every object's canonical bytes, in the order of (kind, name).
    pub fn encoded(&self) -> impl Iterator<Item = (Kind, &Arc<str>, &Arc<[u8]>)> {
        Kind::ALL.into_iter().flat_map(|k| self.map(k).iter().map(move |(n, s)| (k, n, &s.bytes)))
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.objects.iter().map(BTreeMap::len).sum()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Stored {
    /// Decoded once already, so decoding again cannot fail.
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
}
