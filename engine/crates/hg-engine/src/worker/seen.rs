//! The health of an upstream's endpoints, as a worker has seen it.

use hg_policy::{Random as _, WyRand};
use hg_resilience::FULL_WEIGHT;

/// An epoch that is never reached: the next pick looks at the health of the endpoints again.
pub(super) const STALE: u64 = u64::MAX;

/// The health of an upstream's endpoints, as a worker knows it.
pub(super) struct Seen {
    /// The endpoints that take requests.
    pub(super) takes: Vec<bool>,
    /// True if one of them takes only some, so that a request has to ask.
    pub(super) probes: bool,
    /// The share of its requests that each takes, in thousandths.
    pub(super) weights: Vec<u16>,
    /// True if one of them does not take its whole share.
    pub(super) warming: bool,
    /// The epoch of the upstream's health at which it looked.
    pub(super) epoch: u64,
    /// The version of the agents' weights that the balancer has.
    pub(super) weighed: u64,
}

impl Seen {
    pub(super) fn new(endpoints: usize) -> Self {
        Self {
            takes: vec![true; endpoints],
            probes: false,
            weights: vec![FULL_WEIGHT; endpoints],
            warming: false,
            epoch: 0,
            weighed: 0,
        }
    }

    /// Reports whether an endpoint takes requests.
    pub(crate) fn takes(&self, i: usize) -> bool {
        self.takes.get(i).copied().unwrap_or(false)
    }

    /// Draws whether an endpoint that starts slowly leaves a request to another one.
    pub(super) fn spares(&self, i: usize, rng: &mut WyRand) -> bool {
        let weight = self.weights.get(i).copied().unwrap_or(FULL_WEIGHT);
        weight < FULL_WEIGHT && rng.below(FULL_WEIGHT.into()) >= u64::from(weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_leaves_the_share_that_it_does_not_take_yet_to_others() {
        let mut seen = Seen::new(3);
        seen.weights = vec![FULL_WEIGHT, FULL_WEIGHT / 4, 0];
        let mut rng = WyRand::new(7);
        let mut spared = |i| (0..4_000).filter(|_| seen.spares(i, &mut rng)).count();
        assert_eq!((spared(0), spared(2), spared(9)), (0, 4_000, 0));
        let three_of_four = spared(1);
        assert!((2_800..3_200).contains(&three_of_four), "{three_of_four}");
    }
}
