//! Slow start: endpoints that come back, or are added to a config that runs, take their share of the
//! requests step by step.

use crate::snapshot::{EndpointEntry, UpstreamEntry};
use hg_plan::Health;
use hg_resilience::{Active, FULL_WEIGHT, SlowStart, Standing, State};

/// Returns how endpoints start.
pub(crate) fn policy(plan: &Health) -> SlowStart {
    SlowStart { window_ms: plan.slow_start_ms, floor_percent: plan.slow_start_floor }
}

/// Reports whether an endpoint takes its full share.
pub(crate) fn is_warm(state: State) -> bool {
    state.standing() == Standing::Usable && state.weight == FULL_WEIGHT
}

impl UpstreamEntry {
    /// Returns the weight that an endpoint begins with if it becomes usable now: the whole one where
    /// no other endpoint could take the rest.
    pub(crate) fn start_weight(&self, at: usize) -> u16 {
        let policy = policy(&self.plan.health);
        let state = |e: &EndpointEntry| e.health.shared.load();
        let Some(own) = self.endpoints.get(at).map(state) else {
            return FULL_WEIGHT;
        };
        if own.active == Active::Unknown {
            // Whether it is new in a config that ran was known when it was added.
            return own.weight;
        }
        let mut others = self.endpoints.iter().enumerate().filter(|(i, _)| *i != at);
        policy.start(others.any(|(_, e)| is_warm(state(e))))
    }

    /// Reports whether an endpoint does not take its full share yet.
    pub(crate) fn is_warming(&self) -> bool {
        self.endpoints.iter().any(|e| e.health.shared.load().weight < FULL_WEIGHT)
    }

    /// Gives endpoints that started slowly what they have gained.
    pub(crate) fn turn_slow_start(&self, now_ms: u64) {
        let policy = policy(&self.plan.health);
        let mut moved = false;
        for e in &self.endpoints {
            if let Some(event) = policy.turn(e.health.shared.load(), now_ms) {
                moved |= e.health.shared.apply(event, now_ms, FULL_WEIGHT).is_some();
            }
        }
        if moved {
            self.health.epoch.advance();
        }
    }

    /// Writes the weight of each endpoint, in thousandths. Reports whether one is not whole.
    pub(crate) fn write_weights(&self, weights: &mut [u16]) -> bool {
        let mut any = false;
        for (weight, e) in weights.iter_mut().zip(&self.endpoints) {
            *weight = e.health.shared.load().weight;
            any |= *weight < FULL_WEIGHT;
        }
        any
    }
}
