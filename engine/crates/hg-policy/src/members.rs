//! The endpoints of one tier that take traffic, and random draws from them by weight.

use crate::load::Choice;
use crate::{Random, Shares};
use hg_plan::Endpoint;
use std::sync::Arc;

/// One endpoint that takes traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its index in the upstream's list.
    pub(crate) endpoint: u32,
    /// Its weight, above 0.
    pub(crate) weight: u32,
}

/// Endpoints of one tier (primary or backup) with a weight above 0, in the user's order. Immutable
/// and shared between workers.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    all: Arc<[Member]>,
    shares: Arc<Shares>,
    equal: bool,
}

impl Members {
    /// Makes the members of one tier.
    pub(crate) fn of(endpoints: &[Endpoint], backup: bool) -> Self {
        let all: Arc<[Member]> = (0u32..)
            .zip(endpoints)
            .filter(|(_, e)| e.weight > 0 && e.backup == backup)
            .map(|(endpoint, e)| Member { endpoint, weight: e.weight })
            .collect();
        let shares = Arc::new(Shares::new(all.iter().map(|m| m.weight)));
        let equal = all.windows(2).all(|w| matches!(w, [a, b] if a.weight == b.weight));
        Self { all, shares, equal }
    }

    pub(crate) fn as_slice(&self) -> &[Member] {
        &self.all
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns the sum of weights.
    pub(crate) fn total(&self) -> u64 {
        self.shares.total()
    }

    /// Reports whether all weights are the same.
    pub(crate) fn are_equal(&self) -> bool {
        self.equal
    }

    /// Returns a slot (index into the members) drawn by weight among those that the choice allows
    /// and that are not `other`; `None` if there is none. One draw over all members is enough if it
    /// hits an allowed one; else one pass over the members draws among the allowed ones alone. Both
    /// give each allowed member its share of the allowed weights.
    pub(crate) fn draw(
        &self,
        choice: &Choice<'_>,
        other: Option<usize>,
        rng: &mut dyn Random,
    ) -> Option<usize> {
        let allowed = |(slot, m): (usize, &Member)| {
            (other != Some(slot) && choice.allows(m.endpoint)).then_some((slot, m.weight))
        };
        let first = self.shares.pick(rng)?;
        if self.all.get(first).and_then(|m| allowed((first, m))).is_some() {
            return Some(first);
        }
        let candidates = || self.all.iter().enumerate().filter_map(allowed);
        let total: u64 = candidates().map(|(_, weight)| u64::from(weight)).sum();
        let mut left = rng.below(total);
        for (slot, weight) in candidates() {
            match left.checked_sub(weight.into()) {
                Some(rest) => left = rest,
                None => return Some(slot),
            }
        }
        None
    }
}
