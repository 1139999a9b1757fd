//! Per-object digests and the two-level tree above them.

use crate::Kind;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A sha256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Lower-case hex, 64 characters.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// The sha256 of some bytes: how blobs (certificates, keys, bundles) are named.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// From lower-case hex; `None` if it is not 64 hex characters.
    pub fn parse(text: &str) -> Option<Self> {
        let mut out = [0; 32];
        hex::decode_to_slice(text, &mut out).ok()?;
        Some(Self(out))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex()[..12])
    }
}

/// The digest of one object's canonical bytes.
pub fn object_digest(kind: Kind, name: &str, bytes: &[u8]) -> Digest {
    let mut h = Sha256::new();
    h.update(b"hg1\0");
    h.update(kind.as_str());
    h.update([0]);
    h.update(name);
    h.update([0]);
    h.update(bytes);
    Digest(h.finalize().into())
}

/// The bucket an object's digest falls into.
pub fn bucket(kind: Kind, name: &str) -> u8 {
    let mut h = Sha256::new();
    h.update(kind.as_str());
    h.update([0]);
    h.update(name);
    h.finalize()[0]
}

/// The digest tree of a plan: a change rehashes one bucket of 256 and the root.
#[derive(Clone)]
pub struct DigestTree {
    buckets: Vec<BTreeMap<(Kind, Arc<str>), Digest>>,
    digests: Vec<Digest>,
}

impl Default for DigestTree {
    fn default() -> Self {
        Self { buckets: vec![BTreeMap::new(); 256], digests: vec![Digest::default(); 256] }
    }
}

impl DigestTree {
    /// Applies changes (`None` = delete) and gives the digest that each has replaced.
    pub fn apply<'a>(
        &mut self,
        changes: impl IntoIterator<Item = (Kind, &'a Arc<str>, Option<Digest>)>,
    ) -> Vec<Option<Digest>> {
        let mut touched = [false; 256];
        let mut replaced = Vec::new();
        for (kind, name, digest) in changes {
            let i = usize::from(bucket(kind, name));
            touched[i] = true;
            replaced.push(match digest {
                Some(d) => self.buckets[i].insert((kind, name.clone()), d),
                None => self.buckets[i].remove(&(kind, name.clone())),
            });
        }
        for i in (0..256).filter(|i| touched[*i]) {
            self.digests[i] = if self.buckets[i].is_empty() {
                Digest::default()
            } else {
                // (kind, name) sorts by the canonical word, as every other implementation would.
                let mut entries: Vec<_> = self.buckets[i].iter().collect();
                entries.sort_by(|a, b| (a.0.0.as_str(), &a.0.1).cmp(&(b.0.0.as_str(), &b.0.1)));
                let mut h = Sha256::new();
                for (_, d) in entries {
                    h.update(d.0);
                }
                Digest(h.finalize().into())
            };
        }
        replaced
    }

    /// The root digest.
    pub fn root(&self) -> Digest {
        let mut h = Sha256::new();
        h.update(b"hg1-root\0");
        for d in &self.digests {
            h.update(d.0);
        }
        Digest(h.finalize().into())
    }
}
