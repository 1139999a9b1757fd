//! Hosts by name: 64 shards, so that a change copies only one of them. A host is stored in its
//! shard, so that finding it reads one cache line besides the shard's own.

use crate::ListenerId;
use crate::bucket::Bucket;
use crate::name::Name;
use crate::paths::hash;
use hashbrown::HashTable;
use std::sync::Arc;

const SHARDS: usize = 64;

/// Position in a hash of the bits that choose a shard: between those that a table uses.
const SHARD_SHIFT: u32 = 48;

/// The rotation that moves the shard's bits of a hash to the front.
const SHARD_TURN: u32 = u64::BITS - SHARD_SHIFT - SHARDS.ilog2();

/// The last bit of the set of wildcard depths stands for this many labels and more.
const DEEPEST: usize = 63;

/// The hosts that have routes. Cloning shares the shards; changing one copies it.
#[derive(Clone)]
pub(crate) struct Hosts {
    shards: Vec<Arc<Shard>>,
    /// The host `*`.
    any: Option<Bucket>,
    /// Number of wildcards by their labels after the star.
    wildcards: [u32; DEEPEST + 1],
    /// Bit n: there are wildcards with n labels.
    wildcard_depths: u64,
}

type Shard = HashTable<Bucket>;

/// A host with its hash, in the order of hosts in memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostKey<'h> {
    /// The hash, with the bits that choose the shard first.
    order: u64,
    /// The host.
    pub(crate) text: &'h Name,
}

impl<'h> HostKey<'h> {
    /// Makes the key of a host (`a.example`, `*.example`, `*`).
    pub(crate) fn new(text: &'h Name) -> Self {
        Self { order: hash(key(text)).rotate_left(SHARD_TURN), text }
    }

    fn hash(&self) -> u64 {
        self.order.rotate_right(SHARD_TURN)
    }
}

impl Default for Hosts {
    fn default() -> Self {
        let shard = Arc::new(Shard::new());
        Self {
            shards: vec![shard; SHARDS],
            any: None,
            wildcards: [0; DEEPEST + 1],
            wildcard_depths: 0,
        }
    }
}

impl Hosts {
    /// Returns the most specific host that has routes on this listener.
    pub(crate) fn select(&self, host: &str, listener: ListenerId) -> Option<&Bucket> {
        let has_routes = |bucket: &&Bucket| bucket.listeners.contains(listener);
        self.exact(host).filter(has_routes).or_else(|| self.wider(host).find(has_routes))
    }

    /// Returns every host that covers this name, the most specific first.
    pub(crate) fn candidates<'r>(&'r self, host: &str) -> impl Iterator<Item = &'r Bucket> {
        self.exact(host).into_iter().chain(self.wider(host))
    }

    /// Returns the host of this name, not a pattern.
    fn exact(&self, host: &str) -> Option<&Bucket> {
        // A name that begins with a dot looks like a wildcard's key.
        if host.starts_with('.') { None } else { self.get_key(host) }
    }

    /// Returns every pattern that covers this name, the most specific first.
    fn wider<'r>(&'r self, host: &str) -> impl Iterator<Item = &'r Bucket> {
        let wildcards = (self.wildcard_depths != 0).then(|| self.wildcards(host));
        wildcards.into_iter().flatten().chain(&self.any)
    }

    fn wildcards<'r>(&'r self, host: &str) -> impl Iterator<Item = &'r Bucket> {
        let dots = memchr::memchr_iter(b'.', host.as_bytes());
        let mut depth = dots.clone().count() + 1;
        dots.filter_map(move |at| {
            depth -= 1;
            let is_used = self.wildcard_depths & 1 << depth.min(DEEPEST) != 0;
            // `*` stands for at least one label.
            if is_used && at > 0 { self.get_key(host.get(at..)?) } else { None }
        })
    }

    /// Returns the host with exactly this text.
    pub(crate) fn get(&self, host: &HostKey<'_>) -> Option<&Bucket> {
        if host.text.is_any() {
            return self.any.as_ref();
        }
        let shard = self.shards.get(shard_of(host.hash()))?;
        shard.find(host.hash(), |b| b.name == *host.text)
    }

    fn get_key(&self, key: &str) -> Option<&Bucket> {
        let (key, hash) = (key.as_bytes(), hash(key.as_bytes()));
        self.shards.get(shard_of(hash))?.find(hash, |b| self::key(&b.name) == key)
    }

    /// Replaces a host's routes.
    pub(crate) fn put(&mut self, host: &HostKey<'_>, bucket: Bucket) {
        if host.text.is_any() {
            self.any = Some(bucket);
            return;
        }
        let Some(shard) = self.shard_mut(host) else { return };
        match shard.find_mut(host.hash(), |b| b.name == *host.text) {
            Some(place) => *place = bucket,
            None => {
                shard.insert_unique(host.hash(), bucket, |b| hash(key(&b.name)));
                self.count_wildcard(host.text.as_bytes(), true);
            }
        }
    }

    /// Removes a host.
    pub(crate) fn remove(&mut self, host: &HostKey<'_>) {
        if host.text.is_any() {
            self.any = None;
            return;
        }
        let Some(shard) = self.shard_mut(host) else { return };
        if let Ok(entry) = shard.find_entry(host.hash(), |b| b.name == *host.text) {
            entry.remove();
            self.count_wildcard(host.text.as_bytes(), false);
        }
    }

    /// Returns the shard; there is one for every hash ([`shard_of`]).
    fn shard_mut(&mut self, host: &HostKey<'_>) -> Option<&mut Shard> {
        self.shards.get_mut(shard_of(host.hash())).map(Arc::make_mut)
    }

    /// Returns every host, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Bucket> {
        self.shards.iter().flat_map(|s| s.iter()).chain(&self.any)
    }

    fn count_wildcard(&mut self, host: &[u8], is_new: bool) {
        let Some(suffix) = host.strip_prefix(b"*") else {
            return;
        };
        let depth = memchr::memchr_iter(b'.', suffix).count().min(DEEPEST);
        let Some(count) = self.wildcards.get_mut(depth) else { return };
        *count = if is_new { *count + 1 } else { count.saturating_sub(1) };
        let bit = 1 << depth;
        self.wildcard_depths = (self.wildcard_depths & !bit) | if *count > 0 { bit } else { 0 };
    }
}

/// Returns the key under which a host is stored: `.example` for `*.example`, so that a suffix of a
/// name finds it.
fn key(host: &Name) -> &[u8] {
    let text = host.as_bytes();
    text.strip_prefix(b"*").unwrap_or(text)
}

fn shard_of(hash: u64) -> usize {
    (hash >> SHARD_SHIFT) as usize % SHARDS
}
