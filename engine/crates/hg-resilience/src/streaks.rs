//! Failures in a row, shared by all workers, written only while something fails.
//!
//! Exact over all workers but for races of single answers: a count per worker would need workers
//! times as many failures, and would never see them at low traffic.

use crate::{Outcome, Reason};
use std::sync::atomic::{AtomicU32, Ordering};

/// The number of failures in a row that eject an endpoint; 0 switches one off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreakPolicy {
    /// Answers with any 5xx.
    pub server_error: u32,
    /// Answers with 502, 503 or 504.
    pub gateway: u32,
    /// Requests without an answer.
    pub local: u32,
}

impl Default for StreakPolicy {
    fn default() -> Self {
        Self { server_error: 5, gateway: 5, local: 5 }
    }
}

/// The streaks of one endpoint, on a cache line of their own.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Streaks {
    server_error: AtomicU32,
    gateway: AtomicU32,
    local: AtomicU32,
}

impl Streaks {
    /// Takes in an outcome. Returns the reason to eject if a streak reached its threshold; that
    /// streak then starts anew. A success after a success writes nothing.
    pub fn note(&self, outcome: Outcome, policy: &StreakPolicy) -> Option<Reason> {
        match outcome {
            Outcome::Ok => {
                self.reset();
                None
            }
            Outcome::ServerError => {
                clear(&self.gateway);
                clear(&self.local);
                grow(&self.server_error, policy.server_error).then_some(Reason::Consecutive5xx)
            }
            Outcome::Gateway => {
                clear(&self.local);
                let gateway = grow(&self.gateway, policy.gateway);
                let server_error = grow(&self.server_error, policy.server_error);
                if gateway {
                    return Some(Reason::ConsecutiveGateway);
                }
                server_error.then_some(Reason::Consecutive5xx)
            }
            Outcome::Connect | Outcome::Timeout | Outcome::Reset | Outcome::Protocol => {
                grow(&self.local, policy.local).then_some(Reason::ConsecutiveLocal)
            }
            // An answer, but no sign that what failed before works again.
            Outcome::Limited => {
                clear(&self.local);
                None
            }
            Outcome::Refused | Outcome::Cancelled => None,
        }
    }

    /// Starts all streaks anew; to be called on every change of the endpoint's state, so that a
    /// second ejection takes as many failures as the first.
    pub fn reset(&self) {
        clear(&self.server_error);
        clear(&self.gateway);
        clear(&self.local);
    }
}

fn clear(streak: &AtomicU32) {
    if streak.load(Ordering::Relaxed) != 0 {
        streak.store(0, Ordering::Relaxed);
    }
}

/// Counts one failure; reports whether the threshold is reached, and then starts anew.
fn grow(streak: &AtomicU32, threshold: u32) -> bool {
    if threshold == 0 {
        return false;
    }
    let reached = streak.fetch_add(1, Ordering::Relaxed).saturating_add(1) >= threshold;
    if reached {
        streak.store(0, Ordering::Relaxed);
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::*;

    const POLICY: StreakPolicy = StreakPolicy { server_error: 4, gateway: 3, local: 2 };

    /// Returns what each outcome of the list leads to.
    fn run(policy: &StreakPolicy, outcomes: &[Outcome]) -> Vec<Option<Reason>> {
        let streaks = Streaks::default();
        outcomes.iter().map(|o| streaks.note(*o, policy)).collect()
    }

    /// Returns the positions that eject, with the reason.
    fn ejects(outcomes: &[Outcome]) -> Vec<(usize, Reason)> {
        let all = run(&POLICY, outcomes).into_iter().enumerate();
        all.filter_map(|(i, reason)| Some((i, reason?))).collect()
    }

    #[test]
    fn a_streak_ejects_at_its_threshold_and_starts_anew() {
        assert_eq!(ejects(&[ServerError; 3]), []);
        assert_eq!(
            ejects(&[ServerError; 8]),
            [(3, Reason::Consecutive5xx), (7, Reason::Consecutive5xx)]
        );
        assert_eq!(ejects(&[Gateway; 3]), [(2, Reason::ConsecutiveGateway)]);
        assert_eq!(ejects(&[Reset, Timeout]), [(1, Reason::ConsecutiveLocal)]);
    }

    #[test]
    fn a_success_ends_every_streak() {
        assert_eq!(ejects(&[Gateway, Gateway, Ok, Gateway, Gateway]), []);
        assert_eq!(ejects(&[Connect, Ok, Connect]), []);
    }

    #[test]
    fn kinds_of_failure_have_streaks_of_their_own() {
        let mixed = [Gateway, ServerError, Gateway, ServerError];
        assert_eq!(ejects(&mixed), [(3, Reason::Consecutive5xx)], "a gateway failure is a 5xx");
        assert_eq!(ejects(&[Connect, ServerError, Connect]), [], "an answer ends the local one");
        assert_eq!(
            ejects(&[Gateway, Gateway, Connect, Gateway]),
            [(3, Reason::ConsecutiveGateway)],
            "no answer does not end that of answers"
        );
    }

    #[test]
    fn another_5xx_ends_the_streak_of_a_gateway() {
        let policy = StreakPolicy { server_error: 9, ..POLICY };
        let mixed = run(&policy, &[Gateway, Gateway, ServerError, Gateway, Gateway]);
        assert!(mixed.iter().all(Option::is_none), "{mixed:?}");
    }

    #[test]
    fn what_says_nothing_about_the_endpoint_counts_nowhere() {
        assert_eq!(
            ejects(&[Connect, Refused, Cancelled, Connect]),
            [(3, Reason::ConsecutiveLocal)]
        );
        assert_eq!(ejects(&[Refused; 9]), []);
        assert_eq!(ejects(&[Limited; 9]), []);
        assert_eq!(ejects(&[Gateway, Limited, Gateway, Gateway]).len(), 1);
    }

    #[test]
    fn a_threshold_of_zero_is_off_and_of_one_ejects_at_once() {
        let off = StreakPolicy { server_error: 0, gateway: 0, local: 0 };
        assert!(run(&off, &[Gateway, Connect, ServerError]).iter().all(Option::is_none));
        let first = StreakPolicy { server_error: 1, gateway: 0, local: 1 };
        assert_eq!(
            run(&first, &[Gateway, Connect]),
            [Some(Reason::Consecutive5xx), Some(Reason::ConsecutiveLocal)]
        );
    }

    #[test]
    fn after_a_reset_an_ejection_takes_as_many_failures_as_before() {
        let streaks = Streaks::default();
        assert!((0..2).all(|_| streaks.note(Gateway, &POLICY).is_none()));
        streaks.reset();
        assert!((0..2).all(|_| streaks.note(Gateway, &POLICY).is_none()));
        assert_eq!(streaks.note(Gateway, &POLICY), Some(Reason::ConsecutiveGateway));
    }
}
