//! Lists by slot that are copied in pieces.

use std::sync::Arc;

/// Slots that are copied together when one of them changes.
const CHUNK: usize = 64;

/// What stands in each slot, side by side. Cloning costs a reference count for every 64 of them.
#[derive(Clone)]
pub(crate) struct Chunks<T>(Vec<Arc<[Option<T>; CHUNK]>>);

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Chunks<T> {
    /// What stands in a slot.
    pub(crate) fn get(&self, slot: usize) -> Option<&T> {
        self.0.get(slot / CHUNK)?.get(slot % CHUNK)?.as_ref()
    }
}

impl<T: Clone> Chunks<T> {
    /// Fills a slot, or empties it.
    pub(super) fn put(&mut self, slot: usize, value: Option<T>) {
        while self.0.len() <= slot / CHUNK {
            self.0.push(Arc::new([const { None }; CHUNK]));
        }
        let chunk = self.0.get_mut(slot / CHUNK).map(Arc::make_mut);
        if let Some(place) = chunk.and_then(|c| c.get_mut(slot % CHUNK)) {
            *place = value;
        }
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
        other.put(63, None);
        other.put(64, Some(7));
        assert_eq!(
            [0, 63, 64, 200, 201, 999].map(|s| one.get(s).copied()),
            [Some(0), Some(63), Some(64), Some(200), None, None]
        );
        assert_eq!([0, 63, 64].map(|s| other.get(s).copied()), [Some(0), None, Some(7)]);
        assert!(Arc::ptr_eq(&one.0[3], &other.0[3]) && !Arc::ptr_eq(&one.0[0], &other.0[0]));
    }
}
