//! Slow start: an endpoint that comes back takes its traffic step by step.

use crate::{Event, FULL_WEIGHT, State};

/// The rules by which an endpoint starts slowly; off by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowStart {
    /// The time until it takes its full share; 0 switches slow start off.
    pub window_ms: u64,
    /// The share to begin with, in percent.
    pub floor_percent: u8,
}

impl Default for SlowStart {
    fn default() -> Self {
        Self { window_ms: 0, floor_percent: 10 }
    }
}

impl SlowStart {
    /// Returns the weight that an endpoint begins with that becomes usable now. `others_warm` says
    /// that another endpoint of the upstream takes its full share: where all are new, as at the
    /// start of the process, a slow start would only turn requests away.
    pub fn start(&self, others_warm: bool) -> u16 {
        if self.window_ms == 0 || !others_warm { FULL_WEIGHT } else { self.floor() }
    }

    /// Returns the weight so long after an endpoint became usable: a line from the floor up.
    pub fn weight(&self, elapsed_ms: u64) -> u16 {
        if elapsed_ms >= self.window_ms {
            return FULL_WEIGHT;
        }
        let floor = self.floor();
        let rise = u128::from(FULL_WEIGHT - floor) * u128::from(elapsed_ms);
        floor + (rise / u128::from(self.window_ms)) as u16
    }

    /// Returns the event that brings the weight up to date, if there is something to bring. The
    /// watching thread asks about every tenth of the window.
    pub fn turn(&self, state: State, now_ms: u64) -> Option<Event> {
        if state.weight >= FULL_WEIGHT {
            return None;
        }
        let weight = self.weight(now_ms.saturating_sub(state.changed_ms));
        (weight > state.weight).then_some(Event::Warmed(weight))
    }

    /// Returns the least weight, which is never 0: an endpoint without traffic would not warm.
    fn floor(&self) -> u16 {
        u16::from(self.floor_percent.clamp(1, 100)) * 10
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: SlowStart = SlowStart { window_ms: 10_000, floor_percent: 10 };

    #[test]
    fn the_weight_rises_from_the_floor_to_the_whole() {
        let weights = [0, 1, 5_000, 9_999, 10_000, u64::MAX].map(|ms| TEN.weight(ms));
        assert_eq!(weights, [100, 100, 550, 999, 1_000, 1_000]);
        assert_eq!(SlowStart { floor_percent: 0, ..TEN }.weight(0), 10);
        assert_eq!(SlowStart { floor_percent: 200, ..TEN }.weight(0), 1_000);
        assert_eq!(SlowStart { window_ms: u64::MAX, ..TEN }.weight(u64::MAX - 1), 999);
    }

    #[test]
    fn nothing_starts_slowly_when_all_are_new_or_it_is_off() {
        assert_eq!(TEN.start(false), FULL_WEIGHT);
        assert_eq!(TEN.start(true), 100);
        assert_eq!(SlowStart::default().start(true), FULL_WEIGHT);
        assert_eq!(SlowStart::default().weight(0), FULL_WEIGHT);
    }

    #[test]
    fn a_warm_endpoint_causes_no_event() {
        let state = State::added(false, 1_000, 100);
        assert_eq!(TEN.turn(state, 1_000), None, "the floor is there already");
        assert_eq!(TEN.turn(state, 6_000), Some(Event::Warmed(550)));
        assert_eq!(TEN.turn(state, 11_000), Some(Event::Warmed(FULL_WEIGHT)));
        assert_eq!(TEN.turn(State { weight: FULL_WEIGHT, ..state }, 6_000), None);
        assert_eq!(TEN.turn(state, 0), None, "a clock that ran backwards");
        assert_eq!(SlowStart::default().turn(state, 1_000), Some(Event::Warmed(FULL_WEIGHT)));
    }
}
