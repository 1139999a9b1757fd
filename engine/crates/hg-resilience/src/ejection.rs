//! The time that an ejected endpoint stays out, and the repetition of a probe that got lost.

use crate::random::{below, share};
use crate::{Event, Outlier, State};

/// Times of ejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EjectionPolicy {
    /// Length of the first ejection; the n-th in a row takes n times as long.
    pub base_ms: u64,
    /// The longest ejection.
    pub max_ms: u64,
    /// At most this share is added, so that endpoints ejected together do not return together.
    pub jitter_percent: u8,
    /// A probe without a result after this long is repeated.
    pub probe_ms: u64,
}

impl Default for EjectionPolicy {
    fn default() -> Self {
        Self { base_ms: 30_000, max_ms: 300_000, jitter_percent: 10, probe_ms: 30_000 }
    }
}

impl EjectionPolicy {
    /// Returns how long the n-th ejection in a row takes, counted from 1.
    pub fn length_ms(&self, times: u32, random: u64) -> u64 {
        let length = self.base_ms.saturating_mul(times.into()).min(self.max_ms);
        let jitter = share(length, self.jitter_percent);
        length.saturating_add(below(random, jitter.saturating_add(1)))
    }
}

/// The clock of one endpoint's ejections; belongs to the thread that watches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ejection {
    /// Ejections in a row.
    times: u32,
    /// The end of the present ejection, while the endpoint is ejected.
    until_ms: Option<u64>,
    /// The time at which the endpoint was last seen to come back.
    back_ms: u64,
    /// True if it was out at the last look.
    out: bool,
}

impl Ejection {
    /// Looks at the endpoint; to be called about once a second. Returns the event to apply.
    pub fn turn(
        &mut self,
        state: State,
        policy: &EjectionPolicy,
        now_ms: u64,
        random: u64,
    ) -> Option<Event> {
        let due = match state.outlier {
            Outlier::In => {
                self.back_ms = if self.out { now_ms } else { self.back_ms };
                self.until_ms = None;
                false
            }
            Outlier::Ejected => self.is_over(policy, now_ms, random),
            Outlier::ProbeDue => {
                self.until_ms = None;
                false
            }
            Outlier::Probing => {
                self.until_ms = None;
                now_ms >= state.changed_ms.saturating_add(policy.probe_ms)
            }
        };
        self.out = state.outlier != Outlier::In;
        match state.outlier {
            Outlier::Ejected => due.then_some(Event::EjectionOver),
            _ => due.then_some(Event::ProbeLost),
        }
    }

    /// Returns when the present ejection ends, if the endpoint is ejected.
    pub fn until_ms(&self) -> Option<u64> {
        self.until_ms
    }

    /// Returns how many ejections in a row the endpoint had.
    pub fn times(&self) -> u32 {
        self.times
    }

    /// Reports whether the ejection is over; sets its end at the first look.
    fn is_over(&mut self, policy: &EjectionPolicy, now_ms: u64, random: u64) -> bool {
        if let Some(until_ms) = self.until_ms {
            let over = now_ms >= until_ms;
            if over {
                self.until_ms = None;
            }
            return over;
        }
        self.times = self.remembered(policy, now_ms).saturating_add(1);
        self.until_ms = Some(now_ms.saturating_add(policy.length_ms(self.times, random)));
        false
    }

    /// Returns the ejections that still count: each time that the endpoint spent well since it came
    /// back, as long as a first ejection, takes one off.
    fn remembered(&self, policy: &EjectionPolicy, now_ms: u64) -> u32 {
        if self.out {
            return self.times;
        }
        let well = now_ms.saturating_sub(self.back_ms) / policy.base_ms.max(1);
        self.times.saturating_sub(u32::try_from(well).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FULL_WEIGHT;

    const POLICY: EjectionPolicy =
        EjectionPolicy { base_ms: 1_000, max_ms: 2_500, jitter_percent: 10, probe_ms: 500 };

    fn at(outlier: Outlier, changed_ms: u64) -> State {
        State { outlier, changed_ms, ..State::added(false, 0, FULL_WEIGHT) }
    }

    #[test]
    fn ejections_grow_to_the_longest_with_jitter_on_top() {
        let lengths: Vec<_> = (1..5).map(|n| POLICY.length_ms(n, 0)).collect();
        assert_eq!(lengths, [1_000, 2_000, 2_500, 2_500]);
        assert_eq!(POLICY.length_ms(1, u64::MAX), 1_100);
        assert_eq!(POLICY.length_ms(u32::MAX, u64::MAX), 2_750);
        let endless = EjectionPolicy { base_ms: u64::MAX, max_ms: u64::MAX, ..POLICY };
        assert_eq!(endless.length_ms(9, u64::MAX), u64::MAX);
    }

    #[test]
    fn an_ejection_ends_at_its_time_and_a_failed_probe_makes_it_longer() {
        let mut clock = Ejection::default();
        let mut look = |outlier, now_ms| clock.turn(at(outlier, 0), &POLICY, now_ms, 0);
        assert_eq!(look(Outlier::Ejected, 10_000), None);
        assert_eq!(look(Outlier::Ejected, 10_999), None);
        assert_eq!(look(Outlier::Ejected, 11_000), Some(Event::EjectionOver));
        assert_eq!(look(Outlier::ProbeDue, 11_100), None);
        assert_eq!(look(Outlier::Ejected, 12_000), None, "the probe failed between two looks");
        assert_eq!(look(Outlier::Ejected, 13_999), None);
        assert_eq!(look(Outlier::Ejected, 14_000), Some(Event::EjectionOver));
        assert_eq!((clock.times(), clock.until_ms()), (2, None));
    }

    #[test]
    fn a_lost_probe_is_repeated() {
        let mut clock = Ejection::default();
        let probing = at(Outlier::Probing, 100);
        assert_eq!(clock.turn(probing, &POLICY, 599, 0), None);
        assert_eq!(clock.turn(probing, &POLICY, 600, 0), Some(Event::ProbeLost));
        assert_eq!(clock.turn(at(Outlier::ProbeDue, 600), &POLICY, 9_000, 0), None);
    }

    #[test]
    fn time_spent_well_is_counted_against_the_growth() {
        for (well_ms, times) in [(0, 3), (999, 3), (1_000, 2), (2_000, 1), (99_000, 1)] {
            let mut clock = Ejection { times: 2, until_ms: None, back_ms: 0, out: true };
            assert_eq!(clock.turn(at(Outlier::In, 0), &POLICY, 50_000, 0), None);
            let now_ms = 50_000 + well_ms;
            assert_eq!(clock.turn(at(Outlier::Ejected, now_ms), &POLICY, now_ms, 0), None);
            assert_eq!(clock.times(), times, "{well_ms} ms");
        }
    }
}
