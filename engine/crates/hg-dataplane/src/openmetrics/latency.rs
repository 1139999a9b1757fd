//! Mean and 99th percentile over the last minute or two, from a histogram that only grows. Pure.

use hg_engine::Histogram;
use std::time::Duration;

/// Shortest time that a reading covers (once the process is that old).
const WINDOW: Duration = Duration::from_secs(60);

/// Keeps earlier readings, so that a later one can be compared with them.
#[derive(Debug, Default)]
pub struct LatencyWindow {
    older: Reading,
    newer: Reading,
}

#[derive(Clone, Debug, Default)]
struct Reading {
    at: Duration,
    histogram: Histogram,
}

/// The recent latencies of requests, milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lately {
    /// Mean; 0 without requests.
    pub mean_ms: f64,
    /// 99th percentile, interpolated within its bucket; 0 without requests.
    pub p99_ms: f64,
}

impl LatencyWindow {
    /// Takes a reading at `now` (since any fixed start).
    pub fn read(&mut self, now: Duration, histogram: &Histogram) -> Lately {
        if now.saturating_sub(self.newer.at) >= WINDOW {
            self.older = std::mem::take(&mut self.newer);
            self.newer = Reading { at: now, histogram: histogram.clone() };
        }
        lately(&difference(histogram, &self.older.histogram))
    }
}

/// Returns what was counted in between, in the buckets of now.
fn difference(now: &Histogram, before: &Histogram) -> Histogram {
    let mut difference = now.clone();
    for (count, old) in difference.counts.iter_mut().zip(before.in_buckets(&now.bounds_us).counts) {
        *count = count.saturating_sub(old);
    }
    difference.sum_us = difference.sum_us.saturating_sub(before.sum_us);
    difference
}

#[allow(clippy::cast_precision_loss)] // a mean of 2^53 requests may be off in its last digit
fn lately(histogram: &Histogram) -> Lately {
    let count = histogram.count();
    if count == 0 {
        return Lately::default();
    }
    let mean_ms = histogram.sum_us as f64 / count as f64 / 1000.0;
    Lately { mean_ms, p99_ms: quantile_us(histogram, 0.99 * count as f64) / 1000.0 }
}

/// Returns the value below which `rank` values lie; assumes that a bucket's values are evenly
/// spread.
#[allow(clippy::cast_precision_loss)] // as above
fn quantile_us(histogram: &Histogram, rank: f64) -> f64 {
    let mut below = 0.0;
    let mut lower = 0.0;
    for (count, bound) in histogram.counts.iter().zip(&histogram.bounds_us) {
        let (count, bound) = (*count as f64, *bound as f64);
        if count > 0.0 && below + count >= rank {
            return lower + (bound - lower) * ((rank - below) / count);
        }
        below += count;
        lower = bound;
    }
    lower
}

#[cfg(test)]
mod tests {
    use super::*;
    use hg_plan::LATENCY_BOUNDS_US;

    fn histogram() -> Histogram {
        Histogram::new(&LATENCY_BOUNDS_US)
    }

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn nothing_served_is_nothing() {
        let mut window = LatencyWindow::default();
        assert_eq!(window.read(s(1), &Histogram::default()), Lately::default());
    }

    #[test]
    fn the_percentile_lies_in_its_bucket() {
        let mut histogram = histogram();
        (0..98).for_each(|_| histogram.record(150));
        (0..2).for_each(|_| histogram.record(40_000));
        let lately = LatencyWindow::default().read(s(1), &histogram);
        assert!((lately.mean_ms - 0.947).abs() < 1e-9, "{lately:?}");
        assert!((30.0..=50.0).contains(&lately.p99_ms), "{lately:?}");
    }

    #[test]
    fn above_every_bound_the_last_bound_is_said() {
        let mut histogram = histogram();
        histogram.record(u64::MAX);
        let lately = LatencyWindow::default().read(s(1), &histogram);
        assert!((lately.p99_ms - 60_000.0).abs() < 1e-9, "{lately:?}");
    }

    #[test]
    fn a_change_of_the_bounds_keeps_what_was_counted_before_it_apart() {
        let mut window = LatencyWindow::default();
        let mut histogram = histogram();
        (0..100).for_each(|_| histogram.record(1_000_000));
        window.read(s(60), &histogram);
        window.read(s(120), &histogram);
        let mut histogram = histogram.in_buckets(&[5_000, 40_000]);
        (0..10).for_each(|_| histogram.record(4_000));
        let lately = window.read(s(121), &histogram);
        assert!((lately.mean_ms - 4.0).abs() < 1e-9, "{lately:?}");
        assert!(lately.p99_ms <= 5.0, "{lately:?}");
    }

    #[test]
    fn what_is_older_than_two_windows_no_longer_counts() {
        let mut window = LatencyWindow::default();
        let mut histogram = histogram();
        (0..100).for_each(|_| histogram.record(1_000_000));
        assert!(window.read(s(60), &histogram).mean_ms > 900.0);
        (0..10).for_each(|_| histogram.record(1_000));
        assert!(window.read(s(119), &histogram).mean_ms > 900.0);
        assert!((window.read(s(120), &histogram).mean_ms - 1.0).abs() < 1e-9);
    }
}
