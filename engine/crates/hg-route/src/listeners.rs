//! Sets of listeners.

use crate::ListenerId;

/// A set of listeners; the first 64, nearly always all, take no memory of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listeners {
    /// Bit n: listener n.
    Low(u64),
    /// Sorted ids.
    Many(Box<[ListenerId]>),
}

impl Listeners {
    /// Makes the set of these listeners.
    pub(crate) fn new(ids: &[ListenerId]) -> Self {
        if ids.iter().all(|id| id.0 < 64) {
            return Self::Low(ids.iter().fold(0, |bits, id| bits | 1 << id.0));
        }
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        Self::Many(ids.into())
    }

    /// Reports whether a listener is in the set.
    pub(crate) fn contains(&self, id: ListenerId) -> bool {
        match self {
            Self::Low(bits) => id.0 < 64 && bits & 1 << id.0 != 0,
            Self::Many(ids) => ids.binary_search(&id).is_ok(),
        }
    }

    /// Reports whether the set contains all of another.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Low(a), Self::Low(b)) => a & b == *b,
            _ => other.to_vec().into_iter().all(|id| self.contains(id)),
        }
    }

    /// Returns the listeners that are in either set.
    pub(crate) fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Low(a), Self::Low(b)) => Self::Low(a | b),
            _ => Self::new(&[self.to_vec(), other.to_vec()].concat()),
        }
    }

    fn to_vec(&self) -> Vec<ListenerId> {
        match self {
            Self::Low(bits) => (0..64).filter(|n| bits & 1 << n != 0).map(ListenerId).collect(),
            Self::Many(ids) => ids.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_below_and_above_64_behave_the_same() {
        let ids = |n: &[u16]| n.iter().copied().map(ListenerId).collect::<Vec<_>>();
        let low = Listeners::new(&ids(&[0, 63]));
        let high = Listeners::new(&ids(&[300, 63, 0, 300]));
        assert!(low.contains(ListenerId(63)) && !low.contains(ListenerId(64)));
        assert!(high.contains(ListenerId(300)) && !high.contains(ListenerId(1)));
        assert!(high.covers(&low) && !low.covers(&high) && low.covers(&low));
        assert_eq!(low.union(&high), high);
        assert!(Listeners::new(&[]) == Listeners::Low(0) && low.covers(&Listeners::new(&[])));
    }
}
