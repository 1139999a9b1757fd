//! Least connections: the endpoint with the fewest requests in flight per weight.
//!
//! Ties rotate by smooth weighted round robin among the tied endpoints, as in nginx
//! (`ngx_http_upstream_get_least_conn_peer` in `ngx_http_upstream_least_conn_module.c`): at low
//! load, when all are tied at zero requests, weights still count.

use super::round_robin::RoundRobin;
use crate::load::Choice;
use crate::members::{Member, Members};
use crate::policy::{Asked, NoOptions, Policy, Tier};

#[derive(Clone, Debug)]
pub(crate) struct LeastConn {
    members: Members,
    ties: RoundRobin,
    started: bool,
}

impl Policy for LeastConn {
    type Options = NoOptions;

    fn new(Tier { members, .. }: Tier<'_>, _: &NoOptions) -> Self {
        Self { ties: RoundRobin::of(members.clone()), members, started: false }
    }

    /// Costs O(n): two passes.
    fn pick(&mut self, choice: &Choice<'_>, asked: &mut Asked<'_>) -> Option<u32> {
        if !self.started {
            self.started = true;
            self.ties.lead(asked.rng);
        }
        let mut least: Option<(&Member, u64)> = None;
        for member in self.members.as_slice() {
            if !choice.allows(member.endpoint) {
                continue;
            }
            let active = u64::from(choice.active(member.endpoint));
            if least.is_none_or(|(m, lowest)| busier((m, lowest), (member, active))) {
                least = Some((member, active));
            }
        }
        let (lowest, lowest_active) = least?;
        self.ties.smooth(|member| {
            let active = u64::from(choice.active(member.endpoint));
            choice.allows(member.endpoint)
                && active * u64::from(lowest.weight) == lowest_active * u64::from(member.weight)
        })
    }
}

/// Reports whether the first has more requests in flight per weight than the second.
fn busier((a, a_active): (&Member, u64), (b, b_active): (&Member, u64)) -> bool {
    a_active * u64::from(b.weight) > b_active * u64::from(a.weight)
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, endpoints, policy};
    use proptest::prelude::*;

    #[test]
    fn ties_rotate() {
        let mut bench = Bench::new(&policy(r#""least_conn""#), &endpoints(&[1, 1, 1]));
        assert_eq!(bench.count(300), [100, 100, 100]);
    }

    proptest! {
        #[test]
        fn none_allowed_is_less_busy_per_weight(
            state in prop::collection::vec((0u32..9, 0u32..50, any::<bool>()), 1..20),
        ) {
            let weights: Vec<_> = state.iter().map(|s| s.0).collect();
            let mut bench = Bench::new(&policy(r#""least_conn""#), &endpoints(&weights));
            bench.active = state.iter().map(|s| s.1).collect();
            bench.usable = state.iter().map(|s| s.2).collect();
            let cost = |i: usize| f64::from(state[i].1) / f64::from(state[i].0);
            if let Some(picked) = bench.pick() {
                for (i, s) in state.iter().enumerate() {
                    prop_assert!(s.0 == 0 || !s.2 || cost(picked) <= cost(i));
                }
            }
        }

        #[test]
        fn idle_endpoints_share_by_weight(weights in prop::collection::vec(1u32..20, 1..12)) {
            let total: u32 = weights.iter().sum();
            let mut bench = Bench::new(&policy(r#""least_conn""#), &endpoints(&weights));
            prop_assert_eq!(bench.count(total as usize), weights);
        }

        #[test]
        fn held_requests_settle_by_weight(weights in prop::collection::vec(1u32..10, 2..8)) {
            let total: u32 = weights.iter().sum();
            let mut bench = Bench::new(&policy(r#""least_conn""#), &endpoints(&weights));
            for _ in 0..total * 5 {
                let picked = bench.pick().unwrap();
                bench.active[picked] += 1;
            }
            let expected: Vec<_> = weights.iter().map(|w| w * 5).collect();
            prop_assert_eq!(bench.active, expected);
        }
    }
}
