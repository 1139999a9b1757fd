//! Smooth weighted round robin, as in nginx (`ngx_http_upstream_get_peer` in
//! `src/http/ngx_http_upstream_round_robin.c`).
//!
//! Each pick adds every allowed endpoint's weight to its running value, takes the highest and
//! subtracts the sum of the weights from it: over one cycle (the sum of weights) it takes each
//! endpoint exactly as often as its weight says, evenly spread. Unlike in nginx, failures do not
//! lower a weight: health and breakers keep a failing endpoint out.

use crate::Random;
use crate::load::Choice;
use crate::members::{Member, Members};
use crate::policy::{Asked, NoOptions, Policy, Tier};

/// Most picks made in advance, so that workers and snapshots do not all begin with the first
/// endpoint.
const LEAD: u64 = 64;

#[derive(Clone, Debug)]
pub(crate) struct RoundRobin {
    members: Members,
    /// Running values; their sum is 0 after each pick.
    current: Box<[i64]>,
    /// The start of the next pick when all weights are equal.
    next: usize,
    started: bool,
}

impl Policy for RoundRobin {
    type Options = NoOptions;

    fn new(Tier { members, .. }: Tier<'_>, _: &NoOptions) -> Self {
        Self::of(members)
    }

    /// Costs O(1) while weights are equal and endpoints usable, else O(n).
    fn pick(&mut self, choice: &Choice<'_>, asked: &mut Asked<'_>) -> Option<u32> {
        if !self.started {
            self.started = true;
            self.start(asked.rng);
        }
        if self.members.are_equal() {
            self.rotate(choice)
        } else {
            self.smooth(|member| choice.allows(member.endpoint))
        }
    }
}

impl RoundRobin {
    pub(super) fn of(members: Members) -> Self {
        let current = vec![0; members.len()].into();
        Self { members, current, next: 0, started: false }
    }

    fn start(&mut self, rng: &mut dyn Random) {
        if self.members.are_equal() {
            self.next = rng.below(self.members.len() as u64) as usize;
        } else {
            self.lead(rng);
        }
    }

    /// Makes a random number of picks in advance.
    pub(super) fn lead(&mut self, rng: &mut dyn Random) {
        for _ in 0..rng.below(self.members.total().min(LEAD)) {
            self.smooth(|_| true);
        }
    }

    /// Picks in plain order, which with equal weights is the smooth order.
    fn rotate(&mut self, choice: &Choice<'_>) -> Option<u32> {
        let (before, from) = self.members.as_slice().split_at_checked(self.next)?;
        let found = from.iter().chain(before).position(|m| choice.allows(m.endpoint))?;
        let slot = (self.next + found) % self.members.len();
        self.next = (slot + 1) % self.members.len();
        self.members.as_slice().get(slot).map(|m| m.endpoint)
    }

    /// Takes one step of the algorithm among the members that `allowed` accepts.
    pub(super) fn smooth(&mut self, allowed: impl Fn(&Member) -> bool) -> Option<u32> {
        let mut total = 0;
        let mut best: Option<(&mut i64, u32)> = None;
        for (value, member) in self.current.iter_mut().zip(self.members.as_slice()) {
            if !allowed(member) {
                continue;
            }
            *value += i64::from(member.weight);
            total += i64::from(member.weight);
            if best.as_ref().is_none_or(|(highest, _)| *value > **highest) {
                best = Some((value, member.endpoint));
            }
        }
        let (value, endpoint) = best?;
        *value -= total;
        Some(endpoint)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, Fixed, endpoints, policy};
    use proptest::prelude::*;

    #[test]
    fn the_order_is_nginx_s() {
        let mut bench = Bench::new(&policy(r#""round_robin""#), &endpoints(&[5, 1, 1]));
        let order: Vec<_> = (0..7).map(|_| bench.pick_with(&mut Fixed(0)).unwrap()).collect();
        assert_eq!(order, [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn equal_weights_rotate_and_pass_over_what_is_down_evenly() {
        let mut bench = Bench::new(&policy(r#""round_robin""#), &endpoints(&[2, 2, 2, 2]));
        bench.usable[1] = false;
        let counts = bench.count(300);
        assert_eq!(counts, [100, 0, 100, 100]);
    }

    #[test]
    fn workers_do_not_begin_in_step() {
        let starts: std::collections::BTreeSet<_> = (0..40)
            .map(|seed| {
                let mut bench =
                    Bench::seeded(&policy(r#""round_robin""#), &endpoints(&[1, 1, 1]), seed);
                bench.pick().unwrap()
            })
            .collect();
        assert_eq!(starts.len(), 3);
    }

    proptest! {
        #[test]
        fn a_cycle_is_exact(weights in prop::collection::vec(0u32..20, 1..12), seed: u64) {
            let total: u32 = weights.iter().sum();
            let mut bench = Bench::seeded(&policy(r#""round_robin""#), &endpoints(&weights), seed);
            for _ in 0..3 {
                prop_assert_eq!(bench.count(total as usize), weights.clone());
            }
        }
    }
}
