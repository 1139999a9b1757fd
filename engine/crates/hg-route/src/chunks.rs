//! Lists by slot that are copied in chunks.

use std::sync::Arc;

/// Slots that are copied together when one of them changes.
const CHUNK: usize = 64;

/// The contents of slots, side by side; memory grows with the highest slot that was ever filled.
/// Cloning costs a reference count for every 64 slots.
#[derive(Clone)]
pub struct Chunks<T>(Vec<Arc<[Option<T>; CHUNK]>>);

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Chunks<T> {
    /// Returns the content of a slot.
    pub fn get(&self, slot: usize) -> Option<&T> {
        self.0.get(slot / CHUNK)?.get(slot % CHUNK)?.as_ref()
    }

    /// Returns the contents of all filled slots, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flat_map(|chunk| chunk.iter().flatten())
    }
}

impl<T: Clone> Chunks<T> {
    /// Fills or empties a slot; returns what it held. Clones made before keep that.
    pub fn put(&mut self, slot: usize, value: Option<T>) -> Option<T> {
        while self.0.len() <= slot / CHUNK {
            self.0.push(Arc::new([const { None }; CHUNK]));
        }
        let chunk = self.0.get_mut(slot / CHUNK).map(Arc::make_mut);
        chunk.and_then(|c| std::mem::replace(c.get_mut(slot % CHUNK)?, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_one_slot_leaves_clones_as_they_were_and_shares_the_rest() {
        let mut one = Chunks::default();
        for slot in [0, 63, 64, 200] {
            one.put(slot, Some(slot));
        }
        let mut other = one.clone();
        assert_eq!([other.put(63, None), other.put(64, Some(7))], [Some(63), Some(64)]);
        assert_eq!(
            [0, 63, 64, 200, 201, 999].map(|s| one.get(s).copied()),
            [Some(0), Some(63), Some(64), Some(200), None, None]
        );
        assert_eq!([0, 63, 64].map(|s| other.get(s).copied()), [Some(0), None, Some(7)]);
        assert_eq!(other.iter().copied().collect::<Vec<_>>(), [0, 7, 200]);
        assert!(Arc::ptr_eq(&one.0[3], &other.0[3]) && !Arc::ptr_eq(&one.0[0], &other.0[0]));
    }
}
