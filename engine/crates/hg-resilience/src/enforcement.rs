//! The treatment of an endpoint that looks like an outlier: it is ejected, or spared because of
//! what else is out, or because only a share of the verdicts is enforced.

use crate::random::below;
use crate::{Event, Reason};

/// The share of the endpoints that may be out, and of the verdicts that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnforcePolicy {
    /// Most endpoints ejected at a time, in percent.
    pub max_ejected_percent: u8,
    /// Verdicts that are enforced, in percent.
    pub enforce_percent: u8,
}

/// The numbers of an upstream's endpoints, by how they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bench {
    /// All of them.
    pub endpoints: usize,
    /// Those that outlier detection keeps out.
    pub ejected: usize,
    /// Those that take requests.
    pub usable: u32,
}

impl EnforcePolicy {
    /// Returns the event for an endpoint that looks like an outlier for a reason. Limits come first:
    /// what is spared by the share alone would be ejected otherwise. `random`: 64 random bits, by
    /// which the verdicts that count are drawn.
    pub fn event(&self, reason: Reason, bench: Bench, random: u64) -> Event {
        let limit = bench.endpoints.saturating_mul(self.max_ejected_percent.into()) / 100;
        if bench.ejected >= limit || bench.usable <= 1 {
            return Event::Spare(Reason::SparedLimit);
        }
        if below(random, 100) >= self.enforce_percent.into() {
            return Event::Spare(Reason::SparedDryRun);
        }
        Event::Eject(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BENCH: Bench = Bench { endpoints: 4, ejected: 1, usable: 3 };
    const WHY: Reason = Reason::Consecutive5xx;

    fn policy(enforce_percent: u8) -> EnforcePolicy {
        EnforcePolicy { max_ejected_percent: 50, enforce_percent }
    }

    /// Spreads whole numbers over all of 64 bits.
    fn spread(n: u64) -> u64 {
        n.wrapping_mul(u64::MAX / 1_000)
    }

    #[test]
    fn the_share_of_the_verdicts_counts() {
        for (percent, of_a_thousand) in [(0, 0), (1, 10), (25, 250), (99, 990), (100, 1_000)] {
            let counts =
                |n: &u64| policy(percent).event(WHY, BENCH, spread(*n)) == Event::Eject(WHY);
            let ejected = (0..1_000).filter(counts).count();
            assert!(ejected.abs_diff(of_a_thousand) <= 1, "{percent}: {ejected}");
        }
        assert_eq!(policy(100).event(WHY, BENCH, u64::MAX), Event::Eject(WHY));
        let dry = Event::Spare(Reason::SparedDryRun);
        assert_eq!(
            (policy(0).event(WHY, BENCH, 0), policy(99).event(WHY, BENCH, u64::MAX)),
            (dry, dry)
        );
    }

    #[test]
    fn limits_spare_whatever_is_enforced() {
        let limit = Event::Spare(Reason::SparedLimit);
        for bench in [Bench { ejected: 2, ..BENCH }, Bench { usable: 1, ..BENCH }] {
            for percent in [0, 50, 100] {
                assert_eq!(policy(percent).event(WHY, bench, 0), limit);
            }
        }
        let none = EnforcePolicy { max_ejected_percent: 0, ..policy(100) };
        assert_eq!(none.event(WHY, Bench { ejected: 0, ..BENCH }, 0), limit);
    }
}
