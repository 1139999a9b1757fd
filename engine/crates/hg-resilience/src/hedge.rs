//! Hedging: a second try while the first one is still under way.

/// The time at which a route hedges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HedgePolicy {
    /// So many milliseconds after the first try began to wait for its answer.
    After(u64),
    /// After the time in which 95 of 100 answers of the route come.
    P95,
}

impl HedgePolicy {
    /// Returns how long after the first try the second one may start. `None` without a p95 where
    /// that is asked for: a route that is not known to be slow at times would be loaded twice for
    /// nothing.
    pub fn after_ms(self, p95_us: Option<u64>) -> Option<u64> {
        match self {
            HedgePolicy::After(ms) => Some(ms),
            HedgePolicy::P95 => Some(p95_us?.div_ceil(1_000)),
        }
    }
}

/// The facts that are known when a second try is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    /// True if the method is idempotent; the first try may be processed as well.
    pub idempotent: bool,
    /// True if all that was read of the body is still held.
    pub replayable: bool,
    /// True if the upstream is in panic.
    pub panic: bool,
    /// True if the client still waits.
    pub awaited: bool,
    /// Tries that began so far.
    pub tries: u32,
}

impl Hedge {
    /// Reports whether nothing but the budget and a lack of endpoints speaks against the second
    /// try.
    pub fn may_start(&self) -> bool {
        self.idempotent && self.replayable && !self.panic && self.awaited && self.tries == 1
    }
}

/// Samples before an estimate counts.
const WARM: u32 = 50;
/// The part of the estimate by which one sample moves it at most.
const STEP: f64 = 0.05;

/// A running estimate of one quantile of latency: each sample above moves it up, each one below
/// moves it down, in the proportion that keeps it at the quantile. One number, no buckets
/// (Ma, Muthukrishnan and Sandler, "Frugal Streaming", 2013).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quantile {
    value_us: f64,
    samples: u32,
}

impl Quantile {
    /// Takes in a sample; the estimate follows this percentile.
    pub fn add(&mut self, latency_us: u64, percentile: u8) {
        let sample = latency_us.max(1) as f64;
        let up = f64::from(percentile.min(100)) / 100.0;
        self.value_us = match self.samples {
            0 => sample,
            _ if sample > self.value_us => (self.value_us * (1.0 + STEP * up)).min(sample),
            _ => (self.value_us * (1.0 - STEP * (1.0 - up))).max(1.0),
        };
        self.samples = self.samples.saturating_add(1);
    }

    /// Returns the estimate; `None` before it had enough samples.
    pub fn get_us(&self) -> Option<u64> {
        (self.samples >= WARM).then_some(self.value_us as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Hedge =
        Hedge { idempotent: true, replayable: true, panic: false, awaited: true, tries: 1 };

    #[test]
    fn a_hedge_starts_only_where_nothing_speaks_against_it() {
        assert!(GOOD.may_start());
        for bad in [
            Hedge { idempotent: false, ..GOOD },
            Hedge { replayable: false, ..GOOD },
            Hedge { panic: true, ..GOOD },
            Hedge { awaited: false, ..GOOD },
            Hedge { tries: 2, ..GOOD },
            Hedge { tries: 0, ..GOOD },
        ] {
            assert!(!bad.may_start(), "{bad:?}");
        }
    }

    #[test]
    fn a_delay_counts_as_it_is_and_a_p95_once_it_is_known() {
        assert_eq!(HedgePolicy::After(50).after_ms(None), Some(50));
        assert_eq!(HedgePolicy::After(50).after_ms(Some(90_000)), Some(50));
        assert_eq!(HedgePolicy::P95.after_ms(None), None);
        assert_eq!(HedgePolicy::P95.after_ms(Some(50_001)), Some(51));
    }

    #[test]
    fn the_estimate_settles_at_the_percentile() {
        let mut p95 = Quantile::default();
        for i in 0..49 {
            p95.add(i, 95);
        }
        assert_eq!(p95.get_us(), None, "too few samples");
        let mut above = 0;
        for i in 0..20_000u64 {
            let sample = 1_000 + (i * 7_919 % 1_000) * 10;
            p95.add(sample, 95);
            above += u32::from(i >= 10_000 && p95.get_us().is_some_and(|p| sample > p));
        }
        let value = p95.get_us().unwrap();
        assert!((9_000..11_500).contains(&value), "{value}");
        assert!((250..1_000).contains(&above), "{above} of 10,000");
    }
}
