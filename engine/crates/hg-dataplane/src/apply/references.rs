//! The key material that the objects of a plan name. Pure.

use hg_plan::{Change, Digest, Kind, Object, Plan};
use std::collections::{HashMap, HashSet};

/// The kinds whose objects name blobs.
const NAMING: [Kind; 4] = [Kind::Certificate, Kind::TlsPolicy, Kind::Upstream, Kind::Settings];

/// The number of times that the objects of the held plan name each blob.
#[derive(Debug, Default)]
pub struct References {
    counts: HashMap<Digest, u32>,
}

impl References {
    /// Counts the references of every object of a plan.
    pub fn of(plan: &Plan) -> Self {
        let mut references = Self::default();
        for kind in NAMING {
            for (_, object) in plan.of_kind(kind) {
                references.add(&object);
            }
        }
        references
    }

    /// Reports whether objects of a kind can name blobs; most kinds cannot.
    pub fn may_have(kind: Kind) -> bool {
        NAMING.contains(&kind)
    }

    /// Adds the references of an object.
    pub fn add(&mut self, object: &Object) {
        each(object, &mut |sha256| {
            if let Some(digest) = Digest::parse(sha256) {
                *self.counts.entry(digest).or_default() += 1;
            }
        });
    }

    /// Removes the references of an object; returns the blobs that nothing names any more.
    pub fn remove(&mut self, object: &Object) -> Vec<Digest> {
        let mut unused = Vec::new();
        each(object, &mut |sha256| {
            let Some(digest) = Digest::parse(sha256) else {
                return;
            };
            match self.counts.get_mut(&digest) {
                Some(count) if *count > 1 => *count -= 1,
                _ => {
                    self.counts.remove(&digest);
                    unused.push(digest);
                }
            }
        });
        unused
    }

    /// Reports whether any object names the blob.
    pub fn has(&self, digest: &Digest) -> bool {
        self.counts.contains_key(digest)
    }

    /// Returns every blob that an object names.
    pub fn all(&self) -> HashSet<Digest> {
        self.counts.keys().copied().collect()
    }
}

/// Returns the blobs that the changed objects name and `is_held` does not know, sorted, each once.
pub fn missing(plan: &Plan, changes: &[Change], is_held: impl Fn(&str) -> bool) -> Vec<String> {
    let mut missing = Vec::new();
    for change in changes.iter().filter(|change| References::may_have(change.kind)) {
        if let Some(object) = plan.get(change.kind, &change.name) {
            each(&object, &mut |sha256| {
                if !is_held(sha256) {
                    missing.push(sha256.to_owned());
                }
            });
        }
    }
    missing.sort_unstable();
    missing.dedup();
    missing
}

fn each(object: &Object, visit: &mut dyn FnMut(&str)) {
    match object {
        Object::Certificate(certificate) => {
            visit(&certificate.cert);
            visit(&certificate.key);
            if let Some(ocsp) = &certificate.ocsp {
                visit(ocsp);
            }
        }
        Object::TlsPolicy(policy) => {
            if let Some(auth) = &policy.client_auth {
                visit(&auth.ca);
                if let Some(crl) = &auth.crl {
                    visit(crl);
                }
            }
        }
        Object::Upstream(upstream) => {
            if let Some(ca) = upstream.tls.as_ref().and_then(|tls| tls.ca.as_deref()) {
                visit(ca);
            }
        }
        Object::Settings(settings) => {
            settings.outlets().flat_map(|(_, tls)| tls.blobs()).for_each(visit);
        }
        Object::TcpRoute(_)
        | Object::UdpRoute(_)
        | Object::Listener(_)
        | Object::Host(_)
        | Object::Route(_)
        | Object::Middleware(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(name: &str, cert: &str, key: &str) -> Change {
        let (cert, key) = (Digest::of(cert.as_bytes()).hex(), Digest::of(key.as_bytes()).hex());
        let bytes = format!(r#"{{"cert":"{cert}","key":"{key}"}}"#).into_bytes();
        Change { kind: Kind::Certificate, name: name.into(), bytes: Some(bytes) }
    }

    #[test]
    fn a_blob_is_unused_when_the_last_object_lets_go() {
        let mut plan = Plan::default();
        plan.apply(&[certificate("a", "chain", "key"), certificate("b", "chain", "other")])
            .unwrap();
        let mut references = References::of(&plan);
        assert_eq!(references.all().len(), 3);
        let first = references.remove(&plan.get(Kind::Certificate, "a").unwrap());
        assert_eq!(first, [Digest::of(b"key")]);
        assert!(references.has(&Digest::of(b"chain")));
        let second = references.remove(&plan.get(Kind::Certificate, "b").unwrap());
        assert_eq!(second, [Digest::of(b"chain"), Digest::of(b"other")]);
        assert!(references.all().is_empty());
    }

    #[test]
    fn what_is_missing_is_listed_once() {
        let changes = [certificate("a", "chain", "key"), certificate("b", "chain", "key")];
        let mut plan = Plan::default();
        plan.apply(&changes).unwrap();
        let chain = Digest::of(b"chain").hex();
        assert_eq!(missing(&plan, &changes, |name| name == chain), [Digest::of(b"key").hex()]);
        assert!(missing(&plan, &changes, |_| true).is_empty());
        assert_eq!(missing(&plan, &changes, |_| false).len(), 2);
    }
}
