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
    Settings(Settings),
    /// See [`Listener`].
    Listener(Listener),
    /// See [`Host`].
    Host(Host),
    /// See [`Route`].
    Route(Route),
    /// See [`Middleware`].
    Middleware(Middleware),
    /// See [`Upstream`].
    Upstream(Upstream),
    /// See [`Certificate`].
    Certificate(Certificate),
    /// See [`TlsPolicy`].
    TlsPolicy(TlsPolicy),
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
            Kind::Settings => Object::Settings(d(bytes)?),
            Kind::Listener => Object::Listener(d(bytes)?),
            Kind::Host => Object::Host(d(bytes)?),
            Kind::Route => Object::Route(d(bytes)?),
            Kind::Middleware => Object::Middleware(d(bytes)?),
            Kind::Upstream => Object::Upstream(d(bytes)?),
            Kind::Certificate => Object::Certificate(d(bytes)?),
            Kind::TlsPolicy => Object::TlsPolicy(d(bytes)?),
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

/// An object and its canonical bytes.
type Stored = (Arc<Object>, Arc<[u8]>);

/// Every object of a config, and the root digest over them.
#[derive(Clone, Default)]
pub struct Plan {
    objects: BTreeMap<(Kind, Arc<str>), Stored>,
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
                Ok(o) => decoded.push(o),
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
            (c.kind, &*c.name, digest)
        }));
        for (c, object) in changes.iter().zip(decoded) {
            let key = (c.kind, c.name.clone());
            match (object, &c.bytes) {
                (Some(o), Some(b)) => {
                    self.objects.insert(key, (Arc::new(o), b.as_slice().into()));
                }
                _ => {
                    self.objects.remove(&key);
                }
            }
        }
        Ok(root)
    }

    /// Objects of one kind, by name.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&Arc<str>, &Arc<Object>)> {
        self.objects
            .range((kind, Arc::from(""))..)
            .take_while(move |((k, _), _)| *k == kind)
            .map(|((_, name), (object, _))| (name, object))
    }

    /// One object.
    pub fn get(&self, kind: Kind, name: &str) -> Option<&Arc<Object>> {
        self.objects.get(&(kind, Arc::from(name))).map(|(o, _)| o)
    }

    /// One object's canonical bytes.
    pub fn bytes(&self, kind: Kind, name: &str) -> Option<&Arc<[u8]>> {
        self.objects.get(&(kind, Arc::from(name))).map(|(_, b)| b)
    }

    /// Every object's canonical bytes, in the order of (kind, name).
    pub fn encoded(&self) -> impl Iterator<Item = (Kind, &Arc<str>, &Arc<[u8]>)> {
        self.objects.iter().map(|((k, n), (_, b))| (*k, n, b))
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

macro_rules! typed {
    ($($one:ident, $all:ident, $kind:ident, $t:ty;)*) => {
        impl Plan {
            $(
                #[doc = concat!("The ", stringify!($kind), " of that name.")]
                pub fn $one(&self, name: &str) -> Option<&$t> {
                    match &**self.get(Kind::$kind, name)? {
                        Object::$kind(o) => Some(o),
                        _ => None,
                    }
                }

                #[doc = concat!("Every ", stringify!($kind), ", by name.")]
                pub fn $all(&self) -> impl Iterator<Item = (&Arc<str>, &$t)> {
                    self.of_kind(Kind::$kind).filter_map(|(n, o)| match &**o {
                        Object::$kind(o) => Some((n, o)),
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
    route, routes, Route, Route;
    middleware, middlewares, Middleware, Middleware;
    upstream, upstreams, Upstream, Upstream;
    certificate, certificates, Certificate, Certificate;
    tls_policy, tls_policies, TlsPolicy, TlsPolicy;
}
