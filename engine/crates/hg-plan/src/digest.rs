//! Per-object digests and the two-level tree above them.

use crate::Kind;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A sha256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Returns lower-case hex, 64 characters.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Returns the sha256 of some bytes, by which blobs (certificates, keys, bundles) are named.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Parses lower-case hex; `None` if it is not 64 hex characters.
    pub fn parse(text: &str) -> Option<Self> {
        let mut out = [0; 32];
        hex::decode_to_slice(text, &mut out).ok()?;
        Some(Self(out))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hex().get(..12).unwrap_or_default())
    }
}

/// Returns the digest of one object's canonical bytes.
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

/// Returns the bucket of an object's digest.
pub fn bucket(kind: Kind, name: &str) -> u8 {
    let mut h = Sha256::new();
    h.update(kind.as_str());
    h.update([0]);
    h.update(name);
    let Digest([first, ..]) = Digest(h.finalize().into());
    first
}

/// The digest tree of a plan: a change rehashes one bucket of 256 and the root.
#[derive(Clone)]
pub struct DigestTree {
    /// Buckets by number; see [`bucket`].
    buckets: Vec<Bucket>,
}

#[derive(Clone, Default)]
struct Bucket {
    objects: BTreeMap<(Kind, Arc<str>), Digest>,
    digest: Digest,
    is_touched: bool,
}

impl Bucket {
    fn refresh(&mut self) {
        self.is_touched = false;
        if self.objects.is_empty() {
            self.digest = Digest::default();
            return;
        }
        // (kind, name) sorts by the canonical word, as in every other implementation.
        let mut entries: Vec<_> = self.objects.iter().collect();
        entries.sort_by(|a, b| (a.0.0.as_str(), &a.0.1).cmp(&(b.0.0.as_str(), &b.0.1)));
        let mut h = Sha256::new();
        for (_, d) in entries {
            h.update(d.0);
        }
        self.digest = Digest(h.finalize().into());
    }
}

impl Default for DigestTree {
    fn default() -> Self {
        Self { buckets: vec![Bucket::default(); 256] }
    }
}

impl DigestTree {
    /// Applies changes (`None` = delete) and returns the digest that each has replaced.
    pub fn apply<'a>(
        &mut self,
        changes: impl IntoIterator<Item = (Kind, &'a Arc<str>, Option<Digest>)>,
    ) -> Vec<Option<Digest>> {
        let mut replaced = Vec::new();
        for (kind, name, digest) in changes {
            // There is a bucket for every value of a byte.
            let Some(bucket) = self.buckets.get_mut(usize::from(bucket(kind, name))) else {
                continue;
            };
            bucket.is_touched = true;
            replaced.push(match digest {
                Some(d) => bucket.objects.insert((kind, name.clone()), d),
                None => bucket.objects.remove(&(kind, name.clone())),
            });
        }
        self.buckets.iter_mut().filter(|b| b.is_touched).for_each(Bucket::refresh);
        replaced
    }

    /// Returns the root digest.
    pub fn root(&self) -> Digest {
        let mut h = Sha256::new();
        h.update(b"hg1-root\0");
        for bucket in &self.buckets {
            h.update(bucket.digest.0);
        }
        Digest(h.finalize().into())
    }
}
