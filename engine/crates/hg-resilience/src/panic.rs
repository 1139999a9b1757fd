//! The panic threshold: when so few endpoints look usable that the judgement itself is doubtful.
//!
//! Below the threshold the upstream sends to every endpoint that only health keeps out: a few
//! endpoints would otherwise take the load of all and fall as well. Envoy calls this the panic
//! threshold; here it is latched, so that it does not come and go with every check.

use crate::{Census, View};

/// The conditions under which panic begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PanicPolicy {
    /// Panic begins if less than this share of the judged endpoints is usable; 0 switches it off.
    pub below_percent: u8,
    /// Panic ends when the share was reached again for this long.
    pub hold_ms: u64,
}

impl Default for PanicPolicy {
    fn default() -> Self {
        Self { below_percent: 30, hold_ms: 10_000 }
    }
}

/// The latch of one upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Panic {
    on: bool,
    /// The time since which enough endpoints are usable, while the latch still holds.
    enough_since_ms: Option<u64>,
}

impl Panic {
    /// Takes in how the endpoints stand. Returns the new value if panic began or ended.
    pub fn turn(&mut self, census: Census, policy: &PanicPolicy, now_ms: u64) -> Option<bool> {
        let was = self.on;
        if is_short(census, policy) {
            *self = Panic { on: true, enough_since_ms: None };
        } else if self.on {
            let since = *self.enough_since_ms.get_or_insert(now_ms);
            if policy.below_percent == 0 || now_ms.saturating_sub(since) >= policy.hold_ms {
                *self = Panic::default();
            }
        }
        (self.on != was).then_some(self.on)
    }

    /// Reports whether panic is on.
    pub fn is_on(self) -> bool {
        self.on
    }

    /// Returns what decides about each endpoint besides its own state.
    pub fn view(self, census: Census) -> View {
        View { panic: self.on, known_good: census.is_known_good() }
    }
}

fn is_short(census: Census, policy: &PanicPolicy) -> bool {
    let judged = u64::from(census.judged());
    u64::from(census.usable) * 100 < judged * u64::from(policy.below_percent.min(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn census(usable: u32, unhealthy: u32) -> Census {
        Census { usable, unhealthy, ..Census::default() }
    }

    #[test]
    fn panic_begins_below_the_threshold_and_not_at_it() {
        let policy = PanicPolicy::default();
        assert_eq!(Panic::default().turn(census(3, 7), &policy, 0), None);
        assert_eq!(Panic::default().turn(census(29, 71), &policy, 0), Some(true));
        assert_eq!(Panic::default().turn(census(1, 1), &policy, 0), None, "50 % is enough");
        assert_eq!(Panic::default().turn(census(0, 1), &policy, 0), Some(true));
        assert_eq!(Panic::default().turn(census(0, 0), &policy, 0), None, "nobody was judged");
        let off = PanicPolicy { below_percent: 0, ..policy };
        assert_eq!(Panic::default().turn(census(0, 9), &off, 0), None);
    }

    #[test]
    fn panic_holds_until_enough_were_usable_for_a_while() {
        let policy = PanicPolicy::default();
        let mut panic = Panic::default();
        assert_eq!(panic.turn(census(0, 4), &policy, 1_000), Some(true));
        assert_eq!(panic.turn(census(2, 2), &policy, 2_000), None);
        assert_eq!(panic.turn(census(2, 2), &policy, 11_999), None);
        assert_eq!(panic.turn(census(1, 3), &policy, 11_999), None, "the time starts anew");
        assert_eq!(panic.turn(census(2, 2), &policy, 12_000), None);
        assert_eq!(panic.turn(census(2, 2), &policy, 21_999), None);
        assert!(panic.is_on() && panic.view(census(2, 2)).panic);
        assert_eq!(panic.turn(census(2, 2), &policy, 22_000), Some(false));
    }

    #[test]
    fn orders_breakers_and_unknown_endpoints_cause_no_panic() {
        let policy = PanicPolicy::default();
        let others = Census { usable: 1, unknown: 9, broken: 9, ordered_out: 9, unhealthy: 0 };
        assert_eq!(Panic::default().turn(others, &policy, 0), None);
    }

    #[test]
    fn switching_the_threshold_off_ends_panic_at_once() {
        let mut panic = Panic::default();
        assert_eq!(panic.turn(census(0, 4), &PanicPolicy::default(), 0), Some(true));
        let off = PanicPolicy { below_percent: 0, ..PanicPolicy::default() };
        assert_eq!(panic.turn(census(0, 4), &off, 1), Some(false));
    }
}
