//! Weighted random: each allowed endpoint with the probability of its weight.

use crate::load::Choice;
use crate::members::Members;
use crate::policy::{Asked, NoOptions, Policy, Tier};

#[derive(Clone, Debug)]
pub(crate) struct WeightedRandom {
    members: Members,
}

impl Policy for WeightedRandom {
    type Options = NoOptions;

    fn new(Tier { members, .. }: Tier<'_>, _: &NoOptions) -> Self {
        Self { members }
    }

    /// Costs O(log n), or O(n) if the first draw is not allowed.
    fn pick(&mut self, choice: &Choice<'_>, asked: &mut Asked<'_>) -> Option<u32> {
        let slot = self.members.draw(choice, None, asked.rng)?;
        self.members.as_slice().get(slot).map(|m| m.endpoint)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, endpoints, policy};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn shares_follow_the_weights_of_what_is_usable(
            state in prop::collection::vec((0u32..10, any::<bool>()), 1..10),
            seed: u64,
        ) {
            let weights: Vec<_> = state.iter().map(|s| s.0).collect();
            let mut bench = Bench::seeded(&policy(r#""random""#), &endpoints(&weights), seed);
            bench.usable = state.iter().map(|s| s.1).collect();
            let total: u32 = state.iter().filter(|s| s.1).map(|s| s.0).sum();
            let picks = 20_000;
            let counts = bench.count(picks);
            for (s, n) in state.iter().zip(counts) {
                let share = if s.1 && total > 0 { f64::from(s.0) / f64::from(total) } else { 0.0 };
                let got = f64::from(n) / picks as f64;
                prop_assert!((got - share).abs() < 0.02, "{} for {}", got, share);
            }
        }
    }
}
