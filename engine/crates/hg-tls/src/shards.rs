//! A map by name that is cheap to copy and to change in few places: copies share what did not
//! change.

use std::collections::HashMap;
use std::sync::Arc;

/// A large map is split into this many parts; a change copies one part.
const SHARDS: usize = 128;

#[derive(Clone)]
pub(crate) struct Shards<V>(Box<[Arc<Part<V>>]>);

type Part<V> = HashMap<Arc<str>, V>;

impl<V> Default for Shards<V> {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Arc::default()).collect())
    }
}

/// Returns the part of a name by FNV-1a, which only spreads names over the parts. Within a part the
/// map uses a keyed hash.
fn shard(name: &str) -> usize {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    (hash >> 32) as usize % SHARDS
}

impl<V: Clone> Shards<V> {
    pub fn get(&self, name: &str) -> Option<&V> {
        self.0.get(shard(name))?.get(name)
    }

    pub fn insert(&mut self, name: Arc<str>, value: V) {
        if let Some(part) = self.0.get_mut(shard(&name)) {
            Arc::make_mut(part).insert(name, value);
        }
    }

    pub fn remove(&mut self, name: &str) {
        if let Some(part) = self.0.get_mut(shard(name)).filter(|part| part.contains_key(name)) {
            Arc::make_mut(part).remove(name);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|part| part.is_empty())
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().flat_map(|part| part.values())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_shares_what_is_not_touched_and_the_original_stays() {
        let mut first = Shards::default();
        for i in 0..1000 {
            first.insert(format!("n{i}").into(), i);
        }
        let mut second = first.clone();
        second.insert("n7".into(), -7);
        second.remove("n8");
        second.remove("absent");
        assert_eq!((first.get("n7"), first.get("n8")), (Some(&7), Some(&8)));
        assert_eq!((second.get("n7"), second.get("n8")), (Some(&-7), None));
        assert_eq!((first.values().count(), second.values().count()), (1000, 999));
        let shared = first.0.iter().zip(&second.0).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        assert!(shared >= SHARDS - 2);
        assert!(!first.is_empty() && Shards::<()>::default().is_empty());
    }
}
